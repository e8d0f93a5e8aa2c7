"""Port's GitHub Action, unmodified, as a runner of GitHub starts it: inputs are in the environment.

IDP_TEST_GITHUB_ACTION names a checkout of the action (with dist/index.js). Without it, or without
Node, its calls are replayed as they were recorded.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from actions.models import Run
from catalog.models import Change, Entity
from tests.factories import make_api, make_blueprint, make_client, make_entity

SERVICE = {
    "properties": {
        "description": {"type": "string"},
        "repository": {"type": "string"},
        "stars": {"type": "number"},
    },
    "relations": {"domain": {"target": "domain", "many": False, "required": False}},
}


@pytest.fixture
def action() -> Path:
    node, folder = shutil.which("node"), os.environ.get("IDP_TEST_GITHUB_ACTION")
    if not node or not folder:
        pytest.skip("no Node, or no GitHub Action (set IDP_TEST_GITHUB_ACTION)")
    return Path(folder) / "dist" / "index.js"


class Step:
    """A step of a workflow: the action with some inputs."""

    def __init__(self, action: Path, server: str) -> None:
        client, secret = make_client(role="Admin")
        self.action = action
        self.given = {"baseUrl": server, "clientId": client.client_id, "clientSecret": secret}

    def run(self, **inputs: str) -> tuple[int, dict[str, Any], str]:
        """Its exit code, its outputs, and all it said."""
        with_ = {"properties": "{}", "delete_dependents": "false", **self.given, **inputs}
        done = subprocess.run(
            ["node", str(self.action)],
            env={
                "PATH": os.environ["PATH"],
                **{f"INPUT_{name.upper()}": value for name, value in with_.items()},
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        outputs = dict(re.findall(r"^::set-output name=(\w+)::(.*)$", done.stdout, re.MULTILINE))
        return done.returncode, outputs, done.stdout + done.stderr


@pytest.fixture
def step(action: Path, server: str) -> Step:
    make_blueprint("domain")
    make_blueprint("service", **SERVICE)
    return Step(action, server)


def test_entities(step: Step) -> None:
    service = {"blueprint": "service", "identifier": "acme/pay"}
    relations = json.dumps({"domain": "shop"})
    code, outputs, said = step.run(
        operation="UPSERT",
        **service,
        title="Payments",
        properties=json.dumps({"stars": 3}),
        relations=relations,
        createMissingRelatedEntities="true",
    )
    assert (code, outputs["identifier"]) == (0, "acme/pay"), said
    assert step.run(operation="UPSERT", **service, properties='{"repository": "r"}')[0] == 0
    stored = Entity.objects.get(identifier="acme/pay")
    assert stored.properties == {"stars": 3, "repository": "r"}
    assert stored.relations == {"domain": "shop"}
    assert stored.datasource.startswith("github-action/")

    code, outputs, said = step.run(operation="UPSERT", blueprint="service", title="Nameless")
    assert code == 0, said
    assert Entity.objects.get(identifier=outputs["identifier"]).title == "Nameless"
    code, _, said = step.run(
        operation="UPSERT", **service, relations=json.dumps({"domain": "unheard"})
    )
    assert code == 1
    assert "(404)" in said

    many = [{"blueprint": "service", "identifier": f"s{n}", "properties": {}} for n in range(3)]
    code, outputs, said = step.run(operation="BULK_UPSERT", entities=json.dumps(many))
    assert (code, json.loads(outputs["identifiers"])) == (0, ["s0", "s1", "s2"]), said

    code, outputs, said = step.run(operation="GET", **service, include="properties.stars,title")
    assert code == 0, said
    assert json.loads(outputs["entity"]) == {
        "identifier": "acme/pay",
        "blueprint": "service",
        "title": "Payments",
        "properties": {"stars": 3},
    }
    rule = {"property": "stars", "operator": ">", "value": 2}
    query = json.dumps({"combinator": "and", "rules": [rule]})
    code, outputs, said = step.run(operation="SEARCH", query=query, include="identifier")
    assert code == 0, said
    assert [one["identifier"] for one in json.loads(outputs["entities"])] == ["acme/pay"]

    assert step.run(operation="DELETE", blueprint="service", identifier="s0")[0] == 0
    assert not Entity.objects.filter(identifier="s0").exists()
    assert step.run(operation="DELETE", blueprint="service", identifier="s0")[0] == 1
    assert step.run(operation="GET", **{**service, "identifier": "no"})[0] == 1


def test_runs(step: Step) -> None:
    make_api().post(
        "/v1/actions",
        {
            "identifier": "build",
            "title": "Build",
            "trigger": {
                "type": "self-service",
                "operation": "CREATE",
                "userInputs": {"properties": {"ref": {"type": "string"}}, "required": ["ref"]},
            },
            "invocationMethod": {"type": "WEBHOOK", "url": "https://ci.example.com"},
        },
    )
    code, outputs, said = step.run(
        operation="CREATE_RUN", action="build", properties='{"ref": "main"}'
    )
    assert code == 0, said
    run = outputs["runId"]
    assert Run.objects.get(identifier=run).properties == {"ref": "main"}
    assert step.run(operation="CREATE_RUN", action="build")[0] == 1

    code, outputs, said = step.run(operation="PATCH_RUN", runId=run, logMessage="Half way")
    assert (code, outputs) == (0, {"runId": run, "logMessage": "Half way"}), said
    code, outputs, said = step.run(
        operation="PATCH_RUN",
        runId=run,
        status="SUCCESS",
        logMessage="Done",
        link='["https://ci/1"]',
        summary="Built",
        externalRunId="77",
    )
    assert (code, outputs["runId"]) == (0, run), said
    stored = Run.objects.get(identifier=run)
    assert (stored.status, stored.link, stored.summary, stored.external_run_id) == (
        "SUCCESS",
        ["https://ci/1"],
        "Built",
        "77",
    )
    assert [one.message for one in stored.logs.all()][-2:] == ["Half way", "Done"]
    for operation in ("UPSERT", "DELETE"):
        code, _, said = step.run(
            operation=operation, blueprint="service", identifier="pay", runId=run
        )
        assert code == 0, said
    linked = Change.objects.filter(run=run, model="entity").order_by("id")
    assert list(linked.values_list("action", flat=True)) == ["create", "delete"]


def workflow(test_data: Path) -> dict[str, str]:
    """What the workflow of the seed gives the action, as GitHub fills it in."""
    document = yaml.safe_load((test_data.parent / "seed" / "port.workflow.yml").read_text())
    [step] = document["jobs"]["sync"]["steps"]
    facts = {"repository": "acme/shop", "repository_owner": "acme"}
    return {
        name: re.sub(r"\$\{\{ github\.(\w+) \}\}", lambda m: facts.get(m[1], ""), value)
        for name, value in step["with"].items()
    }


def test_the_workflow_of_the_seed(step: Step, test_data: Path) -> None:
    """It names the blueprint `blueprintId`, which no version of the action reads; as `blueprint`
    the rest works as it is written."""
    inputs = workflow(test_data)
    assert list(inputs) == ["identifier", "title", "blueprintId", "properties"]
    code, _, said = step.run(operation="UPSERT", **inputs)
    assert code == 1
    assert "blueprint is missing from input" in said
    inputs["blueprint"] = inputs.pop("blueprintId")
    code, outputs, said = step.run(operation="UPSERT", **inputs)
    assert (code, outputs["identifier"]) == (0, "acme/shop"), said
    stored = Entity.objects.get(identifier="acme/shop")
    assert stored.properties == {"description": "", "repository": "acme/shop", "team": "acme"}


@pytest.mark.django_db
def test_its_calls_as_recorded(test_data: Path) -> None:
    make_blueprint("service", properties=SERVICE["properties"])
    api = make_api(agent="github-action/v1.0")
    inputs = workflow(test_data)
    body = {
        "identifier": inputs["identifier"],
        "title": inputs["title"],
        "blueprint": "service",
        "properties": json.loads(inputs["properties"]),
        "relations": {},
    }
    made = api.post("/v1/blueprints/service/entities?upsert=true&merge=true", body)
    assert (made.status_code, made.json()["entity"]["identifier"]) == (201, "acme/shop")
    del body["identifier"]
    nameless = api.post("/v1/blueprints/service/entities?upsert=true&merge=true", body)
    assert nameless.json()["entity"]["identifier"].startswith("e_")
    url = "/v1/blueprints/service/entities/acme%2Fshop"
    shown = api.get(f"{url}?include=title&include=properties.team").json()["entity"]
    assert (shown["title"], shown["properties"]) == ("acme/shop", {"team": "acme"})
    make_entity("service", "other")
    rule = {"property": "$title", "operator": "=", "value": "acme/shop"}
    found = api.post(
        "/v1/entities/search?include=identifier", {"combinator": "and", "rules": [rule]}
    )
    assert len(found.json()["entities"]) == 2
    assert api.delete(f"{url}?delete_dependents=false").json()["ok"] is True
