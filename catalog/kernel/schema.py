"""JSON Schema: compiled once, offline, with linear-time regular expressions.

The schema of a blueprint is Port's: each property is JSON Schema (2020-12) plus display keys
(`title`, `icon`, `enumColors`, …) and Port's own formats. Unknown keys and formats are allowed
and mean nothing to the validator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from math import isfinite
from typing import Any

import orjson
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from catalog.kernel.errors import InvalidInput, shorten

MAX_SCHEMA_BYTES = 512 * 1024
MAX_PROBLEMS = 20
MAX_DEPTH = 240
_MARGIN = 254 - MAX_DEPTH  # orjson's limit is 254, and what is stored is later wrapped in answers

PROPERTY_TYPES = ("string", "number", "boolean", "object", "array")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a value. `path` is dotted: "links.0.url"; "" is the whole."""

    path: str
    message: str
    value: str
    expected: str

    @property
    def fault(self) -> tuple[str, str, str]:
        """What is wrong, for comparing: equal for an object that lacks the same key."""
        return (self.path, self.message, self.expected)

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
            raise _schema_error(error, schema) from None
        except ValueError as error:
            raise InvalidInput(f"The schema cannot be used: {error}") from None

    def is_valid(self, value: Any) -> bool:
        try:
            return bool(self._validator.is_valid(value))
        except ValueError:
            return False

    def problems(self, value: Any, *, limit: int = MAX_PROBLEMS) -> list[Problem]:
        """What is wrong with `value`, at most `limit` entries; [] when it is valid."""
        if self.is_valid(value):
            return []
        return list(islice(self._iterate(value), limit))

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


def check_json(value: Any) -> None:
    """Raises InvalidInput for what is not JSON or cannot be stored.

    Refused: NUL characters (PostgreSQL has no place for them), lone surrogates, integers beyond
    64 bits, NaN and infinity, keys that are not text, nesting deeper than `MAX_DEPTH`.
    """
    nested = value
    for _ in range(_MARGIN):
        nested = [nested]
    try:
        data = orjson.dumps(nested)
    except (TypeError, RecursionError) as error:
        reason = str(error)
    else:
        # Both are rare, so that the walk through the value is, too.
        reason = _oddity(value) if b"\\u0000" in data or b"null" in data else ""
    if reason:
        raise InvalidInput(
            f"The value cannot be stored as JSON: {reason}",
            details={
                "expected": "JSON: text in UTF-8 without NUL, integers of 64 bits, finite numbers, "
                f"depth up to {MAX_DEPTH}"
            },
        )


@lru_cache(maxsize=1024)
def _compile(schema: bytes) -> CompiledSchema:
    if len(schema) > MAX_SCHEMA_BYTES:
        raise InvalidInput(
            f"The schema has {len(schema)} bytes; expected at most {MAX_SCHEMA_BYTES}"
        )
    return CompiledSchema(orjson.loads(schema))


def _schema_error(error: ValidationError, schema: Mapping[str, Any]) -> InvalidInput:
    path = [str(part) for part in error.instance_path]
    value, message = _text(error.instance), error.message
    expected = "a JSON Schema (2020-12)"
    if "Retrieval is disabled" in message or "not present in a registry" in message:
        path, value = next(_remote_references(schema), (path, value))
        message = expected = "a $ref may only point inside the schema (#/…)"
    elif 'is not a "regex"' in message:
        expected = "a regular expression without look-around"
        message = f"{message}: a pattern must be {expected}"
    field = ".".join(["schema", *path])
    return InvalidInput(
        f"{field}: {shorten(message, 400)}",
        details={"field": field, "value": shorten(value), "expected": expected},
    )


def _remote_references(schema: Mapping[str, Any]) -> Iterator[tuple[list[str], str]]:
    """Each $ref that leaves the schema, with its path; the validator does not say which it was."""
    stack: list[tuple[list[str], Any]] = [([], schema)]
    while stack:
        path, part = stack.pop()
        members: Iterable[tuple[Any, Any]] = ()
        if isinstance(part, Mapping):
            reference = part.get("$ref")
            if isinstance(reference, str) and not reference.startswith("#"):
                yield [*path, "$ref"], reference
            members = part.items()
        elif isinstance(part, list):
            members = enumerate(part)
        stack.extend(([*path, str(key)], value) for key, value in members)


def _expectation(error: ValidationError) -> str:
    keyword = error.schema_path[-1] if error.schema_path else ""
    kind = error.kind
    if hasattr(kind, "types"):
        return f"{keyword}: {' or '.join(kind.types)}"
    for attribute in ("options", "limit", "pattern", "format", "property"):
        if hasattr(kind, attribute):
            return f"{keyword}: {shorten(_text(getattr(kind, attribute)))}"
    return str(keyword)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return shorten(value)


def _oddity(value: Any) -> str:
    """What PostgreSQL would refuse, or orjson write as null; "" when there is no such thing."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if "\x00" in item:
                return "text with a NUL character (\\u0000)"
        elif isinstance(item, float):
            if not isfinite(item):
                return f"the number {item}"
        elif isinstance(item, dict):
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, list | tuple):
            stack.extend(item)
    return ""


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?!/*\Z)\S+")


def _is_url(value: str) -> bool:
    """An absolute URL as people write them: a scheme, something behind it, no blanks."""
    return _URL.fullmatch(value) is not None


_MOMENT = Draft202012Validator({"format": "date-time"}, validate_formats=True)


def _is_moment(value: str) -> bool:
    return bool(_MOMENT.is_valid(value))
