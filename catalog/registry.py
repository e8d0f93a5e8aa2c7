"""Where other apps and plugins plug in: they register in their `AppConfig.ready()`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from catalog.kernel.feed import FeedRow

FeedHandler = Callable[[Sequence[FeedRow]], None]

feed_consumers: dict[str, FeedHandler] = {}


def register_feed_consumer(name: str, handler: FeedHandler) -> None:
    """Call `handler` with every batch of changes, in the transaction that marks them as read."""
    if name in feed_consumers:
        raise ValueError(f"A consumer of the change feed is already called {name!r}")
    feed_consumers[name] = handler
