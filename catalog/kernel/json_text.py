"""JSON as people type it: strict, order kept, errors by line and column."""

from __future__ import annotations

import json
from typing import Any

from catalog.kernel.errors import InvalidInput, shorten
from catalog.kernel.schema import check_json


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
