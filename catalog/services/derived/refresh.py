"""Computed values of entities worked out anew, and stored where they differ.

Whoever refreshes holds the lock of the blueprint, like a writer of its entities, *before* reading
what the values depend on. So of two that refresh the same entity the later one has seen all that
the earlier one has, and neither can be in the way of the door (see `entities.locking`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from django.db import connection, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.locks import Lock, hold, hold_shared
from catalog.models import Change
from catalog.selectors.search import Scope
from catalog.services.derived.plan import Computed, load_plan
from catalog.services.derived.specs import TEAM_NAME
from catalog.services.derived.values import Found, calculate, new_scope, read_others
from catalog.services.entities.marking import mark_changed

ACTOR: Final = Actor.system("derived")
CHUNK: Final = 1000  # entities at a time: about a second of work, during which writers wait

_READ = """
SELECT e.id, e.identifier, e.title, e.icon, e.team, e.computed::text, e.computed_errors::text,
       CASE WHEN %s THEN e.properties::text END, e.relations::text,
       to_char(e.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), e.created_by,
       to_char(e.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), e.updated_by
FROM catalog_entity e WHERE e.id = ANY(%s) AND e.blueprint_id = %s ORDER BY e.id
"""

# The database compares again: it writes some numbers its own way.
_WRITE = """
UPDATE catalog_entity e SET computed = r.computed, computed_errors = r.errors, team = r.team
FROM json_to_recordset(%s::json) AS r(id bigint, computed jsonb, errors jsonb, team varchar[])
WHERE e.id = r.id AND (e.computed::text, coalesce(e.computed_errors::text, ''), e.team)
    IS DISTINCT FROM (r.computed::text, coalesce(r.errors::text, ''), r.team)
RETURNING e.id
"""


@dataclass(slots=True)
class Stored:
    """An entity as it is: `document` is what calculations are given, all but computed values."""

    pk: int
    identifier: str
    team: list[str]
    values: dict[str, Any]
    errors: dict[str, str]
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """What is stored of an entity and what it should be; by name, absent where null."""

    pk: int
    blueprint: str
    identifier: str
    stored: Mapping[str, Any]
    expected: Mapping[str, Any]


def refresh(blueprint: int, pks: Sequence[int], *, is_whole: bool = True) -> list[Difference]:
    """Refresh entities of one blueprint (pk), in the caller's transaction; returns what differed.

    is_whole: the entities themselves changed. Otherwise only what their values are read from did,
    and calculations that read nothing new are left as they are.
    """
    lock(blueprint)
    return refresh_locked(blueprint, pks, whole=pks if is_whole else ())


def refresh_written(blueprint: str, pks: Sequence[int]) -> None:
    """Refresh entities (pks) that were just written, for those who look at them next.

    What others compute from them follows by the change feed.
    """
    computed = load_plan().of(blueprint)
    if computed is not None and not computed.is_empty and pks:
        with transaction.atomic():
            refresh(computed.kind.pk, pks)


def lock(blueprint: int) -> None:
    """Wait for the writers of a blueprint's entities, until the transaction ends."""
    hold_shared(Lock.CATALOGUE)
    hold(Lock.BLUEPRINT, blueprint)


def refresh_locked(
    blueprint: int, pks: Sequence[int], *, whole: Collection[int]
) -> list[Difference]:
    """`refresh` for a caller who holds the lock. whole: those that changed themselves."""
    computed = load_plan().by_pk.get(blueprint)
    if computed is None or not pks:
        return []
    stored, found = work_out(computed, pks, whole=set(whole), scope=new_scope())
    rows = [
        {
            "id": one.pk,
            "computed": found[one.pk].values,
            "errors": found[one.pk].errors or None,
            "team": _team(one, found[one.pk]),
        }
        for one in stored
        if _differs(one, found[one.pk])
    ]
    if not rows:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_WRITE, [orjson.dumps(rows).decode()])
        written = {pk for (pk,) in cursor.fetchall()}
        differences = [
            _difference(computed, one, found[one.pk]) for one in stored if one.pk in written
        ]
        mark_changed(cursor, [one.pk for one in differences if TEAM_NAME in one.expected])
    feed.record(
        [_record(one) for one in differences if one.stored or one.expected],
        actor=ACTOR,
        at=timezone.now(),
    )
    return differences


