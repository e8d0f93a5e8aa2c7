"""What comes back: capped, unpacked, and its errors in the server's own words."""

from __future__ import annotations

import html
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2
import orjson

from catalog.kernel.errors import InvalidRequest, UpstreamError, shorten
from catalog.kernel.json_text import parse_json

_PIECE_BYTES = 64 * 1024
_WORDS_LIMIT = 300


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. url: as it may be shown. links: of the Link header, absolute, by relation."""

    method: str
    url: str
    status: int
    headers: httpx2.Headers = field(repr=False)
    content: bytes = field(repr=False)
    links: Mapping[str, str] = field(repr=False, default_factory=dict)
    is_cached: bool = False  # the server said that what we had is still right

    @property
    def text(self) -> str:
        return _text(self.headers, self.content)

    def json(self) -> Any:
        """The body as JSON. Raises UpstreamError when it is none."""
        try:
            return parse_json(self.content)
        except InvalidRequest:
            seen = " ".join(self.text[:400].split())
            raise UpstreamError(
                f"{self.method} {self.url} answered {self.status} with what is not JSON: "
                f"{shorten(seen) or 'nothing'}",
                details={"status": self.status, "url": self.url},
            ) from None


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A body that went into a file."""

    url: str
    status: int
    headers: httpx2.Headers = field(repr=False)
    path: Path
    size_bytes: int


def links_of(headers: httpx2.Headers, url: str) -> dict[str, str]:
    """The Link header's addresses by relation, made absolute by the answer's own address."""
    found = httpx2.Response(200, headers={"link": headers.get("link", "")}).links
    return {
        rel: urljoin(url, link["url"])
        for link in found.values()
        if link.get("url")
        for rel in link.get("rel", "").split()
    }


class TooLarge(Exception):
    """An answer passed its cap."""


class Broken(Exception):
    """An answer that ends too early or is packed wrongly."""


def unpacked(chunks: Iterable[bytes], encoding: str, max_bytes: int) -> Iterator[bytes]:
    """The body in pieces, unpacked from gzip or deflate, as far as `max_bytes` reach.

    The cap counts what arrives and what comes out of it, piece by piece: a few bytes can hold
    gigabytes. Raises TooLarge and Broken.
    """
    arrived = given = 0
    unpack = _Unpacker() if encoding in ("gzip", "x-gzip", "deflate") else None
    if unpack is None and encoding not in ("", "identity"):
        raise Broken(f"it is packed with {shorten(encoding, 40)}, which was not asked for")
    for chunk in chunks:
        arrived += len(chunk)
        if arrived > max_bytes:
            raise TooLarge
        for piece in unpack(chunk) if unpack else (chunk,):
            given += len(piece)
            if given > max_bytes:
                raise TooLarge
            yield piece
    if unpack and arrived and not unpack.is_complete:
        raise Broken("the packed answer ends too early")


class _Unpacker:
    """gzip (one member or several), zlib, and the bare deflate that some servers send."""

    def __init__(self) -> None:
        self._bits = zlib.MAX_WBITS | 32  # gzip or zlib, whichever it is
        self._inner = zlib.decompressobj(self._bits)
        self._is_fresh = True
        self.is_complete = False

    def __call__(self, chunk: bytes) -> Iterator[bytes]:
        while True:
            if self._inner.eof:  # another member, or padding that means nothing
                if not chunk.strip(b"\0"):
                    return
                self._inner = zlib.decompressobj(self._bits)
            piece = self._unpack(chunk)
            self.is_complete = self._inner.eof
            chunk = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail
            if piece:
                yield piece
            if not chunk and len(piece) < _PIECE_BYTES:
                return

    def _unpack(self, chunk: bytes) -> bytes:
        try:
            return self._inner.decompress(chunk, _PIECE_BYTES)
        except zlib.error as error:
            if not self._is_fresh:
                raise Broken(f"the packed answer cannot be unpacked: {error}") from error
            self._bits = -zlib.MAX_WBITS
            self._inner = zlib.decompressobj(self._bits)
        finally:
            self._is_fresh = False
        return self._unpack(chunk)


def words_of(headers: httpx2.Headers, content: bytes) -> str:
    """What a server says of its refusal: the message of its JSON, the title of its page, or its
    first line; "" when it says nothing."""
    try:
        said = "; ".join(dict.fromkeys(_said(orjson.loads(content))))
    except orjson.JSONDecodeError:
        text = _text(headers, content[:20_000])
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.I | re.S)
        if title:
            text = html.unescape(title[1])
        elif "<html" in text.lower():
            text = ""
        said = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return shorten(" ".join(said.split()), _WORDS_LIMIT)


def _said(value: Any, depth: int = 0) -> Iterator[str]:
    """The sentences of an error document, in the places where vendors put them."""
    if isinstance(value, str):
        if value.strip():
            yield value.strip()
    elif isinstance(value, list):
        for item in value[:3]:
            yield from _said(item, depth + 1)
    elif isinstance(value, dict) and depth < 4:
        found = False
        for key in ("message", "errorMessages", "error_description", "detail", "title"):
            if (part := value.get(key)) and not found:
                said = list(_said(part, depth + 1))
                found = bool(said)
                yield from said
        errors = value.get("errors") or (None if found else value.get("error"))
        if isinstance(errors, dict) and not {"message", "detail", "title"} & errors.keys():
            # {"summary": "is required"}, as Jira and Rails say it
            for name, part in list(errors.items())[:3]:
                yield from (f"{name}: {said}" for said in _said(part, depth + 1))
        elif errors:
            yield from _said(errors, depth + 1)


def _text(headers: httpx2.Headers, content: bytes) -> str:
    found = re.search(r"charset=\"?([\w.:-]+)", headers.get("content-type", ""), re.I)
    try:
        return content.decode(found[1] if found else "utf-8", "replace")
    except LookupError:
        return content.decode("utf-8", "replace")
