"""What would come of a scorecard, as its page and the step before saving it show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Any, Final

from catalog.kernel.actors import Principal
from scorecards.models import Scorecard
from scorecards.portal.words import Look, look_of
from scorecards.services.drafting import Draft
from scorecards.services.previewing import LevelPreview, Movement, Preview, RulePreview, preview
from scorecards.statuses import STATUSES

MANY_LOWERED: Final = 10  # entities
LARGE_SHARE: Final = 0.1  # of those that had a level
MAX_NAMES: Final = 20
_BY_NAME: Final = {one.name: one for one in STATUSES.values()}


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule with how many pass it, then and now. of: entities that it counts for, or would count
    for from a later day on. was: None for a new rule. unknown: without data, in per cent of them.
    """

    preview: RulePreview
    passed: int
    of: int
    was: int | None
    was_of: int
    unknown: int
    unknown_share: int
    exempt: int

    @property
    def share(self) -> int:
        return round(100 * self.passed / self.of) if self.of else 0

    @property
    def missing(self) -> int:
        return self.of - self.passed

    @property
    def change(self) -> int:
        """By how many more pass it than did."""
        return 0 if self.was is None else self.passed - self.was

    @property
    def text(self) -> str:
        """In a few words."""
        if self.preview.problem:
            return "no data"
        words = (
            f"{self.passed} of {self.of} {'would pass' if self.preview.is_announced else 'pass'}"
        )
        return f"{words}, {self.unknown} without data" if self.unknown else words


@dataclass(frozen=True, slots=True)
class Move:
    """key: for programs; title, tone: for people; movement: which entities."""

    key: str
    title: str
    tone: str
    movement: Movement


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A preview and what there is to say about the draft that it is of."""

    draft: Draft
    preview: Preview
    rules: tuple[RuleLine, ...]
    moves: tuple[Move, ...]

    @property
    def lowers_many(self) -> bool:
        """Whether publishing it should be thought over."""
        lowered = self.preview.lowered.count
        return lowered > MANY_LOWERED or lowered > LARGE_SHARE * self.preview.was_entities

    @property
    def levels(self) -> list[tuple[Look, LevelPreview]]:
        """Each with how it is drawn, lowest first."""
        found = self.preview.levels
        return [(look_of(one.level, rank, len(found)), one) for rank, one in enumerate(found)]

    @property
    def is_still(self) -> bool:
        return not any(one.movement.count for one in self.moves)


def what_if(draft: Draft, current: Scorecard | None, principal: Principal) -> WhatIf:
    """Raises what the preview raises."""
    found = preview(draft.definition, current=current, principal=principal, limit=MAX_NAMES)
    return WhatIf(
        draft,
        found,
        tuple(map(_line, found.rules)),
        (
            Move("lowered", "Drop to a lower level", "orange", found.lowered),
            Move("raised", "Rise to a higher level", "green", found.raised),
            Move("entered", "Come in", "blue", found.entered),
            Move("left", "Leave", "lightGray", found.left),
        ),
    )


def told_of(shown: WhatIf) -> dict[int, dict[str, str]]:
    """What the builder's rows say of their rules, by their place in the document."""
    places = {
        rule.identifier: place
        for rule, place in zip(shown.draft.definition.rules, shown.draft.places, strict=True)
    }
    return {places[one.preview.identifier]: {"text": one.text} for one in shown.rules}


def dated(document: Mapping[str, Any], day: date, current: Scorecard | None) -> dict[str, Any]:
    """The document with those rules that are new counting from `day` on. One that asks something
    else than it does counts as it is until then, and what it is to ask stands after it.
    """
    held = {one.get("identifier"): one for one in current.document["rules"]} if current else {}
    taken = {one.get("identifier") for one in document["rules"]}
    rules: list[Any] = []
    for rule in document["rules"]:
        before = held.get(rule.get("identifier"))
        if before is None:
            rules.append({**rule, "effectiveFrom": day.isoformat()})
        elif all(rule.get(key) == before.get(key) for key in _ASKED):
            rules.append(rule)
        else:
            name = _free(str(rule["identifier"]), taken)
            rules.append({**before, "effectiveUntil": (day - timedelta(days=1)).isoformat()})
            rules.append({**rule, "identifier": name, "effectiveFrom": day.isoformat()})
    return {**document, "rules": rules}


_ASKED: Final = ("query", "expression", "jq", "level", "weight", "missing", "filter")


def _free(name: str, taken: set[Any]) -> str:
    free = next(one for n in count(2) if (one := f"{name}_{n}") not in taken)
    taken.add(free)
    return free


def _line(rule: RulePreview) -> RuleLine:
    passed, of, unknown = _counts(rule.now)
    was, was_of, _ = _counts(rule.was)
    return RuleLine(
        rule,
        passed,
        of,
        was if rule.was else None,
        was_of,
        unknown,
        round(100 * unknown / of) if of else 0,
        rule.now.get("exempt", 0),
    )


def _counts(statuses: Mapping[str, int]) -> tuple[int, int, int]:
    """(passed, counted, without data); what is announced counts as if its day had come."""
    passed = statuses.get("pass", 0) + statuses.get("announced_pass", 0)
    unknown = sum(statuses.get(name, 0) for name in ("no_data", "announced_no_data", "error"))
    counted = sum(
        count
        for name, count in statuses.items()
        if _BY_NAME[name].counts or name.startswith("announced")
    )
    return passed, counted, unknown
