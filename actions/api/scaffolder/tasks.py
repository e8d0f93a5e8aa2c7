"""Runs of templates: started, watched, stopped, done again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any, Final

import orjson
from django.db.models import Q, QuerySet
from django.db.models.fields.json import KT
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from actions.api.scaffolder import documents
from actions.models import Run
from actions.scaffolder.finding import template_named
from actions.scaffolder.template_actions import ensure_action
from actions.services import reporting, starting
from actions.services.access import Access
from catalog.api.backstage.base import BackstageView, answer, call
from catalog.api.backstage.checks import Parameter
from catalog.api.openapi import OBJECT, list_of
from catalog.api.slots import slot
from catalog.dialects.backstage.mapping import key_of_ref
from catalog.dialects.backstage.refs import RefError, parse_ref
from catalog.kernel.errors import InvalidInput, InvalidRequest, NotFound, shorten
from catalog.models import USER, Entity
from catalog.selectors.memberships import person_row

TAG: Final = "Backstage scaffolder"
MAX_TASKS: Final = 1000
MAX_EVENTS: Final = 1000  # of one answer; whoever wants more asks again
WATCH_S: Final = 3600.0  # clients take an end without `completion` for a failure
ALIVE_EVERY_S: Final = 15.0
POLL_S: Final = 20.0
LOOK_EVERY_S: Final = 1.0

_TEXT = {"type": "string"}
_SECRETS = {"type": "object", "additionalProperties": _TEXT}
_AFTER = Parameter("after", "The id of the last event one has.", "integer", minimum=0)
_LIMIT = Parameter("limit", "How many; 100 if not given.", "integer", minimum=0)


class TaskList(BackstageView):
    @call(
        "list_tasks",
        "List runs of templates",
        params=[
            Parameter("createdBy", "References of whoever started them.", is_many=True),
            Parameter("status", "Of a task.", is_many=True, choices=documents.STATUSES),
            _LIMIT,
            Parameter("offset", "How many to leave out.", "integer", minimum=0),
            Parameter("order", "`desc:created_at` (as without it) or `asc:created_at`."),
        ],
        answers={200: OBJECT},
        tag=TAG,
    )
    def get(self, request: Request) -> HttpResponse:
        found = _runs(self.principal)
        if self.query["createdBy"]:
            found = found.filter(_started_by(self.query["createdBy"]))
        if self.query["status"]:
            wanted = [Q(**documents.runs_of(status)) for status in self.query["status"]]
            found = found.filter(reduce(or_, wanted))
        order = {None: "-pk", "desc:created_at": "-pk", "asc:created_at": "pk"}
        if self.query["order"] not in order:
            raise InvalidRequest("order is not asc:created_at or desc:created_at")
        offset = self.query["offset"] or 0
        limit = 100 if self.query["limit"] is None else min(self.query["limit"], MAX_TASKS)
        runs = list(found.order_by(order[self.query["order"]])[offset : offset + limit])
        return answer({"tasks": documents.tasks(runs), "totalTasks": found.count()})

    @call(
        "create_task",
        "Run a template",
        body={
            "type": "object",
            "properties": {"templateRef": _TEXT, "values": OBJECT, "secrets": _SECRETS},
            "required": ["templateRef", "values"],
        },
        answers={201: OBJECT},
        errors=[403, 404],
        tag=TAG,
        description="Values that do not fit are refused with `errors`, one for each.",
    )
    def post(self, request: Request) -> HttpResponse:
        body = self.body
        try:
            ref = parse_ref(body["templateRef"], default_kind="template")
        except RefError as error:
            raise InvalidRequest(f"templateRef: {error}") from error
        action = ensure_action(template_named(ref).entity)
        try:
            run = starting.start_run(
                action,
                {"properties": body["values"]},
                principal=self.principal,
                actor=self.actor,
                secrets=body.get("secrets") or {},
            )
        except InvalidInput as error:
            if "problems" not in error.details:
                raise
            return answer({"errors": _errors(error)}, 400)
        return answer({"id": run.identifier}, 201)


class TaskDetail(BackstageView):
    @call(
        "get_task",
        "A run of a template",
        path=["task"],
        answers={200: OBJECT},
        errors=[404],
        tag=TAG,
    )
    def get(self, request: Request, task: str) -> HttpResponse:
        [document] = documents.tasks([_run(self.principal, task)])
        return answer(document)


class TaskCancel(BackstageView):
    @call(
        "cancel_task",
        "Stop a run of a template",
        path=["task"],
        answers={200: OBJECT},
        errors=[403, 404, 409],
        tag=TAG,
    )
    def post(self, request: Request, task: str) -> HttpResponse:
        _run(self.principal, task)
        reporting.cancel_run(task, "", principal=self.principal, actor=self.actor)
        return answer({"status": "cancelled"})


class TaskRetry(BackstageView):
    @call(
        "retry_task",
        "Run a template once more with the same values",
        path=["task"],
        body={"type": "object", "properties": {"secrets": _SECRETS}},
        answers={201: OBJECT},
        errors=[403, 404, 409],
        tag=TAG,
        description="Secrets are not kept: they have to be sent again.",
    )
    def post(self, request: Request, task: str) -> HttpResponse:
        _run(self.principal, task)
        run = starting.repeat_run(
            task,
            principal=self.principal,
            actor=self.actor,
            secrets=(self.body or {}).get("secrets") or {},
        )
        return answer({"id": run.identifier}, 201)


class TaskEvents(BackstageView):
    @call(
        "list_task_events",
        "The events of a run, waiting a while for new ones",
        path=["task"],
        params=[_AFTER],
        answers={200: list_of(OBJECT)},
        errors=[404],
        tag=TAG,
    )
    def get(self, request: Request, task: str) -> HttpResponse:
        run = _run(self.principal, task)
        after = self.query["after"] or 0
        with slot("task-poll", self.principal, lasts_s=2 * POLL_S) as held:
            until = time.monotonic() + (POLL_S if held else 0)
            while not (found := _events(run, after)) and time.monotonic() < until:
                time.sleep(LOOK_EVERY_S)
                run.refresh_from_db()
        return answer(found)


class TaskEventStream(BackstageView):
    @call(
        "stream_task_events",
        "The events of a run as they come",
        path=["task"],
        params=[_AFTER],
        answers={200: {"type": "string", "description": "Server-sent events: log, completion."}},
        errors=[404],
        tag=TAG,
        description="It ends after `completion`. Two of one caller, eight of all may be open at "
        "once; others end before it, and can ask for `events`.",
    )
    def get(self, request: Request, task: str) -> HttpResponseBase:
        run = _run(self.principal, task)
        response = StreamingHttpResponse(
            _in_slot(_stream(run, self.query["after"] or 0), self.principal),
            content_type="text/event-stream",
        )
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Accel-Buffering"] = "no"
        return response


def _runs(principal: Any) -> QuerySet[Run]:
    return (
        Access(principal)
        .visible_runs()
        .alias(method=KT("payload__type"))
        .filter(method="TEMPLATE")
        .select_related("action__template__located")
    )


def _started_by(refs: Sequence[str]) -> Q:
    """Who is called so in the catalogue, by e-mail address; else whoever's address that is."""
    try:
        keys = [key_of_ref(parse_ref(ref, default_kind="user")) for ref in refs]
    except RefError as error:
        raise InvalidRequest(f"createdBy: {error}") from error
    names = [identifier for blueprint, identifier in keys if blueprint == USER]
    people = Entity.objects.filter(blueprint__identifier=USER, identifier__in=names)
    emails = {person_row(one).email for one in people} | set(names)
    return reduce(or_, (Q(created_by__iexact=one) for one in sorted(emails) if one), Q(pk=None))


