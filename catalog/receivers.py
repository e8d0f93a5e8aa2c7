from __future__ import annotations

from typing import Any

import structlog
from django.dispatch import receiver
from kombu.exceptions import OperationalError

from catalog.kernel.feed import changes_recorded
from catalog.registry import feed_consumers
from catalog.tasks import consume_feed

logger = structlog.get_logger(__name__)


@receiver(changes_recorded, dispatch_uid="catalog.wake_consumers")
def wake_consumers(**_: Any) -> None:
    """Poke the consumers; when the broker is away, the next tick does it."""
    for name in feed_consumers:
        try:
            consume_feed.apply_async((name,), retry=False)
        except OperationalError as error:
            logger.warning("feed_poke_lost", consumer=name, error=str(error))
            return
