"""What a mapping made goes through the door, and who says so is noted (`Owned`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from django.db import connection

from catalog.kernel.actors import Actor, Role
from catalog.kernel.errors import IdpError, NotFound
from catalog.kernel.identifiers import is_storable
from catalog.kernel.source import Seen
from catalog.models import Integration, SyncRun
from catalog.services import entities
from catalog.services.entities import EntityDraft, ItemResult, MissingTargets, Mode, Status
from catalog.services.references import UnresolvedIdentifier, resolve_references

MADE: Final = ""  # the kind of an `Owned` row for what was made, but is in no list of the source

_PARTS: Final = ("title", "icon", "team", "properties", "relations")

# A new row is the creator's where the integration made the entity under another kind.
_NOTE: Final = """
INSERT INTO catalog_owned (integration_id, kind, entity_id, is_creator, run, seen_at)
SELECT %(integration)s, %(kind)s, r.e,
       r.c OR EXISTS (SELECT FROM catalog_owned o WHERE o.integration_id = %(integration)s
                      AND o.entity_id = r.e AND o.is_creator),
       %(run)s, clock_timestamp()
FROM (SELECT e, bool_or(c) AS c FROM json_to_recordset(%(rows)s::json) AS r(e bigint, c boolean)
      GROUP BY e ORDER BY e) r
ON CONFLICT (integration_id, kind, entity_id) DO UPDATE SET
    run = excluded.run, seen_at = excluded.seen_at,
    is_creator = catalog_owned.is_creator OR excluded.is_creator
"""

# What was refused is still there: the source has it, and so has the catalogue, as it was.
_KEEP: Final = """
UPDATE catalog_owned o SET run = %(run)s, seen_at = clock_timestamp()
FROM json_to_recordset(%(keys)s::json) AS k(blueprint text, identifier text)
JOIN catalog_blueprint b ON b.identifier = k.blueprint
JOIN catalog_entity e ON e.blueprint_id = b.id AND e.identifier = k.identifier
WHERE o.integration_id = %(integration)s AND o.kind = %(kind)s AND o.entity_id = e.id
"""

_PKS: Final = """
SELECT k.blueprint, k.identifier, e.id
FROM json_to_recordset(%s::json) AS k(blueprint text, identifier text)
JOIN catalog_blueprint b ON b.identifier = k.blueprint
JOIN catalog_entity e ON e.blueprint_id = b.id AND e.identifier = k.identifier
"""


_MADE_BY: Final = """
SELECT object_id FROM catalog_change
WHERE model = 'entity' AND object_id = ANY(%(pks)s) AND action = 'create' AND run = %(run)s
  AND at >= %(since)s