def compare(blueprint: int, pks: Sequence[int]) -> list[Difference]:
    """What `refresh` would change; writes nothing. Values that time alone changes do not count."""
    computed = load_plan().by_pk.get(blueprint)
    if computed is None:
        return []
    with transaction.atomic():
        lock(blueprint)
        stored, found = work_out(computed, pks, whole=set(pks), scope=new_scope())
    for one in stored:
        for name in computed.loose:
            one.values.pop(name, None)
            found[one.pk].values.pop(name, None)
    differences = [_difference(computed, one, found[one.pk]) for one in stored]
    return [one for one in differences if one.stored or one.expected]


def work_out(
    computed: Computed, pks: Sequence[int], *, whole: set[int], scope: Scope
) -> tuple[list[Stored], dict[int, Found]]:
    """Entities of one blueprint as they are, and what is computed for them; stores nothing.

    whole: those whose calculations are made anew whether or not what they read has changed.
    """
    stored = _read(computed, pks)
    here = [one.pk for one in stored]
    found = read_others(computed, here, scope)
    documents = {}
    for one in stored:
        if one.pk in whole or _reads_news(computed, one, found[one.pk]):
            documents[one.pk] = given(computed, one, found[one.pk])
        else:
            _keep(computed, one, found[one.pk])
    calculate(computed, documents, found)
    return stored, found


def _read(computed: Computed, pks: Sequence[int]) -> list[Stored]:
    kind = computed.kind
    empty: dict[str, Any] = {
        link.identifier: [] if link.many else None for link in kind.links.values()
    }
    with connection.cursor() as cursor:
        cursor.execute(_READ, [bool(computed.calculations), list(pks), kind.pk])
        return [
            Stored(
                pk=pk,
                identifier=identifier,
                team=list(team),
                values=orjson.loads(values),
                errors=orjson.loads(errors) or {} if errors else {},
                document={
                    "identifier": identifier,
                    "title": title,
                    "icon": icon,
                    "blueprint": kind.identifier,
                    "properties": orjson.loads(properties or "{}"),
                    "relations": {**empty, **orjson.loads(relations)},
                    "createdAt": created_at,
                    "createdBy": created_by,
                    "updatedAt": updated_at,
                    "updatedBy": updated_by,
                },
            )
            for pk, identifier, title, icon, team, values, errors, properties, relations,
            created_at, created_by, updated_at, updated_by in cursor.fetchall()
        ]  # fmt: skip


def given(computed: Computed, one: Stored, found: Found) -> dict[str, Any]:
    """What calculations see: the entity, with those computed values that they speak of."""
    used = {name: found.values.get(name) for name in computed.uses if name != TEAM_NAME}
    return {
        **one.document,
        "team": _team(one, found),
        "properties": {**one.document["properties"], **used},
    }


def _reads_news(computed: Computed, one: Stored, found: Found) -> bool:
    """Whether something that calculations read differs from when they were made."""
    if TEAM_NAME in computed.uses and _team(one, found) != one.team:
        return True
    return any(not _same(one.values.get(name), found.values.get(name)) for name in computed.uses)


def _keep(computed: Computed, one: Stored, found: Found) -> None:
    for name in computed.calculations:
        if name in one.values:
            found.values[name] = one.values[name]
        if name in one.errors:
            found.errors[name] = one.errors[name]


def _team(one: Stored, found: Found) -> list[str]:
    return one.team if found.team is None else found.team


def _differs(one: Stored, found: Found) -> bool:
    return not (
        _same(one.values, found.values)
        and one.errors == found.errors
        and one.team == _team(one, found)
    )


def _same(one: Any, other: Any) -> bool:
    return one == other and _canonical(one) == _canonical(other)


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _difference(computed: Computed, one: Stored, found: Found) -> Difference:
    old, new = {**one.values}, {**found.values}
    if one.team != (team := _team(one, found)):
        old[TEAM_NAME], new[TEAM_NAME] = one.team, team
    names = [name for name in {**old, **new} if not _same(old.get(name), new.get(name))]
    return Difference(
        pk=one.pk,
        blueprint=computed.kind.identifier,
        identifier=one.identifier,
        stored={name: old[name] for name in names if name in old},
        expected={name: new[name] for name in names if name in new},
    )


def _record(one: Difference) -> feed.Record:
    return feed.Record(
        feed.UPDATE,
        Change.ENTITY,
        one.identifier,
        one.blueprint,
        one.pk,
        _content(one.stored),
        _content(one.expected),
    )


def _content(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by name, in the shape of the entity."""
    content = {name: value for name, value in values.items() if name != TEAM_NAME}
    team = {"team": values[TEAM_NAME]} if TEAM_NAME in values else {}
    return {"computed": content, **team}
