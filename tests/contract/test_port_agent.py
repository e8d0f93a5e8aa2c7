"""Port's execution agent in its polling mode: its calls in its order, as they were recorded.

It takes a token before every call, claims, acknowledges one run after the other, and reads of each
what `call_of` reads. The agent itself was run against a server of ours; it cannot be installed
from an index, so its calls stand here.
"""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from actions.models import Run
from catalog.kernel.actors import Role
from tests.actions.actions import action
from tests.factories import Caller, make_api, make_client

pytestmark = pytest.mark.django_db

HEADERS = {"HTTP_USER_AGENT": "port-agent", "HTTP_X_PORT_RESERVED_USAGE": "true"}
CLAIM = {"installationId": "_PORT_EXEC_AGENT", "limit": 100}


class Agent:
    """Its HTTP, call by call."""

    def __init__(self) -> None:
        client, self.secret = make_client(role=Role.MEMBER)
        self.id = client.client_id

    def __call__(self, method, path, body):
        credentials = {"clientId": self.id, "clientSecret": self.secret}
        token = Caller().post("/v1/auth/access_token", credentials).json()["accessToken"]
        caller = Caller(HTTP_AUTHORIZATION=f"Bearer {token}", **HEADERS)
        return getattr(caller, method)(f"/v1{path}", body)

    def poll(self):
        """One round: what it claims and is allowed to do."""
        claim = self(
            "post", "/actions/runs/claim-pending", {**CLAIM, "invocationMethod": "WEBHOOK"}
        )
        assert claim.status_code == 200
        got = []
        for run in claim.json()["runs"]:
            answer = self("patch", "/actions/runs/ack", {"runIds": [run["id"]]})
            if answer.json()["ackedCount"]:
                got.append(run)
        assert self("post", "/workflows/runs/claim-pending", CLAIM).json()["nodeRuns"] == []
        return got

    def log(self, run, *messages):
        for message in messages:
            answer = self("post", f"/actions/runs/{run['id']}/logs", {"message": message})
            assert answer.status_code == 201

    def report(self, run, **report):
        answer = self("patch", f"/actions/runs/{run['id']}", report)
        assert answer.status_code == 200, answer.content


def call_of(run):
    """What it sends to the target: all that it reads of a run. Raises as it would."""
    payload = run["payload"]
    method = {
        "type": payload["type"],
        "url": payload["url"],
        "synchronized": payload.get("synchronized", False),
        "method": payload.get("method", "POST"),
        "headers": payload.get("headers", {}),
    }
    assert payload["agent"] is True
    message = payload["body"].copy()
    message["headers"] = method["headers"]
    message.setdefault("payload", {}).setdefault("action", {})["invocationMethod"] = method
    message.setdefault("context", {})["runId"] = run["id"]
    return message


BEFORE = (
    "An action message has been received",
    "Preparing the payload for the request",
    "Sending the request",
)


@pytest.fixture
def admin(db):
    return make_api()


def start(admin, identifier, **method):
    inputs = {"userInputs": {"properties": {"name": {"type": "string"}}}}
    call = {"type": "WEBHOOK", "url": "http://in.side/hook", "agent": True, **method}
    made = admin.post("/v1/actions", action(identifier, trigger=inputs, invocationMethod=call))
    assert made.status_code == 201, made.content
    body = {"properties": {"name": "pay"}}
    return admin.post(f"/v1/actions/{identifier}/runs", body).json()["run"]["id"]


def test_polling(admin):
    agent = Agent()
    setting = {"settings": {"portAgentStreamerName": "POLLING"}}
    assert agent("patch", "/organization", setting).status_code in (
        200,
        403,
    )  # it goes on either way
    assert agent.poll() == []

    secret = {"secretName": "TOKEN", "secretValue": "s3cret-value", "description": ""}
    admin.post("/v1/organization/secrets", secret)
    headers = {"Authorization": "Bearer {{ .secrets.TOKEN }}", "Run": "{{ .run.id }}"}
    identifiers = [
        start(admin, "own", headers=headers, body={"name": "{{ .inputs.name }}"}),
        start(admin, "sync", synchronized="{{ true }}", method="PUT"),
        start(admin, "fails"),
    ]
    start(admin, "here", agent="{{ false }}")
    runs = agent.poll()
    assert [run["id"] for run in runs] == identifiers
    assert agent.poll() == []
    own, sync, fails = runs

    # asynchronous: the target reports the end
    agent.log(own, *BEFORE)
    sent = call_of(own)
    assert (sent["name"], sent["context"]["runId"]) == ("pay", own["id"])
    assert sent["headers"] == {"Authorization": "Bearer s3cret-value", "Run": own["id"]}
    shown = admin.get(f"/v1/actions/runs/{own['id']}").content
    assert b"s3cret" not in shown
    agent.log(own, "Action invocation has completed successfully with status code: 202")
    agent.log(own, "Port agent finished processing the action run")
    assert Run.objects.get(identifier=own["id"]).status == "IN_PROGRESS"
    admin.patch(f"/v1/actions/runs/{own['id']}", {"status": "SUCCESS"})

    # synchronous: the agent does
    agent.log(sync, *BEFORE)
    sent = call_of(sync)
    assert sent["payload"]["action"]["invocationMethod"]["synchronized"] is True
    assert sent["payload"]["properties"] == {"name": "pay"}, "the standard message"
    response = {"response": {"done": True}}
    answer = agent("patch", f"/actions/runs/{sync['id']}/response", response)
    assert answer.status_code == 200
    agent.report(sync, status="SUCCESS")

    # a target that fails is told of twice
    agent.log(fails, *BEFORE)
    agent.report(fails, status="FAILURE", summary="Failed to invoke the webhook")
    agent.report(fails, status="FAILURE", summary="Agent failed to process the run")

    ended = {run.identifier: run for run in Run.objects.all()}
    assert [ended[one].status for one in identifiers] == ["SUCCESS", "SUCCESS", "FAILURE"]
    assert ended[sync["id"]].response == {"done": True}
    lines = ended[own["id"]].logs.values_list("message", flat=True)
    assert [line for line in lines if line in BEFORE] == list(BEFORE)


def test_an_agent_that_dies_before_it_acknowledges_gets_the_run_again(admin):
    agent = Agent()
    run = start(admin, "own", body={})
    claim = {**CLAIM, "invocationMethod": "WEBHOOK"}
    [first] = agent("post", "/actions/runs/claim-pending", claim).json()["runs"]
    assert agent.poll() == []
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        assert [one["id"] for one in agent.poll()] == [first["id"]] == [run]
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        assert agent.poll() == []
