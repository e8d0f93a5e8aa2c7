"""When to ask again: what servers say of their limits, and how long we wait by ourselves."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
_UNNAMED_LIMIT_S = 60.0  # a limit that says no time: GitHub asks for a minute at least
_EPOCH_FROM = 1_000_000_000  # a larger number is a moment in UNIX time, a smaller one a duration
_MILLISECONDS_FROM = 100_000_000_000
_RESET_HEADERS = ("x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset")
_REMAINING_HEADERS = ("x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining")
_LIMIT_WORDS = re.compile(r"rate.?limit|too many requests|abuse detection", re.I)


@dataclass(frozen=True, slots=True)
class Wait:
    """That a call waits: why, how long in all, and how much of it is left."""

    reason: str
    total_s: float
    left_s: float

    @property
    def is_first(self) -> bool:
        return self.left_s == self.total_s

    def __str__(self) -> str:
        return f"Waiting {self.total_s:.0f} s: {self.reason}"


# Told when a wait begins and about every second of it; may raise to give the call up.
OnWait = Callable[[Wait], None]


def sleep(seconds: float, reason: str, on_wait: OnWait | None) -> None:
    ends_at = time.monotonic() + seconds
    left = seconds
    while left > 0:
        if on_wait:
            on_wait(Wait(reason, seconds, left))
        time.sleep(min(1.0, left))
        left = ends_at - time.monotonic()


def backoff_s(attempt: int) -> float:
    """How long to wait after failed attempt 0, 1, 2, …: doubling, with jitter."""
    bound = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(attempt, 10))
    return bound * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


def is_limited(status: int, headers: Mapping[str, str], words: str) -> bool:
    """Whether an answer means "too many requests" and not "no". GitHub says both with 403."""
    if status == 429:
        return True
    if status != 403:
        return False
    spent = any(headers.get(name) == "0" for name in _REMAINING_HEADERS)
    return spent or "retry-after" in headers or bool(_LIMIT_WORDS.search(words))


def asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """How many seconds the server asks us to wait; None when it does not say.

    Reads `Retry-After` (seconds or a date) and the reset headers in their dialects: UNIX time
    (GitHub, GitLab), seconds from now (PagerDuty), a date (Jira), and the standard's `RateLimit`.
    """
    now = _server_now(headers)
    if (after := headers.get("retry-after")) and (seconds := _moment(after, now)) is not None:
        return seconds
    for name in _RESET_HEADERS:
        if (reset := headers.get(name)) and (seconds := _moment(reset, now)) is not None:
            # A moment in whole seconds has passed only when its second has.
            return seconds + (1.0 if seconds and not _is_duration(reset) else 0.0)
    if found := re.search(r"\b(?:reset|t)=(\d+)", headers.get("ratelimit", "")):
        return float(found[1])
    return None


def limit_wait_s(headers: Mapping[str, str]) -> float:
    asked = asked_wait_s(headers)
    return _UNNAMED_LIMIT_S if asked is None else asked


def _is_duration(text: str) -> bool:
    try:
        return float(text) < _EPOCH_FROM
    except ValueError:
        return False


def _moment(text: str, now: float) -> float | None:
    """Seconds from `now` to what `text` says, never negative; None when it says nothing."""
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        moment = _date(text)
        return None if moment is None else max(0.0, moment - now)
    if not number < float("inf"):
        return None
    if number < _EPOCH_FROM:
        return max(0.0, number)
    return max(0.0, (number / 1000 if number > _MILLISECONDS_FROM else number) - now)


def _date(text: str) -> float | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _server_now(headers: Mapping[str, str]) -> float:
    """The server's own time, so that its moments are right whatever our clock says."""
    own = _date(headers.get("date", ""))
    return time.time() if own is None else own
