"""Home, teams, people, and the own profile: what looks over the whole house."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponseBase
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from actions.portal.approvals import waiting_first
from actions.portal.run_list import own_runs, rows_of
from catalog.kernel.keyset import Keyset
from catalog.models import USER, Entity
from catalog.portal import saved, teamwork
from catalog.portal.shell import PortalRequest, fragment, page, portal_view, wants_fragment
from catalog.portal.sources import troubled
from catalog.selectors import catalogue, team_lists
from catalog.selectors.pick import matching
from catalog.selectors.teams import people as people_with
from catalog.selectors.teams import teams_of
from catalog.services.permissions import can_administer
from idp.portal.search import text_of
from scorecards.selectors.results import gaps_of_teams

HOME_ROWS: Final = 6
PEOPLE_ROWS: Final = 48

_BY_NAME = Keyset(team_lists.NAME_KEYS)


@portal_view
@require_GET
def home(request: PortalRequest) -> HttpResponseBase:
    """My work first: what my teams own, what changed, what needs a hand; then the catalogue."""
    teams = teams_of(request.user.email)
    kinds = catalogue.kind_counts(request.user)
    return page(
        request,
        "portal/home.html",
        {
            "person": people_with(request.user.email).first() if request.user.email else None,
            "teams": team_lists.named(request.user, teams),
            "owned": [
                (blueprint, count, teamwork.owned_url(blueprint.identifier, teams))
                for blueprint, count in catalogue.owned_counts(request.user, teams)
            ],
            "gaps": gaps_of_teams(request.user, teams, limit=HOME_ROWS),
            "updated": catalogue.lately_updated(request.user, teams, limit=HOME_ROWS),
            "troubled_sources": troubled() if can_administer(request.user) else (),
            "dangling": catalogue.dangling_of(request.user, teams, limit=HOME_ROWS),
            "runs": rows_of(own_runs(request.user)[:HOME_ROWS]),
            "waiting": waiting_first(request.user, HOME_ROWS),
            "starred": saved.starred(request.user, HOME_ROWS),
            "changes": catalogue.recent_changes(request.user, limit=HOME_ROWS + 2),
            "kinds": [kind for kind in kinds if kind.count],
            "count_cap": catalogue.KIND_COUNT_CAP,
            "is_empty": not any(kind.count for kind in kinds if not kind.is_system),
        },
        title="Home",
    )


@portal_view
@require_GET
def teams(request: PortalRequest) -> HttpResponseBase:
    """The teams as a tree."""
    tree = team_lists.team_tree(request.user)
    return page(
        request,
        "portal/teams.html",
        {
            "tree": tree,
            "mine": set(teams_of(request.user.email)),
            "limit": team_lists.MAX_TEAMS,
            "count_cap": team_lists.COUNT_CAP,
        },
        title="Teams",
    )


@portal_view
@require_GET
@vary_on_headers("HX-Request")
def people(request: PortalRequest) -> HttpResponseBase:
    """The people, by name."""
    text = text_of(request)
    everybody = Entity.objects.visible_to(request.user).filter(blueprint__identifier=USER)
    found = _BY_NAME.page(matching(everybody, text), request.GET, size=PEOPLE_ROWS)
    context = {
        "text": text,
        "people": found.rows,
        "teams": team_lists.teams_by_person(found.rows),
        "after": found.after,
        "before": found.before,
    }
    if wants_fragment(request):
        return fragment(request, "portal/people_grid.html", context)
    return page(request, "portal/people.html", context, title="People")


@portal_view
@require_GET
def me(request: PortalRequest) -> HttpResponseBase:
    """Who I am here: account, person in the catalogue, teams, views, stars."""
    user = request.user
    names = teams_of(user.email)
    return page(
        request,
        "portal/me.html",
        {
            "person": people_with(user.email).first() if user.email else None,
            "teams": team_lists.named(request.user, names),
            "views": user.saved_views.select_related("blueprint").exclude(name=""),
            "starred": saved.starred(user, 50),
        },
        title="My profile",
    )
