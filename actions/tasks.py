"""Background work: an edge like any other; each task calls one service and may run twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery import shared_task
from django.conf import settings
from django.dispatch import receiver
from django.utils import timezone
from kombu.exceptions import OperationalError
from structlog import get_logger

from actions import dispatching
from actions.automations import firing, schedules, timers
from actions.notifications import reading, sending
from actions.notifications.notices import messages_due
from actions.services import reporting
from actions.services.telling import run_due

logger = get_logger(__name__)

TICK_S = 10
LONG_QUEUE = "sources"  # its workers are for what takes minutes
SECRETS_KEPT = timedelta(days=7)  # of runs that failed, and may be sent again


@shared_task(soft_time_limit=1800, time_limit=1860)
def dispatch_run(run_pk: int) -> None:
    """Make one attempt at a run."""
    dispatching.dispatch(run_pk)


@shared_task
def tick_runs() -> None:
    """Hand out the runs that are due and that nobody was told of; end what is overdue."""
    now = timezone.now()
    reporting.expire_overdue(now)
    for pk, is_long in dispatching.due_runs(now):
        # Told again with each tick, so what a busy worker did not take is worth nothing then.
        dispatch_run.apply_async((pk,), expires=TICK_S, **_route(is_long))


@shared_task
def forget_secrets() -> None:
    """Forget what runs have kept for another attempt, once nobody will make one."""
    reporting.wipe_sealed(timezone.now() - SECRETS_KEPT)


@shared_task
def tick_automations() -> None:
    """Start the automations whose time has come."""
    now = timezone.now()
    schedules.fire_due(now)
    timers.fire_expired(now)


@shared_task
def send_messages() -> None:
    """Send the messages that are due: new ones, and those that did not arrive."""
    sending.send_due(timezone.now())


@shared_task
def prune_history() -> None:
    """Forget what automations did, people were told and runs made, once nobody will ask for it."""
    if days := settings.IDP_SYNC_HISTORY_DAYS:
        before = timezone.now() - timedelta(days=days)
        firing.prune(before)
        reading.prune(before)
        reporting.drop_files(before)
    if days := settings.IDP_RUN_HISTORY_DAYS:
        reporting.prune(timezone.now() - timedelta(days=days))


@receiver(messages_due, dispatch_uid="actions.send")
def _send(**_: Any) -> None:
    try:
        send_messages.apply_async(retry=False)
    except OperationalError as error:
        logger.warning("message_poke_lost", error=str(error))


@receiver(run_due, dispatch_uid="actions.dispatch")
def _dispatch(run_pk: int, is_long: bool, in_s: float, **_: Any) -> None:
    try:
        dispatch_run.apply_async((run_pk,), countdown=in_s or None, retry=False, **_route(is_long))
    except OperationalError as error:
        logger.warning("run_poke_lost", run=run_pk, error=str(error))


def _route(is_long: bool) -> dict[str, str]:
    return {"queue": LONG_QUEUE} if is_long else {}
