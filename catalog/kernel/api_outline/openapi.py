"""OpenAPI 2 (Swagger) and 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from catalog.kernel.api_outline.items import Format, Item, ItemKind, Outline, Problem
from catalog.kernel.api_outline.texts import (
    MAX_ITEMS,
    capped,
    list_of,
    load,
    map_of,
    name_of,
    resolved,
    summary_of,
    text_of,
)

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")


def read(text: str) -> Outline:
    document, problem = load(text)
    if problem:
        return Outline(Format.OPENAPI, problem=problem)
    dialect = document.get("openapi") or document.get("swagger")
    if not isinstance(dialect, str | int | float):
        return Outline(
            Format.OPENAPI,
            document=document,
            problem=Problem('there is no version; expected the key "openapi" or "swagger"', 1),
        )
    info = map_of(document.get("info"))
    items = [
        item
        for section, kind in (("paths", ItemKind.OPERATION), ("webhooks", ItemKind.WEBHOOK))
        for item in _operations(document, section, kind)
    ]
    kept, is_cut = capped(items)
    return Outline(
        Format.OPENAPI,
        title=name_of(info.get("title") or ""),
        version=name_of(info.get("version") or ""),
        dialect=name_of(dialect),
        description=text_of(info.get("description"), 10_000),
        servers=_servers(document),
        items=kept,
        document=document,
        is_cut=is_cut,
    )


def operations_of(
    document: Mapping[str, Any], section: str = "paths"
) -> list[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
    """(method in capitals, path, operation, what the path says for all its operations)."""
    found: list[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]] = []
    for path, written in map_of(document.get(section)).items():
        shared = resolved(document, written)
        for method in METHODS:
            operation = shared.get(method)
            if isinstance(operation, dict):
                found.append((method.upper(), str(path), operation, shared))
        if len(found) > MAX_ITEMS:
            break
    return found


def _operations(document: Mapping[str, Any], section: str, kind: ItemKind) -> list[Item]:
    items = []
    for method, path, operation, shared in operations_of(document, section):
        tags = [tag for tag in list_of(operation.get("tags")) if isinstance(tag, str)]
        described = " ".join(
            part
            for part in (
                text_of(operation.get("description")),
                text_of(operation.get("operationId")),
            )
            if part
        )
        items.append(
            Item(
                kind,
                name=name_of(f"{method} {path}"),
                summary=summary_of(operation) or summary_of(shared),
                description=described,
                group=name_of(tags[0]) if tags else "",
                is_deprecated=operation.get("deprecated") is True,
            )
        )
    return items


def _servers(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses it is served at, as they are written."""
    urls = [map_of(server).get("url") for server in list_of(document.get("servers"))]
    if "swagger" in document and isinstance(document.get("host"), str):
        schemes = [s for s in list_of(document.get("schemes")) if isinstance(s, str)] or ["https"]
        urls = [f"{s}://{document['host']}{document.get('basePath') or ''}" for s in schemes]
    return tuple(name_of(url) for url in urls if isinstance(url, str))[:20]
