"""Which kinds may come from which places: `catalog.rules` of Backstage."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import regex

from catalog.dialects.backstage.mapping import blueprint_of
from catalog.ingest.sources.repository_files import glob
from catalog.models import Blueprint, CatalogSettings, Location

Test = Callable[[str, str], bool]  # kind and spec.type, both in lower case


class Rules:
    """The rules that hold for the entities of one origin.

    An entity passes when any rule allows it, so those of the location itself add to the common
    ones. Without any rule, every kind passes. A Location always passes where its targets are
    followed, as there: it must be allowed like any other kind.

    is_trusted: without it, what not every member may write (users, teams, blueprints that have
    permissions of their own) passes only where the location's own rules allow it.
    """

    def __init__(
        self,
        common: Sequence[Mapping[str, Any]],
        *,
        type: str,
        target: str,
        own: Sequence[Mapping[str, Any]] = (),
        is_trusted: bool = True,
    ) -> None:
        holding = [rule for rule in common if _holds(rule, type, target)]
        self._is_free = not common
        self._is_trusted = is_trusted
        self._own = [_test(one) for rule in own for one in rule["allow"]]
        self._tests = [*self._own, *(_test(one) for rule in holding for one in rule["allow"])]

    @classmethod
    def of(cls, location: Location, settings: CatalogSettings) -> Self:
        """Those that hold for what a location leads to."""
        return cls(
            settings.rules,
            type=location.type,
            target=location.target,
            own=location.rules,
            is_trusted=location.is_trusted,
        )

    def allow(self, entity: Mapping[str, Any]) -> bool:
        """Whether an entity with a sound envelope may come from there."""
        kind = str(entity["kind"]).lower()
        is_open = self._is_trusted or blueprint_of(kind) not in self._guarded
        if self._is_free and is_open:
            return True
        spec = entity.get("spec")
        type_ = spec.get("type") if isinstance(spec, Mapping) else None
        type_ = type_.lower() if isinstance(type_, str) else ""
        return any(test(kind, type_) for test in (self._tests if is_open else self._own))

    @cached_property
    def _guarded(self) -> Collection[str]:
        """Blueprints whose entities not every member may write."""
        guarded = Blueprint.objects.filter(is_system=True) | Blueprint.objects.filter(
            permissions__isnull=False
        )
        return set(guarded.values_list("identifier", flat=True))


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
