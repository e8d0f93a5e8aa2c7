"""ISO 8601 durations: "P7D", "PT12H", "P-90D"."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import regex

_PATTERN: Final = regex.compile(
    r"(?P<sign>-)?P(?:(?P<years>-?\d+)Y)?(?:(?P<months>-?\d+)M)?(?:(?P<weeks>-?\d+)W)?"
    r"(?:(?P<days>-?\d+)D)?(?:T(?:(?P<hours>-?\d+)H)?(?:(?P<minutes>-?\d+)M)?"
    r"(?:(?P<seconds>-?\d+(?:\.\d+)?)S)?)?"
)
# A year has 365 days and a month 30, wherever in the calendar they lie.
_SECONDS: Final = {
    "years": 365 * 86400,
    "months": 30 * 86400,
    "weeks": 7 * 86400,
    "days": 86400,
    "hours": 3600,
    "minutes": 60,
    "seconds": 1,
}
MAX_SECONDS: Final = Decimal(1000 * 365 * 86400)


def parse_duration(text: str) -> Decimal | None:
    """Seconds; None for what is no duration, or one of more than a thousand years."""
    match = _PATTERN.fullmatch(text) if len(text) <= 100 and text.isascii() else None
    if match is None:
        return None
    found = {unit: match[unit] for unit in _SECONDS if match[unit] is not None}
    if not found:
        return None
    total = sum((Decimal(found[unit]) * _SECONDS[unit] for unit in found), Decimal(0))
    if abs(total) > MAX_SECONDS:
        return None
    return -total if match["sign"] else total
