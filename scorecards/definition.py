"""What a scorecard says, whichever format it was written in. `scorecards.formats` reads and writes
it; rules are compiled from it, admins edit it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

DEFAULT_WINDOW_H: Final = 4  # Cortex's
UNKNOWN_EFFORT_H: Final = Decimal(1)


class Language(StrEnum):
    """What a rule's expression is written in."""

    CONDITIONS = "conditions"  # Port's {"combinator", "conditions"}
    CQL = "cql"
    JQ = "jq"  # over the entity's document; must give true


class Missing(StrEnum):
    """What "no data" amounts to."""

    FAIL = "fail"  # counts, and is not passed
    IGNORE = "ignore"  # does not count
    PASS = "pass"  # noqa: S105 - a word, not a password


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entities something is about: those that fit all of it; nothing said means all.

    conditions: Port's {"combinator", "conditions"}. types: blueprints, as Cortex names them ("team"
    is `_team`). groups: see `hasGroup` of CQL. query: CQL.
    """

    conditions: Mapping[str, Any] | None = None
    types: tuple[str, ...] = ()
    types_excluded: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    groups_excluded: tuple[str, ...] = ()
    query: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """title: "" for the level below a ladder ("no level yet")."""

    title: str
    color: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """level: the title of one, "" for a rule that gives points only. expression: text, or the
    object of `Language.CONDITIONS`. effective_from: it is announced before that day, and counts
    from its first minute (UTC) on; effective_until: it counts through that day. effort: estimated,
    in hours; 0 for not said.
    """

    identifier: str
    title: str
    language: Language
    expression: str | Mapping[str, Any]
    description: str = ""
    level: str = ""
    weight: Decimal = Decimal(1)
    filter: Filter | None = None
    missing: Missing = Missing.FAIL
    failure_message: str = ""
    fix_url: str = ""
    effective_from: date | None = None
    effective_until: date | None = None
    owner: str = ""
    effort: Decimal = Decimal(0)

    @property
    def ease(self) -> Decimal:
        """How much it is worth for an hour of work."""
        return self.weight / (self.effort or UNKNOWN_EFFORT_H)

    def is_announced(self, today: date) -> bool:
        return self.effective_from is not None and today < self.effective_from

    def is_over(self, today: date) -> bool:
        return self.effective_until is not None and today > self.effective_until


@dataclass(frozen=True, slots=True)
class Definition:
    """levels: lowest first; everybody starts at the first, which has no rules. A scorecard without
    levels has one, called "". is_lenient: a level without rules is reached with the one below it
    (Port); else it cannot be reached (Cortex). window_h: hours between evaluations of everything.
    longest_exemption_days: 0 for no limit.
    """

    identifier: str
    title: str
    blueprint: str | None = None
    description: str = ""
    state: str = "active"
    owner: str = ""
    levels: tuple[Level, ...] = (Level(""),)
    rules: tuple[RuleSpec, ...] = ()
    filter: Filter = field(default_factory=Filter)
    is_lenient: bool = True
    window_h: int = DEFAULT_WINDOW_H
    exemptions_enabled: bool = True
    exemptions_auto_approved: bool = False
    longest_exemption_days: int = 0
    is_notifying: bool = True
    is_notifying_drops: bool = True

    @property
    def has_levels(self) -> bool:
        return len(self.levels) > 1

    def rank_of(self, title: str) -> int | None:
        """The rank of a level; None when there is no level of this title, or none was named."""
        titles = [one.title for one in self.levels]
        return titles.index(title) if title and title in titles else None

    def level(self, rank: int) -> Level:
        """An older version may have had more of them."""
        return self.levels[min(rank, len(self.levels) - 1)]

    def next_level(self, rank: int) -> Level | None:
        return self.levels[rank + 1] if rank + 1 < len(self.levels) else None

    def is_in_the_way(self, rule: RuleSpec, rank: int) -> bool:
        """Whether a rule that is not passed keeps an entity from the level above `rank`; without
        levels, from points. One of no weight is for information, and keeps nobody back."""
        if not rule.weight:
            return False
        own = self.rank_of(rule.level)
        return not self.has_levels or (own is not None and own <= rank + 1)


def percentage_of(points: Decimal, total: Decimal) -> float | None:
    """None where nothing counts."""
    return float(100 * points / total) if total else None
