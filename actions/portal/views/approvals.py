"""What waits for approval, and the decision."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from actions.models import Run
from actions.portal.approvals import waiting_rows
from actions.portal.run_list import NEWEST_FIRST, ROWS, UNSHOWN
from actions.services.access import Access
from actions.services.approvals import decide
from catalog.kernel.errors import Conflict
from catalog.portal.acting import actor_for
from catalog.portal.paging import neighbours
from catalog.portal.shell import PortalRequest, page, portal_view

_UNSHOWN: Final = tuple(name for name in UNSHOWN if name != "properties")


@portal_view
@require_GET
def index(request: PortalRequest) -> HttpResponseBase:
    """The runs that wait for this person; for admins also all that wait at all (`?all=1`)."""
    access = Access(request.user)
    is_admin = access.standing.is_admin
    shows_all = is_admin and request.GET.get("all") == "1"
    waiting = access.waiting_for_me()
    if shows_all:
        waiting = Run.objects.filter(status=Run.Status.WAITING_FOR_APPROVAL)
    waiting = waiting.select_related("action__template", "action__blueprint").defer(*_UNSHOWN)
    found = NEWEST_FIRST.page(waiting, request.GET, size=ROWS)
    return page(
        request,
        "actions/approvals.html",
        {
            "rows": waiting_rows(found.rows, access),
            "shows_all": shows_all,
            "can_see_all": is_admin,
            **neighbours(request, found),
            "here": request.get_full_path(),
        },
        title="Approvals",
    )


@portal_view
@require_POST
def approve(request: PortalRequest, identifier: str) -> HttpResponseBase:
    return _decided(request, identifier, "APPROVE")


@portal_view
@require_POST
def decline(request: PortalRequest, identifier: str) -> HttpResponseBase:
    return _decided(request, identifier, "DECLINE")


def _decided(request: PortalRequest, identifier: str, verdict: str) -> HttpResponseBase:
    body = {"status": verdict, "description": request.POST.get("reason", "").strip()}
    try:
        run = decide(identifier, body, principal=request.user, actor=actor_for(request))
    except Conflict as error:  # somebody was faster
        messages.warning(request, str(error))
    else:
        if verdict == "DECLINE":
            messages.success(request, f"{run.title} is declined.")
        elif run.status == Run.Status.WAITING_FOR_APPROVAL:
            messages.success(request, f"{run.title} has your approval; others are still needed.")
        else:
            messages.success(request, f"{run.title} is approved and on its way.")
    return redirect(_next(request) or reverse("actions:run", args=[identifier]))


def _next(request: PortalRequest) -> str:
    """Where the person came from, if that is a page of ours."""
    wanted = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if is_ours and wanted.startswith("/") else ""
