"""Runs: their list, a run's page while it works and afterwards, and what people do to it."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from secrets import token_urlsafe
from typing import Any, Final

from django.contrib import messages
from django.http import (
    FileResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from actions import dispatching
from actions.models import Action, Run
from actions.portal.inputs import inputs_of
from actions.portal.log_text import plain
from actions.portal.run_list import (
    NEWEST_FIRST,
    OPEN,
    PERIODS,
    ROWS,
    UNSHOWN,
    Asked,
    rows_of,
    url_of_entity,
)
from actions.portal.run_page import Parts, last_lines, lines_after, parts_of
from actions.portal.words import STATUSES, approval_words
from actions.selectors.runs import artifact_of
from actions.services import reporting, starting
from actions.services.access import Access, permissions_document
from actions.services.approvals import pending_approvers
from actions.services.reporting import get_run
from catalog.kernel.errors import Conflict, InvalidInput
from catalog.models import Blueprint
from catalog.portal.acting import actor_for
from catalog.portal.paging import neighbours
from catalog.portal.shell import Crumb, PortalRequest, fragment, page, portal_view
from catalog.portal.values import read_number

LOG_BATCH: Final = 1000


@portal_view
@require_GET
def index(request: PortalRequest) -> HttpResponseBase:
    """The runs that the person may see, newest first."""
    access = Access(request.user)
    asked = Asked.read(request.GET)
    runs = access.visible_runs().defer(*UNSHOWN)
    narrowed = asked.narrowed(runs, name=actor_for(request).name, now=timezone.now())
    found = NEWEST_FIRST.page(narrowed, request.GET, size=ROWS)
    return page(
        request,
        "actions/runs.html",
        {
            "asked": asked,
            "rows": rows_of(found.rows),
            **neighbours(request, found),
            "actions": sorted(
                ((one.identifier, one.title) for one in access.visible_actions()),
                key=lambda pair: pair[1].lower(),
            ),
            "blueprints": Blueprint.objects.order_by("title").values_list("identifier", "title"),
            "statuses": [(OPEN, "Open")] + [(key, one.words) for key, one in STATUSES.items()],
            "periods": [(key, words) for key, (words, _) in PERIODS.items()],
        },
        title="Runs",
    )


@portal_view
@require_GET
def run(request: PortalRequest, identifier: str) -> HttpResponseBase:
    """A run; `before` shows earlier lines of its log, `step` those of a step."""
    found = get_run(identifier, principal=request.user)
    step = request.GET.get("step", "").replace("\x00", "")
    before = read_number(request.GET.get("before", ""))
    log = last_lines(found, before=before, step=step)
    if request.headers.get("HX-Request") and before is not None:
        context = {"run": found, "log": log, "step": step}
        return fragment(request, "actions/run_log_earlier.html", context)
    context = _context(request, found, parts_of(found))
    return page(
        request,
        "actions/run.html",
        {**context, "log": log, "step": step, "is_past": before is not None},
        title=f"{found.title}, run {found.identifier}",
        trail=[Crumb("Runs", reverse("actions:runs")), Crumb(found.title)],
    )


@portal_view
@require_GET
def live(request: PortalRequest, identifier: str) -> HttpResponseBase:
    """What is new since the line `after`, and everything else where it differs from `state`."""
    found = get_run(identifier, principal=request.user)
    step = request.GET.get("step", "").replace("\x00", "")
    after = read_number(request.GET.get("after", "")) or 0
    parts = parts_of(found)
    context = {
        "run": found,
        "parts": parts,
        "log": lines_after(found, after, step=step),
        "step": step,
        "is_part": True,
        "is_changed": parts.stamp != request.GET.get("state", ""),
    }
    if context["is_changed"]:
        context |= _context(request, found, parts)
    return fragment(request, "actions/run_live.html", context)


@portal_view
@require_GET
def log(request: PortalRequest, identifier: str) -> HttpResponseBase:
    """The whole log as a text file."""
    found = get_run(identifier, principal=request.user)
    answer = StreamingHttpResponse(_as_text(found), content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{found.identifier}.log"'
    return answer


@portal_view
@require_GET
def file(request: PortalRequest, identifier: str, name: str) -> HttpResponseBase:
    """A file that the run made."""
    made = artifact_of(get_run(identifier, principal=request.user), name)
    content = BytesIO(bytes(made.content))
    return FileResponse(
        content, as_attachment=True, filename=made.name, content_type=made.media_type
    )


@portal_view
@require_POST
def cancel(request: PortalRequest, identifier: str) -> HttpResponseBase:
    reason = request.POST.get("reason", "").strip()
    try:
        found = reporting.cancel_run(
            identifier, reason, principal=request.user, actor=actor_for(request)
        )
    except Conflict as error:  # it ended meanwhile
        messages.warning(request, str(error))
    else:
        messages.success(request, f"{found.title} is cancelled.")
    return _to(identifier)


@portal_view
@require_POST
def repeat(request: PortalRequest, identifier: str) -> HttpResponseBase:
    """Once more with the same inputs; where these do not do any longer, the form says why."""
    try:
        again = starting.repeat_run(
            identifier,
            principal=request.user,
            actor=actor_for(request),
            idempotency_key=request.POST.get("key", "")[: starting.MAX_KEY],
        )
    except InvalidInput as error:
        origin = get_run(identifier, principal=request.user)
        messages.warning(request, f"Its inputs need a look. {error}")
        return redirect(_form_url(origin))
    except Conflict as error:
        messages.warning(request, str(error))
        return _to(identifier)
    return _to(again.identifier)


@portal_view
@require_POST
def redeliver(request: PortalRequest, identifier: str) -> HttpResponseBase:
    try:
        dispatching.redeliver(identifier, principal=request.user, actor=actor_for(request))
    except Conflict as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, "It is sent once more, as it was.")
    return _to(identifier)


def _context(request: PortalRequest, found: Run, parts: Parts) -> dict[str, Any]:
    """What the page and its live part draw from."""
    access = Access(request.user)
    action = found.action
    waits = found.status == Run.Status.WAITING_FOR_APPROVAL
    action_url = _action_url(action, access) if action is not None else ""
    may_report = reporting.may_report(found, request.user)
    return {
        "run": found,
        "parts": parts,
        "entity_url": url_of_entity(found),
        "inputs": inputs_of(found),
        "key": token_urlsafe(18),
        "may_approve": waits and access.may_approve(found),
        "pending": pending_approvers(found, access) if waits else [],
        "approval_words": approval_words(action, permissions_document(action)["approve"])
        if waits and action is not None
        else "",
        "may_cancel": found.is_open and may_report,
        "may_redeliver": dispatching.may_redeliver(found, request.user),
        "again_url": _form_url(found) if action_url else "",
        "action_url": action_url,
        "event": found.event if access.standing.is_admin else None,
    }


def _action_url(action: Action, access: Access) -> str:
    """Of its form; "" where the person cannot start it."""
    is_offered = action.is_self_service and action.is_published
    may_start = is_offered and access.may_execute(action)
    return reverse("actions:form", args=[action.identifier]) if may_start else ""


def _form_url(run: Run) -> str:
    """The form with the inputs of a run in it."""
    return f"{reverse('actions:form', args=[run.about['identifier']])}?from={run.identifier}"


def _as_text(run: Run) -> Iterator[str]:
    lines = run.logs.order_by("pk").values_list("created_at", "level", "step", "message")
    for at, level, step, message in lines.iterator(chunk_size=LOG_BATCH):
        place = f" [{step}]" if step else ""
        yield f"{at:%Y-%m-%dT%H:%M:%S.%fZ} {level}{place} {plain(message)}\n"


def _to(identifier: str) -> HttpResponseRedirect:
    return redirect(reverse("actions:run", args=[identifier]))
