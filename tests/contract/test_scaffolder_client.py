"""Backstage's ScaffolderClient, unmodified, under Node: every method against a running server."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from actions import dispatching
from actions.models import Run
from catalog.ingest.locations.refresh import refresh
from catalog.ingest.locations.registering import register
from tests.contract.test_backstage_client import Node, client_process
from tests.factories import ACTOR

CLIENT = "@backstage/plugin-scaffolder-common"
HELPERS = {  # what asks the frontend, or is called by other methods
    "constructor",
    "getIntegrationsList",
    "streamLogsEventStream",
    "streamLogsPolling",
    "requestRequired",
}
REF = "template:default/hello"
TEMPLATE = {
    "apiVersion": "scaffolder.backstage.io/v1beta3",
    "kind": "Template",
    "metadata": {"name": "hello", "title": "Hello"},
    "spec": {
        "type": "service",
        "parameters": {"title": "Basics", "properties": {"name": {"type": "string"}}},
        "steps": [
            {"id": "say", "action": "debug:log", "input": {"message": "hi ${{ parameters.name }}"}}
        ],
        "output": {"text": [{"title": "Said", "content": "hi ${{ parameters.name }}"}]},
    },
}


@pytest.fixture
def node(server: str, tmp_path: Path, settings: Any) -> Iterator[Node]:
    settings.IDP_FILES = [tmp_path]
    (tmp_path / "template.yaml").write_text(json.dumps(TEMPLATE))
    refresh(register("file", f"{tmp_path}/template.yaml", actor=ACTOR, on_conflict="refresh"))
    yield from client_process(server)


def work(task: str) -> None:
    """What a worker does, beside the client that watches."""
    try:
        dispatching.dispatch(Run.objects.get(identifier=task).pk)
    finally:
        connection.close()


def test_every_method(node: Node) -> None:
    def value(method: str, *args: Any, **more: Any) -> Any:
        return node.value(method, *args, client=CLIENT, **more)

    assert value("getTemplateParameterSchema", REF)["steps"][0]["title"] == "Basics"
    task = value("scaffold", {"templateRef": REF, "values": {"name": "pay"}, "secrets": {}})
    task_id = task["taskId"]
    assert value("getTask", task_id)["status"] == "open"
    worker = threading.Thread(target=work, args=[task_id])
    worker.start()
    events = value("streamLogs", {"taskId": task_id, "isTaskRecoverable": False})
    worker.join()
    assert [one["type"] for one in events][-1] == "completion"
    assert events[-1]["body"]["output"]["text"][0]["content"] == "hi pay"
    polled = value("streamLogs", {"taskId": task_id}, polling=True)
    assert polled == events
    assert value("getTask", task_id)["status"] == "completed"
    assert value("listTasks", {"filterByOwnership": "all"})["totalTasks"] == 1
    assert value("listTasks", {"filterByOwnership": "owned"})["tasks"] == []
    again = value("retry", task_id)["id"]
    assert value("cancelTask", again) == {"status": "cancelled"}
    content = base64.b64encode(b"x").decode()
    tried = value(
        "dryRun",
        {
            "template": TEMPLATE,
            "values": {"name": "pay"},
            "directoryContents": [{"path": "a.txt", "base64Content": content}],
        },
    )
    assert tried["output"]["text"][0]["content"] == "hi pay"
    assert "debug:log" in {one["id"] for one in value("listActions")}
    assert "pick" in value("listTemplatingExtensions")["filters"]
    asked = {"provider": "github", "resource": "repositories", "token": "t", "context": {}}
    refused = node.ask(CLIENT, "autocomplete", asked)["error"]
    assert (refused["name"], refused["status"]) == ("ResponseError", 400)
    gone = node.ask(CLIENT, "getTask", "none")["error"]
    assert (gone["name"], gone["status"]) == ("ResponseError", 404)
    assert set(node.value("methods", client=CLIENT)) - HELPERS == node.called - {"methods"}
