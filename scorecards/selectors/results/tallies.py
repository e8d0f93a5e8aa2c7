"""How many entities do how well: of a whole scorecard, or by team, kind or domain."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.db.models import Count, F, Func, QuerySet, Subquery, Sum, TextField, Value

from catalog.kernel.actors import Principal
from catalog.models import Entity
from catalog.selectors.sql import Sql
from scorecards.definition import percentage_of
from scorecards.models import Rollup, Score, Scorecard
from scorecards.selectors.results.visibility import visible_scores
from scorecards.statuses import STATUSES, Status


@dataclass(slots=True)
class Tally:
    """Entities counted. ranks: at each rank. letters: {slot: {letter of a status: entities}}.
    points of total: sums over the entities.
    """

    entities: int = 0
    ranks: Counter[int] = field(default_factory=Counter)
    letters: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    points: Decimal = Decimal(0)
    total: Decimal = Decimal(0)

    @property
    def percentage(self) -> float | None:
        return percentage_of(self.points, self.total)

    def of_rule(self, slot: int) -> RuleTally:
        return RuleTally({STATUSES[letter]: n for letter, n in self.letters[slot].items()})

    def add(self, rank: int, statuses: str, entities: int, points: Decimal, total: Decimal) -> None:
        self.entities += entities
        self.ranks[rank] += entities
        self.points += points
        self.total += total
        for slot, letter in enumerate(statuses):
            self.letters[slot][letter] += entities


@dataclass(frozen=True, slots=True)
class RuleTally:
    """How entities do on one rule: how many have which status."""

    statuses: Mapping[Status, int]

    @property
    def counted(self) -> int:
        return sum(n for status, n in self.statuses.items() if status.counts)

    @property
    def passed(self) -> int:
        return sum(n for status, n in self.statuses.items() if status.is_passed)

    @property
    def share(self) -> float | None:
        """Of those it counts for, how many pass, in per cent."""
        return 100 * self.passed / self.counted if self.counted else None

    def named(self, name: str) -> int:
        return sum(n for status, n in self.statuses.items() if status.name == name)


@dataclass(frozen=True, slots=True)
class LevelCounts:
    """Entities of a scorecard at each rank. points of total: sums over them."""

    entities: int = 0
    ranks: Mapping[int, int] = field(default_factory=dict)
    points: Decimal = Decimal(0)
    total: Decimal = Decimal(0)

    @property
    def percentage(self) -> float | None:
        return percentage_of(self.points, self.total)


def distribution(scorecard: Scorecard, principal: Principal) -> Tally:
    """All entities of a scorecard that somebody may read; one statement."""
    tally = Tally()
    for row in _counted(visible_scores(scorecard, principal)):
        tally.add(*row)
    return tally


def tallies_of(
    scorecard: Scorecard,
    principal: Principal,
    kind: str,
    *,
    only: Sequence[str] | None = None,
) -> dict[str, Tally]:
    """By team, kind or domain, as `Rollup.Kind` names them: by its identifier, "" for entities that
    have none. An entity of several teams counts in each. only: these teams.

    One statement. Which domains entities lead to takes long to find out: theirs are of the newest
    roll-up.
    """
    if kind == Rollup.Kind.DOMAIN:
        return _rolled_up(scorecard, kind)
    scores = visible_scores(scorecard, principal)
    if only is not None:
        scores = scores.filter(entity__team__overlap=list(only))
    found: defaultdict[str, Tally] = defaultdict(Tally)
    for group, *row in _counted(scores, _GROUPS[Rollup.Kind(kind)]):
        if only is None or group in only:
            found[group].add(*row)
    return found


def _rolled_up(scorecard: Scorecard, kind: str) -> dict[str, Tally]:
    rollups = Rollup.objects.filter(scorecard=scorecard, kind=kind)
    newest = rollups.order_by("-day").values("day")[:1]
    return {
        one.group: Tally(
            entities=one.entities,
            ranks=Counter(dict(enumerate(one.ranks))),
            letters=defaultdict(
                Counter, {int(slot): Counter(letters) for slot, letters in one.rules.items()}
            ),
            points=one.points,
            total=one.total,
        )
        for one in rollups.filter(day=Subquery(newest)).order_by("group")
    }


def counts_by_level(
    scorecards: Iterable[Scorecard], principal: Principal
) -> dict[int, LevelCounts]:
    """How many entities of each scorecard are at which rank, by pk of the scorecard; one
    statement."""
    scores = Score.objects.filter(
        scorecard__in=[one.pk for one in scorecards],
        entity__in=Entity.objects.visible_to(principal),
    )
    return {key[0]: counts for key, counts in _by_level(scores, "scorecard_id").items()}


def counts_of_teams(
    scorecards: Iterable[Scorecard], principal: Principal, teams: Sequence[str]
) -> dict[int, LevelCounts]:
    """As `counts_by_level`, of what any of the teams owns."""
    scores = Score.objects.filter(
        scorecard__in=[one.pk for one in scorecards],
        entity__in=Entity.objects.visible_to(principal).owned_by(list(teams)),
    )
    return {key[0]: counts for key, counts in _by_level(scores, "scorecard_id").items()}


def _by_level(scores: QuerySet[Score], *keys: str) -> dict[tuple[Any, ...], LevelCounts]:
    rows = (
        scores.order_by()
        .values_list(*keys, "rank")
        .annotate(count=Count("pk"), sum_points=Sum("points"), sum_total=Sum("total"))
    )
    ranks: dict[tuple[Any, ...], dict[int, int]] = {}
    sums: dict[tuple[Any, ...], tuple[Decimal, Decimal]] = {}
    for *key, rank, count, points, total in rows:
        name = tuple(key)
        ranks.setdefault(name, {})[rank] = count
        before = sums.get(name, (Decimal(0), Decimal(0)))
        sums[name] = (before[0] + points, before[1] + total)
    return {
        name: LevelCounts(sum(by_rank.values()), by_rank, *sums[name])
        for name, by_rank in ranks.items()
    }


class _Each(Func):
    """A row for each element."""

    function = "unnest"
    set_returning = True
    output_field = TextField()


_NOBODY: Final = Value([""], output_field=ArrayField(TextField()))
_GROUPS: Final[Mapping[Rollup.Kind, Any]] = {
    Rollup.Kind.TEAM: _Each(
        Sql(
            "CASE WHEN cardinality({}) = 0 THEN {}::varchar[] ELSE {} END",
            F("entity__team"),
            _NOBODY,
            F("entity__team"),
            output_field=ArrayField(TextField()),
        )
    ),
    Rollup.Kind.BLUEPRINT: F("entity__blueprint__identifier"),
}


def _counted(scores: QuerySet[Score], group: Any = None) -> Iterable[tuple[Any, ...]]:
    """([group,] rank, statuses, entities, points, total): those alike in one row."""
    keys = ["rank", "statuses"]
    if group is not None:
        scores = scores.annotate(group=group)
        keys = ["group", *keys]
    return (
        scores.order_by()
        .values_list(*keys)
        .annotate(count=Count("pk"), sum_points=Sum("points"), sum_total=Sum("total"))
    )
