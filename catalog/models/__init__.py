"""Models hold fields and constraints; `catalog.services` writes them, nobody else does."""

from catalog.models.api_operations import ApiOperation
from catalog.models.backstage import DocumentRelation, EntityDocument, PendingDocument
from catalog.models.blueprints import (
    TEAM,
    USER,
    Blueprint,
    RelationDefinition,
    team_path_of,
)
from catalog.models.changes import Change, FeedConsumer
from catalog.models.docs import DocAsset, DocPage, DocSite
from catalog.models.documents import StoredDocument
from catalog.models.entities import (
    CONTENT_COLUMNS,
    Entity,
    EntityQuerySet,
    Relation,
    StaleEntity,
    name_in_order,
)
from catalog.models.facts import Fact, MetricPoint
from catalog.models.locations import LocatedEntity, Location, LocationFile
from catalog.models.migrations import DataMigration
from catalog.models.pages import Folder, Page
from catalog.models.proxy import ProxyEndpoint
from catalog.models.secrets import Secret
from catalog.models.settings import CatalogSettings
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
    "ApiOperation",
    "Blueprint",
    "CatalogSettings",
    "Change",
    "DataMigration",
    "DocAsset",
    "DocPage",
    "DocSite",
    "DocumentRelation",
    "Entity",
    "EntityDocument",
    "EntityQuerySet",
    "Fact",
    "FeedConsumer",
    "Folder",
    "InboundEvent",
    "Integration",
    "KindExample",
    "LocatedEntity",
    "Location",
    "LocationFile",
    "MetricPoint",
    "Owned",
    "Page",
    "PendingDocument",
    "Postponed",
    "ProxyEndpoint",
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
