"""Types of invocation methods, through the API, against real local servers."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from actions import dispatching
from actions.models import Run
from actions.registry import backends
from actions.services import signing
from catalog.ingest import live
from catalog.ingest.integrations import create_source
from catalog.models import Entity, Integration
from tests.factories import ACTOR, make_api, make_blueprint, make_entity
from tests.vendors import Answer, failing, hang_up, limited, refused

pytestmark = pytest.mark.django_db

KEY = "k" * 40


@pytest.fixture
def api(vendor):
    signing.set_key(KEY, ACTOR)
    return make_api()


def define(api, method, properties=None, **trigger):
    document = {
        "identifier": "act",
        "title": "Act",
        "trigger": {
            "type": "self-service",
            "operation": "CREATE",
            "userInputs": {"properties": properties or {"name": {"type": "string"}}},
            **trigger,
        },
        "invocationMethod": method,
    }
    return api.post("/v1/actions", document)


def start(api, method, properties=None, entity=None, trigger=None, **inputs):
    made = define(api, method, properties, **(trigger or {}))
    assert made.status_code == 201, made.json()
    body = {"properties": inputs, **({"entity": entity} if entity else {})}
    answer = api.post("/v1/actions/act/runs", body)
    assert answer.status_code == 202, answer.json()
    return Run.objects.get(identifier=answer.json()["run"]["id"])


def work(run: Run, rounds: int = 1) -> Run:
    """Let a worker take the run, as often as it comes due."""
    for _ in range(rounds):
        run.refresh_from_db()
        with time_machine.travel(max(run.due_at or timezone.now(), timezone.now()), tick=True):
            dispatching.dispatch(run.pk)
    run.refresh_from_db()
    return run


def log_of(run: Run) -> str:
    return "\n".join(run.logs.values_list("message", flat=True))


# WEBHOOK


def hook(vendor, **parts):
    return {"type": "WEBHOOK", "url": f"{vendor.url}/hook", **parts}


def test_without_a_body_all_there_is_to_know_is_sent(api, vendor):
    make_blueprint("service", properties={"tier": {"type": "string"}})
    make_entity("service", "pay", properties={"tier": "gold"})
    vendor.json("/hook", {}, method="POST")
    trigger = {"operation": "DAY-2", "blueprintIdentifier": "service"}
    run = work(start(api, hook(vendor), entity="pay", trigger=trigger, name="x"))
    sent = vendor.calls[0].json()
    assert sent["action"] == "act"
    assert (sent["resourceType"], sent["status"]) == ("run", "TRIGGERED")
    assert sent["context"] == {"entity": "pay", "blueprint": "service", "runId": run.identifier}
    assert sent["payload"]["entity"]["properties"] == {"tier": "gold"}
    assert sent["payload"]["properties"] == {"name": "x"}
    assert sent["payload"]["action"]["invocationMethod"]["type"] == "WEBHOOK"
    assert sent["trigger"]["operation"] == "DAY-2"
    assert vendor.calls[0].headers["content-type"] == "application/json"


def test_what_is_signed_is_what_javascript_would_send(api, vendor):
    vendor.json("/hook", {}, method="PUT")
    body = {"b": "{{ .inputs.name }}", "2": "{{ 1.0 }}", "1": "{{ 1e21 }}"}
    run = start(api, hook(vendor, method="PUT", body=body), name="é\u2028")
    work(run)
    assert vendor.calls[0].body.decode() == '{"1":1e+21,"2":1,"b":"é\u2028"}'


@pytest.mark.parametrize(
    ("body", "headers", "content", "kind"),
    [
        ("plain {{ .inputs.name }}", {}, b"plain pay", "text/plain; charset=utf-8"),
        (
            {"ref": "main", "n": "{{ 1 }}", "no": None},
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"ref=main&n=1",
            "application/x-www-form-urlencoded",
        ),
        ([1, "{{ .inputs }}"], {"X-N": "{{ 5 }}"}, b'[1,{"name":"pay"}]', "application/json"),
        (
            {"a": 1},
            {"content-type": "application/vnd.x+json"},
            b'{"a":1}',
            "application/vnd.x+json",
        ),
    ],
)
def test_bodies(api, vendor, body, headers, content, kind):
    vendor.json("/hook", {}, method="POST")
    work(start(api, hook(vendor, body=body, headers=headers), name="pay"))
    assert (vendor.calls[0].body, vendor.calls[0].headers["content-type"]) == (content, kind)


@pytest.mark.parametrize(
    ("answer", "synchronized", "status", "words"),
    [
        (Answer(200, {"id": 1}), "{{ true }}", "SUCCESS", "answered 200"),
        (Answer(200, {"id": 1}), False, "IN_PROGRESS", "answered 200. Whoever was called"),
        (Answer(422, {"message": "no such ref"}), True, "FAILURE", "answered 422: no such ref"),
        (Answer(404, {"message": "gone"}), False, "FAILURE", "answered 404: gone"),
        (Answer(302, b"", {"location": "https://x.example/"}), True, "FAILURE", "it has moved to"),
        (Answer(200, b"\x00\xff"), True, "SUCCESS", "answered 200"),
    ],
)
def test_answers(api, vendor, answer, synchronized, status, words):
    vendor.route("/hook", method="POST")(lambda _: answer)
    run = work(start(api, hook(vendor, body={}, synchronized=synchronized)))
    assert run.status == status
    assert words in log_of(run) + str(run.summary)
    if status != "IN_PROGRESS":
        known = {422: {"message": "no such ref"}, 404: {"message": "gone"}, 302: None}
        response = known.get(answer.status, {"id": 1} if answer.body == {"id": 1} else "��")
        assert run.response == response


@pytest.mark.parametrize(
    ("trouble", "wait_s"),
    [
        (failing(503), 5),
        (limited(after=40), 40),
        (Answer(503, {"message": "later"}, {"retry-after": "90"}), 90),
        (Answer(408, {}), 5),
        (Answer(425, {}), 5),
        (Answer(403, {"message": "API rate limit exceeded"}, {"retry-after": "33"}), 33),
        (Answer(500, {}, {"x-ratelimit-reset": "99999999999"}), 5),
        (hang_up(), 5),
    ],
)
def test_what_may_work_later_is_tried_again(api, vendor, trouble, wait_s):
    vendor.json("/hook", {}, method="POST")
    vendor.trouble("/hook", trouble)
    run = work(start(api, hook(vendor, body={})))
    assert run.status == "IN_PROGRESS"
    waited = (run.due_at - run.deliveries.get().ended_at).total_seconds()
    assert wait_s - 1 <= waited <= wait_s + 1
    assert work(run).deliveries.count() == 2


def test_credentials_are_kept_nowhere(api, vendor):
    api.post("/v1/organization/secrets", {"secretName": "TOKEN", "secretValue": "tok-0815-secret"})
    vendor.route("/hook", method="POST")(
        lambda call: Answer(200, {"echo": call.headers["authorization"]}, {"set-cookie": "s=abc"})
    )
    method = {
        "type": "WEBHOOK",
        "url": f"{vendor.url}/hook?token=glptt-literal-1&ref=main",
        "headers": {
            "Authorization": "token {{ .secrets.TOKEN }}",
            "X-Literal-Token": "literal-token-1",
        },
        "body": {"a": "{{ .secrets.TOKEN }}"},
        "synchronized": True,
    }
    run = work(start(api, method))
    call = vendor.calls[0]
    assert call.query == {"token": "glptt-literal-1", "ref": "main"}
    assert call.headers["authorization"] == "token tok-0815-secret"
    assert call.headers["x-literal-token"] == "literal-token-1"
    delivery = run.deliveries.get()
    assert delivery.url.endswith("/hook?token=***&ref=main")
    assert delivery.request_headers["x-port-signature"].startswith("v1,")
    assert delivery.request_headers["idempotency-key"] == run.identifier
    assert run.response == {"echo": "***"}
    answer = api.get(f"/v1/actions/runs/{run.identifier}").json()
    shown = json.dumps(answer) + str(vars(delivery)) + log_of(run) + str(run.summary)
    for secret in ("tok-0815-secret", "glptt-literal-1", "literal-token-1", "s=abc"):
        assert secret not in shown


def test_an_agent_is_given_what_it_calls(api, vendor):
    method = {"type": "WEBHOOK", "url": "http://10.0.0.5/ci", "agent": "{{ true }}", "body": {}}
    run = start(api, method)
    assert (run.is_pending, run.installation, run.due_at) == (True, "_PORT_EXEC_AGENT", None)


@pytest.mark.parametrize(
    ("method", "field"),
    [
        ({"type": "WEBHOOK"}, "invocationMethod"),
        ({"type": "WEBHOOK", "url": "ftp://x"}, "invocationMethod.url"),
        ({"type": "WEBHOOK", "url": "http://169.254.169.254/"}, "invocationMethod.url"),
        ({"type": "WEBHOOK", "url": "https://x", "method": "BREW"}, "invocationMethod.method"),
        ({"type": "WEBHOOK", "url": "https://x", "body": "{{ . | }}"}, "invocationMethod.body"),
        ({"type": "WEBHOOK", "url": "https://x", "headers": {"a": "{{"}}, "invocationMethod.hea"),
        ({"type": "GITHUB", "org": "a", "repo": "b"}, "invocationMethod"),
        (
            {
                "type": "GITHUB",
                "org": "a",
                "repo": "b",
                "workflow": "c.yml",
                "workflowInputs": {"t": "{{ .secrets.T }}"},
            },
            "invocationMethod.workflowInputs.t",
        ),
        ({"type": "UPSERT_ENTITY", "blueprintIdentifier": "a"}, "invocationMethod"),
        ({"type": "INTEGRATION_ACTION", "installationId": ""}, "invocationMethod"),
    ],
)
def test_methods_that_could_never_work_are_refused(api, method, field):
    refusal = define(api, method)
    assert refusal.status_code == 422, refusal.json()
    assert refusal.json()["details"]["field"].startswith(field), refusal.json()


@pytest.mark.parametrize("url", ["https://<your-host>/hook", "YOUR_URL"])
def test_addresses_of_guides_load_and_fail_their_runs(api, url):
    run = work(start(api, {"type": "WEBHOOK", "url": url, "body": {}}))
    assert run.status == "FAILURE"
    assert "url: " in run.summary


def test_an_address_that_only_the_inputs_make_wrong_fails_the_run(api, vendor):
    run = work(
        start(api, {"type": "WEBHOOK", "url": "http://{{ .inputs.name }}/"}, name="10.0.0.9")
    )
    assert run.status == "FAILURE"
    assert "10.0.0.9" in run.summary


# UPSERT_ENTITY


MAPPING = {
    "identifier": "{{ .inputs.name }}",
    "title": "Service {{ .inputs.name }}",
    "team": [],
    "properties": {"replicas": "{{ .inputs.replicas }}", "by": "{{ .trigger.by.user.email }}"},
    "relations": {"system": "{{ .inputs.system }}"},
}


@pytest.fixture
def kinds():
    make_blueprint("system")
    make_blueprint(
        "service",
        properties={"replicas": {"type": "number"}, "by": {"type": "string"}},
        relations={
            "system": {"target": "system", "many": False, "required": False},
            "asked": {"target": "_user", "many": True, "required": False},
        },
    )
    make_entity("system", "shop")


def upsert(api, mapping=MAPPING, **inputs):
    properties = {
        "name": {"type": "string"},
        "replicas": {"type": "number"},
        "system": {"type": "string"},
    }
    method = {"type": "UPSERT_ENTITY", "blueprintIdentifier": "service", "mapping": mapping}
    return work(start(api, method, properties, **inputs))


def test_an_entity_is_made_and_then_changed(api, kinds):
    run = upsert(api, name="pay", replicas=2, system="shop")
    entity = Entity.objects.get(blueprint__identifier="service")
    assert (run.status, run.summary) == ("SUCCESS", 'Created service "pay"')
    assert run.link == ["http://127.0.0.1:8000/catalog/service/pay"]
    assert (entity.title, entity.properties["replicas"]) == ("Service pay", 2)
    assert entity.relations == {"system": "shop"}
    assert entity.datasource == "idp/action/act"
    assert entity.created_by == run.created_by
    again = api.post("/v1/actions/act/runs", {"properties": {"name": "pay", "replicas": 3}}).json()
    run = work(Run.objects.get(identifier=again["run"]["id"]))
    assert run.summary == 'Changed service "pay"'
    assert Entity.objects.get(pk=entity.pk).properties["replicas"] == 3


def test_people_are_found_by_their_addresses(api, kinds):
    make_entity("_user", "ann", properties={"email": "Ann@example.com"})
    people = ["ann@example.com", "ann"]
    upsert(api, {**MAPPING, "relations": {"asked": people}}, name="pay", system="shop")
    entity = Entity.objects.get(blueprint__identifier="service")
    assert entity.relations == {"asked": ["ann"]}


def test_without_an_identifier_each_run_makes_one(api, kinds):
    run = upsert(api, {"title": "{{ .inputs.name }}"}, name="pay")
    entity = Entity.objects.get(blueprint__identifier="service")
    assert entity.identifier == run.identifier.replace("r_", "e_", 1)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"name": "pay", "system": "nope"}, 'entity "nope" of blueprint "system" was not found'),
        ({"name": "", "system": "shop"}, "mapping.identifier is ; expected text"),
        ({"name": "a b!", "system": "shop"}, "character that is not allowed"),
    ],
)
def test_an_entity_that_cannot_be_says_why(api, kinds, inputs, words):
    run = upsert(api, **inputs)
    assert run.status == "FAILURE"
    assert words in run.summary
    assert not Entity.objects.filter(blueprint__identifier="service").exists()


# INTEGRATION_ACTION, KAFKA, AZURE_DEVOPS


def test_an_integration_fetches_its_runs(api, vendor):
    method = {
        "type": "INTEGRATION_ACTION",
        "installationId": "hub-{{ .inputs.name }}",
        "integrationActionType": "dispatch_workflow",
        "integrationActionExecutionProperties": {"workflow": "{{ .inputs.name }}.yml"},
    }
    run = start(api, method, name="eu")
    assert (run.is_pending, run.installation) == (True, "hub-eu")
    assert run.payload["integrationActionExecutionProperties"] == {"workflow": "eu.yml"}


def test_kafka_loads_and_its_runs_say_what_to_use(api):
    run = work(start(api, {"type": "KAFKA", "payload": {"a": "{{ .inputs.name }}"}}))
    assert run.status == "FAILURE"
    assert "WEBHOOK" in run.summary


@pytest.mark.parametrize("kind", ["AZURE_DEVOPS", "AZURE-DEVOPS"])
def test_azure_is_called_as_it_wants(api, vendor, kind):
    path = "/coll/_apis/public/distributedtask/webhooks/port trigger"
    vendor.json(path, {}, method="POST")
    method = {
        "type": kind,
        "org": f"{vendor.url}/coll/",
        "webhook": "port trigger",
        "payload": {"run": "{{ .run.id }}"},
    }
    run = work(start(api, method))
    [call] = vendor.calls
    assert run.status == "IN_PROGRESS", run.summary
    assert call.query == {"api-version": "6.0-preview"}
    assert call.json() == {"run": run.identifier}
    expected = hmac.new(KEY.encode(), call.body, hashlib.sha1).hexdigest()
    assert call.headers["x-port-signature"] == expected


# GITHUB


REPOSITORY = "/repos/acme/app"
WORKFLOW = f"{REPOSITORY}/actions/workflows/deploy.yml"


@pytest.fixture
def github(vendor):
    """A GitHub server with the workflow deploy.yml; `runs` are those of the workflow."""
    settings = {
        "apiUrl": vendor.url,
        "token": "t1-secret",
        "organizations": ["acme"],
        "webhookSecret": "hook-secret",
    }
    create_source(identifier="hub", kind="github", settings=settings, mapping={}, actor=ACTOR)
    vendor.require("authorization", "Bearer t1-secret")
    vendor.json(REPOSITORY, {"default_branch": "trunk"})
    vendor.json("/user", {"login": "idp-bot"})
    vendor.runs = []
    vendor.route(f"{WORKFLOW}/runs")(lambda _: {"workflow_runs": vendor.runs})
    vendor.route(f"{REPOSITORY}/actions/runs/*")(
        lambda call: next(one for one in vendor.runs if str(one["id"]) == call.path.split("/")[-1])
    )

    @vendor.route(f"{WORKFLOW}/dispatches", method="POST")
    def _(call):
        begun = workflow_run(vendor, 100 + len(vendor.runs))
        if call.json().get("return_run_details"):
            return {"workflow_run_id": begun["id"], "html_url": begun["html_url"]}
        return Answer(204)

    return vendor


def workflow_run(vendor, number, **parts):
    one = {
        "id": number,
        "html_url": f"https://github.com/acme/app/actions/runs/{number}",
        "status": "queued",
        "conclusion": None,
        "created_at": timezone.now().isoformat(),
        "display_title": "Deploy",
        "actor": {"login": "idp-bot"},
        **parts,
    }
    vendor.runs.append(one)
    return one


def dispatches(vendor):
    return [call.json() for call in vendor.calls if call.path.endswith("/dispatches")]


METHOD = {
    "type": "GITHUB",
    "org": "acme",
    "repo": "app",
    "workflow": "deploy.yml",
    "workflowInputs": {
        "{{ spreadValue() }}": "{{ .inputs }}",
        "port_context": {"runId": "{{ .run.id }}"},
        "flag": "{{ true }}",
        "none": None,
    },
}


def test_a_workflow_is_started_and_followed_to_its_end(api, github):
    run = work(start(api, METHOD, name="pay"))
    [sent] = dispatches(github)
    assert sent["ref"] == "trunk"
    assert sent["inputs"] == {
        "name": "pay",
        "port_context": f'{{"runId":"{run.identifier}"}}',
        "flag": "true",
    }
    link = "https://github.com/acme/app/actions/runs/100"
    assert (run.status, run.external_run_id, run.link) == ("IN_PROGRESS", "100", [link])
    assert run.is_watched
    github.runs[0]["status"] = "in_progress"
    assert work(run).status_label == "in progress"
    github.runs[0] |= {"status": "completed", "conclusion": "success"}
    run = work(run)
    assert (run.status, run.status_label, run.is_watched) == ("SUCCESS", "success", False)
    assert run.deliveries.count() == 1
    assert len(dispatches(github)) == 1
    assert "t1-secret" not in str(vars(run.deliveries.get()))


@pytest.mark.parametrize("conclusion", ["failure", "cancelled", "timed_out"])
def test_a_workflow_that_fails(api, github, conclusion):
    run = work(start(api, {**METHOD, "branch": "stable"}))
    assert dispatches(github)[0]["ref"] == "stable"
    github.runs[0] |= {"status": "completed", "conclusion": conclusion}
    run = work(run)
    assert run.status == "FAILURE"
    assert conclusion.replace("_", " ") in run.summary


def test_a_workflow_that_reports_by_itself_is_left_alone(api, github):
    run = work(start(api, {**METHOD, "reportWorkflowStatus": False}))
    github.runs[0] |= {"status": "completed", "conclusion": "failure"}
    asked = len(github.calls)
    assert work(run).status == "IN_PROGRESS"
    assert len(github.calls) == asked


def test_a_server_that_says_no_number_is_searched(api, github):
    @github.route(f"{WORKFLOW}/dispatches", method="POST")
    def _(call):
        if "return_run_details" in call.json():
            return Answer(422, {"message": '"return_run_details" is not a permitted key.'})
        workflow_run(github, 7, actor={"login": "somebody-else"})
        workflow_run(github, 8)
        return Answer(204)

    Run.objects.create(**other_run(external_run_id="9"))
    workflow_run(github, 9)
    run = work(start(api, METHOD, properties={"ref": {"type": "string"}}, ref="dev"))
    assert (run.status, run.external_run_id) == ("IN_PROGRESS", "")
    assert [one["ref"] for one in dispatches(github)] == ["dev", "dev"]
    assert "ref" not in dispatches(github)[1]["inputs"]
    assert work(run).external_run_id == "8"
    listed = next(call for call in github.calls if call.path == f"{WORKFLOW}/runs")
    assert (listed.query["event"], listed.query["branch"]) == ("workflow_dispatch", "dev")


def other_run(**parts):
    now = timezone.now()
    return {
        "created_at": now,
        "created_by": "x",
        "updated_at": now,
        "updated_by": "x",
        "about": {"identifier": "other", "title": None, "icon": None},
        **parts,
    }


@pytest.mark.parametrize("is_named", [True, False])
def test_an_unknown_outcome_starts_nothing_twice(api, github, is_named):
    run = start(api, METHOD)

    @github.route(f"{WORKFLOW}/dispatches", method="POST")
    def _(call):
        if is_named:
            workflow_run(github, 50, display_title="another one")
        workflow_run(github, 51, display_title=f"Deploy {run.identifier if is_named else ''}")
        return Answer(hangs_up=True)

    run = work(run, rounds=2)
    assert (run.status, run.external_run_id) == ("IN_PROGRESS", "51")
    assert [one.state for one in run.deliveries.all()] == ["FAILED", "DELIVERED"]
    assert len(dispatches(github)) == 1
    assert "was started already" in log_of(run)


def test_without_named_inputs_the_workflow_gets_what_it_takes(api, github):
    def answer(call):
        if "port_payload" in call.json()["inputs"]:
            said = 'Unexpected inputs provided: ["port_payload", "other"]'
            return Answer(422, {"message": said})
        return {"workflow_run_id": 1, "html_url": None}

    github.route(f"{WORKFLOW}/dispatches", method="POST")(answer)
    method = {key: value for key, value in METHOD.items() if key != "workflowInputs"}
    run = work(start(api, method, name="pay"))
    first, second = dispatches(github)
    assert json.loads(first["inputs"]["port_payload"])["context"]["runId"] == run.identifier
    assert second["inputs"] == {"name": "pay"}
    assert run.external_run_id == "1"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(422, {"message": 'Unexpected inputs provided: ["flag"]'}), "Unexpected inputs"),
        (refused(403, "Resource not accessible by integration"), "permission to write actions"),
        (Answer(404, {"message": "Not Found"}), "answered 404"),
    ],
)
def test_a_workflow_that_cannot_be_started_says_why(api, github, answer, words):
    github.route(f"{WORKFLOW}/dispatches", method="POST")(lambda _: answer)
    run = work(start(api, METHOD))
    assert run.status == "FAILURE"
    assert words in run.summary
    assert run.deliveries.get().status_code == answer.status


def test_without_a_source_nothing_is_started(api, github):
    run = work(start(api, {**METHOD, "org": "elsewhere"}))
    assert run.status == "FAILURE"
    assert "No enabled GitHub source has credentials for elsewhere/app" in run.summary


def test_a_live_event_has_the_run_looked_at_at_once(
    api, github, django_capture_on_commit_callbacks
):
    run = work(start(api, METHOD))
    assert run.due_at > timezone.now() + timedelta(seconds=20)
    github.runs[0] |= {"status": "completed", "conclusion": "success"}
    body = json.dumps(
        {
            "action": "completed",
            "workflow_run": {"id": 100, "repository": {}},
            "repository": {"full_name": "acme/app", "name": "app", "owner": {"login": "acme"}},
        }
    ).encode()
    proof = hmac.new(b"hook-secret", body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json",
        "x-github-event": "workflow_run",
        "x-github-delivery": "d-1",
        "x-hub-signature-256": f"sha256={proof}",
    }
    source = Integration.objects.get(identifier="hub")
    live.receive(source, headers, {}, body)
    live.process_waiting(source.pk)
    run.refresh_from_db()
    assert run.due_at <= timezone.now()
    dispatching.dispatch(run.pk)
    run.refresh_from_db()
    assert run.status == "SUCCESS"


# GITLAB


PROJECT = "/api/v4/projects/acme%2Fplatform%2Fapp"
PIPELINE = {
    "type": "GITLAB",
    "groupName": "acme/platform",
    "projectName": "app",
    "pipelineVariables": {"NAME": "{{ .inputs.name }}", "N": "{{ 3 }}", "NONE": None},
}


@pytest.fixture
def gitlab(vendor):
    settings = {"url": vendor.url, "token": "t2-secret", "groups": ["acme"]}
    create_source(identifier="lab", kind="gitlab", settings=settings, mapping={}, actor=ACTOR)
    vendor.require("authorization", "Bearer t2-secret")
    vendor.json(PROJECT, {"id": 5, "default_branch": "main"})
    vendor.pipeline = {"id": 31, "web_url": "https://gitlab.com/p/31", "status": "created"}
    vendor.route(f"{PROJECT}/pipeline", method="POST")(lambda _: Answer(201, vendor.pipeline))
    vendor.route(f"{PROJECT}/pipelines/31")(lambda _: vendor.pipeline)
    return vendor


def test_a_pipeline_is_started_and_followed_to_its_end(api, gitlab):
    run = work(start(api, PIPELINE, name="pay"))
    sent = next(call for call in gitlab.calls if call.method == "POST").json()
    assert sent == {
        "ref": "main",
        "variables": [
            {"key": "NAME", "value": "pay"},
            {"key": "N", "value": "3"},
            {"key": "IDP_RUN_ID", "value": run.identifier},
        ],
    }
    assert (run.external_run_id, run.link) == ("31", ["https://gitlab.com/p/31"])
    gitlab.pipeline["status"] = "running"
    assert work(run).status_label == "running"
    gitlab.pipeline["status"] = "failed"
    run = work(run)
    assert (run.status, run.summary) == ("FAILURE", "The pipeline ended with: failed")


def test_the_inputs_are_the_variables_where_none_are_named(api, gitlab):
    method = {key: value for key, value in PIPELINE.items() if key != "pipelineVariables"}
    properties = {"ref": {"type": "string"}, "n": {"type": "number"}}
    run = work(start(api, {**method, "defaultRef": "stable"}, properties, ref="dev", n=2))
    sent = next(call for call in gitlab.calls if call.method == "POST").json()
    assert sent["ref"] == "dev"
    assert {one["key"]: one["value"] for one in sent["variables"]} == {
        "ref": "dev",
        "n": "2",
        "IDP_RUN_ID": run.identifier,
    }
    gitlab.pipeline["status"] = "success"
    assert work(run).status == "SUCCESS"


@pytest.mark.parametrize("may_see_variables", [True, False])
def test_a_pipeline_is_found_again(api, gitlab, may_see_variables):
    listed = [{"id": 30, "web_url": "https://gitlab.com/p/30"}, {**gitlab.pipeline}]
    gitlab.trouble(f"{PROJECT}/pipeline", hang_up())
    gitlab.json(f"{PROJECT}/pipelines", listed if may_see_variables else listed[1:])
    gitlab.json(f"{PROJECT}/pipelines/30/variables", [{"key": "A", "value": "b"}])
    run = start(api, PIPELINE)
    known = [{"key": "IDP_RUN_ID", "value": run.identifier}]
    gitlab.route(f"{PROJECT}/pipelines/31/variables")(
        lambda _: Answer(200, known) if may_see_variables else refused(403, "no")
    )
    run = work(run, rounds=2)
    assert run.external_run_id == "31"
    assert [call.method for call in gitlab.calls].count("POST") == 1


def test_a_token_that_may_not_start_pipelines(api, gitlab):
    gitlab.route(f"{PROJECT}/pipeline", method="POST")(lambda _: refused(403, "insufficient_scope"))
    run = work(start(api, PIPELINE))
    assert run.status == "FAILURE"
    assert "a token with the scope api" in run.summary


# All of them


def test_methods_of_real_actions_are_taken(test_data):
    path = test_data / "port" / "ocean" / "gitlab" / "actions.json"
    methods = [action["invocationMethod"] for action in json.loads(path.read_text())]
    for method in methods:
        backends[method["type"]].check(method)
    assert len(methods) == 4


def test_every_type_tells_forms_what_it_takes():
    for kind, backend in backends.items():
        assert all([backend.title, backend.description, backend.icon]), kind
        properties = backend.schema["properties"]
        assert set(backend.schema["required"]) <= properties.keys()
        assert {name for name, one in properties.items() if not one.get("title")} <= {"type"}, kind
