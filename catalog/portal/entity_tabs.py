"""Further tabs and cards of an entity's page: whoever brings one registers it in `AppConfig.ready`.

A tab shows itself only on entities it has something to say of. Its template extends
"catalog/entity/base.html" and fills the block `tab`. A card is a template for the side of the
overview.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.models import Entity
from catalog.portal.shell import PortalRequest
from catalog.selectors.kinds import Kind

Context = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tab:
    """name: the value of `?tab=`. is_shown: cheap, since it is asked on every page. context: what
    the template gets beside that of every tab."""

    name: str
    title: str
    template: str
    is_shown: Callable[[Entity, Kind], bool]
    context: Callable[[PortalRequest, Entity, Kind], Context]


@dataclass(frozen=True, slots=True)
class Card:
    """context: None where the card has nothing to say of the entity."""

    name: str
    template: str
    context: Callable[[PortalRequest, Entity, Kind], Context | None]


_tabs: dict[str, Tab] = {}
_cards: dict[str, Card] = {}


def register_tab(tab: Tab) -> None:
    """Put a tab behind those before it. Raises ValueError when the name is taken."""
    if tab.name in _tabs:
        raise ValueError(f"An entity's page has a tab {tab.name!r} already")
    _tabs[tab.name] = tab


def register_card(card: Card) -> None:
    """Put a card behind those before it. Raises ValueError when the name is taken."""
    if card.name in _cards:
        raise ValueError(f"An entity's page has a card {card.name!r} already")
    _cards[card.name] = card


def tabs_of(entity: Entity, kind: Kind) -> list[Tab]:
    return [tab for tab in _tabs.values() if tab.is_shown(entity, kind)]


def cards_of(request: PortalRequest, entity: Entity, kind: Kind) -> list[tuple[str, Context]]:
    """(template, its context under the name `card`) of each card that has something to say."""
    found = ((card.template, card.context(request, entity, kind)) for card in _cards.values())
    return [(template, context) for template, context in found if context is not None]
