"""Runs over /v1: started, listed, reported on, approved, fetched by agents."""

import json

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from actions.models import Delivery, Run, RunArtifact
from catalog.kernel.actors import Role
from tests.actions.actions import WEBHOOK, action, automation, day2
from tests.factories import make_api, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

ADDED = ("createdAt", "createdBy", "updatedAt", "updatedBy", "expiresAt")
EMPTY = {"userInputs": {}}
# An agent elsewhere calls it, so that nothing here does.
AGENT_CALL = {"type": "WEBHOOK", "url": "https://in.side", "agent": True, "body": {"a": 1}}
AGENT = {"installationId": "_PORT_EXEC_AGENT", "limit": 100, "invocationMethod": "WEBHOOK"}


@pytest.fixture
def admin(db):
    make_blueprint("service")
    return make_api()


def simple(identifier="c", **parts):
    return action(identifier, **{"trigger": EMPTY, "invocationMethod": AGENT_CALL, **parts})


def start(api, identifier="c", body=None, **extra):
    answer = api.post(f"/v1/actions/{identifier}/runs", body or {}, **extra)
    assert answer.status_code == 202, answer.content
    return answer.json()["run"]


def test_a_run_from_start_to_end(admin):
    admin.post("/v1/actions", action(invocationMethod={**WEBHOOK, "agent": True}))
    run = start(admin, "scaffold", {"properties": {"name": "pay", "token": "t-1"}})
    assert run["id"].startswith("r_")
    assert run == {
        "id": run["id"],
        "status": "IN_PROGRESS",
        "statusLabel": None,
        "summary": None,
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
        "payload": {**WEBHOOK, "agent": True, "body": {"name": "pay"}},
        "response": None,
        "pendingExecution": True,
        "claimedUntil": None,
        "installationId": "_PORT_EXEC_AGENT",
        "endedAt": None,
        "impersonatedBy": None,
        "actionVersion": 1,
        "isTest": False,
        "steps": [],
        "output": None,
        **{key: run[key] for key in ADDED},
    }
    url = f"/v1/actions/runs/{run['id']}"
    line = admin.post(f"{url}/logs", {"message": "building"})
    assert (line.status_code, line.json()["runLog"]["message"]) == (201, "building")
    report = {"link": "https://ci/1", "externalRunId": "7", "statusLabel": "Building"}
    assert admin.patch(url, report).json()["run"]["link"] == ["https://ci/1"]
    ended = admin.patch(f"{url}?runId={run['id']}", {"status": "success", "summary": "Done"})
    assert (ended.status_code, ended.json()["run"]["status"]) == (200, "SUCCESS")
    again = admin.patch(url, {"status": "FAILURE"}).json()["run"]
    assert (again["status"], again["summary"]) == ("FAILURE", "Done")
    assert admin.post(f"{url}/logs", {"message": "late"}).status_code == 201
    lines = admin.get(f"{url}/logs").json()["runLogs"]
    assert [one["message"] for one in lines][-2:] == ["building", "late"]
    page = admin.get(f"{url}/logs?limit=1&offset=1").json()["runLogs"]
    assert [one["message"] for one in page] == ["building"]
    rest = admin.get(f"{url}/logs?after={page[0]['id']}").json()["runLogs"]
    assert [one["message"] for one in rest] == ["late"]
    answered = admin.patch(f"{url}/response", {"response": {"b": 1, "a": [None]}})
    assert json.dumps(answered.json()["run"]["response"]) == '{"b": 1, "a": [null]}'
    by_id = admin.get("/v1/actions/runs?version=v2&external_run_id=7").json()["runs"]
    assert [one["id"] for one in by_id] == [run["id"]]
    for query in ("limit=0", "offset=x", "after=x"):
        assert admin.get(f"{url}/logs?{query}").status_code == 400


