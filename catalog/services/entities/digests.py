"""Digests of what is stored, apart from any write: checked, and made anew."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection

from catalog.models import CONTENT_COLUMNS, Entity, EntityQuerySet
from catalog.services.entities.content import content_hash
from catalog.services.shapes import load_shapes

_CHUNK = 2000


def wrong_hashes(entities: EntityQuerySet) -> Iterator[tuple[Entity, bytes]]:
    """The entities whose digest is not that of their content, with the right one."""
    shapes = load_shapes()
    columns = entities.select_related("blueprint").only(
        "blueprint__identifier", "identifier", "content_hash", *CONTENT_COLUMNS
    )
    for entity in columns.order_by("pk").iterator(chunk_size=_CHUNK):
        content = {column: getattr(entity, column) for column in CONTENT_COLUMNS}
        digest = content_hash(content, shapes[entity.blueprint.identifier])
        if bytes(entity.content_hash) != digest:
            yield entity, digest


def rehash(entities: EntityQuerySet) -> int:
    """Store the right digests; returns how many were wrong. Times and history stay."""
    found = list(wrong_hashes(entities))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE catalog_entity e SET content_hash = k.digest "
            "FROM unnest(%s::bigint[], %s::bytea[]) AS k(id, digest) WHERE e.id = k.id",
            [[entity.pk for entity, _ in found], [digest for _, digest in found]],
        )
    return len(found)
