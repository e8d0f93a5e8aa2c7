"""Models hold fields and constraints; `catalog.services` writes them, nobody else does."""

from catalog.models.blueprints import (
    TEAM,
    USER,
    Blueprint,
    RelationDefinition,
    team_path_of,
)
from catalog.models.changes import Change, FeedConsumer
from catalog.models.documents import StoredDocument
from catalog.models.entities import (
    CONTENT_COLUMNS,
    Entity,
    EntityQuerySet,
    Relation,
    StaleEntity,
    name_in_order,
)
from catalog.models.migrations import DataMigration
from catalog.models.pages import Folder, Page
from catalog.models.secrets import Secret
from catalog.models.sources import (
    InboundEvent,
    Integration,
    KindExample,
    Owned,
    Postponed,
    SyncMessage,
    SyncRun,
)

__all__ = [
    "CONTENT_COLUMNS",
    "TEAM",
    "USER",
    "Blueprint",
    "Change",
    "DataMigration",
    "Entity",
    "EntityQuerySet",
    "FeedConsumer",
    "Folder",
    "InboundEvent",
    "Integration",
    "KindExample",
    "Owned",
    "Page",
    "Postponed",
    "Relation",
    "RelationDefinition",
    "Secret",
    "StaleEntity",
    "StoredDocument",
    "SyncMessage",
    "SyncRun",
    "name_in_order",
    "team_path_of",
]
