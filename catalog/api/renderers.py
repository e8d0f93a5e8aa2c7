"""Answers are JSON, whatever the client says it accepts: real clients send odd headers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.utils.mediatypes import media_type_matches


class JSONRenderer(BaseRenderer):
    """Writes JSON with orjson. `orjson.Fragment`s go out as they are."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        try:
            return orjson.dumps(data)
        except TypeError:  # integers beyond 64 bits, which rules may come to
            return json.dumps(data, ensure_ascii=False, allow_nan=False).encode()


class JSONOnly(BaseContentNegotiation):
    """Always the first renderer; a body without a media type is taken for the first parser's."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        given = request.content_type
        return next(
            (p for p in parsers if not given or media_type_matches(p.media_type, given)), None
        )

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, first.media_type
