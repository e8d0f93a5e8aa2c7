"""Actions to test with, as clients send them."""

from __future__ import annotations

from typing import Any

INPUTS = {
    "properties": {
        "name": {"type": "string", "title": "Name", "minLength": 2},
        "size": {"type": "number", "default": 3, "enum": [1, 3]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": {"jqQuery": "2"}},
        "token": {"type": "string", "encryption": "aes256-gcm", "pattern": "^t-"},
        "later": {"type": "string", "visible": {"jqQuery": '.form.name == "later"'}},
    },
    "required": ["name", "later"],
    "order": ["size", "name"],
}
WEBHOOK = {
    "type": "WEBHOOK",
    "url": "https://ci.example.com",
    "headers": {"Z": "1", "A": "2"},
    "body": {"name": "{{ .inputs.name }}"},
}


def action(identifier: str = "scaffold", **parts: Any) -> dict[str, Any]:
    """A self-service action; `trigger` in `parts` adds to its trigger."""
    trigger = {"type": "self-service", "operation": "CREATE", "userInputs": INPUTS}
    return {
        "identifier": identifier,
        "title": "Scaffold",
        "icon": None,
        "trigger": {**trigger, **parts.pop("trigger", {})},
        "invocationMethod": WEBHOOK,
        "publish": True,
        **parts,
    }


def day2(identifier: str, **parts: Any) -> dict[str, Any]:
    """One without inputs, on a service."""
    trigger = {"operation": "DAY-2", "blueprintIdentifier": "service", "userInputs": {}}
    return action(identifier, trigger={**trigger, **parts.pop("trigger", {})}, **parts)


def automation(identifier: str, **parts: Any) -> dict[str, Any]:
    event = {"type": "ENTITY_CREATED", "blueprintIdentifier": "service"}
    return {
        "identifier": identifier,
        "trigger": {"type": "automation", "event": event, **parts.pop("trigger", {})},
        "invocationMethod": WEBHOOK,
        **parts,
    }
