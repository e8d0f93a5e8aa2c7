"""Live events: taken in, processed in order and exactly once, whatever happens to workers."""

import hashlib
import hmac
import threading
import time
from collections import Counter

import orjson
import pytest
from django.db import connection, transaction
from django.utils import timezone

from catalog.ingest import live
from catalog.ingest.integrations import create_source, update_source
from catalog.ingest.sources.github import GitHub
from catalog.kernel.errors import Conflict, NotAuthenticated
from catalog.kernel.locks import Lock, hold
from catalog.models import Change, Entity, InboundEvent, Owned, SyncMessage
from catalog.registry import source_kinds
from tests import processes
from tests.catalog.ingest.live_toy import (
    Talker,
    heard,
    issue,
    make_talker,
    tell,
    work,
    work_on_all,
)
from tests.catalog.ingest.toy import resource
from tests.factories import ACTOR, make_blueprint, make_entity

State = InboundEvent.State


@pytest.fixture
def talker(monkeypatch):
    monkeypatch.setitem(source_kinds, "talker", Talker())


@pytest.fixture
def source(db, talker):
    make_blueprint("issue", properties={"n": {"type": "number"}, "state": {"type": "string"}})
    return make_talker()


def names(blueprint="issue"):
    found = Entity.objects.filter(blueprint__identifier=blueprint)
    return sorted(found.values_list("identifier", flat=True))


def put_off(event):
    """When an event is due again, in seconds from now."""
    event.refresh_from_db()
    return (event.due_at - timezone.now()).total_seconds()


# Taking in


def test_what_proves_the_sender_is_not_kept(source):
    event = tell(source, issue("a"), delivery="d-1")
    assert event.headers == {"content-type": "application/json", "x-delivery": "d-1"}
    assert bytes(event.body) == orjson.dumps({"changes": [issue("a")]})
    assert (event.state, event.delivery) == (State.WAITING, "d-1")


def test_a_stranger_leaves_nothing_behind(source):
    with pytest.raises(NotAuthenticated, match="X-Token is not the secret"):
        live.receive(source, {"X-Token": "guess"}, {}, b"{}")
    assert not InboundEvent.objects.exists()


def test_a_replay_is_the_same_event(source):
    first = heard(source, issue("a", n=1), delivery="d-1")
    again = heard(source, issue("a", n=2), delivery="d-1")
    assert (again.pk, again.state, again.attempts) == (first.pk, State.DONE, 1)
    assert Entity.objects.get().properties == {"n": 1}


def test_without_a_name_of_its_own_every_delivery_is_an_event(source):
    assert heard(source, issue("a")).delivery != heard(source, issue("a")).delivery


def test_an_odd_name_of_a_delivery_becomes_one_that_history_takes(source):
    event = heard(source, issue("a"), delivery="a name / with blanks")
    assert event.delivery == hashlib.sha256(b"a name / with blanks").hexdigest()
    assert Change.objects.get(model="entity").run == event.delivery
    assert tell(source, delivery="a name / with blanks").pk == event.pk


def test_a_delivery_that_failed_is_tried_again_when_it_comes_again(source):
    assert heard(source, delivery="d-1", odd=True).state == State.FAILED
    again = tell(source, delivery="d-1")
    assert (again.state, again.attempts, again.error) == (State.WAITING, 0, "")


def test_a_source_that_is_off_takes_and_does_nothing(source):
    event = tell(source, issue("a"))
    update_source(source, actor=ACTOR, is_enabled=False)
    source.refresh_from_db()
    with pytest.raises(Conflict, match="is off"):
        tell(source, issue("b"))
    live.process_waiting(source.pk)
    event.refresh_from_db()
    assert (event.state, event.error, names()) == (State.IGNORED, "The source is off.", [])


# What becomes of entities


