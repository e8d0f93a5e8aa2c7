"""What those who do the work say of a run, and what people do to one: log, status, end, cancel."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import orjson
from django.db import transaction
from django.utils import timezone

from actions.models import Run, RunArtifact, RunLog
from actions.services.access import Access
from actions.services.states import (
    MAX_TEXT,
    can_move,
    changing,
    is_approved,
    move,
    write_line,
)
from catalog.kernel.actors import Actor, Principal
from catalog.kernel.errors import Conflict, InvalidInput, NotFound, PermissionDenied, shorten
from catalog.kernel.identifiers import is_storable
from catalog.kernel.schema import check_json
from catalog.services.permissions import WRITERS, Standing

ENDS = ("SUCCESS", "FAILURE", "CANCELLED")  # as reports name them
SYSTEM = Actor.system("runs")
MAX_LINES = 20_000  # of a log: what comes then is refused, but for word that it ended
MAX_LINKS = 100
MAX_RESPONSE = 1_000_000  # bytes of JSON
_EXPIRING = 500  # runs of one round
_TEXTS = (("statusLabel", "status_label"), ("summary", "summary"))


def get_run(identifier: str, *, principal: Principal) -> Run:
    """Raises NotFound, also for a run that `principal` may not see."""
    found = (
        Access(principal).visible_runs().filter(identifier=identifier).first()
        if is_storable(identifier)
        else None
    )
    if found is None:
        raise NotFound.of("Run", identifier, field="id")
    return found


def change_run(
    identifier: str, body: Mapping[str, Any], *, principal: Principal, actor: Actor
) -> Run:
    """Report on a run: any of status, statusLabel, link, summary, externalRunId, message. A status
    that ends it ends it; reporting on one that has ended is allowed.

    Raises NotFound, InvalidInput, PermissionDenied.
    """
    with _reported(identifier, principal, actor) as run:
        if body.get("status") is not None:
            _set_status(run, body["status"], field="status", actor=actor)
        for key, name in _TEXTS:
            if key in body:
                setattr(run, name, checked_text(body[key], key))
        if "externalRunId" in body:
            run.external_run_id = checked_text(body["externalRunId"], "externalRunId", 1000)
        if "link" in body:
            run.link = _links(body["link"])
        if body.get("message"):
            _check_room(run)
            write_line(run, _as_text(body["message"]), by=actor.name)
    return run


def add_log(
    identifier: str, body: Mapping[str, Any], *, principal: Principal, actor: Actor
) -> RunLog:
    """A line for the log; `terminationStatus` in the body ends the run with it.

    Raises NotFound, InvalidInput, PermissionDenied.
    """
    message = checked_text(body.get("message"), "message")
    if not message:
        raise InvalidInput.of("message", message, "text")
    with _reported(identifier, principal, actor) as run:
        if body.get("terminationStatus") is None:
            _check_room(run)
        line = write_line(run, message, by=actor.name)
        if body.get("terminationStatus") is not None:
            _set_status(run, body["terminationStatus"], field="terminationStatus", actor=actor)
        if "statusLabel" in body:
            run.status_label = checked_text(body["statusLabel"], "statusLabel")
    return line


def set_response(identifier: str, response: Any, *, principal: Principal, actor: Actor) -> Run:
    """What the backend of a run answered. Raises NotFound, InvalidInput, PermissionDenied."""
    check_json({"response": response})
    if (size := len(orjson.dumps(response))) > MAX_RESPONSE:
        raise InvalidInput.of(
            "response", f"{size:,} bytes", f"at most {MAX_RESPONSE:,} bytes of JSON"
        )
    with _reported(identifier, principal, actor) as run:
        run.response = response
        run.updated_at, run.updated_by = timezone.now(), actor.name
    return run


def cancel_run(identifier: str, reason: str, *, principal: Principal, actor: Actor) -> Run:
    """Give a run up. What has been set going elsewhere goes on there; nobody waits for it.

    Raises NotFound, PermissionDenied, Conflict when it has ended, InvalidInput.
    """
    text = checked_text(reason, "reason") or ""
    with _reported(identifier, principal, actor) as run:
        if not run.is_open:
            raise _has_ended(run)
        move(run, Run.Status.CANCELLED)
        run.summary = text or run.summary
        write_line(run, f"Cancelled by {actor.name}. {text}".strip(), by=actor.name)
    return run


def log(
    run: Run,
    message: str,
    *,
    level: str = RunLog.Level.INFO,
    step: str = "",
    step_status: str = "",
    by: str = SYSTEM.name,
) -> None:
    """A line of whoever does the work here."""
    with transaction.atomic():
        Run.objects.select_for_update().filter(pk=run.pk).values_list("pk", flat=True).get()
        write_line(run, message, by=by, level=level, step=step, step_status=step_status)


def expire_overdue(now: datetime) -> int:
    """End what nobody reported on, or approved, in time; returns how many there were."""
    overdue = Run.objects.filter(status__in=Run.OPEN, expires_at__lte=now).order_by("expires_at")
    ended = 0
    for run in overdue[:_EXPIRING]:
        if run.status == Run.Status.WAITING_FOR_APPROVAL:
            why, label = "Nobody approved it in time.", "Approval expired"
        else:
            why, label = "Nobody reported its end in time.", "Timed out"
        with changing(run.pk, SYSTEM) as held:
            if not held.is_open or held.expires_at is None or held.expires_at > now:
                continue
            if held.status == Run.Status.WAITING_FOR_APPROVAL:
                held.approvals = [*held.approvals, _expired(now)]
            move(held, Run.Status.TIMED_OUT, summary=why)
            held.status_label = label
            write_line(held, why, by=SYSTEM.name, level=RunLog.Level.ERROR)
            ended += 1
    return ended


def wipe_sealed(before: datetime) -> int:
    """Forget the secrets of runs that ended before this moment; returns how many there were."""
    return Run.objects.filter(ended_at__lt=before, sealed__isnull=False).update(sealed=None)


def prune(before: datetime) -> int:
    """Forget runs that ended before this moment, with their logs, deliveries and files; returns
    how many there were. The history keeps that they were there.
    """
    count = 0
    ended = Run.objects.filter(ended_at__lt=before).order_by("pk")
    while pks := list(ended.values_list("pk", flat=True)[:_EXPIRING]):
        Run.objects.filter(pk__in=pks).delete()
        count += len(pks)
    return count


def drop_files(before: datetime) -> int:
    """Delete the files that runs made before this moment; returns how many there were."""
    return RunArtifact.objects.filter(created_at__lt=before).delete()[0]


def checked_text(value: Any, field: str, limit: int = MAX_TEXT) -> str | None:
    """A text as it was sent, None for none. Raises InvalidInput."""
    if value is None:
        return None
    if not isinstance(value, str) or not is_storable(value) or len(value) > limit:
        raise InvalidInput.of(field, value, f"text of at most {limit} characters")
    return value


def _reported(identifier: str, principal: Principal, actor: Actor) -> AbstractContextManager[Run]:
    """The run, locked, if the principal may report on it."""
    found = get_run(identifier, principal=principal)
    if not may_report(found, principal):
        raise PermissionDenied(
            "You may not change this run",
            hint="Ask an admin for the role Member.",
            details={"resource": "Run", "value": identifier},
        )
    return changing(found.pk, actor)


def may_report(run: Run, principal: Principal) -> bool:
    """Those who may write, and whoever started it."""
    standing = Standing(principal)
    is_own = run.created_by.lower() in standing.names or run.created_by == getattr(
        principal, "username", None
    )
    return standing.role in WRITERS or is_own


def _set_status(run: Run, value: Any, *, field: str, actor: Actor) -> None:
    status = str(value).upper()
    if status == run.status:
        return
    if status not in ENDS:
        raise InvalidInput.of(field, value, f"one of {', '.join(ENDS)}")
    is_undecided = run.status in (Run.Status.WAITING_FOR_APPROVAL, Run.Status.TIMED_OUT)
    if is_undecided and not is_approved(run) and status != Run.Status.CANCELLED:
        raise Conflict(
            "The run was not approved: nobody can have done its work",
            details={"resource": "Run", "value": run.identifier, "status": run.status},
        )
    if can_move(run, status):
        move(run, status)
    else:  # an agent that has not heard of it; what it says is kept all the same
        write_line(run, f"Reported as {status}, after it was {run.status}.", by=actor.name)


def _expired(now: datetime) -> dict[str, str]:
    """The last word on a run that nobody approved: what came before it does not count any more."""
    return {"user": SYSTEM.name, "state": "EXPIRED", "description": "", "at": now.isoformat()}


def _has_ended(run: Run) -> Conflict:
    return Conflict(
        f"The run has ended: it is {run.status}",
        details={"resource": "Run", "value": run.identifier, "status": run.status},
    )


def _check_room(run: Run) -> None:
    """Whoever may report could fill the database with it."""
    if run.logs.count() >= MAX_LINES:
        raise Conflict(
            f"The log of the run has {MAX_LINES:,} lines, and takes no more",
            details={"resource": "Run", "value": run.identifier},
        )


def _links(value: Any) -> list[str]:
    links = [value] if isinstance(value, str) else value
    if links is None:
        return []
    is_list = isinstance(links, list) and len(links) <= MAX_LINKS
    if not is_list or not all(isinstance(one, str) for one in links):
        raise InvalidInput.of("link", value, f"an address, or a list of at most {MAX_LINKS}")
    return [str(checked_text(one, "link")) for one in links]


def _as_text(value: Any) -> str:
    """A message, which may be an object, as a line of the log."""
    return (
        str(checked_text(value, "message")) if isinstance(value, str) else shorten(value, MAX_TEXT)
    )
