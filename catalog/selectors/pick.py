"""Entities to choose from in a form: found by a few letters, and named once chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q

from catalog.kernel.actors import Principal
from catalog.models import Entity, EntityQuerySet, name_in_order

LIMIT = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """kind: the title of the blueprint."""

    blueprint: str
    identifier: str
    title: str
    kind: str

    @property
    def ref(self) -> str:
        return f"{self.blueprint}:{self.identifier}"


def matching(queryset: EntityQuerySet, text: str) -> EntityQuerySet:
    """Keep what has every word of `text` somewhere in its title or identifier."""
    for word in text.lower().split():
        queryset = queryset.filter(label__contains=word)
    return queryset


def find_choices(
    principal: Principal, text: str, *, blueprint: str | None = None, limit: int = LIMIT
) -> list[Choice]:
    """At most `limit` entities `principal` may read, by name; an exact identifier comes first."""
    visible = Entity.objects.visible_to(principal)
    if blueprint:
        visible = visible.filter(blueprint__identifier=blueprint)
    found = _choices(
        matching(visible, text).order_by("blueprint_id", name_in_order(), "pk")[:limit]
    )
    if text.strip():
        exact = _choices(visible.filter(identifier=text.strip()).order_by("pk")[:limit])
        found = [*exact, *(one for one in found if one not in exact)]
    return found[:limit]


def titles_of(principal: Principal, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The titles of those entities by (blueprint, identifier) that exist and may be read."""
    by_blueprint: dict[str, list[str]] = {}
    for blueprint, identifier in keys:
        by_blueprint.setdefault(blueprint, []).append(identifier)
    if not by_blueprint:
        return {}
    wanted = Q()
    for blueprint, identifiers in by_blueprint.items():
        wanted |= Q(blueprint__identifier=blueprint, identifier__in=identifiers)
    rows = Entity.objects.visible_to(principal).filter(wanted)
    return {
        (blueprint, identifier): title or identifier
        for blueprint, identifier, title in rows.values_list(
            "blueprint__identifier", "identifier", "title"
        )
    }


def _choices(rows: EntityQuerySet) -> list[Choice]:
    return [
        Choice(blueprint, identifier, title or identifier, kind)
        for blueprint, identifier, title, kind in rows.values_list(
            "blueprint__identifier", "identifier", "title", "blueprint__title"
        )
    ]