def test_an_event_writes_what_it_says_and_notes_whose_it_is(source):
    event = heard(source, issue("a", n=1, title="A"), issue("b", n=2), delivery="d-1")
    assert event.state == State.DONE
    assert event.results == [
        {"blueprint": "issue", "identifier": "a", "status": "created"},
        {"blueprint": "issue", "identifier": "b", "status": "created"},
    ]
    owned = Owned.objects.filter(integration=source).values_list("kind", "is_creator", "run")
    assert list(owned) == [("issue", True, None)] * 2
    change = Change.objects.filter(model="entity").first()
    assert (change.actor_kind, change.actor, change.run) == ("integration", "talk", "d-1")
    [again] = heard(source, issue("a", n=1, title="A")).results
    assert again["status"] == "unchanged"


def test_an_event_of_nothing_that_matters_is_ignored(source):
    event = heard(source, {"kind": "star", "item": {}})
    assert (event.state, event.results, event.error) == (State.IGNORED, [], "")


def test_a_bad_item_is_told_and_stops_nobody(source):
    event = heard(source, issue("a", n="many"), issue(None), issue("b", n=1))
    assert (event.state, names()) == (State.DONE, ["b"])
    assert [one["status"] for one in event.results] == ["rejected", "created"]
    assert event.results[0]["field"] == "properties.n"
    assert event.error.startswith("identifier: ")
    assert event.error.endswith("(and 1 more)")
    lines = SyncMessage.objects.filter(event=event).order_by("stage")
    assert [(one.stage, one.field, one.item["name"]) for one in lines] == [
        ("apply", "properties.n", "a"),
        ("map", "identifier", None),
    ]


@pytest.mark.parametrize(
    ("_case", "item"),
    [
        ("gone", issue("a", gone=True)),
        ("its query leaves it out", issue("a", n=-1)),
        ("its selector leaves it out", issue("a", state="closed")),
    ],
)
def test_what_the_mapping_no_longer_takes_goes(db, talker, _case, item):
    make_blueprint("issue", properties={"n": {"type": "number"}})
    one = resource("issue", query="(.n // 0) >= 0", properties={"n": ".n"})
    one["selector"]["state"] = "open"
    source = make_talker("talk", one)
    heard(source, issue("a", state="open"), issue("b", state="open"))
    item["item"].setdefault("state", "open")
    event = heard(source, item)
    assert event.results == [{"blueprint": "issue", "identifier": "a", "status": "deleted"}]
    assert names() == ["b"]


def test_only_its_own_is_deleted(source):
    make_entity("issue", "by-hand")
    heard(source, issue("by-hand"), issue("shared"), issue("mine"))
    other = make_talker("other")
    heard(other, issue("shared"))
    event = heard(
        source, *(issue(name, gone=True) for name in ("by-hand", "shared", "mine", "unknown"))
    )
    assert {one["identifier"]: one["status"] for one in event.results} == {
        "by-hand": "released",
        "shared": "released",
        "mine": "deleted",
    }
    assert names() == ["by-hand", "shared"]
    left = Owned.objects.values_list("integration__identifier", "entity__identifier", "is_creator")
    assert list(left) == [("other", "shared", True)]
    [result] = heard(other, issue("shared", gone=True)).results
    assert result["status"] == "deleted"


def test_what_another_resource_still_takes_stays(db, talker):
    make_blueprint("issue")
    source = make_talker(
        "talk",
        resource("issue", query=".hot == true"),
        resource("issue", query=".old == true"),
        resource("repo", "issue"),
    )
    heard(source, issue("a", hot=True), {"kind": "repo", "item": {"name": "b"}})
    assert [r["status"] for r in heard(source, issue("a", old=True)).results] == ["unchanged"]
    heard(source, issue("b", hot=True))
    assert heard(source, issue("b", gone=True)).results == []
    assert names() == ["a", "b"]  # b: the kind repo has it still
    assert Owned.objects.filter(entity__identifier="b").get().kind == "repo"


def test_the_last_word_of_an_event_counts(source):
    heard(source, issue("a"), issue("a", gone=True), issue("b", gone=True), issue("b", n=1))
    assert names() == ["b"]


