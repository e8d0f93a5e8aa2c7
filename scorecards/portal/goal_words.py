"""States of exemptions, of initiatives and of what is in them, as badges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from catalog.portal.sources import Badge
from scorecards.models import Exemption
from scorecards.selectors import initiatives

EXEMPTIONS: Final[Mapping[str, Badge]] = {
    Exemption.Status.PENDING: Badge("Waits", "orange", "hourglass_empty"),
    Exemption.Status.APPROVED: Badge("Holds", "purple", "verified_user"),
    Exemption.Status.DENIED: Badge("Denied", "lightGray", "block"),
    Exemption.Status.REVOKED: Badge("Revoked", "lightGray", "undo"),
    Exemption.Status.EXPIRED: Badge("Ended", "lightGray", "event_busy"),
}
INITIATIVES: Final[Mapping[str, Badge]] = {
    "late": Badge("Late", "orange", "alarm"),
    "running": Badge("Running", "blue", "directions_run"),
    "scheduled": Badge("Scheduled", "turquoise", "event"),
    "draft": Badge("Draft", "lightGray", "edit_note"),
    "ended": Badge("Ended", "green", "flag"),
    "cancelled": Badge("Cancelled", "lightGray", "cancel"),
}
ITEMS: Final[Mapping[str, Badge]] = {
    initiatives.OPEN: Badge("Open", "yellow", "radio_button_unchecked"),
    initiatives.REGRESSED: Badge("Open again", "orange", "undo"),
    initiatives.DONE: Badge("Done", "green", "check_circle"),
    initiatives.IS_EXEMPT: Badge("Exempt", "purple", "verified_user"),
    initiatives.LEFT: Badge("Has left", "lightGray", "logout"),
}


def days_words(days: int) -> str:
    """How many days are left until a date; below 0 it is over."""
    if days == 0:
        return "today"
    if days < 0:
        return "1 day late" if days == -1 else f"{-days:,} days late"
    return "1 day left" if days == 1 else f"{days:,} days left"
