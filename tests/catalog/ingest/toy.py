"""A source kind whose whole world stands in its settings, so that other processes see it too.

settings["kinds"] = {"repo": {"items": [...] or "count": 2000, "page_size": 100, "fail_page": 3,
"error": "away" | "refused" | "forbidden" | "bug", "pause_s": 0.01, "next": False}}
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from catalog.ingest.integrations import create_source
from catalog.ingest.runner import run_sync
from catalog.ingest.runs import request_sync
from catalog.kernel.errors import UpstreamRefused, UpstreamUnavailable
from catalog.kernel.source import Page, ResourceKind, Seen, SourceKind
from catalog.models import Integration, SyncRun
from catalog.registry import source_kinds
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply
from tests.factories import ACTOR
from tests.processes import wait_for_start

# Called with (resource kind, page number) before a page is given; tests put things here.
on_page: list[Callable[[str, int], None]] = []


def raise_error(error: str) -> None:
    if error == "away":
        raise UpstreamUnavailable("503 from toy.example: try later")
    if error == "refused":
        raise UpstreamRefused("401 from toy.example: bad token", details={"status": 401})
    if error == "forbidden":
        raise UpstreamRefused("403 from toy.example: not this list", details={"status": 403})
    raise KeyError("odd")


class Toy(SourceKind):
    name = "toy"
    title = "Toy"
    icon = "Toy"
    description = ""
    settings_schema = {
        "type": "object",
        "properties": {
            "kinds": {"type": "object"},
            "token": {"type": "string", "secret": True, "minLength": 3},
            "region": {"type": "string", "enum": ["eu", "us"], "default": "eu"},
        },
        "required": ["kinds"],
    }
    resources = (
        ResourceKind("repo", "Repositories", ".name"),
        ResourceKind("team", "Teams", ".name"),
        ResourceKind("issue", "Issues", ".name"),
    )

    def check(self, connection):
        return [f"In {connection.settings['region']}"]

    def fetch(self, connection, resource, selector, cursor=None):
        world = connection.settings["kinds"].get(resource.name, {})
        items = world.get("items")
        if items is None:
            prefix = world.get("prefix", resource.name)
            items = [{"name": f"{prefix}-{n:05}", "n": n} for n in range(world["count"])]
        size = world.get("page_size", 100)
        numbers = range(0, len(items), size)
        for number, start in enumerate(numbers, 1):
            if cursor is not None and start < cursor:
                continue
            for hook in on_page:
                hook(resource.name, number)
            if number == world.get("fail_page"):
                raise_error(world.get("error", "away"))
            time.sleep(world.get("pause_s", 0))
            following = start + size if start + size < len(items) else None
            yield Page(items[start : start + size], following if world.get("next", True) else None)

    def blueprints(self):
        return [{"identifier": "repo", "title": "Repo", "schema": {"properties": {}}}]

    def mapping(self):
        return toy_mapping("repo")

    def samples(self):
        return {}


class Importer(Toy):
    """Brings its items in as they are."""

    name = "importer"
    resources = ()
    imports = True

    def import_entities(self, connection, context):
        world = connection.settings["kinds"]["repo"]
        for start in range(0, len(world["items"]), 2):
            part = world["items"][start : start + 2]
            found = apply(
                [EntityDraft("repo", one["name"], title=one.get("title")) for one in part],
                mode=Mode.REPLACE,
                actor=context.actor,
                missing_targets=MissingTargets.DANGLE,
                dry_run=context.is_dry_run,
                run=context.run,
            ).items
            context.saw([Seen(i.blueprint, i.identifier, i.status, i.pk) for i in found])
            if world.get("fail_page") == start // 2 + 1:
                raise_error("away")

    def mapping(self):
        return {}


def register() -> None:
    for kind in (Toy(), Importer()):
        source_kinds.setdefault(kind.name, kind)


def resource(
    kind: str, blueprint: str | None = None, query: str | None = None, **parts: Any
) -> Any:
    """A resource of a mapping that takes `name` as identifier and title."""
    mappings = {
        "identifier": ".name",
        "title": ".title // .name",
        "blueprint": f'"{blueprint or kind}"',
        **parts,
    }
    selector = {} if query is None else {"query": query}
    return {"kind": kind, "selector": selector, "port": {"entity": {"mappings": mappings}}}


def toy_mapping(*kinds: str, **document: Any) -> dict[str, Any]:
    return {"resources": [resource(kind) for kind in kinds], **document}


def named(*names: str, **more: Any) -> dict[str, Any]:
    """A kind's world with items of these names."""
    return {"items": [{"name": name} for name in names], **more}


def make_source(
    identifier: str = "toys", *, mapping: Any = None, schedule: str = "", **kinds: Any
) -> Integration:
    return create_source(
        identifier=identifier,
        kind="toy",
        actor=ACTOR,
        settings={"kinds": kinds, "token": "s3cret-token"},
        mapping=mapping if mapping is not None else toy_mapping(*kinds),
        schedule=schedule,
    )


def now_has(integration: Integration, **kinds: Any) -> None:
    """Change what there is at the source."""
    integration.settings = {"kinds": {**integration.settings["kinds"], **kinds}}
    integration.save(update_fields=["settings"])


def sync(integration: Integration, **asked: Any) -> SyncRun:
    """Run a whole sync and return the run as it ended."""
    run = request_sync(integration, **asked)
    while run_sync(run.pk):
        pass
    run.refresh_from_db()
    return run


def work(run_pk: int) -> None:
    """Work on a run in another process."""
    register()
    run_sync(run_pk)


def work_at_once(_number: int) -> None:
    """Race for the only run there is."""
    register()
    [run] = SyncRun.objects.all()
    wait_for_start()
    run_sync(run.pk)
