"""Notifications are read, taken for unread again, and forgotten."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.utils import timezone

from actions.models import Message, Notification
from actions.selectors.notifications import inbox
from catalog.kernel.actors import Principal


def mark(principal: Principal, pks: Collection[int] | None, *, is_read: bool = True) -> int:
    """Mark those of one's own among these, or all (None); returns how many were not so before."""
    found = inbox(principal).filter(read_at__isnull=is_read)
    if pks is not None:
        found = found.filter(pk__in=pks)
    return found.update(read_at=timezone.now() if is_read else None)


def prune(before: datetime) -> int:
    """Forget notifications and messages older than this; returns how many there were."""
    old = Notification.objects.filter(created_at__lt=before).delete()[0]
    over = Message.objects.exclude(state=Message.State.WAITING).filter(created_at__lt=before)
    return old + over.delete()[0]
