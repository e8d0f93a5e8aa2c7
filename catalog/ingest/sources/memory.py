"""What a source remembers of repositories between two runs, so that unchanged ones cost nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.core.cache import cache

_KEPT_S: Final = 7 * 24 * 3600


class Memory:
    """Answers in Redis that may be forgotten at any time. scope: whose they are, and of what."""

    def __init__(self, *scope: object) -> None:
        self._scope = "\0".join(map(str, scope))

    def get(self, names: Sequence[str]) -> dict[str, Any]:
        """What is remembered of some things, by name."""
        keys = {self._key(name): name for name in names}
        return {keys[key]: held for key, held in cache.get_many(keys).items()}

    def keep(self, held: Mapping[str, Any]) -> None:
        if held:
            cache.set_many({self._key(name): one for name, one in held.items()}, _KEPT_S)

    def _key(self, name: str) -> str:
        return "seen:" + hashlib.sha256(f"{self._scope}\0{name}".encode()).hexdigest()
