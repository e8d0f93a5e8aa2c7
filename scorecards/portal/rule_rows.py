"""The rules of a scorecard with how the entities do on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from scorecards.portal.words import Look, look_at
from scorecards.selectors.results import Ladder, RuleTally, Rung, Tally


@dataclass(frozen=True, slots=True)
class RuleRow:
    """level: None for a rule that gives points only."""

    rung: Rung
    tally: RuleTally
    level: Look | None

    @property
    def passed(self) -> int:
        return self.tally.passed

    @property
    def no_data(self) -> int:
        return self.tally.named("no_data") + self.tally.named("ignored")

    @property
    def errors(self) -> int:
        return self.tally.named("error")

    @property
    def exempt(self) -> int:
        return self.tally.named("exempt")

    @property
    def open(self) -> int:
        return self.tally.named("fail")

    @property
    def would_pass(self) -> int:
        return self.tally.named("announced_pass")

    @property
    def would_not(self) -> int:
        return self.tally.named("announced_fail") + self.tally.named("announced_no_data")


def rule_rows(ladder: Ladder, tally: Tally) -> tuple[Sequence[RuleRow], Sequence[RuleRow]]:
    """Those that count, the least passed first; and those that will count from a day on."""
    today = timezone.now().date()
    counting: list[RuleRow] = []
    announced: list[RuleRow] = []
    for rung in ladder.rungs:
        level = look_at(ladder.definition, rung.rank) if rung.rank is not None else None
        row = RuleRow(rung, tally.of_rule(rung.slot), level)
        (announced if rung.spec.is_announced(today) else counting).append(row)
    counting.sort(key=lambda row: (row.tally.share is None, row.tally.share or 0))
    announced.sort(key=lambda row: row.rung.spec.effective_from or today)
    return counting, announced
