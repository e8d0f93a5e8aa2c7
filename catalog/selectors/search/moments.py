"""Dates in rules: ISO text, explicit ranges and the presets, all in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

# How many whole days from today a calendar day is away.
_DAYS: Final = {"yesterday": -1, "today": 0, "tomorrow": 1}
# How many days a running period before or after now is long.
_PERIODS: Final = {
    "lastDay": -1,
    "lastWeek": -7,
    "last2Weeks": -14,
    "lastMonth": -30,
    "last3Months": -90,
    "last6Months": -180,
    "last12Months": -365,
    "last2Years": -730,
    "last3Years": -1095,
    "nextDay": 1,
    "nextWeek": 7,
    "next2Weeks": 14,
    "nextMonth": 30,
    "next3Months": 90,
    "next6Months": 180,
    "next12Months": 365,
}
PRESETS: Final = (*_DAYS, *_PERIODS)

# Text that PostgreSQL is sure to read as a moment: a real day of the years 0001 to 9999, perhaps
# with a time and an offset. Casting anything else would end the statement with an error. Nothing
# captured, nothing looked ahead to: either takes PostgreSQL longer than all the rest.
_YEAR = r"(?:\d{3}[1-9]|\d\d[1-9]0|\d[1-9]00|[1-9]000)"
_DAY = (
    rf"(?:{_YEAR}-(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])"
    rf"|{_YEAR}-(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    rf"|{_YEAR}-02-(?:0[1-9]|1\d|2[0-8])"
    r"|(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29)"
)
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.]\d{1,9})?)?"
_OFFSET = r"(?:Z|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)?"
# What nearly every moment is like: a day that each month has. It is told in a third of the time.
USUAL_MOMENT_PATTERN: Final = (
    r"^[12]\d\d\d-(?:0[1-9]|1[0-2])-(?:[01][1-9]|10|2[0-8])"
    r"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:[.]\d{1,9})?Z$"
)
MOMENT_PATTERN: Final = rf"^{_DAY}(?:[T ]{_TIME}{_OFFSET})?$"


@dataclass(frozen=True, slots=True)
class Range:
    """From `start` on, until before `end`, or with `end` itself where `has_end` is set."""

    start: datetime
    end: datetime
    has_end: bool = True


def parse_moment(text: object) -> datetime | None:
    """A moment from ISO 8601 text; UTC where it names no offset. None when it is no such text."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_range(start: object, end: object) -> Range | None:
    """Both ends belong to it; an end without a time of day means all of that day.

    None when either is no date, or they are the wrong way round.
    """
    first, last = parse_moment(start), parse_moment(end)
    if first is None or last is None or first > last:
        return None
    if isinstance(end, str) and len(end) <= len("2026-01-31"):
        if last.date() < date.max:
            return Range(first, last + timedelta(days=1), has_end=False)
        return Range(first, datetime.max.replace(tzinfo=UTC))
    return Range(first, last)


def preset_range(name: str, now: datetime, zone: tzinfo = UTC) -> Range:
    """`name` is one of `PRESETS`; `now` is aware; `zone` says when a day begins."""
    now = now.astimezone(zone)
    if name in _DAYS:
        day = now.date() + timedelta(days=_DAYS[name])
        start, end = (
            datetime.combine(one, time.min, zone) for one in (day, day + timedelta(days=1))
        )
        return Range(start, end, has_end=False)
    other = now + timedelta(days=_PERIODS[name])
    return Range(min(now, other), max(now, other))
