"""Entities that no file holds any more."""

from __future__ import annotations

from catalog.kernel.actors import Actor
from catalog.kernel.errors import Conflict
from catalog.models import Entity, LocatedEntity
from catalog.services.entities import delete


def remove_orphan(entity: Entity, actor: Actor) -> None:
    """Delete an orphan. Raises Conflict for an entity that a file still holds."""
    if not LocatedEntity.objects.filter(entity=entity, orphaned_at__isnull=False).exists():
        raise Conflict("Only an orphan can be removed here: a file still holds this entity")
    delete([(entity.blueprint.identifier, entity.identifier)], actor=actor)
