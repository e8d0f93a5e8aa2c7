"""Charts as SVG made here: rings, stacked columns, sparklines and badges. No script is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from scorecards.portal.words import GONE, Look, percent

_RADIUS: Final = 15.9155  # of a circle whose circumference is 100
_CHART_W, _CHART_H = 420, 190
_LEFT, _RIGHT, _TOP, _FOOT = 42, 18, 8, 22
_COLUMN_GAP: Final = 0.28
_MAX_LABELS: Final = 5
_MIN_COLUMNS: Final = 8  # of a young history are as wide as of so many
_SPARK_W, _SPARK_H = 120, 28
_BADGE_H: Final = 20
_CHAR_W: Final = 6.6  # of Verdana 11 px, roughly; a text that is wider is pressed together


@dataclass(frozen=True, slots=True)
class Moment:
    """A column of a chart. counts: entities by rank; -1 for levels that there are no more."""

    at: datetime
    counts: Mapping[int, int]
    total: int

    def share(self, rank: int) -> float:
        return 100 * self.counts.get(rank, 0) / self.total if self.total else 0.0


def ring(percentage: float | None, look: Look) -> SafeString:
    """A percentage as a part of a circle, with its number inside."""
    shown = percentage or 0
    return format_html(
        '<svg class="sc-ring" style="{}" viewBox="0 0 40 40" role="img" aria-label="{}">'
        '<circle cx="20" cy="20" r="{}"/>'
        '<circle class="sc-ring-part" cx="20" cy="20" r="{}" stroke-dasharray="{} 100" '
        'transform="rotate(-90 20 20)"/>'
        '<text x="20" y="20" dy="0.35em">{}</text></svg>',
        look.style,
        f"{percent(percentage)} of the points",
        _RADIUS,
        _RADIUS,
        f"{shown:.1f}",
        percent(percentage).removesuffix("%").strip(),
    )


def stacked_columns(
    moments: Sequence[Moment], looks: Sequence[Look], boundaries: Sequence[tuple[datetime, str]]
) -> SafeString:
    """Shares at each level over time, the lowest at the bottom. boundaries: moments at which the
    rules changed, and what to call them.
    """
    if not moments:
        return SafeString()
    width = (_CHART_W - _LEFT - _RIGHT) / max(len(moments), _MIN_COLUMNS)
    height = _CHART_H - _TOP - _FOOT
    every = -(-len(moments) // _MAX_LABELS)
    ranks = [-1, *range(len(looks))]
    rects, labels = [], []
    for number, moment in enumerate(moments):
        left = _LEFT + number * width
        bottom = float(_TOP + height)
        for rank in ranks:
            share = moment.share(rank)
            if not share:
                continue
            look = GONE if rank < 0 else looks[rank]
            size = height * share / 100
            bottom -= size
            rects.append(
                (
                    look.style,
                    f"{left + width * _COLUMN_GAP / 2:.1f}",
                    f"{bottom:.2f}",
                    f"{width * (1 - _COLUMN_GAP):.1f}",
                    f"{max(size - 1, 0.5):.2f}",
                    f"{moment.at:%-d %b %Y}: {look.title} {percent(share)} "
                    f"({moment.counts.get(rank, 0):,} of {moment.total:,})",
                )
            )
        if number % every == 0:
            labels.append((f"{left + width / 2:.1f}", _CHART_H - 6, f"{moment.at:%-d %b}"))
    lines = [
        (f"{_TOP + height * (100 - share) / 100:.1f}", _LEFT, _CHART_W - _RIGHT, share)
        for share in (0, 50, 100)
    ]
    return format_html(
        '<svg class="sc-chart" viewBox="0 0 {} {}" role="img" aria-label="Shares at each level '
        'over time; the table has the numbers">{}{}{}{}</svg>',
        _CHART_W,
        _CHART_H,
        format_html_join(
            "",
            '<line x1="{1}" x2="{2}" y1="{0}" y2="{0}"/><text class="sc-axis" x="{4}" y="{0}" '
            'dy="0.32em" text-anchor="end">{3} %</text>',
            ((y, x1, x2, share, _LEFT - 6) for y, x1, x2, share in lines),
        ),
        format_html_join(
            "",
            '<rect style="{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>',
            rects,
        ),
        _boundary_lines(moments, boundaries, width, height),
        format_html_join(
            "", '<text class="sc-axis" x="{}" y="{}" text-anchor="middle">{}</text>', labels
        ),
    )


def sparkline(points: Sequence[tuple[datetime, int]], looks: Sequence[Look]) -> SafeString:
    """The level of one entity over time as steps. points: (since when, rank), oldest first."""
    if len(points) < 2:
        return SafeString()
    begin, end = points[0][0], points[-1][0]
    seconds = max((end - begin).total_seconds(), 1)
    top = max(len(looks) - 1, 1)

    def x(at: datetime) -> float:
        return 2 + (_SPARK_W - 4) * (at - begin).total_seconds() / seconds

    def y(rank: int) -> float:
        return _SPARK_H - 4 - (_SPARK_H - 8) * min(rank, top) / top

    path = f"M{x(begin):.1f} {y(points[0][1]):.1f}"
    for at, rank in points[1:]:
        path += f"H{x(at):.1f}V{y(rank):.1f}"
    words = "; ".join(
        f"{at:%-d %b %Y}: {looks[min(rank, len(looks) - 1)].title}" for at, rank in points[:-1]
    )
    return format_html(
        '<svg class="sc-spark" viewBox="0 0 {} {}" role="img" aria-label="{}"><path d="{}"/>'
        "<title>{}</title></svg>",
        _SPARK_W,
        _SPARK_H,
        f"Level over time. {words}",
        path,
        words,
    )


def badge(label: str, look: Look) -> str:
    """A picture of its own, for a readme: the scorecard on the left, the level on the right.

    The level's colour is at its edge; its text is dark on light always.
    """
    title = look.title
    left, right = _width(label), _width(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{_BADGE_H}" '
        f'role="img" aria-label="{escape(label)}: {escape(title)}">'
        f"<title>{escape(label)}: {escape(title)}</title>"
        f'<clipPath id="r"><rect width="{left + right}" height="{_BADGE_H}" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="{_BADGE_H}" fill="#374151"/>'
        f'<rect x="{left}" width="{right}" height="{_BADGE_H}" fill="#f3f4f6"/>'
        f'<rect x="{left}" width="5" height="{_BADGE_H}" fill="{look.colour}"/></g>'
        '<g font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11" '
        'text-anchor="middle">'
        + _text(label, left / 2, left, "#fff")
        + _text(title, left + right / 2 + 2, right, "#111827")
        + "</g></svg>"
    )


def _text(text: str, x: float, width: int, fill: str) -> str:
    return (
        f'<text x="{x:g}" y="14" fill="{fill}" textLength="{width - 14}" '
        f'lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
    )


def _width(text: str) -> int:
    return round(len(text) * _CHAR_W) + 14


def _boundary_lines(
    moments: Sequence[Moment],
    boundaries: Sequence[tuple[datetime, str]],
    width: float,
    height: float,
) -> SafeString:
    """A line before the column of the period in which the rules changed."""
    marks: dict[int, list[str]] = {}
    for at, words in boundaries:
        begun = [number for number, moment in enumerate(moments) if moment.at <= at]
        if begun and begun[-1] > 0:
            marks.setdefault(begun[-1], []).append(words)
    if not marks:
        return mark_safe("")
    return format_html_join(
        "",
        '<line class="sc-boundary" x1="{0}" x2="{0}" y1="{1}" y2="{2}"><title>{3}</title></line>',
        (
            (f"{_LEFT + number * width:.1f}", _TOP, _TOP + height, ", ".join(words))
            for number, words in marks.items()
        ),
    )
