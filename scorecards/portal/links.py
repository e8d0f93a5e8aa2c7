"""Addresses of the pages of scorecards."""

from __future__ import annotations

from urllib.parse import urlencode

from django.urls import reverse

from catalog.portal import links  # noqa: F401 - registers the converter "identifier"
from scorecards.models import Scorecard


def scorecard_url(scorecard: Scorecard, page: str = "detail", **query: str | int) -> str:
    """A page of a scorecard: "detail", "entities", "heat_map", "teams", "history", "csv",
    "evaluate". Needs `blueprint` loaded.
    """
    names = {"scorecard": scorecard.identifier}
    if scorecard.blueprint:
        names["blueprint"] = scorecard.blueprint.identifier
    url = reverse(f"scorecards:{page}", kwargs=names)
    return f"{url}?{urlencode(query)}" if query else url


def badge_url(scorecard: Scorecard, blueprint: str, entity: str) -> str:
    """The picture that shows the level of an entity."""
    return reverse("scorecards:badge", args=[scorecard.identifier, blueprint, entity])
