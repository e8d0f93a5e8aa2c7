"""Background work: an edge like any other; each task calls one service and may run twice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from celery import Task, shared_task
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError
from structlog import get_logger

from catalog.dialects.backstage.projection import refresh_documents as work_off_documents
from catalog.ingest import live, migrations, runner, runs, schedule
from catalog.ingest.locations import due, orphans, refresh
from catalog.ingest.techdocs import refresh as techdocs
from catalog.kernel import feed
from catalog.kernel.feed import FeedRow
from catalog.models import DataMigration, Integration, Location, SyncRun
from catalog.registry import feed_consumers
from catalog.services import derived, exporter_runs, metrics

logger = get_logger(__name__)

EVENTS_TICK_S = 10
TICK_S = 30  # a run that nobody was told of begins at most so much later

POKED = "feeds-poked"  # in the cache while a poke is on its way
POKED_S = 10

# A tick stops here, so that one consumer with a long backlog cannot keep a worker to itself.
MAX_BATCHES = 50
LOCATION_BATCHES = 10  # of one task


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
    """Have every consumer catch up; also the tick that makes up for a lost poke."""
    cache.delete(POKED)  # what changes from now on pokes anew
    for name in feed_consumers:
        consume_feed.delay(name)


def follow_changes(rows: Sequence[FeedRow]) -> None:
    """The consumer of the feed that keeps computed properties true."""
    derived.mark(rows)
    transaction.on_commit(_poke_refresh, robust=True)


@shared_task
def refresh_computed() -> None:
    """Refresh the computed values that wait for it."""
    for _ in range(MAX_BATCHES):
        if derived.refresh_stale() is None:
            return
    refresh_computed.delay()


@shared_task
def refresh_computed_by_time() -> None:
    """Refresh the computed values that time alone changes."""
    derived.mark_loose()
    refresh_computed()


def _poke_refresh() -> None:
    try:
        refresh_computed.apply_async(retry=False)
    except OperationalError as error:
        logger.warning("refresh_poke_lost", error=str(error))


@shared_task
def refresh_documents() -> None:
    """Work out the documents of changed entities, so that who reads them need not."""
    if work_off_documents(batches=MAX_BATCHES):
        refresh_documents.delay()


@shared_task
def keep_partitions() -> None:
    """Create the coming months' partitions of the feed and drop what is past retention."""
    now = timezone.now()
    feed.ensure_partitions(now)
    if settings.IDP_HISTORY_MONTHS:
        feed.drop_partitions(now, keep_months=settings.IDP_HISTORY_MONTHS)


@shared_task
def prune_metrics() -> None:
    """Forget the points of metrics that are older than the setting says."""
    metrics.prune_points(timezone.now())


@shared_task
def run_sync(run_pk: int) -> None:
    """Work on a sync run; a longer one is handed on before a task's time is up."""
    if runner.run_sync(run_pk):
        run_sync.delay(run_pk)
        return
    for pk in runs.next_of(run_pk):
        run_sync.delay(pk)


@shared_task
def tick_syncs() -> None:
    """Queue what is due, hand out every run that nobody works on, end those of dead exporters."""
    schedule.queue_due()
    exporter_runs.end_silent_runs()
    for pk in runs.startable():
        # Told again with each tick, so what a busy worker did not take is worth nothing then.
        run_sync.apply_async((pk,), expires=TICK_S)


@shared_task
def prune_syncs() -> None:
    """Forget old runs, lines of logs and events."""
    schedule.prune()


@shared_task
def process_events(integration_pk: int) -> None:
    """Process the live events of a source; a long queue is handed on, so that others get a turn."""
    if live.process_waiting(integration_pk):
        process_events.delay(integration_pk)


@shared_task
def tick_events() -> None:
    """Hand out the events that wait: those put back, and those nobody was told of."""
    for pk in live.waiting_sources():
        process_events.apply_async((pk,), expires=EVENTS_TICK_S)


@shared_task
def tick_locations() -> None:
    """Read the locations whose turn has come; a long queue is handed on."""
    for _ in range(LOCATION_BATCHES):
        if refresh.refresh_due() < refresh.DUE_AT_ONCE:
            return
    tick_locations.delay()


@shared_task
def read_location(pk: str) -> None:
    """Read a location that somebody asked for."""
    if location := Location.objects.filter(pk=pk).first():
        refresh.refresh(location)


@shared_task
def sweep_orphans() -> None:
    """Delete entities that no file holds any more, as far as the settings say so."""
    orphans.sweep_orphans()


@shared_task
def run_migration(pk: int) -> None:
    """Work on a migration; a longer one is handed on before a task's time is up."""
    if migrations.run_migration(pk):
        run_migration.delay(pk)


@shared_task
def tick_migrations() -> None:
    """Hand out the migrations that are not over; who finds one taken leaves it."""
    for pk in migrations.unfinished():
        run_migration.apply_async((pk,), expires=TICK_S)


@shared_task(soft_time_limit=600, time_limit=630)
def build_docs(entity_pk: int, is_forced: bool = False) -> None:
    """Build the docs of an entity if they are due and changed; forced: in any case."""
    techdocs.check(entity_pk, force=is_forced, is_due=not is_forced)


@shared_task
def tick_docs() -> None:
    """Hand out the docs that are to be looked at; who finds them taken leaves them."""
    for pk in techdocs.due():
        build_docs.apply_async((pk,), expires=TICK_S)


def follow_docs(rows: Sequence[FeedRow]) -> None:
    """The consumer of the feed that has docs built as soon as their entity changes."""
    if techdocs.follow(rows):
        transaction.on_commit(partial(_poke, tick_docs), robust=True)


@shared_task
def scan_docs() -> None:
    """Find the entities with docs that the feed did not tell of."""
    techdocs.scan()


def start_sync(run: SyncRun) -> None:
    """Have a worker take up a queued run once the transaction is over."""
    transaction.on_commit(partial(_poke, run_sync, run.pk), robust=True)


def start_events(integration: Integration) -> None:
    """Have a worker process the events of a source, and of those that hear them as well, once the
    transaction is over."""
    for one in (integration, *live.followers(integration)):
        transaction.on_commit(partial(_poke, process_events, one.pk), robust=True)


def start_migration(migration: DataMigration) -> None:
    """Have a worker take up a migration once the transaction is over."""
    transaction.on_commit(partial(_poke, run_migration, migration.pk), robust=True)


def start_docs(entity_pk: int) -> None:
    """Have a worker build the docs of an entity once the transaction is over."""
    transaction.on_commit(partial(_poke, build_docs, entity_pk, True), robust=True)


def start_location(location: Location) -> None:
    """Have a worker read a location once the transaction is over; else the next tick does it."""
    due.make_due([location.pk])
    transaction.on_commit(partial(_poke, read_location, str(location.pk)), robust=True)


def _poke(task: Task, *args: object) -> None:
    """Send a task; when the broker is away, the next tick does it."""
    try:
        task.apply_async(args, retry=False)
    except OperationalError as error:
        logger.warning("poke_lost", task=task.name, args=args, error=str(error))