def test_an_entity_that_others_need_stays_where_they_may_not_go(db, talker):
    make_blueprint("issue")
    make_blueprint("fix", relations={"of": {"target": "issue", "required": True}})
    strict = make_talker("strict", deleteDependentEntities=False)
    heard(strict, issue("a"), issue("b"))
    make_entity("fix", "f", relations={"of": "a"})
    event = heard(strict, issue("a", gone=True), issue("b", gone=True))
    assert {one["identifier"]: one["status"] for one in event.results} == {
        "a": "kept",
        "b": "deleted",
    }
    update_source(strict, actor=ACTOR, mapping={**strict.mapping, "deleteDependentEntities": True})
    event = heard(strict, issue("a", gone=True))
    assert (names(), names("fix")) == ([], [])


def test_targets_that_come_with_the_event_are_found(db, talker):
    make_blueprint("issue", relations={"after": {"target": "issue"}})
    one = resource("issue", relations={"after": ".after"})
    source = make_talker("talk", one, createMissingRelatedEntities=False)
    event = heard(source, issue("a", after="b"), issue("b"), issue("c", after="nowhere"))
    assert {one["identifier"]: one["status"] for one in event.results} == {
        "b": "created",
        "a": "created",
        "c": "rejected",
    }


# Trouble


def test_a_vendor_that_is_away_is_asked_again_and_others_wait_behind(source):
    first = tell(source, away=True)
    second = tell(source, issue("b"))
    live.process_waiting(source.pk)
    assert 3 < put_off(first) <= 5
    assert (first.state, first.attempts) == (State.WAITING, 1)
    assert first.error == "503 from talker.example"
    assert live.waiting_sources() == []
    for attempts in range(2, live.MAX_ATTEMPTS + 1):
        InboundEvent.objects.filter(pk=first.pk).update(due_at=timezone.now())
        assert live.waiting_sources() == [source.pk]
        assert names() == []
        live.process_waiting(source.pk)
        first.refresh_from_db()
        assert first.attempts == attempts
    second.refresh_from_db()
    assert (first.state, second.state, names()) == (State.FAILED, State.DONE, ["b"])
    line = SyncMessage.objects.get(event=first)
    assert (line.level, line.stage, line.message) == ("error", "live", "503 from talker.example")


def test_a_fault_in_a_kind_is_no_fault_of_the_worker(source):
    event = heard(source, 17)
    assert event.state == State.FAILED
    assert event.error.startswith("Unexpected event, or a fault in Talker: TypeError")


def test_an_event_that_kills_its_workers_is_given_up(source):
    event = tell(source, issue("a"))
    InboundEvent.objects.filter(pk=event.pk).update(attempts=live.MAX_ATTEMPTS)
    live.process_waiting(source.pk)
    event.refresh_from_db()
    assert (event.state, names()) == (State.FAILED, [])
    assert event.error == "Its worker died; it was given up after 6 attempts."
    live.retry(event)
    live.process_waiting(source.pk)
    assert names() == ["a"]


@pytest.mark.django_db(transaction=True)
def test_what_a_killed_worker_had_begun_is_done_by_another(talker, tmp_path):
    make_blueprint("issue")
    source = make_talker()
    gate = tmp_path / "gate"
    event = tell(source, issue("a"), wait_for=str(gate))
    worker = processes.start(work_on_all)
    try:
        while not gate.with_name("gate.entered").exists():
            assert worker.poll() is None, worker.communicate()
            time.sleep(0.01)
        InboundEvent.objects.filter(pk=event.pk).update(due_at=timezone.now())
        assert live.process_waiting(source.pk) is False  # it is being worked on
        event.refresh_from_db()
        assert (event.attempts, names()) == (1, [])
    finally:
        worker.kill()
        worker.communicate()
    gate.touch()
    deadline = time.monotonic() + 10
    while live.waiting_sources() and time.monotonic() < deadline:  # what the tick does
        live.process_waiting(source.pk)
    event.refresh_from_db()
    assert (event.state, event.attempts, names()) == (State.DONE, 2, ["a"])
    assert Change.objects.filter(model="entity", action="create").count() == 1


