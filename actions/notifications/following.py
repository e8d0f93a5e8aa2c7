"""The consumer of the change feed that tells people of runs: of those that wait for them, and of
what became of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from actions.models import Notification, Run
from actions.notifications.notices import APPROVAL, FAILURE, RUN, Hook, Notice, tell
from actions.selectors.run_documents import run_document
from actions.services import reporting, templating
from actions.services.access import Access
from catalog.kernel.actors import Insider
from catalog.kernel.errors import IdpError, InvalidInput
from catalog.kernel.feed import FeedRow
from catalog.kernel.placeholders import names_in

CONSUMER: Final = "actions.notifications"

MODEL: Final = "run"  # of runs in the feed
_NEWS: Final = timedelta(days=1)  # what happened before is none
_WAITING: Final = Run.Status.WAITING_FOR_APPROVAL
_SHOWN: Final = (
    "id", "status", "statusLabel", "summary", "link", "action", "blueprint", "entity",
    "properties", "source", "requiredApproval", "approval", "createdAt", "createdBy", "endedAt",
)  # fmt: skip


def follow(rows: Sequence[FeedRow]) -> None:
    """Tell of the runs that these changes are about."""
    since = timezone.now() - _NEWS
    told = [row for row in rows if row.model == MODEL and row.at >= since and _status(row)]
    if not told:
        return
    runs = {
        run.pk: run
        for run in Run.objects.select_related("action").filter(
            pk__in={row.object_id for row in told}, is_test=False
        )
    }
    found = [notice for row in told for notice in _notices(row, runs.get(row.object_id or 0))]
    with transaction.atomic():
        tell(found)
        _settle([run for run in runs.values() if run.status != _WAITING])


def _status(row: FeedRow) -> str:
    """The status that a run came to with this change; "" for a change of something else."""
    return str((row.after or {}).get("status") or "")


def _notices(row: FeedRow, run: Run | None) -> list[Notice]:
    if run is None:
        return []
    status, before = _status(row), str((row.before or {}).get("status") or "")
    if status == _WAITING:
        return [_asking(run)] if run.status == _WAITING else []
    if status == Run.Status.IN_PROGRESS and before != _WAITING:
        return []  # it was started, or handed over once more
    return [_told(run, status, before)]


def _asking(run: Run) -> Notice:
    """To those who may approve it."""
    names = Access(Insider()).approvers_of(run)
    return Notice(
        title=f"“{run.title}” waits for your approval",
        description=f"{run.created_by} wants to run it{_on(run)}.",
        topic=APPROVAL,
        link=f"/runs/{run.identifier}",
        severity=Notification.Severity.HIGH,
        scope=_asked(run),
        recipients=frozenset(name.lower() for name in names),
        is_mailed=True,
        hook=_own_hook(run),
        run=run,
        details=_details(run, _WAITING),
    )


def _told(run: Run, status: str, before: str) -> Notice:
    """To whoever started it, unless they did it themselves."""
    words, topic, severity = _WORDS[status]
    is_decided = status == Run.Status.DECLINED or (
        before == _WAITING and status == Run.Status.IN_PROGRESS
    )
    last = run.approvals[-1] if run.approvals and is_decided else None
    why = f": {last['description']}" if last and last["description"] else "."
    word = f"By {last['user']}{why}" if last else ""
    starter = run.created_by.lower()
    deed_of = last["user"] if last else run.updated_by if status == "CANCELLED" else ""
    is_own = deed_of.lower() == starter
    return Notice(
        title=f"“{run.title}”{_on(run)} {words}",
        description=word or run.summary or "",
        topic=topic,
        link=f"/runs/{run.identifier}",
        severity=severity,
        scope=run.identifier,
        recipients=frozenset(() if is_own or run.source == "AUTOMATION" else {starter}),
        is_mailed=is_decided or topic == FAILURE,
        run=run,
        details=_details(run, status),
    )


_WORDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "IN_PROGRESS": ("was approved", APPROVAL, "normal"),
    "DECLINED": ("was declined", APPROVAL, "high"),
    "SUCCESS": ("is done", RUN, "normal"),
    "CANCELLED": ("was cancelled", RUN, "normal"),
    "FAILURE": ("failed", FAILURE, "high"),
    "TIMED_OUT": ("was given up", FAILURE, "high"),
}


def _on(run: Run) -> str:
    return f" on {run.entity.get('title') or run.entity['identifier']}" if run.entity else ""


def _details(run: Run, status: str) -> dict[str, Any]:
    """What programs are told: without payload and answer, which may be large."""
    document = run_document(run)
    return {"event": f"run.{status.lower()}", "run": {key: document[key] for key in _SHOWN}}


def _own_hook(run: Run) -> Hook | None:
    """The place that the action itself names for its requests for approval."""
    stated = (run.action.document.get("approvalNotification") if run.action else None) or {}
    if run.action is None or stated.get("type") != "webhook":
        return None
    url = stated.get("url")
    try:
        context = templating.context_of(
            run, inputs=run.properties, entity=None, event=run.event, action=run.action
        )
        # Secrets are put in when it is sent, and are in no row until then.
        names = templating.secret_names(url)
        context["secrets"] = {name: f"${{{name}}}" for name in names}
        url = templating.fill_in(url, context, field="approvalNotification.url")
        if stray := names_in(url) - names_in(stated.get("url")) - names:
            raise InvalidInput(  # or inputs would name secrets, and have them sent
                f"The address names secrets that the action does not: {', '.join(sorted(stray))}"
            )
    except IdpError as error:
        reporting.log(run, f"approvalNotification: nobody was told. {error}", level="WARNING")
        return None
    return Hook(str(url), "slack" if stated.get("format") == "slack" else "json")


def _settle(runs: Sequence[Run]) -> None:
    """Nobody need approve these any more: what asked for it counts as read."""
    asked = [_asked(run) for run in runs]
    Notification.objects.filter(topic=APPROVAL, scope__in=asked, read_at=None).update(
        read_at=timezone.now()
    )


def _asked(run: Run) -> str:
    """The scope of what asks for approval of a run."""
    return f"{run.identifier} asked"
