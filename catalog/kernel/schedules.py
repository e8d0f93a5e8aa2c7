"""When something is to happen again: an interval in words, or a cron line. All in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cronsim import CronSim, CronSimError

from catalog.kernel.errors import InvalidInput, shorten

SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(days=366)

_EXPECTED: Final = '"every 15m", "every 6h", "every 2d" or a cron line like "0 3 * * *" (UTC)'
_INTERVAL: Final = re.compile(r"every\s+(\d{1,6})\s*([mhd])", re.IGNORECASE)
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Schedule:
    """interval: None where `cron`, a line of five fields, says it."""

    interval: timedelta | None
    cron: str = ""

    def next_after(self, moment: datetime) -> datetime:
        """The first turn after `moment`; turns that were missed are not made up for."""
        if self.interval is not None:
            return moment + self.interval
        return next(CronSim(self.cron, moment))


def parse_schedule(text: str, *, field: str = "schedule") -> Schedule | None:
    """Read a schedule; None for "" (only by hand). Raises InvalidInput."""
    text = text.strip()
    if not text:
        return None
    if found := _INTERVAL.fullmatch(text):
        interval = int(found[1]) * _UNITS[found[2].lower()]
        if not SHORTEST <= interval <= LONGEST:
            raise _wrong(field, text, f"an interval from 1 minute to {LONGEST.days} days")
        return Schedule(interval)
    if len(text.split()) != 5:
        raise _wrong(field, text, _EXPECTED)
    try:
        # A line that never comes ("0 0 30 2 *") is refused here as well.
        next(CronSim(text, datetime(2024, 1, 1)))
    except (CronSimError, StopIteration) as error:
        why = str(error) or "it never comes"
        raise _wrong(field, text, f"{_EXPECTED} ({why})") from None
    return Schedule(None, text)


def _wrong(field: str, text: str, expected: str) -> InvalidInput:
    return InvalidInput(
        f'{field} is "{shorten(text)}"; expected {expected}',
        details={"field": field, "value": shorten(text), "expected": expected},
    )
