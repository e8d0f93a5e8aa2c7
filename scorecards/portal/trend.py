"""The shares at each level, week by week, as a chart and as the table beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.utils import timezone
from django.utils.safestring import SafeString

from scorecards.models import Rollup
from scorecards.portal.drawing import Moment, stacked_columns
from scorecards.portal.words import looks_of
from scorecards.selectors.results import Ladder, Tally

WEEKS: Final = 13
GONE: Final = -1  # where levels are counted that there are no more


@dataclass(frozen=True, slots=True)
class Trend:
    """moments: the Mondays of weeks, oldest first. chart: empty where there is nothing to draw."""

    moments: Sequence[Moment]
    chart: SafeString


def trend_of(ladder: Ladder, tally: Tally) -> Trend:
    """The last quarter of a year: how the entities stood at the end of each week, as it was rolled
    up, and of this one as they do now (`tally`). Two statements, whatever the entities are.
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
    for rollup in rollups:
        ranks = _today_s(ladder, levels.get(rollup.version, []), rollup.ranks)
        monday = _monday(rollup.day)
        weeks[monday] = Moment(_start(monday), ranks, rollup.entities)
    weeks[_monday(today)] = Moment(_start(_monday(today)), tally.ranks, tally.entities)
    moments = [one for one in weeks.values() if one.total]
    boundaries = [
        (at, f"Version {version}, {at:%-d %b %Y}")
        for version, at, _ in versions
        if version > 1 and at.date() >= first
    ]
    return Trend(moments, stacked_columns(moments, looks_of(ladder.definition), boundaries))


def _today_s(
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