def test_what_a_run_wrote_and_made(admin):
    admin.post("/v1/actions", simple())
    run = start(admin)
    url = f"/v1/actions/runs/{run['id']}"
    of_run = f"/v1/blueprints/service/entities?run_id={run['id']}"
    admin.post(of_run, {"identifier": "pay"})
    admin.post(f"{of_run}&upsert=true", {"identifier": "pay", "title": "Pay"})
    make_entity("service", "old")
    admin.post(f"{of_run}&upsert=true", {"identifier": "old", "title": "Old"})
    admin.delete(f"/v1/blueprints/service/entities/old?run_id={run['id']}")
    written = admin.get(f"{url}/entities").json()["entities"]
    shown = [(one["blueprint"], one["identifier"], one["action"]) for one in written]
    assert shown == [("service", "pay", "create"), ("service", "old", "delete")]
    linked = admin.get(f"/v1/audit-log?run_id={run['id']}&resources=entity").json()["audits"]
    assert {one["context"]["entity"] for one in linked} == {"pay", "old"}

    stored = Run.objects.get()
    now = timezone.now()
    RunArtifact.objects.create(
        run=stored, name="a b.zip", size_bytes=3, content=b"zip", created_at=now
    )
    Delivery.objects.create(
        run=stored, number=1, state="DELIVERED", started_at=now, ended_at=now, status_code=202
    )
    [file] = admin.get(f"{url}/files").json()["files"]
    assert (file["name"], file["sizeBytes"]) == ("a b.zip", 3)
    got = admin.get(f"{url}/files/a%20b.zip")
    assert (got.getvalue(), got["Content-Type"]) == (b"zip", "application/zip")
    assert got["Content-Disposition"] == 'attachment; filename="a b.zip"'
    assert admin.get(f"{url}/files/none").status_code == 404
    [sent] = admin.get(f"{url}/deliveries").json()["deliveries"]
    assert (sent["number"], sent["state"], sent["statusCode"]) == (1, "DELIVERED", 202)


GIVEN = [
    ({}, "properties.name"),
    ({"name": "x"}, "properties.name"),
    ({"name": 3}, "properties.name"),
    ({"name": "pay", "size": 2}, "properties.size"),
    ({"name": "pay", "tags": ["a", "b", "c"]}, "properties.tags"),
    ({"name": "pay", "tags": None}, None),
    ({"name": "later"}, "properties.later"),
    ({"name": "pay", "other": 1}, "properties.other"),
    ("pay", "properties"),
]


def test_inputs(admin, subtests):
    admin.post("/v1/actions", action(invocationMethod=AGENT_CALL))
    for properties, field in GIVEN:
        with subtests.test(str(properties)), transaction.atomic():
            answer = admin.post("/v1/actions/scaffold/runs", {"properties": properties})
            details = answer.json().get("details", {})
            assert (answer.status_code, details.get("field")) == (422 if field else 202, field)
            assert Run.objects.exists() is (field is None)
            transaction.set_rollback(True)


def test_encrypted_inputs_are_told_nowhere(admin):
    admin.post("/v1/actions", action(invocationMethod=AGENT_CALL))
    answer = admin.post(
        "/v1/actions/scaffold/runs", {"properties": {"name": "pay", "token": "hush-hush"}}
    )
    assert answer.status_code == 422
    assert b"hush" not in answer.content
    start(admin, "scaffold", {"properties": {"name": "pay", "token": "t-hush"}})
    assert "hush" not in json.dumps(list(Run.objects.values("properties", "payload")))


def test_runs_on_an_entity(admin):
    admin.post("/v1/actions", day2("d2", invocationMethod=AGENT_CALL))
    make_entity("service", "pay", title="Payments")
    assert admin.post("/v1/actions/d2/runs", {}).status_code == 422
    assert admin.post("/v1/actions/d2/runs", {"entity": "no"}).status_code == 404
    run = start(admin, "d2", {"entity": "pay"})
    assert run["entity"] == {
        "identifier": "pay",
        "title": "Payments",
        "icon": None,
        "deleted": False,
    }
    assert (run["blueprint"]["identifier"], run["blueprint"]["deleted"]) == ("service", False)
    old = "/v1/blueprints/service/entities/pay/actions/d2/runs"
    assert admin.post(old, {}).json()["run"]["entity"]["identifier"] == "pay"
    assert admin.post("/v1/blueprints/service/actions/x/runs", {}).status_code == 404
    admin.delete("/v1/blueprints/service/entities/pay")
    assert admin.get(f"/v1/actions/runs/{run['id']}").json()["run"]["entity"]["deleted"] is True


