"""Durations in configuration: `{minutes: 30}`, "PT30M", "30 minutes", "30m"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from catalog.kernel.errors import InvalidInput
from catalog.kernel.schedules import LONGEST, SHORTEST, parse_schedule

_DAY = 86_400
_SECONDS = {
    "years": 365 * _DAY,
    "months": 30 * _DAY,
    "weeks": 7 * _DAY,
    "days": _DAY,
    "hours": 3600,
    "minutes": 60,
    "seconds": 1,
    "milliseconds": 0.001,
}
_ISO = re.compile(
    r"P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.I,
)
_WORDS = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.I)
_UNITS = {
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), _DAY),
    **dict.fromkeys(("w", "week", "weeks"), 7 * _DAY),
}
_EXPECTED = 'a duration like {minutes: 30}, "PT30M" or "30 minutes"'


def seconds(value: Any, *, field: str) -> float:
    """How many seconds a duration has. Raises InvalidInput."""
    if isinstance(value, Mapping) and value and value.keys() <= _SECONDS.keys():
        parts = list(value.items())
        if all(_is_number(one) for _, one in parts):
            return sum(float(_SECONDS[unit] * one) for unit, one in parts)
    if isinstance(value, str):
        text = value.strip()
        found = _ISO.fullmatch(text)
        if found and any(found.groups()):
            named = found.groupdict(default="0")
            return sum(float(_SECONDS[unit]) * float(one) for unit, one in named.items())
        match = _WORDS.fullmatch(text)
        if match and match[2].lower() in _UNITS:
            return float(match[1]) * _UNITS[match[2].lower()]
    raise InvalidInput.of(field, value, _EXPECTED)


def every(value: Any, *, field: str) -> str:
    """A schedule's frequency in our words: "every 30m", or the cron line that it is.

    What is not whole minutes is rounded up. Raises InvalidInput.
    """
    if isinstance(value, Mapping) and value.keys() == {"cron"} and isinstance(value["cron"], str):
        line = value["cron"].split()
        text = " ".join(line[1:] if len(line) == 6 else line)  # six begin with the second
        parse_schedule(text, field=field)
        return text
    wanted = min(
        max(seconds(value, field=field), SHORTEST.total_seconds()), LONGEST.total_seconds()
    )
    minutes = -int(-wanted // 60)
    for unit, size in (("d", 1440), ("h", 60)):
        if minutes % size == 0:
            return f"every {minutes // size}{unit}"
    return f"every {minutes}m"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
