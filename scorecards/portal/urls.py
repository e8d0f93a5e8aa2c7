"""`/scorecards/…`. The scorecard of a blueprint stands under it; one of several kinds by itself.
Parts of a scorecard stand under `-`: nothing has that name.
"""

from django.urls import URLPattern, path

from catalog.portal import links  # noqa: F401 - registers the converter "identifier"
from scorecards.portal.views import (
    badges,
    exemptions,
    exports,
    initiatives,
    lists,
    overview,
)

app_name = "scorecards"

_PAGES = {
    "": (overview.detail, "detail"),
    "/-/entities": (lists.entities, "entities"),
    "/-/entities.csv": (exports.results_csv, "csv"),
    "/-/heat-map": (lists.heat_map, "heat_map"),
    "/-/teams": (lists.teams, "teams"),
    "/-/history": (overview.history, "history"),
    "/-/evaluate": (overview.evaluate, "evaluate"),
}


def _pages(prefix: str) -> list[URLPattern]:
    return [path(f"{prefix}{end}", view, name=name) for end, (view, name) in _PAGES.items()]


urlpatterns = [
    # what is about several scorecards comes before those that are named: `/scorecards/-/…`
    path("scorecards", overview.index, name="index"),
    path("scorecards/", overview.index),
    path("scorecards/-/exempt", exemptions.ask, name="exempt"),
    path("exemptions", exemptions.index, name="exemptions"),
    path("exemptions/decide", exemptions.decide, name="exemptions-decide"),
    path("initiatives", initiatives.index, name="initiatives"),
    path("initiatives/new", initiatives.new, name="initiative-new"),
    path("initiatives/<str:identifier>", initiatives.detail, name="initiative"),
    path("initiatives/<str:identifier>/edit", initiatives.edit, name="initiative-edit"),
    path("initiatives/<str:identifier>/move", initiatives.move, name="initiative-move"),
    path("initiatives/<str:identifier>/items.csv", initiatives.items_csv, name="initiative-csv"),
    path(
        "scorecards/<identifier:scorecard>/badge/<identifier:blueprint>/<identifier:entity>.svg",
        badges.badge,
        name="badge",
    ),
    *_pages("scorecards/<identifier:scorecard>"),
    *_pages("scorecards/<identifier:blueprint>/<identifier:scorecard>"),
]
