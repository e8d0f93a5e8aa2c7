"""What real programs send, in their order, and what they read from the answers."""

import pytest

from catalog.models import Change, Entity
from tests.factories import Caller, make_api, make_client

OCEAN = "port-ocean/github/1.2.3/my-github"
WRITE = "upsert=true&merge=true&create_missing_related_entities=true&validation_only=false"


def test_an_exporter_sets_up_writes_and_cleans_up(db):
    setup, exporter = make_api(agent=OCEAN), make_api(agent=f"{OCEAN}/exporter")
    organization = setup.get("/v1/organization").json()["organization"]
    assert (organization["featureFlags"], organization["isBlocked"]) == ([], False)

    # Default blueprints: first without relations, then with them, then whole.
    missing = setup.get("/v1/blueprints/repo")
    assert (missing.status_code, missing.json()["ok"]) == (404, False)
    for name in ("team2", "repo"):
        bare = {"identifier": name, "title": name, "schema": {"properties": {}, "required": []}}
        assert setup.post("/v1/blueprints", bare).status_code == 201
    relations = {"team": {"target": "team2", "required": False, "many": False}}
    body = {"identifier": "repo", "relations": relations}
    assert setup.patch("/v1/blueprints/repo", body).status_code == 200
    whole = {
        **body,
        "schema": {"properties": {"lang": {"type": "string"}}, "required": []},
        "mirrorProperties": {"lead": {"path": "team.$title"}},
    }
    assert setup.patch("/v1/blueprints/repo", whole).status_code == 200

    # A resync, in batches of twenty; unknown properties are kept.
    def resync(names):
        answers = [
            exporter.post(
                f"/v1/blueprints/repo/entities/bulk?{WRITE}&ocean_info_event_type=resync",
                {
                    "entities": [
                        {
                            "identifier": name,
                            "blueprint": "repo",
                            "title": name,
                            "team": [],
                            "properties": {"lang": "go", "unknown": 1},
                            "relations": {"team": "core"},
                        }
                        for name in names[start : start + 20]
                    ]
                },
            )
            for start in range(0, len(names), 20)
        ]
        assert [answer.status_code for answer in answers] == [200] * len(answers)
        return [one["created"] for answer in answers for one in answer.json()["entities"]]

    names = [f"repo-{n}" for n in range(25)]
    assert resync(names) == [True] * 25
    first = dict(Entity.objects.values_list("identifier", "updated_at"))
    changes = Change.objects.count()

    # Before the next one it asks which of fifty are as it would write them.
    found = exporter.post(
        "/v1/entities/search?exclude_calculated_properties=true&include=blueprint"
        "&include=identifier&include=title&include=properties.lang&include=relations.team",
        {
            "combinator": "and",
            "rules": [
                {"property": "$identifier", "operator": "in", "value": names},
                {"property": "$blueprint", "operator": "=", "value": "repo"},
                {"property": "$datasource", "operator": "contains", "value": "port-ocean/github/"},
                {"property": "$datasource", "operator": "contains", "value": "/my-github/exporter"},
            ],
        },
    ).json()["entities"]
    assert found[0] == {
        "identifier": "repo-0",
        "title": "repo-0",
        "blueprint": "repo",
        "properties": {"lang": "go"},
        "relations": {"team": "core"},
    }
    assert len(found) == 25

    # A second one that changes nothing moves no time, so only the stale one is left over.
    started_at = Entity.objects.order_by("-updated_at")[0].updated_at.isoformat()
    assert resync(names[:-1]) == [False] * 24
    assert dict(Entity.objects.values_list("identifier", "updated_at")) == first
    assert Change.objects.count() == changes
    written = exporter.post(
        "/v1/blueprints/entities/datasource-entities",
        {
            "datasource_prefix": "port-ocean/github/",
            "datasource_suffix": "/my-github/exporter",
            "limit": 5000,
            "before": started_at,
        },
    ).json()
    assert len(written["entities"]) == 26  # the repositories, and the team made for them
    deleted = exporter.post(
        "/v1/blueprints/repo/bulk/entities/delete?delete_dependents=true",
        {"entities": ["repo-24"]},
    )
    assert deleted.json() == {"ok": True, "deletedEntities": ["repo-24"]}

    # `ocean defaults clean`
    cleaned = setup.delete("/v1/blueprints/repo/all-entities?delete_blueprint=true").json()
    migration = setup.get(f"/v1/migrations/{cleaned['migrationId']}").json()["migration"]
    assert {"id", "actor", "sourceBlueprint", "mapping", "status"} <= migration.keys()
    assert migration["status"] not in ("PENDING", "INITIALIZING", "RUNNING")


