"""What exporters report, and what is known of the syncs of any source.

Logs and metrics come in at the addresses that the integration names (`logAttributes`,
`metricAttributes`); none of that moves its `updatedAt`, which exporters poll.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.integrations import INTEGRATION, PATH, TAG
from catalog.api.integrations_documents import (
    integration_document,
    log_line,
    run_metrics,
    run_record,
)
from catalog.api.openapi import OBJECT, documented, envelope, list_of, query
from catalog.ingest.exporter_log import take_lines
from catalog.ingest.messages import masked
from catalog.kernel.errors import InvalidInput, InvalidRequest, NotFound, shorten
from catalog.models import Integration, KindExample, SyncMessage, SyncRun
from catalog.selectors.documents import timestamp
from catalog.selectors.integrations import get_source
from catalog.services import exporter_runs, exporters, permissions

LOG_PAGE, MAX_LOG_PAGE = 100, 300
SHOWN_FOR, SHOWN_RUNS = timedelta(days=4), 50
MAX_RECORDS = 1000

_KIND = OpenApiParameter("kind", str, OpenApiParameter.PATH, description="The kind of objects.")


class ExporterView(ApiView):
    """A view for an exporter's own reports."""

    def exporter(self, identifier: str) -> Integration:
        """Raises NotFound, Conflict (it is one of ours), PermissionDenied."""
        found = exporters.get_exporter(identifier)
        permissions.require_exporter(self.principal, found, "report for this integration")
        return found


class ResyncState(ExporterView):
    @documented(
        "patch_resync_state",
        "Report how far the resync of an exporter is",
        tag=TAG,
        params=[PATH],
        body={
            "type": "object",
            "properties": {
                "status": {"enum": list(exporters.STATUSES)},
                "lastResyncStart": {"type": ["string", "null"]},
                "lastResyncEnd": {"type": ["string", "null"]},
                "nextResync": {"type": ["string", "null"]},
                "intervalInMinuets": {"type": ["integer", "null"]},
            },
            "required": ["status"],
        },
        answers={200: envelope(integration=INTEGRATION)},
        errors=[403, 404, 409, 422],
        description="`updatedAt` of the integration and of its `resyncState` become the same.",
    )
    def patch(self, request: Request, integration: str) -> Response:
        found = self.exporter(integration)
        changed = exporters.report_state(found, params.body_object(request), actor=self.actor)
        return ok(integration=integration_document(changed, request))


class ResyncRequest(ApiView):
    @documented(
        "get_resync_request",
        "Whether an exporter is asked for a resync",
        tag=TAG,
        params=[PATH],
        answers={200: envelope(request={"type": ["object", "null"], "additionalProperties": True})},
        errors=[403, 404],
        description="null once it has begun one.",
    )
    def get(self, request: Request, integration: str) -> Response:
        permissions.require_source_read(self.principal, "read integrations")
        asked = get_source(integration).resync_requested_at
        return ok(request={"updatedAt": timestamp(asked)} if asked else None)


class Kinds(ApiView):
    @documented(
        "list_integration_kinds",
        "List the kinds of objects of an integration, with examples",
        tag=TAG,
        params=[PATH],
        answers={200: envelope(data=OBJECT)},
        errors=[403, 404],
    )
    def get(self, request: Request, integration: str) -> Response:
        permissions.require_source_read(self.principal, "read raw objects of sources")
        found = get_source(integration)
        resources = found.mapping.get("resources")
        kinds = [one.get("kind") for one in resources if isinstance(one, dict)] if resources else []
        data: dict[str, Any] = {kind: {"examples": []} for kind in kinds if isinstance(kind, str)}
        for one in KindExample.objects.filter(integration=found):
            examples = data.setdefault(one.kind, {"examples": []})["examples"]
            examples.append({"_id": str(one.pk), "data": one.data})
        return ok(data=data)


class KindExamples(ExporterView):
    @documented(
        "add_kind_examples",
        "Report raw objects of a kind",
        tag=TAG,
        params=[PATH, _KIND],
        body={
            "type": "object",
            "properties": {"examples": list_of(OBJECT, maxItems=exporters.MAX_EXAMPLES)},
            "required": ["examples"],
        },
        answers={200: envelope()},
        errors=[403, 404, 409, 422],
        description=f"The newest {KindExample.KEPT} of each kind are kept, to try mappings on.",
    )
    def post(self, request: Request, integration: str, kind: str) -> Response:
        found = self.exporter(integration)
        examples = _list(params.body_object(request), "examples", high=exporters.MAX_EXAMPLES)
        exporters.keep_examples(found, kind, [masked(one) for one in examples])
        return ok()


