"""Migrations of data: from one blueprint to another, in parts, whatever happens meanwhile."""

import time

import pytest

from catalog.ingest import migrations
from catalog.ingest.migrations import create_migration, run_migration
from catalog.kernel.actors import Role
from catalog.models import Change, DataMigration, Entity
from catalog.services.blueprints import delete_blueprint
from tests import processes
from tests.factories import ACTOR, make_api, make_blueprint, make_entity

MAPPING = {
    "blueprint": "app",
    "filter": ".properties.stars != 3",
    "entity": {
        "identifier": '"app-" + .identifier',
        "title": ".title",
        "team": ".team",
        "properties": {"rank": ".properties.stars", "from": ".blueprint"},
        "relations": {"domain": ".relations.domain"},
    },
}


def make_kinds():
    make_blueprint("domain")
    make_blueprint(
        "service",
        properties={"stars": {"type": "number"}},
        relations={"domain": {"target": "domain"}},
    )
    make_blueprint(
        "app",
        properties={"rank": {"type": "number", "maximum": 50}, "from": {"type": "string"}},
        relations={"domain": {"target": "domain"}},
    )


@pytest.fixture
def app(db):
    make_kinds()


def make_services(count):
    for number in range(count):
        make_entity(
            "service",
            f"s{number}",
            title=f"S{number}",
            properties={"stars": number},
            relations={"domain": "not there yet"},
        )


def apps():
    found = Entity.objects.filter(blueprint__identifier="app")
    return sorted(found.values_list("identifier", flat=True))


def test_entities_go_from_one_blueprint_to_another(api, app):
    make_services(5)
    make_entity("service", "s5", properties={"stars": 51})
    answer = api.post("/v1/migrations", {"sourceBlueprint": "service", "mapping": MAPPING})
    assert (answer.status_code, answer.json()["migration"]["status"]) == (200, "PENDING")
    name = answer.json()["migrationId"]
    make_entity("service", "late", properties={"stars": 1})
    run_migration(int(name.removeprefix("mig_")))
    done = api.get(f"/v1/migrations/{name}").json()["migration"]
    assert {key: done[key] for key in done if not key.endswith("At")} == {
        "id": name,
        "status": "COMPLETED",
        "actor": done["actor"],
        "sourceBlueprint": "service",
        "mapping": MAPPING,
        "deleteBlueprint": False,
        "deleteEntities": False,
        "totalCount": 6,
        "filteredCount": 1,
        "successCount": 4,
        "failureCount": 1,
        "failures": [
            {
                "entity": "s5",
                "blueprint": "app",
                "identifier": "app-s5",
                "field": "properties.rank",
                "message": done["failures"][0]["message"],
            }
        ],
        "error": None,
        "reason": None,
    }
    assert apps() == ["app-s0", "app-s1", "app-s2", "app-s4"]
    entity = Entity.objects.get(identifier="app-s4")
    assert (entity.title, entity.properties) == ("S4", {"rank": 4, "from": "service"})
    assert entity.relations == {"domain": "not there yet"}
    change = Change.objects.get(identifier="app-s4")
    assert (change.actor_kind, change.run) == ("client", name)
    assert Entity.objects.filter(blueprint__identifier="service").count() == 7


def test_values_move_within_a_blueprint_and_the_rest_stays(app):
    make_entity("app", "a", title="A", properties={"from": "3", "rank": 1})
    mapping = {
        "blueprint": "app",
        "entity": {
            "identifier": ".identifier",
            "properties": {"rank": ".properties.from | tonumber"},
        },
    }
    migration = create_migration(source_blueprint="app", mapping=mapping, actor=ACTOR)
    run_migration(migration.pk)
    entity = Entity.objects.get(identifier="a")
    assert (entity.title, entity.properties) == ("A", {"from": "3", "rank": 3})


def test_it_goes_on_part_by_part_and_stops_when_asked(api, app, monkeypatch):
    monkeypatch.setattr(migrations, "BATCH", 2)
    make_services(5)
    mapping = {**MAPPING, "filter": "true"}
    pk = create_migration(source_blueprint="service", mapping=mapping, actor=ACTOR).pk
    assert run_migration(pk, budget_s=0) is True
    assert (apps(), migrations.unfinished()) == (["app-s0", "app-s1"], [pk])
    assert api.get(f"/v1/migrations/mig_{pk}").json()["migration"]["status"] == "RUNNING"
    run_migration(pk, budget_s=0)
    answer = api.post(f"/v1/migrations/mig_{pk}/cancel", {"reason": "a mistake"})
    assert answer.json()["migration"]["status"] == "PENDING_CANCELLATION"
    assert run_migration(pk) is False
    done = api.get(f"/v1/migrations/mig_{pk}").json()["migration"]
    assert (done["status"], done["reason"], done["successCount"]) == ("CANCELLED", "a mistake", 4)
    assert len(apps()) == 4
    again = api.post(f"/v1/migrations/mig_{pk}/cancel")
    assert (again.status_code, again.json()["error"]) == (409, "conflict")
    waiting = create_migration(source_blueprint="service", mapping=mapping, actor=ACTOR)
    answer = api.post(f"/v1/migrations/{waiting.name}/cancel")
    assert answer.json()["migration"]["status"] == "CANCELLED"
    assert run_migration(waiting.pk) is False
    assert len(apps()) == 4


