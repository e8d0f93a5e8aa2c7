"""The states of a run, and how it comes from one into another. Whoever changes a run holds its row.

WAITING_FOR_APPROVAL → IN_PROGRESS | DECLINED | CANCELLED | TIMED_OUT | FAILURE
IN_PROGRESS → SUCCESS | FAILURE | CANCELLED | TIMED_OUT
SUCCESS | FAILURE | TIMED_OUT → SUCCESS | FAILURE, as whoever does the work knows better
FAILURE | TIMED_OUT → IN_PROGRESS, when it is handed over once more
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from actions.models import Run, RunLog
from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import Conflict, shorten
from catalog.kernel.identifiers import storable_text
from catalog.services import documents

MAX_TEXT: Final = 64 * 1024  # characters of a line, a summary, a label
APPROVAL_EXPIRY: Final = timedelta(hours=168)

_REPORTED: Final = ("SUCCESS", "FAILURE")
_MOVES: Final[Mapping[str, tuple[str, ...]]] = {
    "WAITING_FOR_APPROVAL": ("IN_PROGRESS", "DECLINED", "CANCELLED", "TIMED_OUT", "FAILURE"),
    "IN_PROGRESS": (*_REPORTED, "CANCELLED", "TIMED_OUT"),
    "SUCCESS": _REPORTED,
    "FAILURE": (*_REPORTED, "IN_PROGRESS"),
    "TIMED_OUT": (*_REPORTED, "IN_PROGRESS"),
    "DECLINED": (),
    "CANCELLED": (),
}
# After these nobody needs what is sealed any more; after the others it may be sent once more.
_FINAL: Final = ("SUCCESS", "DECLINED", "CANCELLED")


@contextmanager
def changing(pk: int, actor: Actor) -> Iterator[Run]:
    """The run, locked in a transaction of its own; what the block changes is saved, and told in the
    feed where people would see it. Raises Run.DoesNotExist.
    """
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).select_related("action").get(pk=pk)
        before = _shown(run)
        yield run
        after = _shown(run)
        if before != after:
            documents.sign(run, actor)
            note(feed.UPDATE, run, actor, before=before, after=after)
        run.save()


def move(run: Run, status: str, *, summary: str | None = None) -> None:
    """Bring the run into another state, or leave it in the same. Raises Conflict for a way that
    there is not.
    """
    if status == run.status:
        return
    if status not in _MOVES[run.status]:
        raise Conflict(
            f"The run is {run.status} and cannot become {status}",
            details={"resource": "Run", "value": run.identifier, "status": run.status},
        )
    now = timezone.now()
    run.status = status
    if summary is not None:
        run.summary = summary
    run.due_at = run.leased_until = run.claimed_until = None
    run.is_pending = run.is_watched = False
    if run.is_open:
        run.ended_at, run.expires_at = None, now + time_limit(run)
    else:
        run.ended_at, run.expires_at = now, None
    if status in _FINAL:
        run.sealed = None


def can_move(run: Run, status: str) -> bool:
    return status == run.status or status in _MOVES[run.status]


def is_approved(run: Run) -> bool:
    """Whether its work may be done: it needs no approval, or has all of it."""
    if not run.required_approval:
        return True
    last = run.approvals[-1]["state"] if run.approvals else ""
    return run.status != Run.Status.WAITING_FOR_APPROVAL and last == "APPROVED"


def time_limit(run: Run) -> timedelta:
    """How long the work may take, as the action says or the operator (IDP_RUN_TIMEOUT_HOURS)."""
    minutes = run.action.document.get("timeoutMinutes") if run.action else None
    if isinstance(minutes, int | float):
        return timedelta(minutes=minutes)
    return timedelta(hours=settings.IDP_RUN_TIMEOUT_HOURS)


def approval_limit(document: Mapping[str, Any]) -> timedelta:
    """How long a run of this action waits for approval."""
    hours = document.get("approvalExpiryHours")
    return timedelta(hours=hours) if isinstance(hours, int | float) else APPROVAL_EXPIRY


def write_line(
    run: Run,
    message: str,
    *,
    by: str,
    level: str = RunLog.Level.INFO,
    step: str = "",
    step_status: str = "",
) -> RunLog:
    """Add a line to the log of a run whose row the caller holds, so that lines keep their order.

    Characters that cannot be stored are replaced; what is longer than `MAX_TEXT` is cut.
    """
    return RunLog.objects.create(
        run=run,
        message=shorten(storable_text(message), MAX_TEXT),
        level=level,
        step=step[:200],
        step_status=step_status,
        created_at=timezone.now(),
        created_by=by,
    )


def note(action: str, run: Run, actor: Actor, **parts: Any) -> None:
    """Tell the feed; before, after: see `documents.note`."""
    documents.note(
        action,
        run,
        actor=actor,
        blueprint=run.blueprint["identifier"] if run.blueprint else "",
        run=run.identifier,
        **parts,
    )


def _shown(run: Run) -> dict[str, Any]:
    return {
        "status": run.status,
        "statusLabel": run.status_label,
        "summary": run.summary,
        "link": run.link,
        "externalRunId": run.external_run_id,
        "approvals": run.approvals,
    }
