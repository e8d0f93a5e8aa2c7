"""What people may have done for them: the cards, and the form of each."""

from __future__ import annotations

from hashlib import sha256
from secrets import token_urlsafe
from typing import Any, Final

from django.http import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers

from actions.models import Run
from actions.portal.asked import Asked, asked_of, drawn_of
from actions.portal.cards import card_of, grouped, lately_used, runnable
from actions.portal.forms import ActionForm, live
from actions.portal.links import builder_url
from actions.portal.methods import sentence_of
from actions.portal.offers import offered_entities
from actions.portal.trials import may_try
from actions.portal.words import OPERATIONS, approval_words, button_of
from actions.services.access import Access, permissions_document
from actions.services.starting import start_run
from catalog.kernel.errors import InvalidInput, PermissionDenied
from catalog.models import name_in_order
from catalog.portal.acting import actor_for
from catalog.portal.links import entity_url
from catalog.portal.shell import (
    Crumb,
    PortalRequest,
    fragment,
    page,
    portal_view,
    wants_fragment,
)
from catalog.selectors.pick import matching

MAX_TEXT: Final = 200
CHOICES: Final = 20
MIN_FOR_LATELY: Final = 6  # where there are fewer cards, all are in sight


@portal_view
@require_GET
@vary_on_headers("HX-Request")
def index(request: PortalRequest) -> HttpResponseBase:
    """The cards that fit `q` and `operation`, by category."""
    cards = [card_of(action) for action in runnable(Access(request.user))]
    text = _text(request)
    operation = request.GET.get("operation", "")
    operation = operation if operation in OPERATIONS else ""
    words = text.lower().split()
    found = [
        card for card in cards if card.fits(words) and operation in ("", card.action.operation)
    ]
    is_narrowed = bool(words or operation)
    context = {
        "text": text,
        "operation": operation,
        "operations": OPERATIONS.items(),
        "groups": grouped(found),
        "count": len(found),
        "is_narrowed": is_narrowed,
        "is_empty": not cards,
        "lately": lately_used(request.user, cards)
        if not is_narrowed and len(cards) >= MIN_FOR_LATELY
        else [],
        "admin_url": builder_url(request.user),
    }
    if wants_fragment(request):
        return fragment(request, "actions/cards.html", context)
    return page(request, "actions/index.html", context, title="Self-service")


@portal_view
@require_http_methods(["GET", "POST"])
def form(request: PortalRequest, identifier: str) -> HttpResponseBase:
    """An action's form; sent, it starts a run. `from` fills it in as an earlier run was."""
    asked = asked_of(request, identifier)
    if asked.needs_entity:
        return _choose(request, asked)
    Access(request.user).require_execute(asked.action, entity=asked.entity)
    drawn = drawn_of(request, asked)
    try:
        if request.method == "POST" and (run := _started(request, asked, drawn)):
            return redirect(reverse("actions:run", args=[run.identifier]))
    except PermissionDenied as error:  # a policy says no to what was filled in, which may change
        drawn.add_problems(error)
        return form_page(request, asked, drawn, status=error.status)
    return form_page(request, asked, drawn)


@portal_view
@require_POST
def form_part(request: PortalRequest, identifier: str) -> HttpResponseBase:
    """What has changed of the form since it was drawn, for what has been typed so far."""
    asked = asked_of(request, identifier)
    Access(request.user).require_execute(asked.action, entity=asked.entity)
    return live(request, drawn_of(request, asked, is_live=True))


def _started(request: PortalRequest, asked: Asked, drawn: ActionForm) -> Run | None:
    """The run; None where the form has to be looked at again, and says why."""
    if not drawn.is_valid():
        return None
    try:
        return start_run(
            asked.action,
            {
                "properties": drawn.values,
                "entity": asked.entity.identifier if asked.entity else None,
            },
            principal=request.user,
            actor=actor_for(request),
            idempotency_key=_key(request),
            secrets=drawn.secrets,
            origin=asked.origin,
        )
    except InvalidInput as error:
        drawn.add_problems(error)
        return None


def _key(request: PortalRequest) -> str:
    """The same form sent twice with the same in it is one run; changed, it is another."""
    said = sorted((name, request.POST.getlist(name)) for name in request.POST)
    told = repr([one for one in said if one[0] != "csrfmiddlewaretoken"])
    return sha256(told.encode()).hexdigest()


def _choose(request: PortalRequest, asked: Asked) -> HttpResponseBase:
    """On what it is to be done: the entities that the person may run it on."""
    action, text = asked.action, _text(request)
    access = Access(request.user)
    access.require_execute(action)
    entities = matching(offered_entities(access, action), text)
    found = list(entities.order_by(name_in_order(), "pk")[: CHOICES + 1])
    context: dict[str, Any] = {
        "action": action,
        "blueprint": action.blueprint,
        "card": card_of(action),
        "sentence": sentence_of(action),
        "text": text,
        "entities": found[:CHOICES],
        "has_more": len(found) > CHOICES,
    }
    if wants_fragment(request):
        return fragment(request, "actions/choices.html", context)
    return page(request, "actions/choose.html", context, title=action.title, trail=_trail(asked))


def form_page(
    request: PortalRequest, asked: Asked, drawn: ActionForm, *, status: int | None = None
) -> HttpResponseBase:
    """The page of a form, new or to be looked at again."""
    action = asked.action
    can_try = may_try(Access(request.user), action)
    return page(
        request,
        "actions/form.html",
        {
            "action": action,
            "card": card_of(action),
            "entity": asked.entity,
            "origin": asked.origin,
            "form": drawn,
            "part_url": reverse("actions:form-part", args=[action.identifier]),
            "form_url": reverse("actions:form", args=[action.identifier]),
            "button": drawn.definition.button or button_of(action),
            "sentence": sentence_of(action),
            "approval": approval_words(action, permissions_document(action)["approve"]),
            "key": request.POST.get("key") or token_urlsafe(18),
            "cancel_url": _back_url(asked),
            "try_url": reverse("actions:try", args=[action.identifier]) if can_try else "",
            "admin_url": builder_url(request.user, action),
        },
        title=action.title,
        trail=_trail(asked),
        status=status or (422 if drawn.is_bound else 200),
    )


def _trail(asked: Asked) -> list[Crumb]:
    if asked.entity is None:
        return [Crumb("Self-service", reverse("actions:index")), Crumb(asked.action.title)]
    return [
        Crumb("Self-service", reverse("actions:index")),
        Crumb(str(asked.entity), _back_url(asked)),
        Crumb(asked.action.title),
    ]


def _back_url(asked: Asked) -> str:
    if asked.entity is None:
        return reverse("actions:index")
    return entity_url(asked.entity.blueprint.identifier, asked.entity.identifier)


def _text(request: PortalRequest) -> str:
    return request.GET.get("q", "").replace("\x00", "")[:MAX_TEXT].strip()