class Cursor(ExporterView):
    _PARAMS = (
        PATH,
        query("kind", "The kind of objects.", required=True),
        query("index", "Its place in the mapping.", kind=int),
    )

    @documented(
        "get_integration_cursor",
        "Get where an incremental exporter stopped",
        tag=TAG,
        params=_PARAMS,
        answers={200: envelope(cursor={"type": ["object", "null"], "additionalProperties": True})},
        errors=[400, 403, 404, 409],
    )
    def get(self, request: Request, integration: str) -> Response:
        found = self.exporter(integration)
        return ok(cursor=exporters.cursor_of(found, *_kind_and_index(request)))

    @documented(
        "replace_integration_cursor",
        "Report where an incremental exporter stopped",
        tag=TAG,
        params=_PARAMS,
        body={"type": "object", "properties": {"primary": {"type": "string"}}},
        answers={200: envelope()},
        errors=[403, 404, 409, 422],
    )
    def put(self, request: Request, integration: str) -> Response:
        found = self.exporter(integration)
        body = params.body_object(request)
        exporters.move_cursor(found, *_kind_and_index(request), body)
        return ok(cursor={"primary": body["primary"]})

    @documented(
        "create_integration_cursor",
        "The same as PUT",
        tag=TAG,
        params=_PARAMS,
        body={"type": "object", "properties": {"primary": {"type": "string"}}},
        answers={200: envelope()},
        errors=[403, 404, 409, 422],
    )
    def post(self, request: Request, integration: str) -> Response:
        return self.put(request, integration)


class IngestLogs(ExporterView):
    @documented(
        "add_integration_logs",
        "Report lines of an exporter's log",
        tag=TAG,
        params=[PATH],
        body={
            "type": "object",
            "properties": {"logs": list_of(OBJECT)},
            "required": ["logs"],
        },
        answers={200: envelope()},
        errors=[403, 404, 409, 422],
        description="A line has `message`, `level`, `timestamp` and `extra`.",
    )
    def post(self, request: Request, integration: str) -> Response:
        found = self.exporter(integration)
        take_lines(found, _list(params.body_object(request), "logs"))
        return ok()


class IngestMetrics(ExporterView):
    @documented(
        "add_sync_metrics",
        "Report the progress of several kinds",
        tag=TAG,
        params=[PATH],
        body={
            "type": "object",
            "properties": {"syncKindsMetrics": list_of(OBJECT)},
            "required": ["syncKindsMetrics"],
        },
        answers={200: envelope()},
        errors=[403, 404, 409, 422],
    )
    def post(self, request: Request, integration: str) -> Response:
        found = self.exporter(integration)
        records = _list(params.body_object(request), "syncKindsMetrics", high=MAX_RECORDS)
        exporter_runs.take_metrics(found, records, by=self.actor.name)
        return ok()


class IngestKindMetrics(ExporterView):
    @documented(
        "put_sync_metrics",
        "Report the progress of one kind",
        tag=TAG,
        params=[
            PATH,
            OpenApiParameter("event", str, OpenApiParameter.PATH, description="Name of the sync."),
            _KIND,
        ],
        body={
            "type": "object",
            "properties": {"syncKindMetrics": OBJECT},
            "required": ["syncKindMetrics"],
        },
        answers={200: envelope()},
        errors=[403, 404, 409, 422],
    )
    def put(self, request: Request, integration: str, event: str, kind: str) -> Response:
        found = self.exporter(integration)
        record = params.body_object(request).get("syncKindMetrics")
        if not isinstance(record, dict):
            raise InvalidInput(
                f"syncKindMetrics is {shorten(record)}; expected an object",
                details={"field": "syncKindMetrics", "expected": "an object"},
            )
        named = {"eventId": event, "kindIdentifier": kind, **record}
        exporter_runs.take_metrics(found, [named], by=self.actor.name)
        return ok()


class IngestHeartbeat(ExporterView):
    @documented(
        "add_sync_heartbeat",
        "Report that an exporter is still at a sync",
        tag=TAG,
        params=[PATH],
        body={"type": "object", "properties": {"eventId": {"type": "string"}}},
        answers={200: envelope()},
        errors=[403, 404, 409, 422],
    )
    def post(self, request: Request, integration: str) -> Response:
        found = self.exporter(integration)
        body = params.body_object(request)
        exporter_runs.heartbeat(found, params.body_text(body, "eventId", default=""))
        return ok()


