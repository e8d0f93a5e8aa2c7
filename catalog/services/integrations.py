"""Integrations as rows: made, changed, renamed, removed; each change is in the change feed.

Whoever may do this is asked at the edge (`permissions.require_admin`). What an integration's
mapping means is checked by `catalog.ingest.integrations`, which faces call for sources that run
here; exporters, which run elsewhere, are stored through here as they say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypedDict, Unpack

import orjson
import regex
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import (
    AlreadyExists,
    InvalidInput,
    NotFound,
    shorten,
)
from catalog.kernel.identifiers import check_length
from catalog.kernel.placeholders import names_in
from catalog.kernel.schedules import parse_schedule
from catalog.kernel.schema import Problem, check_json, compile_schema
from catalog.kernel.source import SourceKind
from catalog.models import Change, Integration, Location
from catalog.registry import source_kinds
from catalog.services import secrets

# The settings of a generic webhook: how its sender proves itself (Port's `security`).
WEBHOOK_SETTINGS: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "secret": {
            "type": ["string", "null"],
            "title": "Secret",
            "secret": True,
            "incoming": True,
        },
        "signatureHeaderName": {"type": ["string", "null"], "title": "Header of the signature"},
        "signatureAlgorithm": {
            "type": ["string", "null"],
            "title": "Algorithm",
            "enum": ["sha1", "sha256", "plain", "", None],
        },
        "signaturePrefix": {"type": ["string", "null"], "title": "Prefix of the signature"},
        "requestIdentifierPath": {
            "type": ["string", "null"],
            "title": "JQ of the delivery's name",
        },
    },
}

_IDENTIFIER = regex.compile(r"(?!\.{1,2}$)[\p{L}0-9@_.+:=-]+")


def source_kind(name: str) -> SourceKind:
    """The registered kind of that name. Raises NotFound, naming those there are."""
    if name not in source_kinds:
        error = NotFound.of("Source kind", name, field="name")
        error.hint = f"Installed are: {', '.join(sorted(source_kinds)) or 'none'}."
        raise error
    return source_kinds[name]


class Stated(TypedDict, total=False):
    """What a person says of an integration; what is left out stays as it is.

    settings: the whole of them, with secrets in clear, which are sealed here; secrets that are
    left out, or come as their mask, stay too.
    """

    title: str
    icon: str
    description: str
    settings: Mapping[str, Any]
    mapping: Mapping[str, Any]
    schedule: str
    is_enabled: bool


def create_integration(
    *, identifier: str, kind: str, actor: Actor, **stated: Unpack[Stated]
) -> Integration:
    """Store a source that runs here; without an icon it has that of its kind.

    Raises AlreadyExists, NotFound (no such kind), InvalidInput.
    """
    now = timezone.now()
    integration = Integration(
        identifier=_identifier(identifier),
        kind=check_length(kind, "kind", 100),
        created_at=now,
        created_by=actor.name,
        updated_at=now,
        updated_by=actor.name,
    )
    icon = stated.get("icon") or source_kind(kind).icon
    _assign(integration, {"settings": {}, **stated, "icon": icon}, now)
    with transaction.atomic():
        _save_unique(integration)
        _record(feed.CREATE, integration, actor=actor, at=now)
    return integration


def update_integration(
    integration: Integration, *, actor: Actor, **stated: Unpack[Stated]
) -> Integration:
    """Change what is said; a change of nothing changes nothing (nor `updated_at`).

    Returns the row as it is now. Raises NotFound, InvalidInput.
    """
    with transaction.atomic():
        row = _locked(integration)
        before, sealed = integration_document(row), _bytes(row.sealed)
        now = timezone.now()
        _assign(row, stated, now)
        _save_change(row, before, actor=actor, at=now, has_new_secrets=_bytes(row.sealed) != sealed)
    return row


def rename_integration(integration: Integration, identifier: str, *, actor: Actor) -> Integration:
    """Give it another identifier; what it owns stays its own. Raises AlreadyExists, NotFound."""
    with transaction.atomic():
        row = _locked(integration)
        before = integration_document(row)
        row.identifier = _identifier(identifier)
        _save_change(row, before, actor=actor, at=timezone.now(), action=feed.RENAME)
    return row


def set_enabled(integration: Integration, is_enabled: bool, *, actor: Actor) -> Integration:
    """Turn its schedule and live events on or off."""
    return update_integration(integration, actor=actor, is_enabled=is_enabled)


def delete_integration(integration: Integration, *, actor: Actor) -> None:
    """Remove it with its runs, log and events; the entities it wrote stay and are nobody's. What it
    found to be read is read on.

    `catalog.ingest.integrations.delete_source` deletes those too where that is asked for.
    """
    with transaction.atomic():
        row = _locked(integration)
        _record(feed.DELETE, row, actor=actor, at=timezone.now(), before=integration_document(row))
        Location.objects.filter(integration=row).update(integration=None)
        row.delete()


def integration_document(integration: Integration) -> dict[str, Any]:
    """What the history keeps: all that a person may set, of secrets only which are there."""
    return {
        "identifier": integration.identifier,
        "title": integration.title,
        "icon": integration.icon,
        "description": integration.description,
        "kind": integration.kind,
        "isEnabled": integration.is_enabled,
        "settings": integration.settings,
        "secrets": secrets.names_of_sealed(_bytes(integration.sealed)),
        "mapping": integration.mapping,
        "schedule": integration.schedule,
    }


def _assign(integration: Integration, stated: Stated, now: datetime) -> None:
    if "title" in stated:
        integration.title = check_length(stated["title"], "title", 200)
    if "icon" in stated:
        integration.icon = check_length(stated["icon"], "icon", 100)
    if "description" in stated:
        integration.description = stated["description"]
    if "settings" in stated:
        _set_settings(integration, stated["settings"])
    if "mapping" in stated:
        integration.mapping = dict(_an_object(stated["mapping"], "mapping"))
    was_on = integration.is_enabled
    integration.is_enabled = stated.get("is_enabled", was_on)
    if "schedule" in stated or integration.is_enabled != was_on:
        _set_schedule(integration, stated.get("schedule", integration.schedule).strip(), now)


def _set_settings(integration: Integration, values: Mapping[str, Any]) -> None:
    """Check and keep settings. Of those of exporters nothing is known, so nothing is checked."""
    values = _an_object(values, "settings")
    if not integration.runs_here:
        integration.settings = dict(values)
        return
    schema = source_kind(integration.kind).settings_schema
    secrets.check_kept(schema, integration.settings, values, _bytes(integration.sealed))
    integration.settings, integration.sealed = secrets.seal_settings(
        schema, values, _bytes(integration.sealed)
    )
    sealed = secrets.names_of_sealed(_bytes(integration.sealed))
    whole = {**integration.settings, **{name: values.get(name, secrets.MASK) for name in sealed}}
    # Nothing can be said of what was kept, nor of what is looked up only when it is used.
    unseen = {name for name, value in whole.items() if value == secrets.MASK or names_in(value)}
    check_settings(schema, whole, unseen=unseen)


def check_settings(
    schema: Mapping[str, Any], values: Mapping[str, Any], *, unseen: Collection[str] = ()
) -> None:
    """Raises InvalidInput naming the setting that does not fit, and never a secret's value.

    unseen: settings whose own value is not looked at.
    """
    hidden = {name for name in secrets.secret_properties(schema) if values.get(name)}
    found = [
        one
        for one in compile_schema(schema).problems(dict(values))
        if one.path.split(".")[0] not in unseen
    ]
    if not found:
        return
    problems = [_discreet(one, hidden) for one in found]
    first = problems[0]
    field = f"settings.{first.path}" if first.path else "settings"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    raise InvalidInput(
        f"{field}: {first.message}; expected {first.expected}{more}",
        details={
            "field": field,
            "value": first.value,
            "expected": first.expected,
            "problems": [one.as_dict() for one in problems],
        },
    )


def _discreet(problem: Problem, hidden: Collection[str]) -> Problem:
    """The problem without what may be a secret. One of the whole tells all that is in it."""
    if not problem.path:
        names_keys = problem.expected.startswith(("required", "additionalProperties"))
        message = problem.message if names_keys else "the settings do not fit together"
        return replace(problem, message=message, value="")
    if problem.path.split(".")[0] in hidden:
        return replace(problem, message="it does not fit", value=secrets.MASK)
    return problem


def _set_schedule(integration: Integration, text: str, now: datetime) -> None:
    if text and not integration.runs_here:
        raise InvalidInput(
            "schedule: this integration runs elsewhere and keeps its own schedule",
            details={"field": "schedule", "value": shorten(text), "expected": "nothing"},
        )
    schedule = parse_schedule(check_length(text, "schedule", 100))
    integration.schedule = text
    is_on = schedule is not None and integration.is_enabled
    integration.next_run_at = schedule.next_after(now) if schedule and is_on else None


def _identifier(value: object) -> str:
    if not isinstance(value, str) or len(value) > 100 or not _IDENTIFIER.fullmatch(value):
        expected = "1 to 100 letters, digits and @ _ . + : = -"
        raise InvalidInput(
            f"identifier is {shorten(repr(value))}; expected {expected}",
            details={"field": "identifier", "value": shorten(str(value)), "expected": expected},
        )
    return value


def _an_object(value: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(
            f"{field} must be an object, not {shorten(value)}",
            details={"field": field, "value": shorten(value), "expected": "an object"},
        )
    check_json(dict(value))
    return value


def _locked(integration: Integration) -> Integration:
    row = Integration.objects.select_for_update().filter(pk=integration.pk).first()
    if row is None:
        raise NotFound.of("Integration", integration.identifier)
    return row


def _save_unique(integration: Integration) -> None:
    try:
        with transaction.atomic():
            integration.save()
    except IntegrityError:
        what = "Webhook" if integration.kind == Integration.WEBHOOK else "Integration"
        raise AlreadyExists(
            f'{what} "{integration.identifier}" exists already',
            details={
                "resource": what,
                "with": "identifier",
                "field": "identifier",
                "value": integration.identifier,
            },
        ) from None


def _save_change(
    row: Integration,
    before: Mapping[str, Any],
    *,
    actor: Actor,
    at: datetime,
    action: str = feed.UPDATE,
    has_new_secrets: bool = False,
) -> None:
    same = orjson.dumps(integration_document(row)) == orjson.dumps(before)
    if same and not has_new_secrets:
        return
    row.updated_at, row.updated_by = at, actor.name
    _save_unique(row)
    _record(action, row, actor=actor, at=at, before=before, has_new_secrets=has_new_secrets)


def _record(
    action: str,
    integration: Integration,
    *,
    actor: Actor,
    at: datetime,
    before: Mapping[str, Any] | None = None,
    has_new_secrets: bool = False,
) -> None:
    """Add a change to the feed. `before`: the document as it was."""
    was = now = None
    if action == feed.DELETE:
        was = dict(before or {})
    elif before is not None:
        after = integration_document(integration)
        keys = [key for key in after if orjson.dumps(before[key]) != orjson.dumps(after[key])]
        was, now = {key: before[key] for key in keys}, {key: after[key] for key in keys}
        if has_new_secrets and "secrets" not in now:  # others under the same names
            was["secrets"], now["secrets"] = "as before", "replaced"
    feed.record(
        [
            feed.Record(
                action,
                Change.INTEGRATION,
                integration.identifier,
                "",
                integration.pk,
                was,
                now,
            )
        ],
        actor=actor,
        at=at,
    )


def _bytes(sealed: Any) -> bytes | None:
    return None if sealed is None else bytes(sealed)
