"""Answers recorded from a Backstage catalogue, asked of ours in their order and compared field by
field.

The files they were recorded on are served from 127.0.0.1 and read as configured locations, strictly
and with the rules that held there. Only what a server makes up is masked (`MASKS`, `BY_ID`); what
differs on purpose stands in `ACCEPTED` with its reason, and must differ in just those places.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from catalog.ingest.locations import refresh, registering
from catalog.models import CatalogSettings, Location
from catalog.services import catalog_settings
from tests.factories import ACTOR, make_api

RECORDED_AT = "127.0.0.1:8107"
TEMPORARY = "edge-cases/tmp-loc.yaml"
CONFIGURED = (
    "catalog-model-examples/all.yaml",
    "catalog-model-examples/acme-corp.yaml",
    "edge-cases/location.yaml",
    "demo-docs/catalog-info.yaml",
    "create-app-example/template/template.yaml",
    "software-templates/springboot-grpc-template/template.yaml",
    "software-templates/docs-template/template.yaml",
)
REGISTERED = ("edge-cases/only-via-missing.yaml", TEMPORARY)
KINDS = [
    "Component",
    "System",
    "API",
    "Resource",
    "Location",
    "Domain",
    "Group",
    "User",
    "Template",
]

# Whose answer the cursor of a request is from, and which of its cursors.
CURSORS = {
    "076": ("075", "nextCursor"),
    "077": ("076", "nextCursor"),
    "078": ("077", "prevCursor"),
    "079": ("075", "nextCursor"),
}
# What the server makes up: any text that is not empty will do.
MASKS = {"<uid>", "<etag>", "<id>", "<cursor>"}

# Which of several comes first where ids decide, which the server makes up as well.
BY_ID = {
    "065-by-query-totalItems-exclude": ["items.0.metadata.name"],
    "073-by-query-order-missing-field": ["items.1.metadata.name", "items.2.metadata.name"],
}

_FORMAT = "how a name or tag must look is told in our words; theirs lead to their documentation"
# A relation of an entity that is not there; of it the place is called after its target.
GHOST = {"type": "ownerOf", "targetRef": "component:default/edge-case-clash"}
# What differs on purpose: the places, and why.
ACCEPTED: dict[str, tuple[list[str], str]] = {
    "011-by-name-group-default-team-a": (
        ["relations.edge-case-clash"],
        "it owns an entity that Backstage never shows, since two of its keys differ only in case",
    ),
    "107-validate-bad-name": (["errors.0.message", "errors.0.cause.message"], _FORMAT),
    "108-validate-two-problems": (["errors.0.message", "errors.0.cause.message"], _FORMAT),
    "113-validate-tag-upper": (["errors.0.message", "errors.0.cause.message"], _FORMAT),
    "119-location-dry-run-broken": (
        ["error.message"],
        "what the YAML parser says is ours, with file and line",
    ),
}

GOOD = """
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {{ name: {name} }}
spec: {{ type: service, lifecycle: production, owner: team-a }}
"""
OWNERLESS = """
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: { name: tmp-one }
spec: { type: service, lifecycle: production }
"""


class Site:
    """Files over HTTP. changed: other contents for some; None: it is gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changed: dict[str, str | None] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def address(self, path: str) -> str:
        return f"http://{self.host}/{path}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def content(self, path: str) -> bytes | None:
        if path in self.changed:
            text = self.changed[path]
            return None if text is None else text.encode()
        file = self.folder / path
        return file.read_bytes() if file.is_file() else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = site.content(self.path.lstrip("/"))
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def recorded(test_data: Path) -> Path:
    folder = test_data / "backstage"
    if not (folder / "golden").is_dir():
        pytest.skip(f"no recorded answers: {folder} is not there")
    return folder


@pytest.fixture
def site(recorded: Path, settings: Any) -> Iterator[Site]:
    settings.IDP_HTTP_ALLOW = ["127.0.0.1"]
    one = Site(recorded)
    yield one
    one.close()


class Goldens:
    """The recorded pairs as if they had been recorded from the place that `site` serves: port, and
    the names that are made of addresses."""

    def __init__(self, recorded: Path, site: Site) -> None:
        self.pairs: dict[str, dict[str, Any]] = {}
        moved = {
            _name(f"http://{RECORDED_AT}/{path}"): _name(site.address(path))
            for path in (*CONFIGURED, *REGISTERED)
        }
        for file in sorted((recorded / "golden").glob("*.json")):
            text = file.read_text().replace(RECORDED_AT, site.host)
            for old, new in moved.items():
                text = text.replace(old, new)
            self.pairs[file.stem] = json.loads(text)


def _name(address: str) -> str:
    return "generated-" + hashlib.sha1(f"url:{address}".encode()).hexdigest()


