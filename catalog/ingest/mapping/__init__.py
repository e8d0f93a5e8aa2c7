"""From the raw objects of a source to entities: mappings, read and applied.

Two dialects say the same: Port's (`port.entity.mappings`, JQ in every leaf; webhooks' `mappings`)
and a simple one (`kind`, `metadata`, `spec`).
"""

from catalog.ingest.mapping.applying import (
    FieldPreview,
    ItemProblem,
    MappedBatch,
    MappedEntity,
    Preview,
    RowPreview,
    identify,
    map_items,
    preview,
)
from catalog.ingest.mapping.model import (
    DEFAULT_THRESHOLD,
    Finding,
    Mapping,
    Need,
    ResourceMapping,
    static_fields,
)
from catalog.ingest.mapping.reading import WEBHOOK, lint, parse_mapping
from catalog.ingest.mapping.shapes import Shape, ShapeOf, shape_of

__all__ = [
    "DEFAULT_THRESHOLD",
    "WEBHOOK",
    "FieldPreview",
    "Finding",
    "ItemProblem",
    "MappedBatch",
    "MappedEntity",
    "Mapping",
    "Need",
    "Preview",
    "ResourceMapping",
    "RowPreview",
    "Shape",
    "ShapeOf",
    "identify",
    "lint",
    "map_items",
    "parse_mapping",
    "preview",
    "shape_of",
    "static_fields",
]
