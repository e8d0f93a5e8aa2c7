"""What a request for an exemption, and a decision on one, may say."""

from __future__ import annotations

from typing import Final

from catalog.kernel.errors import InvalidInput
from catalog.kernel.identifiers import is_storable
from catalog.portal.links import is_web

MAX_REASON: Final = 4000
MAX_TICKET: Final = 2000
LONGEST_DAYS: Final = 3650


def checked_text(value: object, field: str, *, is_needed: bool) -> str:
    """Raises InvalidInput."""
    expected = f"{'1' if is_needed else '0'} to {MAX_REASON:,} characters"
    if value is None and not is_needed:
        return ""
    if not isinstance(value, str) or not is_storable(value):
        raise InvalidInput.of(field, value, expected)
    text = value.strip()
    if len(text) > MAX_REASON or (is_needed and not text):
        raise InvalidInput.of(field, text, expected)
    return text


def checked_days(value: object, longest: int) -> int | None:
    """longest: 0 for no limit. None is until it is revoked. Raises InvalidInput."""
    limit = longest or LONGEST_DAYS
    low = 1 if longest else 0
    expected = f"a whole number from {low} to {limit}"
    if not longest:
        expected += "; 0 until it is revoked"
    if value is None:
        value = 0
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= limit:
        raise InvalidInput.of("days", value, expected)
    return value or None


def checked_ticket(value: object) -> str:
    """An address, or "". Raises InvalidInput."""
    text = value.strip() if isinstance(value, str) else value
    if text in (None, ""):
        return ""
    if not is_web(text) or len(str(text)) > MAX_TICKET or not is_storable(str(text)):
        raise InvalidInput.of("ticket", text, f"an address of at most {MAX_TICKET} characters")
    return str(text)
