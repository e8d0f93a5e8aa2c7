"""Counting values: `/api/catalog/entity-facets`."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from rest_framework.request import Request

from catalog.api.backstage.base import BackstageView, call, short_answer
from catalog.api.backstage.checks import Parameter
from catalog.api.backstage.entities import FILTER, PREDICATE
from catalog.api.openapi import Schema, list_of
from catalog.dialects.backstage.projection import ensure_current
from catalog.dialects.backstage.queries.predicates import parse_filters
from catalog.dialects.backstage.queries.selection import count_facets
from catalog.kernel.errors import InvalidRequest

_FACETS: Schema = {
    "type": "object",
    "properties": {
        "facets": {
            "type": "object",
            "additionalProperties": list_of(
                {
                    "type": "object",
                    "properties": {"value": {"type": "string"}, "count": {"type": "integer"}},
                    "required": ["value", "count"],
                }
            ),
        }
    },
    "required": ["facets"],
}
_DESCRIPTION = (
    "An entity is counted once for each of its values under the key; values differ by their case, "
    "keys do not."
)


class EntityFacets(BackstageView):
    @call(
        "get_entity_facets",
        "Count the values under some keys",
        params=(
            Parameter("facet", "A key.", is_many=True, is_required=True),
            FILTER,
        ),
        answers={200: _FACETS},
        description=_DESCRIPTION,
    )
    def get(self, request: Request) -> HttpResponseBase:
        return self._answer(request, self.query["facet"], parse_filters(self.query["filter"]))

    @call(
        "query_entity_facets",
        "Count the values under some keys, of what a predicate selects",
        body={
            "type": "object",
            "properties": {"facets": list_of({"type": "string"}), "query": PREDICATE},
            "additionalProperties": False,
        },
        answers={200: _FACETS},
        description=_DESCRIPTION,
    )
    def post(self, request: Request) -> HttpResponseBase:
        facets = self.body.get("facets")
        if not facets:
            raise InvalidRequest("Missing or empty facets parameter")
        return self._answer(request, facets, self.body.get("query"))

    def _answer(self, request: Request, facets: list[str], predicate: Any) -> HttpResponseBase:
        ensure_current()
        counted = count_facets(self.principal, facets, predicate)
        return short_answer(
            request,
            {
                "facets": {
                    facet: [{"value": value, "count": count} for value, count in values]
                    for facet, values in counted.items()
                }
            },
        )
