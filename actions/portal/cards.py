"""The actions that somebody may run, as cards by category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.urls import reverse

from actions.models import Action, Run
from actions.portal.words import OPERATIONS, button_of
from catalog.kernel.html import plain_text
from catalog.portal.sources import Badge
from catalog.services.permissions import actor_of

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

    def fits(self, words: Sequence[str]) -> bool:
        text = " ".join(
            (self.action.title, self.action.identifier, self.description, self.category, self.kind)
        ).lower()
        return all(word in text for word in words)


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    cards: Sequence[Card]


def card_of(action: Action) -> Card:
    document = action.document
    kind = action.blueprint.title or action.blueprint.identifier if action.blueprint else ""
    return Card(
        action=action,
        url=reverse("actions:form", args=[action.identifier]),
        badge=OPERATIONS.get(action.operation, OPERATIONS["CREATE"]),
        button=button_of(action, key="actionCardButtonText"),
        description=plain_text(str(document.get("description") or "")),
        category=str(document.get("category") or kind or GENERAL),
        kind=kind,
        needs_approval=bool(document.get("requiredApproval")),
    )


def grouped(cards: Sequence[Card]) -> list[Group]:
    """By category, in their order of the alphabet; what has none comes last."""
    found: dict[str, list[Card]] = {}
    for card in sorted(cards, key=lambda one: one.action.title.lower()):
        found.setdefault(card.category, []).append(card)
    titles = sorted(found, key=lambda title: (title == GENERAL, title.lower()))
    return [Group(title, found[title]) for title in titles]


def lately_used(principal: Any, cards: Sequence[Card]) -> list[Card]:
    """Those that the person ran last, newest first; one query."""
    mine = Run.objects.filter(created_by=actor_of(principal).name, is_test=False)
    ran = mine.order_by("-pk").values_list("action_id", flat=True)[:RUNS_LOOKED_AT]
    by_pk = {card.action.pk: card for card in cards}
    return [by_pk[pk] for pk in dict.fromkeys(ran) if pk in by_pk][:MAX_LATELY]
