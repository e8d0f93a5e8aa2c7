"""What syncs by itself when, and how long its history stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from catalog.ingest.runs import request_sync
from catalog.kernel.errors import IdpError
from catalog.kernel.schedules import parse_schedule
from catalog.models import InboundEvent, Integration, SyncMessage, SyncRun

_AT_ONCE: Final = 5000  # rows deleted by one statement

logger = structlog.get_logger(__name__)


def queue_due() -> list[SyncRun]:
    """Queue a run of every source whose turn has come, and set its next turn.

    Any number of processes may call it at once: each turn is taken by one of them. Turns that
    were missed while nobody called are one turn; a turn passes while a run is still at work.
    """
    queued = []
    with transaction.atomic():
        now = timezone.now()
        due = Integration.objects.select_for_update(skip_locked=True).filter(
            next_run_at__lte=now, is_enabled=True, runs_here=True
        )
        for integration in due.order_by("next_run_at"):
            schedule = parse_schedule(integration.schedule)
            integration.next_run_at = schedule.next_after(now) if schedule else None
            integration.save(update_fields=["next_run_at"])
            busy = SyncRun.objects.unfinished().exclude(trigger=SyncRun.Trigger.EXPORTER)
            if busy.filter(integration=integration).exists():
                continue
            try:
                with transaction.atomic():
                    run = request_sync(integration, trigger=SyncRun.Trigger.SCHEDULE)
            except IdpError as error:  # as when its kind is no longer installed
                SyncMessage.objects.create(
                    integration=integration,
                    level=SyncMessage.Level.ERROR,
                    message=f"The scheduled sync did not start: {error}",
                )
                logger.warning("sync_not_queued", source=integration.identifier, error=str(error))
            else:
                queued.append(run)
    return queued


def prune() -> dict[str, int]:
    """Delete runs, lines of logs and live events older than IDP_SYNC_HISTORY_DAYS (0: none).

    The last runs of each source stay, and those that hold something back. Returns how many rows
    went, by what they were.
    """
    days = settings.IDP_SYNC_HISTORY_DAYS
    if not days:
        return {}
    before = timezone.now() - timedelta(days=days)
    newer = SyncRun.objects.filter(
        integration=OuterRef("integration"),
        is_dry_run=False,
        pk__gt=OuterRef("pk"),
        state__in=[SyncRun.State.SUCCEEDED, SyncRun.State.PARTIAL],
    )
    old_runs = (
        SyncRun.objects.filter(created_at__lt=before)
        .exclude(state__in=[SyncRun.State.QUEUED, SyncRun.State.RUNNING])
        .exclude(stale__state="held")
        .filter(Q(is_dry_run=True) | Exists(newer))
    )
    kept = SyncRun.objects.filter(pk=OuterRef("run")).exclude(pk__in=old_runs.values("pk"))
    old_lines = SyncMessage.objects.filter(at__lt=before).filter(Q(run=None) | ~Exists(kept))
    old_events = InboundEvent.objects.filter(received_at__lt=before).exclude(
        state=InboundEvent.State.WAITING
    )
    return {
        "messages": _delete(old_lines),
        "events": _delete(old_events),
        "runs": _delete(old_runs),
    }


def _delete(rows: QuerySet[SyncMessage] | QuerySet[InboundEvent] | QuerySet[SyncRun]) -> int:
    """Delete in parts, so that nobody waits long. Returns how many."""
    count = 0
    while pks := list(rows.order_by("pk").values_list("pk", flat=True)[:_AT_ONCE]):
        rows.model.objects.filter(pk__in=pks).delete()
        count += len(pks)
    return count
