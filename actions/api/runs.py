"""/v1/actions/runs: started, watched, reported on, approved, cancelled, repeated."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from actions import dispatching
from actions.api.actions import TAG, ActionView
from actions.api.run_documents import line, run_document, run_documents
from actions.selectors.runs import RunQuery, matching
from actions.services import approvals, reporting, starting
from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import OBJECT, documented, envelope, flag, list_of, query
from catalog.kernel.errors import InvalidRequest
from catalog.kernel.pagination import encode_cursor

MAX_RUNS = 1000
MAX_LOGS = 50
_LINE = "log_"
_RUN = envelope(run=OBJECT)
_REPORTING = [403, 404, 409, 422]
_TEXT = {"type": "string"}
_KEY = {**_TEXT, "maxLength": starting.MAX_KEY}
_IDEMPOTENT = (
    "The header `Idempotency-Key`, or the key `idempotencyKey` of the body, makes a second call "
    "with the same key and inputs answer the run that the first one started."
)
_INPUTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "properties": {**OBJECT, "description": "The inputs."},
        "entity": {"type": "string", "description": "For day-2 and delete actions."},
        "idempotencyKey": _KEY,
    },
}


class RunStart(ActionView):
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
        description=f"It waits for approval where that is required. {_IDEMPOTENT}",
    )
    def post(self, request: Request, action: str) -> Response:
        return self._start(request, action, None, None)

    def _start(
        self, request: Request, action: str, blueprint: str | None, entity: str | None
    ) -> Response:
        body = params.body_object(request, may_be_empty=True)
        run = starting.start_run(
            self.action(action, blueprint=blueprint),
            body,
            principal=self.principal,
            actor=self.actor,
            run_as=params.text(request, "run_as", limit=300),
            entity=entity,
            idempotency_key=_key(request, body),
        )
        return ok(202, run=run_document(run))


class OldRunStart(RunStart):
    """The addresses below a blueprint, and below an entity."""

    @extend_schema(exclude=True)
    def post(  # type: ignore[override]
        self, request: Request, blueprint: str, action: str, entity: str | None = None
    ) -> Response:
        return self._start(request, action, blueprint, entity)


class RunList(ActionView):
    @documented(
        "list_runs",
        "List runs of actions, newest first",
        tag=TAG,
        params=[
            query("action", "Of this action."),
            query("blueprint", "About this blueprint."),
            query("entity", "On this entity."),
            flag("active", "Only those that are open, or (false) that have ended."),
            query("status", "Only those in these states.", many=True),
            query("user_email", "Started by, or for, this person."),
            query("user_id", "Started by this person or API client."),
            query("external_run_id", "Called so by whoever executes it."),
            query("source", "`UI`, `API` or `AUTOMATION`.", many=True),
            query("created_after", "Started after this moment."),
            query("created_before", "Started before this moment."),
            query("exclude", "Leave out these keys.", many=True),
            query("limit", f"How many, 1 to {MAX_RUNS}; 100 if not given.", kind=int),
            query("after", "Those behind this place: `next` of the answer before."),
        ],
        answers={200: envelope(runs=list_of(OBJECT))},
        errors=[400],
        description="Those the caller may see. `next` in the answer is there where there are more.",
    )
    def get(self, request: Request) -> Response:
        limit = params.whole(request, "limit", default=100, high=MAX_RUNS)
        found = matching(self.access.visible_runs(), _query(request))
        if after := params.text(request, "after", limit=200):
            found = found.filter(pk__lt=params.cursor_value(after, int))
        rows = list(found.order_by("-pk")[: limit + 1])
        runs = rows[:limit]
        hidden = set(params.listed(request, "exclude") + params.listed(request, "exclude[]"))
        shown = [
            {key: value for key, value in document.items() if key not in hidden}
            for document in run_documents(runs)
        ]
        more = {"next": encode_cursor([runs[-1].pk])} if len(rows) > limit else {}
        return ok(runs=shown, **more)


class RunDetail(ApiView):
    @documented("get_run", "Get a run", tag=TAG, path=["run"], answers={200: _RUN}, errors=[404])
    def get(self, request: Request, run: str) -> Response:
        return ok(run=run_document(reporting.get_run(run, principal=self.principal)))

    @documented(
        "patch_run",
        "Report on a run",
        tag=TAG,
        path=["run"],
        body={
            "type": "object",
            "properties": {
                "status": {"type": "string", "enum": list(reporting.ENDS)},
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
        changed = reporting.change_run(run, body, principal=self.principal, actor=self.actor)
        return ok(run=run_document(changed))


class RunLogs(ApiView):
    @documented(
        "list_run_logs",
        "List the log of a run, oldest line first",
        tag=TAG,
        path=["run"],
        params=[
            query("limit", f"How many, 1 to {MAX_LOGS}; {MAX_LOGS} if not given.", kind=int),
            query("offset", "How many to leave out at the beginning.", kind=int),
            query("after", "Only lines behind the one with this id."),
        ],
        answers={200: envelope(runLogs=list_of(OBJECT))},
        errors=[400, 404],
    )
    def get(self, request: Request, run: str) -> Response:
        found = reporting.get_run(run, principal=self.principal)
        limit = params.whole(request, "limit", default=MAX_LOGS, high=MAX_LOGS)
        offset = _offset(request)
        lines = found.logs.filter(pk__gt=_after(request))[offset : offset + limit]
        return ok(runLogs=[line(found, one) for one in lines])

    @documented(
        "add_run_log",
        "Add a line to the log of a run",
        tag=TAG,
        path=["run"],
        body={
            "type": "object",
            "properties": {
                "message": _TEXT,
                "terminationStatus": {"type": "string", "enum": list(reporting.ENDS)},
                "statusLabel": {"type": ["string", "null"]},
            },
            "required": ["message"],
        },
        answers={201: envelope(runLog=OBJECT)},
        errors=_REPORTING,
    )
    def post(self, request: Request, run: str) -> Response:
        added = reporting.add_log(
            run, params.body_object(request), principal=self.principal, actor=self.actor
        )
        return ok(201, runLog=line(added.run, added))


class RunResponse(ApiView):
    @documented(
        "set_run_response",
        "Report what the backend of a run answered",
        tag=TAG,
        path=["run"],
        body={"type": "object", "properties": {"response": {}}, "required": ["response"]},
        answers={200: _RUN},
        errors=[403, 404, 422],
    )
    def patch(self, request: Request, run: str) -> Response:
        changed = reporting.set_response(
            run,
            params.body_object(request).get("response"),
            principal=self.principal,
            actor=self.actor,
        )
        return ok(run=run_document(changed))


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
        errors=_REPORTING,
    )
    def patch(self, request: Request, run: str) -> Response:
        body = params.body_object(request)
        decided = approvals.decide(run, body, principal=self.principal, actor=self.actor)
        return ok(201, run=run_document(decided))


class RunApprovers(ActionView):
    @documented(
        "list_run_approvers",
        "List who approved or declined a run",
        tag=TAG,
        path=["run"],
        params=[flag("include_pending_approvers", "Those, too, whose approval is missing.")],
        answers={200: envelope(approvers=list_of(OBJECT))},
        errors=[404],
        description="Admins are also told the `problem` of a policy that cannot be evaluated.",
    )
    def get(self, request: Request, run: str) -> Response:
        found = reporting.get_run(run, principal=self.principal)
        approvers = [
            {"userId": one["user"], "state": one["state"], "description": one["description"]}
            for one in found.approvals
        ]
        if params.flag(request, "include_pending_approvers"):
            approvers += [
                {"userId": name, "state": "PENDING", "description": ""}
                for name in approvals.pending_approvers(found, self.access)
            ]
        problem = self.access.approval_problem(found)
        return ok(approvers=approvers, **({"problem": problem} if problem else {}))


class RunCancel(ApiView):
    @documented(
        "cancel_run",
        "Give a run up",
        tag=TAG,
        path=["run"],
        body={"type": "object", "properties": {"reason": {"type": ["string", "null"]}}},
        body_is_optional=True,
        answers={200: _RUN},
        errors=_REPORTING,
        description="What has been set going elsewhere goes on there.",
    )
    def post(self, request: Request, run: str) -> Response:
        reason = params.body_object(request, may_be_empty=True).get("reason")
        cancelled = reporting.cancel_run(
            run, reason or "", principal=self.principal, actor=self.actor
        )
        return ok(run=run_document(cancelled))


class RunRepeat(ApiView):
    @documented(
        "repeat_run",
        "Run an action again",
        tag=TAG,
        path=["run"],
        body={"type": "object", "properties": {"properties": OBJECT, "idempotencyKey": _KEY}},
        body_is_optional=True,
        answers={202: _RUN},
        errors=_REPORTING,
        description="With the inputs of that run, or those of the body. Secret inputs are not kept "
        f"and have to be given again. {_IDEMPOTENT}",
    )
    def post(self, request: Request, run: str) -> Response:
        body = params.body_object(request, may_be_empty=True)
        repeated = starting.repeat_run(
            run,
            body,
            principal=self.principal,
            actor=self.actor,
            idempotency_key=_key(request, body),
        )
        return ok(202, run=run_document(repeated))


class RunRedeliver(ApiView):
    @documented(
        "redeliver_run",
        "Send the payload of a run again",
        tag=TAG,
        path=["run"],
        answers={202: _RUN},
        errors=[403, 404, 409],
        description="Of one that failed, or that is being waited for; what receives it gets the "
        "same idempotency key.",
    )
    def post(self, request: Request, run: str) -> Response:
        sent = dispatching.redeliver(run, principal=self.principal, actor=self.actor)
        return ok(202, run=run_document(sent))


def _query(request: Request) -> RunQuery:
    active = params.text(request, "active").lower()
    statuses = params.listed(request, "status") + params.listed(request, "status[]")
    sources = params.listed(request, "source") + params.listed(request, "source[]")
    return RunQuery(
        action=params.text(request, "action", limit=1000),
        blueprint=params.text(request, "blueprint"),
        entity=params.text(request, "entity", limit=1000),
        user=params.text(request, "user_email", limit=300)
        or params.text(request, "user_id", limit=300),
        external_run_id=params.text(request, "external_run_id", limit=1000),
        statuses=[one.upper() for one in statuses],
        sources=[one.upper() for one in sources],
        is_active=active != "false" if active else None,
        created_after=params.moment(request, "created_after"),
        created_before=params.moment(request, "created_before"),
    )


def _key(request: Request, body: dict[str, Any]) -> str:
    return request.headers.get("Idempotency-Key") or params.body_text(
        body, "idempotencyKey", default=""
    )


def _after(request: Request) -> int:
    value = params.text(request, "after").removeprefix(_LINE)
    return _whole(value, "after", "the id of a line") if value else 0


def _offset(request: Request) -> int:
    return _whole(request.query_params.get("offset") or "0", "offset", "a whole number from 0")


def _whole(value: str, name: str, expected: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise InvalidRequest(
            f'{name} is "{value[:100]}"; expected {expected}',
            details={"field": name, "value": value[:100], "expected": expected},
        )
    return int(value)
