"""The scorecard, the entity and the time that a call names."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from catalog.api import params
from catalog.api.base import ApiView
from catalog.api.openapi import query
from catalog.kernel.errors import NotFound
from catalog.models import Entity
from catalog.selectors.documents import timestamp
from catalog.selectors.entity_page import find_entity
from scorecards.models import Scorecard
from scorecards.selectors.results import find_scorecard

OF_BLUEPRINT: Final = query(
    "blueprint",
    "The blueprint the scorecard belongs to, where several have one of this name; empty for one of "
    "none.",
)


def asked_scorecard(view: ApiView, identifier: str) -> Scorecard:
    """The one of this name that the caller may see. Raises NotFound, InvalidRequest."""
    is_said = "blueprint" in view.request.query_params
    blueprint = params.text(view.request, "blueprint") if is_said else None
    return find_scorecard(view.principal, identifier, blueprint)


def asked_entity(view: ApiView, blueprint: str, identifier: str) -> Entity:
    """One that the caller may see. Raises NotFound."""
    found = find_entity(view.principal, blueprint, identifier)
    if found is None:
        raise NotFound.of("Entity", identifier)
    return found


def before(moment: datetime, span: timedelta, name: str) -> datetime:
    """So long before the moment that the parameter `name` gives. Raises InvalidRequest."""
    try:
        return moment - span
    except OverflowError:
        raise params.wrong(name, timestamp(moment), "a later moment") from None