@pytest.mark.django_db(transaction=True)
def test_who_only_looks_takes_no_turn_from_who_works(talker):
    make_blueprint("issue")
    source = make_talker()
    tell(source, issue("a"))
    [event] = live._claim(source.pk)
    is_held, may_end = threading.Event(), threading.Event()

    def look():
        with transaction.atomic():
            hold(Lock.LIVE_EVENTS, source.pk)
            is_held.set()
            may_end.wait(0.2)
        connection.close()

    looker = threading.Thread(target=look)
    looker.start()
    is_held.wait(5)
    assert live.process_event(event) is True
    looker.join()
    assert names() == ["a"]


# A burst


@pytest.mark.django_db(transaction=True)
def test_a_burst_of_real_deliveries_is_processed_once_and_in_order(test_data):
    """500 of GitHub's own payloads, half to the kind for GitHub and half to a generic webhook,
    with two workers at both."""
    make_blueprint("thing", properties={"at": {"type": "number"}})
    github = create_source(
        identifier="github",
        kind=GitHub.name,
        actor=ACTOR,
        settings={"webhookSecret": "shared with GitHub"},
        mapping={
            "resources": [
                resource(kind, "thing", identifier=f'"{kind}-\\(.id)"', title=".id | tostring")
                for kind in ("issue", "pull-request", "release", "workflow-run", "deployment")
            ]
        },
    )
    webhook = create_source(
        identifier="hook",
        kind="webhook",
        actor=ACTOR,
        settings={
            "secret": "shared with GitHub",
            "signatureHeaderName": "X-Hub-Signature-256",
            "signatureAlgorithm": "sha256",
            "signaturePrefix": "sha256=",
            "requestIdentifierPath": '.headers."x-github-delivery"',
        },
        mapping={
            "mappings": [
                {
                    "blueprint": "thing",
                    "entity": {"identifier": '.headers."x-github-delivery"'},
                },
                {
                    "blueprint": "thing",
                    "entity": {
                        "identifier": '"last"',
                        "properties": {"at": '.headers."x-number" | tonumber'},
                    },
                },
            ]
        },
    )
    files = sorted((test_data / "github" / "webhooks").glob("*/*.json"))
    for number in range(500):
        file = files[number // 2 % len(files)]
        body = file.read_bytes()
        digest = hmac.new(b"shared with GitHub", body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": file.parent.name,
            "X-GitHub-Delivery": f"delivery-{number}",
            "X-Hub-Signature-256": f"sha256={digest}",
            "X-Number": str(number),
        }
        live.receive((github, webhook)[number % 2], headers, {}, body)
    processes.finish(*processes.race(work, 2))

    events = InboundEvent.objects.all()
    assert events.count() == 500
    assert set(events.values_list("attempts", flat=True)) == {1}
    states = list(events.filter(integration=github).values_list("state", flat=True))
    assert (states.count(State.DONE), states.count(State.IGNORED)) == (63, 187)
    assert list(events.filter(integration=webhook).values_list("state", flat=True)) == (
        [State.DONE] * 250
    )
    made = Change.objects.filter(model="entity", action="create", actor="hook")
    assert sorted(made.exclude(identifier="last").values_list("identifier", flat=True)) == sorted(
        f"delivery-{number}" for number in range(1, 500, 2)
    )
    order = Change.objects.filter(identifier="last", action="update").order_by("id")
    numbers = [row.after["properties"]["at"] for row in order]
    assert numbers == list(range(3, 500, 2))
    told = Counter(
        (event.delivery, one["status"].removesuffix("d"))
        for event in events.filter(integration=github)
        for one in event.results
        if one["status"] != "unchanged"
    )
    written = Change.objects.filter(model="entity", actor="github")
    assert Counter(written.values_list("run", "action")) == told
    assert len(told) > 5
