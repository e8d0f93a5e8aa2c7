"""Sync runs as rows: asked for, claimed by one worker, kept alive, cancelled, finished.

A run is worked on by whoever holds its `claim`. Every write of the worker names the claim, so one
that was given up for dead, or whose run was cancelled, cannot go on.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID, uuid4

import structlog
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, When
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from catalog.kernel.errors import Conflict, InvalidInput
from catalog.models import Integration, Postponed, SyncRun
from catalog.services.integrations import source_kind

MAX_ATTEMPTS: Final = 10  # a run that kills its workers is given up
BEAT_S: Final = 15.0

State = SyncRun.State

logger = structlog.get_logger(__name__)


class ClaimLost(Exception):
    """The run was cancelled, or another worker has it: this one stops and writes nothing."""


def request_sync(
    integration: Integration,
    *,
    trigger: str = SyncRun.Trigger.MANUAL,
    requested_by: str = "",
    only_kinds: Collection[str] = (),
    is_dry_run: bool = False,
) -> SyncRun:
    """Queue a run; the edge then hands it to a worker (`catalog.tasks.start_sync`).

    One waits for each integration: when there is one already it is returned, widened to all the
    kinds that were asked for. only_kinds: of the mapping; none means all.

    Raises Conflict when the integration is off, runs elsewhere or has nothing to list, or when a
    preview waits and a real run is wanted, or the other way round; NotFound when its kind is not
    installed; InvalidInput for an unknown kind of resource.
    """
    _check_can_sync(integration, is_dry_run=is_dry_run)
    kinds = _checked_kinds(integration, only_kinds)
    for _ in range(3):  # the one that waits may start at this moment
        try:
            with transaction.atomic():
                return SyncRun.objects.create(
                    integration=integration,
                    trigger=trigger,
                    requested_by=requested_by,
                    is_dry_run=is_dry_run,
                    only_kinds=kinds,
                )
        except IntegrityError:
            waiting = _widened(integration, kinds, is_dry_run=is_dry_run)
            if waiting is not None:
                return waiting
    raise Conflict(f'Runs of "{integration.identifier}" come and go too quickly; try again')


def cancel(run: SyncRun) -> SyncRun:
    """End a run now. Its worker notices at its next write and leaves what it had begun.

    Returns the run as it is then. Raises Conflict when it is over already.
    """
    changed = (
        SyncRun.objects.unfinished()
        .filter(pk=run.pk)
        .exclude(trigger=SyncRun.Trigger.EXPORTER)
        .update(
            state=State.CANCELLED,
            claim=None,
            ended_at=Now(),
            stale={"state": "skipped", "reason": "The run was cancelled."},
        )
    )
    run.refresh_from_db()
    if not changed:
        raise Conflict(
            f"The run is over already: {run.get_state_display()}"
            if run.is_finished
            else "An exporter's run can only be ended where it runs"
        )
    Postponed.objects.filter(run=run).delete()
    return run


def claim(pk: int) -> SyncRun | None:
    """Take a run that nobody works on: queued, handed over, or left by a dead worker.

    None when there is nothing to take: it is over, somebody has it, or another run of the
    integration is still at work.
    """
    token = uuid4()
    try:
        with transaction.atomic():
            taken = (
                _takeable()
                .filter(pk=pk)
                .update(
                    state=State.RUNNING,
                    claim=token,
                    heartbeat_at=Now(),
                    started_at=Coalesce("started_at", Now()),
                    # Handed over in good order, it has not failed.
                    attempt=Case(
                        When(state=State.RUNNING, claim=None, then=F("attempt")),
                        default=F("attempt") + 1,
                    ),
                )
            )
    except IntegrityError:
        return None
    if not taken:
        return None
    run = SyncRun.objects.select_related("integration").filter(pk=pk, claim=token).first()
    if run is not None and run.attempt > MAX_ATTEMPTS:
        finish(
            run,
            State.FAILED,
            error=f"Its worker died {MAX_ATTEMPTS} times, so it was given up.",
            error_code="worker_died",
            stale={"state": "skipped", "reason": "The run did not come to its end."},
        )
        return None
    return run


def startable() -> list[int]:
    """The runs that a worker should take now; the tick hands them out."""
    busy = SyncRun.objects.filter(integration=OuterRef("integration"), state=State.RUNNING).exclude(
        trigger=SyncRun.Trigger.EXPORTER
    )
    runs = _takeable().exclude(Q(state=State.QUEUED) & Exists(busy))
    return list(runs.order_by("pk").values_list("pk", flat=True))


def next_of(pk: int) -> list[int]:
    """The run that waits for this one to end, once it has."""
    done = SyncRun.objects.filter(pk=pk).exclude(state__in=[State.QUEUED, State.RUNNING])
    waiting = SyncRun.objects.filter(state=State.QUEUED, integration__in=done.values("integration"))
    return list(waiting.values_list("pk", flat=True))


def save(run: SyncRun, **fields: Any) -> None:
    """Write fields of a claimed run, with a sign of life. Raises ClaimLost."""
    changed = SyncRun.objects.filter(pk=run.pk, claim=run.claim, state=State.RUNNING).update(
        heartbeat_at=Now(), **fields
    )
    if not changed:
        raise ClaimLost
    for name, value in fields.items():
        setattr(run, name, value)


def hand_over(run: SyncRun) -> None:
    """Put a claimed run down, so that another worker takes it up where it is."""
    save(run, claim=None)


def finish(
    run: SyncRun,
    state: SyncRun.State,
    *,
    error: str = "",
    error_code: str = "",
    **fields: Any,
) -> None:
    """End a claimed run. Raises ClaimLost."""
    with transaction.atomic():
        save(
            run,
            state=state,
            claim=None,
            ended_at=timezone.now(),
            error=error,
            error_code=error_code,
            cursor=None,
            **fields,
        )
        Postponed.objects.filter(run=run).delete()


class Pulse:
    """Shows that the worker of a run is alive while it waits for a vendor.

    with Pulse(run) as pulse: …; `pulse.check()` raises ClaimLost once the run is no longer ours.
    """

    def __init__(self, run: SyncRun, *, every_s: float = BEAT_S) -> None:
        self._pk, self._claim, self._every_s = run.pk, run.claim, every_s
        self._ends, self._is_lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"pulse-{run.pk}", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def check(self) -> None:
        if self._is_lost.is_set():
            raise ClaimLost

    def _beat(self) -> None:
        try:
            while not self._ends.wait(self._every_s):
                self._show(self._pk, self._claim)
        finally:
            connection.close()

    def _show(self, pk: int, token: UUID | None) -> None:
        try:
            alive = SyncRun.objects.filter(pk=pk, claim=token, state=State.RUNNING)
            if not alive.update(heartbeat_at=Now()):
                self._is_lost.set()
        except DatabaseError as error:  # the next beat may find it
            logger.warning("sync_heartbeat_lost", run=pk, error=str(error))
            connection.close()


def _takeable() -> QuerySet[SyncRun]:
    silent_since = Now() - SyncRun.SILENCE
    return SyncRun.objects.filter(
        Q(state=State.QUEUED)
        | Q(state=State.RUNNING, claim=None)
        | Q(state=State.RUNNING, heartbeat_at__lt=silent_since)
    ).exclude(trigger=SyncRun.Trigger.EXPORTER)


def _check_can_sync(integration: Integration, *, is_dry_run: bool) -> None:
    name = integration.identifier
    if not integration.runs_here:
        raise Conflict(
            f'"{name}" runs elsewhere and syncs by itself',
            hint="Ask it for a resync instead.",
        )
    if integration.kind == Integration.WEBHOOK:
        raise Conflict(f'"{name}" takes live events only; there is nothing to list')
    source_kind(integration.kind)
    if not integration.is_enabled and not is_dry_run:
        raise Conflict(f'"{name}" is off', hint="Turn it on first; a preview works all the same.")


def _checked_kinds(integration: Integration, wanted: Collection[str]) -> list[str]:
    known = {
        str(one.get("kind"))
        for one in integration.mapping.get("resources") or ()
        if isinstance(one, Mapping)
    }
    for kind in wanted:
        if kind not in known:
            expected = f"one of: {', '.join(sorted(known)) or 'none'}"
            raise InvalidInput(
                f'The mapping of "{integration.identifier}" has no kind "{kind}"; '
                f"expected {expected}",
                details={"field": "only_kinds", "value": kind, "expected": expected},
            )
    return sorted(set(wanted))


def _widened(
    integration: Integration, kinds: Collection[str], *, is_dry_run: bool
) -> SyncRun | None:
    """The run that waits, with these kinds added; None when it has just started."""
    with transaction.atomic():
        waiting = (
            SyncRun.objects.select_for_update()
            .filter(integration=integration, state=State.QUEUED)
            .first()
        )
        if waiting is None:
            return None
        if waiting.is_dry_run != is_dry_run:
            what = "A preview" if waiting.is_dry_run else "A sync"
            raise Conflict(
                f'{what} of "{integration.identifier}" waits for its turn already',
                hint="Wait for it, or cancel it.",
                details={"run": waiting.pk},
            )
        everything = not kinds or not waiting.only_kinds
        wider = [] if everything else sorted({*waiting.only_kinds, *kinds})
        if wider != waiting.only_kinds:
            waiting.only_kinds = wider
            waiting.save(update_fields=["only_kinds"])
        return waiting
