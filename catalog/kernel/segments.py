"""Parts of an address that may hold any letter, a slash too: `path("things/<segment:thing>", …)`.

Works on paths that are still percent-encoded, as `RawPathMiddleware` makes them. Importing this
module makes the converter known to Django.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from django.urls import register_converter


class SegmentConverter:
    """One part of an encoded path, given to the view decoded. It may then hold any letter."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        text = unquote(value, errors="strict")  # UnicodeDecodeError is a ValueError: no match
        if "\x00" in text:
            raise ValueError("NUL in a path")
        return text

    def to_url(self, value: str) -> str:
        return quote(value, safe="")


register_converter(SegmentConverter, "segment")
