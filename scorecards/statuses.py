"""What a letter of `Score.statuses` means: how an entity does on one rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Status:
    """name: for programs. counts: among the total; is_passed: among the points. blocks: keeps an
    entity from the level of the rule and all above it.
    """

    letter: str
    name: str
    title: str
    counts: bool = False
    is_passed: bool = False
    blocks: bool = False


PASS: Final = Status("P", "pass", "Passed", counts=True, is_passed=True)
FAIL: Final = Status("F", "fail", "Not passed", counts=True, blocks=True)
NO_DATA: Final = Status("N", "no_data", "No data", counts=True, blocks=True)
ERROR: Final = Status("E", "error", "Error", counts=True, blocks=True)
# By the rule's own word, no data may be nothing to count.
IGNORED: Final = Status("n", "ignored", "No data, not counted")
EXEMPT: Final = Status("X", "exempt", "Exempt")
NOT_APPLICABLE: Final = Status("-", "not_applicable", "Does not apply")
# A rule that counts from a later day on: how it would come out today.
ANNOUNCED_PASS: Final = Status("p", "announced_pass", "Would pass")
ANNOUNCED_FAIL: Final = Status("f", "announced_fail", "Would not pass")
ANNOUNCED_NO_DATA: Final = Status("a", "announced_no_data", "Would have no data")
# A rule that the scorecard does not have (any more).
ABSENT: Final = Status(".", "absent", "No such rule")

STATUSES: Final[Mapping[str, Status]] = {
    one.letter: one
    for one in (
        PASS,
        FAIL,
        NO_DATA,
        ERROR,
        IGNORED,
        EXEMPT,
        NOT_APPLICABLE,
        ANNOUNCED_PASS,
        ANNOUNCED_FAIL,
        ANNOUNCED_NO_DATA,
        ABSENT,
    )
}
COUNTED: Final = "".join(one.letter for one in STATUSES.values() if one.counts)
BLOCKING: Final = "".join(one.letter for one in STATUSES.values() if one.blocks)
PASSING: Final = PASS.letter + ANNOUNCED_PASS.letter  # passed, or would be
WANTING: Final = BLOCKING + ANNOUNCED_FAIL.letter + ANNOUNCED_NO_DATA.letter  # the contrary


def status_at(statuses: str | None, slot: int) -> Status:
    """The status of the rule with this slot; ABSENT where the score knows nothing of it."""
    letter = statuses[slot : slot + 1] if statuses else ""
    return STATUSES.get(letter, ABSENT)
