"""Port's blueprint JSON, read and checked, before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from catalog.kernel.errors import InvalidBlueprint, InvalidInput, shorten
from catalog.kernel.identifiers import (
    check_blueprint_identifier,
    check_property_identifier,
)
from catalog.kernel.schema import PROPERTY_TYPES, check_json
from catalog.models import team_path_of
from catalog.services.derived.specs import (
    read_aggregation,
    read_calculation,
    read_mirror,
    read_team_path,
)
from catalog.services.shapes import compiled

ANY_TARGET: Final = "*"  # how the API writes a relation that may lead to any kind

_OWN_KEYS = {
    "identifier",
    "title",
    "icon",
    "description",
    "schema",
    "relations",
    "mirrorProperties",
    "calculationProperties",
    "aggregationProperties",
    "ownership",
}
_SERVER_KEYS = {"createdAt", "createdBy", "updatedAt", "updatedBy", "id", "ok"}


@dataclass(frozen=True, slots=True)
class RelationSpec:
    """target None: any kind."""

    target: str | None
    many: bool = False
    required: bool = False
    title: str | None = None
    description: str | None = None

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "title": self.title,
            "target": self.target or ANY_TARGET,
            "required": self.required,
            "many": self.many,
        }
        if self.description is not None:
            document["description"] = self.description
        return document


@dataclass(frozen=True, slots=True)
class BlueprintSpec:
    identifier: str
    title: str
    icon: str | None
    description: str | None
    schema: dict[str, Any]
    relations: dict[str, RelationSpec]
    mirror_properties: dict[str, Any]
    calculation_properties: dict[str, Any]
    aggregation_properties: dict[str, Any]
    ownership: dict[str, Any] | None
    extra: dict[str, Any]

    @property
    def team_path(self) -> str | None:
        """See `Blueprint.team_path`."""
        return team_path_of(self.ownership, self.extra)

    def following(self, old_identifier: str) -> BlueprintSpec:
        """This with what leads to itself under its new name."""
        relations = {
            name: replace(one, target=self.identifier) if one.target == old_identifier else one
            for name, one in self.relations.items()
        }
        aggregations = aggregating(self.aggregation_properties, old_identifier, self.identifier)
        return replace(self, relations=relations, aggregation_properties=aggregations)

    def document(self) -> dict[str, Any]:
        """Back to JSON, for comparing."""
        document = {
            "identifier": self.identifier,
            "title": self.title,
            "icon": self.icon,
            "description": self.description,
            "schema": self.schema,
            "relations": {name: r.document() for name, r in self.relations.items()},
            "mirrorProperties": self.mirror_properties,
            "calculationProperties": self.calculation_properties,
            "aggregationProperties": self.aggregation_properties,
            **self.extra,
        }
        if self.ownership is not None:
            document["ownership"] = self.ownership
        return document


def aggregating(aggregations: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """Aggregation properties that follow a blueprint to its new name."""
    return {name: _following(one, old, new) for name, one in aggregations.items()}


def _following(one: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    moved: dict[str, Any] = {"target": new} if one["target"] == old else {}
    filters = one.get("pathFilter") or []
    if any(part.get("fromBlueprint") == old for part in filters):
        moved["pathFilter"] = [
            {**part, "fromBlueprint": new} if part.get("fromBlueprint") == old else part
            for part in filters
        ]
    return {**one, **moved}


def parse(document: Mapping[str, Any]) -> BlueprintSpec:
    """Raises InvalidBlueprint, naming field, value and expectation."""
    try:
        return _parse(document)
    except InvalidBlueprint:
        raise
    except InvalidInput as error:
        raise InvalidBlueprint(error.message, hint=error.hint, details=error.details) from error


def _parse(document: Mapping[str, Any]) -> BlueprintSpec:
    if not isinstance(document, Mapping):
        raise _wrong("blueprint", document, "an object")
    document = dict(document)
    check_json(document)
    document = orjson.loads(orjson.dumps(document))  # a copy of our own, however deep
    identifier = check_blueprint_identifier(document.get("identifier"))
    title = document.get("title") or identifier
    if not isinstance(title, str) or len(title) > 100:
        raise _wrong("title", title, "text of at most 100 characters")
    schema = _schema(document.get("schema"))
    relations = _relations(document.get("relations"))
    mirrors = _computed(document, "mirrorProperties", ("path",))
    calculations = _computed(document, "calculationProperties", ("calculation", "type"))
    aggregations = _computed(document, "aggregationProperties", ("target", "calculationSpec"))
    names: set[str] = set()
    for group in (schema["properties"], mirrors, calculations, aggregations):
        for name in group:
            if name in names:
                raise _wrong("schema", name, "each property name once, computed ones included")
            names.add(name)
    _check_mirrors(mirrors, relations)
    for name, one in calculations.items():
        read_calculation(one, f"calculationProperties.{name}")
    for name, one in aggregations.items():
        read_aggregation(one, f"aggregationProperties.{name}")
    _check_team_inheritance(document.get("teamInheritance"), relations)
    return BlueprintSpec(
        identifier=identifier,
        title=title,
        icon=_optional_text(document, "icon", 100),
        description=_optional_text(document, "description", 1000),
        schema=schema,
        relations=relations,
        mirror_properties=mirrors,
        calculation_properties=calculations,
        aggregation_properties=aggregations,
        ownership=_ownership(document.get("ownership"), relations),
        extra={k: v for k, v in document.items() if k not in _OWN_KEYS | _SERVER_KEYS},
    )


def _schema(value: Any) -> dict[str, Any]:
    schema = {} if value is None else value
    if not isinstance(schema, dict):
        raise _wrong("schema", schema, "an object with properties and required")
    properties = {} if schema.get("properties") is None else schema["properties"]
    required = [] if schema.get("required") is None else schema["required"]
    if not isinstance(properties, dict):
        raise _wrong("schema.properties", properties, "an object")
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise _wrong("schema.required", required, "a list of property names")
    for name, one in properties.items():
        check_property_identifier(name, field="schema.properties")
        _check_property(f"schema.properties.{name}", one)
    for name in required:
        if name not in properties:
            raise _wrong("schema.required", name, f"one of {', '.join(properties) or 'none'}")
    schema = {
        **schema,
        "properties": properties,
        "required": list(dict.fromkeys(required)),
    }
    compiled(schema)
    _check_defaults(schema)
    return schema


def _check_property(path: str, one: Any) -> None:
    if not isinstance(one, dict):
        raise _wrong(path, one, "an object")
    if one.get("type") not in PROPERTY_TYPES:
        raise _wrong(f"{path}.type", one.get("type"), f"one of {', '.join(PROPERTY_TYPES)}")
    for key in ("title", "description", "icon", "format"):
        if one.get(key) is not None and not isinstance(one[key], str):
            raise _wrong(f"{path}.{key}", one[key], "text")
    if "enum" in one and (not isinstance(one["enum"], list) or not one["enum"]):
        raise _wrong(f"{path}.enum", one["enum"], "a list with at least one value")
    if one.get("enumColors") is not None and not isinstance(one["enumColors"], dict):
        raise _wrong(f"{path}.enumColors", one["enumColors"], "an object: value to colour")


def _check_defaults(schema: dict[str, Any]) -> None:
    defaults = {
        name: one["default"]
        for name, one in schema["properties"].items()
        if one.get("default") is not None
    }
    if not defaults:
        return
    for problem in compiled({**schema, "required": []}).problems(defaults, limit=1):
        name = problem.path.split(".")[0]
        raise _wrong(f"schema.properties.{name}.default", defaults[name], problem.expected)


def _relations(value: Any) -> dict[str, RelationSpec]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong("relations", value, "an object")
    relations = {}
    for name, one in value.items():
        path = f"relations.{name}"
        check_property_identifier(name, field="relations")
        if not isinstance(one, dict):
            raise _wrong(path, one, "an object with target, many and required")
        target = one.get("target")
        if not isinstance(target, str) or not target:
            raise _wrong(f"{path}.target", target, 'a blueprint, or "*" for any')
        for key in ("many", "required"):
            if one.get(key) is not None and not isinstance(one[key], bool):
                raise _wrong(f"{path}.{key}", one[key], "true or false")
        if one.get("many") and one.get("required"):
            raise _wrong(f"{path}.required", True, "false, because many is true")
        relations[name] = RelationSpec(
            target=None if target == ANY_TARGET else target,
            many=bool(one.get("many")),
            required=bool(one.get("required")),
            title=_optional_text(one, "title", 100, path),
            description=_optional_text(one, "description", 1000, path),
        )
    return relations


def _computed(document: Mapping[str, Any], key: str, needed: tuple[str, ...]) -> dict[str, Any]:
    value = document.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(key, value, "an object")
    for name, one in value.items():
        check_property_identifier(name, field=key)
        if not isinstance(one, dict):
            raise _wrong(f"{key}.{name}", one, f"an object with {', '.join(needed)}")
        for part in needed:
            if one.get(part) in (None, ""):
                raise _wrong(f"{key}.{name}.{part}", one.get(part), "a value")
    return value


def _check_mirrors(mirrors: dict[str, Any], relations: dict[str, RelationSpec]) -> None:
    for name, one in mirrors.items():
        where = f"mirrorProperties.{name}"
        steps = read_mirror(one, where).steps
        if steps[0] not in relations:
            known = ", ".join(relations) or "none"
            raise _wrong(
                f"{where}.path",
                one["path"],
                f"relation.property, with a relation of this blueprint ({known})",
            )


def _ownership(value: Any, relations: dict[str, RelationSpec]) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.get("type") not in ("Direct", "Inherited"):
        raise _wrong("ownership", value, '{"type": "Direct"} or {"type": "Inherited", "path": …}')
    if value["type"] == "Inherited":
        _check_team_path(value.get("path"), "ownership.path", relations)
    return value


def _check_team_inheritance(value: Any, relations: dict[str, RelationSpec]) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        raise _wrong("teamInheritance", value, '{"path": …}')
    _check_team_path(value.get("path"), "teamInheritance.path", relations)


def _check_team_path(path: Any, field: str, relations: dict[str, RelationSpec]) -> None:
    if read_team_path(path, field)[0] not in relations:
        raise _wrong(field, path, "a path that starts with a relation")


def _optional_text(document: Mapping[str, Any], key: str, limit: int, path: str = "") -> str | None:
    value = document.get(key)
    if value is not None and (not isinstance(value, str) or len(value) > limit):
        field = f"{path}.{key}" if path else key
        raise _wrong(field, value, f"text of at most {limit} characters")
    return value


def _wrong(field: str, value: Any, expected: str) -> InvalidBlueprint:
    return InvalidBlueprint(
        f"{field} is {shorten(value)}; expected {expected}",
        details={"field": field, "value": shorten(value), "expected": expected},
    )
