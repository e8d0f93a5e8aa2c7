"""JSON Schema: compiled once, offline, with linear-time regular expressions.

The schema of a blueprint is Port's: each property is JSON Schema (2020-12) plus display keys
(`title`, `icon`, `enumColors`, …) and Port's own formats. Unknown keys and formats are allowed
and mean nothing to the validator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import orjson
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from catalog.kernel.errors import InvalidInput, shorten

MAX_SCHEMA_BYTES = 512 * 1024
MAX_PROBLEMS = 20

PROPERTY_TYPES = ("string", "number", "boolean", "object", "array")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a value. `path` is dotted: "links.0.url"; "" is the whole."""

    path: str
    message: str
    value: str
    expected: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


class CompiledSchema:
    """A ready validator for objects of one schema. Thread-safe."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises InvalidInput for a schema that is not valid, remote or not linear."""
        try:
            self._validator = Draft202012Validator(
                dict(schema),
                validate_formats=True,
                offline=True,
                pattern_options=RegexOptions(),
                formats={"url": _is_url, "timer": _is_moment},
            )
        except ValidationError as error:
            raise _schema_error(error) from None
        except ValueError as error:
            raise InvalidInput(f"The schema cannot be used: {error}") from None

    def is_valid(self, value: Any) -> bool:
        try:
            return bool(self._validator.is_valid(value))
        except ValueError:
            return False

    def problems(self, value: Any) -> list[Problem]:
        """What is wrong with `value`, at most `MAX_PROBLEMS` entries; [] when it is valid."""
        if self.is_valid(value):
            return []
        return list(_first(self._iterate(value), MAX_PROBLEMS))

    def _iterate(self, value: Any) -> Iterator[Problem]:
        try:
            for error in self._validator.iter_errors(value):
                yield Problem(
                    path=".".join(str(part) for part in error.instance_path),
                    message=shorten(error.message, 400),
                    value=shorten(_text(error.instance)),
                    expected=_expectation(error),
                )
        except ValueError as error:
            yield Problem(path="", message=str(error), value="", expected="JSON of sane depth")


def compile_schema(schema: Mapping[str, Any]) -> CompiledSchema:
    """The compiled form of a schema, cached by its content."""
    return _compile(orjson.dumps(schema))


def check_json(value: Any) -> bytes:
    """`value` as JSON bytes; raises InvalidInput for what is not JSON or cannot be stored.

    Refused: NUL characters (PostgreSQL has no place for them), lone surrogates, integers beyond
    64 bits, nesting deeper than 254.
    """
    try:
        data = orjson.dumps(value)
    except (TypeError, RecursionError) as error:
        raise InvalidInput(
            f"The value cannot be stored as JSON: {error}",
            details={"expected": "JSON: text in UTF-8, integers of 64 bits, depth up to 254"},
        ) from None
    if b"\\u0000" in data and _has_nul(value):
        raise InvalidInput(
            "The value has a NUL character (\\u0000), which cannot be stored",
            details={"expected": "text without NUL characters"},
        )
    return data


@lru_cache(maxsize=1024)
def _compile(schema: bytes) -> CompiledSchema:
    if len(schema) > MAX_SCHEMA_BYTES:
        raise InvalidInput(
            f"The schema has {len(schema)} bytes; expected at most {MAX_SCHEMA_BYTES}"
        )
    return CompiledSchema(orjson.loads(schema))


def _schema_error(error: ValidationError) -> InvalidInput:
    path = ".".join(str(part) for part in error.instance_path)
    message = error.message
    if "Retrieval is disabled" in message:
        message = "a $ref may only point inside the schema (#/…)"
    elif 'is not a "regex"' in message:
        message = f"{message}: a pattern must be a regular expression without look-around"
    return InvalidInput(
        f"schema{'.' + path if path else ''}: {shorten(message, 400)}",
        details={
            "field": f"schema.{path}" if path else "schema",
            "value": shorten(_text(error.instance)),
            "expected": "a JSON Schema (2020-12) without remote references",
        },
    )


def _expectation(error: ValidationError) -> str:
    keyword = error.schema_path[-1] if error.schema_path else ""
    kind = error.kind
    for attribute in ("types", "options", "limit", "pattern", "format", "property"):
        if hasattr(kind, attribute):
            return f"{keyword}: {shorten(_text(getattr(kind, attribute)))}"
    return str(keyword)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return repr(value)


def _first(items: Iterator[Problem], limit: int) -> Iterator[Problem]:
    for count, item in enumerate(items):
        if count == limit:
            return
        yield item


def _has_nul(value: Any) -> bool:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if "\x00" in item:
                return True
        elif isinstance(item, dict):
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, list | tuple):
            stack.extend(item)
    return False


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+")


def _is_url(value: str) -> bool:
    """An absolute URL as people write them: a scheme, something behind it, no blanks."""
    return _URL.fullmatch(value) is not None


_MOMENT = Draft202012Validator({"format": "date-time"}, validate_formats=True)


def _is_moment(value: str) -> bool:
    return bool(_MOMENT.is_valid(value))
