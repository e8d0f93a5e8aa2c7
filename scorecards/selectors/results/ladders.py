"""The rules of scorecards beside the slots of their results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scorecards.definition import Definition, RuleSpec
from scorecards.formats import definition_of
from scorecards.models import Rule, Scorecard
from scorecards.statuses import Status, status_at


@dataclass(frozen=True, slots=True)
class Rung:
    """A rule. rank: of the level it leads to; None for points only. problem: why it cannot be
    evaluated."""

    spec: RuleSpec
    slot: int
    rank: int | None
    problem: str = ""


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

    def missing(self, rank: int, statuses: str) -> list[Rung]:
        """Those in the way of the level above `rank`, the easiest first; without levels, all that
        are open."""
        found = [
            rung
            for rung in self.rungs
            if status_at(statuses, rung.slot).blocks
            and self.definition.is_in_the_way(rung.spec, rank)
        ]
        return sorted(found, key=lambda rung: -rung.spec.ease)

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
