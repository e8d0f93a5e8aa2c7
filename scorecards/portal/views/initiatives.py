"""Initiatives: their list, one of them, and the form that makes and changes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any, Final

from django.contrib import messages
from django.db.models import BigAutoField
from django.http import HttpResponseBase, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from catalog.kernel.csv_lines import csv_response
from catalog.kernel.errors import (
    Conflict,
    IdpError,
    InvalidInput,
    InvalidRequest,
    NotFound,
    PermissionDenied,
)
from catalog.kernel.identifiers import is_storable
from catalog.kernel.keyset import Key, Keyset
from catalog.portal.acting import actor_for
from catalog.portal.paging import neighbours
from catalog.portal.shell import Crumb, PortalRequest, page, portal_view
from catalog.portal.sources import Badge
from catalog.portal.values import read_number
from scorecards.models import Initiative, InitiativeItem, Scorecard
from scorecards.portal.burndown_svg import burndown_chart
from scorecards.portal.frame import owner_link
from scorecards.portal.goal_words import INITIATIVES, ITEMS, days_words
from scorecards.portal.initiative_form import body_of, form_of
from scorecards.portal.links import scorecard_url
from scorecards.portal.words import percent
from scorecards.selectors.burndowns import burndown_of
from scorecards.selectors.initiative_scope import Targets, targets_of
from scorecards.selectors.initiatives import (
    ITEM_STATES,
    OVER,
    STATES,
    Asked,
    Numbers,
    by_rule,
    by_team,
    items_of,
    level_title,
    milestones_of,
    moves_of,
    nearest_items,
    numbers_of,
    rows_of,
    state_of,
    visible_initiatives,
)
from scorecards.selectors.results import ladder_of, visible_scorecards
from scorecards.services import initiatives as services

MAX_LISTED: Final = 300
ROWS: Final = 50
NEAREST: Final = 5
MOVES: Final = 10
PARTS: Final = 12  # teams and rules shown at first
CSV_BATCH: Final = 1000
MAX_TEXT: Final = 300
_IN_ORDER: Final = Keyset([Key("id", "pk", BigAutoField())])
_HEADER: Final = ("Blueprint", "Entity", "Title", "Teams", "State", "Open", "Open rules", "Joined")


@dataclass(frozen=True, slots=True)
class Card:
    """days: until its date."""

    initiative: Initiative
    numbers: Numbers
    badge: Badge
    url: str
    scorecard_url: str
    days: str
    share: str
    is_late: bool
    is_over: bool


@portal_view
@require_GET
def index(request: PortalRequest) -> HttpResponseBase:
    """Those that run, the most urgent first; `?show=over` those that are over."""
    scorecards = visible_scorecards(request.user)
    pk = read_number(request.GET.get("scorecard", ""))
    chosen = next((one for one in scorecards if one.pk == pk), None)
    is_over = request.GET.get("show") == "over"
    found = visible_initiatives(request.user)
    if chosen:
        found = found.filter(scorecard=chosen)
    found = found.filter(state__in=OVER) if is_over else found.exclude(state__in=OVER)
    rows = list(found.order_by("-ended_at" if is_over else "target_on", "pk")[:MAX_LISTED])
    cards = _cards(rows, timezone.now().date())
    if not is_over:
        order = list(STATES)
        cards.sort(key=lambda card: order.index(card[1]))
    new_url = reverse("scorecards:initiative-new")
    manageable = [one for one in scorecards if services.may_manage(request.user, one)]
    return page(
        request,
        "scorecards/initiatives/index.html",
        {
            "cards": [card for card, _ in cards],
            "is_over": is_over,
            "chosen": chosen,
            "scorecards": scorecards,
            "new_url": (f"{new_url}?scorecard={chosen.pk}" if chosen in manageable else new_url)
            if manageable
            else "",
        },
        title="Initiatives",
        trail=[Crumb("Scorecards", reverse("scorecards:index")), Crumb("Initiatives")],
    )


@portal_view
@require_GET
def detail(request: PortalRequest, identifier: str) -> HttpResponseBase:
    """How far it is, who and what is open; `state`, `team`, `rule` and `q` narrow the list."""
    one = services.get_initiative(identifier, principal=request.user)
    today = timezone.now().date()
    ladder = ladder_of(one.scorecard)
    targets = targets_of(one, ladder)
    numbers = numbers_of([one.pk])[one.pk]
    asked = _asked(request.GET)
    found = _IN_ORDER.page(items_of(one, targets, asked), request.GET, size=ROWS)
    milestones = milestones_of(one, numbers, today)
    burndown = burndown_of(one, numbers, today)
    [(card, state)] = _cards([one], today, {one.pk: numbers})
    teams = by_team(one) if one.started_at else []
    rules = by_rule(one, targets, numbers) if one.started_at and not one.ended_at else []
    joined, left = moves_of(one, MOVES) if one.started_at else ([], [])
    return page(
        request,
        "scorecards/initiatives/detail.html",
        {
            "initiative": one,
            "card": card,
            "state": state,
            "numbers": numbers,
            "level": level_title(one, ladder.definition.levels),
            "targets": targets,
            "owner": owner_link(one.owner),
            "burndown": burndown,
            "chart": burndown_chart(burndown, today, milestones),
            "days": burndown.days[::-1],
            "milestones": milestones,
            "nearest": nearest_items(one, targets, NEAREST) if not one.ended_at else [],
            "teams": [(part, _share(part)) for part in teams[:PARTS]],
            "more_teams": max(0, len(teams) - PARTS),
            "team_names": [(part.name, part.title) for part in teams if part.name],
            "rules": [(part, _share(part)) for part in rules[:PARTS]],
            "more_rules": max(0, len(rules) - PARTS),
            "joined": joined,
            "left": left,
            "asked": asked,
            "states": ITEM_STATES,
            "rows": [(row, ITEMS[row.state]) for row in rows_of(one, targets, found.rows)],
            "csv_url": f"{reverse('scorecards:initiative-csv', args=[one.identifier])}"
            f"?{request.GET.urlencode()}",
            "may_manage": services.may_manage(request.user, one.scorecard),
            **neighbours(request, found),
        },
        title=one.title,
        trail=[Crumb("Initiatives", reverse("scorecards:initiatives")), Crumb(one.title)],
    )


@portal_view
@require_GET
def items_csv(request: PortalRequest, identifier: str) -> HttpResponseBase:
    """Its entities as a file, narrowed as the page is."""
    one = services.get_initiative(identifier, principal=request.user)
    targets = targets_of(one, ladder_of(one.scorecard))
    items = items_of(one, targets, _asked(request.GET)).order_by("pk")
    return csv_response(
        f"{one.identifier}-{timezone.now():%Y-%m-%d}", _HEADER, _lines(one, targets, items)
    )


@portal_view
@require_http_methods(["GET", "POST"])
def new(request: PortalRequest) -> HttpResponseBase:
    """First which scorecard it is about, then the rest."""
    scorecards = [
        one for one in visible_scorecards(request.user) if services.may_manage(request.user, one)
    ]
    if not scorecards:
        raise PermissionDenied(
            "You may not make initiatives",
            hint="That is for admins and the owners of scorecards.",
        )
    pk = read_number(request.GET.get("scorecard", ""))
    chosen = next((one for one in scorecards if one.pk == pk), None)
    if chosen is None:
        if request.GET.get("scorecard"):
            raise NotFound.of("Scorecard", request.GET["scorecard"], field="id")
        return page(
            request,
            "scorecards/initiatives/choose.html",
            {"scorecards": scorecards},
            title="New initiative",
            trail=_trail("New"),
        )
    return _edited(request, chosen, None)


@portal_view
@require_http_methods(["GET", "POST"])
def edit(request: PortalRequest, identifier: str) -> HttpResponseBase:
    one = services.get_initiative(identifier, principal=request.user)
    if not services.may_manage(request.user, one.scorecard):
        raise PermissionDenied(
            "You may not change this initiative",
            hint="That is for admins and the owner of the scorecard.",
        )
    return _edited(request, one.scorecard, one)


@portal_view
@require_POST
def move(request: PortalRequest, identifier: str) -> HttpResponseBase:
    """Start, end, cancel or delete it."""
    one = services.get_initiative(identifier, principal=request.user)
    who: dict[str, Any] = {"principal": request.user, "actor": actor_for(request)}
    verb = request.POST.get("do", "")
    if verb == "delete":
        services.delete(one, **who)
        messages.success(request, f"{one.title} is deleted.")
        return redirect("scorecards:initiatives")
    if verb not in _MOVES:
        raise InvalidRequest(f'do is "{verb[:50]}"; expected start, end, cancel or delete')
    try:
        _MOVES[verb](one, **who)
        messages.success(request, f"{one.title} {_DONE[verb]}.")
    except (Conflict, InvalidInput) as error:
        messages.warning(request, str(error))
    return redirect("scorecards:initiative", identifier)


_MOVES: Final = {
    "start": services.start,
    "end": services.end,
    "cancel": services.cancel,
}
_DONE: Final = {"start": "has begun", "end": "has ended", "cancel": "is cancelled"}


def _edited(
    request: PortalRequest, scorecard: Scorecard, one: Initiative | None
) -> HttpResponseBase:
    """The form, or the page of what it made."""
    error: IdpError | None = None
    if request.method == "POST":
        try:
            made = services.save(
                body_of(scorecard, request.POST),
                identifier=one.identifier if one else None,
                principal=request.user,
                actor=actor_for(request),
            )
        except (InvalidInput, Conflict) as refused:
            error = refused
        else:
            messages.success(request, f"{made.title} is saved.")
            return redirect("scorecards:initiative", made.identifier)
    form = form_of(ladder_of(scorecard), one, request.POST if error else None)
    return page(
        request,
        "scorecards/initiatives/form.html",
        {
            "form": form,
            "initiative": one,
            "error": error,
            "today": timezone.now().date(),
            "back": reverse("scorecards:initiative", args=[one.identifier])
            if one
            else reverse("scorecards:initiatives"),
        },
        title=f"Change {one.title}" if one else "New initiative",
        trail=_trail("Change" if one else "New"),
        status=error.status if error else 200,
    )


def _cards(
    rows: Sequence[Initiative], today: date, numbers: dict[int, Numbers] | None = None
) -> list[tuple[Card, str]]:
    """Each with its state."""
    numbers = numbers if numbers is not None else numbers_of([one.pk for one in rows])
    cards = []
    for one in rows:
        theirs = numbers[one.pk]
        state = state_of(one, theirs, today)
        cards.append(
            (
                Card(
                    initiative=one,
                    numbers=theirs,
                    badge=INITIATIVES[state],
                    url=reverse("scorecards:initiative", args=[one.identifier]),
                    scorecard_url=scorecard_url(one.scorecard),
                    days=days_words((one.target_on - today).days),
                    share=percent(theirs.percentage),
                    is_late=state == "late",
                    is_over=state in OVER,
                ),
                state,
            )
        )
    return cards


def _lines(one: Initiative, targets: Targets, items: Any) -> Iterator[Sequence[str]]:
    rows: Iterator[InitiativeItem] = items.iterator(chunk_size=CSV_BATCH)
    while batch := list(islice(rows, CSV_BATCH)):
        for row in rows_of(one, targets, batch):
            yield (
                row.item.blueprint,
                row.item.identifier,
                (row.entity.title or "") if row.entity else "",
                ", ".join(row.entity.team) if row.entity else "",
                ITEM_STATES[row.state],
                str(row.item.open),
                ", ".join(rung.spec.title or rung.spec.identifier for rung in row.open_rules),
                row.item.joined_at.isoformat(timespec="seconds"),
            )


def _share(part: Any) -> str:
    """Of what is done, as a style sheet wants it."""
    return f"{100 * part.done / part.entities:.1f}" if part.entities else "0"


def _asked(sent: QueryDict) -> Asked:
    """What makes no sense is left out."""

    def text(name: str) -> str:
        value = sent.get(name, "").strip()[:MAX_TEXT]
        return value if is_storable(value) else ""

    state = sent.get("state", "")
    return Asked(
        state=state if state in ITEM_STATES else "",
        team=text("team"),
        rule=text("rule"),
        text=text("q"),
    )


def _trail(last: str) -> list[Crumb]:
    return [Crumb("Initiatives", reverse("scorecards:initiatives")), Crumb(last)]
