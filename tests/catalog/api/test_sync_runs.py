"""/v1/sync-runs: runs of sources and their logs."""

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from catalog.ingest.runs import request_sync
from catalog.kernel.actors import Role
from catalog.models import Integration, SyncMessage, SyncRun
from tests.catalog.ingest.toy import make_source, named, now_has, resource, sync
from tests.factories import make_api, make_blueprint

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toy")]


@pytest.fixture
def source(db: None) -> Integration:
    make_blueprint("repo", properties={"n": {"type": "number"}})
    mapping = {"resources": [resource("repo", properties={"n": ".n"})]}
    items = [{"name": "good", "n": 1}, {"name": "odd", "n": "x", "token": "hidden-1"}]
    return make_source("acme", mapping=mapping, repo={"items": items})


@pytest.fixture
def reader(db: None) -> APIClient:
    return make_api(Role.MEMBER)


def test_a_run_says_what_it_did(source: Integration, reader: APIClient) -> None:
    run = sync(source, requested_by="ines@example.com")
    [listed] = reader.get("/v1/sync-runs").json()["syncRuns"]
    assert listed == reader.get(f"/v1/sync-runs/sync_{run.pk}").json()["syncRun"]
    assert listed == reader.get(f"/v1/sync-runs/{run.pk}").json()["syncRun"]
    assert {
        key: listed[key] for key in ("id", "integration", "state", "trigger", "requestedBy")
    } == {
        "id": f"sync_{run.pk}",
        "integration": "acme",
        "state": "partial",
        "trigger": "manual",
        "requestedBy": "ines@example.com",
    }
    assert (listed["totals"]["created"], listed["totals"]["rejected"]) == (1, 1)
    assert listed["stale"]["state"] == "none"
    assert listed["kinds"][0]["kind"] == "repo"
    assert listed["startedAt"] < listed["endedAt"]


def test_runs_are_narrowed_and_come_in_pages(source: Integration, reader: APIClient) -> None:
    pks = [sync(source).pk for _ in range(3)]
    other = sync(make_source("other", repo=named("a"))).pk
    first = reader.get("/v1/sync-runs", {"integration": "acme", "limit": 2}).json()
    rest = reader.get("/v1/sync-runs", {"integration": "acme", "from": first["next"]}).json()
    found = [one["id"] for one in [*first["syncRuns"], *rest["syncRuns"]]]
    assert found == [f"sync_{pk}" for pk in reversed(pks)]
    assert rest["next"] is None
    good = reader.get("/v1/sync-runs", {"state": "succeeded,failed"}).json()["syncRuns"]
    assert [one["id"] for one in good] == [f"sync_{other}"]


def test_the_log_has_every_reason_and_no_secret(source: Integration, reader: APIClient) -> None:
    run = sync(source)
    url = f"/v1/sync-runs/sync_{run.pk}/messages"
    [line] = reader.get(url, {"identifier": "odd", "level": "error"}).json()["messages"]
    assert (line["blueprint"], line["identifier"], line["field"]) == ("repo", "odd", "properties.n")
    assert line["item"] == {"name": "odd", "n": "x", "token": "***"}
    assert reader.get(url, {"identifier": "good"}).json()["messages"] == []


def test_the_log_comes_in_pages(source: Integration, reader: APIClient) -> None:
    run = request_sync(source)
    SyncMessage.objects.bulk_create(
        SyncMessage(integration=source, run=run, message=f"{n}") for n in range(5)
    )
    url = f"/v1/sync-runs/{run.pk}/messages"
    first = reader.get(url, {"limit": 3}).json()
    rest = reader.get(url, {"limit": 3, "from": first["next"]}).json()
    assert [m["message"] for m in [*first["messages"], *rest["messages"]]] == list("43210")
    assert rest["next"] is None


def test_what_is_held_is_told(source: Integration, reader: APIClient) -> None:
    now_has(source, repo=named(*"abcdef"))
    sync(source)
    now_has(source, repo=named("a"))
    run = sync(source)
    stale = reader.get(f"/v1/sync-runs/{run.pk}").json()["syncRun"]["stale"]
    assert (stale["state"], stale["found"]) == ("held", 5)
    assert "more than the 50% that are deleted without asking" in stale["reason"]


def test_logs_are_for_members_and_runs_for_all(source: Integration) -> None:
    run = sync(source)
    viewer = make_api(Role.VIEWER)
    assert viewer.get(f"/v1/sync-runs/{run.pk}").status_code == 200
    answer = viewer.get(f"/v1/sync-runs/{run.pk}/messages")
    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert APIClient().get("/v1/sync-runs").status_code == 401


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/v1/sync-runs/sync_99999999", 404),
        ("/v1/sync-runs/99999999999999999999999", 404),
        ("/v1/sync-runs/nonsense", 404),
        ("/v1/sync-runs/0/messages", 404),
        ("/v1/sync-runs?integration=none", 404),
        ("/v1/sync-runs?state=odd", 400),
        ("/v1/sync-runs?limit=0", 400),
        ("/v1/sync-runs?from=odd", 400),
    ],
)
def test_bad_questions(url: str, status: int, reader: APIClient) -> None:
    assert reader.get(url).status_code == status


def test_query_counts_do_not_grow(
    source: Integration, reader: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(3):
        sync(source)
    SyncRun.objects.update(requested_by="x")
    reader.get("/v1/sync-runs")
    with django_assert_num_queries(2):
        assert len(reader.get("/v1/sync-runs").json()["syncRuns"]) == 3
