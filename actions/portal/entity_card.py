"""The card of an entity's page: what can be done with it, and what was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse

from actions.portal.cards import card_of
from actions.portal.run_list import rows_of, runs_on
from actions.services.access import Access
from catalog.models import Entity
from catalog.portal.entity_tabs import Card
from catalog.portal.shell import PortalRequest
from catalog.selectors.kinds import Kind

RUNS: Final = 5


def context(request: PortalRequest, entity: Entity, kind: Kind) -> Mapping[str, Any] | None:
    """None where there is nothing to do, and nothing was done."""
    access = Access(request.user)
    cards = [card_of(action) for action in access.offered_on(entity)]
    runs = runs_on(access.visible_runs(), kind.identifier, entity.identifier)[:RUNS]
    rows = rows_of(runs)
    if not cards and not rows:
        return None
    query = urlencode({"entity": entity.identifier})
    offered = [
        (card, f"{card.url}?{query}")
        for card in sorted(cards, key=lambda one: one.action.title.lower())
    ]
    of_entity = urlencode({"blueprint": kind.identifier, "entity": entity.identifier})
    return {
        "actions": [one for one in offered if one[0].action.operation != "DELETE"],
        "deletes": [one for one in offered if one[0].action.operation == "DELETE"],
        "rows": rows,
        "runs_url": f"{reverse('actions:runs')}?{of_entity}",
    }


CARD: Final = Card("actions", "actions/entity_card.html", context)
