"""Properties of entities that run out: kept as rows, so that a tick finds those that have.

A value that has run out before it was set is no timer; one that is changed is another.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from django.db import connection, transaction

from actions.automations.events import Event, entity_context, trigger_of
from actions.automations.firing import fire
from actions.automations.listeners import load_listeners
from actions.models import Timer
from actions.services import triggers
from catalog.kernel.feed import FeedRow
from catalog.models import Change
from catalog.selectors.documents import documents
from catalog.selectors.kinds import Kinds, load_kinds
from catalog.selectors.search.moments import MOMENT_PATTERN, parse_moment

MAX_DUE: Final = 500  # timers of one tick
_SLACK: Final = timedelta(seconds=1)

_WANTED: Final = """
WITH named AS (SELECT * FROM json_to_recordset(%(names)s::json) AS n(blueprint bigint, name text)),
wanted AS (
    SELECT e.id, n.name, CASE WHEN e.properties->>n.name ~ %(pattern)s
                              THEN (e.properties->>n.name)::timestamptz END AS at
    FROM named n JOIN catalog_entity e ON e.blueprint_id = n.blueprint
    WHERE {which}
)
"""
_FORGET: Final = (
    _WANTED
    + """
DELETE FROM actions_timer t USING catalog_entity e
WHERE e.id = t.entity_id AND {which}
  AND NOT EXISTS (SELECT FROM wanted w
                  WHERE w.id = t.entity_id AND w.name = t.property AND w.at = t.expires_at)
"""
)
_KEEP: Final = (
    _WANTED
    + """
INSERT INTO actions_timer (entity_id, property, expires_at)
SELECT id, name, at FROM wanted WHERE at > %(since)s
ON CONFLICT (entity_id, property) DO UPDATE SET expires_at = excluded.expires_at
"""
)
_OF_ENTITIES: Final = "e.id = ANY(%(pks)s)"
_OF_BLUEPRINTS: Final = "e.blueprint_id = ANY(%(pks)s)"


def keep(rows: Sequence[FeedRow]) -> None:
    """Bring the timers up to date with these changes; five statements at most."""
    if not any(row.model in (Change.ENTITY, Change.BLUEPRINT) for row in rows):
        return
    kinds = load_kinds()
    names = _timers_of(kinds)
    entities = {
        row.object_id: row.at
        for row in rows
        if row.model == Change.ENTITY and row.object_id is not None and _concerns(row, names)
    }
    if entities:
        _store(_OF_ENTITIES, entities.keys(), names, since=min(entities.values()))
    changed = [row for row in rows if row.model == Change.BLUEPRINT and _is_shape(row)]
    blueprints = {pk for row in changed if (pk := kinds.pk_of(row.blueprint or row.identifier))}
    if blueprints:
        _store(_OF_BLUEPRINTS, blueprints, names, since=min(row.at for row in changed))


def fire_expired(now: datetime) -> int:
    """Tell of the timers that have run out, and forget them; returns how many there were."""
    with transaction.atomic():
        due = list(
            Timer.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("entity__blueprint")
            .filter(expires_at__lte=now)
            .order_by("expires_at")[:MAX_DUE]
        )
        if not due:
            return 0
        if listeners := load_listeners({triggers.TIMER_EXPIRED}):
            fire(_events(due), listeners)
        Timer.objects.filter(pk__in=[timer.pk for timer in due]).delete()
    return len(due)


def _events(timers: Sequence[Timer]) -> list[Event]:
    """Of those timers that still are what their entities say: a change may not have come by yet."""
    pks = {timer.entity_id for timer in timers}
    found = {
        (document["blueprint"], document["identifier"]): document
        for document in map(orjson.loads, documents(pks))
    }
    events = []
    for timer in timers:
        blueprint, identifier = timer.entity.blueprint.identifier, timer.entity.identifier
        document = found.get((blueprint, identifier))
        if document is None or not _is_at(document["properties"].get(timer.property), timer):
            continue
        events.append(
            Event(
                change=f"timer:{timer.entity_id}:{timer.property}:{timer.expires_at.isoformat()}",
                at=timer.expires_at,
                types=frozenset({triggers.TIMER_EXPIRED}),
                keys={"blueprintIdentifier": blueprint, "propertyIdentifier": timer.property},
                document={
                    "action": "TIMER_EXPIRED",
                    "resourceType": "entity",
                    "status": "SUCCESS",
                    "trigger": trigger_of("system", "timer", timer.expires_at),
                    "context": entity_context(blueprint, identifier, timer.property),
                    "diff": {"before": document, "after": document},
                },
            )
        )
    return events


def _is_at(value: Any, timer: Timer) -> bool:
    """To the second: PostgreSQL keeps fewer digits than texts may have."""
    moment = parse_moment(value)
    return moment is not None and abs(moment - timer.expires_at) < _SLACK


def _timers_of(kinds: Kinds) -> dict[str, list[tuple[int, str]]]:
    """The properties that are timers, by blueprint."""
    found = {
        kind.identifier: [
            (kind.pk, name)
            for name, spec in kind.properties.items()
            if spec.get("format") == triggers.TIMER_FORMAT
        ]
        for kind in kinds
    }
    return {identifier: names for identifier, names in found.items() if names}


def _concerns(row: FeedRow, names: dict[str, list[tuple[int, str]]]) -> bool:
    """Whether an entity was made, or one of its timers changed. What was deleted has none."""
    timers = {name for _, name in names.get(row.blueprint, ())}
    if not timers or row.before is None:
        return bool(timers)
    changed = {*row.before.get("properties", ()), *(row.after or {}).get("properties", ())}
    return bool(timers & changed)


def _is_shape(row: FeedRow) -> bool:
    return "schema" in (row.before or {}) or "schema" in (row.after or {})


def _store(
    which: str,
    pks: Collection[int],
    names: dict[str, list[tuple[int, str]]],
    *,
    since: datetime,
) -> None:
    known = [{"blueprint": pk, "name": name} for timers in names.values() for pk, name in timers]
    given: dict[str, Any] = {
        "names": orjson.dumps(known).decode(),
        "pattern": MOMENT_PATTERN,
        "pks": sorted(pks),
        "since": since,
    }
    with connection.cursor() as cursor:
        cursor.execute(_FORGET.format(which=which), given)
        cursor.execute(_KEEP.format(which=which), given)
