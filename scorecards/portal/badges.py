"""The picture that shows the level of an entity, for whoever is logged in."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response

from catalog.kernel.actors import Principal
from catalog.kernel.errors import NotFound
from catalog.models import Entity
from catalog.selectors.entity_page import find_entity
from scorecards.definition import percentage_of
from scorecards.formats import definition_of
from scorecards.models import Score, Scorecard
from scorecards.portal import drawing
from scorecards.portal.words import Look, look_at, percent
from scorecards.selectors.results import find_scorecard

_UNKNOWN: Final = Look("no result", "#9aa5b4")


def badge_of(
    principal: Principal, scorecard: str, blueprint: str, entity: str
) -> tuple[Scorecard, Entity, str]:
    """The scorecard, the entity and the picture. The scorecard is the one of the entity's
    blueprint, or else one of several kinds. Raises NotFound.
    """
    found = find_entity(principal, blueprint, entity)
    if found is None:
        raise NotFound.of("Entity", entity)
    try:
        about = find_scorecard(principal, scorecard, blueprint)
    except NotFound:
        about = find_scorecard(principal, scorecard, "")
    score = Score.objects.filter(scorecard=about, entity=found).first()
    return about, found, drawing.badge(str(about), _look(about, score))


def svg_response(request: HttpRequest, svg: str) -> HttpResponseBase:
    """The picture, or 304 where the caller has it."""
    etag = f'"{blake2b(svg.encode(), digest_size=12).hexdigest()}"'
    response = HttpResponse(svg, content_type="image/svg+xml; charset=utf-8")
    response["ETag"] = etag
    response["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    conditional: HttpResponseBase | None = get_conditional_response(
        request, etag=etag, response=response
    )
    return conditional or response


def _look(scorecard: Scorecard, score: Score | None) -> Look:
    if score is None:
        return _UNKNOWN
    definition = definition_of(scorecard)
    look = look_at(definition, score.rank)
    if definition.has_levels:
        return look
    share = percentage_of(score.points, score.total)
    return Look(percent(share) if share is not None else "no score", look.colour)
