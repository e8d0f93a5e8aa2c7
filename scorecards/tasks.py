"""Background work: an edge like any other; each task calls one service and may run twice."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.conf import settings
from django.dispatch import receiver
from django.utils import timezone
from kombu.exceptions import OperationalError
from structlog import get_logger

from scorecards import mirroring
from scorecards.models import ScoreChange
from scorecards.services import evaluating, exemptions, initiatives, reminders, rollups
from scorecards.services.keeping import evaluation_due

logger = get_logger(__name__)

TICK_S = 30
MAX_BATCHES = 20  # of results that become entities, before others get a turn


@shared_task(soft_time_limit=600, time_limit=660)
def evaluate_scorecard(pk: int) -> None:
    """Evaluate a scorecard for all its entities; while somebody is at it, it is due still."""
    try:
        evaluating.evaluate(pk, cause=ScoreChange.Cause.TIME, wait=False)
    except evaluating.EvaluationRunning:
        logger.info("scorecard_is_being_evaluated", scorecard=pk)


@shared_task
def tick_scorecards() -> None:
    """Hand out the scorecards whose turn has come."""
    for pk in evaluating.due(timezone.now()):
        evaluate_scorecard.apply_async((pk,), expires=TICK_S)


@shared_task
def mirror_results() -> None:
    """Bring the entities that stand for results up to date; a long queue is handed on."""
    for _ in range(MAX_BATCHES):
        if not mirroring.mirror():
            return
    mirror_results.delay()


@shared_task
def end_exemptions() -> None:
    """End exemptions whose time is over, and warn of those that end soon."""
    now = timezone.now()
    exemptions.end_due(now)
    exemptions.warn(now)


@shared_task
def keep_trends() -> None:
    """Write down how everything stands today."""
    now = timezone.now()
    rollups.roll_up(now)
    initiatives.snapshot(now)


@shared_task
def remind_owners() -> None:
    """Send the digests that are due."""
    reminders.remind(timezone.now())


@shared_task
def prune_evaluations() -> None:
    """Forget old evaluations; what they changed stays in the history."""
    if settings.IDP_SYNC_HISTORY_DAYS:
        evaluating.prune(timezone.now(), days=settings.IDP_SYNC_HISTORY_DAYS)


@receiver(evaluation_due, dispatch_uid="scorecards.evaluate")
def _evaluate(scorecard_pk: int, **_: Any) -> None:
    try:
        evaluate_scorecard.apply_async((scorecard_pk,), retry=False)
    except OperationalError as error:
        logger.warning("evaluation_poke_lost", scorecard=scorecard_pk, error=str(error))
