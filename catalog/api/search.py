"""Finding entities: by rules over all blueprints or one, and by the program that wrote them."""

from __future__ import annotations

from typing import Any

import orjson
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, get_blueprint, ok, ok_list
from catalog.api.entities import EntityDetail, selection
from catalog.api.openapi import SELECTION, documented, envelope, list_of, ref
from catalog.kernel.errors import InvalidInput
from catalog.kernel.pagination import encode_cursor
from catalog.models import Entity
from catalog.selectors.datasources import written_by
from catalog.selectors.documents import documents
from catalog.selectors.search import search
from catalog.services.exporter_runs import run_named
from catalog.services.exporters import exporter_behind

TAG = "Search"
PAGE, MAX_PAGE = 200, 1000
MAX_DATASOURCE_PAGE = 100_000


class Search(ApiView):
    @documented(
        "search_entities",
        "Search all entities",
        tag=TAG,
        params=SELECTION,
        body=ref("Query"),
        body_is_optional=True,
        answers={
            200: envelope(
                entities=list_of(ref("Entity")), matchingBlueprints=list_of({"type": "string"})
            )
        },
        errors=[422],
        description="The body is the query. All that match come in one answer, which is streamed.",
    )
    @method_decorator(gzip_page)
    def post(self, request: Request) -> HttpResponseBase:
        query = params.body_object(request, may_be_empty=True)
        chosen = selection(request)
        found = search(query, principal=self.principal)
        rows = list(found.order_by("pk").values_list("pk", "blueprint__identifier"))
        return ok_list(
            "entities",
            documents((pk for pk, _ in rows), chosen),
            matchingBlueprints=sorted({blueprint for _, blueprint in rows}),
        )


class BlueprintSearch(EntityDetail):
    """An entity may be called "search": all methods but POST are about that one."""

    documented_methods = ("POST",)
    write_methods = ("PUT", "PATCH", "DELETE")

    @documented(
        "search_blueprint_entities",
        "Search the entities of a blueprint, page by page",
        tag=TAG,
        path=["blueprint"],
        params=SELECTION,
        body={
            "type": "object",
            "properties": {
                "query": ref("Query"),
                "include": list_of({"type": "string"}),
                "exclude": list_of({"type": "string"}),
                "limit": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_PAGE,
                    "default": PAGE,
                },
                "from": {"type": ["string", "null"], "description": "`next` of the page before."},
            },
        },
        body_is_optional=True,
        answers={200: envelope(entities=list_of(ref("Entity")), next={"type": ["string", "null"]})},
        errors=[404, 422],
        description="Pages are in the order of identifiers.",
    )
    @method_decorator(gzip_page)
    def post(self, request: Request, blueprint: str, entity: str) -> Response:
        body = params.body_object(request, may_be_empty=True)
        limit = params.body_whole(body, "limit", high=MAX_PAGE) or PAGE
        chosen = selection(request, body)
        found = search(
            body.get("query"), principal=self.principal, blueprint=get_blueprint(blueprint)
        )
        if cursor := _cursor(body):
            found = found.filter(identifier__gt=params.cursor_value(cursor, str))
        rows = list(found.order_by("identifier").values_list("pk", "identifier")[: limit + 1])
        page = rows[:limit]
        return ok(
            entities=[orjson.Fragment(one) for one in documents((pk for pk, _ in page), chosen)],
            next=encode_cursor([page[-1][1]]) if len(rows) > limit else None,
        )


class DatasourceEntities(ApiView):
    @documented(
        "list_datasource_entities",
        "List the entities that a program wrote last",
        tag=TAG,
        body={
            "type": "object",
            "properties": {
                "datasource_prefix": {"type": "string", "minLength": 1},
                "datasource_suffix": {"type": "string"},
                "limit": {"type": "integer", "minimum": 1, "maximum": MAX_DATASOURCE_PAGE},
                "before": {
                    "type": "string",
                    "format": "date-time",
                    "description": "Only those not changed after this moment.",
                },
                "from": {"type": ["string", "null"], "description": "`next` of the page before."},
            },
            "required": ["datasource_prefix"],
        },
        answers={
            200: envelope(
                entities=list_of(
                    {
                        "type": "object",
                        "properties": {
                            "identifier": {"type": "string"},
                            "blueprint": {"type": "string"},
                        },
                        "required": ["identifier", "blueprint"],
                    }
                ),
                next={"type": ["string", "null"]},
            )
        },
        errors=[422],
        description="The program is the User-Agent of the last write. Of what changed after "
        "`before`, what the exporter's own resync changed comes all the same, unless it is new. "
        "Without `limit` all come.",
    )
    @method_decorator(gzip_page)
    def post(self, request: Request) -> Response:
        body = params.body_object(request)
        prefix = params.body_text(body, "datasource_prefix")
        if not prefix:
            raise InvalidInput(
                "datasource_prefix is empty; expected the beginning of a User-Agent",
                details={"field": "datasource_prefix", "value": "", "expected": "some text"},
            )
        suffix = params.body_text(body, "datasource_suffix", default="")
        before, cursor = body.get("before"), _cursor(body)
        exporter = exporter_behind(f"{prefix}*{suffix}")
        run = run_named(exporter, "") if exporter else None
        page = written_by(
            Entity.objects.visible_to(self.principal),
            prefix=prefix,
            suffix=suffix,
            before=None if before is None else params.parse_moment(before, "before"),
            run=run.name if run else "",
            after_pk=params.cursor_value(cursor, int) if cursor else 0,
            limit=params.body_whole(body, "limit", high=MAX_DATASOURCE_PAGE),
        )
        return ok(
            entities=[
                {"identifier": identifier, "blueprint": blueprint}
                for _, identifier, blueprint in page.items
            ],
            next=None if page.next is None else encode_cursor([page.next]),
        )


def _cursor(body: dict[str, Any]) -> str:
    return params.body_text(body, "from", default="") if body.get("from") is not None else ""
