"""Events that automations may listen to: an entity came to another level, or does otherwise on
rules. They are read from what evaluations put into the feed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from catalog.kernel.feed import FeedRow
from catalog.registry import EventKind, Happening
from scorecards.formats import definition_of
from scorecards.models import Scorecard
from scorecards.selectors.history import DOWN, UP
from scorecards.services.evaluating import SCORE
from scorecards.statuses import STATUSES

_COUNTED: Final = frozenset(one.name for one in STATUSES.values() if one.counts)
_PASSED: Final = frozenset(one.name for one in STATUSES.values() if one.is_passed)


def level_changes(rows: Sequence[FeedRow]) -> list[Happening]:
    """Entities that came to another level; at most one statement."""
    told = [row for row in rows if row.after and "level" in row.after]
    ranks = _ranks({row.after["scorecard"] for row in told if row.after})
    return [_happening(row, direction=_direction(row, ranks)) for row in told]


def rule_changes(rows: Sequence[FeedRow]) -> list[Happening]:
    """Entities for which rules came to be passed or not to be."""
    told = (_happening(row) for row in rows)
    return [one for one in told if one.document["broken"] or one.document["mended"]]


KINDS: Final = (
    EventKind(
        name="SCORECARD_LEVEL_CHANGED",
        title="An entity came to another level of a scorecard",
        model=SCORE,
        read=level_changes,
        required=("scorecardIdentifier",),
        optional=("blueprintIdentifier", "direction"),
    ),
    EventKind(
        name="SCORECARD_RULE_CHANGED",
        title="An entity came to pass rules of a scorecard, or to pass them no more",
        model=SCORE,
        read=rule_changes,
        required=("scorecardIdentifier",),
        optional=("blueprintIdentifier",),
    ),
)


def _happening(row: FeedRow, *, direction: str = "") -> Happening:
    before, after = row.before or {}, row.after or {}
    keys = {"scorecardIdentifier": after["scorecard"], "blueprintIdentifier": row.blueprint}
    broken, mended = _turned(before.get("rules", {}), after.get("rules", {}))
    document: dict[str, Any] = {
        "action": "UPDATE",
        "resourceType": "scorecard",
        "context": {
            "blueprintIdentifier": row.blueprint,
            "entityIdentifier": row.identifier,
            "scorecardIdentifier": after["scorecard"],
        },
        "diff": {"before": before, "after": after},
        "broken": broken,
        "mended": mended,
    }
    if direction:
        keys["direction"] = document["direction"] = direction
    return Happening(row, keys, document)


def _turned(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Rules that are not passed any more, and those that are now; both sides must count."""
    counted = [name for name in after if {after[name], before.get(name, "")} <= _COUNTED]
    broken = [name for name in counted if before[name] in _PASSED and after[name] not in _PASSED]
    mended = [name for name in counted if before[name] not in _PASSED and after[name] in _PASSED]
    return broken, mended


def _direction(row: FeedRow, ranks: Mapping[str, Sequence[Mapping[str, int]]]) -> str:
    """UP or DOWN; "" where the levels are not those of the scorecard any more."""
    before, after = (row.before or {}).get("level"), (row.after or {})["level"]
    for known in ranks.get((row.after or {})["scorecard"], ()):
        if before is not None and before in known and after in known:
            return UP if known[after] > known[before] else DOWN
    return ""


def _ranks(identifiers: set[str]) -> dict[str, list[dict[str, int]]]:
    """By identifier: {level: rank} of each scorecard of this name."""
    found: dict[str, list[dict[str, int]]] = {}
    scorecards = Scorecard.objects.filter(identifier__in=identifiers).select_related("blueprint")
    for scorecard in scorecards if identifiers else ():
        levels = definition_of(scorecard).levels
        known = {level.title: rank for rank, level in enumerate(levels)}
        found.setdefault(scorecard.identifier, []).append(known)
    return found
