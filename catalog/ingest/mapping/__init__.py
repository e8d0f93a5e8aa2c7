"""From the raw objects of a source to entities: mappings, read and applied.

Two dialects say the same: Port's (`port.entity.mappings`, JQ in every leaf; webhooks' `mappings`)
and a simple one (`kind`, `metadata`, `spec`).
"""

from catalog.ingest.mapping.applying import (
    ItemProblem,
    MappedBatch,
    MappedEntity,
    Preview,
    identify,
    map_items,
    preview,
)
from catalog.ingest.mapping.linting import lint
from catalog.ingest.mapping.model import (
    Finding,
    Mapping,
    ResourceMapping,
    static_fields,
)
from catalog.ingest.mapping.reading import WEBHOOK, parse_mapping
from catalog.ingest.mapping.shapes import Shape, shape_of

__all__ = [
    "WEBHOOK",
    "Finding",
    "ItemProblem",
    "MappedBatch",
    "MappedEntity",
    "Mapping",
    "Preview",
    "ResourceMapping",
    "Shape",
    "identify",
    "lint",
    "map_items",
    "parse_mapping",
    "preview",
    "shape_of",
    "static_fields",
]