def test_lists_of_runs(admin):
    admin.post("/v1/actions", day2("d2", invocationMethod=AGENT_CALL))
    admin.post("/v1/actions", simple())
    make_entity("service", "pay")
    member = make_browser("ann")
    first = start(admin, "d2", {"entity": "pay"})
    second = start(member, content_type="application/json")
    third = start(admin)
    admin.patch(f"/v1/actions/runs/{second['id']}", {"status": "SUCCESS"})
    Run.objects.filter(identifier=third["id"]).update(
        status="TIMED_OUT", ended_at=timezone.now(), is_pending=False
    )
    names = {first["id"]: 1, second["id"]: 2, third["id"]: 3}

    def found(query=""):
        answer = admin.get(f"/v1/actions/runs?{query}")
        assert answer.status_code == 200, answer.content
        return [names[one["id"]] for one in answer.json()["runs"]]

    assert found() == [3, 2, 1]
    assert found("entity=pay&blueprint=service&action=d2&active=true") == [1]
    assert found("active=false") == [3, 2]
    assert found("status=FAILURE") == found("status=TIMED_OUT") == [3]
    assert found("status=success,IN_PROGRESS") == [2, 1]
    assert found("user_email=ann@example.com") == found("user_id=ann@example.com") == [2]
    assert found("source=UI") == [2]
    assert found("source[]=API&source[]=AUTOMATION") == [3, 1]
    middle = Run.objects.get(identifier=second["id"]).created_at
    moment = middle.isoformat().replace("+", "%2B")
    assert (found(f"created_after={moment}"), found(f"created_before={moment}")) == ([3], [1])
    for query in ("created_after=x", "after=x", "limit=1001"):
        assert admin.get(f"/v1/actions/runs?{query}").status_code == 400
    page = admin.get("/v1/actions/runs?limit=2&exclude=payload").json()
    assert "payload" not in page["runs"][0]
    assert (page["runs"][0]["status"], page["runs"][0]["statusLabel"]) == ("FAILURE", "Timed out")
    assert found(f"limit=2&after={page['next']}") == [1]
    assert "next" not in admin.get("/v1/actions/runs?limit=3").json()


def test_a_list_of_runs_costs_the_same_however_long_it_is(admin):
    admin.post("/v1/actions", day2("d2", invocationMethod=AGENT_CALL))
    member = make_api(Role.MEMBER)

    def count(many):
        for number in range(many):
            make_entity("service", f"s{many}-{number}")
            start(admin, "d2", {"entity": f"s{many}-{number}"})
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert member.get("/v1/actions/runs").status_code == 200
        return len(queries)

    assert count(1) == count(5) <= 6


def test_in_the_name_of_somebody_else(admin):
    admin.post("/v1/actions", simple())
    run = admin.post("/v1/actions/c/runs?run_as=ann@x.io", {}).json()["run"]
    assert run["createdBy"] == "ann@x.io"
    assert run["impersonatedBy"] == run["updatedBy"] != "ann@x.io"
    refused = make_api(Role.MEMBER).post("/v1/actions/c/runs?run_as=ann@x.io", {})
    assert refused.status_code == 403
    found = admin.get("/v1/actions/runs?user_email=ann@x.io").json()["runs"]
    assert [one["id"] for one in found] == [run["id"]]


def test_the_same_key_starts_one_run(admin):
    admin.post("/v1/actions", simple())
    first = start(admin, HTTP_IDEMPOTENCY_KEY="k")
    assert start(admin, body={"idempotencyKey": "k"})["id"] == first["id"]
    assert start(make_api(), HTTP_IDEMPOTENCY_KEY="k")["id"] != first["id"], "of another caller"
    assert admin.post("/v1/actions/c/runs", {"idempotencyKey": 3}).status_code == 422
    assert admin.post("/v1/actions/c/runs", {"idempotencyKey": "k" * 256}).status_code == 422
    again = f"/v1/actions/runs/{first['id']}/repeat"
    repeated = admin.post(again, {}, HTTP_IDEMPOTENCY_KEY="r").json()["run"]["id"]
    assert admin.post(again, {"idempotencyKey": "r"}).json()["run"]["id"] == repeated
    assert Run.objects.count() == 3
    assert Run.objects.get(identifier=repeated).origin_run.identifier == first["id"]


