from __future__ import annotations

from typing import Any

import structlog
from django.core.cache import cache
from django.dispatch import receiver
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from catalog.kernel.feed import changes_recorded
from catalog.tasks import POKED, POKED_S, consume_all_feeds

logger = structlog.get_logger(__name__)


@receiver(changes_recorded, dispatch_uid="catalog.wake_consumers")
def wake_consumers(**_: Any) -> None:
    """Poke the consumers, once for all changes until they come to it; when the broker is away, the
    next tick does it.
    """
    try:
        if cache.add(POKED, 1, POKED_S):
            consume_all_feeds.apply_async(retry=False)
    except (OperationalError, RedisError) as error:
        logger.warning("feed_poke_lost", error=str(error))
