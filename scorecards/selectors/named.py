"""Scorecards by their names."""

from __future__ import annotations

from django.db.models import QuerySet

from catalog.kernel.errors import Conflict, NotFound, shorten
from catalog.kernel.identifiers import is_storable
from scorecards.models import Scorecard


def scorecards(*, is_locked: bool) -> QuerySet[Scorecard]:
    """All, with their blueprints. is_locked: to be changed, in a transaction."""
    found = Scorecard.objects.select_related("blueprint")
    return found.select_for_update(of=("self",)) if is_locked else found


def locked(pk: int) -> Scorecard:
    """To be changed, in a transaction."""
    return scorecards(is_locked=True).get(pk=pk)


def get_scorecard(blueprint: str, identifier: str, *, is_locked: bool = False) -> Scorecard:
    """is_locked: to be changed. Raises NotFound."""
    found = scorecards(is_locked=is_locked).filter(
        blueprint__identifier=blueprint, identifier=identifier
    )
    scorecard = found.first() if is_storable(blueprint) and is_storable(identifier) else None
    if scorecard is None:
        raise NotFound.of("Scorecard", identifier)
    return scorecard


def find_scorecard(identifier: str, *, is_locked: bool = False) -> Scorecard:
    """By its identifier alone. Raises NotFound, and Conflict where several blueprints have one."""
    found: list[Scorecard] = []
    if is_storable(identifier):
        named = scorecards(is_locked=is_locked).filter(identifier=identifier)
        found = list(named.order_by("pk")[:20])
    if not found:
        raise NotFound.of("Scorecard", identifier)
    if len(found) > 1:
        blueprints = ", ".join(str(one.blueprint.identifier) for one in found if one.blueprint)
        raise Conflict(
            f'Several blueprints have a scorecard "{shorten(identifier)}": {blueprints}',
            hint="Name the blueprint: /v1/blueprints/{blueprint}/scorecards/{scorecard}.",
            details={"resource": "Scorecard", "value": shorten(identifier)},
        )
    return found[0]
