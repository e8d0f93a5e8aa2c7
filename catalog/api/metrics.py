"""/v1/…/metrics: numbers of an entity, measured at moments."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.facts import TAG, entity_pk, zoned_moment
from catalog.api.openapi import Schema, documented, envelope, list_of, query
from catalog.kernel.errors import InvalidInput
from catalog.kernel.pagination import encode_cursor
from catalog.selectors.documents import timestamp
from catalog.selectors.facts import points_of, series_of
from catalog.services.facts import MAX_KEY
from catalog.services.metrics import PointDraft, delete_points, put_points

MAX_WRITTEN: Final = 1000
MAX_READ: Final = 1000

_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
_POINT: Final[Schema] = {
    "type": "object",
    "properties": {"at": _MOMENT, "value": {"type": "number"}},
    "required": ["at", "value"],
}
_RANGE: Final = [
    query("from", "From this moment on (RFC 3339)."),
    query("to", "Until this moment, which is included."),
]


class SeriesList(ApiView):
    @documented(
        "list_metrics",
        "List the metrics of an entity",
        tag=TAG,
        path=["blueprint", "entity"],
        answers={
            200: envelope(
                metrics=list_of(
                    {
                        "type": "object",
                        "properties": {
                            "key": {"type": "string"},
                            "points": {"type": "integer"},
                            "first": _MOMENT,
                            "last": _MOMENT,
                            "value": {"type": "number", "description": "The newest."},
                        },
                        "required": ["key", "points", "first", "last", "value"],
                    }
                )
            )
        },
        errors=[404],
    )
    def get(self, request: Request, blueprint: str, entity: str) -> Response:
        series = series_of(entity_pk(self, blueprint, entity))
        return ok(
            metrics=[
                {
                    "key": one.key,
                    "points": one.points,
                    "first": timestamp(one.first),
                    "last": timestamp(one.last),
                    "value": one.value,
                }
                for one in series
            ]
        )

    @documented(
        "put_metric_points",
        f"Write up to {MAX_WRITTEN} points of metrics of an entity",
        tag=TAG,
        path=["blueprint", "entity"],
        body={
            "type": "object",
            "properties": {
                "points": list_of(
                    {
                        "type": "object",
                        "properties": {
                            "key": {"type": "string", "minLength": 1, "maxLength": MAX_KEY},
                            "at": {**_MOMENT, "description": "With a time zone."},
                            "value": {"type": "number"},
                        },
                        "required": ["key", "at", "value"],
                    },
                    minItems=1,
                    maxItems=MAX_WRITTEN,
                )
            },
            "required": ["points"],
        },
        answers={200: envelope(changedPoints={"type": "integer"})},
        errors=[403, 404, 422],
        description="All or none. A point of the same key and moment is replaced. Points are kept "
        "for `IDP_METRIC_DAYS`.",
    )
    def post(self, request: Request, blueprint: str, entity: str) -> Response:
        self.blueprint_to_write(blueprint)
        bodies = params.body_list(params.body_object(request), "points", high=MAX_WRITTEN)
        drafts = [_draft(index, body) for index, body in enumerate(bodies)]
        return ok(changedPoints=put_points(blueprint, entity, drafts, actor=self.actor))


class PointList(ApiView):
    @documented(
        "list_metric_points",
        "List the points of a metric, the newest first",
        tag=TAG,
        path=["blueprint", "entity", "metric"],
        params=[
            *_RANGE,
            query("limit", f"How many, 1 to {MAX_READ}; 100 if not given.", kind=int),
            query("cursor", "`next` of the page before."),
        ],
        answers={200: envelope(points=list_of(_POINT), next={"type": ["string", "null"]})},
        errors=[400, 404],
    )
    def get(self, request: Request, blueprint: str, entity: str, metric: str) -> Response:
        limit = params.whole(request, "limit", default=100, high=MAX_READ)
        cursor = params.text(request, "cursor")
        older_than = None
        if cursor:
            older_than = params.parse_moment(params.cursor_value(cursor, str), "cursor")
        points = points_of(
            entity_pk(self, blueprint, entity),
            metric,
            **_range(request),
            older_than=older_than,
            limit=limit + 1,
        )
        shown = points[:limit]
        return ok(
            points=[{"at": timestamp(at), "value": value} for at, value in shown],
            next=encode_cursor([shown[-1][0].isoformat()]) if len(points) > limit else None,
        )

    @documented(
        "delete_metric_points",
        "Delete points of a metric",
        tag=TAG,
        path=["blueprint", "entity", "metric"],
        params=_RANGE,
        answers={200: envelope(deletedPoints={"type": "integer"})},
        errors=[400, 403, 404],
        description="All of them, or those from one moment to another.",
    )
    def delete(self, request: Request, blueprint: str, entity: str, metric: str) -> Response:
        self.blueprint_to_write(blueprint)
        deleted = delete_points(blueprint, entity, metric, **_range(request), actor=self.actor)
        return ok(deletedPoints=deleted)


def _range(request: Request) -> dict[str, datetime | None]:
    return {
        "since": params.moment(request, "from"),
        "until": params.moment(request, "to"),
    }


def _draft(index: int, body: Any) -> PointDraft:
    if not isinstance(body, dict):
        raise InvalidInput.of(f"points[{index}]", body, "an object with key, at and value")
    at = zoned_moment(body.get("at"), f"points[{index}].at")
    return PointDraft(body.get("key"), at, body.get("value"))  # type: ignore[arg-type]
