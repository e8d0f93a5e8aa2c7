"""The one row of settings of the catalogue, and what may stand in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypedDict, Unpack

import orjson
from django.db import transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import InvalidInput
from catalog.models import CatalogSettings, Change, LocationFile

IDENTIFIER: Final = "catalogue"  # what history calls the row
SERVICE_LOCATORS: Final = ("multiTenant", "singleTenant", "catalogRelation")
MAX_RULES: Final = 500
INTERVAL_S: Final = (10, 7 * 24 * 3600)

_PK: Final = 1
_HOST = re.compile(
    r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9*]{1,5})?|\[[0-9a-fA-F:]+\]"
)
_FIELDS: Final = (
    "rules",
    "reading_allow",
    "orphan_strategy",
    "is_strict",
    "is_readonly",
    "refresh_interval_s",
    "kubernetes",
)


class Stated(TypedDict, total=False):
    """What somebody says of the settings (see `CatalogSettings`); what is left out stays."""

    rules: list[Any]
    reading_allow: list[Any]
    orphan_strategy: str
    is_strict: bool
    is_readonly: bool
    refresh_interval_s: int
    kubernetes: Mapping[str, Any]


def current() -> CatalogSettings:
    """The settings as they are; the usual ones while nobody has said anything."""
    return CatalogSettings.objects.filter(pk=_PK).first() or CatalogSettings(pk=_PK)


def service_locator(settings: CatalogSettings) -> str:
    """Which clusters an entity's workloads are looked for in: one of `SERVICE_LOCATORS`, by the
    first of which nobody needs to say anything."""
    return str(settings.kubernetes.get("serviceLocatorMethod") or SERVICE_LOCATORS[0])


def update(*, actor: Actor, **stated: Unpack[Stated]) -> CatalogSettings:
    """Change what is said; a change of nothing writes nothing. Raises InvalidInput."""
    check(stated)
    with transaction.atomic():
        CatalogSettings.objects.get_or_create(pk=_PK)
        row = CatalogSettings.objects.select_for_update().get(pk=_PK)
        before = settings_document(row)
        for name, value in stated.items():
            setattr(row, name, value)
        after = settings_document(row)
        changed = [name for name in _FIELDS if _text(before[name]) != _text(after[name])]
        if changed:
            row.save(update_fields=changed)
            if {"rules", "is_strict"} & set(changed):  # what was read by others is read anew
                LocationFile.objects.update(content_hash=None, etag="")
            record = feed.Record(
                feed.UPDATE,
                Change.SETTINGS,
                IDENTIFIER,
                before={name: before[name] for name in changed},
                after={name: after[name] for name in changed},
            )
            feed.record([record], actor=actor, at=timezone.now())
    return row


def settings_document(row: CatalogSettings) -> dict[str, Any]:
    """All settings by name."""
    return {name: getattr(row, name) for name in _FIELDS}


def check(stated: Stated) -> None:
    """Raises InvalidInput, naming the first value that is wrong."""
    if "rules" in stated:
        check_rules(stated["rules"])
    if "reading_allow" in stated:
        _check_reading_allow(stated["reading_allow"])
    strategy = stated.get("orphan_strategy", "delete")
    if strategy not in CatalogSettings.OrphanStrategy.values:
        raise InvalidInput.of("orphan_strategy", strategy, "delete or keep")
    low, high = INTERVAL_S
    interval = stated.get("refresh_interval_s", low)
    if isinstance(interval, bool) or not isinstance(interval, int) or not low <= interval <= high:
        raise InvalidInput.of("refresh_interval_s", interval, f"a whole number, {low} to {high}")
    kubernetes = stated.get("kubernetes", {})
    if not isinstance(kubernetes, Mapping):
        raise InvalidInput.of("kubernetes", kubernetes, "a map")
    method = kubernetes.get("serviceLocatorMethod")
    if method is not None and method not in SERVICE_LOCATORS:
        raise InvalidInput.of(
            "kubernetes.serviceLocatorMethod", method, ", ".join(SERVICE_LOCATORS)
        )


def check_rules(rules: Any, *, field: str = "rules", may_name_places: bool = True) -> None:
    """Check rules in Backstage's form. may_name_places: those of one location have no `locations`.

    Raises InvalidInput, naming the first value that is wrong.
    """
    if not isinstance(rules, list):
        raise InvalidInput.of(field, rules, "a list of rules")
    if len(rules) > MAX_RULES:
        raise InvalidInput.of(field, f"a list of {len(rules)}", f"at most {MAX_RULES} rules")
    for index, rule in enumerate(rules):
        here = f"{field}[{index}]"
        if not isinstance(rule, Mapping):
            raise InvalidInput.of(here, rule, "a map with allow")
        known = ("allow", "locations") if may_name_places else ("allow",)
        if unknown := next((key for key in rule if key not in known), None):
            raise InvalidInput.of(here, f"a map with {unknown}", f"no keys but {', '.join(known)}")
        allow = rule.get("allow")
        if not isinstance(allow, list) or not allow:
            raise InvalidInput.of(f"{here}.allow", allow, "a list of kinds")
        for number, one in enumerate(allow):
            _check_allowed(one, f"{here}.allow[{number}]")
        places = rule.get("locations")
        if places is None:
            continue
        if not isinstance(places, list):
            raise InvalidInput.of(f"{here}.locations", places, "a list of places")
        for number, one in enumerate(places):
            _check_place(one, f"{here}.locations[{number}]")


def _check_allowed(one: Any, field: str) -> None:
    if isinstance(one, str) and one:
        return
    if not isinstance(one, Mapping) or not isinstance(one.get("kind"), str) or not one["kind"]:
        raise InvalidInput.of(field, one, 'a kind, or {"kind": …, "spec.type": …}')
    if unknown := next((key for key in one if key not in ("kind", "spec.type")), None):
        raise InvalidInput.of(field, f"a map with {unknown}", "no keys but kind and spec.type")
    if "spec.type" in one and not (isinstance(one["spec.type"], str) and one["spec.type"]):
        raise InvalidInput.of(f"{field}.spec.type", one["spec.type"], "a text")


def _check_place(one: Any, field: str) -> None:
    if not isinstance(one, Mapping) or not isinstance(one.get("type"), str) or not one["type"]:
        raise InvalidInput.of(field, one, 'a map with type, and "exact" or "pattern"')
    if unknown := next((key for key in one if key not in ("type", "exact", "pattern")), None):
        raise InvalidInput.of(field, f"a map with {unknown}", "no keys but type, exact, pattern")
    if "exact" in one and "pattern" in one:
        raise InvalidInput.of(field, "a map with exact and pattern", "one of the two")
    for key in ("exact", "pattern"):
        if key in one and not (isinstance(one[key], str) and one[key]):
            raise InvalidInput.of(f"{field}.{key}", one[key], "a text")


def _check_reading_allow(entries: Any) -> None:
    if not isinstance(entries, list):
        raise InvalidInput.of("reading_allow", entries, "a list of hosts")
    for index, entry in enumerate(entries):
        here = f"reading_allow[{index}]"
        if not isinstance(entry, Mapping):
            raise InvalidInput.of(here, entry, "a map with host, perhaps with paths")
        if unknown := next((key for key in entry if key not in ("host", "paths")), None):
            raise InvalidInput.of(here, f"a map with {unknown}", "no keys but host and paths")
        host = entry.get("host")
        if not isinstance(host, str) or not _HOST.fullmatch(host):
            raise InvalidInput.of(
                f"{here}.host", host, "a host name, as files.example.com, *.example.com, host:8080"
            )
        paths = entry.get("paths", [])
        if paths is None:
            continue
        if not isinstance(paths, list):
            raise InvalidInput.of(f"{here}.paths", paths, "a list of paths")
        for number, path in enumerate(paths):
            if not isinstance(path, str) or not path.startswith("/"):
                raise InvalidInput.of(
                    f"{here}.paths[{number}]", path, 'a path that begins with "/"'
                )


def _text(value: Any) -> bytes:
    return orjson.dumps(value)
