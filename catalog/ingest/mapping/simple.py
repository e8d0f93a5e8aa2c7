"""The simple dialect: an entity written as `kind`, `metadata` and `spec`.

    entity:
      apiVersion: port.io/v1alpha
      kind: Service
      metadata: {title: .metadata.name}
      spec: {owner: .spec.owner}

It names no blueprint and no identifier, and does not tell properties from relations: the catalogue
as it stands answers these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from catalog.ingest.mapping.model import Finding, Need
from catalog.ingest.mapping.shapes import ShapeOf
from catalog.kernel import jq
from catalog.kernel.errors import shorten

API: Final = "port.io/v1alpha"
_KEYS: Final = {"apiVersion", "kind", "metadata", "spec"}
_OWNERS: Final = ("team", "owner")  # the first one given decides the entity's team

# Nothing says what a value of `spec` is, so its property takes text; of these we know better.
_TEXT: Final = {"type": "string"}
_TYPES: Final[dict[str, dict[str, Any]]] = {
    "description": {"type": "string", "format": "markdown"},
    "labels": {"type": "object"},
    "annotations": {"type": "object"},
    "links": {"type": "array"},
    "tags": {"type": "array", "items": {"type": "string"}},
}


@dataclass(frozen=True, slots=True)
class Part:
    """A value of the document and where it stands."""

    value: Any
    origin: str


@dataclass(slots=True)
class Read:
    """The parts of an entity by Port's keys, still as they are written."""

    blueprint: str | None = None
    body: dict[str, Any] = field(default_factory=dict)  # key -> Part | {name: Part}
    need: Need | None = None
    findings: list[Finding] = field(default_factory=list)


def read(entity: AnyMapping[str, Any], natural_key: str, shapes: ShapeOf, path: str) -> Read:
    """Understand `entity`. natural_key: JQ of what names an object of its sort; "" unknown."""
    result = Read()

    def note(key: str, message: str, level: str = "error") -> None:
        result.findings.append(Finding(level, f"{path}.{key}", message))

    for key in entity:
        if key not in _KEYS:
            known = ", ".join(sorted(_KEYS))
            note(key, f"This key has no meaning here; known are {known}", "warning")
    if entity.get("apiVersion", API) != API:
        note("apiVersion", f'is {jq.describe(entity["apiVersion"])}; expected "{API}"', "warning")
    kind = entity.get("kind")
    if not isinstance(kind, str) or not kind.strip():
        note("kind", 'is missing; expected the name of a blueprint, or "mappings" instead')
        return result
    metadata, spec = (_group(entity.get(key), key, note) for key in ("metadata", "spec"))
    if metadata is None or spec is None:
        return result
    identifier = _first(
        ("metadata.identifier", metadata.pop("identifier", None)),
        ("metadata.name", metadata.get("name")),
        ("kind", natural_key or None),
        ("metadata.title", metadata.get("title")),
    )
    if identifier is None:
        note("metadata", "has neither identifier, name nor title; every entity needs one of them")
        return result
    title = _first(
        ("metadata.title", metadata.pop("title", None)),
        ("metadata.name", metadata.pop("name", None)),
    )
    blueprint = kind[0].lower() + kind[1:]
    shape = shapes(blueprint)
    result.blueprint = shape.identifier if shape else blueprint
    result.body["identifier"] = Part(identifier[1], f"{path}.{identifier[0]}")
    if title:
        result.body["title"] = Part(title[1], f"{path}.{title[0]}")
    if (icon := metadata.pop("icon", None)) is not None:
        result.body["icon"] = Part(icon, f"{path}.metadata.icon")
    relations = shape.relations if shape else frozenset()
    groups: dict[str, dict[str, Part]] = {"properties": {}, "relations": {}}
    for section, values in (("metadata", metadata), ("spec", spec)):
        for name, value in values.items():
            if value is not None:
                group = groups["relations" if name in relations else "properties"]
                group[name] = Part(value, f"{path}.{section}.{name}")
    result.body.update({key: group for key, group in groups.items() if group})
    for name in _OWNERS:
        part = groups["relations"].get(name) or groups["properties"].get(name)
        if part and isinstance(part.value, str):
            result.body["team"] = part
            break
    wanted = {name: _property(name, part) for name, part in groups["properties"].items()}
    result.need = Need(
        identifier=result.blueprint,
        exists=shape is not None,
        document={
            "identifier": result.blueprint,
            "title": _title(kind),
            "schema": {"properties": wanted, "required": []},
        },
        missing={
            name: schema
            for name, schema in wanted.items()
            if shape and name not in shape.properties
        },
    )
    return result


def joined(needs: Sequence[Need]) -> list[Need]:
    """`needs` with those of one blueprint made one."""
    by_blueprint: dict[str, Need] = {}
    for need in needs:
        if before := by_blueprint.get(need.identifier):
            properties = {**before.document["schema"]["properties"]}
            for name, schema in need.document["schema"]["properties"].items():
                properties.setdefault(name, schema)
            document = {**before.document, "schema": {"properties": properties, "required": []}}
            missing = need.missing | before.missing
            need = Need(need.identifier, before.exists, document, missing)
        by_blueprint[need.identifier] = need
    return list(by_blueprint.values())


def _group(given: Any, key: str, note: Any) -> dict[str, Any] | None:
    if given is None:
        return {}
    if isinstance(given, dict):
        return dict(given)
    note(key, f"is {jq.describe(given)}; expected an object of JQ expressions")
    return None


def _first(*candidates: tuple[str, Any]) -> tuple[str, Any] | None:
    return next((one for one in candidates if one[1] is not None), None)


def _property(name: str, part: Part) -> dict[str, Any]:
    if name in _TYPES:
        return {"title": _title(name), **_TYPES[name]}
    kinds = {dict: {"type": "object"}, list: {"type": "array"}, bool: {"type": "boolean"}}
    schema = kinds.get(type(part.value), _TEXT)
    if type(part.value) in (int, float):
        schema = {"type": "number"}
    return {"title": _title(name), **schema}


def _title(name: str) -> str:
    """`name` as people write it: "githubWorkflow" → "Github workflow"."""
    words = re.sub(r"[-_\s]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).strip()
    return shorten(words[:1].upper() + words[1:].lower(), 100) if words else name
