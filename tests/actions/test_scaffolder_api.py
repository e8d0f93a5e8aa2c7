"""Backstage's scaffolder API, in the order in which its clients call it."""

from __future__ import annotations

import base64
import json

import pytest

from actions import dispatching
from actions.api.scaffolder import tasks
from actions.models import Notification, Run
from catalog.api.slots import EACH, slot
from catalog.ingest.locations.refresh import refresh
from catalog.ingest.locations.registering import register
from catalog.kernel.actors import Role
from catalog.models import Change, Location
from catalog.services.catalog_settings import update
from idp.models import ApiClient
from tests.factories import ACTOR, make_api, make_entity

pytestmark = pytest.mark.django_db

COMPONENT = """
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: { name: pay }
spec: { type: service, lifecycle: production, owner: team-a }
"""
TEMPLATE = {
    "apiVersion": "scaffolder.backstage.io/v1beta3",
    "kind": "Template",
    "metadata": {"name": "hello", "title": "Hello", "description": "Says hello"},
    "spec": {
        "type": "service",
        "parameters": [
            {
                "title": "Basics",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "pattern": "^[a-z]+$"},
                    "size": {"type": "number", "default": 2},
                },
            }
        ],
        "steps": [
            {
                "id": "say",
                "name": "Say",
                "action": "debug:log",
                "input": {"message": "hi ${{ parameters.name }} ${{ secrets.TOKEN }}"},
            },
            {"id": "never", "if": "${{ false }}", "action": "debug:log"},
        ],
        "output": {"links": [{"title": "Site", "url": "https://x.example/${{ parameters.name }}"}]},
    },
}


@pytest.fixture
def api(tmp_path, settings):
    settings.IDP_FILES = [tmp_path]
    (tmp_path / "template.yaml").write_text(json.dumps(TEMPLATE))
    refresh(register("file", f"{tmp_path}/template.yaml", actor=ACTOR, on_conflict="refresh"))
    return make_api(role=Role.MEMBER)


def start(api, **values):
    body = {
        "templateRef": "template:default/hello",
        "values": {"name": "pay", **values},
        "secrets": {"TOKEN": "hidden-token-1"},
    }
    return api.post("/api/scaffolder/v2/tasks", body)


def test_a_template_from_form_to_events(api):
    asked = api.get("/api/scaffolder/v2/templates/default/template/hello/parameter-schema").json()
    assert asked["title"] == "Hello"
    assert asked["steps"][0]["schema"]["required"] == ["name"]
    task = start(api).json()["id"]
    url = f"/api/scaffolder/v2/tasks/{task}"
    assert api.get(url).json()["status"] == "open"
    dispatching.dispatch(Run.objects.get().pk)
    shown = api.get(url).json()
    assert shown["status"] == "completed"
    assert shown["spec"]["parameters"] == {"name": "pay", "size": 2}
    assert [one["status"] for one in shown["spec"]["steps"]] == ["completed", "skipped"]
    stream = b"".join(api.get(f"{url}/eventstream").streaming_content).decode()
    frames = [frame.split("\n") for frame in stream.split("\n\n") if "data:" in frame]
    said = [json.loads(frame[1].removeprefix("data: ")) for frame in frames]
    assert [frame[0] for frame in frames] == ["event: log"] * (len(frames) - 1) + [
        "event: completion"
    ]
    words = [one["body"]["message"] for one in said]
    assert words[0] == "Starting up task with 2 steps"
    assert "Beginning step Say" in words
    assert "***" in words, "a line with a secret in it is not shown"
    assert "hidden-token-1" not in stream
    assert said[-1]["body"]["output"]["links"][0]["url"] == "https://x.example/pay"
    last = said[-2]["id"]
    again = api.get(f"{url}/events?after={last}").json()
    assert [one["type"] for one in again] == ["completion"]
    listed = api.get("/api/scaffolder/v2/tasks?status=completed&status=failed&limit=5").json()
    assert (listed["totalTasks"], listed["tasks"][0]["id"]) == (1, task)
    by_me = f"/api/scaffolder/v2/tasks?createdBy={shown['createdBy']}"
    assert api.get(by_me).json()["totalTasks"] == 1
    assert api.get("/api/scaffolder/v2/tasks?createdBy=user:default/else").json()["tasks"] == []
    retried = api.post(f"{url}/retry", {"secrets": {"TOKEN": "hidden-token-1"}})
    assert retried.status_code == 201
    stopped = api.post(f"/api/scaffolder/v2/tasks/{retried.json()['id']}/cancel")
    assert stopped.json() == {"status": "cancelled"}


