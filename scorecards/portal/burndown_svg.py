"""The burndown of an initiative as SVG made here: what is open, what should be, what may be.

Lines differ by their strokes, not by colour alone; the numbers stand in the table beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from scorecards.selectors.burndowns import Burndown
from scorecards.selectors.initiatives import Milestone

_W, _H = 720, 260
_LEFT, _RIGHT, _TOP, _FOOT = 46, 14, 18, 30
_MAX_LABELS: Final = 6
_BEYOND: Final = 0.3  # of the planned time: as far as the forecast is drawn behind the target


def burndown_chart(
    burndown: Burndown, today: date, milestones: Sequence[Milestone] = ()
) -> SafeString:
    """Nothing before it begins."""
    if not burndown.days:
        return SafeString()
    end = _end(burndown)
    span = max((end - burndown.start).days, 1)
    top = max([burndown.first, 1, *(one.open for one in burndown.days)])

    def x(day: date) -> float:
        return _LEFT + (_W - _LEFT - _RIGHT) * (day - burndown.start).days / span

    def y(open: float) -> float:
        return _TOP + (_H - _TOP - _FOOT) * (1 - open / top)

    def at(day: date, open: float) -> str:
        return f"{x(day):.1f},{y(open):.1f}"

    last = burndown.days[-1]
    actual = [(one.day, float(one.open)) for one in burndown.days]
    if actual[0][0] > burndown.start:
        actual.insert(0, (burndown.start, float(burndown.first)))
    return format_html(
        '<svg class="go-burn" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}{}{}{}{}</svg>',
        _W,
        _H,
        _words(burndown),
        _grid(top, y),
        _days(burndown.start, end, x),
        _mark(x(burndown.target), "target", "go-target"),
        _mark(x(today), "today", "go-today") if burndown.start < today < end else "",
        format_html(
            '<polyline class="go-ideal" points="{} {}"/>',
            at(burndown.start, burndown.first),
            at(burndown.target, 0),
        ),
        format_html(
            '<polyline class="go-open" points="{}"/>'
            '<circle class="go-dot" cx="{}" cy="{}" r="4.5"><title>{}: {} open</title></circle>',
            " ".join(at(day, open) for day, open in actual),
            f"{x(last.day):.1f}",
            f"{y(last.open):.1f}",
            f"{last.day:%-d %b}",
            last.open,
        ),
        format_html(
            "{}{}",
            _forecast(burndown, end, at),
            format_html_join(
                "",
                '<path class="go-milestone" d="M{} {}l5 -6l-5 -6l-5 6z"><title>{}</title></path>',
                (
                    (f"{x(one.on):.1f}", f"{y(0):.1f}", f"{one.title}: {one.percent} % by {one.on}")
                    for one in milestones
                    if burndown.start <= one.on <= end
                ),
            ),
        ),
    )


def _end(burndown: Burndown) -> date:
    last = max(burndown.target, burndown.days[-1].day)
    if burndown.done_on is None:
        return last
    planned = max((burndown.target - burndown.start).days, 7)
    return max(last, min(burndown.done_on, last + timedelta(days=round(planned * _BEYOND))))


def _forecast(burndown: Burndown, end: date, at: Callable[[date, float], str]) -> SafeString:
    last = burndown.days[-1]
    if burndown.done_on is None or burndown.done_on <= last.day:
        return SafeString()
    until = min(burndown.done_on, end)
    left = last.open * (burndown.done_on - until).days / (burndown.done_on - last.day).days
    return format_html(
        '<polyline class="go-forecast" points="{} {}"/>', at(last.day, last.open), at(until, left)
    )


def _words(burndown: Burndown) -> str:
    last = burndown.days[-1]
    words = f"{burndown.first} open at the start, {last.open} on {last.day:%-d %B}"
    words += f"; {round(last.ideal)} would be on schedule"
    if burndown.done_on is not None and last.open:
        words += f"; at this pace done on {burndown.done_on:%-d %B %Y}"
    return f"{words}. The table has the numbers."


def _grid(top: int, y: Callable[[float], float]) -> SafeString:
    values = sorted({0, round(top / 2), top})
    return format_html_join(
        "",
        '<line class="go-line" x1="{1}" x2="{2}" y1="{0}" y2="{0}"/>'
        '<text class="go-axis" x="{3}" y="{0}" dy="0.32em" text-anchor="end">{4}</text>',
        ((f"{y(one):.1f}", _LEFT, _W - _RIGHT, _LEFT - 8, f"{one:,}") for one in values),
    )


def _days(start: date, end: date, x: Callable[[date], float]) -> SafeString:
    span = (end - start).days
    step = max(-(-span // _MAX_LABELS), 1)
    days = [start + timedelta(days=days) for days in range(0, span + 1, step)]
    return format_html_join(
        "",
        '<text class="go-axis" x="{}" y="{}" text-anchor="{}">{}</text>',
        (
            (
                f"{x(day):.1f}",
                _H - 8,
                "start" if day == start else "end" if day == end else "middle",
                f"{day:%-d %b}",
            )
            for day in days
        ),
    )


def _mark(x: float, words: str, name: str) -> SafeString:
    return format_html(
        '<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<text class="go-axis" x="{}" y="{}" text-anchor="{}">{}</text>',
        name,
        f"{x:.1f}",
        f"{x:.1f}",
        _TOP - 4,
        _H - _FOOT,
        f"{x:.1f}",
        _TOP - 7,
        "end" if x > _W - 60 else "middle",
        words,
    )
