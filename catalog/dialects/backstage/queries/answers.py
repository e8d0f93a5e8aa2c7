"""Entities as JSON, put together from the stored text of the document and its relations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import orjson
from django.db import connection

from catalog.dialects.backstage.queries.fields import has_root, pick

CHUNK: Final = 1000  # entities in memory at once

_DOCUMENTS = """
SELECT d.entity_id, d.document::text, NULL FROM catalog_entitydocument d
WHERE d.entity_id = ANY(%s)
"""

_WITH_RELATIONS = """
SELECT d.entity_id, d.document::text, (
    SELECT json_agg(json_build_object('type', r.type, 'targetRef', r.target_ref))::text
    FROM (SELECT DISTINCT o.type, o.target_ref FROM catalog_documentrelation o
          WHERE o.source_ref = d.ref ORDER BY 1, 2) r)
FROM catalog_entitydocument d WHERE d.entity_id = ANY(%s)
"""


def entities_json(
    pks: Iterable[int], fields: Sequence[str] | None = None, *, keeping_gone: bool = False
) -> Iterator[bytes]:
    """The JSON of these entities, in this order; one statement for each `CHUNK`. What is gone
    meanwhile is left out, or null if `keeping_gone`. The caller has asked what may be read."""
    remaining = iter(pks)
    while chunk := list(islice(remaining, CHUNK)):
        found = _fetch(chunk, fields)
        for pk in chunk:
            if pk in found or keeping_gone:
                yield found.get(pk, b"null")


def entity_json(pk: int) -> bytes | None:
    return _fetch([pk], None).get(pk)


def _fetch(pks: Sequence[int], fields: Sequence[str] | None) -> dict[int, bytes]:
    is_related = has_root(fields, "relations")
    with connection.cursor() as cursor:
        cursor.execute(_WITH_RELATIONS if is_related else _DOCUMENTS, [list(pks)])
        rows = cursor.fetchall()
    if fields is None:
        return {
            pk: f'{document[:-1]},"relations":{relations or "[]"}}}'.encode()
            for pk, document, relations in rows
        }
    found = {}
    for pk, document, relations in rows:
        entity: dict[str, Any] = orjson.loads(document)
        if is_related:
            entity["relations"] = orjson.loads(relations or "[]")
        found[pk] = orjson.dumps(pick(entity, fields))
    return found
