"""Renaming an entity or a blueprint: all that points to it follows."""

from __future__ import annotations

from typing import Any

import orjson
from django.db import connection, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import NotFound
from catalog.kernel.identifiers import check_entity_identifier
from catalog.models import Change
from catalog.services.entities.door import already_exists, apply, mend
from catalog.services.entities.drafts import (
    MAX_BATCH,
    EntityDraft,
    MissingTargets,
    Mode,
)
from catalog.services.entities.locking import lock_everything


def rename(blueprint: str, identifier: str, new_identifier: str, *, actor: Actor) -> int:
    """Give an entity another identifier; edges to it follow. Returns its pk.

    Raises NotFound, AlreadyExists, InvalidInput.
    """
    check_entity_identifier(new_identifier)
    now = timezone.now()
    with transaction.atomic(), connection.cursor() as cursor:
        lock_everything()
        cursor.execute(
            "SELECT e.id, EXISTS (SELECT FROM catalog_entity o "
            "WHERE o.blueprint_id = b.id AND o.identifier = %s) "
            "FROM catalog_entity e JOIN catalog_blueprint b ON b.id = e.blueprint_id "
            "WHERE b.identifier = %s AND e.identifier = %s",
            [new_identifier, blueprint, identifier],
        )
        row = cursor.fetchone()
        if row is None:
            raise NotFound.of("Entity", identifier)
        pk, is_taken = row
        if is_taken and new_identifier != identifier:
            raise already_exists(blueprint, new_identifier)
        cursor.execute(
            "UPDATE catalog_entity SET identifier = %s, updated_at = %s, updated_by = %s "
            "WHERE id = %s",
            [new_identifier, now, actor.name, pk],
        )
        _rename_targets(
            cursor, "r.target_id = %s", [pk], actor=actor, new_identifier=new_identifier
        )
        mend(cursor, [(pk, blueprint, new_identifier)])
        feed.record(
            [
                feed.Record(
                    feed.RENAME,
                    Change.ENTITY,
                    new_identifier,
                    blueprint,
                    pk,
                    {"identifier": identifier},
                    {"identifier": new_identifier},
                )
            ],
            actor=actor,
            at=now,
        )
    return int(pk)


def rename_target_blueprint(old: str, new: str, *, actor: Actor) -> None:
    """Let edges follow a blueprint that was renamed; the caller holds `lock_everything`."""
    with connection.cursor() as cursor:
        _rename_targets(cursor, "r.target_blueprint = %s", [old], actor=actor, new_blueprint=new)


def _rename_targets(
    cursor: Any,
    where: str,
    params: list[Any],
    *,
    actor: Actor,
    new_identifier: str | None = None,
    new_blueprint: str | None = None,
) -> None:
    """Rewrite edges and stated relations of all entities that point at something renamed."""
    cursor.execute(
        "SELECT s.id, b.identifier, s.identifier, d.identifier, d.target_id IS NULL, "
        "r.target_blueprint, r.target_identifier, s.relations -> d.identifier "
        "FROM catalog_relation r JOIN catalog_relationdefinition d ON d.id = r.definition_id "
        "JOIN catalog_entity s ON s.id = r.source_id JOIN catalog_blueprint b "
        f"ON b.id = s.blueprint_id WHERE {where} ORDER BY s.id, d.id, r.position",
        params,
    )
    values: dict[tuple[str, str], dict[str, Any]] = {}
    for (
        _,
        blueprint,
        source,
        name,
        is_any,
        old_blueprint,
        old_identifier,
        value,
    ) in cursor:
        relations = values.setdefault((blueprint, source), {})
        current = relations.get(name, orjson.loads(value) if isinstance(value, str) else value)
        old = f"{old_blueprint}:{old_identifier}" if is_any else old_identifier
        identifier = new_identifier or old_identifier
        new = f"{new_blueprint or old_blueprint}:{identifier}" if is_any else identifier
        relations[name] = (
            [new if v == old else v for v in current] if isinstance(current, list) else new
        )
    if new_blueprint:
        cursor.execute(
            f"UPDATE catalog_relation r SET target_blueprint = %s WHERE {where}",
            [new_blueprint, *params],
        )
    if new_identifier:
        cursor.execute(
            f"UPDATE catalog_relation r SET target_identifier = %s WHERE {where}",
            [new_identifier, *params],
        )
    drafts = [
        EntityDraft(blueprint, identifier, relations=relations)
        for (blueprint, identifier), relations in values.items()
    ]
    for start in range(0, len(drafts), MAX_BATCH):
        apply(
            drafts[start : start + MAX_BATCH],
            mode=Mode.MERGE,
            actor=actor,
            missing_targets=MissingTargets.DANGLE,
        )
