"""Triggers and methods of actions in few words, for lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actions.models import Action
from actions.portal.words import OPERATIONS
from actions.registry import backends
from actions.services.triggers import event_titles


def trigger_in_words(action: Action, titles: Mapping[str, str] | None = None) -> tuple[str, str]:
    """(what starts it, of what): ("Day-2", ""), ("A timer of an entity ran out", "lease").

    titles: of events, where several actions are asked.
    """
    if action.is_self_service:
        return OPERATIONS[action.operation].words, ""
    event = action.trigger.get("event")
    known = event if isinstance(event, Mapping) else {"type": event}
    said = (event_titles() if titles is None else titles).get(str(known.get("type")))
    names = ("cron", "propertyIdentifier", "actionIdentifier", "scorecardIdentifier")
    about = next((str(known[name]) for name in names if known.get(name)), "")
    return said or str(known.get("type") or "An event"), about


def method_in_words(method: Mapping[str, Any]) -> str:
    """The title of its type: "Webhook"."""
    kind = str(method.get("type", ""))
    backend = backends.get(kind)
    return backend.title if backend else kind
