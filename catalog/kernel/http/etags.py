"""Answers kept with their ETag: a server that says "not modified" spares both sides the work."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from django.core.cache import cache


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer as it was. headers: those that a reader of the body needs (type, paging links)."""

    etag: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class EtagStore(Protocol):
    """Where a client keeps answers. A key stands for one address and what was asked of it."""

    def get(self, key: str) -> Stored | None: ...

    def set(self, key: str, stored: Stored) -> None: ...


class CacheEtags:
    """Keeps answers in Redis.

    scope: whose answers these are, such as an integration and its credentials: another's must
    never be shown. max_bytes: bodies that pack to more are not kept. keep_s: how long.
    """

    def __init__(
        self, scope: str, *, max_bytes: int = 512 * 1024, keep_s: int = 7 * 24 * 3600
    ) -> None:
        self._scope = scope
        self._max_bytes = max_bytes
        self._keep_s = keep_s

    def get(self, key: str) -> Stored | None:
        held = cache.get(self._name(key))
        if held is None:
            return None
        etag, packed, headers = held
        return Stored(etag, zlib.decompress(packed), headers)

    def set(self, key: str, stored: Stored) -> None:
        packed = zlib.compress(stored.body, 1)
        if len(packed) <= self._max_bytes:
            held = (stored.etag, packed, dict(stored.headers))
            cache.set(self._name(key), held, self._keep_s)

    def _name(self, key: str) -> str:
        # A digest: addresses are long, and may hold what should not be read in a list of keys.
        return "etag:" + hashlib.sha256(f"{self._scope}\0{key}".encode()).hexdigest()