def test_cancel_repeat_and_redeliver(admin):
    inputs = {"userInputs": {"properties": {"name": {"type": "string"}}}}
    admin.post("/v1/actions", simple(trigger=inputs))
    run = start(admin, body={"properties": {"name": "pay"}})
    url = f"/v1/actions/runs/{run['id']}"
    cancelled = admin.post(f"{url}/cancel", {"reason": "a mistake"})
    assert (cancelled.status_code, cancelled.json()["run"]["status"]) == (200, "CANCELLED")
    assert cancelled.json()["run"]["summary"] == "a mistake"
    assert admin.post(f"{url}/cancel").status_code == 409
    assert admin.post(f"{url}/redeliver").status_code == 409
    repeated = admin.post(f"{url}/repeat")
    assert (repeated.status_code, repeated.json()["run"]["properties"]) == (202, {"name": "pay"})
    other = admin.post(f"{url}/repeat", {"properties": {"name": "other"}}).json()["run"]
    assert other["properties"] == {"name": "other"}
    failed = f"/v1/actions/runs/{other['id']}"
    admin.patch("/v1/actions/runs/ack", {"runId": other["id"]})
    admin.patch(failed, {"status": "FAILURE"})
    sent = admin.post(f"{failed}/redeliver")
    assert (sent.status_code, sent.json()["run"]["pendingExecution"]) == (202, True)
    assert sent.json()["run"]["status"] == "IN_PROGRESS"


def decide(who, run, status):
    kind = {"content_type": "application/json"}
    body = {"status": status, "description": "ok"}
    return who.patch(f"/v1/actions/runs/{run['id']}/approval", body, **kind)


def test_approval(admin):
    admin.post("/v1/actions", simple("any", requiredApproval=True))
    admin.post("/v1/actions", simple("all", requiredApproval={"type": "ALL"}))
    ann, bob = make_browser("ann"), make_browser("bob")
    approve = {"users": ["ann@example.com", "bob@example.com"], "roles": []}
    admin.patch("/v1/actions/all/permissions", {"approve": approve})

    run = start(admin, "any")
    assert (run["status"], run["requiredApproval"]) == ("WAITING_FOR_APPROVAL", {"type": "ANY"})
    early = admin.patch(f"/v1/actions/runs/{run['id']}", {"status": "SUCCESS"})
    assert early.status_code == 409
    assert decide(ann, run, "APPROVE").status_code == 403
    answer = admin.patch(f"/v1/actions/runs/{run['id']}/approval", {"status": "APPROVE"})
    assert (answer.status_code, answer.json()["run"]["status"]) == (201, "IN_PROGRESS")
    again = admin.patch(f"/v1/actions/runs/{run['id']}/approval", {"status": "DECLINE"})
    assert again.status_code == 409

    run = start(admin, "all")
    assert decide(ann, run, "APPROVE").json()["run"]["status"] == "WAITING_FOR_APPROVAL"
    url = f"/v1/actions/runs/{run['id']}/approvers?include_pending_approvers=true"
    assert admin.get(url).json()["approvers"] == [
        {"userId": "ann@example.com", "state": "APPROVED", "description": "ok"},
        {"userId": "bob@example.com", "state": "PENDING", "description": ""},
    ]
    assert decide(bob, run, "APPROVE").json()["run"]["status"] == "IN_PROGRESS"
    run = start(admin, "all")
    declined = decide(bob, run, "DECLINE").json()["run"]
    assert (declined["status"], declined["approval"]["state"]) == ("DECLINED", "DECLINED")
    assert decide(bob, run, "MAYBE").status_code == 422


def test_all_means_everybody_whom_the_grant_reaches(admin):
    make_entity("_team", "core", title="Core")
    make_entity("_user", "cat@example.com", relations={"team": ["core"]})
    make_browser("ann", role=Role.VIEWER)
    admin.post("/v1/actions", simple(requiredApproval={"type": "ALL"}))
    named = {"users": ["Bob@example.com"], "roles": ["Viewer"], "teams": ["Core"]}
    policy = {"queries": {}, "conditions": ['["dan@example.com", "BOB@example.com"]']}
    admin.patch("/v1/actions/c/permissions", {"approve": {**named, "policy": policy}})
    run = start(admin)
    url = f"/v1/actions/runs/{run['id']}/approvers?include_pending_approvers=true"
    pending = [one["userId"] for one in admin.get(url).json()["approvers"]]
    assert pending == ["bob@example.com", "ann@example.com", "cat@example.com", "dan@example.com"]


