"""How the open targets of an initiative went down, and when they will be gone at that pace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from math import ceil
from typing import Any, Final

from scorecards.models import Initiative, InitiativeDay
from scorecards.selectors.initiatives import Numbers

PACE_DAYS: Final = 28  # the last four weeks
LEAST_DAYS: Final = 3  # no pace is told from less
FARTHEST_DAYS: Final = 3 * 365  # what lies beyond is no forecast


@dataclass(frozen=True, slots=True)
class Day:
    """Where it stood at the end of a day. open: missing targets; ideal: as many as there should
    have been left."""

    day: date
    entities: int
    done: int
    open: int
    exempt: int
    regressed: int
    ideal: float


@dataclass(frozen=True, slots=True)
class Burndown:
    """days: oldest first. per_week: targets that are met in a week, of the last four weeks; None
    where they say nothing yet. done_on: when nothing would be open at that pace; None where there
    is no progress, or it would take years.
    """

    start: date
    target: date
    first: int
    days: Sequence[Day]
    per_week: float | None = None
    done_on: date | None = None

    @property
    def is_on_time(self) -> bool | None:
        """None where there is no forecast."""
        return self.done_on <= self.target if self.done_on else None

    def ideal(self, day: date) -> float:
        return _ideal(self.start, self.target, self.first, day)


def burndown_of(initiative: Initiative, numbers: Numbers, today: date) -> Burndown:
    """numbers: how it stands now; the last day while it runs. One statement."""
    start = initiative.starts_on
    if initiative.started_at is not None:
        start = initiative.started_at.astimezone(UTC).date()
    rows = list(InitiativeDay.objects.filter(initiative=initiative).order_by("day"))
    first = int((initiative.baseline or {}).get("open", 0))
    target = max(initiative.target_on, start)
    is_running = initiative.started_at is not None and initiative.ended_at is None
    if is_running:
        rows = [row for row in rows if row.day < today]
        rows.append(
            InitiativeDay(
                day=today,
                entities=numbers.entities,
                done=numbers.done,
                open=numbers.open,
                exempt=numbers.exempt,
                regressed=numbers.regressed,
            )
        )
    days = [
        Day(
            day=row.day,
            entities=row.entities,
            done=row.done,
            open=row.open,
            exempt=row.exempt,
            regressed=row.regressed,
            ideal=_ideal(start, target, first, row.day),
        )
        for row in rows
    ]
    per_week, done_on = _forecast(days, start, first, today) if is_running else (None, None)
    return Burndown(start, target, first, days, per_week, done_on)


def document_of(burndown: Burndown) -> dict[str, Any]:
    """As the API says it."""
    return {
        "startOn": burndown.start.isoformat(),
        "targetOn": burndown.target.isoformat(),
        "days": [
            {
                "day": one.day.isoformat(),
                "entities": one.entities,
                "done": one.done,
                "open": one.open,
                "exempt": one.exempt,
                "regressed": one.regressed,
                "ideal": round(one.ideal, 2),
            }
            for one in burndown.days
        ],
        "forecast": {
            "perWeek": None if burndown.per_week is None else round(burndown.per_week, 2),
            "doneOn": burndown.done_on.isoformat() if burndown.done_on else None,
            "isOnTime": burndown.is_on_time,
        },
    }


def _forecast(
    days: Sequence[Day], start: date, first: int, today: date
) -> tuple[float | None, date | None]:
    since = today - timedelta(days=PACE_DAYS)
    now = days[-1]
    past = [one for one in days[:-1] if one.day >= since]
    base, then = (past[0].day, past[0].open) if past else (start, first)
    if start >= since:  # it began within these weeks: with what was open as it began
        base, then = start, first
    passed = (now.day - base).days
    if passed < LEAST_DAYS:
        return None, None
    pace = (then - now.open) / passed  # a day
    if not now.open:
        return pace * 7, now.day
    if pace <= 0 or now.open / pace > FARTHEST_DAYS:
        return pace * 7, None
    return pace * 7, now.day + timedelta(days=ceil(now.open / pace))


def _ideal(start: date, target: date, first: int, day: date) -> float:
    """On the straight line from what was open at the start to nothing on the target date."""
    span = (target - start).days
    if span <= 0:
        return 0.0 if day >= target else float(first)
    return first * max(0.0, min(1.0, (target - day).days / span))
