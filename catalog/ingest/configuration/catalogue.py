"""`catalog` and `backend.reading` of Backstage: locations, rules, how descriptors are treated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from catalog.dialects.backstage.config import Entry, seconds
from catalog.ingest.configuration.taking import Taking
from catalog.ingest.locations import registering
from catalog.kernel.errors import InvalidInput
from catalog.models import Location
from catalog.services import catalog_settings

# Backstage resolves paths from where its backend runs.
_BACKEND: Final = "packages/backend"

_ELSEWHERE: Final = {
    "github-discovery": "a source of the kind github-discovery finds descriptors",
    "github-multi-org": "a source of the kind github-discovery brings people and teams",
    "github-org": "a source of the kind github-discovery brings people and teams",
    "gitlab-discovery": "a source of the kind gitlab-discovery finds descriptors",
}


def take_catalogue(taking: Taking, root: Entry, *, prune: bool) -> None:
    catalog = root.get("catalog")
    if reading := root.get("backend", "reading", "allow"):
        with taking.attempt(reading):
            _take_reading(taking, reading)
    if catalog is None:
        return
    for name, take in (
        ("rules", _take_rules),
        ("readonly", _take_readonly),
        ("orphanStrategy", _take_orphans),
        ("processingInterval", _take_interval),
    ):
        if entry := catalog.get(name):
            with taking.attempt(entry):
                take(taking, entry)
    named = set()
    if locations := catalog.get("locations"):
        with taking.attempt(locations):
            for entry in locations.elements():
                with taking.attempt(entry):
                    if place := _take_location(taking, entry):
                        named.add(place)
    _drop(taking, named, prune=prune)


def _take_reading(taking: Taking, entry: Entry) -> None:
    allow: list[dict[str, Any]] = []
    for one in entry.elements():
        host = one.get("host")
        if host is None:
            raise one.wrong("an object with host, perhaps with paths")
        if host.missing:
            taking.left_out(one, host)
            continue
        paths = one.get("paths")
        allow.append({"host": host.text(), **({"paths": paths.texts()} if paths else {})})
    catalog_settings.update(actor=taking.actor, reading_allow=allow)
    taking.taken(entry, "descriptors may be read from this host")
    for one in entry.elements():
        taking.unread_rest(one, ("host", "paths"))


def _take_rules(taking: Taking, entry: Entry) -> None:
    rules = []
    for rule in entry.elements():
        kept = {key: one.value for key, one in rule.items() if key in ("allow", "locations")}
        rules.append(kept)
        taking.unread_rest(rule, ("allow", "locations"))
    catalog_settings.check_rules(rules, field=entry.key)
    catalog_settings.update(actor=taking.actor, rules=rules)
    taking.taken(entry, "a rule for the kinds that may come in")


def _take_readonly(taking: Taking, entry: Entry) -> None:
    is_readonly = entry.flag()
    catalog_settings.update(actor=taking.actor, is_readonly=is_readonly)
    said = (
        "only administrators register locations" if is_readonly else "locations may be registered"
    )
    taking.taken(entry, said)


def _take_orphans(taking: Taking, entry: Entry) -> None:
    strategy = entry.text()
    if strategy not in ("keep", "delete"):
        raise entry.wrong("keep or delete")
    catalog_settings.update(actor=taking.actor, orphan_strategy=strategy)
    said = "are kept and marked" if strategy == "keep" else "are deleted"
    taking.taken(entry, f"entities that no file holds any more {said}")


def _take_interval(taking: Taking, entry: Entry) -> None:
    if entry.value is False:
        taking.unsupported(
            entry, "locations are always read again; unchanged ones cost next to nothing"
        )
        return
    wanted = seconds(entry.value, field=entry.key)
    low, high = catalog_settings.INTERVAL_S
    interval = min(max(math.ceil(wanted), low), high)
    catalog_settings.update(actor=taking.actor, refresh_interval_s=interval)
    said = f"locations are read again every {interval:,} s"
    if interval == wanted:
        taking.taken(entry, said)
    else:
        taking.partly(entry, f"{said}; {low:,} to {high:,} s are possible")


def _take_location(taking: Taking, entry: Entry) -> tuple[str, str] | None:
    """Register it; returns type and target where it is one of ours."""
    said = {}
    for name in ("type", "target"):
        one = entry.get(name)
        if one is None:
            raise entry.refused(f"it has no {name}", expected="type and target")
        if one.missing:
            taking.left_out(entry, one)
            return None
        said[name] = one.text()
    type_, target = said["type"], said["target"]
    if type_ not in Location.Type.values:
        taking.unsupported(entry, _ELSEWHERE.get(type_, "only url and file locations are read"))
        return None
    taking.unread_rest(entry, ("type", "target", "rules", "presence"))
    if type_ == Location.Type.FILE:
        target = _on_disk(taking, target)
    words = f"location {type_}:{target}"
    presence = entry.get("presence")
    rules = entry.get("rules")
    own = [] if rules is None else [one.value for one in rules.elements()]
    known = Location.objects.filter(type=type_, target=target).first()
    if known is None:
        registering.register(
            type_,
            target,
            actor=taking.actor,
            provider=Location.Provider.CONFIGURED,
            presence=presence.text() if presence else Location.Presence.REQUIRED,
            rules=own,
            refresh_now=False,
        )
    elif known.provider != Location.Provider.CONFIGURED:
        words += ", which was registered already"
        if rules:
            taking.partly(rules, "the location keeps the rules it was registered with")
    elif known.rules != own:
        registering.set_rules(known, own, actor=taking.actor)
    if type_ == Location.Type.FILE and not _is_open(target):
        taking.partly(entry, f"{words}; IDP_FILES does not open its folder, so it is not read yet")
        return type_, target
    taking.taken(entry, words)
    return type_, target


def _on_disk(taking: Taking, target: str) -> str:
    """The absolute path of a file, which stands in a folder of the files or of the backend."""
    if Path(target).is_absolute():
        return target
    fallback = ""
    for folder in taking.folders:
        for start in (Path(folder), Path(folder, _BACKEND)):
            whole = (start / target).resolve()
            fallback = fallback or str(whole)
            if any(whole.parent.glob(whole.name)) if "*" in whole.name else whole.exists():
                return str(whole)
    if not fallback:
        raise InvalidInput.of(
            "target", target, "an absolute path: of files that are uploaded the folder is not known"
        )
    return fallback


def _is_open(target: str) -> bool:
    roots: Sequence[str] = settings.IDP_FILES
    return any(Path(target).is_relative_to(Path(root).resolve()) for root in roots)


def _drop(taking: Taking, named: set[tuple[str, str]], *, prune: bool) -> None:
    """Locations of an earlier configuration that this one no longer names."""
    for location in Location.objects.filter(provider=Location.Provider.CONFIGURED):
        if (location.type, location.target) in named:
            continue
        if prune:
            registering.remove(location, taking.actor)
        else:
            taking.leftovers.append(location.place)