def test_one_that_cannot_go_on_says_why(app):
    make_services(1)
    migration = create_migration(source_blueprint="service", mapping=MAPPING, actor=ACTOR)
    delete_blueprint("app", actor=ACTOR)
    run_migration(migration.pk)
    migration.refresh_from_db()
    assert migration.status == "FAILURE"
    assert migration.error == 'Blueprint with identifier "app" was not found'
    mapping = {**MAPPING, "blueprint": "service"}
    killer = create_migration(source_blueprint="service", mapping=mapping, actor=ACTOR)
    DataMigration.objects.filter(pk=killer.pk).update(attempts=5)
    assert run_migration(killer.pk) is False
    killer.refresh_from_db()
    assert (killer.status, killer.error) == (
        "FAILURE",
        "Its worker died 5 times, so it was given up.",
    )


def work(pk):
    migrations.BATCH = 1
    run_migration(pk)


@pytest.mark.django_db(transaction=True)
def test_two_workers_and_one_that_is_killed_do_it_once():
    make_kinds()
    make_services(40)
    mapping = {**MAPPING, "filter": "true"}
    migration = create_migration(source_blueprint="service", mapping=mapping, actor=ACTOR)
    first = processes.start(work, migration.pk)
    while not apps():
        assert first.poll() is None, first.communicate()
        time.sleep(0.005)
    first.kill()
    first.communicate()
    second = processes.start(work, migration.pk)
    while migrations.unfinished():
        run_migration(migration.pk)
    processes.finish(second)
    migration.refresh_from_db()
    assert (migration.status, migration.success_count, migration.failure_count) == (
        "COMPLETED",
        40,
        0,
    )
    assert Change.objects.filter(run=migration.name, action="create").count() == 40


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 422, "sourceBlueprint is None; expected text"),
        ({"sourceBlueprint": "service"}, 422, "mapping is None; expected an object"),
        ({"sourceBlueprint": "no", "mapping": MAPPING}, 404, '"no" was not found'),
        (
            {"sourceBlueprint": "service", "mapping": {**MAPPING, "blueprint": "no"}},
            404,
            '"no" was not found',
        ),
        (
            {"sourceBlueprint": "service", "mapping": {**MAPPING, "filter": ".a["}},
            422,
            "mapping.filter: ",
        ),
        (
            {"sourceBlueprint": "service", "mapping": {**MAPPING, "operation": "delete"}},
            422,
            "mapping.operation: ",
        ),
        (
            {"sourceBlueprint": "service", "mapping": {"blueprint": "app"}},
            422,
            "mapping.entity",
        ),
    ],
)
def test_what_could_not_work_is_refused(api, app, body, status, told):
    answer = api.post("/v1/migrations", body)
    assert answer.status_code == status
    assert told in answer.json()["message"]
    assert not DataMigration.objects.exists()


def test_all_acts_on_many_entities_are_listed(api, app):
    make_services(2)
    other = make_api()
    cleared = other.delete("/v1/blueprints/service/all-entities").json()["migrationId"]
    pk = create_migration(source_blueprint="service", mapping=MAPPING, actor=ACTOR).pk

    def ids(query=""):
        answer = api.get(f"/v1/migrations{query}")
        return [one["id"] for one in answer.json()["migrations"]]

    assert ids() == [f"mig_{pk}", cleared]
    assert ids("?status=COMPLETED") == [cleared]
    assert ids("?status[]=PENDING&status[]=RUNNING") == [f"mig_{pk}"]
    assert ids(f"?actor={ACTOR.name}") == [f"mig_{pk}"]
    assert ids("?blueprint=app") == [f"mig_{pk}"]
    assert ids("?blueprint=service") == [f"mig_{pk}", cleared]
    assert ids("?blueprint=domain") == []
    assert api.get("/v1/migrations?status=DONE").status_code == 422
    assert api.post(f"/v1/migrations/{cleared}/cancel").status_code == 409
    assert api.get("/v1/migrations/mig_999").json()["error"] == "not_found"
    assert api.post("/v1/migrations/mig_999/cancel").status_code == 404


def test_only_admins_migrate(api, app):
    member = make_api(Role.MEMBER)
    body = {"sourceBlueprint": "service", "mapping": MAPPING}
    assert member.post("/v1/migrations", body).status_code == 403
    assert not DataMigration.objects.exists()
    pk = create_migration(source_blueprint="service", mapping=MAPPING, actor=ACTOR).pk
    assert member.post(f"/v1/migrations/mig_{pk}/cancel").status_code == 403
    assert member.get(f"/v1/migrations/mig_{pk}").json()["migration"]["status"] == "PENDING"
