"""What people fill in before an action runs: checked as far as plain values go.

A key of an input whose value is computed (`{"jqQuery": …}`) is not checked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from catalog.kernel.errors import InvalidInput, shorten
from catalog.kernel.identifiers import check_property_identifier
from catalog.kernel.schema import check_json, compile_schema

MASK: Final = "••••••"
_TYPES: Final = ("string", "number", "boolean", "object", "array")
_FORMATS: Final = ("date-time", "url", "email", "ipv4", "ipv6")
_LIMITS: Final = (
    "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems",
)  # fmt: skip


def check_inputs(user_inputs: Mapping[str, Any]) -> None:
    """Raises InvalidInput for a definition that no value could be checked against."""
    for name in _definitions(user_inputs):
        check_property_identifier(name, field="trigger.userInputs.properties")
    compile_schema(_schema(user_inputs))


def checked_inputs(user_inputs: Mapping[str, Any], given: Any) -> dict[str, Any]:
    """The inputs with their plain defaults, those that travel encrypted masked.

    Raises InvalidInput naming the input, the value and what was expected.
    """
    if not isinstance(given, Mapping):
        raise InvalidInput(
            f"properties is {shorten(given)}; expected an object",
            details={"field": "properties", "value": shorten(given), "expected": "an object"},
        )
    check_json(dict(given))
    definitions = _definitions(user_inputs)
    if unknown := [name for name in given if name not in definitions]:
        known = ", ".join(definitions) or "none"
        raise InvalidInput(
            f"properties.{shorten(unknown[0])}: there is no such input; the action has {known}",
            details={
                "field": f"properties.{shorten(unknown[0])}",
                "value": shorten(given[unknown[0]]),
                "expected": f"one of {known}",
            },
        )
    defaults = {
        name: one["default"]
        for name, one in definitions.items()
        if one.get("default") is not None and not _is_computed(one["default"])
    }
    values = {name: value for name, value in {**defaults, **given}.items() if value is not None}
    if problems := compile_schema(_schema(user_inputs)).problems(values):
        first = problems[0]
        secret = {name for name, one in definitions.items() if one.get("encryption")}
        is_secret = first.path.partition(".")[0] in secret
        field = f"properties.{first.path}" if first.path else "properties"
        raise InvalidInput(
            f"{field}: {'the value does not fit' if is_secret else first.message}",
            details={
                "field": field,
                "value": MASK if is_secret else first.value,
                "expected": first.expected,
            },
        )
    return {
        name: MASK if definitions[name].get("encryption") else value
        for name, value in values.items()
    }


def _definitions(user_inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = user_inputs.get("properties") or {}
    return found


def _schema(user_inputs: Mapping[str, Any]) -> dict[str, Any]:
    definitions = _definitions(user_inputs)
    required = user_inputs.get("required")
    return {
        "type": "object",
        "properties": {name: _plain(one) for name, one in definitions.items()},
        "required": [
            name
            for name in (required if isinstance(required, list) else [])
            # whether somebody saw a hidden one depends on the others
            if name in definitions and definitions[name].get("visible", True) is True
        ],
    }


def _plain(definition: Mapping[str, Any]) -> dict[str, Any]:
    plain = {
        key: definition[key]
        for key in _LIMITS
        if definition.get(key) is not None and not _is_computed(definition[key])
    }
    if definition.get("type") in _TYPES:
        plain["type"] = definition["type"]
    if definition.get("format") in _FORMATS:
        plain["format"] = definition["format"]
    if isinstance(definition.get("items"), Mapping):
        plain["items"] = _plain(definition["items"])
    return plain


def _is_computed(value: Any) -> bool:
    return isinstance(value, Mapping) and "jqQuery" in value