def test_an_exporter_sends_failed_ones_again_with_relations_alone(db, service):
    """The values that the shorter body leaves out must survive."""
    exporter = make_api(agent=f"{OCEAN}/exporter")
    path = "/v1/blueprints/service/entities?upsert=true&merge=true"
    body = {"identifier": "pay", "properties": {"stars": 1}, "relations": {"domain": "late"}}
    refused = exporter.post(path, body)
    assert (refused.status_code, refused.json()["error"]) == (404, "not_found")
    exporter.post(path, {**body, "relations": {}})
    exporter.post("/v1/blueprints/domain/entities", {"identifier": "late"})
    answer = exporter.post(path, {"identifier": "pay", "relations": {"domain": "late"}})
    assert answer.json()["entity"]["properties"] == {"stars": 1}
    assert answer.json()["entity"]["relations"]["domain"] == "late"


def test_the_github_action(db, service):
    client, secret = make_client(role="Member")
    anonymous = Caller(HTTP_USER_AGENT="github-action/v1.0")
    token = anonymous.post(
        "/v1/auth/access_token", {"clientId": client.client_id, "clientSecret": secret}
    )
    assert token.status_code == 200
    header = f"{token.json()['tokenType']} {token.json()['accessToken']}"
    action = Caller(HTTP_USER_AGENT="github-action/v1.0", HTTP_AUTHORIZATION=header)

    path = "/v1/blueprints/service/entities"
    made = action.post(f"{path}?upsert=true&merge=true&run_id=", {"properties": {"stars": 1}})
    identifier = made.json()["entity"]["identifier"]
    assert action.get(f"{path}/{identifier}?include=title&include=properties").json()["ok"]
    found = action.post(
        "/v1/entities/search",
        {"combinator": "and", "rules": [{"property": "stars", "operator": "=", "value": 1}]},
    )
    assert [one["identifier"] for one in found.json()["entities"]] == [identifier]
    assert Entity.objects.get().datasource == "github-action/v1.0"
    assert action.delete(f"{path}/{identifier}?delete_dependents=false").json() == {"ok": True}


def test_terraform(api, service):
    """Addresses of flags instead of flags, DELETE without a query, dates it can read."""
    path = "/v1/blueprints/service/entities"
    body = {"identifier": "pay", "title": "Pay", "blueprint": "service", "team": ["b", "a"]}
    made = api.post(f"{path}?upsert=true&run_id=", body).json()["entity"]
    assert made["team"] == ["b", "a"]
    shown = api.get(f"{path}/pay?exclude_calculated_properties=0xc0000a1").json()["entity"]
    assert shown == made
    changed = api.put(f"{path}/pay?run_id=", {**body, "team": "a"}).json()["entity"]
    assert changed["team"] == ["a"]
    assert api.delete(f"{path}/pay").json() == {"ok": True}


@pytest.mark.parametrize("changed", [{}, {"title": "Pay"}, {"properties": {"stars": 1}}])
def test_a_write_without_a_change_leaves_no_trace(service, changed):
    writer, other = make_api(agent="one/1"), make_api(agent="two/2")
    path = "/v1/blueprints/service/entities?upsert=true&merge=true"
    body = {"identifier": "pay", "title": "Pay", "properties": {"stars": 1}}
    first = writer.post(path, body).json()["entity"]
    count = Change.objects.count()
    again = other.post(path, {"identifier": "pay", **changed}).json()["entity"]
    assert again == first
    assert Change.objects.count() == count
    assert Entity.objects.get().datasource == "two/2"
