"""Actions: kept as sent; who may run them; runs from start to end."""

import json

import pytest

from actions.models import Action, Run
from catalog.kernel.actors import Role
from catalog.models import Blueprint, Change, Entity
from tests.factories import make_api, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

ADDED = ("id", "createdAt", "createdBy", "updatedAt", "updatedBy")
INPUTS = {
    "properties": {
        "name": {"type": "string", "title": "Name", "minLength": 2},
        "size": {"type": "number", "default": 3, "enum": [1, 3]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": {"jqQuery": "2"}},
        "token": {"type": "string", "encryption": "aes256-gcm", "pattern": "^t-"},
        "later": {"type": "string", "visible": {"jqQuery": ".form.name != null"}},
    },
    "required": ["name", "later"],
    "order": ["size", "name"],
}


def action(identifier="scaffold", **parts):
    trigger = {"type": "self-service", "operation": "CREATE", "userInputs": INPUTS}
    return {
        "identifier": identifier,
        "title": "Scaffold",
        "icon": None,
        "trigger": {**trigger, **parts.pop("trigger", {})},
        "invocationMethod": {
            "type": "WEBHOOK",
            "url": "https://ci.example.com",
            "headers": {"Z": "1", "A": "2"},
            "body": {"name": "{{ .inputs.name }}"},
        },
        "publish": True,
        **parts,
    }


@pytest.fixture
def admin(db):
    make_blueprint("service")
    return make_api()


def said(answer):
    document = json.loads(answer.content)["action"]
    return json.dumps({key: value for key, value in document.items() if key not in ADDED})


def test_an_action_lives_as_terraform_keeps_it(admin):
    body = action()
    made = admin.post("/v1/actions", body)
    assert made.status_code == 201
    assert made.json()["action"]["id"].startswith("action_")
    assert said(made) == said(admin.get("/v1/actions/scaffold")) == json.dumps(body)
    assert admin.post("/v1/actions", body).status_code == 409

    before = admin.get("/v1/actions/scaffold").json()["action"]
    assert admin.put("/v1/actions/scaffold", body).json()["action"] == before
    changed = {key: body[key] for key in ("identifier", "invocationMethod", "trigger")}
    changed |= {"requiredApproval": {"type": "ALL"}, "zzz": {"b": 1, "a": 2}}
    answer = admin.put("/v1/actions/scaffold", changed)
    assert said(answer) == said(admin.get("/v1/actions/scaffold")) == json.dumps(changed)
    assert answer.json()["action"]["createdAt"] == before["createdAt"]
    assert admin.delete("/v1/actions/scaffold").json() == {"ok": True}
    assert admin.get("/v1/actions/scaffold").json()["error"] == "not_found"
    acts = Change.objects.filter(model="action").order_by("id").values_list("action", flat=True)
    assert list(acts) == ["create", "update", "delete"]


def test_lists_and_the_older_form(admin):
    admin.post("/v1/actions", action("a"))
    made = admin.post(
        "/v1/blueprints/service/actions",
        {
            "identifier": "b",
            "trigger": "DAY-2",
            "userInputs": {"properties": {}},
            "invocationMethod": {"type": "GITHUB"},
        },
    )
    assert made.json()["action"]["trigger"] == {
        "type": "self-service",
        "operation": "DAY-2",
        "userInputs": {"properties": {}},
        "blueprintIdentifier": "service",
    }
    event = {"type": "ENTITY_CREATED", "blueprintIdentifier": "service"}
    admin.post(
        "/v1/actions",
        action("c", trigger={"type": "automation", "event": event}, publish=False),
    )

    def found(**query):
        return [one["identifier"] for one in admin.get("/v1/actions", query).json()["actions"]]

    assert found() == ["a", "b", "c"]
    assert found(trigger_type="self-service") == ["a", "b"]
    assert found(trigger_type="automation", trigger_event="ENTITY_CREATED") == ["c"]
    assert found(blueprint_identifier="service") == ["b", "c"]
    assert found(operation="DAY-2") == ["b"]
    assert found(published="true") == ["a", "b"]
    assert found(published="false") == ["c"]
    assert found(action_identifier="a", version="v2") == ["a"]
    url = "/v1/blueprints/service/actions"
    assert [one["identifier"] for one in admin.get(url).json()["actions"]] == ["b", "c"]
    assert admin.get(f"{url}/a").status_code == 404
    assert admin.get(f"{url}/b").status_code == 200
    assert admin.put(f"{url}/b", action("b")).json()["action"]["identifier"] == "b"
    assert admin.delete(f"{url}/b").status_code == 200


def test_an_action_follows_its_blueprint(admin):
    admin.post("/v1/actions", action("a", trigger={"blueprintIdentifier": "service"}))
    admin.patch("/v1/blueprints/service", {"identifier": "app"})
    shown = admin.get("/v1/actions/a").json()["action"]["trigger"]["blueprintIdentifier"]
    assert shown == "app"
    event = {"type": "ENTITY_CREATED", "blueprintIdentifier": "app"}
    trigger = {"type": "automation", "event": event, "operation": None}
    admin.post("/v1/actions", action("b", trigger=trigger))
    admin.patch("/v1/blueprints/app", {"identifier": "application"})
    said = admin.get("/v1/actions/b").json()["action"]
    assert said["trigger"]["event"]["blueprintIdentifier"] == "application"
    assert admin.put("/v1/actions/b", said).status_code == 200
    run = admin.post("/v1/actions/a/runs", {"properties": {"name": "pay"}}).json()["run"]
    assert admin.delete("/v1/blueprints/application").status_code == 200
    assert not Action.objects.exists()
    kept = admin.get(f"/v1/actions/runs/{run['id']}").json()["run"]
    assert kept["action"] == {
        "identifier": "a",
        "title": "Scaffold",
        "icon": None,
        "deleted": True,
    }


@pytest.mark.parametrize(
    ("change", "field", "status"),
    [
        ({"identifier": "a/b"}, "identifier", 422),
        ({"identifier": None}, "identifier", 422),
        ({"trigger": {"type": "cron"}}, "trigger.type", 422),
        ({"trigger": {"operation": "DROP"}}, "trigger.operation", 422),
        ({"trigger": {"operation": "DAY-2"}}, "trigger.blueprintIdentifier", 422),
        ({"trigger": {"blueprintIdentifier": "nope"}}, None, 404),
        ({"invocationMethod": {}}, "invocationMethod", 422),
        ({"requiredApproval": "yes"}, "requiredApproval", 422),
        (
            {"trigger": {"userInputs": {"properties": {"a b": {}}}}},
            "trigger.userInputs.properties",
            422,
        ),
        (
            {"trigger": {"userInputs": {"properties": {"a": {"pattern": "("}}}}},
            "schema.properties.a.pattern",
            422,
        ),
    ],
)
def test_bad_actions(admin, change, field, status):
    answer = admin.post("/v1/actions", action(**{"identifier": "x", **change}))
    assert (answer.status_code, answer.json()["details"].get("field")) == (status, field)
    assert not Action.objects.exists()


def test_a_run_from_start_to_end(admin):
    admin.post("/v1/actions", action())
    started = admin.post(
        "/v1/actions/scaffold/runs", {"properties": {"name": "pay", "token": "t-1"}}
    )
    assert started.status_code == 202
    run = started.json()["run"]
    assert run["id"].startswith("r_")
    nothing = (
        "Nothing was called: backends of actions are not called by this version. The run stays "
        f"open until its end is reported (PATCH /v1/actions/runs/{run['id']})."
    )
    assert run == {
        "id": run["id"],
        "status": "IN_PROGRESS",
        "statusLabel": None,
        "summary": nothing,
        "link": [],
        "externalRunId": None,
        "action": {
            "identifier": "scaffold",
            "title": "Scaffold",
            "icon": None,
            "deleted": False,
        },
        "blueprint": None,
        "entity": None,
        "properties": {"size": 3, "name": "pay", "token": "••••••"},
        "rawProperties": {},
        "source": "API",
        "requiredApproval": None,
        "approval": None,
        "payload": action()["invocationMethod"],
        "response": None,
        "pendingExecution": False,
        "claimedUntil": None,
        "installationId": None,
        "endedAt": None,
        "impersonatedBy": None,
        **{key: run[key] for key in ADDED if key != "id"},
    }
    url = f"/v1/actions/runs/{run['id']}"
    line = admin.post(f"{url}/logs", {"message": "building"})
    assert (line.status_code, line.json()["runLog"]["message"]) == (201, "building")
    report = {"link": "https://ci/1", "externalRunId": "7", "statusLabel": "Building"}
    assert admin.patch(url, report).json()["run"]["link"] == ["https://ci/1"]
    ended = admin.patch(f"{url}?runId={run['id']}", {"status": "success", "summary": "Done"})
    assert (ended.status_code, ended.json()["run"]["status"]) == (200, "SUCCESS")
    ended_at = ended.json()["run"]["endedAt"]
    again = admin.patch(url, {"status": "FAILURE"}).json()["run"]
    assert (again["status"], again["endedAt"], again["summary"]) == ("FAILURE", ended_at, "Done")
    assert admin.post(f"{url}/logs", {"message": "late"}).status_code == 201
    assert [one["message"] for one in admin.get(f"{url}/logs").json()["runLogs"]] == [
        nothing,
        "building",
        "late",
    ]
    page = admin.get(f"{url}/logs?limit=1&offset=1").json()["runLogs"]
    assert [one["message"] for one in page] == ["building"]
    answered = admin.patch(f"{url}/response", {"response": {"b": 1, "a": [None]}})
    assert json.dumps(answered.json()["run"]["response"]) == '{"b": 1, "a": [null]}'
    by_id = admin.get("/v1/actions/runs?version=v2&external_run_id=7").json()["runs"]
    assert [one["id"] for one in by_id] == [run["id"]]

    admin.post(f"/v1/blueprints/service/entities?run_id={run['id']}", {"identifier": "pay"})
    linked = admin.get(f"/v1/audit-log?run_id={run['id']}&resources=entity").json()["audits"]
    assert [one["context"]["entity"] for one in linked] == ["pay"]


@pytest.mark.parametrize(
    ("properties", "field", "expected"),
    [
        ({}, "properties", "required: name"),
        ({"name": "x"}, "properties.name", "minLength: 2"),
        ({"name": 3}, "properties.name", "type: string"),
        ({"name": "pay", "size": 2}, "properties.size", "enum: [1,3]"),
        ({"name": "pay", "tags": [1]}, "properties.tags.0", "type: string"),
        ({"name": "pay", "tags": ["a", "b", "c"]}, None, None),
        ({"name": "pay", "tags": None}, None, None),
        ({"name": "pay", "other": 1}, "properties.other", "one of name, size, tags, token, later"),
        ("pay", "properties", "an object"),
    ],
)
def test_inputs(admin, properties, field, expected):
    admin.post("/v1/actions", action())
    answer = admin.post("/v1/actions/scaffold/runs", {"properties": properties})
    if field is None:
        assert answer.status_code == 202
        return
    assert answer.status_code == 422
    assert answer.json()["details"]["field"] == field
    assert answer.json()["details"]["expected"] == expected
    assert not Run.objects.exists()


def test_encrypted_inputs_are_told_nowhere(admin):
    admin.post("/v1/actions", action())
    answer = admin.post(
        "/v1/actions/scaffold/runs", {"properties": {"name": "pay", "token": "hush-hush"}}
    )
    assert answer.status_code == 422
    assert b"hush" not in answer.content
    admin.post("/v1/actions/scaffold/runs", {"properties": {"name": "pay", "token": "t-hush"}})
    assert "hush" not in json.dumps(list(Run.objects.values("properties", "payload")))


def test_runs_on_an_entity(admin):
    admin.post(
        "/v1/actions",
        action(
            "d2", trigger={"operation": "DAY-2", "blueprintIdentifier": "service", "userInputs": {}}
        ),
    )
    make_entity("service", "pay", title="Payments")
    assert admin.post("/v1/actions/d2/runs", {}).status_code == 422
    assert admin.post("/v1/actions/d2/runs", {"entity": "no"}).status_code == 404
    run = admin.post("/v1/actions/d2/runs", {"entity": "pay"}).json()["run"]
    assert run["entity"] == {
        "identifier": "pay",
        "title": "Payments",
        "icon": None,
        "deleted": False,
    }
    assert run["blueprint"]["identifier"] == "service"
    old = "/v1/blueprints/service/entities/pay/actions/d2/runs"
    assert admin.post(old, {}).json()["run"]["entity"]["identifier"] == "pay"
    runs = admin.get("/v1/actions/runs?entity=pay&blueprint=service&action=d2&active=true")
    assert len(runs.json()["runs"]) == 2
    assert admin.get("/v1/actions/runs?active=false").json()["runs"] == []
    shown = admin.get("/v1/actions/runs?exclude=payload&limit=1").json()["runs"]
    assert len(shown) == 1
    assert "payload" not in shown[0]
    assert admin.post("/v1/blueprints/service/actions/x/runs", {}).status_code == 404


def grant(admin, identifier, **grants):
    answer = admin.patch(f"/v1/actions/{identifier}/permissions", grants)
    assert answer.status_code == 200, answer.content
    return answer.json()["permissions"]


def test_permissions(admin):
    trigger = {"operation": "DAY-2", "blueprintIdentifier": "service", "userInputs": {}}
    admin.post("/v1/actions", action("d2", trigger=trigger))
    admin.post("/v1/actions", action("c", trigger={"userInputs": {}}))
    admin.post("/v1/actions", action("auto", trigger={"type": "automation"}))
    url = "/v1/actions/d2/permissions"
    lists = {"users": [], "teams": []}
    assert admin.get(url).json()["permissions"] == {
        "execute": {**lists, "roles": ["Admin", "Member"], "ownedByTeam": False, "policy": None},
        "approve": {**lists, "roles": ["Admin"], "policy": None},
    }
    changed = grant(admin, "d2", execute={"roles": [], "ownedByTeam": True, "policy": None})
    assert changed["execute"] == {**lists, "roles": [], "ownedByTeam": True, "policy": None}
    policy = {"queries": {"a": {}}, "conditions": ["true"]}
    refused = admin.patch(url, {"execute": {"policy": policy}})
    assert (refused.status_code, refused.json()["details"]["field"]) == (422, "execute.policy")

    browser = make_browser(role=Role.MEMBER)
    make_entity("_team", "core")
    make_entity("_user", browser.user.email, relations={"team": ["core"]})
    make_entity("service", "theirs", team=["core"])
    make_entity("service", "others")

    def run(entity):
        return browser.post(
            "/v1/actions/d2/runs", {"entity": entity}, content_type="application/json"
        )

    def permissions(who):
        return who.get("/v1/auth/permissions?action_version=v2").json()["permissions"]

    assert permissions(browser) == ["execute:team_entities:actions:d2", "execute:actions:c"]
    assert permissions(make_api(Role.VIEWER)) == []
    assert permissions(admin) == ["execute:actions:d2", "execute:actions:c"]
    assert run("theirs").status_code == 202
    assert run("theirs").json()["run"]["source"] == "UI"
    assert run("others").status_code == 403
    assert make_api(Role.VIEWER).post("/v1/actions/c/runs", {}).status_code == 403
    assert admin.post("/v1/actions/auto/runs", {}).status_code == 422
    assert Run.objects.count() == 2

    for method, where, body in (
        ("post", "/v1/actions", action("n")),
        ("put", "/v1/actions/c", action("c")),
        ("delete", "/v1/actions/c", {}),
        ("patch", url, {}),
        ("post", "/v1/blueprints/service/actions", action("n")),
    ):
        answer = getattr(make_api(Role.MEMBER), method)(where, body)
        assert answer.status_code == 403
    assert Action.objects.count() == 3


def test_in_the_name_of_somebody_else(admin):
    admin.post("/v1/actions", action("c", trigger={"userInputs": {}}))
    run = admin.post("/v1/actions/c/runs?run_as=ann@x.io", {}).json()["run"]
    assert run["createdBy"] == "ann@x.io"
    assert run["impersonatedBy"] == run["updatedBy"] != "ann@x.io"
    refused = make_api(Role.MEMBER).post("/v1/actions/c/runs?run_as=ann@x.io", {})
    assert refused.status_code == 403
    found = admin.get("/v1/actions/runs?user_email=ann@x.io").json()["runs"]
    assert [one["id"] for one in found] == [run["id"]]


def test_approval(admin):
    empty = {"userInputs": {}}
    admin.post("/v1/actions", action("any", trigger=empty, requiredApproval=True))
    admin.post("/v1/actions", action("all", trigger=empty, requiredApproval={"type": "ALL"}))
    ann, bob = make_browser("ann"), make_browser("bob")
    grant(admin, "all", approve={"users": ["ann@example.com", "bob@example.com"], "roles": []})

    def decide(who, run, status):
        return who.patch(
            f"/v1/actions/runs/{run['id']}/approval",
            {"status": status, "description": "ok"},
            content_type="application/json",
        )

    run = admin.post("/v1/actions/any/runs", {}).json()["run"]
    assert (run["status"], run["requiredApproval"]) == ("WAITING_FOR_APPROVAL", {"type": "ANY"})
    assert decide(ann, run, "APPROVE").status_code == 403
    answer = admin.patch(f"/v1/actions/runs/{run['id']}/approval", {"status": "APPROVE"})
    assert (answer.status_code, answer.json()["run"]["status"]) == (201, "IN_PROGRESS")
    again = admin.patch(f"/v1/actions/runs/{run['id']}/approval", {"status": "DECLINE"})
    assert again.status_code == 409

    run = admin.post("/v1/actions/all/runs", {}).json()["run"]
    assert decide(ann, run, "APPROVE").json()["run"]["status"] == "WAITING_FOR_APPROVAL"
    url = f"/v1/actions/runs/{run['id']}/approvers?include_pending_approvers=true"
    assert admin.get(url).json()["approvers"] == [
        {"userId": "ann@example.com", "state": "APPROVED", "description": "ok"},
        {"userId": "bob@example.com", "state": "PENDING", "description": ""},
    ]
    assert decide(bob, run, "APPROVE").json()["run"]["status"] == "IN_PROGRESS"
    run = admin.post("/v1/actions/all/runs", {}).json()["run"]
    declined = decide(bob, run, "DECLINE").json()["run"]
    assert (declined["status"], declined["approval"]["state"]) == ("DECLINED", "DECLINED")
    assert decide(bob, run, "MAYBE").status_code == 422


def test_closed_runs(admin):
    admin.post("/v1/actions", action("c", trigger={"userInputs": {}}, allowAnyoneToViewRuns=False))
    member = make_api(Role.MEMBER)
    theirs = admin.post("/v1/actions/c/runs", {}).json()["run"]
    own = member.post("/v1/actions/c/runs", {}).json()["run"]
    url = f"/v1/actions/runs/{theirs['id']}"
    assert [one["id"] for one in member.get("/v1/actions/runs").json()["runs"]] == [own["id"]]
    for answer in (
        member.get(url),
        member.get(f"{url}/logs"),
        member.patch(url, {"status": "SUCCESS"}),
        member.post(f"{url}/logs", {"message": "x"}),
        member.patch(f"{url}/response", {"response": 1}),
        member.patch(f"{url}/approval", {"status": "APPROVE"}),
    ):
        assert answer.status_code == 404
    assert Run.objects.get(identifier=theirs["id"]).status == "IN_PROGRESS"
    assert make_api(Role.VIEWER).patch(url, {"status": "SUCCESS"}).status_code == 404
    admin.post("/v1/actions", action("open", trigger={"userInputs": {}}))
    run = admin.post("/v1/actions/open/runs", {}).json()["run"]
    viewer = make_api(Role.VIEWER)
    assert viewer.get(f"/v1/actions/runs/{run['id']}").status_code == 200
    assert viewer.patch(f"/v1/actions/runs/{run['id']}", {"summary": "x"}).status_code == 403


AGENT = {"installationId": "_PORT_EXEC_AGENT", "limit": 100, "invocationMethod": "WEBHOOK"}


def test_agents_fetch_runs(admin):
    payload = {"type": "WEBHOOK", "url": "https://in.side", "agent": True, "body": {"a": 1}}
    empty = {"userInputs": {}}
    admin.post("/v1/actions", action("c", trigger=empty, invocationMethod=payload))
    templated = {**payload, "body": {"{{ .x }}": 1}}
    admin.post("/v1/actions", action("t", trigger=empty, invocationMethod=templated))
    run = admin.post("/v1/actions/c/runs", {}).json()["run"]
    assert (run["pendingExecution"], run["summary"]) == (True, None)
    assert admin.post("/v1/actions/t/runs", {}).json()["run"]["pendingExecution"] is False
    agent = make_api(Role.MEMBER)

    def claim(**body):
        answer = agent.post("/v1/actions/runs/claim-pending", {**AGENT, **body})
        assert answer.status_code == 200
        return [(one["id"], one["payload"]) for one in answer.json()["runs"]]

    assert claim(installationId="my-gh") == claim(invocationMethod="KAFKA") == []
    assert claim(exclude=["c"]) == []
    assert claim(visibilityTimeoutMs=1) == [(run["id"], payload)]
    assert claim(visibilityTimeoutMs=60_000) == [(run["id"], payload)]
    assert claim() == []
    ack = "/v1/actions/runs/ack"
    assert agent.patch(ack, {"runIds": [run["id"]]}).json() == {"ok": True, "ackedCount": 1}
    assert agent.patch(ack, {"runIds": [run["id"]]}).json() == {"ok": True, "ackedCount": 0}
    assert agent.patch(ack, {"runId": run["id"]}).status_code == 409
    Run.objects.update(claimed_until=None)
    assert claim() == []
    browser = make_browser(role=Role.MEMBER)
    for who in (make_api(Role.VIEWER), browser):
        kind = {} if who is not browser else {"content_type": "application/json"}
        assert who.post("/v1/actions/runs/claim-pending", AGENT, **kind).status_code == 403
        assert who.patch(ack, {"runIds": []}, **kind).status_code == 403


def test_integrations_fetch_their_own_runs(admin):
    payload = {
        "type": "INTEGRATION_ACTION",
        "installationId": "my-gh",
        "integrationActionType": "dispatch_workflow",
        "integrationActionExecutionProperties": {"workflow": "x.yml"},
    }
    admin.post(
        "/v1/actions",
        action(
            "c",
            trigger={"userInputs": {}},
            invocationMethod=payload,
            requiredApproval=True,
        ),
    )
    run = admin.post("/v1/actions/c/runs", {}).json()["run"]
    claim = {"installationId": "my-gh", "limit": 300, "visibilityTimeoutMs": 60_000}
    url = "/v1/actions/runs/claim-pending"
    assert admin.post(url, claim).json()["runs"] == []
    admin.patch(f"/v1/actions/runs/{run['id']}/approval", {"status": "APPROVE"})
    [claimed] = admin.post(url, claim).json()["runs"]
    assert (claimed["id"], claimed["action"]["identifier"]) == (run["id"], "c")
    admin.patch(f"/v1/actions/runs/{run['id']}", {"status": "SUCCESS"})
    assert Run.objects.get().is_pending is False


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": "WAITING_FOR_APPROVAL"}, "status"),
        ({"link": 3}, "link"),
        ({"summary": {}}, "summary"),
        ({"externalRunId": 7}, "externalRunId"),
    ],
)
def test_bad_reports(admin, body, field):
    admin.post("/v1/actions", action("c", trigger={"userInputs": {}}))
    run = admin.post("/v1/actions/c/runs", {}).json()["run"]
    answer = admin.patch(f"/v1/actions/runs/{run['id']}", body)
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)
    assert admin.get(f"/v1/actions/runs/{run['id']}").json()["run"] == run
    assert admin.post(f"/v1/actions/runs/{run['id']}/logs", {"message": ""}).status_code == 422


def test_admin_lists(admin):
    browser = make_browser(role=Role.ADMIN)
    admin.post("/v1/actions", action("c", trigger={"userInputs": {}}))
    run = admin.post("/v1/actions/c/runs", {}).json()["run"]
    assert b"Scaffold" in browser.get("/admin/actions/action/").content
    assert run["id"].encode() in browser.get("/admin/actions/run/?status=IN_PROGRESS").content
    for model, pk in (("action", Action.objects.get().pk), ("run", Run.objects.get().pk)):
        assert browser.get(f"/admin/actions/{model}/{pk}/change/").status_code == 200
        assert browser.get(f"/admin/actions/{model}/add/").status_code == 403
    assert Blueprint.objects.filter(identifier="service").exists()
    assert not Entity.objects.filter(blueprint__identifier="service").exists()
