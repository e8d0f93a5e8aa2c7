"""@backstage/catalog-client, unmodified, under Node: every method against a running server, and an
older version, which knows GET alone. The packages come from `make clients`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.models import Entity
from catalog.services import catalog_settings
from tests.factories import ACTOR, make_api
from tests.vendors import Vendor

FOLDER = Path(__file__).resolve().parent / "backstage_client"
NEW, OLD = "@backstage/catalog-client", "catalog-client-1.9"
HELPERS = {  # what its methods call among themselves
    "constructor",
    "getFilterValue",
    "queryEntitiesByPredicate",
    "getEntityFacetsByPredicate",
    "requestIgnored",
    "requestOptional",
    "requestRequired",
}
FILE = """
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: { name: %s, tags: [java] }
spec: { type: service, lifecycle: production, owner: team-a, system: shop }
---
apiVersion: backstage.io/v1alpha1
kind: System
metadata: { name: shop }
spec: { owner: team-a }
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: { name: orders-v1 }
spec: { type: openapi, lifecycle: production, owner: team-a, definition: "openapi: 3.1.0" }
"""
GOOD = {
    "apiVersion": "backstage.io/v1alpha1",
    "kind": "Component",
    "metadata": {"name": "x"},
    "spec": {"type": "a", "lifecycle": "b", "owner": "c"},
}


class Node:
    """The client in a process of its own."""

    def __init__(self, server: str, token: str) -> None:
        self.called: set[str] = set()
        self.process = subprocess.Popen(
            ["node", "calls.cjs", server, token],
            cwd=FOLDER,
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, client: str, method: str, *args: Any, **more: Any) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        if client != OLD:
            self.called.add(method)
        line = json.dumps({"client": client, "method": method, "args": args, **more})
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told

    def value(self, method: str, *args: Any, client: str = NEW, **more: Any) -> Any:
        told = self.ask(client, method, *args, **more)
        assert "error" not in told, (method, told)
        return told.get("value")


@pytest.fixture
def files(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """Two files over HTTP, which the catalogue may read."""
    monkeypatch.setenv("IDP_HTTP_ALLOW", "127.0.0.1")
    vendor.text("/catalog-info.yaml", FILE % "orders")
    vendor.text("/other.yaml", FILE.replace("orders-v1", "orders-v2") % "other")
    return vendor


@pytest.fixture
def node(files: Vendor, server: str) -> Iterator[Node]:
    host = files.url.removeprefix("http://")
    catalog_settings.update(actor=ACTOR, reading_allow=[{"host": host}])
    yield from client_process(server)


def client_process(server: str) -> Iterator[Node]:
    """Backstage's clients under Node, with an admin's token."""
    if not shutil.which("node"):
        pytest.skip("no Node.js")
    if not (FOLDER / "node_modules").is_dir():
        pytest.skip("Backstage's clients are not installed (make clients)")
    one = Node(server, make_api().token.removeprefix("Bearer "))
    yield one
    one.process.kill()
    one.process.wait()


def names(entities: list[dict[str, Any]]) -> list[str]:
    return [one["metadata"]["name"] for one in entities]


def test_every_method(node: Node, files: Vendor) -> None:
    refusals(node)
    location = locations(node, f"{files.url}/catalog-info.yaml")
    entities(node)
    changes(node, files, location)
    pages(node, files)
    assert set(node.value("methods")) - HELPERS == node.called - {"methods"}


def locations(node: Node, target: str) -> dict[str, Any]:
    tried = node.value("addLocation", {"target": target, "dryRun": True})
    assert tried["exists"] is False
    assert [one["kind"] for one in tried["entities"]] == ["Location", "Component", "System", "API"]
    location: dict[str, Any] = node.value("addLocation", {"target": target})["location"]
    assert (location["type"], location["target"]) == ("url", target)
    again = node.ask(NEW, "addLocation", {"target": target})["error"]
    assert (again["name"], again["status"]) == ("ResponseError", 409)
    assert again["body"]["error"]["name"] == "ConflictError"

    assert node.value("getLocations", {}) == {"items": [location]}
    assert node.value("queryLocations", {"query": {"type": "URL"}})["items"] == [location]
    assert node.value("streamLocations", {}) == [[location]]
    assert node.value("getLocationById", location["id"]) == location
    assert node.value("getLocationByRef", f"url:{target}") == location
    assert node.value("getLocationByEntity", "component:default/orders") == location
    unknown = "00000000-0000-0000-0000-000000000000"
    assert node.ask(NEW, "getLocationById", unknown)["absent"]
    return location


def entities(node: Node) -> None:
    wanted = {"filter": [{"kind": ["component", "system"]}], "fields": ["metadata.name", "kind"]}
    assert sorted(names(node.value("getEntities", wanted)["items"])) == ["orders", "shop"]
    ordered = {"order": {"field": "metadata.name", "order": "desc"}, "limit": 2, "offset": 1}
    assert names(node.value("getEntities", ordered)["items"]) == ["orders-v1", "orders"]
    orders = node.value("getEntityByRef", "component:orders")
    assert orders["relations"] == [
        {"type": "ownedBy", "targetRef": "group:default/team-a"},
        {"type": "partOf", "targetRef": "system:default/shop"},
    ]
    compound = {"kind": "Component", "namespace": "default", "name": "orders"}
    assert node.value("getEntityByName", compound) == orders
    assert node.ask(NEW, "getEntityByRef", "component:nope")["absent"]
    refs = ["component:default/orders", "component:default/nope", "system:default/shop"]
    found = node.value("getEntitiesByRefs", {"entityRefs": refs, "query": {"kind": "component"}})
    assert [one and one["metadata"]["name"] for one in found["items"]] == ["orders", None, None]
    ancestors = node.value("getEntityAncestors", {"entityRef": "component:default/orders"})
    assert ancestors["rootEntityRef"] == "component:default/orders"
    assert [one["entity"]["kind"] for one in ancestors["items"]] == ["Component", "Location"]
    facets = node.value("getEntityFacets", {"facets": ["metadata.tags"]})
    assert facets == {"facets": {"metadata.tags": [{"value": "java", "count": 1}]}}
    kinds = {"facets": ["kind"], "query": {"kind": {"$in": ["api"]}}}
    found = node.value("getEntityFacets", kinds)
    assert found == {"facets": {"kind": [{"value": "API", "count": 1}]}}
    [page] = node.value("streamEntities", {"filter": {"kind": "api"}})
    assert names(page) == ["orders-v1"]


def changes(node: Node, files: Vendor, location: dict[str, Any]) -> None:
    target = location["target"]
    files.text("/catalog-info.yaml", (FILE % "orders").replace("[java]", "[java, web]"))
    assert node.ask(NEW, "refreshEntity", "component:default/orders")["absent"]
    assert node.value("getEntityByRef", "component:orders")["metadata"]["tags"] == ["java", "web"]
    assert node.value("validateEntity", GOOD, f"url:{target}") == {"valid": True}
    bad = {**GOOD, "metadata": {"name": "x y"}}
    checked = node.value("validateEntity", bad, f"url:{target}")
    assert (checked["valid"], checked["errors"][0]["name"]) == (False, "InputError")
    repository = {"location": {"type": "url", "target": "https://github.com/acme/new-service"}}
    analysed = node.value("analyzeLocation", repository)
    assert analysed["generateEntities"][0]["entity"]["metadata"]["name"] == "new-service"

    moved = {"type": "url", "target": f"{files.url}/other.yaml"}
    assert node.value("updateLocation", location["id"], moved) == {**location, **moved}
    assert node.ask(NEW, "getEntityByRef", "component:orders")["absent"]
    other = node.value("getEntityByRef", "component:other")
    assert node.ask(NEW, "removeEntityByUid", other["metadata"]["uid"])["absent"]
    assert node.ask(NEW, "getEntityByRef", "component:other")["absent"]
    assert node.ask(NEW, "removeLocationById", location["id"])["absent"]
    assert not Entity.objects.filter(blueprint__identifier__in=["component", "api"]).exists()


def pages(node: Node, files: Vendor) -> None:
    """Forth and back: from a cursor the client reads whether to ask by GET or by POST."""
    documents = [json.dumps({**GOOD, "metadata": {"name": f"c{number}"}}) for number in range(5)]
    files.text("/many.yaml", "\n---\n".join(documents))
    node.value("addLocation", {"target": f"{files.url}/many.yaml"})
    order = {"orderFields": [{"field": "metadata.name", "order": "asc"}]}
    by_filter, by_query = {"filter": {"kind": "component"}}, {"query": {"kind": "component"}}
    for client, method, asked in [
        (NEW, "GET", by_filter),
        (NEW, "POST", by_query),
        (OLD, "GET", by_filter),
    ]:
        told = node.ask(client, "queryEntities", {**asked, **order, "limit": 2})
        assert told["sent"][0].startswith(f"{method} /entities/by-query"), told
        first = told["value"]
        assert (names(first["items"]), first["totalItems"]) == (["c0", "c1"], 5)
        assert list(first["pageInfo"]) == ["nextCursor"]
        second = page(node, client, first["pageInfo"]["nextCursor"])
        assert names(second["items"]) == ["c2", "c3"]
        third = page(node, client, second["pageInfo"]["nextCursor"])
        assert (names(third["items"]), list(third["pageInfo"])) == (["c4"], ["prevCursor"])
        back = page(node, client, third["pageInfo"]["prevCursor"])
        assert names(back["items"]) == ["c2", "c3"]
    counted = node.value("queryEntities", {**by_filter, "limit": 0}, client=OLD)
    assert (counted["items"], counted["totalItems"]) == ([], 5)


def page(node: Node, client: str, cursor: str) -> dict[str, Any]:
    found: dict[str, Any] = node.value(
        "queryEntities", {"cursor": cursor, "limit": 2}, client=client
    )
    return found


def refusals(node: Node) -> None:
    refused = node.ask(NEW, "getEntities", {"filter": {"": "x"}})["error"]
    assert (refused["status"], refused["body"]["error"]["name"]) == (400, "InputError")
    assert refused["body"]["request"]["url"].startswith("/entities?")
    gone = node.ask(NEW, "removeLocationById", "nope")["error"]
    told = gone["body"]["error"]["message"]
    assert (gone["status"], told) == (404, "Found no location with ID nope")
