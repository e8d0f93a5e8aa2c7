"""Who may see and change what a scorecard says: admins, and its owner."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.kernel.actors import Principal
from catalog.kernel.errors import NotFound, PermissionDenied
from catalog.services.permissions import Standing, require_admin
from scorecards.formats import definition_of
from scorecards.models import Scorecard
from scorecards.selectors.results.visibility import may_edit, may_see


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


def require_save(principal: Principal, scorecard: Scorecard | None) -> None:
    """What there is may be changed by its owner; only admins make new ones (None). Raises as
    `require_edit`.
    """
    if scorecard is None:
        require_admin(principal, "create scorecards")
    else:
        require_edit(principal, scorecard)


def require_evaluate(principal: Principal, scorecard: Scorecard) -> None:
    """Raises PermissionDenied."""
    if not may_edit(principal, scorecard):
        raise PermissionDenied(
            "You may not evaluate this scorecard",
            hint="Its owner and admins may.",
            details={"resource": "Scorecard", "value": scorecard.identifier},
        )


def visible_to(principal: Principal, scorecards: Iterable[Scorecard]) -> list[Scorecard]:
    """Those a principal may know of: what is active, drafts of its own; admins, archived ones too.
    `blueprint` must be loaded.
    """
    standing = Standing(principal)
    return [one for one in scorecards if may_see(one, standing)]


def require_see(principal: Principal, scorecard: Scorecard) -> None:
    """Raises NotFound for what is not visible."""
    if not may_see(scorecard, Standing(principal)):
        raise NotFound.of("Scorecard", scorecard.identifier)
