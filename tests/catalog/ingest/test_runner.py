"""Whole syncs of a toy source: what comes in, what is said of what does not, what stays flat."""

import pytest

from catalog.ingest.runs import request_sync
from catalog.models import Change, Entity, KindExample, SyncMessage, SyncRun
from tests.catalog.ingest.toy import make_source, named, now_has, resource, sync
from tests.factories import make_blueprint

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toy")]


def identifiers(blueprint="repo"):
    rows = Entity.objects.filter(blueprint__identifier=blueprint)
    return sorted(rows.values_list("identifier", flat=True))


def test_a_sync_brings_in_what_the_source_has():
    make_blueprint("repo")
    source = make_source(repo=named("a", "b", "c", page_size=2))
    run = sync(source)
    assert run.state == SyncRun.State.SUCCEEDED
    assert identifiers() == ["a", "b", "c"]
    [entry] = run.kinds
    assert entry["state"] == "done"
    assert (entry["pages"], entry["fetched"], entry["created"]) == (2, 3, 3)
    created = Change.objects.filter(model=Change.ENTITY, action="create")
    assert {(one.actor_kind, one.actor, one.run) for one in created} == {
        ("integration", "toys", run.name)
    }
    assert Entity.objects.get(identifier="a").datasource == "idp/toy/toys"


def test_a_second_sync_writes_nothing():
    make_blueprint("repo")
    source = make_source(repo=named("a", "b"))
    sync(source)
    before = list(Entity.objects.values_list("pk", "updated_at"))
    changes = Change.objects.count()
    run = sync(source)
    assert (run.totals["unchanged"], run.totals["created"], run.totals["updated"]) == (2, 0, 0)
    assert list(Entity.objects.values_list("pk", "updated_at")) == before
    assert Change.objects.count() == changes
