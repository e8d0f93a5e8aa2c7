"""Actions: kept as they were sent, with who may run and approve them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import regex
from django.db import transaction

from actions.models import Action
from actions.services.inputs import check_inputs
from catalog.kernel.actors import Actor, Role
from catalog.kernel.errors import InvalidInput, NotFound
from catalog.kernel.identifiers import check_length, is_storable
from catalog.models import Blueprint
from catalog.services import documents
from catalog.services.grants import grant_to
from catalog.services.permissions import WRITERS, Standing

OPERATIONS: Final = ("CREATE", "DAY-2", "DELETE")
_IDENTIFIER: Final = regex.compile(r"(?!\.{1,2}$)[\p{L}0-9@_.+:=-]+")
_MAX: Final = 1000

_TEXT: Final = {"type": ["string", "null"]}
_INPUT: Final = {"type": "object", "properties": {"type": {"type": "string"}}}
_USER_INPUTS: Final = {
    "type": ["object", "null"],
    "properties": {
        "properties": {"type": ["object", "null"], "additionalProperties": _INPUT},
        "required": {"type": ["array", "object", "null"], "items": {"type": "string"}},
        "order": {"type": ["array", "null"]},
        "steps": {"type": ["array", "null"]},
    },
}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "title": _TEXT,
        "icon": _TEXT,
        "description": _TEXT,
        "trigger": {
            "type": "object",
            "properties": {
                "type": {"enum": ["self-service", "automation"]},
                "operation": {"enum": [*OPERATIONS, None]},
                "blueprintIdentifier": _TEXT,
                "userInputs": _USER_INPUTS,
                "event": {"type": ["object", "string", "null"]},
                "condition": {"type": ["object", "null"]},
            },
            "required": ["type"],
        },
        "invocationMethod": {
            "type": "object",
            "properties": {"type": {"type": "string", "minLength": 1}},
            "required": ["type"],
        },
        "requiredApproval": {
            "anyOf": [
                {"type": ["boolean", "null"]},
                {
                    "type": "object",
                    "properties": {"type": {"enum": ["ANY", "ALL"]}},
                    "required": ["type"],
                },
            ]
        },
        "approvalNotification": {"type": ["object", "null"]},
        "publish": {"type": ["boolean", "null"]},
        "allowAnyoneToViewRuns": {"type": ["boolean", "null"]},
    },
    "required": ["trigger", "invocationMethod"],
}


def get_action(identifier: str, *, blueprint: str | None = None, is_locked: bool = False) -> Action:
    """blueprint: only if the action is about this one. is_locked: to be changed.

    Raises NotFound.
    """
    found = Action.objects.select_related("blueprint").filter(identifier=identifier)
    if blueprint is not None:
        found = found.filter(blueprint__identifier=blueprint)
    if is_locked:
        found = found.select_for_update(of=("self",))
    action = found.first() if is_storable(identifier) else None
    if action is None:
        raise NotFound.of("Action", identifier)
    return action


def create_action(body: Mapping[str, Any], *, actor: Actor, blueprint: str | None = None) -> Action:
    """Make an action; `blueprint` is the one it is about where its trigger names none.

    Raises AlreadyExists, InvalidInput, and NotFound for a blueprint there is not.
    """
    identifier = _checked_identifier(body.get("identifier"))
    document = _document(body, blueprint)
    action = Action(identifier=identifier, document=document, blueprint=_blueprint(document))
    return documents.create(action, actor=actor, blueprint=_of(action))


def replace_action(
    identifier: str, body: Mapping[str, Any], *, actor: Actor, blueprint: str | None = None
) -> Action:
    """Another `identifier` in the body renames it. Raises what `create_action` raises."""
    with transaction.atomic():
        action = get_action(identifier, blueprint=blueprint, is_locked=True)
        new = _checked_identifier(body.get("identifier") or identifier)
        document = _document(body, blueprint)
        action.blueprint = _blueprint(document)
        return documents.change(action, new, document, actor=actor, blueprint=_of(action))


def delete_action(identifier: str, *, actor: Actor, blueprint: str | None = None) -> None:
    """Its runs stay. Raises NotFound."""
    with transaction.atomic():
        action = get_action(identifier, blueprint=blueprint, is_locked=True)
        documents.delete(action, actor=actor, blueprint=_of(action))


def permissions_document(action: Action) -> dict[str, Any]:
    """Who may run the action, and who may approve its runs."""
    default = {
        "execute": {**grant_to(*WRITERS), "policy": None},
        "approve": {**grant_to(Role.ADMIN, with_owners=False), "policy": None},
    }
    return {**default, **(action.permissions or {})}


def update_permissions(
    identifier: str, changes: Mapping[str, Any], *, actor: Actor
) -> dict[str, Any]:
    """Change the keys given; returns all. Raises NotFound, InvalidInput."""
    with transaction.atomic():
        action = get_action(identifier, is_locked=True)
        return documents.change_permissions(
            action, permissions_document(action), changes, actor=actor, blueprint=_of(action)
        )


def executable_by(standing: Standing) -> list[str]:
    """What the principal may run: "execute:actions:ID", or "execute:team_entities:actions:ID"
    where only on what its teams own.
    """
    found = []
    for action in Action.objects.all():
        grant = permissions_document(action)["execute"]
        if not action.is_self_service or not action.is_published:
            continue
        if standing.is_granted(grant):
            found.append(f"execute:actions:{action.identifier}")
        elif standing.is_granted(grant, team=None):
            found.append(f"execute:team_entities:actions:{action.identifier}")
    return found


def _checked_identifier(value: object) -> str:
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise InvalidInput.of("identifier", value, "only letters, digits and @ _ . + : = -")
    return check_length(value, "identifier", _MAX)


def _document(body: Mapping[str, Any], blueprint: str | None) -> dict[str, Any]:
    given = dict(body)
    trigger = given.get("trigger")
    if isinstance(trigger, str):  # the older form: the operation, with the inputs beside it
        given["trigger"] = {
            "type": "self-service",
            "operation": trigger,
            "userInputs": given.pop("userInputs", {}),
        }
    if blueprint is not None and isinstance(given.get("trigger"), Mapping):
        given["trigger"] = {**given["trigger"], "blueprintIdentifier": blueprint}
    document = documents.checked_document(given, _SCHEMA, without=("identifier",))
    trigger = document["trigger"]
    if trigger.get("operation") in ("DAY-2", "DELETE") and not trigger.get("blueprintIdentifier"):
        raise InvalidInput(
            f"An action of operation {trigger['operation']} needs a blueprint",
            details={"field": "trigger.blueprintIdentifier", "expected": "a blueprint"},
        )
    check_inputs(trigger.get("userInputs") or {})
    return document


def _blueprint(document: Mapping[str, Any]) -> Blueprint | None:
    """The one that the trigger, or its event, names. Raises NotFound."""
    trigger = document["trigger"]
    event = trigger.get("event")
    name = trigger.get("blueprintIdentifier") or (
        event.get("blueprintIdentifier") if isinstance(event, Mapping) else None
    )
    if not isinstance(name, str) or not name:
        return None
    found = Blueprint.objects.filter(identifier=name).first() if is_storable(name) else None
    if found is None:
        raise NotFound.of("Blueprint", name)
    return found


def _of(action: Action) -> str:
    return action.blueprint.identifier if action.blueprint else ""
