"""Workers that are killed in the middle, and workers that race: real processes."""

import signal
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from catalog.ingest import runs
from catalog.ingest.runner import run_sync
from catalog.ingest.runs import request_sync
from catalog.models import Change, Entity, Owned, SyncRun
from tests.catalog.ingest.toy import make_source, sync, toy_mapping, work, work_at_once
from tests.factories import make_blueprint
from tests.processes import finish, race, start

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("toy")]

COUNT, PAGE = 2000, 100


def eventually(is_true, within_s=30.0):
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def let_time_pass(run):
    """The time after which a worker that says nothing is dead."""
    SyncRun.objects.filter(pk=run.pk).update(
        heartbeat_at=timezone.now() - SyncRun.SILENCE - timedelta(seconds=1)
    )


def test_a_killed_worker_loses_nothing_and_does_nothing_twice():
    make_blueprint("repo")
    source = make_source(repo={"count": COUNT, "page_size": PAGE, "pause_s": 0.02})
    run = request_sync(source)
    before = _others_connected()  # a browser of another test may keep one
    worker = start(work, run.pk)
    eventually(lambda: Entity.objects.count() >= COUNT // 2)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    eventually(lambda: _others_connected() <= before)

    # What it had begun is whole: as many entities as are counted, owned and in the history.
    run.refresh_from_db()
    there = Entity.objects.count()
    assert COUNT // 2 <= there < COUNT
    assert there == Owned.objects.count() == run.totals["created"] == run.totals["fetched"]
    assert there == _created()
    assert run.state == SyncRun.State.RUNNING
    assert run.stale == {}

    # Nobody takes it while it may still live; then it goes on where it was.
    assert run_sync(run.pk) is False
    assert Entity.objects.count() == there
    let_time_pass(run)
    assert runs.startable() == [run.pk]
    finish(start(work, run.pk))
    run.refresh_from_db()
    assert (run.state, run.attempt) == (SyncRun.State.SUCCEEDED, 2)
    assert Entity.objects.count() == Owned.objects.count() == _created() == COUNT
    totals = run.totals
    assert (totals["fetched"], totals["created"], totals["unchanged"]) == (COUNT, COUNT, 0)
    assert totals["pages"] == COUNT // PAGE
    assert run.stale["state"] == "none"


def test_a_half_pass_deletes_nothing_even_when_its_worker_dies():
    make_blueprint("repo")
    source = make_source(repo={"count": 600, "page_size": 50})
    sync(source)
    source.settings["kinds"]["repo"] = {"count": 590, "page_size": 50, "pause_s": 0.02}
    source.save()
    run = request_sync(source)
    worker = start(work, run.pk)
    eventually(lambda: Owned.objects.filter(run=run.pk).count() >= 200)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    assert Entity.objects.count() == 600
    let_time_pass(run)
    assert run_sync(run.pk) is False
    run.refresh_from_db()
    assert (run.stale["deleted"], Entity.objects.count()) == (10, 590)
    assert run.totals["unchanged"] == 590


def test_only_one_of_racing_workers_has_a_run():
    make_blueprint("repo")
    source = make_source(repo={"count": 300, "page_size": 20})
    run = request_sync(source)
    finish(*race(work_at_once, 3))
    run.refresh_from_db()
    assert (run.state, run.attempt) == (SyncRun.State.SUCCEEDED, 1)
    assert (run.totals["created"], run.totals["unchanged"], _created()) == (300, 0, 300)


def test_a_worker_that_was_given_up_writes_nothing_more():
    make_blueprint("repo")
    source = make_source(repo={"count": 600, "page_size": 20, "pause_s": 0.03})
    run = request_sync(source)
    slow = start(work, run.pk)
    eventually(lambda: Entity.objects.count() >= 100)
    slow.send_signal(signal.SIGSTOP)  # as a machine that hangs
    try:
        # It may hang within a transaction, which ends with its connection.
        _end_other_connections()
        let_time_pass(run)
        run_sync(run.pk)
        run.refresh_from_db()
        assert (run.state, run.totals["created"]) == (SyncRun.State.SUCCEEDED, 600)
        before = Change.objects.count()
    finally:
        slow.send_signal(signal.SIGCONT)
    slow.communicate(timeout=30)
    run.refresh_from_db()
    assert (run.state, Change.objects.count()) == (SyncRun.State.SUCCEEDED, before)
    assert _created() == 600


def test_two_sources_write_the_same_kinds_side_by_side():
    for name in ("repo", "team"):
        make_blueprint(name)
    mapping = toy_mapping("repo", "team")
    world = {"repo": {"count": 200, "page_size": 10}, "team": {"count": 200, "page_size": 10}}
    waiting = [request_sync(make_source(name, mapping=mapping, **world)) for name in ("one", "two")]
    finish(*[start(work, run.pk) for run in waiting])
    states = SyncRun.objects.values_list("state", flat=True)
    assert set(states) == {SyncRun.State.SUCCEEDED}
    assert (Entity.objects.count(), Owned.objects.count()) == (400, 800)
    assert Owned.objects.filter(is_creator=True).count() == 400


def _created():
    return Change.objects.filter(model=Change.ENTITY, action="create").count()


_OTHERS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)


def _others_connected():
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pid {_OTHERS}")
        return {row[0] for row in cursor.fetchall()}


def _end_other_connections():
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_terminate_backend(pid) {_OTHERS}")