def test_values_that_do_not_fit(api):
    answer = start(api, name="Nope!", size="big")
    assert answer.status_code == 400
    errors = answer.json()["errors"]
    assert {tuple(one["path"]) for one in errors} == {("name",), ("size",)}
    assert Run.objects.count() == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "templates/default/template/none/parameter-schema", 404),
        ("get", "tasks/r_none", 404),
        ("post", "tasks/r_none/cancel", 404),
        ("post", "autocomplete/github/repositories", 400),
        ("get", "tasks?status=gone", 400),
        ("get", "tasks?order=up", 400),
    ],
)
def test_refusals(api, method, path, status):
    body = ({},) if method == "post" else ()
    answer = getattr(api, method)(f"/api/scaffolder/v2/{path}", *body)
    assert (answer.status_code, answer.json()["response"]["statusCode"]) == (status, status)


def test_a_list_of_tasks_costs_the_same_whoever_started_them(api, django_assert_num_queries):
    make_entity("_user", "ann", properties={"email": "Ann@example.com"})
    make_entity("_user", "bob@example.com", properties={})
    for starter in ("ann@example.com", "Bob@example.com", "cid@example.com"):
        task = start(api).json()["id"]
        Run.objects.filter(identifier=task).update(created_by=starter)
    url = "/api/scaffolder/v2/tasks?order=asc:created_at"
    with django_assert_num_queries(5):  # caller, closed actions, runs, people, count
        found = api.get(url).json()["tasks"]
    known, by_name, unknown = (one["createdBy"] for one in found)
    assert known == "user:default/ann"
    assert by_name.startswith("user:default/bob-example.com-")
    assert unknown.startswith("user:default/cid-example.com-")


def test_no_tasks_of_templates_one_may_not_run(api):
    viewer = make_api(role=Role.VIEWER)
    path = "/api/scaffolder/v2/templates/default/template/hello/parameter-schema"
    assert viewer.get(path).status_code == 404
    assert start(viewer).status_code == 404


def test_dry_run(api):
    template = {
        **TEMPLATE,
        "spec": {
            **TEMPLATE["spec"],
            "steps": [
                {
                    "id": "fetch",
                    "action": "fetch:template",
                    "input": {"url": "./skeleton", "values": {"name": "${{ parameters.name }}"}},
                }
            ],
        },
    }
    content = base64.b64encode(b"Hello ${{ values.name }}!").decode()
    answer = api.post(
        "/api/scaffolder/v2/dry-run",
        {
            "template": template,
            "values": {"name": "pay"},
            "secrets": {},
            "directoryContents": [
                {"path": "skeleton/${{ values.name }}.txt", "base64Content": content}
            ],
        },
    )
    assert answer.status_code == 200, answer.json()
    [file] = answer.json()["directoryContents"]
    assert file["path"] == "pay.txt"
    assert base64.b64decode(file["base64Content"]) == b"Hello pay!"
    held = [slot("dry-run", ApiClient.objects.last(), lasts_s=9) for _ in range(EACH)]
    with held[0], held[1]:
        busy = {"template": template, "values": {}, "directoryContents": []}
        assert api.post("/api/scaffolder/v2/dry-run", busy).status_code == 429
    bad = [{"path": "a", "base64Content": "?"}]
    body = {"template": template, "values": {}, "directoryContents": bad}
    assert api.post("/api/scaffolder/v2/dry-run", body).status_code == 400


def test_a_template_tells_people_and_registers_under_its_run(api, tmp_path, vendor):
    make_entity("_user", "ann", properties={"email": "ann@example.com"})
    vendor.text("/catalog-info.yaml", COMPONENT)
    update(actor=ACTOR, reading_allow=[{"host": vendor.url.removeprefix("http://")}])
    tell = {"recipients": "entity", "entityRefs": ["user:default/ann"], "title": "Hi"}
    steps = [
        {"id": "tell", "action": "notification:send", "input": tell},
        {
            "id": "register",
            "action": "catalog:register",
            "input": {"catalogInfoUrl": f"{vendor.url}/catalog-info.yaml"},
        },
    ]
    document = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "steps": steps}}
    (tmp_path / "template.yaml").write_text(json.dumps(document))
    refresh(Location.objects.get())
    task = start(api).json()["id"]
    dispatching.dispatch(Run.objects.get().pk)
    run = Run.objects.get()
    assert (run.status, run.summary) == ("SUCCESS", None)
    assert Notification.objects.get().recipient == "ann@example.com"
    [made] = Change.objects.filter(run=task, model="entity", blueprint="component")
    assert (made.identifier, made.action) == ("pay", "create")
    assert not Location.objects.get(type="url").is_trusted, "whoever can push there is no admin"


def test_what_there_is_for_templates(api):
    actions = {one["id"]: one for one in api.get("/api/scaffolder/v2/actions").json()}
    assert {"fetch:template", "publish:github", "catalog:register", "debug:log"} <= set(actions)
    assert actions["fetch:template"]["schema"]["input"]["required"] == ["url"]
    known = api.get("/api/scaffolder/v2/templating-extensions").json()
    assert "parseRepoUrl" in known["filters"]


def test_a_long_poll_ends_when_nothing_comes(api, monkeypatch):
    monkeypatch.setattr(tasks, "POLL_S", 0.0)
    task = start(api).json()["id"]
    assert api.get(f"/api/scaffolder/v2/tasks/{task}/events?after=99999999").json() == []
