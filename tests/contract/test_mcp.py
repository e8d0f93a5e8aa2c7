"""Port's MCP server, unmodified, with an assistant's client at its other end.

Its library has Port's own addresses built in: `mcp_site/sitecustomize.py` puts ours in their place
before it starts, and nothing else is changed.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from actions.models import Action, Run
from catalog.models import Blueprint, Entity
from scorecards.models import Scorecard
from tests.contract.conftest import ROOT
from tests.factories import make_api, make_blueprint, make_client, make_entity

HERE = Path(__file__).parent
PYTHON = ROOT / ".venv-mcp" / "bin" / "python"


@pytest.fixture
def python() -> Path:
    if not (PYTHON.parent / "mcp-server-port").is_file():
        pytest.skip("mcp-server-port is not installed (make clients)")
    return PYTHON


def session(
    python: Path, server: str, steps: list[tuple[str, dict[str, Any]]], *, role: str = "Admin"
) -> tuple[list[str], list[Any]]:
    """The tools there are, and what each step answered; an error is its text."""
    client, secret = make_client(role=role)
    done = subprocess.run(
        [str(python), str(HERE / "mcp_session.py")],
        input=json.dumps(steps),
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(HERE / "mcp_site"),
            "IDP_CONTRACT_URL": server,
            "PORT_CLIENT_ID": client.client_id,
            "PORT_CLIENT_SECRET": secret,
            "PORT_API_VALIDATION_ENABLED": "true",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    told = json.loads(done.stdout.splitlines()[-1])
    results: list[Any] = []
    for (tool, _), one in zip(steps, told["results"], strict=True):
        try:
            results.append(one["text"] if one["error"] else json.loads(one["text"]))
        except ValueError:
            pytest.fail(f"{tool}: {one['text']}")
    return told["tools"], results


def text(title: str) -> dict[str, str]:
    return {"type": "string", "title": title}


ACTION: dict[str, Any] = {
    "identifier": "scaffoldService",
    "title": "Scaffold",
    "trigger": {
        "type": "self-service",
        "operation": "CREATE",
        "userInputs": {"properties": {"name": text("Name")}, "required": ["name"], "order": []},
    },
    "invocationMethod": {"type": "WEBHOOK", "url": "https://ci.example.com"},
}
CARD: dict[str, Any] = {
    "identifier": "ready",
    "title": "Ready",
    "description": "All that counts",
    "levels": [{"title": "Start", "color": "paleBlue"}, {"title": "Gold", "color": "gold"}],
    "rules": [
        {
            "identifier": "named",
            "title": "Named",
            "description": "It has a title",
            "level": "Gold",
            "query": {
                "combinator": "and",
                "conditions": [
                    {
                        "condition_name": "propertyComparison",  # told to the server, not to us
                        "property": "tier",
                        "operator": "=",
                        "value": "2",
                    }
                ],
            },
        }
    ],
}


def test_an_assistant_builds_a_catalogue(python: Path, server: str) -> None:
    domain = {
        "identifier": "domain",
        "title": "Domain",
        "schema": {"properties": {}, "required": []},
    }
    service = {
        "identifier": "service",
        "title": "Service",
        "schema": {"properties": {"tier": text("Tier")}, "required": []},
        "relations": {
            "domain": {"title": "Domain", "target": "domain", "many": False, "required": False}
        },
    }
    one = {"blueprint_identifier": "service", "entity_identifier": "pay"}
    entity = {"identifier": "pay", "title": "Payments", "properties": {"tier": "1"}}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("create_blueprint", domain),
        ("create_blueprint", service),
        ("get_blueprints", {"detailed": False}),
        ("get_blueprint", {"blueprint_identifier": "service", "detailed": True}),
        ("update_blueprint", {**service, "title": "Services"}),
        (
            "create_entity",
            {
                "blueprint_identifier": "service",
                "query": {"upsert": True, "merge": True, "create_missing_related_entities": True},
                "entity": {**entity, "relations": {"domain": "shop"}},
            },
        ),
        ("get_entities", {"blueprint_identifier": "service"}),
        ("get_entity", one),
        ("update_entity", {**one, "entity": {**entity, "properties": {"tier": "2"}}}),
        ("create_scorecard", {"blueprint_identifier": "service", **CARD}),
        ("get_scorecards", {"blueprint_identifier": "service"}),
        ("get_scorecard", {"blueprint_identifier": "service", "scorecard_identifier": "ready"}),
        (
            "update_scorecard",
            {
                "blueprint_identifier": "service",
                "scorecard_identifier": "ready",
                **CARD,
                "title": "Really",
            },
        ),
        ("create_action", ACTION),
        ("get_action", {"action_identifier": "scaffoldService"}),
        ("list_actions", {}),
        ("get_action_permissions", {"action_identifier": "scaffoldService"}),
        ("delete_scorecard", {"blueprint_identifier": "service", "scorecard_identifier": "ready"}),
        ("delete_entity", {**one, "delete_dependents": False}),
        ("delete_action", {"action_identifier": "scaffoldService"}),
        ("delete_blueprint", {"blueprint_identifier": "service"}),
    ]
    tools, results = session(python, server, steps)
    failed = [(s[0], r) for s, r in zip(steps, results, strict=True) if isinstance(r, str)]
    assert failed == []
    by_tool = dict(zip([tool for tool, _ in steps], results, strict=True))
    assert "create_entity" in tools
    assert by_tool["get_entity"]["properties"] == {"tier": "1"}
    assert by_tool["update_entity"]["properties"] == {"tier": "2"}
    assert by_tool["update_scorecard"]["title"] == "Really"
    assert not Blueprint.objects.filter(identifier="service").exists()
    assert list(Entity.objects.values_list("identifier", flat=True)) == ["shop"]
    assert not Scorecard.objects.exists()
    assert not Action.objects.exists()


def test_an_assistant_runs_an_action(python: Path, server: str) -> None:
    admin = make_api()
    assert admin.post("/v1/actions", ACTION).status_code == 201
    admin.post("/v1/actions", {**ACTION, "identifier": "closed"})
    admin.patch("/v1/actions/closed/permissions", {"execute": {"roles": ["Admin"]}})
    tools, [run, again, refused] = session(
        python,
        server,
        [
            ("run_scaffold_service", {"properties": {"name": "pay"}}),
            ("run_scaffold_service", {"properties": {"name": "cart"}}),
            ("run_scaffold_service", {"properties": {}}),
        ],
        role="Member",
    )
    assert "run_scaffold_service" in tools
    assert "run_closed" not in tools
    assert run["action_run"]["status"] == again["action_run"]["status"] == "IN_PROGRESS"
    assert isinstance(refused, str)
    assert "422" in refused
    assert [one.properties for one in Run.objects.order_by("pk")] == [
        {"name": "pay"},
        {"name": "cart"},
    ]


@pytest.mark.django_db
def test_its_calls_as_recorded() -> None:
    """Those that other tests do not make: what it reads before its tools are there, and a search
    that names its blueprint once more."""
    make_blueprint("service")
    make_entity("service", "pay", title="Payments")
    api = make_api(agent="port-mcp-server/0.2.21")
    api.post("/v1/actions", ACTION)
    listed = api.get("/v1/actions?trigger_type=self-service").json()
    assert [one["identifier"] for one in listed["actions"]] == ["scaffoldService"]
    allowed = api.get("/v1/auth/permissions?action_version=v2").json()
    assert allowed == {"ok": True, "permissions": ["execute:actions:scaffoldService"]}
    rule = {"property": "$blueprint", "operator": "=", "value": "service"}
    found = api.post(
        "/v1/blueprints/service/entities/search",
        {
            "query": {"combinator": "and", "rules": [rule]},
            "include": ["$identifier", "$title"],
            "limit": 200,
        },
    ).json()
    assert found["entities"] == [{"identifier": "pay", "title": "Payments", "blueprint": "service"}]
