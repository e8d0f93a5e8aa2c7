"""The actions that somebody may run, as cards by category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.urls import reverse

from actions.models import Action
from actions.portal.run_list import own_runs
from actions.portal.words import ACTION_TILE, OPERATIONS, TEMPLATE_TILE, button_of
from actions.services.access import Access
from catalog.kernel.actors import Principal
from catalog.kernel.html import markdown
from catalog.kernel.markdown import plain_text
from catalog.portal.sources import Badge

MAX_LATELY: Final = 4
RUNS_LOOKED_AT: Final = 50
GENERAL: Final = "General"


@dataclass(frozen=True, slots=True)
class Card:
    """url: of its form. kind: the title of the blueprint that it is about."""

    action: Action
    url: str
    badge: Badge
    button: str
    description: str
    category: str
    kind: str
    needs_approval: bool

    @property
    def icon(self) -> str:
        return str(self.action.document.get("icon") or "")

    @property
    def tile(self) -> str:
        """What gives its tile the colour, and an icon where it names none."""
        if self.action.blueprint:
            return self.action.blueprint.identifier
        return TEMPLATE_TILE if self.action.template_id else ACTION_TILE

    def fits(self, words: Sequence[str]) -> bool:
        text = " ".join(
            (self.action.title, self.action.identifier, self.description, self.category, self.kind)
        ).lower()
        return all(word in text for word in words)


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    cards: Sequence[Card]


def runnable(access: Access) -> list[Action]:
    """What the person may run, on something at least; as many queries for many as for few."""
    return [
        action
        for action in access.visible_actions()
        if action.is_self_service and action.is_published and access.may_execute(action)
    ]


def card_of(action: Action) -> Card:
    document = action.document
    kind = action.blueprint.title or action.blueprint.identifier if action.blueprint else ""
    return Card(
        action=action,
        url=reverse("actions:form", args=[action.identifier]),
        badge=OPERATIONS.get(action.operation, OPERATIONS["CREATE"]),
        button=button_of(action, key="actionCardButtonText"),
        description=plain_text(markdown(str(document.get("description") or ""))),
        category=_capitalised(str(document.get("category") or kind or GENERAL)),
        kind=kind,
        needs_approval=bool(document.get("requiredApproval")),
    )


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def found(principal: Principal, text: str, *, limit: int) -> list[Card]:
    """The first ones whose words hold all those of `text`; none without any."""
    words = text.lower().split()
    if not words:
        return []
    cards = [card_of(action) for action in runnable(Access(principal))]
    fitting = [card for card in cards if card.fits(words)]
    in_title = [card for card in fitting if all(w in card.action.title.lower() for w in words)]
    return list(dict.fromkeys([*in_title, *fitting]))[:limit]


def grouped(cards: Sequence[Card]) -> list[Group]:
    """By category, in their order of the alphabet; what has none comes last."""
    found: dict[str, list[Card]] = {}
    for card in sorted(cards, key=lambda one: one.action.title.lower()):
        found.setdefault(card.category, []).append(card)
    titles = sorted(found, key=lambda title: (title == GENERAL, title.lower()))
    return [Group(title, found[title]) for title in titles]


def lately_used(principal: Principal, cards: Sequence[Card]) -> list[Card]:
    """Those that the person ran last, newest first; one query."""
    ran = own_runs(principal).values_list("action_id", flat=True)[:RUNS_LOOKED_AT]
    by_pk = {card.action.pk: card for card in cards}
    return [by_pk[pk] for pk in dict.fromkeys(ran) if pk in by_pk][:MAX_LATELY]
