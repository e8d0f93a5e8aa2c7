"""JSON Schema of templates: what the validator is to see of it, and how two are put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actions.inputs.patterns import is_linear
from catalog.kernel.errors import InvalidInput
from catalog.kernel.schema import compile_schema

MAX_DEPTH: Final = 30

_VALUES: Final = (
    "type", "enum", "const", "format", "minLength", "maxLength", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems",
    "minProperties", "maxProperties", "required",
)  # fmt: skip
_ONE: Final = (
    "items", "additionalItems", "additionalProperties", "propertyNames", "contains", "not",
    "if", "then", "else",
)  # fmt: skip
_MANY: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED: Final = ("properties", "patternProperties")
_FORMATS: Final = (
    "date-time", "date", "time", "email", "ipv4", "ipv6", "hostname", "uri", "uuid", "url",
)  # fmt: skip


def cleaned(schema: Any, depth: int = 0) -> dict[str, Any]:
    """The part of `schema` that says something of values, as the validator takes it.

    Hints for the form go, and so do patterns that it cannot match (they are matched elsewhere),
    formats that only some forms know, and what is not JSON Schema at all.
    """
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return {}
    clean: dict[str, Any] = {}
    for key in _VALUES:
        if key in schema and is_valid({key: schema[key]}):
            clean[key] = schema[key]
    if clean.get("format") not in _FORMATS:
        clean.pop("format", None)
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and is_linear(pattern):
        clean["pattern"] = pattern
    for key in _ONE:
        value = schema.get(key)
        if isinstance(value, bool):
            clean[key] = value
        elif isinstance(value, Mapping):
            clean[key] = cleaned(value, depth + 1)
    for key in _MANY:
        if isinstance(schema.get(key), list) and schema[key]:
            clean[key] = [cleaned(one, depth + 1) for one in schema[key]]
    if isinstance(schema.get("items"), list):  # of draft 7
        clean["prefixItems"] = [cleaned(one, depth + 1) for one in schema["items"]]
    for key in _NAMED:
        if isinstance(schema.get(key), Mapping):
            clean[key] = {name: cleaned(one, depth + 1) for name, one in schema[key].items()}
    return clean


def is_valid(schema: Mapping[str, Any]) -> bool:
    """Whether it is JSON Schema."""
    try:
        compile_schema(schema)
    except InvalidInput:
        return False
    return True


def fits(schema: Any, value: Any) -> bool:
    """Whether `value` satisfies `schema`; nothing satisfies what is no schema."""
    if isinstance(schema, bool):
        return schema
    try:
        return compile_schema(cleaned(schema)).is_valid(value)
    except InvalidInput:
        return False


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both together: names of both, what both say of a name put together, `other` last."""
    whole = {**one, **other}
    for key in ("properties", "definitions", "$defs"):
        if isinstance(one.get(key), Mapping) and isinstance(other.get(key), Mapping):
            whole[key] = dict(one[key])
            for name, schema in other[key].items():
                known = whole[key].get(name)
                both = isinstance(known, Mapping) and isinstance(schema, Mapping)
                whole[key][name] = merged(known, schema) if both else schema
    if required := [*names_in(one.get("required")), *names_in(other.get("required"))]:
        whole["required"] = list(dict.fromkeys(required))
    return whole


def names_in(given: Any) -> list[str]:
    """The names in what should be a list of them."""
    return [name for name in given if isinstance(name, str)] if isinstance(given, list) else []


def target_of(reference: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a `$ref` within `root` leads to; {} where it leads nowhere."""
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return {}
    found: Any = root
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
