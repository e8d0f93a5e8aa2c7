"""The organisation: its name, its settings, and what it has to announce."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.db import transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import InvalidInput, shorten
from catalog.kernel.schema import check_json, compile_schema
from idp.models import Organization

MAX_BYTES = 64 * 1024

_NULLABLE_TEXT = {"type": ["string", "null"]}
# Settings of other programs are kept: an agent notes here how it is reached.
_SCHEMA = compile_schema(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 100},
            "settings": {
                "type": "object",
                "properties": {
                    "hiddenBlueprints": {"type": "array", "items": {"type": "string"}},
                    "portalTitle": {**_NULLABLE_TEXT, "maxLength": 30},
                    "portalIcon": _NULLABLE_TEXT,
                    "federatedLogout": {"type": "boolean"},
                },
            },
            "announcement": {
                "type": ["object", "null"],
                "properties": {
                    "enabled": {"type": "boolean"},
                    "content": {**_NULLABLE_TEXT, "maxLength": 300},
                    "link": _NULLABLE_TEXT,
                    "color": {"enum": ["blue", "red", None]},
                },
            },
        },
    }
)
_DEFAULT_SETTINGS: dict[str, Any] = {
    "hiddenBlueprints": [],
    "portalTitle": None,
    "portalIcon": None,
    "federatedLogout": False,
}


def get_organization() -> Organization:
    """The stored one, or one with nothing but defaults."""
    return Organization.objects.first() or Organization(pk=1)


def settings_of(organization: Organization) -> dict[str, Any]:
    """All settings, those that nobody set with their defaults."""
    return {**_DEFAULT_SETTINGS, **organization.settings}


def update_organization(
    changes: Mapping[str, Any], *, actor: Actor, replace: bool = False
) -> Organization:
    """Change what is given; inside `settings` key by key, where null resets one.

    `replace`: settings and announcement that are not given are reset; a name always stays.
    Raises InvalidInput.
    """
    if problems := _SCHEMA.problems(changes):
        first = problems[0]
        raise InvalidInput(
            f"{first.path or 'body'}: {first.message}",
            details={"field": first.path, "value": first.value, "expected": first.expected},
        )
    check_json(dict(changes))
    if len(orjson.dumps(changes)) > MAX_BYTES:
        raise InvalidInput(
            f"The settings have more than {MAX_BYTES} bytes",
            details={"field": "settings", "expected": f"<= {MAX_BYTES} bytes"},
        )
    with transaction.atomic():
        Organization.objects.get_or_create(pk=1)
        stored = Organization.objects.select_for_update().get(pk=1)
        before = _content(stored)
        stored.name = changes.get("name", stored.name)
        base = {} if replace else stored.settings
        merged = {**base, **changes.get("settings", {})}
        stored.settings = {key: value for key, value in merged.items() if value is not None}
        if replace or "announcement" in changes:
            stored.announcement = changes.get("announcement")
        after = _content(stored)
        if after == before:
            return stored
        stored.updated_at = timezone.now()
        stored.save()
        changed = [key for key in after if before[key] != after[key]]
        feed.record(
            [
                feed.Record(
                    feed.UPDATE,
                    "organization",
                    shorten(stored.name),
                    object_id=1,
                    before={key: before[key] for key in changed},
                    after={key: after[key] for key in changed},
                )
            ],
            actor=actor,
            at=stored.updated_at,
        )
    return stored


def take_names(values: Mapping[str, str], actor: Actor) -> dict[str, str]:
    """`organization.name` and `app.title` of an imported configuration; returns what each became.

    Raises InvalidInput.
    """
    said, changes = {}, dict[str, Any]()
    if name := values.get("organization.name"):
        changes["name"], said["organization.name"] = name, f'the organisation is called "{name}"'
    if title := values.get("app.title"):
        changes["settings"] = {"portalTitle": title}
        said["app.title"] = f'the title of the portal is "{title}"'
    if changes:
        update_organization(changes, actor=actor)
    return said


def _content(organization: Organization) -> dict[str, Any]:
    return {
        "name": organization.name,
        "settings": organization.settings,
        "announcement": organization.announcement,
    }
