"""JSON as people type it and as programs send it: strict, order kept, errors by position.
And the texts that stand in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from catalog.kernel.errors import InvalidInput, InvalidRequest, shorten
from catalog.kernel.schema import check_json

# orjson reads an integer beyond 64 bits as a float, which would be another number.
_LONG_NUMBER = re.compile(rb"\d{19}")


def parse_json(data: bytes) -> Any:
    """A body that a program sent; integers of any size stay integers. Raises InvalidRequest.

    orjson refuses NaN, Infinity, lone surrogates and bad UTF-8.
    """
    try:
        value = orjson.loads(data)
        return json.loads(data) if _LONG_NUMBER.search(data) else value
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"The body is not valid JSON: {error}",
            details={
                "line": error.lineno,
                "column": error.colno,
                "position": error.pos,
                "expected": "JSON in UTF-8",
            },
        ) from None
    except (RecursionError, ValueError):  # a number of thousands of digits
        raise InvalidRequest(
            "The body has numbers too long or nesting too deep to be read",
            details={"expected": "integers of 64 bits, nesting up to 254"},
        ) from None


def read_json(text: str) -> Any:
    """The value of `text`. Integers stay integers, keys keep their order.

    Raises InvalidInput, with line and column, for what is not JSON: NaN and Infinity, a key
    given twice, an integer beyond 64 bits, nesting too deep.
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise _invalid(f"Line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise _invalid("The nesting is too deep") from None
    except ValueError as error:  # of the two hooks; and numbers of thousands of digits
        raise _invalid(str(error)) from None
    check_json(value)
    return value


def write_json(value: Any) -> str:
    """`value` as indented text that `read_json` reads back equal."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f'The key "{shorten(key)}" is given twice')
            seen.add(key)
    return result


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(message, details={"expected": "JSON"})


def texts_in(value: Any) -> Iterator[str]:
    """The texts of a JSON value, keys not among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from texts_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts_in(one)
