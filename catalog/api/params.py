"""Query parameters and bodies as real clients send them: lenient in form, strict in meaning."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from django.http import QueryDict
from django.utils.dateparse import parse_date, parse_datetime
from rest_framework.request import Request

from catalog.kernel.errors import InvalidInput, InvalidRequest, shorten
from catalog.kernel.pagination import decode_cursor
from catalog.services.entities import MissingTargets

_T = TypeVar("_T", int, str)

_FALSE = ("", "false", "0")


def flag(request: Request, name: str) -> bool:
    """Whether `?name=true`. A real client sends the address of its flag, so garbage is true."""
    return request.query_params.get(name, "").strip().lower() not in _FALSE


def missing_targets(request: Request) -> MissingTargets:
    """What to do with relations to entities that nobody made yet; creating them wins."""
    if flag(request, "create_missing_related_entities"):
        return MissingTargets.CREATE
    if flag(request, "keep_missing_related_entities"):
        return MissingTargets.DANGLE
    return MissingTargets.REJECT


def listed(request: Request, name: str) -> list[str]:
    """All values of `?name=a&name=b` and `?name=a,b`."""
    values = [
        part.strip() for value in request.query_params.getlist(name) for part in value.split(",")
    ]
    return [_storable(value, name) for value in values if value]


def text(request: Request, name: str, *, limit: int = 100) -> str:
    """`?name=…`, "" when it is missing. Raises InvalidRequest for more than `limit` characters."""
    value = _storable(request.query_params.get(name, ""), name)
    if len(value) > limit:
        raise wrong(name, value, f"at most {limit} characters")
    return value


def choice(request: Request, name: str, known: Collection[str]) -> str:
    """`?name=…`, one of these; "" when it is missing."""
    value = text(request, name, limit=300)
    if value and value not in known:
        raise wrong(name, value, f"one of {', '.join(known)}")
    return value


def whole(request: Request, name: str, *, default: int, high: int) -> int:
    """`?name=1` to `high`."""
    value = request.query_params.get(name)
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 10 and 1 <= int(value) <= high):
        raise wrong(name, value, f"a whole number from 1 to {high}")
    return int(value)


def moment(request: Request, name: str) -> datetime | None:
    """`?name=2026-03-03T10:00:00Z`; without an offset it is UTC. None when it is missing."""
    value = request.query_params.get(name)
    return parse_moment(value, name) if value else None


def parse_moment(value: object, name: str) -> datetime:
    """An aware moment from RFC 3339 text, or a day. Raises InvalidRequest."""
    found = None
    if isinstance(value, str):
        try:
            # A `+` that was not encoded arrives as a blank.
            found = parse_datetime(value.strip().replace(" ", "+") if "T" in value else value)
            if found is None and (day := parse_date(value)):
                found = datetime(day.year, day.month, day.day)
        except ValueError:
            found = None
    if found is None:
        raise wrong(name, value, "a moment like 2026-03-03T10:00:00Z")
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise wrong(name, value, "a moment of the years 1 to 9999") from None


def cursor_value(cursor: str, kind: type[_T]) -> _T:
    """The one value of a cursor of ours. Raises InvalidRequest for anything else."""
    [value] = decode_cursor(cursor, length=1)
    is_good = type(value) is kind
    if isinstance(value, str):
        is_good = is_good and "\x00" not in value
    elif isinstance(value, int):
        is_good = is_good and 0 < value < 2**63
    if not is_good:
        raise wrong("from", cursor, "the `next` of the page before")
    return cast(_T, value)


def body_object(request: Request, *, may_be_empty: bool = False) -> dict[str, Any]:
    """The body, which must be a JSON object; {} for an absent one where that is allowed."""
    body = request.data
    is_absent = isinstance(body, QueryDict) or (body == {} and not _has_body(request))
    if is_absent and not may_be_empty:
        hint = ""
        if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
            hint = "Send a Content-Length: chunked bodies are not read."
        raise InvalidRequest("The request has no body; expected a JSON object", hint=hint)
    if is_absent:
        return {}
    if not isinstance(body, dict):
        raise InvalidRequest(
            f"The body is {_kind(body)}; expected a JSON object",
            details={"field": "body", "value": _kind(body), "expected": "an object"},
        )
    return body


def body_list(body: dict[str, Any], name: str, *, high: int) -> list[Any]:
    """`body[name]`, a list of 1 to `high` values. Raises InvalidInput."""
    value = body.get(name)
    if not isinstance(value, list):
        raise InvalidInput(
            f"{name} is {_kind(value)}; expected a list of 1 to {high}",
            details={"field": name, "value": shorten(value), "expected": f"a list of 1 to {high}"},
        )
    if not 1 <= len(value) <= high:
        raise InvalidInput(
            f"{name} has {len(value)} values; expected 1 to {high}",
            details={"field": name, "value": len(value), "expected": f"1 to {high} values"},
        )
    return value


def body_text(body: dict[str, Any], name: str, *, default: str | None = None) -> str:
    """`body[name]`, text that can be stored. Raises InvalidInput."""
    value = body.get(name, default)
    if not isinstance(value, str) or "\x00" in value:
        raise InvalidInput.of(name, value, "text")
    return value


def body_whole(body: dict[str, Any], name: str, *, high: int) -> int | None:
    """`body[name]`, 1 to `high`; None when it is missing. Raises InvalidInput."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= high:
        raise InvalidInput.of(name, value, f"a whole number from 1 to {high}")
    return value


def body_names(body: dict[str, Any], name: str) -> list[str]:
    """`body[name]`, a list of text; [] when it is missing. Raises InvalidInput."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(
        isinstance(v, str) and "\x00" not in v for v in value
    ):
        raise InvalidInput.of(name, value, "a list of text")
    return cast("list[str]", value)


def _has_body(request: Request) -> bool:
    return request.META.get("CONTENT_LENGTH") not in (None, "", "0")


def _storable(value: str, name: str) -> str:
    if "\x00" in value:
        raise wrong(name, value, "text without NUL characters")
    return value


def wrong(name: str, value: object, expected: str) -> InvalidRequest:
    """To be raised for a parameter."""
    return InvalidRequest(
        f'{name} is "{shorten(value)}"; expected {expected}',
        details={"field": name, "value": shorten(value), "expected": expected},
    )


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "an object"
