"""What can be told of a source, and of an entity that is missing."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.ingest.runs import request_sync
from catalog.models import Integration
from catalog.selectors.provenance import ingest_history
from catalog.selectors.sources import Health, needing_attention, owned_by_kind, stale_of, states_of
from catalog.services.integrations import set_enabled
from tests.catalog.ingest.toy import make_source, named, now_has, resource, sync
from tests.factories import ACTOR, make_blueprint

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toy")]


def test_why_an_entity_is_missing():
    make_blueprint("repo", properties={"n": {"type": "number"}})
    mapping = {"resources": [resource("repo", properties={"n": ".n"})]}
    source = make_source(mapping=mapping, repo={"items": [{"name": "a", "n": "x"}, {"name": "b"}]})
    run = sync(source)
    [line] = ingest_history("repo", "a").messages
    assert (line.run, line.field, line.item) == (run, "properties.n", {"name": "a", "n": "x"})
    now_has(source, repo=named())
    run = sync(source)
    [deletion] = ingest_history("repo", "b").deletions
    assert (deletion.actor_kind, deletion.actor, deletion.run) == ("integration", "toys", run.name)
    assert ingest_history("repo", "\x00").messages == []


def test_what_is_gone_is_listed_until_it_is_seen_to():
    make_blueprint("repo")
    source = make_source(repo=named("a", "b", "c"))
    assert stale_of(source) == (0, [])
    sync(source)
    assert stale_of(source) == (0, [])
    now_has(source, repo=named("a"))
    sync(source)
    count, found = stale_of(source)
    assert (count, [one.identifier for one in found]) == (2, ["b", "c"])
    assert [one.identifier for one in stale_of(source, after=found[0].pk)[1]] == ["c"]
    # a run that did not get so far does not change what is known
    now_has(source, repo=named("a", fail_page=1))
    sync(source)
    assert stale_of(source)[0] == 2
    now_has(source, repo=named("a", "b", "c"))
    sync(source)
    assert stale_of(source) == (0, [])


def test_how_sources_are_doing():
    make_blueprint("repo")
    good = make_source("good", repo=named("a"))
    failed = make_source("failed", repo=named("b", fail_page=1))
    held = make_source("held", repo=named("c", "d"))
    partial = make_source("partial", repo={"items": [{"name": "e"}, {"name": "not good"}]})
    for source in (good, failed, held, partial):
        sync(source)
    now_has(held, repo=named())
    sync(held)
    make_source("new", repo=named("f"))
    request_sync(make_source("working", repo=named("g")))
    set_enabled(make_source("off", repo=named("h")), False, actor=ACTOR)
    with CaptureQueriesContext(connection) as captured:
        states = {one.integration.identifier: one for one in states_of(Integration.objects.all())}
    assert len(captured) == 5  # the sources themselves, and four
    assert {name: one.health for name, one in states.items()} == {
        "good": Health.GOOD,
        "failed": Health.FAILED,
        "held": Health.TROUBLED,
        "partial": Health.TROUBLED,
        "new": Health.NEW,
        "working": Health.WORKING,
        "off": Health.OFF,
    }
    assert states["held"].held == states["held"].last_run
    assert (states["held"].owned, states["failed"].owned) == (2, 0)
    assert states["working"].unfinished is not None
    assert needing_attention() == 3
    assert owned_by_kind(held) == {"repo": 2}
