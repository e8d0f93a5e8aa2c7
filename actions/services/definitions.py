"""Actions: kept as they were sent, each change as a version, with who may run and approve them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import regex
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from actions.models import Action, ActionVersion
from actions.services.access import permissions_document
from actions.services.action_spec import checked_action
from actions.services.policies import check_policy
from actions.services.triggers import next_turn
from catalog.kernel.actors import Actor
from catalog.kernel.errors import Conflict, InvalidInput, NotFound
from catalog.kernel.identifiers import check_length, is_storable
from catalog.services import documents

_IDENTIFIER: Final = regex.compile(r"(?!\.{1,2}$)[\p{L}0-9@_.+:=-]+")
_MAX: Final = 1000
_TAKEN: Final = ("runs", "import", "export")  # addresses of the API
OF_TEMPLATES: Final = "template:"  # identifiers of actions that are made from these begin so
_GRANTS: Final = ("execute", "approve")


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
    document, about = checked_action(body, blueprint=blueprint)
    action = Action(identifier=identifier, document=document, blueprint=about)
    action.scheduled_at = _next_turn(action)
    with transaction.atomic():
        documents.create(action, actor=actor, blueprint=_of(action))
        keep_version(action)
    return action


def replace_action(
    identifier: str, body: Mapping[str, Any], *, actor: Actor, blueprint: str | None = None
) -> Action:
    """Another `identifier` in the body renames it. Raises what `create_action` raises, and Conflict
    for one that is made from a software template.
    """
    with transaction.atomic():
        action = get_action(identifier, blueprint=blueprint, is_locked=True)
        _refuse_template(action)
        new = _checked_identifier(body.get("identifier") or identifier)
        document, action.blueprint = checked_action(body, blueprint=blueprint)
        before = Action(document=action.document)
        is_other = not documents.is_same(before.document, document)
        if is_other:
            action.version += 1
        if _clock(before) != _clock(Action(document=document)):
            action.scheduled_at = _next_turn(Action(document=document))
        documents.change(action, new, document, actor=actor, blueprint=_of(action))
        if is_other:
            keep_version(action)
    return action


def delete_action(identifier: str, *, actor: Actor, blueprint: str | None = None) -> None:
    """Its runs stay. Raises NotFound, Conflict for one that is made from a software template."""
    with transaction.atomic():
        action = get_action(identifier, blueprint=blueprint, is_locked=True)
        _refuse_template(action)
        documents.delete(action, actor=actor, blueprint=_of(action))


def versions_of(action: Action) -> QuerySet[ActionVersion]:
    """Newest first."""
    return action.versions.all()


def get_version(action: Action, number: int) -> ActionVersion:
    """Raises NotFound."""
    found = action.versions.filter(number=number).first()
    if found is None:
        raise NotFound.of("Version", str(number), field="number")
    return found


def restore_version(identifier: str, number: int, *, actor: Actor) -> Action:
    """Let an action say again what it said then, as a new version.

    Raises NotFound, and InvalidInput where that is no longer possible.
    """
    with transaction.atomic():
        action = get_action(identifier, is_locked=True)
        document = get_version(action, number).document
        return replace_action(identifier, document, actor=actor)


def update_permissions(
    identifier: str, changes: Mapping[str, Any], *, actor: Actor
) -> dict[str, Any]:
    """Change the keys given; returns all. Raises NotFound, InvalidInput."""
    with transaction.atomic():
        action = get_action(identifier, is_locked=True)
        new = documents.change_permissions(
            action, permissions_document(action), changes, actor=actor, blueprint=_of(action)
        )
        for key in _GRANTS:
            policy = new[key].get("policy")
            if policy is not None and key in changes:
                check_policy(policy, field=f"{key}.policy")
    return new


def _clock(action: Action) -> Any:
    """What decides when it is due; a turn that is due already is not lost by another change."""
    return action.is_published, action.trigger.get("event")


def _next_turn(action: Action) -> datetime | None:
    return next_turn(action.trigger, timezone.now()) if action.is_published else None


def keep_version(action: Action) -> None:
    """Note down what an action says from now on, in the transaction that changed it."""
    ActionVersion.objects.create(
        action=action,
        number=action.version,
        document=action.document,
        created_at=action.updated_at,
        created_by=action.updated_by,
    )


def _refuse_template(action: Action) -> None:
    if action.template_id is not None:
        raise Conflict(
            f'"{action.identifier}" is made from a software template and follows it',
            hint="Change the template; its permissions may be changed here.",
            details={"resource": "Action", "value": action.identifier},
        )


def _checked_identifier(value: object) -> str:
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise InvalidInput.of("identifier", value, "only letters, digits and @ _ . + : = -")
    if value in _TAKEN:
        raise InvalidInput.of("identifier", value, f"another name than {', '.join(_TAKEN)}")
    if value.startswith(OF_TEMPLATES):
        raise InvalidInput.of(
            "identifier", value, f"another beginning: {OF_TEMPLATES} is for software templates"
        )
    return check_length(value, "identifier", _MAX)


def _of(action: Action) -> str:
    return action.blueprint.identifier if action.blueprint else ""
