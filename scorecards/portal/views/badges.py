"""Badges as pictures."""

from __future__ import annotations

from django.http import HttpResponseBase
from django.views.decorators.http import require_GET

from catalog.portal.shell import PortalRequest, portal_view
from scorecards.portal.badges import badge_of, svg_response


@portal_view
@require_GET
def badge(request: PortalRequest, scorecard: str, blueprint: str, entity: str) -> HttpResponseBase:
    """The level of an entity."""
    _, _, svg = badge_of(request.user, scorecard, blueprint, entity)
    return svg_response(request, svg)
