"""The shares at each level, week by week, as a chart and as the table beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from django.utils import timezone
from django.utils.safestring import SafeString

from scorecards.models import Rollup
from scorecards.portal.drawing import Moment, stacked_columns
from scorecards.portal.words import Look, looks_of
from scorecards.selectors.results import Ladder, Tally

WEEKS: Final = 13
_POINTS: Final = (Look("Open points", "#9aa5b4"), Look("Points", "#4f46e5"))
GONE: Final = -1  # where levels are counted that there are no more


@dataclass(frozen=True, slots=True)
class Trend:
    """moments: of weeks, by their Mondays, oldest first. looks: of what their counts are about.
    chart: empty where there is nothing to draw."""

    moments: Sequence[Moment]
    looks: Sequence[Look]
    chart: SafeString


def trend_of(ladder: Ladder, tally: Tally) -> Trend:
    """The last quarter of a year: how the entities stood at the end of each week, as it was rolled
    up, and of this one as they do now (`tally`); without levels, how many points they had. Two
    statements, however many entities there are.
    """
    today = timezone.now().date()
    first = _monday(today) - timedelta(weeks=WEEKS - 1)
    versions = list(
        ladder.scorecard.versions.order_by("version").values_list("version", "at", "levels")
    )
    levels = {version: its_levels for version, _, its_levels in versions}
    rollups = Rollup.objects.filter(
        scorecard=ladder.scorecard, kind=Rollup.Kind.ALL, day__gte=first
    ).order_by("day")
    weeks: dict[date, Moment] = {}
    has_levels = ladder.definition.has_levels
    for rollup in rollups:
        monday = _monday(rollup.day)
        ranks = _ranks_now(ladder, levels.get(rollup.version, []), rollup.ranks)
        weeks[monday] = (
            Moment(_start(monday), ranks, rollup.entities)
            if has_levels
            else _points(monday, rollup.points, rollup.total)
        )
    monday = _monday(today)
    weeks[monday] = (
        Moment(_start(monday), tally.ranks, tally.entities)
        if has_levels
        else _points(monday, tally.points, tally.total)
    )
    moments = [one for one in weeks.values() if one.total]
    boundaries = [
        (at, f"Version {version}, {at:%-d %b %Y}")
        for version, at, _ in versions
        if version > 1 and at.date() >= first
    ]
    looks = looks_of(ladder.definition) if has_levels else _POINTS
    return Trend(moments, looks, stacked_columns(moments, looks, boundaries))


def _points(monday: date, points: Decimal, total: Decimal) -> Moment:
    """Points instead of entities: those that are missing, and those that there are."""
    return Moment(_start(monday), {0: round(total - points), 1: round(points)}, round(total))


def _ranks_now(
    ladder: Ladder, levels: Sequence[Mapping[str, Any]], counts: Sequence[int]
) -> dict[int, int]:
    """Counts by the ranks of a version as counts by today's, in which levels go by their titles."""
    ranks = {level.title: rank for rank, level in enumerate(ladder.definition.levels)}
    found: dict[int, int] = {}
    for was, count in enumerate(counts):
        title = levels[was]["title"] if was < len(levels) else None
        rank = ranks.get(title, GONE) if title is not None else GONE
        found[rank] = found.get(rank, 0) + count
    return found


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
