"""Entities that no file holds any more: deleted, or kept and shown, as the settings say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from catalog.ingest.locations import holding
from catalog.ingest.locations.holding import ACTOR
from catalog.kernel.actors import Actor
from catalog.kernel.errors import Conflict
from catalog.models import CatalogSettings, Entity, LocatedEntity
from catalog.services import catalog_settings
from catalog.services.entities import delete

BATCH: Final = 500
# A location with more entities than this does not lose more than half of them unasked.
SMALL: Final = 20

_ORIGINS = """
SELECT origin, count(*), count(*) FILTER (WHERE orphaned_at IS NOT NULL)
FROM catalog_locatedentity
WHERE origin IN (SELECT origin FROM catalog_locatedentity WHERE orphaned_at IS NOT NULL)
GROUP BY origin
"""

_DOOMED = """
SELECT b.identifier, e.identifier, l.entity_id FROM catalog_locatedentity l
JOIN catalog_entity e ON e.id = l.entity_id
JOIN catalog_blueprint b ON b.id = e.blueprint_id
WHERE l.orphaned_at IS NOT NULL AND l.origin = %s AND NOT l.entity_id = ANY(%s)
ORDER BY l.entity_id LIMIT %s FOR UPDATE OF l
"""


@dataclass(frozen=True, slots=True)
class Origin:
    """A location whose entities are orphans: how many of how many. is_held: so many of them at
    once that somebody must confirm their deletion."""

    place: str
    entities: int
    orphans: int

    @property
    def is_held(self) -> bool:
        return self.entities > SMALL and self.orphans * 2 > self.entities


def origins() -> list[Origin]:
    """Where orphans come from; one query."""
    with connection.cursor() as cursor:
        cursor.execute(_ORIGINS)
        return [Origin(*row) for row in cursor.fetchall()]


def sweep_orphans(place: str | None = None) -> int:
    """Delete the orphans, of one location or of all, unless they are kept or held; returns how
    many went. What something else needs stays."""
    _note_lost()
    if catalog_settings.current().orphan_strategy != CatalogSettings.OrphanStrategy.DELETE:
        return 0
    wanted = [one for one in origins() if place in (None, one.place) and not one.is_held]
    return sum(_sweep(one.place, ACTOR) for one in wanted)


def confirm(place: str, actor: Actor) -> int:
    """Delete all orphans of a location, those that are held or kept too; returns how many went."""
    return _sweep(place, actor)


def remove_orphan(entity: Entity, actor: Actor) -> None:
    """Delete an orphan. Raises Conflict for an entity that a file still holds, HasDependents,
    PermissionDenied."""
    key = (entity.blueprint.identifier, entity.identifier)
    with transaction.atomic():
        holding.lock([key[0]])
        orphan = LocatedEntity.objects.select_for_update().filter(
            entity=entity, orphaned_at__isnull=False
        )
        if not orphan.exists():
            raise Conflict(
                "Only an orphan can be removed here: a file still holds this entity",
                hint="Remove it from its file, or remove its location.",
            )
        delete([key], actor=actor)


def _note_lost() -> None:
    """What lost its file with a location that went by itself, as with the source that found it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT entity_id FROM catalog_locatedentity "
            "WHERE file_id IS NULL AND orphaned_at IS NULL FOR UPDATE SKIP LOCKED"
        )
        holding.make_orphans(cursor, [pk for (pk,) in cursor.fetchall()], at=timezone.now())


def _sweep(place: str, actor: Actor) -> int:
    count = 0
    spared: list[int] = []
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            holding.lock(_blueprints(cursor, place))  # so that none is mended meanwhile
            cursor.execute(_DOOMED, [place, spared, BATCH])
            found = {(blueprint, name): pk for blueprint, name, pk in cursor.fetchall()}
            free = holding.set_free(cursor, list(found.values()), actor=actor)
            doomed = [key for key, pk in found.items() if pk not in free]
            gone = holding.delete_sparing(doomed, actor=actor)
            spared += [found[key] for key in doomed if key not in gone]
        count += len(gone)
        if len(found) < BATCH:
            return count


def _blueprints(cursor: Any, place: str) -> list[str]:
    cursor.execute(
        "SELECT DISTINCT b.identifier FROM catalog_locatedentity l "
        "JOIN catalog_entity e ON e.id = l.entity_id "
        "JOIN catalog_blueprint b ON b.id = e.blueprint_id "
        "WHERE l.orphaned_at IS NOT NULL AND l.origin = %s",
        [place],
    )
    return [row[0] for row in cursor.fetchall()]