"""


class _Program:
    """Who searches for a mapping: the integration sees everything, and is no person."""

    is_authenticated = is_active = True
    role = Role.ADMIN.value
    email = ""


PROGRAM: Final = _Program()


@dataclass(frozen=True, slots=True)
class Body:
    """An entity body (Port's) for a blueprint, as a mapping made it."""

    blueprint: str
    body: Mapping[str, Any]


def actor_of(integration: Integration) -> Actor:
    """The author of what a source that runs here writes."""
    return Actor(
        "integration",
        integration.identifier,
        f"idp/{integration.kind}/{integration.identifier}",
    )


def write_bodies(
    bodies: Sequence[Body],
    *,
    integration: Integration,
    kind: str,
    mode: Mode,
    missing_targets: MissingTargets,
    run: int | None = None,
    run_name: str = "",
    dry_run: bool = False,
) -> list[ItemResult]:
    """Bring entity bodies of one resource kind into the catalogue and note who has them.

    One result for each, in order; the number of statements does not grow with them (it does with
    the number of different blueprints that search for entities). At most `MAX_BATCH`. Call it in
    a transaction, so that an entity and whose it is are stored together. run: the pk of the sync
    run that saw them; None for a live event.
    """
    drafts, results = _drafts(bodies)
    applied = entities.apply(
        list(drafts.values()),
        mode=mode,
        actor=actor_of(integration),
        missing_targets=missing_targets,
        dry_run=dry_run,
        run=run_name,
    )
    for index, item in zip(drafts, applied.items, strict=True):
        results[index] = item
    whole = [results[index] for index in range(len(bodies))]
    if not dry_run:
        note_seen(whole, integration=integration, kind=kind, run=run)
        note_made(applied.created_targets, integration=integration, run=run)
    return whole


def note_seen(
    items: Iterable[ItemResult], *, integration: Integration, kind: str, run: int | None
) -> None:
    """Note that the source has these entities; two statements at most."""
    rows, refused = [], []
    for item in items:
        if item.pk is not None:
            rows.append({"e": item.pk, "c": item.status is Status.CREATED})
        elif item.identifier and is_storable(item.blueprint + item.identifier):
            refused.append({"blueprint": item.blueprint, "identifier": item.identifier})
    facts: dict[str, Any] = {"integration": integration.pk, "kind": kind, "run": run}
    with connection.cursor() as cursor:
        if rows:
            cursor.execute(_NOTE, {**facts, "rows": orjson.dumps(rows).decode()})
        if refused:
            cursor.execute(_KEEP, {**facts, "keys": orjson.dumps(refused).decode()})


def note_imported(
    found: Sequence[Seen], *, integration: Integration, kind: str, run: SyncRun
) -> None:
    """Note that the source has what an import of descriptors found there.

    An import stores its entities by itself; which of them the run made is read in the history,
    so that it is right also when a worker died between the two.
    """
    keys = [(one.blueprint, one.identifier) for one in found if one.pk is None]
    pks = [one.pk for one in found if one.pk is not None] + list(pks_of(keys).values())
    if not pks:
        return
    with connection.cursor() as cursor:
        cursor.execute(_MADE_BY, {"pks": pks, "run": run.name, "since": run.started_at})
        made = {pk for (pk,) in cursor.fetchall()}
        rows = [{"e": pk, "c": pk in made} for pk in pks]
        facts: dict[str, Any] = {"integration": integration.pk, "kind": kind, "run": run.pk}
        cursor.execute(_NOTE, {**facts, "rows": orjson.dumps(rows).decode()})


def note_made(
    keys: Sequence[tuple[str, str]], *, integration: Integration, run: int | None
) -> None:
    """Note that the integration made these entities, though no list of the source named them."""
    pks = pks_of(keys)
    if pks:
        rows = [{"e": pk, "c": True} for pk in pks.values()]
        facts: dict[str, Any] = {"integration": integration.pk, "kind": MADE, "run": run}
        with connection.cursor() as cursor:
            cursor.execute(_NOTE, {**facts, "rows": orjson.dumps(rows).decode()})


def pks_of(keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The pk of each (blueprint, identifier) that is in the catalogue."""
    if not keys:
        return {}
    named = [{"blueprint": blueprint, "identifier": one} for blueprint, one in keys]
    with connection.cursor() as cursor:
        cursor.execute(_PKS, [orjson.dumps(named).decode()])
        return {(blueprint, one): pk for blueprint, one, pk in cursor.fetchall()}


def may_come_later(error: IdpError) -> bool:
    """Whether an entity was refused only because one that it names is not there (yet)."""
    if isinstance(error, UnresolvedIdentifier):
        return True
    return isinstance(error, NotFound) and error.details.get("resource") == "Entity"


def _drafts(bodies: Sequence[Body]) -> tuple[dict[int, EntityDraft], dict[int, ItemResult]]:
    """The draft of each body by its index, and what became of those that have none."""
    by_blueprint: dict[str, list[int]] = defaultdict(list)
    for index, one in enumerate(bodies):
        by_blueprint[one.blueprint].append(index)
    drafts: dict[int, EntityDraft] = {}
    refused: dict[int, ItemResult] = {}
    for blueprint, indexes in by_blueprint.items():
        found = resolve_references(
            [bodies[index].body for index in indexes],
            blueprint=blueprint,
            principal=PROGRAM,
        )
        for index, resolved in zip(indexes, found, strict=True):
            body, error = resolved.body, resolved.error
            if error:
                given = body.get("identifier")
                identifier = given if isinstance(given, str) else ""
                refused[index] = ItemResult(
                    index, blueprint, identifier, Status.REJECTED, error=error
                )
            else:
                parts = {part: body[part] for part in _PARTS if part in body}
                drafts[index] = EntityDraft(blueprint, body.get("identifier"), **parts)
    return dict(sorted(drafts.items())), refused
