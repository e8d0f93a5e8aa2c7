"""A software template tried out in the browser: nothing outside is changed, nothing is kept."""

from __future__ import annotations

from django.http import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_POST

from actions.portal.asked import asked_of, drawn_of
from actions.portal.cards import card_of
from actions.portal.inputs import shown
from actions.portal.trials import may_try, tried
from actions.portal.views.self_service import form_page
from actions.services.access import Access
from catalog.kernel.errors import InvalidInput, NotFound, PermissionDenied
from catalog.portal.shell import Crumb, PortalRequest, page, portal_view


@portal_view
@require_POST
def dry_run(request: PortalRequest, identifier: str) -> HttpResponseBase:
    """What the template makes of the form's values; where these do not do, the form once more."""
    asked = asked_of(request, identifier)
    action = asked.action
    if action.template is None:
        raise NotFound.of("Template", identifier)
    if not may_try(Access(request.user), action):
        raise PermissionDenied(
            "You may not try this template out", hint="Its owners and admins may."
        )
    drawn = drawn_of(request, asked)
    if not drawn.is_valid():
        return form_page(request, asked, drawn)
    try:
        trial = tried(asked, drawn, principal=request.user)
    except InvalidInput as error:
        drawn.add_problems(error)
        return form_page(request, asked, drawn)
    back = reverse("actions:form", args=[action.identifier])
    return page(
        request,
        "actions/trial.html",
        {
            "action": action,
            "card": card_of(action),
            "trial": trial,
            "inputs": shown(drawn),
        },
        title=f"Trial of {action.title}",
        trail=[
            Crumb("Self-service", reverse("actions:index")),
            Crumb(action.title, back),
            Crumb("Trial"),
        ],
    )
