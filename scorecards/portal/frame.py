"""The frame of a scorecard's pages: its head, its parts, and what all of them say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count, Q
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone

from catalog.models import TEAM, Entity
from catalog.portal.links import entity_url, person_url
from catalog.portal.shell import Crumb, PortalRequest, page
from catalog.portal.sources import admin_url
from catalog.services.permissions import can_administer
from scorecards.models import Exemption, Scorecard
from scorecards.portal.links import scorecard_url
from scorecards.portal.words import looks_of
from scorecards.selectors.results import (
    STALE_WINDOWS,
    Ladder,
    find_scorecard,
    ladder_of,
    may_edit,
)

_PARTS: Final = (
    ("detail", "Overview"),
    ("entities", "Entities"),
    ("heat_map", "Heat map"),
    ("teams", "Teams"),
    ("history", "History"),
)


def asked_ladder(request: PortalRequest, scorecard: str, blueprint: str = "") -> Ladder:
    """The scorecard of an address with its rules; two statements. Raises NotFound."""
    return ladder_of(find_scorecard(request.user, scorecard, blueprint))


def scorecard_page(
    request: PortalRequest,
    ladder: Ladder,
    part: str,
    context: Mapping[str, Any],
) -> HttpResponse:
    """One part of the pages of a scorecard."""
    scorecard, definition = ladder.scorecard, ladder.definition
    own = {
        "scorecard": scorecard,
        "definition": definition,
        "looks": looks_of(definition),
        "part": part,
        "parts": [(name, title, scorecard_url(scorecard, name)) for name, title in _PARTS],
        "owner": owner_link(definition.owner),
        "may_evaluate": may_edit(request.user, scorecard),
        "builder_url": admin_url(Scorecard, scorecard.pk) if can_administer(request.user) else "",
        "is_stale": is_stale(scorecard, definition.window_h),
        "exemptions": _exemptions(scorecard),
        **context,
    }
    return page(
        request,
        f"scorecards/{part}.html",
        own,
        title=str(scorecard),
        trail=[Crumb("Scorecards", reverse("scorecards:index")), Crumb(str(scorecard))],
    )


def owner_link(owner: str) -> tuple[str, str]:
    """What an owner is called, and where they are; ("", "") for none."""
    if not owner:
        return "", ""
    if "@" in owner:
        return owner, person_url(owner)
    team = Entity.objects.filter(blueprint__identifier=TEAM, identifier=owner).first()
    return (str(team), entity_url(TEAM, owner)) if team else (owner, "")


def is_stale(scorecard: Scorecard, window_h: int) -> bool:
    """Whether it should have been evaluated again long ago."""
    at = scorecard.evaluated_at
    return at is not None and timezone.now() - at > STALE_WINDOWS * timedelta(hours=window_h)


def _exemptions(scorecard: Scorecard) -> dict[str, int]:
    """How many hold, and how many wait for a decision."""
    status = Exemption.Status
    return Exemption.objects.filter(scorecard=scorecard).aggregate(
        held=Count("pk", filter=Q(status=status.APPROVED)),
        asked=Count("pk", filter=Q(status=status.PENDING)),
    )
