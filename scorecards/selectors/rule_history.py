"""How each rule of a scorecard fared over some time: what came to pass it, what no longer does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import connection
from django.utils import timezone

from catalog.kernel.actors import Principal
from catalog.models import Entity
from scorecards.models import ScoreChange
from scorecards.selectors import history
from scorecards.selectors.results.ladders import Ladder, Rung
from scorecards.statuses import BLOCKING, PASS

WINDOW: Final = timedelta(days=90)
NEWEST: Final = 3
# No more is read, the newest, so that a long history takes no longer than some 0.5 seconds.
MAX_CHANGES: Final = 60_000
MAX_LETTERS: Final = 600_000  # changes times rules

# Of each rule the newest changes by which an entity that is still there ceased to pass it.
_BROKEN: Final = """
SELECT r.slot, c.entity_id, c.at
FROM scorecards_rule r
CROSS JOIN LATERAL (
    SELECT c.entity_id, c.at, c.id FROM scorecards_scorechange c
    JOIN catalog_entity e ON e.id = c.entity_id
    WHERE c.scorecard_id = r.scorecard_id AND c.at >= %(since)s AND c.at < %(until)s
      AND c.cause <> %(rules)s AND c.was_statuses <> c.statuses
      AND substr(c.was_statuses, r.slot + 1, 1) = %(pass)s
      AND substr(c.statuses, r.slot + 1, 1) = ANY(%(open)s)
    ORDER BY c.at DESC, c.id DESC LIMIT %(newest)s
) c
WHERE r.scorecard_id = %(scorecard)s AND r.slot = ANY(%(slots)s)
ORDER BY r.slot, c.at DESC, c.id DESC
"""


@dataclass(frozen=True, slots=True)
class RuleCourse:
    """broken: how often an entity ceased to pass it, mended: came to. mean: how long it took from
    the one to the other, of those mended in that time; None of none."""

    rung: Rung
    broken: int = 0
    mended: int = 0
    mean: timedelta | None = None

    @property
    def flips(self) -> int:
        return self.broken + self.mended


@dataclass(frozen=True, slots=True)
class Course:
    """is_cut: the history is too long to be read at once; `since` is later than was asked for."""

    since: datetime
    until: datetime
    is_cut: bool
    rules: Sequence[RuleCourse]


class Broken(NamedTuple):
    """An entity that ceased to pass a rule, and when."""

    entity: Entity
    at: datetime


def course_of(
    ladder: Ladder, *, since: datetime | None = None, until: datetime | None = None
) -> Course:
    """All rules in their order from `since` (90 days ago) until before `until` (now), as far as the
    newest changes go that are read. Five statements."""
    until = until or timezone.now()
    since = since or timezone.now() - WINDOW
    first = _first(ladder, until)
    begin = max(since, first) if first else since
    flips = {one.rule.identifier: one for one in history.flips(ladder.scorecard, begin, until)}
    fixes = history.mean_time_to_fix(ladder.scorecard, since=begin, until=until, first=first)
    rules = []
    for rung in ladder.rungs:
        name = rung.spec.identifier
        flip, fix = flips.get(name), fixes.get(name)
        rules.append(
            RuleCourse(
                rung,
                broken=flip.broken if flip else 0,
                mended=flip.mended if flip else 0,
                mean=fix.mean if fix else None,
            )
        )
    return Course(begin, until, begin > since, rules)


def newest_broken(ladder: Ladder, course: Course, principal: Principal) -> dict[int, list[Broken]]:
    """By slot: the entities that last ceased to pass a rule, newest first, at most `NEWEST` and
    only what somebody may read. Two statements."""
    slots = [one.rung.slot for one in course.rules if one.broken]
    if not slots:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            _BROKEN,
            {
                "scorecard": ladder.scorecard.pk,
                "slots": slots,
                "since": course.since,
                "until": course.until,
                "rules": ScoreChange.Cause.RULES,
                "pass": PASS.letter,
                "open": [*BLOCKING],
                "newest": NEWEST,
            },
        )
        rows = cursor.fetchall()
    visible = Entity.objects.visible_to(principal).select_related("blueprint")
    entities = visible.in_bulk({pk for _, pk, _ in rows})
    found: dict[int, list[Broken]] = {}
    for slot, pk, at in rows:
        if pk in entities:
            found.setdefault(slot, []).append(Broken(entities[pk], at))
    return found


def _first(ladder: Ladder, until: datetime) -> datetime | None:
    """From when on there are no more changes than are read; None where all are."""
    most = min(MAX_CHANGES, MAX_LETTERS // max(1, len(ladder.rungs)))
    changes = history.changes_of(ladder.scorecard, until=until)
    before = changes.values_list("at", flat=True)[most : most + 1].first()
    return before + timedelta(microseconds=1) if before else None