def _run(principal: Any, task: str) -> Run:
    found = _runs(principal).filter(identifier=task).first()
    if found is None:
        raise NotFound(f"No task with id '{shorten(task)}' exists")
    return found


def _events(run: Run, after: int) -> list[dict[str, Any]]:
    """What is new after the event `after`; the last one when the run has ended."""
    lines = list(run.logs.filter(pk__gt=after)[:MAX_EVENTS])
    found = documents.events(run, lines)
    if run.is_open or len(lines) == MAX_EVENTS:
        return found
    last = lines[-1].pk if lines else run.logs.order_by("-pk").values_list("pk", flat=True).first()
    end = documents.completion(run, last or 0)
    return [*found, end] if end["id"] > after else found


def _stream(run: Run, after: int) -> Iterator[bytes]:
    until = time.monotonic() + WATCH_S
    told_at = time.monotonic()
    yield b": connected\n\n"
    while time.monotonic() < until:
        for event in _events(run, after):
            after, told_at = event["id"], time.monotonic()
            yield _frame(event)
            if event["type"] == "completion":
                return
        if time.monotonic() - told_at > ALIVE_EVERY_S:
            told_at = time.monotonic()
            yield b": alive\n\n"
        time.sleep(LOOK_EVERY_S)
        run.refresh_from_db()


def _in_slot(frames: Iterator[bytes], principal: Any) -> Iterator[bytes]:
    """The frames; none where too many watch already."""
    with slot("task-stream", principal, lasts_s=3 * ALIVE_EVERY_S) as held:
        if held:
            for frame in frames:
                held.renew()
                yield frame


def _frame(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {orjson.dumps(event).decode()}\n\n".encode()


def _errors(error: InvalidInput) -> list[dict[str, Any]]:
    """Problems of values in the words of the JSON Schema library that Backstage's clients know."""
    found = []
    for one in error.details["problems"]:
        path = one["field"].removeprefix("properties").lstrip(".")
        place = f"instance.{path}" if path else "instance"
        found.append(
            {
                "path": path.split(".") if path else [],
                "property": place,
                "message": one["message"],
                "schema": {},
                "instance": one["value"],
                "name": "type",
                "argument": [one["expected"]],
                "stack": f"{place} {one['message']}",
            }
        )
    return found
