"""The rules of scorecards beside the slots of their results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from scorecards.definition import Definition, Level, RuleSpec
from scorecards.formats import definition_of
from scorecards.models import Rule, Scorecard
from scorecards.statuses import Status, status_at

UNKNOWN_EFFORT_H: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class Rung:
    """A rule. rank: of the level it leads to; None for points only. problem: why it cannot be
    evaluated."""

    spec: RuleSpec
    slot: int
    rank: int | None
    problem: str = ""

    @property
    def ease(self) -> Decimal:
        """How much it is worth for an hour of work."""
        return self.spec.weight / (self.spec.effort or UNKNOWN_EFFORT_H)

    def is_announced(self, today: date) -> bool:
        return self.spec.effective_from is not None and today < self.spec.effective_from


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rules of a scorecard in their order."""

    scorecard: Scorecard
    definition: Definition
    rungs: tuple[Rung, ...]

    def rung(self, identifier: str) -> Rung | None:
        return next((one for one in self.rungs if one.spec.identifier == identifier), None)

    @property
    def slots(self) -> dict[str, int]:
        return {one.spec.identifier: one.slot for one in self.rungs}

    def level(self, rank: int) -> Level:
        """An older version may have had more of them."""
        levels = self.definition.levels
        return levels[min(rank, len(levels) - 1)]

    def next_level(self, rank: int) -> Level | None:
        levels = self.definition.levels
        return levels[rank + 1] if rank + 1 < len(levels) else None

    def missing(self, rank: int, statuses: str) -> list[Rung]:
        """Those in the way of the level above `rank`, the easiest first; without levels, all that
        are open."""
        found = [
            rung
            for rung in self.rungs
            if status_at(statuses, rung.slot).blocks
            and (
                not self.definition.has_levels or (rung.rank is not None and rung.rank <= rank + 1)
            )
        ]
        return sorted(found, key=lambda rung: -rung.ease)

    def statuses(self, statuses: str) -> Sequence[tuple[Rung, Status]]:
        return [(rung, status_at(statuses, rung.slot)) for rung in self.rungs]


def ladders_of(scorecards: Iterable[Scorecard]) -> dict[int, Ladder]:
    """By pk of the scorecard; one statement."""
    by_pk = {one.pk: one for one in scorecards}
    rows: dict[int, dict[str, tuple[int, str]]] = {pk: {} for pk in by_pk}
    if by_pk:
        rules = Rule.objects.filter(scorecard__in=by_pk, removed_at=None).order_by()
        for pk, identifier, slot, problem in rules.values_list(
            "scorecard_id", "identifier", "slot", "problem"
        ):
            rows[pk][identifier] = (slot, problem)
    return {pk: _ladder(scorecard, rows[pk]) for pk, scorecard in by_pk.items()}


def ladder_of(scorecard: Scorecard) -> Ladder:
    return ladders_of([scorecard])[scorecard.pk]


def _ladder(scorecard: Scorecard, rows: dict[str, tuple[int, str]]) -> Ladder:
    definition = definition_of(scorecard)
    rungs = []
    for spec in definition.rules:
        if spec.identifier in rows:
            slot, problem = rows[spec.identifier]
            rungs.append(Rung(spec, slot, definition.rank_of(spec.level), problem))
    return Ladder(scorecard, definition, tuple(rungs))
