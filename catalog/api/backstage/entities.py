"""Entities: lists, queries, single ones, and where they come from."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from catalog.api.backstage.base import BackstageView, call, empty, short_answer, streamed
from catalog.api.backstage.checks import Parameter
from catalog.api.backstage.errors import JSON, url_below
from catalog.api.openapi import OBJECT, Schema, list_of
from catalog.dialects.backstage.projection import ensure_current
from catalog.dialects.backstage.queries.ancestry import ancestry
from catalog.dialects.backstage.queries.answers import entities_json, entity_json
from catalog.dialects.backstage.queries.cursors import Cursor, SortField, decoded
from catalog.dialects.backstage.queries.fields import parse_fields
from catalog.dialects.backstage.queries.predicates import both, parse_filters
from catalog.dialects.backstage.queries.selection import (
    PAGE,
    Page,
    list_entities,
    pk_by_uid,
    pks_by_ref,
    query_entities,
)
from catalog.dialects.backstage.refs import EntityRef
from catalog.kernel.errors import InvalidRequest, NotFound, shorten
from catalog.models import Entity
from catalog.services.intake import delete_entities

FILTER: Final = Parameter(
    "filter",
    "Statements `key`, `key=value` or `key=` with commas between them, all of which must hold; "
    "of several filters, one must.",
    is_many=True,
)
FIELDS: Final = Parameter(
    "fields", "Paths of the parts to show, as in `metadata.name`.", is_split=True
)
PREDICATE: Final[Schema] = {
    "type": "object",
    "additionalProperties": True,
    "description": "Keys and values, all of which must hold; `$all`, `$any`, `$not`; and in place "
    "of a value `$in`, `$exists`, `$hasPrefix`, `$contains`.",
}
ENTITY: Final = OBJECT
NAMES: Final = ("kind", "namespace", "name")

_TOTAL = Parameter("totalItems", "Whether to count.", choices=("include", "exclude"))
_PAGED: Schema = {
    "type": "object",
    "properties": {
        "items": list_of(ENTITY),
        "totalItems": {"type": "integer"},
        "pageInfo": {
            "type": "object",
            "properties": {"nextCursor": {"type": "string"}, "prevCursor": {"type": "string"}},
        },
    },
    "required": ["items", "totalItems", "pageInfo"],
}
_ORDER_BY: Schema = {
    "type": "object",
    "properties": {"field": {"type": "string"}, "order": {"type": "string"}},
    "required": ["field"],
    "additionalProperties": False,
}


class EntityList(BackstageView):
    @call(
        "list_catalog_entities",
        "List entities",
        params=(
            FILTER,
            FIELDS,
            Parameter("order", "`asc:<key>` or `desc:<key>`.", is_many=True),
            Parameter("limit", "How many at most.", "integer"),
            Parameter("offset", "How many to leave out.", "integer"),
            Parameter("after", "From the Link header of the page before."),
        ),
        answers={200: list_of(ENTITY)},
        description="Without `limit`, `offset` and `after` all come in one streamed answer; then "
        "only the first `order` counts and what lacks its key is left out. Else there is a header "
        'Link with the address of the next page, rel="next".',
    )
    def get(self, request: Request) -> HttpResponseBase:
        limit, offset = self._bounds()
        fields = parse_fields(self.query["fields"])
        order = [_order(one) for one in self.query["order"]]
        predicate = parse_filters(self.query["filter"])
        ensure_current()
        pks, has_more = list_entities(
            self.principal, predicate=predicate, order=order, limit=limit, offset=offset
        )
        made = streamed(b"[", entities_json(pks, fields), b"]")
        if has_more and limit is not None:
            link = _next_link(request, {"limit": limit, "offset": (offset or 0) + limit})
            made.headers["Link"] = f'<{link}>; rel="next"'
        return made

    def _bounds(self) -> tuple[int | None, int | None]:
        limit, offset = self.query["limit"], self.query["offset"]
        if self.query["after"] is not None:
            after = _after(self.query["after"])
            limit, offset = after.get("limit", limit), after.get("offset", offset)
        if limit is not None and limit <= 0:
            raise InvalidRequest("Invalid limit, must be greater than zero")
        if offset is not None and offset < 0:
            raise InvalidRequest("Invalid offset, must be zero or greater")
        return limit, offset


class EntityQuery(BackstageView):
    @call(
        "query_catalog_entities",
        "Query entities, page by page",
        params=(
            FILTER,
            FIELDS,
            Parameter("orderField", "`<key>,asc` or `<key>,desc`; the first counts.", is_many=True),
            Parameter("limit", "How many at most.", "integer", minimum=0),
            Parameter("offset", "How many to leave out of the first page.", "integer", minimum=0),
            Parameter("cursor", "From the `pageInfo` of another page."),
            Parameter("fullTextFilterTerm", "A part of a value; `%` and `_` are wildcards."),
            Parameter("fullTextFilterFields", "Keys of such values.", is_split=True),
            _TOTAL,
        ),
        answers={200: _PAGED},
        description="With a cursor, only `limit` and `fields` count besides it.",
    )
    def get(self, request: Request) -> HttpResponseBase:
        sent = self.query
        orders = [_order_field(one) for one in sent["orderField"]]
        cursor = _cursor(sent["cursor"]) or Cursor(
            query=parse_filters(sent["filter"]),
            order=orders[0] if orders else None,
            term=(sent["fullTextFilterTerm"] or "").strip(),
            term_fields=tuple(sent["fullTextFilterFields"]),
        )
        return self._page(cursor, sent["fields"], sent["limit"], sent["offset"], sent["totalItems"])

    @call(
        "query_catalog_entities_by_predicate",
        "Query entities by a predicate, page by page",
        body={
            "type": "object",
            "properties": {
                "query": PREDICATE,
                "cursor": {"type": "string"},
                "limit": {"type": "integer", "minimum": 0, "maximum": 10**15},
                "offset": {"type": "integer", "minimum": 0, "maximum": 10**15},
                "orderBy": list_of(_ORDER_BY),
                "fullTextFilter": {
                    "type": "object",
                    "properties": {
                        "term": {"type": "string"},
                        "fields": list_of({"type": "string"}),
                    },
                    "additionalProperties": False,
                },
                "fields": list_of({"type": "string"}),
                "totalItems": {"type": "string", "enum": ["include", "exclude"]},
            },
            "additionalProperties": False,
        },
        answers={200: _PAGED},
        description="With a cursor, only `limit` and `fields` count besides it.",
    )
    def post(self, request: Request) -> HttpResponseBase:
        sent = self.body
        orders = [
            SortField(one["field"], _is_descending(one.get("order", "asc")))
            for one in sent.get("orderBy", ())
        ]
        text = sent.get("fullTextFilter", {})
        cursor = _cursor(sent.get("cursor")) or Cursor(
            query=sent.get("query"),
            order=orders[0] if orders else None,
            term=text.get("term", "").strip(),
            term_fields=tuple(text.get("fields", ())),
        )
        return self._page(
            cursor,
            sent.get("fields", ()),
            sent.get("limit"),
            sent.get("offset"),
            sent.get("totalItems"),
        )

    def _page(
        self,
        cursor: Cursor,
        fields: Sequence[str],
        limit: int | None,
        offset: int | None,
        total: str | None,
    ) -> HttpResponseBase:
        shown = parse_fields(fields)
        ensure_current()
        page = query_entities(
            self.principal,
            cursor,
            limit=PAGE if limit is None else int(limit),
            offset=int(offset or 0),
            with_total=total != "exclude",
        )
        tail = orjson.dumps({"totalItems": page.total, "pageInfo": _page_info(page)})
        return streamed(b'{"items":[', entities_json(page.pks, shown), b"]," + tail[1:])


class EntitiesByRefs(BackstageView):
    @call(
        "get_catalog_entities_by_refs",
        "Get entities by their references",
        params=(FILTER,),
        body={
            "type": "object",
            "properties": {
                "entityRefs": list_of({"type": "string"}),
                "fields": list_of({"type": "string"}),
                "query": PREDICATE,
            },
            "required": ["entityRefs"],
            "additionalProperties": False,
        },
        answers={
            200: {
                "type": "object",
                "properties": {"items": list_of({"anyOf": [ENTITY, {"type": "null"}]})},
                "required": ["items"],
            }
        },
        description="In the order asked for; null for what there is not, or does not match. "
        "References are those of the catalogue: whole and in lower case.",
    )
    def post(self, request: Request) -> HttpResponseBase:
        refs = self.body["entityRefs"]
        fields = parse_fields(self.body.get("fields", ()))
        predicate = both(parse_filters(self.query["filter"]), self.body.get("query"))
        ensure_current()
        pks = pks_by_ref(self.principal, refs, predicate)
        found = list(pks.values())
        items = dict(zip(found, entities_json(found, fields, keeping_gone=True), strict=True))
        parts = (items[pks[ref]] if ref in pks else b"null" for ref in refs)
        return HttpResponse(b'{"items":[%s]}' % b",".join(parts), content_type=JSON)


class EntityByName(BackstageView):
    @call(
        "get_catalog_entity_by_name",
        "Get an entity",
        path=NAMES,
        answers={200: ENTITY},
        errors=[404],
    )
    def get(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponseBase:
        ensure_current()
        ref = str(EntityRef(kind, namespace, name))
        found = entity_json(pks_by_ref(self.principal, [ref]).get(ref, 0))
        if found is None:
            raise NotFound(
                f"No entity named '{shorten(name)}' found, with kind '{shorten(kind)}' in "
                f"namespace '{shorten(namespace)}'"
            )
        return HttpResponse(found, content_type=JSON)


class EntityByUid(BackstageView):
    @call(
        "get_catalog_entity_by_uid",
        "Get an entity by its uid",
        path=["uid"],
        answers={200: ENTITY},
        errors=[404],
    )
    def get(self, request: Request, uid: str) -> HttpResponseBase:
        ensure_current()
        pk = pk_by_uid(self.principal, uid)
        found = None if pk is None else entity_json(pk)
        if found is None:
            raise NotFound(f"No entity with uid {shorten(uid)}")
        return HttpResponse(found, content_type=JSON)

    @call(
        "delete_catalog_entity_by_uid",
        "Delete an entity by its uid",
        path=["uid"],
        answers={204: {}},
        errors=[403, 409],
        description="Also when there is no such entity. One that the file of a location still "
        "holds comes back when the location is read the next time.",
    )
    def delete(self, request: Request, uid: str) -> HttpResponseBase:
        ensure_current()
        pk = pk_by_uid(self.principal, uid)
        found = pk and Entity.objects.filter(pk=pk).select_related("blueprint").first()
        if found:
            delete_entities(
                [found.identifier],
                blueprint=self.blueprint_to_write(found.blueprint.identifier),
                actor=self.actor,
            )
        return empty(204)


class EntityAncestry(BackstageView):
    @call(
        "get_catalog_entity_ancestry",
        "Get the Locations that led to an entity",
        path=NAMES,
        answers={
            200: {
                "type": "object",
                "properties": {
                    "rootEntityRef": {"type": "string"},
                    "items": list_of(
                        {
                            "type": "object",
                            "properties": {
                                "entity": ENTITY,
                                "parentEntityRefs": list_of({"type": "string"}),
                            },
                            "required": ["entity", "parentEntityRefs"],
                        }
                    ),
                },
                "required": ["rootEntityRef", "items"],
            }
        },
        errors=[404],
        description="The entity itself comes first, the root last.",
    )
    def get(self, request: Request, kind: str, namespace: str, name: str) -> HttpResponseBase:
        ensure_current()
        ref = str(EntityRef(kind, namespace, name))
        found = ancestry(self.principal, ref)
        if not found:
            raise NotFound(f"No such entity {shorten(ref, 300)}")
        shown = entities_json([one.pk for one in found], keeping_gone=True)
        items = [
            {"entity": orjson.Fragment(entity), "parentEntityRefs": one.parents}
            for one, entity in zip(found, shown, strict=True)
            if entity != b"null"
        ]
        return short_answer(request, {"rootEntityRef": ref, "items": items})


def _cursor(text: str | None) -> Cursor | None:
    return None if text is None else Cursor.decode(text)


def _page_info(page: Page) -> dict[str, str]:
    cursors = {"nextCursor": page.next, "prevCursor": page.previous}
    return {name: cursor.encode() for name, cursor in cursors.items() if cursor is not None}


def _order(text: str) -> SortField:
    direction, colon, field = text.partition(":")
    if not colon or direction not in ("asc", "desc") or not field:
        raise InvalidRequest(
            f'Invalid order parameter "{shorten(text)}", expected "<asc or desc>:<field name>"'
        )
    return SortField(field, direction == "desc")


def _order_field(text: str) -> SortField:
    field, _, direction = text.partition(",")
    if not field.strip():
        raise InvalidRequest(
            f'Invalid order field "{shorten(text)}", expected "<field name>,<asc or desc>"'
        )
    return SortField(field.strip(), _is_descending(direction.strip() or "asc"))


def _is_descending(direction: str) -> bool:
    if direction not in ("asc", "desc"):
        raise InvalidRequest("Invalid order field order, must be asc or desc")
    return direction == "desc"


def _after(text: str) -> dict[str, int]:
    """{"limit", "offset"} of a page, as the Link header gave them."""
    try:
        document = orjson.loads(decoded(text))
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise InvalidRequest("Malformed after cursor, could not be parsed")
    found = {name: document[name] for name in ("limit", "offset") if name in document}
    for name, value in found.items():
        if type(value) is not int or abs(value) > _MAX_OFFSET:
            raise InvalidRequest(f"Malformed after cursor, {name} was not an number")
    return found


_MAX_OFFSET = 10**15


def _next_link(request: Request, after: dict[str, int]) -> str:
    """The address of the next page, below the plugin, as it was sent but for what moves on."""
    url = urlsplit(url_below(request._request))
    sent = [
        (name, value)
        for name, value in parse_qsl(url.query, keep_blank_values=True)
        if name not in ("offset", "after")
    ]
    token = base64.b64encode(orjson.dumps(after)).decode()
    return f"{url.path}?{urlencode([*sent, ('after', token)])}"
