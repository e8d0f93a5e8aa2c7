"""Places of descriptors come and go: registered, changed, removed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from catalog.ingest.locations import holding, orphans, refresh, trial
from catalog.ingest.locations.reader import PlaceReader
from catalog.kernel import feed
from catalog.kernel.actors import Actor, Principal, Verb
from catalog.kernel.errors import (
    AlreadyExists,
    InvalidInput,
    NotFound,
    PermissionDenied,
    shorten,
)
from catalog.kernel.http import looks_secret
from catalog.kernel.identifiers import is_storable
from catalog.models import Blueprint, CatalogSettings, Change, Integration, Location
from catalog.services import catalog_settings
from catalog.services.permissions import Standing, actor_of, can_administer

MAX_TARGET: Final = 2000  # characters
REJECT, REFRESH = "reject", "refresh"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a registration would come to. exists: whether it is registered already. location: not
    stored. entities: the Location entity, then all that it leads to, as Backstage shows them but
    for uid, etag and relations."""

    exists: bool
    location: Location
    entities: list[dict[str, Any]]


def register(
    type: str,
    target: str,
    *,
    actor: Actor,
    provider: str = Location.Provider.REGISTERED,
    presence: str = Location.Presence.REQUIRED,
    rules: Sequence[Mapping[str, Any]] = (),
    integration: Integration | None = None,
    on_conflict: str = REJECT,
    refresh_now: bool = True,
    run: str = "",
    is_vouched_for: bool = True,
) -> Location:
    """Watch a place from now on; with `refresh_now` what it holds is there when this returns.

    What is wrong with its files is told by the location, not raised. on_conflict: "refresh" reads
    a place that is registered already anew. run: names the action run that asks for it, in the
    history. is_vouched_for: whether an admin who registers a place thereby trusts whoever writes to
    it with users, teams and templates; not where a program chose the place. Raises InvalidInput;
    AlreadyExists.
    """
    location = _new(type, target, presence=presence, rules=rules, actor=actor)
    location.is_trusted = location.is_trusted and is_vouched_for
    location.provider = Location.Provider(provider)
    location.integration = integration
    try:
        with transaction.atomic():
            location.save(force_insert=True)
            _record(feed.CREATE, location, actor, run=run)
    except IntegrityError:
        known = Location.objects.filter(type=type, target=location.target).first()
        if on_conflict != REFRESH or known is None:
            raise AlreadyExists(
                f"Location {shorten(location.place, 300)} already exists",
                details={"resource": "Location", "with": "target", "value": shorten(target)},
            ) from None
        location = known
    if refresh_now:
        refresh.refresh(location, actor, run=run)
        location.refresh_from_db()
    return location


def dry_run(type: str, target: str, *, actor: Actor, presence: str = "required") -> DryRun:
    """What `register` would bring, nothing stored; whether or not locations are read strictly, here
    every problem counts. Raises InvalidInput with all of them in `details["problems"]`."""
    location = _new(type, target, presence=presence, rules=(), actor=actor)
    with PlaceReader() as reader:
        entities = trial.documents_of(location, reader)
    exists = Location.objects.filter(type=type, target=location.target).exists()
    return DryRun(exists, location, entities)


def update(
    location: Location,
    *,
    type: str,
    target: str,
    actor: Actor,
    rules: Sequence[Mapping[str, Any]] | None = None,
) -> Location:
    """Watch another place under the same id and reference; what only the old one held goes.

    rules: other rules of its own; without them those it has stay if an admin does it. It is read
    before this returns. Raises InvalidInput, AlreadyExists, NotFound.
    """
    checked = _new(type, target, presence=location.presence, rules=rules or (), actor=actor)
    try:
        with transaction.atomic():
            row = _locked(location)
            before = audit_document(row)
            row.type, row.target = checked.type, checked.target
            is_moved = (row.type, row.target) != (before["type"], before["target"])
            if is_moved:
                row.is_trusted = checked.is_trusted
            if rules is not None:
                row.rules = checked.rules
            elif is_moved and not row.is_trusted:
                row.rules = []  # an admin gave them to what stood at the old place
            after = audit_document(row)
            if after != before:
                row.updated_at, row.updated_by = checked.updated_at, actor.name
                row.state, row.problem = Location.State.PENDING, ""
                row.next_refresh_at = row.updated_at
                row.save()
                if before["rules"] != after["rules"]:
                    row.files.update(content_hash=None, etag="")
                changed = [key for key in after if before[key] != after[key]]
                _record(
                    feed.UPDATE,
                    row,
                    actor,
                    before={key: before[key] for key in changed},
                    after={key: after[key] for key in changed},
                )
    except IntegrityError:
        raise AlreadyExists(
            f"Location {shorten(checked.place, 300)} already exists",
            details={"resource": "Location", "with": "target", "value": shorten(target)},
        ) from None
    if after != before:
        refresh.refresh(row, actor)
        strategy = catalog_settings.current().orphan_strategy
        if is_moved and strategy == CatalogSettings.OrphanStrategy.DELETE:
            orphans.confirm(location.place, holding.ACTOR)  # however many: that was asked for
        row.refresh_from_db()
    return row


def set_rules(location: Location, rules: Sequence[Mapping[str, Any]], *, actor: Actor) -> Location:
    """Give a location other rules of its own; it is read anew at the next turn.

    Raises InvalidInput, NotFound.
    """
    catalog_settings.check_rules(list(rules), may_name_places=False)
    with transaction.atomic():
        row = _locked(location)
        before = row.rules
        if before != list(rules):
            row.rules = list(rules)
            row.updated_at, row.updated_by = timezone.now(), actor.name
            row.next_refresh_at = row.updated_at
            row.save(update_fields=["rules", "updated_at", "updated_by", "next_refresh_at"])
            row.files.update(content_hash=None, etag="")
            _record(feed.UPDATE, row, actor, before={"rules": before}, after={"rules": row.rules})
    return row


