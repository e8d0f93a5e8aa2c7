"""A source kind whose events say themselves what changed.

An event's body is {"changes": [{"kind", "item", "gone"?}], "away"?: true, "odd"?: true,
"wait_for"?: a file that must be there before it goes on}.
"""

from __future__ import annotations

import hmac
import time
from pathlib import Path
from typing import Any

import orjson

from catalog.ingest import live
from catalog.ingest.integrations import create_source
from catalog.kernel.errors import InvalidInput, NotAuthenticated, UpstreamUnavailable
from catalog.kernel.source import LiveChange, ResourceKind, SourceKind
from catalog.models import InboundEvent, Integration
from catalog.registry import source_kinds
from tests.catalog.ingest.toy import resource
from tests.factories import ACTOR

SECRET = "s3cret-of-events"


class Talker(SourceKind):
    name = "talker"
    title = "Talker"
    icon = "Toy"
    description = ""
    settings_schema = {
        "type": "object",
        "properties": {"secret": {"type": "string", "secret": True}},
    }
    resources = (
        ResourceKind("issue", "Issues", ".name", aliases=("issues",)),
        ResourceKind("repo", "Repositories", ".name"),
    )
    takes_events = True

    def check(self, connection):
        return []

    def fetch(self, connection, resource, selector, cursor=None):
        return iter(())

    def verify(self, event, settings):
        if not hmac.compare_digest(event.headers.get("x-token", ""), settings["secret"]):
            raise NotAuthenticated("X-Token is not the secret")

    def delivery(self, event):
        return event.headers.get("x-delivery", "")

    def changes(self, connection, event, wanted):
        body = orjson.loads(event.body)
        if path := body.get("wait_for"):
            Path(f"{path}.entered").touch()
            while not Path(path).exists():
                time.sleep(0.01)
        if body.get("away"):
            raise UpstreamUnavailable("503 from talker.example")
        if body.get("odd"):
            raise InvalidInput("The event is odd")
        for one in body["changes"]:
            if one["kind"] in wanted:
                yield LiveChange(one["kind"], one["item"], one.get("gone", False))

    def selects(self, resource, selector, item):
        return selector.get("state", item.get("state")) == item.get("state")

    def blueprints(self):
        return []

    def mapping(self):
        return {}

    def samples(self):
        return {}


def register() -> None:
    source_kinds.setdefault("talker", Talker())


def make_talker(identifier: str = "talk", *resources: Any, **document: Any) -> Integration:
    resources = resources or (resource("issue", properties={"n": ".n", "state": ".state"}),)
    return create_source(
        identifier=identifier,
        kind="talker",
        actor=ACTOR,
        settings={"secret": SECRET},
        mapping={"resources": list(resources), **document},
    )


def tell(source: Integration, *changes: Any, delivery: str = "", **more: Any) -> InboundEvent:
    """Take in an event; nobody processes it yet."""
    body = orjson.dumps({"changes": changes, **more})
    headers = {"X-Token": SECRET, "Content-Type": "application/json", "X-Delivery": delivery}
    return live.receive(source, headers, {}, body)


def issue(name: str, *, gone: bool = False, **more: Any) -> dict[str, Any]:
    return {"kind": "issue", "item": {"name": name, **more}, "gone": gone}


def heard(source: Integration, *changes: Any, **more: Any) -> InboundEvent:
    """Take in an event and process all that wait; returns it as it is then."""
    event = tell(source, *changes, **more)
    live.process_waiting(source.pk)
    event.refresh_from_db()
    return event


def work(number: int) -> None:
    """Another process that works on all events until none is left."""
    from tests import processes

    register()
    processes.wait_for_start()
    work_on_all()


def work_on_all() -> None:
    register()
    while pks := live.waiting_sources():
        for pk in pks:
            live.process_waiting(pk)
