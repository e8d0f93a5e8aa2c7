"""The audit log: changes from the feed, failures from the logs of sources."""

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog.kernel.actors import Actor, Role
from catalog.models import Integration, SyncMessage, SyncRun
from catalog.services import entities
from catalog.services.entities import EntityDraft, Mode, apply
from tests.factories import ACTOR, make_api, make_blueprint, make_entity

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(db):
    return make_api()


def audits(api, **query):
    answer = api.get("/v1/audit-log", query)
    assert answer.status_code == 200, answer.content
    return answer.json()["audits"]


def test_a_change_is_told(admin):
    make_blueprint("service", properties={"tier": {"type": "string"}})
    url = "/v1/blueprints/service/entities"
    admin.post(f"{url}?run_id=r_1", {"identifier": "pay", "properties": {"tier": "1"}})
    admin.patch(f"{url}/pay?run_id=r_1", {"properties": {"tier": "2"}})
    admin.delete(f"{url}/pay")
    deleted, updated, created = audits(admin, entity="pay", blueprint="service")
    assert [one["action"] for one in (deleted, updated, created)] == ["DELETE", "UPDATE", "CREATE"]
    [client] = {one["trigger"]["by"]["name"] for one in (deleted, updated, created)}
    assert updated == {
        "identifier": updated["identifier"],
        "action": "UPDATE",
        "resourceType": "entity",
        "status": "SUCCESS",
        "trigger": {
            "by": {"type": "client", "name": client},
            "origin": "tests/1.0",
            "at": updated["trigger"]["at"],
        },
        "context": {
            "blueprint": "service",
            "entity": "pay",
            "resource": "pay",
            "runId": "r_1",
            "installationId": None,
        },
        "diff": {
            "before": {"properties": {"tier": "1"}},
            "after": {"properties": {"tier": "2"}},
        },
        "additionalData": {},
        "message": "",
    }
    assert len(audits(admin, run_id="r_1")) == 2
    assert deleted["diff"]["before"]["properties"] == {"tier": "2"}


def test_filters(admin):
    make_blueprint("service")
    make_blueprint("other")
    make_entity("service", "a")
    make_entity("other", "a")
    make_entity("other", "b", actor=Actor("user", "ann@x.io", "idp/portal"))
    exporter = Actor("client", "c", "port-ocean/gh/1.0/my-gh/exporter")
    make_entity("other", "c", actor=exporter)
    entities.rename("other", "b", "z", actor=Actor("integration", "my-gl"))
    now = timezone.now()

    def found(**query):
        return [
            (one["action"], one["resourceType"], one["context"]["resource"])
            for one in audits(admin, **query)
            if one["resourceType"] in ("entity", "blueprint")
        ]

    assert found(blueprint="service") == [
        ("CREATE", "entity", "a"),
        ("CREATE", "blueprint", "service"),
    ]
    assert found(entity="a") == [("CREATE", "entity", "a")] * 2
    assert found(entity="z", blueprint="other") == [
        ("UPDATE", "entity", "z"),
        ("CREATE", "entity", "b"),
    ]
    assert found(identifier="service") == [("CREATE", "blueprint", "service")]
    assert found(origin="UI", resources="entity") == [
        ("CREATE", "entity", "b"),
        ("CREATE", "entity", "a"),
        ("CREATE", "entity", "a"),
    ]
    assert found(origin="API", resources="entity") == [("CREATE", "entity", "c")]
    assert found(origin=exporter.datasource) == [("CREATE", "entity", "c")]
    assert found(InstallationId="my-gh") == [("CREATE", "entity", "c")]
    assert found(InstallationId="my-gl") == [("UPDATE", "entity", "z")]
    assert found(action="UPDATE", resources="entity,run") == [("UPDATE", "entity", "z")]
    assert len(found(resources="entity", limit=2)) == 2
    assert found(**{"from": (now + timedelta(minutes=1)).isoformat()}) == []
    assert len(found(to=now.isoformat(), resources="entity")) == 5
    assert found(status="FAILURE") == []


def test_what_a_source_could_not_write(admin):
    now = timezone.now()
    signed = {"created_at": now, "created_by": "x", "updated_at": now, "updated_by": "x"}
    source = Integration.objects.create(identifier="my-gh", kind="github", **signed)
    run = SyncRun.objects.create(integration=source)
    line = {"integration": source, "run": run, "level": "error", "stage": "apply"}
    SyncMessage.objects.create(**line, message="no entity of ours")
    SyncMessage.objects.create(
        **line,
        kind="repository",
        blueprint="service",
        identifier="pay",
        field="properties.tier",
        message="tier must be text",
        details={"expected": "string"},
    )
    [found] = audits(admin, status="FAILURE")
    assert (found["status"], found["message"]) == ("FAILURE", "tier must be text")
    assert found["context"] == {
        "blueprint": "service",
        "entity": "pay",
        "resource": "pay",
        "runId": run.name,
        "installationId": "my-gh",
    }
    assert found["additionalData"] == {
        "stage": "apply",
        "kind": "repository",
        "field": "properties.tier",
        "expected": "string",
    }
    assert audits(admin, entity="pay", blueprint="service") == [found]
    for query in ({"run_id": run.name}, {"InstallationId": "my-gh"}, {"resources": "entity"}):
        assert [one for one in audits(admin, **query) if one["status"] == "FAILURE"] == [found]
    for query in ({"status": "SUCCESS"}, {"run_id": "sync_x"}, {"webhookId": "my-gh"}):
        assert found not in audits(admin, **query)


def test_what_members_see(admin):
    make_blueprint("service")
    member = make_api(Role.MEMBER)
    assert {one["resourceType"] for one in audits(admin)} == {"blueprint", "api_client"}
    assert {one["resourceType"] for one in audits(member)} == {"blueprint"}
    assert audits(member, resources="api_client") == []


@pytest.mark.parametrize(
    "query", ["status=MAYBE", "action=RENAME", "limit=0", "limit=1001", "from=yesterday"]
)
def test_bad_filters(admin, query):
    assert admin.get(f"/v1/audit-log?{query}").status_code == 400


def test_the_cost(admin, django_assert_max_num_queries):
    make_blueprint("service")
    drafts = [EntityDraft("service", f"s{number}") for number in range(50)]
    apply(drafts, mode=Mode.CREATE, actor=ACTOR)
    with django_assert_max_num_queries(5):
        assert len(audits(admin, blueprint="service", entity="s1")) == 1
