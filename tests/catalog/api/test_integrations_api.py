"""/v1/integration as exporters use it, call by call, and as people read it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.kernel.actors import Role
from catalog.models import Change, Entity, Integration, KindExample, SyncMessage, SyncRun
from catalog.services.exporter_runs import end_silent_runs
from tests.factories import make_api, make_entity

OCEAN = "port-ocean/github/1.2.3/my-github"
ONE = "/v1/integration/my-github"
WRITE = "upsert=true&merge=true&create_missing_related_entities=true&validation_only=false"
MAPPING = {
    "deleteDependentEntities": True,
    "resources": [
        {
            "kind": "repository",
            "selector": {"query": "true"},
            "port": {"entity": {"mappings": {"identifier": ".name", "blueprint": '"service"'}}},
        }
    ],
}
REGISTRATION = {
    "installationId": "my-github",
    "installationAppType": "github",
    "version": "1.2.3",
    "changelogDestination": {},
    "config": MAPPING,
    "actionsProcessingEnabled": False,
    "incrementalSyncEnabled": False,
    "createPortResourcesOrigin": "Default",
}


@pytest.fixture
def ocean(db):
    """An exporter that has registered itself with a client of its own."""
    caller = make_api(Role.MEMBER, agent=OCEAN)
    assert caller.post("/v1/integration", REGISTRATION).status_code == 200
    return caller


def state(caller, status, **more):
    answer = caller.patch(f"{ONE}/resync-state", {"status": status, **more})
    assert answer.status_code == 200
    return answer.json()["integration"]


def record(kind, index, sync_state, **counts):
    """A metrics record: counts like `load_loaded=3`."""
    phases = {}
    for name, count in counts.items():
        phase, _, what = name.partition("_")
        by_type = phases.setdefault(phase, {"object_count_type": {}})["object_count_type"]
        by_type[what] = {"object_count": float(count)}
    return {
        "integrationIdentifier": "my-github",
        "kindIdentifier": f"{kind}-{index}" if index is not None else kind,
        "kind": kind,
        "kindIndex": index or 0,
        "eventId": "resync-1",
        "syncState": sync_state,
        "blueprint": '"service"',
        "metrics": {"phase": phases},
    }


def send(caller, *records):
    body = {"syncKindsMetrics": list(records)}
    assert caller.post(f"{ONE}/ingest/metrics/syncMetrics", body).status_code == 200


def test_registration_is_given_back_as_it_was_sent(ocean):
    shown = ocean.get(f"{ONE}?oceanCoreVersion=1&isPolling=false").json()["integration"]
    assert {key: shown[key] for key in REGISTRATION} == REGISTRATION
    assert list(shown["config"]["resources"][0]) == ["kind", "selector", "port"]
    assert (shown["installationType"], shown["processingMode"]) == ("OnPrem", None)
    assert shown["logAttributes"]["ingestUrl"] == f"http://testserver{ONE}/ingest/logs"
    assert shown["metricAttributes"]["ingestUrl"] == f"http://testserver{ONE}/ingest/metrics"
    assert shown["resyncState"] is None

    # One PATCH completes it; the same one again changes nothing.
    said = {"processingMode": "dsp", "version": "1.2.3", "arePortResourcesInitialized": True}
    first = ocean.patch(ONE, said).json()["integration"]
    assert {key: first[key] for key in said} == said
    count = Change.objects.count()
    assert ocean.patch(ONE, said).json()["integration"] == first
    assert Change.objects.count() == count

    listed = ocean.get("/v1/integration").json()["integrations"]
    assert listed == [first]
    light = make_api(Role.VIEWER).get("/v1/integration/metadata").json()["integrations"]
    assert light[0]["installationId"] == "my-github"
    assert "config" not in light[0]


def test_an_unknown_one_is_404_and_there_is_nothing_to_provision(db):
    caller = make_api(agent=OCEAN)
    answer = caller.get(f"{ONE}?oceanCoreVersion=1&isPolling=false")
    assert (answer.status_code, answer.json()["ok"]) == (404, False)
    assert "integration" not in answer.json()
    assert caller.get("/v1/integration/provision-enabled").json() == {
        "ok": True,
        "integrations": [],
    }
    assert caller.get("/v1/kafka-credentials").status_code == 404
    assert caller.post("/v1/workflows/runs/claim-pending", {}).json() == {
        "ok": True,
        "nodeRuns": [],
    }
    for gone in ("/v1/lifecycle/x", f"{ONE}/ingest/lake/write/kind/x"):
        assert caller.post(gone, {}).json()["error"] == "route_not_found"


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"installationId": None}, 422, "installationId"),
        ({"installationId": "a/b"}, 422, "installationId"),
        ({"installationId": ".."}, 422, "installationId"),
        ({"installationAppType": "webhook"}, 422, "installationAppType"),
        ({"config": []}, 422, "config"),
        ({"config": {"resources": {}}}, 422, "config.resources"),
        ({"config": {"resources": [{"kind": 1}]}}, 422, "config.resources.0"),
        ({"title": 7}, 422, "title"),
    ],
)
def test_a_bad_registration_is_told(db, changes, status, field):
    answer = make_api().post("/v1/integration", {**REGISTRATION, **changes})
    assert (answer.status_code, answer.json()["details"]["field"]) == (status, field)
    assert not Integration.objects.exists()


def test_a_second_one_of_the_name_and_provisioning_are_refused(ocean):
    assert ocean.post("/v1/integration", REGISTRATION).status_code == 409
    path = "/v1/integration?integration_modes=create_resources"
    answer = ocean.post(path, {**REGISTRATION, "installationId": "other"})
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, "integration_modes")


def test_a_state_moves_both_moments_to_the_same_and_nothing_else_moves_them(ocean):
    started = "2026-03-03T10:00:00.123456+00:00"
    running = state(ocean, "running", lastResyncStart=started, lastResyncEnd=None)
    assert running["updatedAt"] == running["resyncState"]["updatedAt"]
    ocean.post(f"{ONE}/ingest/logs", {"logs": [{"message": "hello", "level": "INFO"}]})
    send(ocean, record("repository", 0, "syncing"))
    ocean.post(f"{ONE}/ingest/metrics/heartbeat", {"eventId": "resync-1"})
    ocean.post(f"{ONE}/kinds/repository/examples", {"examples": [{"name": "a"}]})
    ocean.put(f"{ONE}/cursor?kind=repository&index=0", {"primary": started})
    shown = ocean.get(ONE).json()["integration"]
    assert shown["updatedAt"] == running["updatedAt"]
    done = state(ocean, "completed", lastResyncEnd=started, nextResync=None)
    assert done["updatedAt"] == done["resyncState"]["updatedAt"] > running["updatedAt"]
    assert done["resyncState"]["lastResyncStart"] == started
    assert ocean.patch(f"{ONE}/resync-state", {"status": "sleeping"}).status_code == 422


def test_a_resync_is_asked_for_once_and_taken_up_by_the_next_run(ocean):
    asked = f"{ONE}/resync-request"
    assert ocean.get(asked).json() == {"ok": True, "request": None}
    state(ocean, "completed")
    before = ocean.get(ONE).json()["integration"]
    after = make_api().patch(ONE, {}).json()["integration"]
    request = ocean.get(asked).json()["request"]
    assert request["updatedAt"] == after["updatedAt"] > before["updatedAt"]
    assert after["resyncState"] == before["resyncState"]  # older pollers see the difference
    state(ocean, "running")
    assert ocean.get(asked).json()["request"] is None


@pytest.mark.parametrize(
    ("agent", "headers", "is_asked"),
    [
        ("browser/1", {}, True),
        ("browser/1", {"HTTP_X_SKIP_RESYNC": "true"}, False),
        (OCEAN, {}, False),
    ],
)
def test_another_mapping_asks_for_a_resync(ocean, agent, headers, is_asked):
    config = {"resources": []}
    answer = make_api(agent=agent).patch(f"{ONE}/config", {"config": config}, **headers)
    assert answer.json()["integration"]["config"] == config
    assert (ocean.get(f"{ONE}/resync-request").json()["request"] is not None) is is_asked


def test_a_sync_as_it_is_reported_and_as_people_read_it(ocean, service):
    exporter = make_api(agent=f"{OCEAN}/exporter")
    make_entity("service", "old")
    state(ocean, "running")
    send(ocean, record("repository", 0, "pending"), record("issue", 1, "pending"))
    send(ocean, record("__runtime__", None, "syncing"))
    run = SyncRun.objects.get()
    assert (run.state, run.trigger, run.external_id) == ("running", "exporter", "resync-1")
    assert [(k["kind"], k["state"]) for k in run.kinds] == [
        ("repository", "waiting"),
        ("issue", "waiting"),
    ]

    path = f"/v1/blueprints/service/entities/bulk?{WRITE}&ocean_info_event_type=resync"
    body = {"entities": [{"identifier": i, "title": i} for i in ("old", "a", "b")]}
    exporter.post(f"{path}&ocean_info_resync_id=resync-1", body)
    kind = f"{ONE}/ingest/metrics/syncMetrics/resync/resync-1/kind/repository-0"
    counts = {"extract_raw_extracted": 5, "transform_filtered_out": 2, "load_loaded": 3}
    done = record("repository", 0, "completed", **counts)
    assert ocean.put(kind, {"syncKindMetrics": done}).status_code == 200
    send(ocean, {**record("issue", 1, "completed", load_skipped=4), "blueprint": ".kind"})
    deleted = {"object_count_type": {"deleted": {"object_count": 1.0}}}
    send(
        ocean,
        record("__reconciliation__", None, "completed")
        | {"metrics": {"phase": {"delete": deleted}}},
    )
    state(ocean, "completed")
    send(ocean, record("__runtime__", None, "completed"))

    run.refresh_from_db()
    assert (run.state, run.error, run.stale["deleted"]) == ("succeeded", "", 1)
    keys = ("state", "fetched", "filtered", "created", "updated", "unchanged", "rejected")
    assert [tuple(kind[key] for key in keys) for kind in run.kinds] == [
        ("done", 5, 2, 2, 1, 0, 0),
        ("done", 0, 0, 0, 0, 4, 0),
    ]
    assert set(Change.objects.filter(model="entity", run=run.name).values_list("identifier")) == {
        ("a",),
        ("b",),
        ("old",),
    }
    internal = ocean.get(ONE).json()["integration"]["_id"]
    syncs = ocean.get(f"/v1/integration/{internal}/syncsMetadata").json()
    assert (syncs["count"], syncs["data"][0]["syncState"]) == (1, "completed")
    metrics = ocean.get(f"/v1/integration/{internal}/syncMetrics?resyncId=resync-1").json()
    assert metrics["count"] == 4
    shown = next(one for one in metrics["data"] if one["kindIdentifier"] == "repository-0")
    assert {key: shown[key] for key in done} == done
    assert ocean.get(f"{ONE}/syncMetrics?resyncId=other").status_code == 404


@pytest.mark.parametrize(
    ("status", "expected"),
    [("completed", "succeeded"), ("failed", "failed"), ("aborted", "cancelled")],
)
def test_how_a_run_ends(ocean, status, expected):
    state(ocean, "running")
    state(ocean, status)
    assert SyncRun.objects.get().state == expected


def test_a_run_that_never_ended_ends_with_the_next(ocean):
    state(ocean, "running")
    state(ocean, "running")
    assert list(SyncRun.objects.order_by("pk").values_list("state", flat=True)) == [
        "failed",
        "running",
    ]


def test_a_silent_run_ends_and_a_heard_one_goes_on(ocean):
    state(ocean, "running")
    send(ocean, record("repository", 0, "syncing"))
    SyncRun.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=61))
    ocean.post(f"{ONE}/ingest/metrics/heartbeat", {"eventId": "resync-1"})
    assert end_silent_runs() == 0
    SyncRun.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=61))
    assert end_silent_runs() == 1
    assert SyncRun.objects.get().state == "failed"


@pytest.mark.parametrize(
    "records",
    [
        "x",
        ["x"],
        [{"eventId": "a\x00", "kindIdentifier": "k"}],
        [{"eventId": "a", "kindIdentifier": "k", "metrics": "x" * 70_000}],
    ],
)
def test_bad_metrics_are_refused(ocean, records):
    answer = ocean.post(f"{ONE}/ingest/metrics/syncMetrics", {"syncKindsMetrics": records})
    assert answer.status_code == 422
    assert not SyncRun.objects.exists()


def test_odd_metrics_count_nothing(ocean):
    odd = {"eventId": "e", "kindIdentifier": "k", "kindIndex": "x", "metrics": {"phase": []}}
    send(ocean, odd, {"eventId": 7}, {"eventId": "", "kindIdentifier": "k"})
    [kind] = SyncRun.objects.get().kinds
    assert (kind["kind"], kind["index"], kind["fetched"], kind["state"]) == ("", 0, 0, "running")


def test_a_completed_run_with_refused_writes_is_partial_and_says_which(ocean, service):
    """The exporter calls it completed even when every write was refused."""
    exporter = make_api(agent=f"{OCEAN}/exporter")
    state(ocean, "running")
    send(ocean, record("repository", 0, "syncing"))
    query = f"{WRITE}&ocean_info_event_type=resync&ocean_info_resync_id=resync-1"
    bodies = [{"identifier": "good"}, {"identifier": "bad", "properties": {"stars": -1}}]
    path = f"/v1/blueprints/service/entities/bulk?{query}"
    assert exporter.post(path, {"entities": bodies}).status_code == 207
    path = f"/v1/blueprints/nowhere/entities/bulk?{query}"
    assert exporter.post(path, {"entities": bodies}).status_code == 404
    path = f"/v1/blueprints/service/entities?{query}"
    assert exporter.post(path, bodies[1]).status_code == 422
    # The trouble of others, of dry runs and of searches is none of the exporter's.
    make_api(agent="curl/8").post(path, bodies[1])
    exporter.post(f"{path}&validation_only=true", bodies[1])
    exporter.post("/v1/blueprints/service/entities/search", {"query": 7})
    state(ocean, "completed")

    run = SyncRun.objects.get()
    assert (run.state, run.refused, run.error) == ("partial", 4, "4 writes were refused")
    told = SyncMessage.objects.values_list("blueprint", "identifier", "field", "run")
    assert list(told) == [
        ("service", "bad", "properties.stars", run.pk),
        ("nowhere", "good", "", run.pk),
        ("nowhere", "bad", "", run.pk),
        ("service", "bad", "properties.stars", run.pk),
    ]
    first = SyncMessage.objects.all()[0]
    assert first.message == 'property "stars": -1 is less than the minimum of 0'
    assert first.item == {"identifier": "bad", "properties": {"stars": -1}}

    lines = ocean.get(f"{ONE}/logs?level=error&eventId=resync-1&limit=3").json()["data"]
    assert len(lines) == 3
    assert lines[-1]["extra"]["identifier"] == "good"
    syncs = ocean.get(f"{ONE}/syncsMetadata").json()["data"]
    assert (syncs[0]["syncState"], syncs[0]["hasErrors"]) == ("completed", True)


def test_a_refused_live_event_is_in_the_log_of_no_run(ocean, service):
    exporter = make_api(agent=f"{OCEAN}/exporter")
    state(ocean, "running")
    path = f"/v1/blueprints/service/entities/bulk?{WRITE}&ocean_info_event_type=http_request"
    exporter.post(path, {"entities": [{"identifier": "bad", "properties": {"stars": -1}}]})
    [message] = SyncMessage.objects.all()
    assert (message.stage, message.run, SyncRun.objects.get().refused) == ("live", None, 0)


def test_what_a_resync_changed_counts_among_what_the_exporter_has(ocean, service):
    """Else a resync that changes everything finds nothing but stale entities, which would be too
    large a share to delete; what is new does not count, so that a set of quite other ones is.
    """
    exporter = make_api(agent=f"{OCEAN}/exporter")
    path = f"/v1/blueprints/service/entities/bulk?{WRITE}"

    def write(stars, event, names):
        bodies = [{"identifier": name, "properties": {"stars": stars}} for name in names]
        assert exporter.post(f"{path}&{event}", {"entities": bodies}).status_code == 200

    write(1, "ocean_info_event_type=resync", ["a", "b", "stale", "live"])
    before = Entity.objects.order_by("-updated_at")[0].updated_at.isoformat()
    state(ocean, "running")
    send(ocean, record("repository", 0, "syncing"))
    write(2, "ocean_info_event_type=resync&ocean_info_resync_id=resync-1", ["a", "b", "c"])
    write(3, "ocean_info_event_type=http_request", ["live", "new"])

    def known():
        asked = {
            "datasource_prefix": "port-ocean/github/",
            "datasource_suffix": "/my-github/exporter",
            "limit": 5000,
            "before": before,
        }
        found = exporter.post("/v1/blueprints/entities/datasource-entities", asked).json()
        return sorted(one["identifier"] for one in found["entities"])

    assert known() == ["a", "b", "stale"]
    state(ocean, "completed")
    assert known() == ["stale"]  # of no run that is under way


def test_logs_are_kept_by_run_and_paged_both_ways(ocean):
    state(ocean, "running")
    send(ocean, record("repository", 0, "syncing"))
    lines = [
        {
            "message": f"line {n}\x00" if n == 2 else f"line {n}",
            "level": "WARNING" if n % 2 else "INFO",
            "timestamp": f"2026-03-03T10:00:0{n}.000000Z",
            "extra": {"event_id": "resync-1", "token": "s3cret", "resource_kind": "repository"},
        }
        for n in range(5)
    ]
    path = f"{ONE}/ingest/logs"
    assert ocean.post(path, {"logs": [*lines, "no line", {"level": 7}]}).status_code == 200
    assert ocean.post(path, {"logs": "x"}).status_code == 422
    kept = SyncMessage.objects.filter(run=SyncRun.objects.get())
    assert kept.count() == 5
    assert {(one.stage, one.kind) for one in kept} == {("log", "repository")}

    def read(query):
        return ocean.get(f"{ONE}/logs?{query}").json()["data"]

    newest = read("limit=2&eventId=resync-1")
    assert [one["message"] for one in newest] == ["line 4", "line 3"]
    assert "s3cret" not in str(newest)
    older = read(f"limit=2&eventId=resync-1&log_id={newest[-1]['id']}")
    assert [one["message"].rstrip("\ufffd") for one in older] == ["line 2", "line 1"]
    newer = read(f"limit=1&eventId=resync-1&direction=up&log_id={older[-1]['id']}")
    assert [one["id"] for one in newer] == [older[0]["id"]]
    assert len(read("level[]=WARNING")) == 2
    assert ocean.get(f"{ONE}/logs?direction=left").status_code == 400


def test_examples_and_cursors(ocean):
    path = f"{ONE}/kinds/pull%20request/examples"
    for n in range(3):
        examples = [{"n": n, "i": i} for i in range(3)]
        assert ocean.post(path, {"examples": examples}).status_code == 200
    assert ocean.post(path, {"examples": []}).status_code == 200
    data = ocean.get(f"{ONE}/kinds").json()["data"]
    assert list(data) == ["repository", "pull request"]
    kept = [one["data"] for one in data["pull request"]["examples"]]
    assert kept == [{"n": 1, "i": 1}, {"n": 1, "i": 2}, *({"n": 2, "i": i} for i in range(3))]
    assert KindExample.objects.count() == 5

    cursor = f"{ONE}/cursor?kind=issue&index=1"
    assert ocean.get(cursor).json() == {"ok": True, "cursor": None}
    assert ocean.put(cursor, {"primary": "2026-03-03T10:00:00Z"}).status_code == 200
    assert ocean.get(cursor).json()["cursor"] == {"primary": "2026-03-03T10:00:00Z"}
    assert ocean.get(f"{ONE}/cursor?index=1").status_code == 400


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [(Role.ADMIN, 200, 200), (Role.MEMBER, 200, 403), (Role.VIEWER, 403, 403)],
)
def test_who_may(ocean, role, reads, writes):
    caller = make_api(role)
    got = {caller.get(f"{ONE}{part}").status_code for part in ("", "/kinds", "/logs")}
    assert got == {reads}
    before = Integration.objects.values().get()
    assert caller.patch(ONE, {"title": "New"}).status_code == writes
    assert caller.patch(f"{ONE}/resync-state", {"status": "failed"}).status_code == writes
    if writes == 403:
        assert caller.delete(ONE).status_code == 403
        assert Integration.objects.values().get() == before


def test_an_exporter_that_goes_leaves_its_entities(ocean, service):
    make_api(agent=f"{OCEAN}/exporter").post("/v1/blueprints/service/entities", {"identifier": "a"})
    state(ocean, "running")
    assert ocean.delete(ONE).json() == {"ok": True}
    assert (Integration.objects.count(), SyncRun.objects.count()) == (0, 0)
    assert Entity.objects.count() == 1
