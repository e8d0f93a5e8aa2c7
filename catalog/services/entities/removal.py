"""Deleting entities, and bringing them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor, EntityWrite, Verb
from catalog.kernel.errors import HasDependents
from catalog.kernel.identifiers import check_run, is_storable
from catalog.models import CONTENT_COLUMNS, Change
from catalog.selectors.dependents import dependents_of
from catalog.services.entities.content import loaded
from catalog.services.entities.door import apply, keys_json
from catalog.services.entities.drafts import (
    ApplyResult,
    EntityDraft,
    MissingTargets,
    Mode,
)
from catalog.services.entities.locking import (
    lock_everything,
    lock_for_writing,
    retrying,
)
from catalog.services.shapes import load_shapes
from catalog.services.system_blueprints import require_writer


def delete(
    keys: Sequence[tuple[str, str]],
    *,
    actor: Actor,
    delete_dependents: bool = False,
    run: str = "",
) -> list[tuple[str, str]]:
    """Delete entities by (blueprint, identifier); unknown ones are skipped.

    An entity that others point to by a *required* relation is refused with HasDependents, unless
    `delete_dependents` deletes those too; then nothing at all is deleted. Other edges to it stay
    and dangle. The whole entity goes into the history, from which `restore` can bring it back.

    Returns the keys of what was deleted. Raises PermissionDenied where one of them is not the
    actor's to delete.
    """
    check_run(run)
    return retrying(
        lambda: _delete(keys, actor=actor, delete_dependents=delete_dependents, run=run)
    )


def restore(deleted: Sequence[tuple[str, str, dict[str, Any]]], *, actor: Actor) -> ApplyResult:
    """Bring back deleted entities from (blueprint, identifier, `before` of the deletion)."""
    shapes = load_shapes()
    drafts = []
    for blueprint, identifier, before in deleted:
        parts = {column: before.get(column) for column in CONTENT_COLUMNS}
        if blueprint in shapes:  # what had no value then gets no default now
            parts["properties"] = {
                **dict.fromkeys(shapes[blueprint].defaults),
                **before["properties"],
            }
        drafts.append(EntityDraft(blueprint, identifier, **parts))
    return apply(drafts, mode=Mode.CREATE, actor=actor, missing_targets=MissingTargets.DANGLE)


def _delete(
    keys: Sequence[tuple[str, str]], *, actor: Actor, delete_dependents: bool, run: str
) -> list[tuple[str, str]]:
    keys = [key for key in keys if is_storable(key[0]) and is_storable(key[1])]
    with transaction.atomic(), connection.cursor() as cursor:
        if delete_dependents:
            lock_everything()
        else:
            lock_for_writing(blueprint for blueprint, _ in keys)
        now = timezone.now()
        cursor.execute(
            "SELECT e.id FROM json_to_recordset(%s::json) AS k(blueprint text, identifier text) "
            "JOIN catalog_blueprint b ON b.identifier = k.blueprint "
            "JOIN catalog_entity e ON e.blueprint_id = b.id AND e.identifier = k.identifier",
            [keys_json("blueprint", keys)],
        )
        wanted = {row[0] for row in cursor.fetchall()}
        wanted |= _dependents(wanted, may_delete=delete_dependents)
        cursor.execute(
            "SELECT e.id, b.identifier, e.identifier, e.title, e.icon, e.team, e.properties, "
            "e.relations, e.descriptor, e.location FROM catalog_entity e "
            "JOIN catalog_blueprint b ON b.id = e.blueprint_id WHERE e.id = ANY(%s) ORDER BY e.id",
            [list(wanted)],
        )
        rows = cursor.fetchall()
        _authorize(rows, actor)
        pks = [row[0] for row in rows]
        cursor.execute(
            "UPDATE catalog_relation SET target_id = NULL WHERE target_id = ANY(%s)",
            [pks],
        )
        cursor.execute("DELETE FROM catalog_relation WHERE source_id = ANY(%s)", [pks])
        cursor.execute("DELETE FROM catalog_entity WHERE id = ANY(%s)", [pks])
        feed.record(
            [
                feed.Record(
                    feed.DELETE,
                    Change.ENTITY,
                    identifier,
                    blueprint,
                    pk,
                    loaded(values),
                    None,
                )
                for pk, blueprint, identifier, *values in rows
            ],
            actor=actor,
            at=now,
            run=run,
        )
    return [(row[1], row[2]) for row in rows]


def _authorize(rows: Sequence[tuple[Any, ...]], actor: Actor) -> None:
    if actor.authority is None:
        for blueprint in {row[1] for row in rows}:
            require_writer(blueprint, actor)
        return
    if not rows:
        return
    shapes = load_shapes()
    for _, blueprint, identifier, _, _, team, *_ in rows:
        actor.authority.check(
            EntityWrite(
                verb=Verb.UNREGISTER,
                blueprint=blueprint,
                is_system=shapes[blueprint].is_system,
                permissions=shapes[blueprint].permissions,
                identifier=identifier,
                team=team,
            )
        )


def _dependents(pks: set[int], *, may_delete: bool) -> set[int]:
    """What must go too; raises HasDependents where that was not asked for."""
    rows = dependents_of(pks)
    if rows and not may_delete:
        names = [f"{blueprint}:{identifier}" for _, blueprint, identifier in rows]
        raise HasDependents(
            f"{len(rows)} entities need what would be deleted: {', '.join(names[:5])}"
            + (" …" if len(names) > 5 else ""),
            hint="Delete them too (delete_dependents) or change their relation first.",
            details={"count": len(rows), "dependents": names[:20]},
        )
    return {row[0] for row in rows}
