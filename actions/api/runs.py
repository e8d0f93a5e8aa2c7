"""/v1/actions/runs: started, watched, reported on, approved, and fetched by agents."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from actions.api.actions import TAG
from actions.models import Run, RunLog
from actions.services import definitions, runs
from catalog.api import params
from catalog.api.base import ApiView, ok, signed
from catalog.api.openapi import OBJECT, documented, envelope, flag, list_of, query
from catalog.kernel.errors import Conflict, InvalidRequest
from catalog.selectors.documents import timestamp

MAX_RUNS = 1000
MAX_LOGS = 50
_DEFAULT_VISIBILITY_MS = 60_000
_MAX_VISIBILITY_MS = 24 * 3600 * 1000
_RUN = envelope(run=OBJECT)
_REPORTING = [403, 404, 422]
_INPUTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "properties": {**OBJECT, "description": "The inputs."},
        "entity": {"type": "string", "description": "For day-2 and delete actions."},
    },
}


class RunStart(ApiView):
    @documented(
        "start_run",
        "Run an action",
        tag=TAG,
        path=["action"],
        params=[query("run_as", "Admins only: the e-mail address of whoever this is for.")],
        body=_INPUTS,
        body_is_optional=True,
        answers={202: _RUN},
        errors=_REPORTING,
        description="Nothing is called from here yet: the run waits for an agent or for a report "
        "of its end, and its log says which.",
    )
    def post(self, request: Request, action: str) -> Response:
        return self._start(request, action, None)

    def _start(self, request: Request, action: str, entity: str | None) -> Response:
        run = runs.start_run(
            action,
            params.body_object(request, may_be_empty=True),
            principal=self.principal,
            actor=self.actor,
            run_as=params.text(request, "run_as", limit=300),
            entity=entity,
        )
        return ok(202, run=_document(run))


class OldRunStart(RunStart):
    """The addresses below a blueprint, and below an entity."""

    @extend_schema(exclude=True)
    def post(  # type: ignore[override]
        self, request: Request, blueprint: str, action: str, entity: str | None = None
    ) -> Response:
        definitions.get_action(action, blueprint=blueprint)
        return self._start(request, action, entity)


class RunList(ApiView):
    @documented(
        "list_runs",
        "List runs of actions, newest first",
        tag=TAG,
        params=[
            query("action", "Of this action."),
            query("blueprint", "About this blueprint."),
            query("entity", "On this entity."),
            flag("active", "Only those that are open, or (false) that have ended."),
            query("user_email", "Started by this person."),
            query("external_run_id", "Called so by whoever executes it."),
            query("source", "`UI` or `API`.", many=True),
            query("exclude", "Leave out these keys.", many=True),
            query("limit", f"How many, 1 to {MAX_RUNS}; 100 if not given.", kind=int),
        ],
        answers={200: envelope(runs=list_of(OBJECT))},
        errors=[400],
    )
    def get(self, request: Request) -> Response:
        found = runs.visible_runs(self.principal)
        filters = {
            "blueprint__identifier": params.text(request, "blueprint"),
            "entity__identifier": params.text(request, "entity", limit=1000),
            "created_by": params.text(request, "user_email", limit=300)
            or params.text(request, "user_id", limit=300),
            "external_run_id": params.text(request, "external_run_id", limit=1000),
            "action__identifier": params.text(request, "action", limit=1000),
        }
        found = found.filter(**{key: value for key, value in filters.items() if value})
        if active := params.text(request, "active").lower():
            is_open = active != "false"
            found = (
                found.filter(status__in=Run.OPEN) if is_open else found.exclude(status__in=Run.OPEN)
            )
        if sources := params.listed(request, "source") + params.listed(request, "source[]"):
            found = found.filter(source__in=[one.upper() for one in sources])
        hidden = set(params.listed(request, "exclude") + params.listed(request, "exclude[]"))
        limit = params.whole(request, "limit", default=100, high=MAX_RUNS)
        return ok(
            runs=[
                {key: value for key, value in _document(run).items() if key not in hidden}
                for run in found.order_by("-pk")[:limit]
            ]
        )


class RunDetail(ApiView):
    @documented("get_run", "Get a run", tag=TAG, path=["run"], answers={200: _RUN}, errors=[404])
    def get(self, request: Request, run: str) -> Response:
        return ok(run=_document(runs.get_run(run, principal=self.principal)))

    @documented(
        "patch_run",
        "Report on a run",
        tag=TAG,
        path=["run"],
        body={
            "type": "object",
            "properties": {
                "status": {"type": "string", "enum": list(runs.ENDS)},
                "statusLabel": {"type": ["string", "null"]},
                "link": {"type": ["string", "array", "null"]},
                "summary": {"type": ["string", "null"]},
                "externalRunId": {"type": ["string", "null"]},
                "message": {},
            },
        },
        body_is_optional=True,
        answers={200: _RUN},
        errors=_REPORTING,
        description="A status ends the run. A run that has ended may be reported on again.",
    )
    def patch(self, request: Request, run: str) -> Response:
        body = params.body_object(request, may_be_empty=True)
        changed = runs.change_run(run, body, principal=self.principal, actor=self.actor)
        return ok(run=_document(changed))


class RunLogs(ApiView):
    @documented(
        "list_run_logs",
        "List the log of a run, oldest line first",
        tag=TAG,
        path=["run"],
        params=[
            query("limit", f"How many, 1 to {MAX_LOGS}; {MAX_LOGS} if not given.", kind=int),
            query("offset", "How many to leave out at the beginning.", kind=int),
        ],
        answers={200: envelope(runLogs=list_of(OBJECT))},
        errors=[400, 404],
    )
    def get(self, request: Request, run: str) -> Response:
        found = runs.get_run(run, principal=self.principal)
        limit = params.whole(request, "limit", default=MAX_LOGS, high=MAX_LOGS)
        offset = _offset(request)
        return ok(runLogs=[_line(found, one) for one in found.logs.all()[offset : offset + limit]])

    @documented(
        "add_run_log",
        "Add a line to the log of a run",
        tag=TAG,
        path=["run"],
        body={
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "terminationStatus": {"type": "string", "enum": list(runs.ENDS)},
                "statusLabel": {"type": ["string", "null"]},
            },
            "required": ["message"],
        },
        answers={201: envelope(runLog=OBJECT)},
        errors=_REPORTING,
    )
    def post(self, request: Request, run: str) -> Response:
        line = runs.add_log(
            run, params.body_object(request), principal=self.principal, actor=self.actor
        )
        return ok(201, runLog=_line(line.run, line))


class RunResponse(ApiView):
    @documented(
        "set_run_response",
        "Report what the backend of a run answered",
        tag=TAG,
        path=["run"],
        body={"type": "object", "properties": {"response": {}}, "required": ["response"]},
        answers={200: _RUN},
        errors=_REPORTING,
    )
    def patch(self, request: Request, run: str) -> Response:
        changed = runs.set_response(
            run,
            params.body_object(request).get("response"),
            principal=self.principal,
            actor=self.actor,
        )
        return ok(run=_document(changed))


class RunApproval(ApiView):
    @documented(
        "decide_run",
        "Approve or decline a run",
        tag=TAG,
        path=["run"],
        body={
            "type": "object",
            "properties": {
                "status": {"type": "string", "enum": ["APPROVE", "DECLINE"]},
                "description": {"type": ["string", "null"]},
            },
            "required": ["status"],
        },
        answers={201: _RUN},
        errors=[403, 404, 409, 422],
    )
    def patch(self, request: Request, run: str) -> Response:
        body = params.body_object(request)
        decided = runs.decide(run, body, principal=self.principal, actor=self.actor)
        return ok(201, run=_document(decided))


class RunApprovers(ApiView):
    @documented(
        "list_run_approvers",
        "List who approved or declined a run",
        tag=TAG,
        path=["run"],
        params=[flag("include_pending_approvers", "Those, too, whose approval is missing.")],
        answers={200: envelope(approvers=list_of(OBJECT))},
        errors=[404],
    )
    def get(self, request: Request, run: str) -> Response:
        found = runs.get_run(run, principal=self.principal)
        approvers = [
            {"userId": one["user"], "state": one["state"], "description": one["description"]}
            for one in found.approvals
        ]
        if params.flag(request, "include_pending_approvers"):
            approvers += [
                {"userId": name, "state": "PENDING", "description": ""}
                for name in runs.pending_approvers(found)
            ]
        return ok(approvers=approvers)


class ClaimPending(ApiView):
    @documented(
        "claim_pending_runs",
        "Fetch runs to execute",
        tag=TAG,
        body={
            "type": "object",
            "properties": {
                "installationId": {"type": "string"},
                "limit": {"type": "integer", "minimum": 1, "maximum": runs.MAX_CLAIMED},
                "visibilityTimeoutMs": {"type": "integer", "minimum": 1},
                "invocationMethod": {"type": "string"},
                "exclude": list_of({"type": "string"}),
            },
            "required": ["installationId"],
        },
        answers={200: envelope(runs=list_of(OBJECT))},
        errors=[403, 422],
        description="Nobody else gets them until the time is over, or for ever once they are "
        "acknowledged.",
    )
    def post(self, request: Request) -> Response:
        body = params.body_object(request)
        claimed = runs.claim_pending(
            installation=params.body_text(body, "installationId"),
            limit=params.body_whole(body, "limit", high=runs.MAX_CLAIMED) or 100,
            visibility_ms=params.body_whole(body, "visibilityTimeoutMs", high=_MAX_VISIBILITY_MS)
            or _DEFAULT_VISIBILITY_MS,
            method=params.body_text(body, "invocationMethod", default=""),
            exclude=params.body_names(body, "exclude"),
            principal=self.principal,
        )
        return ok(runs=[_document(run) for run in claimed])


class Acknowledge(ApiView):
    @documented(
        "acknowledge_runs",
        "Say that fetched runs are being executed",
        tag=TAG,
        body={
            "type": "object",
            "properties": {
                "runId": {"type": "string"},
                "runIds": list_of({"type": "string"}),
            },
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
        count = runs.acknowledge(wanted, principal=self.principal)
        if "runId" in body and not count:
            raise Conflict(
                "Somebody else has the run",
                details={"resource": "Run", "with": "id", "value": wanted[0]},
            )
        return ok(ackedCount=count)


def _document(run: Run) -> dict[str, Any]:
    is_gone = run.action is None
    return {
        "id": run.identifier,
        "status": run.status,
        "statusLabel": run.status_label,
        "summary": run.summary,
        "link": run.link,
        "externalRunId": run.external_run_id,
        "action": {**run.about, "deleted": is_gone},
        "blueprint": {**run.blueprint, "deleted": False} if run.blueprint else None,
        "entity": {**run.entity, "deleted": False} if run.entity else None,
        "properties": run.properties,
        "rawProperties": {},
        "source": run.source,
        "requiredApproval": {"type": run.required_approval} if run.required_approval else None,
        "approval": _approval(run),
        "payload": run.payload,
        "response": run.response,
        "pendingExecution": run.is_pending,
        "claimedUntil": timestamp(run.claimed_until) if run.claimed_until else None,
        "installationId": run.installation or None,
        "endedAt": timestamp(run.ended_at) if run.ended_at else None,
        "impersonatedBy": run.impersonated_by or None,
        **signed(run),
    }


def _approval(run: Run) -> dict[str, Any] | None:
    """The last word on the run."""
    if not run.approvals:
        return None
    last = run.approvals[-1]
    return {"state": last["state"], "userId": last["user"], "description": last["description"]}


def _line(run: Run, line: RunLog) -> dict[str, Any]:
    return {
        "id": f"log_{line.pk}",
        "runId": run.identifier,
        "message": line.message,
        "createdBy": line.created_by,
        "createdAt": timestamp(line.created_at),
    }


def _offset(request: Request) -> int:
    value = request.query_params.get("offset") or "0"
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise InvalidRequest(
            f'offset is "{value[:100]}"; expected a whole number from 0',
            details={"field": "offset", "value": value[:100], "expected": ">= 0"},
        )
    return int(value)
