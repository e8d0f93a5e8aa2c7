"""Points of custom metrics of entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import regex
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.openapi import Schema, list_of, query
from catalog.kernel.errors import InvalidInput
from catalog.models import MetricPoint
from catalog.selectors.documents import timestamp
from catalog.services.metrics import PointDraft, delete_points, put_points
from scorecards.api.cortex.base import PAGING, CortexView, call, page_of
from scorecards.api.cortex.tags import find_entity

SHOWN: Final = timedelta(days=183)  # how far lists go back where nobody says
MAX_POINTS: Final = 10_000  # in one request

_PLACE: Final = regex.compile(r"^points\[(?<number>\d+)\]\.(?<key>\w+)")

_BETWEEN: Final = (
    query("startDate", "From this moment on.", kind={"type": "string", "format": "date-time"}),
    query("endDate", "Until this moment.", kind={"type": "string", "format": "date-time"}),
)
_POINT: Final[Schema] = {
    "type": "object",
    "properties": {
        "timestamp": {"type": "string", "format": "date-time"},
        "value": {"type": ["number", "string"]},
    },
    "required": ["value"],
}


class _Series(CortexView):
    def put_points(self, entity: str, points: Sequence[PointDraft], field: str = "") -> Response:
        """field: what stands before the number of a point in the body; none where it is one."""
        found = find_entity(entity, self.principal)
        try:
            put_points(found.blueprint.identifier, found.identifier, points, actor=self.actor)
        except InvalidInput as error:
            raise _renamed(error, field) from None
        return Response(status=204)


class MetricPoints(_Series):
    @call(
        "list_metric_points",
        "List the points of a custom metric of an entity",
        path=["metric", "entity"],
        params=[*_BETWEEN, *PAGING],
        answers={200: page_of("data")},
        description="Of the last six months, if `startDate` says nothing else.",
    )
    def get(self, request: Request, metric: str, entity: str) -> Response:
        found = find_entity(entity, self.principal)
        since = params.moment(request, "startDate") or timezone.now() - SHOWN
        points = MetricPoint.objects.filter(entity=found, key=metric, at__gte=since)
        if until := params.moment(request, "endDate"):
            points = points.filter(at__lte=until)
        return self.paged("data", points.order_by("at"), lambda rows: [_point(one) for one in rows])

    @call(
        "add_metric_point",
        "Add a point to a custom metric of an entity",
        path=["metric", "entity"],
        body=_POINT,
        answers={204: {}},
        errors=[403],
        description="Measured now, if `timestamp` says nothing else; one of the same moment is "
        "replaced.",
    )
    def post(self, request: Request, metric: str, entity: str) -> Response:
        return self.put_points(entity, [_draft(metric, params.body_object(request), "")])

    @call(
        "delete_metric_points",
        "Delete points of a custom metric of an entity",
        path=["metric", "entity"],
        params=_BETWEEN,
        answers={204: {}},
        errors=[403],
    )
    def delete(self, request: Request, metric: str, entity: str) -> Response:
        found = find_entity(entity, self.principal)
        delete_points(
            found.blueprint.identifier,
            found.identifier,
            metric,
            since=params.moment(request, "startDate"),
            until=params.moment(request, "endDate"),
            actor=self.actor,
        )
        return Response(status=204)


class MetricPointsInBulk(_Series):
    @call(
        "add_metric_points_in_bulk",
        "Add points to a custom metric of an entity",
        path=["metric", "entity"],
        body={
            "type": "object",
            "properties": {"series": list_of(_POINT, maxItems=MAX_POINTS)},
            "required": ["series"],
        },
        answers={204: {}},
        errors=[403],
        description="All or none.",
    )
    def post(self, request: Request, metric: str, entity: str) -> Response:
        series = params.body_list(params.body_object(request), "series", high=MAX_POINTS)
        points = [_draft(metric, one, f"series.{n}.") for n, one in enumerate(series)]
        return self.put_points(entity, points, "series.")


def _renamed(error: InvalidInput, field: str) -> InvalidInput:
    """What is wrong with a point, told of the keys that were sent."""

    def name(match: regex.Match[str]) -> str:
        key = "timestamp" if match["key"] == "at" else match["key"]
        return f"{field}{match['number']}.{key}" if field else key

    named = _PLACE.sub(name, str(error.details.get("field", "")))
    return InvalidInput(
        _PLACE.sub(name, error.message),
        hint=error.hint,
        details={**error.details, "field": named},
    )


def _draft(metric: str, point: Any, field: str) -> PointDraft:
    """field: where the point stands in the body ("series.0.")."""
    if not isinstance(point, Mapping):
        raise InvalidInput.of(field.rstrip("."), point, "an object with timestamp and value")
    at = point.get("timestamp")
    return PointDraft(
        metric,
        timezone.now() if at is None else params.parse_moment(at, f"{field}timestamp"),
        _number(point.get("value"), f"{field}value"),
    )


def _number(value: Any, field: str) -> float:
    """Of its command line, Cortex's client sends numbers as text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise InvalidInput.of(field, value, "a number") from None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InvalidInput.of(field, value, "a number")
    return value


def _point(point: MetricPoint) -> dict[str, Any]:
    return {"timestamp": timestamp(point.at), "value": point.value}
