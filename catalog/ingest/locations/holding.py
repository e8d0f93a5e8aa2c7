"""Which entity is held by which file, in SQL for many at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from catalog.kernel.actors import Actor
from catalog.models import Location
from catalog.services.entities import delete
from catalog.services.entities.locking import lock_for_writing


def lock(blueprints: Iterable[str]) -> None:
    """Wait for the other writers of these blueprints, all of them at once: a transaction of
    several batches could otherwise wait for one that waits for it."""
    lock_for_writing(blueprints)


def blueprints_of(cursor: Any, location: Location) -> list[str]:
    cursor.execute(
        "SELECT DISTINCT b.identifier FROM catalog_locatedentity l "
        "JOIN catalog_entity e ON e.id = l.entity_id "
        "JOIN catalog_blueprint b ON b.id = e.blueprint_id "
        "LEFT JOIN catalog_locationfile f ON f.id = l.file_id "
        "WHERE f.location_id = %s OR (l.file_id IS NULL AND l.origin = %s)",
        [location.pk, location.place],
    )
    return [row[0] for row in cursor.fetchall()]


def release(location: Location, *, actor: Actor) -> int:
    """Delete what only this location holds; returns how many entities went."""
    from catalog.models import Entity

    rows = Entity.objects.filter(located__file__location=location)
    keys = list(rows.values_list("blueprint__identifier", "identifier"))
    return len(delete(keys, actor=actor))
