"""Opaque keyset cursors: the sort values of the last row of a page, packed for a URL."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import orjson

from catalog.kernel.errors import InvalidRequest, shorten


def encode_cursor(values: Sequence[Any]) -> str:
    """`values` must be JSON; dates go in as ISO text."""
    return base64.urlsafe_b64encode(orjson.dumps(list(values))).decode().rstrip("=")


def decode_cursor(cursor: str, *, length: int, field: str = "from") -> list[Any]:
    """The values of a cursor made by `encode_cursor` with `length` values.

    Raises InvalidRequest for anything else.
    """
    try:
        document = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        # the database has no text with NUL, so no list gave it out
        is_forged = b"\\u0000" in document.replace(b"\\\\", b"")
        values = None if is_forged else orjson.loads(document)
    except (ValueError, binascii.Error):
        values = None
    if not isinstance(values, list) or len(values) != length:
        raise InvalidRequest(
            f'{field} "{shorten(cursor)}" is not a cursor of this list',
            hint="Use the value of `next` of the page before, with the same query.",
            details={"field": field, "value": shorten(cursor), "expected": "a cursor"},
        )
    return values
