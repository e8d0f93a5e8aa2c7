"""A server that is away is not waited for again and again in one round."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from catalog.dialects.backstage.reader import (
    MAX_FILE_BYTES,
    FileUnreachable,
    Read,
    Reader,
    address_in,
    is_file,
)

MAX_FAILURES: Final = 3


@dataclass(slots=True)
class Impatient:
    """A reader that gives a host up for good after some failures; may be shared by threads."""

    reader: Reader
    failures: Counter[str] = field(default_factory=Counter)
    last: dict[str, FileUnreachable] = field(default_factory=dict)

    def read(self, place: str, *, etag: str = "", max_bytes: int = MAX_FILE_BYTES) -> Read | None:
        host = _host(place)
        self._check(host)
        try:
            return self.reader.read(place, etag=etag, max_bytes=max_bytes)
        except FileUnreachable as error:
            self._note(host, error)
            raise

    def expand(self, place: str) -> list[str]:
        host = _host(place)
        self._check(host)
        try:
            return self.reader.expand(place)
        except FileUnreachable as error:
            self._note(host, error)
            raise

    def resolve(self, base: str, target: str, *, type: str = "") -> str:
        return self.reader.resolve(base, target, type=type)

    def annotations(self, place: str) -> dict[str, str]:
        return self.reader.annotations(place)

    def check_content(self, base: str, place: str) -> None:
        self.reader.check_content(base, place)

    def _check(self, host: str) -> None:
        if host and self.failures[host] >= MAX_FAILURES:
            error = self.last[host]
            raise FileUnreachable(error.message, hint=error.hint, details=error.details)

    def _note(self, host: str, error: FileUnreachable) -> None:
        self.last[host] = error
        self.failures[host] += 1


def _host(place: str) -> str:
    """Empty for files of this server, and for what is no address."""
    try:
        return "" if is_file(place) else urlsplit(address_in(place)).netloc.rpartition("@")[2]
    except ValueError:
        return ""
