"""Which scorecards and results somebody may look at."""

from __future__ import annotations

from django.conf import settings
from django.db.models import QuerySet

from catalog.kernel.actors import Principal
from catalog.kernel.errors import InvalidRequest, NotFound
from catalog.kernel.identifiers import is_storable
from catalog.models import Entity
from catalog.services.permissions import WRITERS, Standing
from scorecards.formats import definition_of
from scorecards.models import Score, Scorecard


def visible_scorecards(principal: Principal) -> list[Scorecard]:
    """By title. Drafts are shown to admins and to their owners; archived ones to nobody.

    One statement, and those that look up the teams of a principal where there are drafts.
    """
    if not (principal.is_authenticated and principal.is_active):
        return []
    standing = Standing(principal)
    found = _unarchived().order_by("title", "identifier", "pk")
    return [one for one in found if may_see(one, standing)]


def find_scorecard(
    principal: Principal, identifier: str, blueprint: str | None = None
) -> Scorecard:
    """The scorecard of this name; blueprint: the one it belongs to, "" for one of several kinds,
    None where nobody said.

    Raises NotFound; InvalidRequest when several blueprints have one of this name.
    """
    wanted = _unarchived().filter(identifier=identifier) if is_storable(identifier) else None
    if wanted is None or (blueprint and not is_storable(blueprint)):
        raise NotFound.of("Scorecard", identifier)
    if blueprint is not None:
        wanted = wanted.filter(blueprint__identifier=blueprint or None)
    standing = Standing(principal)
    found = [one for one in wanted if may_see(one, standing)]
    if not found:
        raise NotFound.of("Scorecard", identifier)
    if len(found) > 1:
        names = ", ".join(sorted(one.blueprint.identifier for one in found if one.blueprint))
        raise InvalidRequest(
            f"Several blueprints have a scorecard {identifier}",
            hint="Say which one is meant.",
            details={"field": "blueprint", "value": None, "expected": f"one of {names}"},
        )
    return found[0]


def visible_scores(scorecard: Scorecard, principal: Principal) -> QuerySet[Score]:
    """How the entities that somebody may read do on a scorecard."""
    visible = Entity.objects.visible_to(principal)
    return Score.objects.filter(scorecard=scorecard, entity__in=visible)


def scores_of(entity: Entity, principal: Principal) -> list[Score]:
    """How an entity does on each scorecard that somebody may look at, by title of the scorecard."""
    scores = (
        Score.objects.filter(entity=entity)
        .exclude(scorecard__state=Scorecard.State.ARCHIVED)
        .select_related("scorecard__blueprint")
        .order_by("scorecard__title", "scorecard__identifier", "scorecard_id")
    )
    standing = Standing(principal)
    found = [one for one in scores if may_see(one.scorecard, standing)]
    for one in found:
        one.entity = entity
    return found


def is_owner(scorecard: Scorecard, standing: Standing) -> bool:
    """Whether its definition names the principal or a team of theirs as owner."""
    owner = definition_of(scorecard).owner
    return bool(owner) and (owner.lower() in standing.names or owner in standing.team_names)


def may_see(scorecard: Scorecard, standing: Standing) -> bool:
    """What is active; drafts of one's own; admins, all."""
    if scorecard.state == Scorecard.State.ACTIVE or standing.is_admin:
        return True
    return scorecard.state == Scorecard.State.DRAFT and is_owner(scorecard, standing)


def may_edit(principal: Principal, scorecard: Scorecard) -> bool:
    """Whether somebody may change it, and have it evaluated now: admins, and who owns it (a person,
    by e-mail address, or the members of a team) unless they may only read.
    """
    standing = Standing(principal)
    return standing.is_admin or (standing.role in WRITERS and is_owner(scorecard, standing))


def shows_all_teams(scorecard: Scorecard, principal: Principal) -> bool:
    """Whether teams may be looked at side by side. Where rankings are switched off, for the whole
    site or by `"ranking": false` in the scorecard, only admins and owners see more than their own.
    """
    is_ranked = settings.IDP_SCORECARD_RANKING and scorecard.document.get("ranking") is not False
    standing = Standing(principal)
    return is_ranked or standing.is_admin or is_owner(scorecard, standing)


def _unarchived() -> QuerySet[Scorecard]:
    return Scorecard.objects.exclude(state=Scorecard.State.ARCHIVED).select_related("blueprint")
