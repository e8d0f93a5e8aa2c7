"""What to do next: the rules that stand between entities and their next level, nearest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection

from catalog.kernel.actors import Principal
from catalog.models import Entity
from catalog.selectors.teams import teams_of
from scorecards.definition import Level
from scorecards.models import Score, Scorecard
from scorecards.selectors.results.explaining import Explained, ExplainedRule
from scorecards.selectors.results.ladders import Ladder, Rung, ladders_of
from scorecards.selectors.results.visibility import visible_scorecards
from scorecards.statuses import BLOCKING

# The rules in the way of each entity's next level. A level is reached when those of all levels up
# to it are passed, so that only rules of the next one can be in the way.
_NEAREST = """
WITH owned AS MATERIALIZED (
    SELECT s.id, s.scorecard_id, s.rank, s.statuses FROM scorecards_score s
    WHERE s.entity_id IN (SELECT e.id FROM catalog_entity e WHERE e.team && %(teams)s::varchar[])
)
SELECT s.id, count(*) AS missing FROM owned s
JOIN unnest(%(scorecards)s::bigint[], %(ranks)s::int[], %(slots)s::int[], %(ease)s::float[])
    AS r(scorecard_id, rank, slot, ease) ON r.scorecard_id = s.scorecard_id AND r.rank = s.rank + 1
WHERE strpos(%(blocking)s, substr(s.statuses, r.slot + 1, 1)) > 0
  AND substr(s.statuses, r.slot + 1, 1) <> ''
GROUP BY s.id ORDER BY missing, max(r.ease) DESC, s.id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class NextStep:
    """missing: how many rules are in the way of `level`, this one among them; level: None for a
    rule of a scorecard without levels."""

    explained: Explained
    rule: ExplainedRule
    missing: int

    @property
    def level(self) -> Level | None:
        return self.explained.next_level


@dataclass(frozen=True, slots=True)
class Gap:
    """An entity of somebody's teams on a scorecard, with the rules in the way of its next level;
    the first is the one to start with."""

    score: Score
    ladder: Ladder
    missing: Sequence[Rung]

    @property
    def next_rank(self) -> int:
        return self.score.rank + 1

    @property
    def level(self) -> Level | None:
        return self.ladder.definition.next_level(self.score.rank)


def next_steps(explained: Iterable[Explained], limit: int = 3) -> list[NextStep]:
    """The nearest rules of an entity over its scorecards: those of the scorecard that has the
    fewest in the way of the next level first; of these, the most weight for the least effort.
    """
    steps = [NextStep(one, rule, len(one.missing)) for one in explained for rule in one.missing]
    steps.sort(key=lambda step: (step.missing, -step.rule.spec.ease))
    return steps[:limit]


def gaps_of(principal: Principal, *, limit: int) -> list[Gap]:
    """What the principal's teams own that has a next level to reach, the nearest first.

    As many statements for many scorecards and entities as for few.
    """
    teams = teams_of(getattr(principal, "email", "") or "")
    return gaps_of_teams(principal, teams, limit=limit)


def gaps_of_teams(principal: Principal, teams: Sequence[str], *, limit: int) -> list[Gap]:
    """See `gaps_of`. teams: identifiers."""
    scorecards = visible_scorecards(principal) if teams else []
    ladders = ladders_of(one for one in scorecards if one.state == Scorecard.State.ACTIVE)
    wanted = [
        (pk, _rank(ladder, rung), rung.slot, float(rung.spec.ease))
        for pk, ladder in ladders.items()
        for rung in ladder.rungs
        if _rank(ladder, rung)
    ]
    if not wanted:
        return []
    pks, ranks, slots, ease = zip(*wanted, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            _NEAREST,
            {
                "scorecards": [*pks],
                "ranks": [*ranks],
                "slots": [*slots],
                "ease": [*ease],
                "teams": list(teams),
                "blocking": BLOCKING,
                "limit": limit,
            },
        )
        order = {pk: number for number, (pk, _) in enumerate(cursor.fetchall())}
    scores = Score.objects.filter(
        pk__in=order, entity__in=Entity.objects.visible_to(principal)
    ).select_related("entity__blueprint")
    found = []
    for one in sorted(scores, key=lambda one: order[one.pk]):
        ladder = ladders[one.scorecard_id]
        one.scorecard = ladder.scorecard
        found.append(Gap(one, ladder, ladder.missing(one.rank, one.statuses)))
    return found


def _rank(ladder: Ladder, rung: Rung) -> int | None:
    """The rank that a rule is in the way of, if any; all alike without levels."""
    if not rung.spec.weight:
        return None
    return rung.rank if ladder.definition.has_levels else 1
