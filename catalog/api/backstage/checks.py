"""Parameters and bodies, checked by what a method declares, refused in the words that Backstage's
clients know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.http import QueryDict
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError, ValidationErrorKind

from catalog.api.openapi import Schema
from catalog.kernel.errors import InvalidRequest, shorten
from catalog.kernel.schema import check_json

_BOOLEANS = {"true": True, "false": False}
_DIGITS = 15  # of a number: within 64 bits, and within what JavaScript can count
_ABSENT: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter.

    is_many: it may be repeated, its value is a list. is_split: each of its values is a list with
    commas, too. minimum: of an integer. choices: all it may be.
    """

    name: str
    description: str
    kind: Literal["string", "integer", "boolean"] = "string"
    is_many: bool = False
    is_split: bool = False
    is_required: bool = False
    minimum: int | None = None
    choices: tuple[str, ...] = ()

    @property
    def schema(self) -> Schema:
        """As the OpenAPI document has it."""
        one: Schema = {"type": self.kind}
        if self.minimum is not None:
            one["minimum"] = self.minimum
        if self.choices:
            one["enum"] = list(self.choices)
        return {"type": "array", "items": one} if self.is_many or self.is_split else one


def check_query(sent: QueryDict, known: Sequence[Parameter]) -> dict[str, Any]:
    """The value of each known parameter: text, number or truth value, None where it was not sent; a
    list for those of many values. Raises InvalidRequest, for unknown ones too."""
    names = {one.name for one in known}
    for name in sent:
        if name not in names:
            raise InvalidRequest(f"Unknown query parameter '{shorten(name)}'")
    for name, values in sent.lists():
        if "" in values:
            raise InvalidRequest(f"Empty value found for query parameter '{name}'")
    found: dict[str, Any] = {}
    for one in known:
        if one.name not in sent:
            if one.is_required:
                raise InvalidRequest(f"request/query must have required property '{one.name}'")
            found[one.name] = [] if one.is_many or one.is_split else None
            continue
        values = sent.getlist(one.name)
        if one.is_split:
            values = [part.strip() for value in values for part in value.split(",")]
            values = [value for value in values if value]
        if one.is_many or one.is_split:
            found[one.name] = [_value(one, value) for value in values]
        elif len(values) > 1:
            raise _wrong(one, f"must be {one.kind}")
        else:
            found[one.name] = _value(one, values[0])
    return found


def check_body(body: Any, validator: Draft202012Validator) -> Any:
    """The body, {} for an absent one. Raises InvalidRequest or InvalidInput."""
    if isinstance(body, QueryDict):
        body = _ABSENT
    check_json(body)
    errors = sorted(validator.iter_errors(body), key=_precedence)
    if errors:
        where = "".join(f"/{part}" for part in ["request", "body", *errors[0].instance_path])[1:]
        raise InvalidRequest(f"{shorten(where, 300)} {_fault(errors[0])}")
    return body


def compile_body(schema: Schema) -> Draft202012Validator:
    """Of a schema without references to others."""
    return Draft202012Validator(schema, offline=True, pattern_options=RegexOptions())


def _value(parameter: Parameter, value: str) -> Any:
    if "\x00" in value:
        raise _wrong(parameter, "must be text without NUL characters")
    if parameter.choices and value not in parameter.choices:
        allowed = ", ".join(parameter.choices)
        raise _wrong(parameter, f"must be equal to one of the allowed values: {allowed}")
    if parameter.kind == "string":
        return value
    if parameter.kind == "boolean":
        if value not in _BOOLEANS:
            raise _wrong(parameter, "must be boolean")
        return _BOOLEANS[value]
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS):
        raise _wrong(parameter, "must be integer")
    if parameter.minimum is not None and int(value) < parameter.minimum:
        raise _wrong(parameter, f"must be >= {parameter.minimum}")
    return int(value)


def _wrong(parameter: Parameter, fault: str) -> InvalidRequest:
    return InvalidRequest(f"request/query/{parameter.name} {fault}")


_FIRST = (
    ValidationErrorKind.Type,
    ValidationErrorKind.Required,
    ValidationErrorKind.AdditionalProperties,
)


def _precedence(error: ValidationError) -> tuple[int, int]:
    place = next((n for n, kind in enumerate(_FIRST) if isinstance(error.kind, kind)), len(_FIRST))
    return len(error.instance_path), place


def _fault(error: ValidationError) -> str:
    kind: Any = error.kind
    match kind.name:
        case "type":
            return f"must be {','.join(kind.types)}"
        case "required":
            return f"must have required property '{kind.property}'"
        case "additionalProperties":
            return "must NOT have additional properties"
        case "enum":
            allowed = ", ".join(str(one) for one in kind.options)
            return f"must be equal to one of the allowed values: {allowed}"
        case "minimum":
            return f"must be >= {kind.limit}"
        case "maximum":
            return f"must be <= {kind.limit}"
    if name := _SIZES.get(kind.name):
        return f"must NOT have {name.format(kind.limit)}"
    return shorten(error.message, 300)


_SIZES: Mapping[str, str] = {
    "minItems": "fewer than {} items",
    "maxItems": "more than {} items",
    "minLength": "fewer than {} characters",
    "maxLength": "more than {} characters",
}