def test_agents_fetch_runs(admin):
    admin.post("/v1/actions", simple())
    run = start(admin)
    assert (run["pendingExecution"], run["summary"]) == (True, None)
    agent = make_api(Role.MEMBER)

    def claim(**body):
        answer = agent.post("/v1/actions/runs/claim-pending", {**AGENT, **body})
        assert answer.status_code == 200
        return [(one["id"], one["payload"]) for one in answer.json()["runs"]]

    assert claim(installationId="my-gh") == claim(invocationMethod="KAFKA") == []
    assert claim(exclude=["c"]) == []
    [(claimed, payload)] = claim(visibilityTimeoutMs=1)
    assert claimed == run["id"]
    assert {key: payload[key] for key in AGENT_CALL} == AGENT_CALL
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
    """In the order in which Ocean calls."""
    payload = {
        "type": "INTEGRATION_ACTION",
        "installationId": "my-gh",
        "integrationActionType": "dispatch_workflow",
        "integrationActionExecutionProperties": {"workflow": "{{ .run.id }}.yml"},
    }
    admin.post("/v1/actions", simple(invocationMethod=payload, requiredApproval=True))
    run = start(admin)
    ocean = make_api(Role.MEMBER, agent="port-ocean/github/my-gh/0.1.0")
    claim = {"installationId": "my-gh", "limit": 300, "visibilityTimeoutMs": 60_000}
    url = "/v1/actions/runs/claim-pending"
    assert ocean.post(url, claim).json()["runs"] == []
    admin.patch(f"/v1/actions/runs/{run['id']}/approval", {"status": "APPROVE"})
    [claimed] = ocean.post(url, claim).json()["runs"]
    assert ocean.post("/v1/workflows/runs/claim-pending", claim).json()["nodeRuns"] == []
    assert (claimed["id"], claimed["action"]["identifier"]) == (run["id"], "c")
    assert claimed["status"] == "IN_PROGRESS"
    workflow = {"workflow": f"{run['id']}.yml"}
    assert claimed["payload"] == {**payload, "integrationActionExecutionProperties": workflow}
    assert ocean.patch("/v1/actions/runs/ack", {"runId": run["id"]}).status_code == 200
    assert ocean.patch("/v1/actions/runs/ack", {"runId": run["id"]}).status_code == 409
    one = f"/v1/actions/runs/{run['id']}"
    report = {"link": "https://gh/1", "externalRunId": "gh_1", "statusLabel": "Dispatched"}
    assert ocean.patch(one, report).status_code == 200
    assert ocean.post(f"{one}/logs", {"message": "dispatched"}).status_code == 201
    found = ocean.get("/v1/actions/runs?version=v2&external_run_id=gh_1").json()["runs"]
    assert [(one["id"], one["status"]) for one in found] == [(run["id"], "IN_PROGRESS")]
    assert ocean.post(f"{one}/logs", {"message": "done"}).status_code == 201
    ended = ocean.patch(one, {"status": "SUCCESS", "statusLabel": "Completed"})
    assert ended.json()["run"]["status"] == "SUCCESS"
    assert Run.objects.get().is_pending is False


def test_workflows_have_nothing_to_do(admin):
    claim = {"installationId": "x", "limit": 1}
    answer = admin.post("/v1/workflows/runs/claim-pending", claim).json()
    assert answer == {"ok": True, "nodeRuns": []}


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
    admin.post("/v1/actions", simple())
    run = start(admin)
    answer = admin.patch(f"/v1/actions/runs/{run['id']}", body)
    assert (answer.status_code, answer.json()["details"]["field"]) == (422, field)
    assert admin.get(f"/v1/actions/runs/{run['id']}").json()["run"] == run
    assert admin.post(f"/v1/actions/runs/{run['id']}/logs", {"message": ""}).status_code == 422


def test_nobody_starts_an_automation_or_a_draft(admin):
    admin.post("/v1/actions", automation("auto"))
    admin.post("/v1/actions", simple("draft", publish=False))
    assert admin.post("/v1/actions/auto/runs", {}).status_code == 422
    assert admin.post("/v1/actions/draft/runs", {}).status_code == 409
    assert not Run.objects.exists()
