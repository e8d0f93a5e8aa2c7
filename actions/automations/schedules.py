"""Automations that start at set times. When they are due first is said when they are defined."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from actions.automations.events import Event, schedule_document
from actions.automations.firing import fire
from actions.automations.listeners import load_listeners
from actions.models import Action
from actions.services import triggers


def fire_due(now: datetime) -> int:
    """Start the automations whose time has come, and say when they are due next; returns how many.

    Turns that were missed while no worker ran are made up for by one.
    """
    with transaction.atomic():
        due = list(
            Action.objects.select_for_update(skip_locked=True)
            .filter(scheduled_at__lte=now)
            .order_by("scheduled_at")
        )
        if not due:
            return 0
        events = {action.pk: _event(action, action.scheduled_at or now) for action in due}
        listeners = [one for one in load_listeners({triggers.SCHEDULE}) if one.action.pk in events]
        for listener in listeners:
            fire([events[listener.action.pk]], [listener])
        for action in due:
            action.scheduled_at = triggers.next_turn(action.trigger, now)
        Action.objects.bulk_update(due, ["scheduled_at"])
    return len(listeners)


def _event(action: Action, at: datetime) -> Event:
    cron = str(action.trigger["event"]["cron"])
    return Event(
        change=f"schedule:{at.isoformat()}",
        at=at,
        types=frozenset({triggers.SCHEDULE}),
        keys={"cron": cron},
        document=schedule_document(cron, at),
    )
