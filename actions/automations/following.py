"""The consumer of the change feed that lets automations answer to what changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from actions.automations import timers
from actions.automations.events import RUN, events_in
from actions.automations.firing import fire
from actions.automations.listeners import load_listeners
from catalog.kernel.feed import FeedRow
from catalog.models import Change
from catalog.registry import event_kinds

CONSUMER: Final = "actions.automations"


def follow(rows: Sequence[FeedRow]) -> None:
    """Start what listens to these changes; keep the timers.

    Without a listener it takes three statements at most, however many rows there are.
    """
    timers.keep(rows)
    models = {Change.ENTITY, RUN, *(kind.model for kind in event_kinds.values())}
    if not any(row.model in models for row in rows):
        return
    if listeners := load_listeners():
        fire(events_in(rows, listeners), listeners)
