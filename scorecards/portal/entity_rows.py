"""The entities of a scorecard as an address asks for them, and as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.http import QueryDict

from catalog.kernel.actors import Principal
from catalog.kernel.identifiers import is_storable
from catalog.kernel.keyset import Keyset
from catalog.portal.values import read_number
from catalog.selectors.tables import Target, owner_titles
from scorecards.definition import percentage_of
from scorecards.models import Score
from scorecards.portal.words import Look, look_at, sign_of
from scorecards.selectors.results import Ladder, Narrowing, Rung
from scorecards.selectors.results.lists import (
    BY_NAME,
    HIGHEST_FIRST,
    LOWEST_FIRST,
    OPEN,
)
from scorecards.statuses import STATUSES, Status

MAX_TEXT: Final = 200
ORDERS: Final[Mapping[str, tuple[str, Keyset]]] = {
    "": ("By name", BY_NAME),
    "highest": ("Highest level first", HIGHEST_FIRST),
    "lowest": ("Lowest level first", LOWEST_FIRST),
}
_OFFERED: Final = (
    *("pass", "fail", "no_data", "error", "exempt", "not_applicable"),
    *("announced_pass", "announced_fail"),
)
STATUS_CHOICES: Final[Sequence[tuple[str, str]]] = (
    (OPEN, "Not passed"),
    *((one.name, sign_of(one).words) for one in STATUSES.values() if one.name in _OFFERED),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A list as the address of its page says it; "" asks for all."""

    rank: int | None = None
    rule: str = ""
    status: str = ""
    team: str = ""
    text: str = ""
    order: str = ""

    @classmethod
    def read(cls, params: QueryDict, ladder: Ladder) -> Asked:
        """What makes no sense is left out."""
        rank = read_number(params.get("level", ""))
        rule = _text(params, "rule")
        status, order = params.get("status", ""), params.get("order", "")
        return cls(
            rank=rank if rank is not None and rank < len(ladder.definition.levels) else None,
            rule=rule if ladder.rung(rule) else "",
            status=status if status in dict(STATUS_CHOICES) else "",
            team=_text(params, "team"),
            text=_text(params, "q"),
            order=order if order in ORDERS else "",
        )

    @property
    def is_narrowed(self) -> bool:
        return self != Asked(order=self.order)

    @property
    def keyset(self) -> Keyset:
        return ORDERS[self.order][1]

    def narrowing(self, ladder: Ladder) -> Narrowing:
        rung = ladder.rung(self.rule)
        return Narrowing(
            rank=self.rank,
            slot=rung.slot if rung else None,
            status=self.status,
            team=self.team,
            text=self.text,
        )


@dataclass(frozen=True, slots=True)
class EntityRow:
    """missing: the rules in the way of the level `next`; cells: of each rule in their order."""

    score: Score
    level: Look
    next: Look | None
    missing: Sequence[Rung]
    owners: Sequence[Target]
    cells: Sequence[tuple[Rung, Status]]

    @property
    def percentage(self) -> float | None:
        return percentage_of(self.score.points, self.score.total)


def entity_rows(ladder: Ladder, scores: Iterable[Score], principal: Principal) -> list[EntityRow]:
    """At most one statement, for the names of owners."""
    scores = list(scores)
    owners = owner_titles(principal, [score.entity.team for score in scores])
    return [
        EntityRow(
            score=score,
            level=look_at(ladder.definition, score.rank),
            next=look_at(ladder.definition, score.rank + 1)
            if ladder.definition.next_level(score.rank)
            else None,
            missing=ladder.missing(score.rank, score.statuses),
            owners=[owners[team] for team in score.entity.team],
            cells=ladder.statuses(score.statuses),
        )
        for score in scores
    ]


def _text(params: QueryDict, name: str) -> str:
    value = params.get(name, "").strip()[:MAX_TEXT]
    return value if is_storable(value) else ""
