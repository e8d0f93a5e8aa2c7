"""Turns by schedule, and how long the history of syncs stays."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from catalog.ingest import runs
from catalog.ingest.runs import request_sync
from catalog.ingest.schedule import prune, queue_due
from catalog.kernel.errors import InvalidInput
from catalog.kernel.schedules import parse_schedule
from catalog.models import InboundEvent, Integration, SyncMessage, SyncRun
from catalog.registry import source_kinds
from catalog.services.integrations import set_enabled
from tests.catalog.ingest.toy import make_source, named, now_has, sync
from tests.factories import ACTOR, make_blueprint


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("every 15m", datetime(2026, 3, 1, 10, 20, tzinfo=UTC)),
        ("every 6h", datetime(2026, 3, 1, 16, 5, tzinfo=UTC)),
        ("Every 2 d", datetime(2026, 3, 3, 10, 5, tzinfo=UTC)),
        ("0 3 * * *", datetime(2026, 3, 2, 3, 0, tzinfo=UTC)),
        (" */10 * * * mon ", datetime(2026, 3, 2, 0, 0, tzinfo=UTC)),
    ],
)
def test_schedules(text, following):
    schedule = parse_schedule(text)
    assert schedule.next_after(datetime(2026, 3, 1, 10, 5, tzinfo=UTC)) == following


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hourly", 'schedule is "hourly"; expected "every 15m"'),
        ("every 0m", "an interval from 1 minute to 366 days"),
        ("every 999999d", "an interval from 1 minute to 366 days"),
        ("* * * * * *", "or a cron line"),
        ("0 0 30 2 *", "Bad day-of-month"),
        ("61 * * * *", "Bad minute"),
    ],
)
def test_schedules_that_are_none(text, said):
    with pytest.raises(InvalidInput, match=said) as caught:
        parse_schedule(text)
    assert caught.value.details["field"] == "schedule"
    assert parse_schedule(" ") is None


def due(source, **ago):
    Integration.objects.filter(pk=source.pk).update(next_run_at=timezone.now() - timedelta(**ago))


@pytest.mark.django_db
@pytest.mark.usefixtures("toy")
def test_what_is_due_is_queued_once():
    make_blueprint("repo")
    source = make_source(repo=named("a"), schedule="every 15m")
    make_source("by-hand", repo=named("a"))
    assert queue_due() == []
    due(source, hours=5)  # a whole night without a server is one turn
    moved = Integration.objects.get(pk=source.pk).updated_at
    [run] = queue_due()
    assert (run.integration, run.trigger, run.state) == (source, "schedule", "queued")
    source.refresh_from_db()
    assert timedelta(minutes=14) < source.next_run_at - timezone.now() <= timedelta(minutes=15)
    assert source.updated_at == moved
    assert queue_due() == []
    # a run that is still at work lets the turn pass
    due(source, minutes=1)
    runs.claim(run.pk)
    assert queue_due() == []
    assert SyncRun.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("toy")
def test_a_source_that_is_off_has_no_turns():
    source = make_source(repo=named("a"), schedule="0 3 * * *")
    assert source.next_run_at is not None
    source = set_enabled(source, False, actor=ACTOR)
    assert source.next_run_at is None
    assert set_enabled(source, True, actor=ACTOR).next_run_at is not None


@pytest.mark.django_db
@pytest.mark.usefixtures("toy")
def test_a_turn_that_cannot_start_says_why(monkeypatch):
    source = make_source(repo=named("a"), schedule="every 1h")
    due(source, minutes=1)
    monkeypatch.delitem(source_kinds, "toy")
    assert queue_due() == []
    [line] = SyncMessage.objects.values_list("message", flat=True)
    assert line.startswith('The scheduled sync did not start: Source kind with name "toy" was not')
    assert "Installed are: " in line


@pytest.mark.django_db
@pytest.mark.usefixtures("toy")
def test_runs_that_nobody_works_on_are_handed_out():
    make_blueprint("repo")
    source = make_source(repo=named("a"))
    run = request_sync(source)
    assert runs.startable() == [run.pk]
    taken = runs.claim(run.pk)
    waiting = request_sync(source)
    assert runs.startable() == []
    # a worker that died is noticed by its silence; what waits for it goes on waiting
    silent = timezone.now() - SyncRun.SILENCE - timedelta(seconds=1)
    SyncRun.objects.filter(pk=run.pk).update(heartbeat_at=silent)
    assert runs.startable() == [run.pk]
    again = runs.claim(run.pk)
    assert (again.attempt, again.claim != taken.claim) == (2, True)
    with pytest.raises(runs.ClaimLost):
        runs.save(taken, kinds=[])
    runs.finish(again, SyncRun.State.FAILED)
    assert runs.next_of(run.pk) == runs.startable() == [waiting.pk]


@pytest.mark.django_db
@pytest.mark.usefixtures("toy")
def test_a_run_that_kills_its_workers_is_given_up():
    source = make_source(repo=named("a"))
    run = request_sync(source)
    silent = timezone.now() - timedelta(minutes=5)
    for _ in range(runs.MAX_ATTEMPTS):
        assert runs.claim(run.pk) is not None
        SyncRun.objects.filter(pk=run.pk).update(heartbeat_at=silent)
    assert runs.claim(run.pk) is None
    run.refresh_from_db()
    assert (run.state, run.error_code) == ("failed", "worker_died")
    assert run.stale["state"] == "skipped"


@pytest.mark.django_db
@pytest.mark.usefixtures("toy")
def test_old_history_goes(settings):
    settings.IDP_SYNC_HISTORY_DAYS = 30
    make_blueprint("repo")
    source = make_source(repo=named("a", "b", "c"))
    first = sync(source)
    now_has(source, repo=named())
    held = sync(source)
    dry = sync(source, is_dry_run=True)
    last = sync(source)
    SyncMessage.objects.create(integration=source, message="of no run")
    SyncMessage.objects.create(integration=source, run=last, message="of the last run")
    SyncMessage.objects.create(integration=source, run=first, message="of the first run")
    for number, state in enumerate(("done", "waiting")):
        InboundEvent.objects.create(integration=source, delivery=str(number), body=b"", state=state)
    assert prune() == {"messages": 0, "events": 0, "runs": 0}
    old = timezone.now() - timedelta(days=31)
    SyncRun.objects.update(created_at=old)
    SyncMessage.objects.update(at=old)
    InboundEvent.objects.update(received_at=old)
    assert prune() == {"messages": 2, "events": 1, "runs": 2}
    assert set(SyncRun.objects.values_list("pk", flat=True)) == {held.pk, last.pk}
    assert not {first.pk, dry.pk} & {held.pk, last.pk}
    assert list(SyncMessage.objects.values_list("message", flat=True)) == ["of the last run"]
    settings.IDP_SYNC_HISTORY_DAYS = 0
    assert prune() == {}
