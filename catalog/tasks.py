"""Background work: an edge like any other; each task calls one service and may run twice."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from catalog.kernel import feed
from catalog.registry import feed_consumers

# A tick stops here, so that one consumer with a long backlog cannot keep a worker to itself.
MAX_BATCHES = 50


@shared_task
def consume_feed(name: str) -> int:
    """Let one consumer catch up with the feed; returns the number of changes it handled."""
    handled = 0
    for _ in range(MAX_BATCHES):
        count = feed.consume(name, feed_consumers[name])
        handled += count
        if not count:
            break
    return handled


@shared_task
def consume_all_feeds() -> None:
    """The tick that makes up for a lost poke."""
    for name in feed_consumers:
        consume_feed.delay(name)


@shared_task
def keep_partitions() -> None:
    """Create the coming months' partitions of the feed and drop what is past retention."""
    now = timezone.now()
    feed.ensure_partitions(now)
    if settings.IDP_HISTORY_MONTHS:
        feed.drop_partitions(now, keep_months=settings.IDP_HISTORY_MONTHS)