class Session:
    """Sends the requests in their order and remembers what later ones need."""

    def __init__(self) -> None:
        self.api = make_api()
        self.answers: dict[str, Any] = {}
        self.location_id = ""

    def ask(self, name: str, pair: dict[str, Any]) -> Any:
        request = pair["request"]
        path, body = self._filled(name, pair)
        sent: dict[str, Any] = {"content_type": "application/json", "RAW_URI": path}
        caller: APIClient | Client = self.api
        if request["auth"] != "valid":
            caller = Client()
        if request["auth"] == "invalid":
            sent["HTTP_AUTHORIZATION"] = "Bearer illegal"
        text = "" if body is None else json.dumps(body)
        answer = caller.generic(request["method"], path, text, **sent)
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        found = json.loads(content) if content else ""
        self.answers[name[:3]] = found
        if name.startswith("120"):
            self.location_id = found.get("location", {}).get("id", "")
        return answer, found

    def _filled(self, name: str, pair: dict[str, Any]) -> tuple[str, Any]:
        """Path and body with what the server made up before."""
        path, body = pair["request"]["path"], pair["request"].get("body")
        source, way = CURSORS.get(name[:3], ("", ""))
        cursor = self.answers.get(source, {}).get("pageInfo", {}).get(way, "")
        if body and "cursor" in body:
            body = {**body, "cursor": cursor}
        wanted = pair["response"]["body"]
        known = {
            "<cursor of the previous page>": cursor,
            "<id>": self.location_id,
            "<uid>": self.answers.get("022", {}).get("metadata", {}).get("uid", ""),
        }
        if "<kind>" in path:
            known |= {"<kind>": wanted["kind"].lower(), "<name>": wanted["metadata"]["name"]}
        for placeholder, value in known.items():
            path = path.replace(placeholder, value)
        return path, body


def differences(expected: Any, found: Any, place: str = "") -> Iterator[str]:
    """The places where they differ, masked texts aside."""
    if isinstance(expected, str) and expected in MASKS:
        if not (isinstance(found, str) and found):
            yield place
    elif isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted({*expected, *found}):
            below = f"{place}.{key}" if place else key
            if key in expected and key in found:
                yield from differences(expected[key], found[key], below)
            else:
                yield below
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield f"{place}.length" if place else "length"
        for number, (one, other) in enumerate(zip(expected, found, strict=False)):
            yield from differences(one, other, f"{place}.{number}" if place else str(number))
    elif type(expected) is not type(found) or expected != found:
        yield place or "body"


def in_one_order(body: Any) -> Any:
    """The body with its outer list sorted, for answers whose order means nothing."""
    if isinstance(body, list):
        return sorted(body, key=_identity)
    if isinstance(body, dict) and isinstance(body.get("items"), list):
        return {**body, "items": sorted(body["items"], key=_identity)}
    return body


def _identity(one: Any) -> str:
    if isinstance(one, dict) and "metadata" in one:
        metadata = one["metadata"]
        return json.dumps([one.get("kind"), metadata.get("namespace"), metadata.get("name"), ""])
    return json.dumps(one, sort_keys=True)


def compare(pair: dict[str, Any], answer: Any, found: Any, session: Session) -> list[str]:
    """The places where an answer differs from the recorded one."""
    recorded = pair["response"]
    text = json.dumps(recorded["body"])
    if session.location_id:  # within a text it is not masked but known
        text = text.replace("/<id>", f"/{session.location_id}")
        text = text.replace("ID <id>", f"ID {session.location_id}")
    expected = json.loads(text)
    if not recorded["orderSignificant"]:
        expected, found = in_one_order(expected), in_one_order(found)
    places = []
    if answer.status_code != recorded["status"]:
        places.append(f"status {answer.status_code}")
    if answer.headers.get("Content-Type") != recorded["contentType"]:
        places.append("contentType")
    if recorded.get("link") != answer.headers.get("Link"):
        places.append("link")
    if isinstance(expected, dict) and GHOST in expected.get("relations", ()):
        expected["relations"].remove(GHOST)
        places.append("relations.edge-case-clash")
    return sorted([*places, *differences(expected, found)])


@pytest.fixture
def change(site: Site) -> Callable[[str, Session], None]:
    """What happened to the files between the recordings."""

    def prepare(name: str, session: Session) -> None:
        both = GOOD.format(name="tmp-one") + "---" + GOOD.format(name="tmp-two")
        match name[:3]:
            case "139":
                site.changed[TEMPORARY] = both
                target = {"type": "url", "target": site.address(TEMPORARY)}
                made = session.api.post("/api/catalog/locations", target)
                assert made.status_code == 201, made.content
                site.changed[TEMPORARY] = OWNERLESS + "---" + GOOD.format(name="tmp-two")
            case "140":
                site.changed[TEMPORARY] = GOOD.format(name="tmp-one")
            case "141":
                site.changed[TEMPORARY] = None
            case _:
                return
        refresh.refresh(Location.objects.get(target=site.address(TEMPORARY)), ACTOR)

    return prepare


@pytest.mark.django_db
def test_all_recorded_answers(
    recorded: Path, site: Site, change: Callable[[str, Session], None]
) -> None:
    catalog_settings.update(
        actor=ACTOR,
        rules=[{"allow": KINDS}],
        reading_allow=[{"host": site.host}],
        orphan_strategy=CatalogSettings.OrphanStrategy.KEEP,
        is_strict=True,
    )
    for path in CONFIGURED:
        registering.register(
            "url", site.address(path), provider=Location.Provider.CONFIGURED, actor=ACTOR
        )
    session = Session()
    failed: dict[str, list[str]] = {}
    shown: list[str] = []
    pairs = Goldens(recorded, site).pairs
    for name, pair in pairs.items():
        change(name, session)
        answer, found = session.ask(name, pair)
        places = compare(pair, answer, found, session)
        if places := [one for one in places if one not in BY_ID.get(name, ())]:
            failed[name] = places
            shown.append(f"{name}: {places[:8]}\n  {json.dumps(found)[:1000]}")
    passed = len(pairs) - len(failed)
    print(f"{len(pairs)} recorded answers: {passed} equal, {len(failed)} different")
    expected = {name: sorted(places) for name, (places, _) in ACCEPTED.items()}
    unexpected = {
        name: places
        for name in sorted({*failed, *expected})
        if (places := failed.get(name)) != expected.get(name)
    }
    assert not unexpected, "\n".join(one for one in shown if one.partition(":")[0] in unexpected)
    assert len(pairs) == 141
