"""How many requests that last may be served at once: whoever serves the others comes first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.core.cache import cache

EACH: Final = 2  # of one caller
ALL: Final = 8


class Slot:
    """A place among those served; `renew` keeps it for another `lasts_s`."""

    def __init__(self, keys: tuple[str, ...], lasts_s: float) -> None:
        self._keys = keys
        self._lasts_s = lasts_s

    def renew(self) -> None:
        for key in self._keys:
            cache.touch(key, self._lasts_s)

    def give_back(self) -> None:
        cache.delete_many(self._keys)


@contextmanager
def slot(what: str, principal: Any, *, lasts_s: float) -> Iterator[Slot | None]:
    """A slot for a request of this kind, or None where the caller, or all together, have enough.

    lasts_s: after so long without `renew` it is free again, whatever became of its holder.
    """
    who = getattr(principal, "client_id", "") or f"user-{getattr(principal, 'pk', '')}"
    own = _taken(f"{what}:{who}", EACH, lasts_s)
    shared = _taken(what, ALL, lasts_s) if own else None
    held = Slot((own, shared), lasts_s) if own and shared else None
    if own and not shared:
        cache.delete(own)
    try:
        yield held
    finally:
        if held:
            held.give_back()


def _taken(name: str, count: int, lasts_s: float) -> str | None:
    keys = (f"slot:{name}:{number}" for number in range(count))
    return next((key for key in keys if cache.add(key, 1, lasts_s)), None)