def remove(location: Location, actor: Actor, *, run: str = "") -> int:
    """Stop watching a place: its Location entity goes, and at once all that only it held.

    What other locations hold as well is handed over to them; what others need (a required
    relation) stays as an orphan. Returns how many entities went. run: what history calls the sync
    that found the place to be gone. Raises NotFound.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        holding.lock(holding.blueprints_of(cursor, location))
        row = _locked(location)
        now = timezone.now()
        count = holding.release(cursor, row, actor=actor, at=now, run=run)
        _record(feed.DELETE, row, actor, before=audit_document(row), run=run)
        row.delete()
    return count


# --- who may --------------------------------------------------------------------------------


def may_register(principal: Principal, type: str = Location.Type.URL) -> bool:
    """Admins; others only addresses, unless the settings say that nobody does, if they may
    register entities of the blueprint `location`, or are members while it has no permissions of
    its own or is not there yet."""
    if can_administer(principal):
        return True
    if type != Location.Type.URL or catalog_settings.current().is_readonly:
        return False
    blueprint = Blueprint.objects.filter(identifier=holding.BLUEPRINT).first()
    standing = Standing(principal)
    rules = (blueprint.permissions if blueprint else None) or {}
    return standing.is_granted(rules.get(Verb.REGISTER), team=None)


def require_register(principal: Principal, type: str = Location.Type.URL) -> None:
    """Raises PermissionDenied."""
    if not may_register(principal, type):
        what = "files of this server" if type == Location.Type.FILE else "locations"
        raise PermissionDenied(f"You may not register {what}", hint="Ask an admin to do it.")


def may_remove(principal: Principal, location: Location) -> bool:
    """Admins, and whoever registered it."""
    if can_administer(principal):
        return True
    is_own = location.created_by == actor_of(principal).name
    is_registered = location.provider == Location.Provider.REGISTERED
    return is_own and is_registered and may_register(principal, location.type)


def require_remove(principal: Principal, location: Location) -> None:
    """Raises PermissionDenied."""
    if not may_remove(principal, location):
        raise PermissionDenied(
            "You may not remove this location", hint="Ask an admin, or whoever registered it."
        )


def audit_document(location: Location) -> dict[str, Any]:
    """A location as history keeps it: what people said of it."""
    return {
        "id": str(location.pk),
        "type": location.type,
        "target": location.target,
        "presence": location.presence,
        "rules": location.rules,
        "entityRef": location.entity_ref,
    }


def entity_ref_of(type: str, target: str) -> str:
    """The reference of the Location entity made for a place, as Backstage makes it."""
    digest = sha1(f"{type}:{target}".encode(), usedforsecurity=False).hexdigest()
    return f"location:default/generated-{digest}"


def _new(
    type: str, target: str, *, presence: str, rules: Sequence[Mapping[str, Any]], actor: Actor
) -> Location:
    now = timezone.now()
    if type not in Location.Type.values:
        raise InvalidInput.of("type", type, "url or file")
    if presence not in Location.Presence.values:
        raise InvalidInput.of("presence", presence, "required or optional")
    target = _target(type, target)
    catalog_settings.check_rules(list(rules), may_name_places=False)
    return Location(
        type=type,
        target=target,
        presence=presence,
        rules=list(rules),
        is_trusted=actor.authority is None,
        entity_ref=entity_ref_of(type, target),
        next_refresh_at=now,
        created_at=now,
        created_by=actor.name,
        updated_at=now,
        updated_by=actor.name,
    )


def _target(type: str, said: Any) -> str:
    what = "an absolute address" if type == Location.Type.URL else "an absolute path"
    if not isinstance(said, str) or not said.strip():
        raise InvalidInput.of("target", said, what)
    target = said.strip()
    if len(target) > MAX_TARGET:
        raise InvalidInput.of("target", target, f"at most {MAX_TARGET:,} characters")
    if not is_storable(target) or _CONTROL.search(target):
        raise InvalidInput.of("target", repr(target), "a text without control characters")
    if type == Location.Type.FILE:
        path = PurePosixPath(target)
        if not path.is_absolute() or ".." in path.parts:
            raise InvalidInput.of("target", target, f"{what} without ..")
        if target.endswith("/"):
            raise InvalidInput.of("target", target, "a file or a pattern, not a folder")
        return target
    try:
        split = urlsplit(target)
        is_address = split.scheme in ("http", "https") and bool(split.hostname)
    except ValueError:
        is_address = False
    if not is_address:
        raise InvalidInput.of("target", target, "an address that begins with https:// or http://")
    if split.username or split.password:
        raise InvalidInput(
            "target has a user name or password in it; expected an address without",
            hint="Set up a GitHub or GitLab source with a token for that host.",
            details={"field": "target", "expected": "an address without credentials"},
        )
    for name, value in parse_qsl(split.query):
        if value and looks_secret(name):
            raise InvalidInput(
                f'target has "{shorten(name)}" in its query, which everybody sees; expected an '
                "address without credentials",
                hint="Set up a GitHub or GitLab source with a token for that host.",
                details={"field": "target", "expected": "an address without credentials"},
            )
    return target


def _locked(location: Location) -> Location:
    row = Location.objects.select_for_update().filter(pk=location.pk).first()
    if row is None:
        raise NotFound.of("Location", str(location.pk), field="id")
    return row


def _record(
    action: str,
    location: Location,
    actor: Actor,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    run: str = "",
) -> None:
    record = feed.Record(action, Change.LOCATION, location.place[:1000], before=before, after=after)
    feed.record([record], actor=actor, at=timezone.now(), run=run)
