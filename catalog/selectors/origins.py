"""Which sources have which entities, and who changed which field last; for many rows at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db import connection

from catalog.models import Entity, InboundEvent

PASSES: Final = 50  # runs of a source looked at for the last that read a kind to its end
EVENTS: Final = 1000  # live events looked at for those that touched an entity

_OWNERS: Final = """
SELECT o.entity_id, o.integration_id, o.kind, o.is_creator, o.run, o.seen_at
FROM catalog_owned o WHERE o.entity_id = ANY(%(entities)s)
ORDER BY o.is_creator DESC, o.integration_id, o.kind
"""

# The newest pass that read a kind to its end, for each kind of each source.
_PASSES: Final = """
SELECT DISTINCT ON (i.id, k.value ->> 'kind')
       i.id, k.value ->> 'kind', r.id, r.started_at, k.value ->> 'state', k.value ->> 'reason'
FROM unnest(%(integrations)s::bigint[]) AS i(id)
CROSS JOIN LATERAL (
    SELECT r.id, r.started_at, r.stale FROM catalog_syncrun r
    WHERE r.integration_id = i.id AND NOT r.is_dry_run AND r.started_at IS NOT NULL
      AND r.trigger <> 'exporter' AND jsonb_typeof(r.stale -> 'kinds') = 'array'
    ORDER BY r.id DESC LIMIT %(limit)s
) r
CROSS JOIN LATERAL jsonb_array_elements(r.stale -> 'kinds') AS k(value)
ORDER BY i.id, k.value ->> 'kind', r.id DESC
"""

# The last change of each field. A creation has no fields: what is not here is as it was made.
_TOUCHES: Final = """
WITH changes AS (
    SELECT id, at, actor_kind, actor, run, before, after FROM catalog_change
    WHERE model = 'entity' AND object_id = %(entity)s AND action = 'update'
    ORDER BY id + 0 DESC LIMIT 1000
), sides AS (
    SELECT id, at, actor_kind, actor, run, coalesce(before, '{}') AS side FROM changes
    UNION ALL
    SELECT id, at, actor_kind, actor, run, coalesce(after, '{}') FROM changes
), touched AS (
    SELECT s.id, s.at, s.actor_kind, s.actor, s.run, t.path FROM sides s CROSS JOIN LATERAL (
        SELECT k AS path FROM jsonb_object_keys(s.side) AS k
        WHERE k NOT IN ('properties', 'relations')
        UNION ALL
        SELECT g.name || '.' || k FROM (VALUES ('properties'), ('relations')) AS g(name)
        CROSS JOIN LATERAL jsonb_object_keys(
            CASE WHEN jsonb_typeof(s.side -> g.name) = 'object' THEN s.side -> g.name
                 ELSE '{}' END) AS k
    ) t
)
SELECT DISTINCT ON (path) path, at, actor_kind, actor, run FROM touched ORDER BY path, id DESC
"""

_MAKER: Final = """
SELECT at, actor_kind, actor, run FROM catalog_change
WHERE model = 'entity' AND object_id = %(entity)s AND action IN ('create', 'restore')
ORDER BY id + 0 DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Ownership:
    """That a source has an entity under a kind of its mapping ("": it made it in passing).

    run: the pk of the sync that saw it last; None where a live event did. gone_run, gone_at: the
    newest pass over that kind, if it did not find the entity any more; gone_reason: why it was
    held, if it was.
    """

    integration: int
    kind: str
    is_creator: bool
    run: int | None
    seen_at: datetime
    gone_run: int | None = None
    gone_at: datetime | None = None
    gone_reason: str = ""

    @property
    def is_gone(self) -> bool:
        return self.gone_run is not None


@dataclass(frozen=True, slots=True)
class Touch:
    """The last change of a field. run: what the history calls it ("sync_7")."""

    at: datetime
    actor_kind: str
    actor: str
    run: str = ""

    @property
    def sync_run(self) -> int | None:
        """The pk of the sync run that made it."""
        return sync_run_of(self.run)


@dataclass(frozen=True, slots=True)
class _Passed:
    run: int
    at: datetime
    reason: str


def sync_run_of(name: str) -> int | None:
    """The pk of a sync run from what the history calls it; None for any other run."""
    number = name.removeprefix("sync_")
    is_one = number != name and number.isascii() and number.isdigit() and len(number) < 19
    return int(number) if is_one else None


def ownerships(entities: Sequence[int]) -> dict[int, list[Ownership]]:
    """Which sources have each of these entities (pks); two statements, one when none has any."""
    if not entities:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_OWNERS, {"entities": list(entities)})
        rows = cursor.fetchall()
    passes = _last_passes({row[1] for row in rows})
    found: dict[int, list[Ownership]] = {}
    for entity, *rest in rows:
        one = Ownership(*rest)
        passed = passes.get((one.integration, one.kind)) if one.kind else None
        if passed and one.run != passed.run and one.seen_at < passed.at:
            one = replace(one, gone_run=passed.run, gone_at=passed.at, gone_reason=passed.reason)
        found.setdefault(entity, []).append(one)
    return found


def is_stale(owned: Iterable[Ownership]) -> bool:
    """Whether every source that listed an entity does so no more. What was made in passing is in
    no list, and so never missing from one."""
    listed = [one for one in owned if one.kind]
    return bool(listed) and all(one.is_gone for one in listed)


def stale_among(entities: Sequence[int]) -> dict[int, Ownership]:
    """Of these entities (pks), those that no source lists any more, with what is known of it."""
    return {
        pk: next(one for one in owned if one.is_gone)
        for pk, owned in ownerships(entities).items()
        if is_stale(owned)
    }


def touches(entity: Entity) -> Mapping[str, Touch]:
    """Who changed each field last ("title", "properties.tier"), as far as history goes back.

    Of the newest thousand changes; what none of them touched is as it was made.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TOUCHES, {"entity": entity.pk})
        return {path: Touch(*rest) for path, *rest in cursor.fetchall()}


def making_of(entity: Entity) -> Touch | None:
    """Who made an entity; None where history does not go back that far."""
    with connection.cursor() as cursor:
        cursor.execute(_MAKER, {"entity": entity.pk})
        row = cursor.fetchone()
    return Touch(*row) if row else None


def events_of(
    integrations: Iterable[int], blueprint: str, identifier: str, *, limit: int
) -> list[tuple[InboundEvent, Mapping[str, Any]]]:
    """The newest live events of these sources that touched an entity, with what they did to it
    (an entry of `InboundEvent.results`)."""
    key = {"blueprint": blueprint, "identifier": identifier}
    recent = InboundEvent.objects.filter(integration__in=list(integrations)).order_by("-pk")
    found = (
        InboundEvent.objects.filter(pk__in=recent.values("pk")[:EVENTS], results__contains=[key])
        .select_related("integration")
        .defer("body")
        .order_by("-pk")[:limit]
    )
    return [
        (event, next(one for one in event.results if key.items() <= one.items())) for event in found
    ]


def _last_passes(integrations: Iterable[int]) -> dict[tuple[int, str], _Passed]:
    pks = sorted(integrations)
    if not pks:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_PASSES, {"integrations": pks, "limit": PASSES})
        return {
            (integration, kind): _Passed(run, at, (reason or "") if state == "held" else "")
            for integration, kind, run, at, state, reason in cursor.fetchall()
        }
