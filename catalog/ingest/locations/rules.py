"""Which kinds may come from which places: `catalog.rules` of Backstage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import regex

from catalog.ingest.sources.repository_files import glob

Test = Callable[[str, str], bool]  # kind and spec.type, both in lower case


class Rules:
    """The rules that hold for the entities of one origin.

    An entity passes when any rule allows it, so those of the location itself add to the common
    ones. Without any rule, every kind passes. A Location always passes where its targets are
    followed, as there: it must be allowed like any other kind.
    """

    def __init__(
        self,
        common: Sequence[Mapping[str, Any]],
        *,
        type: str,
        target: str,
        own: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        holding = [rule for rule in common if _holds(rule, type, target)]
        self._is_free = not common
        self._tests = [_test(one) for rule in (*holding, *own) for one in rule["allow"]]

    def allow(self, entity: Mapping[str, Any]) -> bool:
        """Whether an entity with a sound envelope may come from there."""
        if self._is_free:
            return True
        spec = entity.get("spec")
        type_ = spec.get("type") if isinstance(spec, Mapping) else None
        kind = str(entity["kind"]).lower()
        type_ = type_.lower() if isinstance(type_, str) else ""
        return any(test(kind, type_) for test in self._tests)


def _holds(rule: Mapping[str, Any], type: str, target: str) -> bool:
    places = rule.get("locations")
    return places is None or any(_is_meant(place, type, target) for place in places)


def _is_meant(place: Mapping[str, Any], type: str, target: str) -> bool:
    if place["type"] != type:
        return False
    if exact := place.get("exact"):
        return bool(exact == target)
    if pattern := place.get("pattern"):
        return is_match(pattern, target)
    return True


def is_match(pattern: str, target: str) -> bool:
    """Whether a pattern (`*`, `**`, `?`, `[…]`, `{a,b}`) means a target, whatever its case."""
    found: regex.Pattern[str] = glob(pattern)
    return found.fullmatch(target.strip("/")) is not None


def _test(allowed: str | Mapping[str, str]) -> Test:
    if isinstance(allowed, str):
        wanted = allowed.lower()
        return lambda kind, type: kind == wanted
    wanted = allowed["kind"].lower()
    wanted_type = str(allowed.get("spec.type", "")).lower()
    return lambda kind, type: kind == wanted and (not wanted_type or type == wanted_type)
