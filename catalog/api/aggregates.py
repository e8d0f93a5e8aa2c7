"""Numbers about entities: now, over time, and in the past of one of them."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import documented, envelope, ref
from catalog.selectors.aggregate import aggregate
from catalog.selectors.series import aggregate_over_time, properties_history

TAG = "Aggregates"


class Aggregate(ApiView):
    @documented(
        "aggregate_entities",
        "Aggregate entities into a number, or a number per value",
        tag=TAG,
        body=ref("Aggregation"),
        answers={200: envelope(result={"description": "A number, {value: count}, or null."})},
        errors=[422],
    )
    def post(self, request: Request) -> Response:
        body = params.body_object(request)
        return ok(result=aggregate(body, principal=self.principal))


class AggregateOverTime(ApiView):
    @documented(
        "aggregate_entities_over_time",
        "Aggregate the entities of a blueprint for each step of time",
        tag=TAG,
        body=ref("AggregationOverTime"),
        answers={200: envelope(result=ref("Series"))},
        errors=[404, 422],
    )
    def post(self, request: Request) -> Response:
        body = params.body_object(request)
        return ok(result=aggregate_over_time(body, principal=self.principal).as_dict())


class PropertiesHistory(ApiView):
    @documented(
        "get_properties_history",
        "Get what properties of an entity were at the end of each step of time",
        tag=TAG,
        body=ref("PropertiesHistory"),
        answers={200: envelope(result=ref("Series"))},
        errors=[404, 422],
    )
    def post(self, request: Request) -> Response:
        body = params.body_object(request)
        return ok(result=properties_history(body, principal=self.principal).as_dict())
