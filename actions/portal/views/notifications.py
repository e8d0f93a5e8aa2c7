"""The inbox, and the bell in the header that says how much of it is unread."""

from __future__ import annotations

from typing import Any, Final, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from actions.notifications import reading
from actions.selectors.notifications import INBOX, UNREAD_CAP, inbox, unread_count
from catalog.kernel.actors import Principal
from catalog.kernel.errors import NotFound
from catalog.portal.header import HeaderItem
from catalog.portal.paging import neighbours
from catalog.portal.shell import PortalRequest, page, portal_view

ROWS: Final = 40


def _bell(request: HttpRequest) -> dict[str, Any]:
    principal = cast(Principal, request.user)
    return {"unread": unread_count(principal), "cap": UNREAD_CAP}


BELL: Final = HeaderItem("notifications", "actions/notifications/bell.html", _bell)


@portal_view
@require_GET
def index(request: PortalRequest) -> HttpResponseBase:
    """What this person was told: the unread first, then the newest."""
    only_unread = request.GET.get("unread") == "1"
    found = inbox(request.user)
    if only_unread:
        found = found.filter(read_at=None)
    shown = INBOX.page(found, request.GET, size=ROWS)
    return page(
        request,
        "actions/notifications/inbox.html",
        {
            "rows": shown.rows,
            "only_unread": only_unread,
            "here": request.get_full_path(),
            **_bell(request),
            **neighbours(request, shown),
        },
        title="Notifications",
    )


@portal_view
@require_POST
def read(request: PortalRequest) -> HttpResponseBase:
    """Mark one as read (and perhaps go where it leads), as unread, or all as read."""
    here = reverse("actions:notifications")
    if "all" in request.POST:
        count = reading.mark(request.user, None)
        messages.success(request, f"Marked as read: {count:,}.")
        return redirect(here)
    number = request.POST.get("one", "")
    is_number = number.isascii() and number.isdigit() and len(number) < 19
    one = inbox(request.user).filter(pk=int(number)).first() if is_number else None
    if one is None:
        raise NotFound.of("Notification", number, field="id")
    reading.mark(request.user, [one.pk], is_read=request.POST.get("as") != "unread")
    if "open" in request.POST and one.link:
        return HttpResponseRedirect(one.link)
    wanted = request.POST.get("next", "")
    is_ours = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return redirect(wanted if is_ours else here)
