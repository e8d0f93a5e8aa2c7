"""Registered locations as Backstage's clients list them, selected by its predicates."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import connection

from catalog.dialects.backstage.queries.predicates import compile_predicate
from catalog.kernel.errors import InvalidInput, InvalidRequest
from catalog.kernel.schema import check_json
from catalog.models import LocatedEntity, Location

DEFAULT_LIMIT: Final = 1000

# A location as a document with keys and values, so that what selects entities selects it, too.
_LOCATIONS = """
SELECT l.id, l.type, l.target, l.entity_ref, l.entity_ref AS ref,
    ARRAY['id', 'type', 'target', 'entityref', 'id=' || l.id, 'type=' || l.type,
        'target=' || lower(l.target), 'entityref=' || lower(l.entity_ref)] AS terms,
    jsonb_build_object('id', jsonb_build_array(l.id), 'type', jsonb_build_array(l.type),
        'target', jsonb_build_array(l.target),
        'entityref', jsonb_build_array(l.entity_ref)) AS pairs
FROM catalog_location l WHERE l.provider = 'registered'
"""


@dataclass(frozen=True, slots=True)
class LocationPage:
    """total: of all pages. next_cursor: "" on the last one."""

    items: list[dict[str, str]]
    total: int
    next_cursor: str


def location_document(location: Location) -> dict[str, str]:
    return {
        "id": str(location.pk),
        "type": location.type,
        "target": location.target,
        "entityRef": location.entity_ref,
    }


def registered() -> list[dict[str, str]]:
    """All of them, the oldest first: those that the API registered, none of the configuration."""
    return [
        location_document(one)
        for one in Location.objects.filter(provider=Location.Provider.REGISTERED)
    ]


def find_registered(pk: str) -> Location | None:
    """The registered location of this id."""
    try:
        uuid = UUID(pk)
    except ValueError:
        return None
    return Location.objects.filter(pk=uuid, provider=Location.Provider.REGISTERED).first()


def origin_of(ref: str) -> str | None:
    """Where the entity of a reference comes from, `type:target` of its root: None when there is no
    such entity in the files of a location."""
    found = LocatedEntity.objects.filter(entity__document__ref=ref.lower())
    return found.values_list("origin", flat=True).first()


def location_of(origin: str) -> Location | None:
    """The registered location of an origin."""
    type_, _, target = origin.partition(":")
    return Location.objects.filter(
        type=type_, target=target, provider=Location.Provider.REGISTERED
    ).first()


def select_locations(*, query: Any, limit: int | None, cursor: str) -> LocationPage:
    """One page. With a cursor, all but `limit` is as it was asked for at first.

    Raises InvalidRequest for a wrong predicate or cursor.
    """
    after: str | None = None
    if cursor:
        query, after, page_limit = _decoded(cursor)
        limit = limit or page_limit
    limit = limit or DEFAULT_LIMIT
    condition = compile_predicate(query)
    with connection.cursor() as db:
        db.execute(
            f"SELECT count(*) FROM ({_LOCATIONS}) d WHERE {condition.sql}",  # noqa: S608 - ours
            condition.params,
        )
        [total] = db.fetchone()
        db.execute(
            f"SELECT d.id, d.type, d.target, d.entity_ref FROM ({_LOCATIONS}) d "  # noqa: S608
            f"WHERE ({condition.sql}) AND (%s::uuid IS NULL OR d.id > %s::uuid) "
            "ORDER BY d.id LIMIT %s",
            [*condition.params, after, after, limit + 1],
        )
        rows = db.fetchall()
    items = [
        {"id": str(pk), "target": target, "type": type_, "entityRef": ref}
        for pk, type_, target, ref in rows[:limit]
    ]
    more = len(rows) > limit
    next_cursor = _encoded(query, items[-1]["id"], limit) if more else ""
    return LocationPage(items, total, next_cursor)


def _encoded(query: Any, after: str, limit: int) -> str:
    document: dict[str, Any] = {"limit": limit, "afterId": after}
    if query is not None:
        document["query"] = query
    return base64.b64encode(orjson.dumps(document)).decode()


def _decoded(cursor: str) -> tuple[Any, str, int]:
    """Query, last id and limit of a cursor."""
    try:
        document = orjson.loads(base64.b64decode(cursor, validate=True))
        check_json(document)
        if not isinstance(document, Mapping):
            raise TypeError
        limit = document["limit"]
        if type(limit) is not int or not 1 <= limit <= DEFAULT_LIMIT:
            raise ValueError
        return document.get("query"), str(UUID(document["afterId"])), limit
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error, InvalidInput):
        raise InvalidRequest("Malformed cursor: it is not one that this list gave out") from None