class Logs(ApiView):
    @documented(
        "list_integration_logs",
        "List the log of an integration, newest first",
        tag=TAG,
        params=[
            PATH,
            query("limit", f"1 to {MAX_LOG_PAGE}; {LOG_PAGE} if not given.", kind=int),
            query("timestamp", "Go on from this moment."),
            query("log_id", "Go on from this line; with `timestamp`, the one at that moment."),
            query("direction", "`down` to older lines (if not given), `up` to newer ones."),
            query("eventId", "Only lines of this sync."),
            query("level", "Only these levels.", many=True),
        ],
        answers={200: envelope(data=list_of(OBJECT))},
        errors=[400, 403, 404],
        description="Writes of an exporter that were refused are among the lines.",
    )
    def get(self, request: Request, integration: str) -> Response:
        permissions.require_source_read(self.principal, "read logs of sources")
        lines = SyncMessage.objects.filter(integration=get_source(integration))
        limit = params.whole(request, "limit", default=LOG_PAGE, high=MAX_LOG_PAGE)
        direction = params.text(request, "direction") or "down"
        if direction not in ("up", "down"):
            raise InvalidRequest(
                f'direction is "{shorten(direction)}"; expected up or down',
                details={"field": "direction", "value": shorten(direction), "expected": "up, down"},
            )
        if levels := [one.lower() for one in _levels(request)]:
            lines = lines.filter(level__in=levels)
        if event := params.text(request, "eventId"):
            lines = lines.filter(run__in=_runs_named(event))
        lines = _beyond(lines, request, is_up=direction == "up")
        order = ("at", "pk") if direction == "up" else ("-at", "-pk")
        page = list(lines.select_related("run").order_by(*order)[:limit])
        page.sort(key=lambda line: (line.at, line.pk), reverse=True)
        return ok(data=[log_line(line) for line in page])


class SyncsMetadata(ApiView):
    @documented(
        "list_integration_syncs",
        "List the last syncs of an integration, newest first",
        tag=TAG,
        params=[PATH],
        answers={200: envelope(count={"type": "integer"}, data=list_of(OBJECT))},
        errors=[403, 404],
        description=f"Those of the last four days, and at least the last {SHOWN_RUNS}.",
    )
    def get(self, request: Request, integration: str) -> Response:
        permissions.require_source_read(self.principal, "read syncs of integrations")
        runs = get_source(integration).runs.order_by("-pk")
        recent = runs.filter(created_at__gte=timezone.now() - SHOWN_FOR)[:1000]
        shown = max(list(recent), list(runs[:SHOWN_RUNS]), key=len)
        return ok(count=len(shown), data=[run_record(run) for run in shown])


class SyncMetrics(ApiView):
    @documented(
        "list_sync_metrics",
        "List the progress of the kinds of a sync",
        tag=TAG,
        params=[PATH, query("resyncId", "`eventId` of the sync; the last one if not given.")],
        answers={200: envelope(count={"type": "integer"}, data=list_of(OBJECT))},
        errors=[400, 403, 404],
    )
    def get(self, request: Request, integration: str) -> Response:
        permissions.require_source_read(self.principal, "read syncs of integrations")
        runs = get_source(integration).runs.order_by("-pk")
        if name := params.text(request, "resyncId"):
            runs = runs.filter(pk__in=_runs_named(name))
            if not runs.exists():
                raise NotFound.of("Sync", name, field="eventId")
        last = runs.first()
        data = run_metrics(last) if last else []
        return ok(count=len(data), data=data)


def _list(body: dict[str, Any], name: str, *, high: int | None = None) -> list[Any]:
    """`body[name]`, a list that may be empty. Raises InvalidInput."""
    value = body.get(name)
    if not isinstance(value, list) or (high is not None and len(value) > high):
        expected = "a list" if high is None else f"a list of at most {high}"
        raise InvalidInput.of(name, value, expected)
    return value


def _kind_and_index(request: Request) -> tuple[str, int]:
    kind = params.text(request, "kind", limit=200)
    index = params.text(request, "index") or "0"
    if not kind or not (index.isascii() and index.isdigit() and len(index) < 6):
        raise InvalidRequest(
            f'kind is "{shorten(kind)}" and index "{shorten(index)}"; expected a kind and a number',
            details={"field": "index" if kind else "kind", "expected": "kind=service&index=0"},
        )
    return kind, int(index)


def _levels(request: Request) -> list[str]:
    return params.listed(request, "level") + params.listed(request, "level[]")


def _runs_named(name: str) -> QuerySet[SyncRun]:
    """Runs that an exporter calls so, or that we do (`sync_7`)."""
    number = name.removeprefix("sync_")
    is_ours = number != name and number.isascii() and number.isdigit() and len(number) < 19
    ours = Q(pk=int(number), external_id="") if is_ours else Q(pk=None)
    return SyncRun.objects.filter(Q(external_id=name) | ours)


def _beyond(
    lines: QuerySet[SyncMessage], request: Request, *, is_up: bool
) -> QuerySet[SyncMessage]:
    """The lines after the one that the request names by its moment, its id or both."""
    at, log_id = params.moment(request, "timestamp"), params.text(request, "log_id")
    if log_id and not (log_id.isascii() and log_id.isdigit() and len(log_id) < 19):
        raise InvalidRequest(
            f'log_id is "{shorten(log_id)}"; expected the id of a line',
            details={"field": "log_id", "value": shorten(log_id), "expected": "a number"},
        )
    if log_id and (line := lines.filter(pk=int(log_id)).first()):
        side = "gt" if is_up else "lt"
        same_moment = Q(at=line.at, **{f"pk__{side}": line.pk})
        return lines.filter(same_moment | Q(**{f"at__{side}": line.at}))
    if at:
        return lines.filter(at__gt=at) if is_up else lines.filter(at__lt=at)
    return lines
