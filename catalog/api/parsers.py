"""Request bodies: JSON, strict and bounded."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from rest_framework.parsers import BaseParser

from catalog.kernel.errors import InvalidRequest, PayloadTooLarge

_DRAINED = 9  # times the limit
# orjson reads an integer beyond 64 bits as a float, which would be another number.
_LONG_NUMBER = re.compile(rb"\d{19}")


class JSONParser(BaseParser):
    """Reads JSON with orjson, which refuses NaN, Infinity, lone surrogates and bad UTF-8."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Raises InvalidRequest, naming the position, and PayloadTooLarge."""
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        data = stream.read() if limit is None else stream.read(limit + 1)
        if limit is not None and len(data) > limit:
            _drain(stream, _DRAINED * limit)
            raise PayloadTooLarge(
                f"The body has more than {limit} bytes",
                hint="Send it in smaller parts.",
                details={"expected": f"<= {limit} bytes"},
            )
        return parse_json(data)


def _drain(stream: IO[bytes], size: int) -> None:
    """Read the rest, or the server closes the connection that the next request is sent on."""
    while size > 0 and (part := stream.read(min(size, 65536))):
        size -= len(part)


def parse_json(data: bytes) -> Any:
    """`data` as JSON; integers of any size stay integers. Raises InvalidRequest."""
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
