"""/v1/…/provenance: which source answers for which value."""

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from catalog.kernel.actors import Role
from catalog.models import Entity, Integration
from catalog.selectors.documents import timestamp
from catalog.services.derived import refresh_written
from catalog.services.entities import EntityDraft, Mode, apply
from tests.catalog.ingest.toy import make_source, now_has, resource, sync
from tests.factories import ACTOR, make_api, make_blueprint, make_entity

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toy")]

URL = "/v1/blueprints/repo/entities/{}/provenance"


@pytest.fixture
def source(db: None) -> Integration:
    make_blueprint(
        "repo",
        properties={"n": {"type": "number"}, "tier": {"type": "string"}},
        calculationProperties={
            "bad": {"title": "Bad", "type": "number", "calculation": ".identifier | tonumber"}
        },
    )
    mapping = {"resources": [resource("repo", properties={"n": ".n"})]}
    items = [{"name": f"r/{n}", "n": n} for n in range(5)]
    return make_source("acme", mapping=mapping, repo={"items": items})


@pytest.fixture
def reader(db: None) -> APIClient:
    return make_api(Role.VIEWER)


def test_sources_and_values(source: Integration, reader: APIClient) -> None:
    run = sync(source)
    apply([EntityDraft("repo", "r/1", properties={"tier": "gold"})], mode=Mode.MERGE, actor=ACTOR)
    entity = Entity.objects.get(identifier="r/1")
    refresh_written("repo", [entity.pk])
    answer = reader.get(URL.format("r%2F1")).json()
    assert answer["isStale"] is False
    [one] = answer["sources"]
    assert one == {
        "integration": "acme",
        "kind": "toy",
        "isExporter": False,
        "isEnabled": True,
        "isCreator": True,
        "resourceKinds": ["repo"],
        "fields": ["properties.n", "title"],
        "seenAt": one["seenAt"],
        "syncRun": run.name,
        "goneAt": None,
        "goneReason": None,
    }
    values = {value["path"]: value for value in answer["values"]}
    assert list(values) == ["title", "properties.n", "properties.tier", "properties.bad"]
    assert values["properties.n"] == {
        "path": "properties.n",
        "integration": "acme",
        "changedAt": timestamp(entity.created_at),
        "changedBy": "acme",
        "changedByKind": "integration",
        "runId": run.name,
        "computedBy": None,
        "error": None,
    }
    tier = values["properties.tier"]
    assert (tier["integration"], tier["changedBy"]) == (None, "tester@example.com")
    bad = values["properties.bad"]
    assert bad["computedBy"] == "Calculated: .identifier | tonumber"
    assert "number" in bad["error"]
    assert bad["changedAt"] is None


def test_what_is_gone(source: Integration, reader: APIClient) -> None:
    sync(source)
    now_has(source, repo={"items": [{"name": "r/0", "n": 0}]})
    run = sync(source)
    answer = reader.get(URL.format("r%2F1")).json()
    assert answer["isStale"] is True
    assert answer["sources"][0]["goneAt"] == timestamp(run.started_at)
    assert "more than the 50%" in answer["sources"][0]["goneReason"]
    assert reader.get(URL.format("r%2F0")).json()["isStale"] is False


def test_two_sources_that_have_it(source: Integration, reader: APIClient) -> None:
    """The one that no longer lists it lets go of it."""
    other = make_source("second", mapping=source.mapping, **source.settings["kinds"])
    sync(source)
    sync(other)
    assert len(reader.get(URL.format("r%2F1")).json()["sources"]) == 2
    now_has(source, repo={"items": [{"name": "r/0", "n": 0}]})
    sync(source)
    answer = reader.get(URL.format("r%2F1")).json()
    assert [(one["integration"], one["isCreator"]) for one in answer["sources"]] == [
        ("second", True)
    ]
    assert answer["isStale"] is False


def test_a_person_made_it(source: Integration, reader: APIClient) -> None:
    make_entity("repo", "own", properties={"tier": "gold"})
    answer = reader.get(URL.format("own")).json()
    assert answer["sources"] == []
    assert [one["changedBy"] for one in answer["values"][:1]] == ["tester@example.com"]


def test_what_is_not_there(source: Integration, reader: APIClient) -> None:
    assert reader.get(URL.format("none")).json()["error"] == "not_found"
    assert reader.get("/v1/blueprints/none/entities/a/provenance").status_code == 404
    assert APIClient().get(URL.format("own")).status_code == 401


def test_query_counts_do_not_grow(
    source: Integration, reader: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for name in ("one", "two", "three"):
        sync(make_source(name, mapping=source.mapping, **source.settings["kinds"]))
    reader.get(URL.format("r%2F1"))
    with django_assert_num_queries(8):
        assert len(reader.get(URL.format("r%2F1")).json()["sources"]) == 3
