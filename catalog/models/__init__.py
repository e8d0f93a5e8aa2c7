"""Models hold fields and constraints; `catalog.services` writes them, nobody else does."""

from catalog.models.blueprints import TEAM, USER, Blueprint, RelationDefinition
from catalog.models.changes import Change, FeedConsumer
from catalog.models.entities import (
    CONTENT_COLUMNS,
    Entity,
    EntityQuerySet,
    Relation,
    name_in_order,
)

__all__ = [
    "CONTENT_COLUMNS",
    "TEAM",
    "USER",
    "Blueprint",
    "Change",
    "Entity",
    "EntityQuerySet",
    "FeedConsumer",
    "Relation",
    "RelationDefinition",
    "name_in_order",
]
