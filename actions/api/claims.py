"""/v1/actions/runs/claim-pending and …/ack: agents and integrations elsewhere fetch their runs."""

from __future__ import annotations

from typing import Final

from rest_framework.request import Request
from rest_framework.response import Response

from actions.api.actions import TAG
from actions.api.run_documents import run_documents
from actions.services import claims
from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import OBJECT, documented, envelope, list_of
from catalog.kernel.errors import Conflict

_DEFAULT_VISIBILITY_MS: Final = 60_000
_MAX_VISIBILITY_MS: Final = 24 * 3600 * 1000
_TEXT = {"type": "string"}


class ClaimPending(ApiView):
    @documented(
        "claim_pending_runs",
        "Fetch runs to execute",
        tag=TAG,
        body={
            "type": "object",
            "properties": {
                "installationId": _TEXT,
                "limit": {"type": "integer", "minimum": 1, "maximum": claims.MAX_CLAIMED},
                "visibilityTimeoutMs": {"type": "integer", "minimum": 1},
                "invocationMethod": _TEXT,
                "exclude": list_of(_TEXT),
            },
            "required": ["installationId"],
        },
        answers={200: envelope(runs=list_of(OBJECT))},
        errors=[403, 422],
        description="With their payloads in clear. Nobody else gets them until the time is over, "
        "or for ever once they are acknowledged.",
    )
    def post(self, request: Request) -> Response:
        body = params.body_object(request)
        claimed = claims.claim_pending(
            installation=params.body_text(body, "installationId"),
            limit=params.body_whole(body, "limit", high=claims.MAX_CLAIMED) or 100,
            visibility_ms=params.body_whole(body, "visibilityTimeoutMs", high=_MAX_VISIBILITY_MS)
            or _DEFAULT_VISIBILITY_MS,
            method=params.body_text(body, "invocationMethod", default=""),
            exclude=params.body_names(body, "exclude"),
            principal=self.principal,
        )
        shown = run_documents([run for run, _ in claimed])
        return ok(
            runs=[
                {**document, "payload": payload}
                for document, (_, payload) in zip(shown, claimed, strict=True)
            ]
        )


class Acknowledge(ApiView):
    @documented(
        "acknowledge_runs",
        "Say that fetched runs are being executed",
        tag=TAG,
        body={
            "type": "object",
            "properties": {"runId": _TEXT, "runIds": list_of(_TEXT)},
        },
        answers={200: envelope(ackedCount={"type": "integer"})},
        errors=[403, 409, 422],
        description="409 for a single run that somebody else has.",
    )
    def patch(self, request: Request) -> Response:
        body = params.body_object(request)
        if "runId" in body:
            wanted = [params.body_text(body, "runId")]
        else:
            wanted = params.body_names(body, "runIds")
        count = claims.acknowledge(wanted, principal=self.principal)
        if "runId" in body and not count:
            raise Conflict(
                "Somebody else has the run",
                details={"resource": "Run", "with": "id", "value": wanted[0]},
            )
        return ok(ackedCount=count)
