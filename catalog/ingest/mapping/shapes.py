"""What the catalogue's blueprints look like to a mapping."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from catalog.models import Blueprint, RelationDefinition


@dataclass(frozen=True, slots=True)
class Shape:
    identifier: str
    properties: frozenset[str]
    relations: frozenset[str]


ShapeOf = Callable[[str], Shape | None]


def plain(name: str) -> str:
    """`name` without what people write differently: case, `-` and `_`."""
    return re.sub(r"[-_]", "", name).casefold()


def shape_of(name: str) -> Shape | None:
    """The blueprint called `name`; else the one that is called so but for case, `-` and `_`."""
    known = list(Blueprint.objects.order_by("identifier").values_list("identifier", flat=True))
    alike = [one for one in known if plain(one) == plain(name)]
    if not alike:
        return None
    identifier = name if name in alike else alike[0]
    blueprint = Blueprint.objects.get(identifier=identifier)
    relations = RelationDefinition.objects.filter(blueprint=blueprint)
    return Shape(
        identifier,
        frozenset(blueprint.properties),
        frozenset(relations.values_list("identifier", flat=True)),
    )
