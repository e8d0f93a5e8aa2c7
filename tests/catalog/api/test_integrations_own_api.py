"""/v1/integration for what this server syncs itself: the same shape, other acts behind it."""

import pytest

from catalog.kernel.actors import Role
from catalog.models import Integration, SyncRun
from catalog.registry import source_kinds
from tests.catalog.ingest.toy import Toy, make_source, named, sync, toy_mapping
from tests.factories import make_api, make_blueprint

ONE = "/v1/integration/toys"


@pytest.fixture
def source(api, monkeypatch):
    monkeypatch.setitem(source_kinds, "toy", Toy())
    make_blueprint("repo")
    return make_source(repo=named("a", "b"))


def test_it_looks_like_an_exporter_and_shows_no_secret(api, source):
    shown = api.get(ONE).json()["integration"]
    assert (shown["installationAppType"], shown["resyncState"]) == ("toy", None)
    assert shown["config"] == toy_mapping("repo")
    assert shown["installationType"] == "SaaS"  # an exporter of this name refuses to start
    run = sync(source)
    answer = api.get(ONE)
    assert answer.json()["integration"]["resyncState"]["status"] == "completed"
    assert b"s3cret" not in answer.content
    assert api.get("/v1/integration").json()["integrations"] == [answer.json()["integration"]]

    syncs = api.get(f"{ONE}/syncsMetadata").json()["data"]
    assert [(one["eventId"], one["syncState"]) for one in syncs] == [(run.name, "completed")]
    [kind] = api.get(f"{ONE}/syncMetrics?resyncId={run.name}").json()["data"]
    phases = kind["metrics"]["phase"]
    assert (kind["kindIdentifier"], kind["syncState"]) == ("repo-0", "completed")
    assert phases["load"]["object_count_type"]["loaded"] == {"object_count": 2}
    assert list(api.get(f"{ONE}/kinds").json()["data"]) == ["repo"]


def test_an_empty_patch_queues_one_sync(api, source):
    for _ in range(2):
        assert api.patch(ONE, {}).status_code == 200
    [run] = SyncRun.objects.all()
    assert (run.state, run.trigger) == ("queued", "api")


@pytest.mark.parametrize(("headers", "count"), [({}, 1), ({"HTTP_X_SKIP_RESYNC": "true"}, 0)])
def test_another_mapping_is_checked_stored_and_synced(api, source, headers, count):
    config = {**toy_mapping("repo"), "entityDeletionThreshold": 1}
    answer = api.patch(f"{ONE}/config", {"config": config}, **headers)
    assert answer.json()["integration"]["config"] == config
    assert SyncRun.objects.count() == count
    broken = toy_mapping("repo")
    broken["resources"][0]["port"]["entity"]["mappings"]["identifier"] = ".name |"
    answer = api.patch(f"{ONE}/config", {"config": broken})
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_mapping")
    assert Integration.objects.get().mapping == config


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("patch", ONE, {"version": "1.0", "processingMode": "dsp"}),
        ("patch", ONE, {"installationId": "other"}),
        ("patch", f"{ONE}/resync-state", {"status": "running"}),
        ("post", f"{ONE}/kinds/repo/examples", {"examples": []}),
        ("post", f"{ONE}/ingest/logs", {"logs": []}),
        ("post", "/v1/integration", {"installationId": "toys"}),
    ],
)
def test_no_exporter_takes_its_place(api, source, method, path, body):
    before = Integration.objects.values().get()
    answer = getattr(api, method)(path, body)
    assert answer.status_code == 409
    assert Integration.objects.values().get() == before


def test_only_admins_change_it(source):
    member = make_api(Role.MEMBER)
    assert member.get(ONE).status_code == 200
    assert [
        member.patch(ONE, {}).status_code,
        member.patch(f"{ONE}/config", {"config": {}}).status_code,
        member.delete(ONE).status_code,
    ] == [403] * 3
    assert not SyncRun.objects.exists()
    assert make_api().delete(ONE).json() == {"ok": True}
    assert not Integration.objects.exists()
