"""Who may see and change what a scorecard says: admins, and its owner."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.kernel.actors import Principal
from catalog.kernel.errors import NotFound, PermissionDenied
from catalog.services.permissions import WRITERS, Standing, require_admin
from scorecards.formats import definition_of
from scorecards.models import Scorecard
from scorecards.selectors.results.visibility import is_owner


def may_edit(principal: Principal, scorecard: Scorecard) -> bool:
    """Admins, and who owns it: a person, by e-mail address, or the members of a team."""
    return _may_edit(Standing(principal), scorecard)


def require_edit(principal: Principal, scorecard: Scorecard) -> None:
    """Raises NotAuthenticated or PermissionDenied; NotFound for a draft that is not to be seen."""
    require_see(principal, scorecard)
    if may_edit(principal, scorecard):
        return
    if principal.is_authenticated and definition_of(scorecard).owner:
        raise PermissionDenied(
            f"You may not change the scorecard {scorecard.identifier}",
            hint="Its owner and admins may.",
        )
    require_admin(principal, "change scorecards")


def visible_to(principal: Principal, scorecards: Iterable[Scorecard]) -> list[Scorecard]:
    """Those a principal may know of: what is active, drafts of its own; admins, archived ones too.
    `blueprint` must be loaded.
    """
    standing = Standing(principal)
    return [one for one in scorecards if _may_see(standing, one)]


def require_see(principal: Principal, scorecard: Scorecard) -> None:
    """Raises NotFound for what is not visible."""
    if not _may_see(Standing(principal), scorecard):
        raise NotFound.of("Scorecard", scorecard.identifier)


def _may_edit(standing: Standing, scorecard: Scorecard) -> bool:
    return standing.is_admin or (standing.role in WRITERS and is_owner(scorecard, standing))


def _may_see(standing: Standing, scorecard: Scorecard) -> bool:
    if scorecard.state == Scorecard.State.ACTIVE:
        return True
    is_draft = scorecard.state == Scorecard.State.DRAFT
    return standing.is_admin or (is_draft and is_owner(scorecard, standing))
