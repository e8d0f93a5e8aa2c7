"""The change feed: in commit order, nothing lost, nothing twice, whoever dies when."""

import signal
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.models import Change, FeedConsumer
from catalog.registry import feed_consumers, register_feed_consumer
from catalog.tasks import consume_feed
from tests import processes

ACTOR = Actor("user", "ann@example.com", "tests/1", "req-1")
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


@pytest.fixture
def empty_feed(transactional_db):
    """Without the rows that tell how the system blueprints came to be."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE catalog_change")


def record(*identifiers, at=NOW, actor=ACTOR):
    feed.record(
        [feed.Record(feed.UPDATE, "thing", one, "kind", 1, {"a": 1}, None) for one in identifiers],
        actor=actor,
        at=at,
        run="r_1",
    )


def until(is_done: Callable[[], bool], work: Callable[[], object] = lambda: time.sleep(0.01)):
    """Work until it is done. Other tests on the same server may hold back what is read."""
    deadline = time.monotonic() + 60
    while not is_done():
        assert time.monotonic() < deadline, "waited too long"
        work()


@contextmanager
def beside(work: Callable[[threading.Event, threading.Event], None]):
    """Run `work(reached, go_on)` in a thread with a connection of its own, up to `reached`."""
    reached, go_on = threading.Event(), threading.Event()
    failures = []

    def run():
        try:
            work(reached, go_on)
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)
        finally:
            reached.set()
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert reached.wait(30)
    try:
        yield go_on
    finally:
        go_on.set()
        thread.join(30)
    assert not failures, failures[0]


def test_a_row_says_who_did_what(empty_feed):
    seen: list[feed.FeedRow] = []
    record("x")
    until(lambda: bool(seen), lambda: feed.consume("one", seen.extend))
    [row] = seen
    change = Change.objects.get()
    assert row == feed.FeedRow(
        transaction=change.transaction,
        id=change.pk,
        at=NOW,
        actor_kind="user",
        actor="ann@example.com",
        action="update",
        model="thing",
        blueprint="kind",
        identifier="x",
        object_id=1,
        before={"a": 1},
        after=None,
        run="r_1",
    )
    assert (change.datasource, change.request_id) == ("tests/1", "req-1")
    assert feed.consume("one", seen.extend) == 0


def test_a_slow_transaction_is_not_overtaken(empty_feed):
    seen: list[str] = []

    def handle(rows):
        seen.extend(row.identifier for row in rows)

    def slow(reached, go_on):
        with transaction.atomic():
            record("slow")
            reached.set()
            assert go_on.wait(30)

    with beside(slow) as go_on:
        record("fast")
        assert Change.objects.count() == 1
        for _ in range(3):
            assert feed.consume("one", handle) == 0
        go_on.set()
    until(lambda: len(seen) >= 2, lambda: feed.consume("one", handle))
    assert seen == ["slow", "fast"]


def test_what_the_handler_raises_keeps_the_position(empty_feed):
    record(*"abcd")
    seen: list[str] = []

    def fail_at_c(rows):
        seen.extend(row.identifier for row in rows)
        if "c" in seen:
            raise ValueError("c")

    until(lambda: len(seen) == 2, lambda: feed.consume("one", fail_at_c, limit=2))
    before = FeedConsumer.objects.values().get(name="one")
    for _ in range(2):
        with pytest.raises(ValueError, match="c"):
            feed.consume("one", fail_at_c, limit=2)
    assert FeedConsumer.objects.values().get(name="one") == before
    assert feed.consume("one", lambda rows: seen.append("again")) == 2
    assert seen == ["a", "b", "c", "d", "c", "d", "again"]
    assert feed.consume("one", seen.extend) == 0


def test_consumers_of_one_name_take_turns_and_others_do_not_wait(empty_feed):
    record("x")
    calls: list[str] = []

    def slow(reached, go_on):
        def handle(rows):
            calls.append("slow")
            reached.set()
            assert go_on.wait(30)

        until(lambda: bool(calls), lambda: feed.consume("one", handle))

    with beside(slow):
        assert feed.consume("one", lambda rows: calls.append("second")) == 0
        assert feed.consume("two", lambda rows: calls.append("other")) == 1
    assert feed.consume("one", lambda rows: calls.append("third")) == 0
    assert calls == ["slow", "other"]


def consume_into_sink() -> None:
    """A consumer whose work is slow and in the same database."""
    while True:
        feed.consume("sink", _into_sink, limit=20)


def _into_sink(rows) -> None:
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO feed_sink VALUES (%s)", [(row.id,) for row in rows])
        time.sleep(0.02)


def test_a_killed_consumer_loses_nothing_and_doubles_nothing(empty_feed):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE feed_sink (id bigint)")  # no key: a double would stay
    try:
        record(*(f"x{i}" for i in range(400)))
        for at_least in (20, 120):
            consumer = processes.start(consume_into_sink)
            try:
                until(lambda: count_sink() >= at_least or consumer.poll() is not None)  # noqa: B023
            finally:
                consumer.send_signal(signal.SIGKILL)
                _, errors = consumer.communicate()
            assert consumer.returncode == -signal.SIGKILL, errors
        assert count_sink() < 400
        until(lambda: count_sink() >= 400, lambda: feed.consume("sink", _into_sink))
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM feed_sink")
            ids = [row[0] for row in cursor.fetchall()]
        assert sorted(ids) == list(Change.objects.order_by("id").values_list("pk", flat=True))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE feed_sink")


def count_sink() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM feed_sink")
        return cursor.fetchone()[0]


def test_the_task_catches_up(empty_feed, monkeypatch):
    seen: list[str] = []
    monkeypatch.setitem(feed_consumers, "one", lambda rows: seen.extend(r.identifier for r in rows))
    record(*(f"x{i}" for i in range(2500)))
    until(lambda: len(seen) == 2500, lambda: consume_feed("one"))
    assert seen == [f"x{i}" for i in range(2500)]
    with pytest.raises(ValueError, match="already called 'one'"):
        register_feed_consumer("one", print)


@pytest.mark.django_db
def test_the_poke_comes_after_the_commit_and_never_before(django_capture_on_commit_callbacks):
    pokes: list[object] = []

    def poked(**_):
        pokes.append(1)
        raise OSError("the broker is away")

    feed.changes_recorded.connect(poked)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            record("x")
            assert pokes == []
        assert pokes == [1]
    finally:
        feed.changes_recorded.disconnect(poked)


def partitions_of(*identifiers):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT identifier, tableoid::regclass::text FROM catalog_change "
            "WHERE identifier = ANY(%s) ORDER BY id",
            [list(identifiers)],
        )
        return dict(cursor.fetchall())


@pytest.mark.django_db
def test_partitions_are_made_ahead_and_take_over_what_the_default_one_caught():
    later = datetime(2031, 11, 30, 23, 59, tzinfo=UTC)
    record("november", at=later)
    record("december", at=datetime(2031, 12, 1, tzinfo=UTC))
    record("march", at=datetime(2032, 3, 1, tzinfo=UTC))
    assert set(partitions_of("november", "december", "march").values()) == {
        "catalog_change_default"
    }
    made = ["catalog_change_2031_11", "catalog_change_2031_12", "catalog_change_2032_01"]
    assert feed.ensure_partitions(later) == made
    assert feed.ensure_partitions(later) == []
    assert partitions_of("november", "december", "march") == {
        "november": "catalog_change_2031_11",
        "december": "catalog_change_2031_12",
        "march": "catalog_change_default",
    }
    record("new", at=later)
    assert partitions_of("new") == {"new": "catalog_change_2031_11"}
    assert Change.objects.filter(identifier="november").values_list("before", flat=True)[0] == {
        "a": 1
    }


@pytest.mark.django_db
def test_what_is_past_retention_is_dropped_and_nothing_else():
    feed.ensure_partitions(datetime(2031, 1, 5, tzinfo=UTC))
    moments = {
        "old": datetime(2031, 1, 31, 23, 59, 59, tzinfo=UTC),
        "kept": datetime(2031, 2, 1, tzinfo=UTC),
        "stray": datetime(2029, 5, 5, tzinfo=UTC),
        "late": datetime(2040, 5, 5, tzinfo=UTC),
    }
    for identifier, at in moments.items():
        record(identifier, at=at)
    dropped = feed.drop_partitions(datetime(2031, 8, 10, tzinfo=UTC), keep_months=6)
    assert dropped[-1] == "catalog_change_2031_01"
    assert sorted(partitions_of(*moments)) == ["kept", "late"]


@pytest.mark.django_db
def test_this_month_and_the_next_two_have_their_partition_from_the_start():
    now = datetime.now(UTC)
    record("now", at=now)
    assert partitions_of("now") == {"now": f"catalog_change_{now:%Y_%m}"}
    assert feed.ensure_partitions(now) == []
