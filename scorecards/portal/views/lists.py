"""The entities of a scorecard as a table and as a heat map; its teams."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponseBase
from django.views.decorators.http import require_GET

from catalog.kernel.keyset import AFTER, BEFORE
from catalog.portal.paging import neighbours
from catalog.portal.shell import PortalRequest, portal_view
from catalog.selectors.tables import owner_titles
from scorecards.models import Rollup
from scorecards.portal.entity_rows import ORDERS, STATUS_CHOICES, Asked, entity_rows
from scorecards.portal.frame import asked_ladder, scorecard_page
from scorecards.portal.group_rows import KINDS, groups_of, teams_with_subteams
from scorecards.selectors.results import Ladder, narrowed, scores_in_order, visible_scores

ROWS: Final = 50
ENTITY: Final = "entity"


@portal_view
@require_GET
def entities(request: PortalRequest, scorecard: str, blueprint: str = "") -> HttpResponseBase:
    """The entities, narrowed and page by page."""
    ladder = asked_ladder(request, scorecard, blueprint)
    return scorecard_page(request, ladder, "entities", _listed(request, ladder))


@portal_view
@require_GET
def heat_map(request: PortalRequest, scorecard: str, blueprint: str = "") -> HttpResponseBase:
    """Rules as columns; entities, teams, domains or kinds as rows."""
    ladder = asked_ladder(request, scorecard, blueprint)
    by = request.GET.get("by", ENTITY)
    by = by if by in KINDS else ENTITY
    context = _listed(request, ladder) if by == ENTITY else _grouped(request, ladder, by)
    return scorecard_page(
        request,
        ladder,
        "heat_map",
        {**context, "by": by, "groupings": [(ENTITY, "Entities"), *KINDS.items()]},
    )


@portal_view
@require_GET
def teams(request: PortalRequest, scorecard: str, blueprint: str = "") -> HttpResponseBase:
    """How large a share of what each team owns is at each level; `?subteams=1`: with what the teams
    below it own."""
    ladder = asked_ladder(request, scorecard, blueprint)
    with_subteams = request.GET.get("subteams") == "1"
    groups = (
        teams_with_subteams(ladder, request.user)
        if with_subteams
        else groups_of(ladder, request.user, Rollup.Kind.TEAM)
    )
    return scorecard_page(
        request,
        ladder,
        "teams",
        {"groups": groups.rows, "is_whole": groups.is_whole, "with_subteams": with_subteams},
    )


def _grouped(request: PortalRequest, ladder: Ladder, kind: str) -> dict[str, Any]:
    groups = groups_of(ladder, request.user, kind)
    return {"groups": groups.rows, "is_whole": groups.is_whole}


def _listed(request: PortalRequest, ladder: Ladder) -> dict[str, Any]:
    asked = Asked.read(request.GET, ladder)
    scores = narrowed(visible_scores(ladder.scorecard, request.user), asked.narrowing(ladder))
    found = asked.keyset.page(scores_in_order(scores), request.GET, size=ROWS)
    return {
        "asked": asked,
        "rows": entity_rows(ladder, found.rows, request.user),
        "rungs": ladder.rungs,
        "statuses": STATUS_CHOICES,
        "orders": [(key, words) for key, (words, _) in ORDERS.items()],
        "team_title": _team_title(request, asked.team),
        "query": _query(request),
        **neighbours(request, found),
    }


def _team_title(request: PortalRequest, team: str) -> str:
    return owner_titles(request.user, [[team]])[team].label if team else ""


def _query(request: PortalRequest) -> str:
    """What the address asks for, whatever the page."""
    query = request.GET.copy()
    for name in (BEFORE, AFTER, "by"):
        query.pop(name, None)
    return query.urlencode()
