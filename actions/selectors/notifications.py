"""Questions about notifications: whose they are, and how many are unread."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from django.db.models import (
    BigIntegerField,
    Case,
    DateTimeField,
    IntegerField,
    Q,
    QuerySet,
    Value,
    When,
)

from actions.models import Notification
from catalog.kernel.actors import Principal
from catalog.kernel.keyset import Key, Keyset

UNREAD_CAP: Final = 99

# The unread first, then the newest. All of one person's, of which there are some hundreds.
INBOX: Final = Keyset(
    [
        Key(
            "unread",
            Case(When(read_at=None, then=Value(1)), default=Value(0), output_field=IntegerField()),
            IntegerField(),
        ),
        Key("at", "created_at", DateTimeField()),
        Key("pk", "pk", BigIntegerField()),
    ],
    descending=True,
)


def name_of(principal: Principal) -> str:
    """What notifications call somebody: the e-mail address, else the name they log in with."""
    name = getattr(principal, "email", "") or getattr(principal, "username", "")
    return str(name).lower()


def inbox(principal: Principal) -> QuerySet[Notification]:
    """What was told to them; nothing to those who have no name."""
    name = name_of(principal)
    found = Notification.objects.filter(recipient=name) if name else Notification.objects.none()
    return found.order_by()


def unread_count(principal: Principal) -> int:
    """Counted no further than `UNREAD_CAP` + 1; one statement on an index."""
    return inbox(principal).filter(read_at=None)[: UNREAD_CAP + 1].count()


def severities_from(lowest: str) -> list[str]:
    """This severity and those above it."""
    order: list[str] = list(Notification.Severity.values)
    return order[: order.index(lowest) + 1]


def matching(
    found: QuerySet[Notification],
    *,
    text: str = "",
    topic: str = "",
    is_read: bool | None = None,
    severities: Collection[str] = (),
    since: Any = None,
) -> QuerySet[Notification]:
    """Those with this text in title or description, of this topic, …; what is empty does not
    count.
    """
    if text:
        found = found.filter(Q(title__icontains=text) | Q(description__icontains=text))
    if topic:
        found = found.filter(topic=topic)
    if is_read is not None:
        found = found.filter(read_at__isnull=not is_read)
    if severities:
        found = found.filter(severity__in=severities)
    if since is not None:
        found = found.filter(created_at__gte=since)
    return found
