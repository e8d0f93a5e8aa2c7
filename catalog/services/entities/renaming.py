"""Renaming an entity or a blueprint: all that points to it follows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import orjson
from django.db import connection, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor, EntityWrite, Verb
from catalog.kernel.errors import BreakingChange, NotFound
from catalog.kernel.identifiers import check_entity_identifier, is_storable
from catalog.models import TEAM, Change
from catalog.services.entities.door import already_exists, apply, mend
from catalog.services.entities.drafts import (
    MAX_BATCH,
    EntityDraft,
    MissingTargets,
    Mode,
)
from catalog.services.entities.locking import lock_everything
from catalog.services.entities.marking import mark_changed, mark_pointing_at
from catalog.services.system_blueprints import require_writer

# Per edge: who has it in which relation, its values, and the one that changes: old and new.
_POINTING_AT_ENTITY = """
SELECT b.identifier, s.identifier, d.identifier, s.relations -> d.identifier,
       kind.prefix || r.target_identifier, kind.prefix || %s
FROM catalog_relation r JOIN catalog_relationdefinition d ON d.id = r.definition_id
JOIN catalog_entity s ON s.id = r.source_id JOIN catalog_blueprint b ON b.id = s.blueprint_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN d.target_id IS NULL THEN r.target_blueprint || ':' ELSE '' END AS prefix
) kind
WHERE r.target_id = %s
"""

# The same; only relations to any kind name the blueprint in their values.
_NAMING_BLUEPRINT = """
SELECT b.identifier, s.identifier, d.identifier, s.relations -> d.identifier,
       r.target_blueprint || ':' || r.target_identifier, %s || ':' || r.target_identifier
FROM catalog_relation r JOIN catalog_relationdefinition d ON d.id = r.definition_id
JOIN catalog_entity s ON s.id = r.source_id JOIN catalog_blueprint b ON b.id = s.blueprint_id
WHERE r.target_blueprint = %s AND d.target_id IS NULL
"""

_RENAME_TARGET_BLUEPRINT = """
UPDATE catalog_relation r SET target_blueprint = %s
FROM catalog_relationdefinition d
WHERE d.id = r.definition_id AND d.target_id IS NOT NULL AND r.target_blueprint = %s
"""

_DANGLING = """
SELECT DISTINCT e.id, b.identifier, e.identifier
FROM catalog_relation r JOIN catalog_blueprint b ON b.identifier = r.target_blueprint
JOIN catalog_entity e ON e.blueprint_id = b.id AND e.identifier = r.target_identifier
WHERE r.target_id IS NULL AND r.target_blueprint = %s
"""


def rename(blueprint: str, identifier: str, new_identifier: str, *, actor: Actor) -> int:
    """Give an entity another identifier; edges to it, and what a team owns, follow.

    Returns its pk. Raises NotFound, AlreadyExists, InvalidInput, PermissionDenied.
    """
    check_entity_identifier(new_identifier)
    if not (is_storable(blueprint) and is_storable(identifier)):
        raise NotFound.of("Entity", identifier)
    with transaction.atomic(), connection.cursor() as cursor:
        lock_everything()
        now = timezone.now()
        cursor.execute(
            "SELECT e.id, EXISTS (SELECT FROM catalog_entity o "
            "WHERE o.blueprint_id = b.id AND o.identifier = %s), "
            "e.team, b.is_system, b.permissions "
            "FROM catalog_entity e JOIN catalog_blueprint b ON b.id = e.blueprint_id "
            "WHERE b.identifier = %s AND e.identifier = %s",
            [new_identifier, blueprint, identifier],
        )
        row = cursor.fetchone()
        if row is None:
            raise NotFound.of("Entity", identifier)
        pk, is_taken, team, is_system, permissions = row
        if new_identifier == identifier:
            return int(pk)
        if actor.authority is None:
            require_writer(blueprint, actor)
        else:
            actor.authority.check(
                EntityWrite(
                    verb=Verb.UPDATE,
                    blueprint=blueprint,
                    is_system=is_system,
                    permissions=permissions,
                    identifier=identifier,
                    team=team,
                    fields=["$identifier"],
                )
            )
        if is_taken:
            raise already_exists(blueprint, new_identifier)
        cursor.execute(
            "UPDATE catalog_entity SET identifier = %s, updated_at = %s, updated_by = %s "
            "WHERE id = %s",
            [new_identifier, now, actor.name, pk],
        )
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
        cursor.execute(_POINTING_AT_ENTITY, [new_identifier, pk])
        drafts = _repointed(cursor.fetchall())
        if blueprint == TEAM:
            drafts += _owned(cursor, identifier, new_identifier)
        merge_all(drafts, actor=actor)
        mend(cursor, [(pk, blueprint, new_identifier)])
        mark_changed(cursor, [pk])
    return int(pk)


def rename_target_blueprint(old: str, new: str, *, actor: Actor) -> None:
    """Let edges follow a blueprint that was renamed; the caller holds `lock_everything`."""
    with connection.cursor() as cursor:
        cursor.execute(_RENAME_TARGET_BLUEPRINT, [new, old])
        cursor.execute(_NAMING_BLUEPRINT, [new, old])
        merge_all(_repointed(cursor.fetchall()), actor=actor)
        cursor.execute(_DANGLING, [new])
        mend(cursor, cursor.fetchall())
        mark_pointing_at(cursor, new)


class _Following:
    """The authority to follow, whoever may write the entity otherwise."""

    def check(self, write: EntityWrite) -> None:
        pass


def merge_all(drafts: Sequence[EntityDraft], *, actor: Actor) -> None:
    """Merge any number of drafts in the caller's transaction.

    They follow a change that the actor was allowed to make, so what the actor may do to them does
    not count. Raises BreakingChange when one cannot follow, so that the caller's change is undone
    whole.
    """
    follower = replace(actor, authority=_Following())
    for start in range(0, len(drafts), MAX_BATCH):
        result = apply(
            drafts[start : start + MAX_BATCH],
            mode=Mode.MERGE,
            actor=follower,
            missing_targets=MissingTargets.DANGLE,
        )
        if result.rejected:
            first = result.rejected[0]
            raise BreakingChange(
                f'{len(result.rejected)} entities cannot follow, first "{first.identifier}" of '
                f'blueprint "{first.blueprint}": {first.error}'
            )


def _repointed(edges: Iterable[tuple[str, str, str, str, str, str]]) -> list[EntityDraft]:
    """Drafts of the entities that have these edges, with the new values of their relations."""
    values: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    names: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    for blueprint, identifier, relation, value, old, new in edges:
        values[blueprint, identifier][relation] = value
        names[blueprint, identifier, relation][old] = new

    def renamed(source: tuple[str, str], relation: str, text: str) -> Any:
        new, value = names[*source, relation], orjson.loads(text)
        return [new.get(v, v) for v in value] if isinstance(value, list) else new.get(value, value)

    return [
        EntityDraft(
            *source, relations={name: renamed(source, name, text) for name, text in stated.items()}
        )
        for source, stated in values.items()
    ]


def _owned(cursor: Any, team: str, new_team: str) -> list[EntityDraft]:
    """Drafts of the entities that a renamed team owns."""
    cursor.execute(
        "SELECT b.identifier, e.identifier, e.team FROM catalog_entity e "
        "JOIN catalog_blueprint b ON b.id = e.blueprint_id "
        "WHERE e.team @> ARRAY[%s]::varchar[] ORDER BY e.id",
        [team],
    )
    return [
        EntityDraft(blueprint, identifier, team=[new_team if one == team else one for one in teams])
        for blueprint, identifier, teams in cursor.fetchall()
    ]
