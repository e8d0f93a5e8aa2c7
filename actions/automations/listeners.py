"""Which automations listen to what."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models.fields.json import KT

from actions.models import Action
from actions.services import triggers


@dataclass(frozen=True, slots=True)
class Listener:
    """A published automation: what it listens to, and under which condition it starts."""

    action: Action
    event_type: str
    keys: Mapping[str, str]
    condition: triggers.Condition


def load_listeners(event_types: Collection[str] | None = None) -> list[Listener]:
    """All automations that are published, or those that listen to such events; one statement."""
    found = (
        Action.objects.select_related("blueprint")
        .alias(trigger_type=KT("document__trigger__type"))
        .filter(trigger_type="automation")
    )
    listeners = (_listener(action) for action in found.order_by("pk") if action.is_published)
    return [
        one
        for one in listeners
        if one is not None and (event_types is None or one.event_type in event_types)
    ]


def keys_listened_to(
    listeners: Iterable[Listener], event_types: Collection[str], key: str
) -> set[str]:
    """The values of `key` that automations name which listen to one of these events."""
    return {one.keys[key] for one in listeners if one.event_type in event_types and key in one.keys}


def _listener(action: Action) -> Listener | None:
    event = action.trigger.get("event")
    if not isinstance(event, Mapping):
        return None  # of an automation that was made before events were checked
    event_type = str(event.get("type"))
    given: dict[str, Any] = dict(event)
    if action.blueprint is not None:  # by the name that it has now
        given["blueprintIdentifier"] = action.blueprint.identifier
    keys = {
        key: value
        for key in triggers.keys_of(event_type)
        if isinstance(value := given.get(key), str) and value
    }
    return Listener(action, event_type, keys, triggers.condition_of(action.trigger))
