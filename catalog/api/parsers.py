"""Request bodies: JSON, strict and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser

from catalog.kernel.errors import PayloadTooLarge
from catalog.kernel.json_text import parse_json

_DRAINED = 9  # times the limit


class JSONParser(BaseParser):
    """Reads the body up to its cap, and as JSON."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Raises InvalidRequest, naming the position, and PayloadTooLarge."""
        return parse_json(read_up_to(settings.DATA_UPLOAD_MAX_MEMORY_SIZE, stream))


def read_up_to(limit: int | None, stream: IO[bytes]) -> bytes:
    """A body of at most so many bytes. Raises PayloadTooLarge."""
    data = stream.read() if limit is None else stream.read(limit + 1)
    if limit is not None and len(data) > limit:
        _drain(stream, _DRAINED * limit)
        raise PayloadTooLarge(
            f"The body has more than {limit} bytes",
            hint="Send it in smaller parts.",
            details={"expected": f"<= {limit} bytes"},
        )
    return data


def _drain(stream: IO[bytes], size: int) -> None:
    """Read the rest, or the server closes the connection that the next request is sent on."""
    while size > 0 and (part := stream.read(min(size, 65536))):
        size -= len(part)
