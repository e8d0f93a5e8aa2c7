"""/v1/sync-runs: what syncs did, and their logs. Our own resource; Port has none like it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import OBJECT, Schema, documented, envelope, list_of, query
from catalog.kernel.errors import InvalidRequest, shorten
from catalog.kernel.pagination import encode_cursor
from catalog.models import SyncMessage, SyncRun
from catalog.selectors import sync_runs
from catalog.selectors.documents import timestamp
from catalog.selectors.integrations import get_source
from catalog.services import permissions

TAG = "Sync runs"
PAGE, MAX_PAGE = 50, 500

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_MOMENT_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}
_WHOLE: Schema = {"type": "integer"}

_PATH = OpenApiParameter(
    "syncRun", str, OpenApiParameter.PATH, description="Id of the run: `sync_7`, or `7`."
)
_LIMIT = query("limit", f"How many, 1 to {MAX_PAGE}; {PAGE} if not given.", kind=int)
_FROM = query("from", "`next` of the page before.")
_NEXT: dict[str, Schema] = {"next": _TEXT_OR_NULL}

_RUN: Schema = {
    "type": "object",
    "properties": {
        "id": {**_TEXT, "description": "As `runId` in histories."},
        "integration": {**_TEXT, "description": "`installationId` of the source."},
        "state": {"type": "string", "enum": list(SyncRun.State.values)},
        "trigger": {"type": "string", "enum": list(SyncRun.Trigger.values)},
        "requestedBy": _TEXT_OR_NULL,
        "isDryRun": {"type": "boolean"},
        "onlyKinds": list_of(_TEXT),
        "createdAt": _MOMENT,
        "startedAt": _MOMENT_OR_NULL,
        "endedAt": _MOMENT_OR_NULL,
        "heartbeatAt": _MOMENT_OR_NULL,
        "attempts": _WHOLE,
        "totals": {**OBJECT, "description": "The counts of all kinds together."},
        "kinds": list_of(OBJECT, description="The progress of each resource of the mapping."),
        "stale": {
            **OBJECT,
            "description": "What became of what the source no longer has: `state` is `deleted`, "
            "`none`, `held`, `ignored`, `skipped` or `preview`; `reason` says why.",
        },
        "error": _TEXT_OR_NULL,
        "errorCode": _TEXT_OR_NULL,
    },
}
_MESSAGE: Schema = {
    "type": "object",
    "properties": {
        "id": _WHOLE,
        "at": _MOMENT,
        "level": {"type": "string", "enum": list(SyncMessage.Level.values)},
        "stage": _TEXT_OR_NULL,
        "kind": _TEXT_OR_NULL,
        "blueprint": _TEXT_OR_NULL,
        "identifier": _TEXT_OR_NULL,
        "field": _TEXT_OR_NULL,
        "message": _TEXT,
        "details": {**OBJECT, "description": "`value`, `expected`, `expression`, …"},
        "item": {"description": "The object as the source gave it, secrets hidden; or null."},
    },
}


class SyncRunList(ApiView):
    @documented(
        "list_sync_runs",
        "List sync runs, newest first",
        tag=TAG,
        params=[
            query("integration", "Of the source with this `installationId`."),
            query("state", f"Only these: {', '.join(SyncRun.State.values)}.", many=True),
            _LIMIT,
            _FROM,
        ],
        answers={200: envelope(syncRuns=list_of(_RUN), **_NEXT)},
        errors=[400, 404],
    )
    def get(self, request: Request) -> Response:
        name = params.text(request, "integration")
        limit = params.whole(request, "limit", default=PAGE, high=MAX_PAGE)
        found = sync_runs.runs(
            integration=get_source(name) if name else None,
            states=_some_of(request, "state", SyncRun.State.values),
            older_than=_older_than(request),
            limit=limit + 1,
        )
        return ok(
            syncRuns=[run_document(run) for run in found[:limit]],
            next=encode_cursor([found[limit - 1].pk]) if len(found) > limit else None,
        )


class SyncRunDetail(ApiView):
    @documented(
        "get_sync_run",
        "Get how far a sync run is, and what it did",
        tag=TAG,
        params=[_PATH],
        answers={200: envelope(syncRun=_RUN)},
        errors=[404],
    )
    def get(self, request: Request, syncRun: str) -> Response:
        return ok(syncRun=run_document(sync_runs.get_run(syncRun)))


class SyncRunMessages(ApiView):
    @documented(
        "list_sync_run_messages",
        "List the log of a sync run, newest first",
        tag=TAG,
        params=[
            _PATH,
            query("level", f"Only these: {', '.join(SyncMessage.Level.values)}.", many=True),
            query("blueprint", "About entities of this blueprint."),
            query("identifier", "About entities with this identifier."),
            _LIMIT,
            _FROM,
        ],
        answers={200: envelope(messages=list_of(_MESSAGE), **_NEXT)},
        errors=[400, 403, 404],
        description="For members and admins: lines show raw objects of the source.",
    )
    def get(self, request: Request, syncRun: str) -> Response:
        permissions.require_source_read(self.principal, "read logs of syncs")
        limit = params.whole(request, "limit", default=PAGE, high=MAX_PAGE)
        found = sync_runs.messages(
            sync_runs.get_run(syncRun),
            levels=_some_of(request, "level", SyncMessage.Level.values),
            blueprint=params.text(request, "blueprint"),
            identifier=params.text(request, "identifier", limit=1000),
            older_than=_older_than(request),
            limit=limit + 1,
        )
        return ok(
            messages=[message_document(one) for one in found[:limit]],
            next=encode_cursor([found[limit - 1].pk]) if len(found) > limit else None,
        )


def run_document(run: SyncRun) -> dict[str, Any]:
    moments = {
        "startedAt": run.started_at,
        "endedAt": run.ended_at,
        "heartbeatAt": run.heartbeat_at,
    }
    return {
        "id": run.name,
        "integration": run.integration.identifier,
        "state": run.state,
        "trigger": run.trigger,
        "requestedBy": run.requested_by or None,
        "isDryRun": run.is_dry_run,
        "onlyKinds": run.only_kinds,
        "createdAt": timestamp(run.created_at),
        **{name: timestamp(at) if at else None for name, at in moments.items()},
        "attempts": run.attempt,
        "totals": run.totals,
        "kinds": run.kinds,
        "stale": run.stale,
        "error": run.error or None,
        "errorCode": run.error_code or None,
    }


def message_document(line: SyncMessage) -> dict[str, Any]:
    return {
        "id": line.pk,
        "at": timestamp(line.at),
        "level": line.level,
        "stage": line.stage or None,
        "kind": line.kind or None,
        "blueprint": line.blueprint or None,
        "identifier": line.identifier or None,
        "field": line.field or None,
        "message": line.message,
        "details": line.details,
        "item": line.item,
    }


def _older_than(request: Request) -> int | None:
    cursor = params.text(request, "from")
    return params.cursor_value(cursor, int) if cursor else None


def _some_of(request: Request, name: str, allowed: list[str]) -> list[str]:
    found = [one.lower() for one in params.listed(request, name)]
    for one in found:
        if one not in allowed:
            expected = f"one of: {', '.join(allowed)}"
            raise InvalidRequest(
                f'{name} is "{shorten(one)}"; expected {expected}',
                details={"field": name, "value": shorten(one), "expected": expected},
            )
    return found
