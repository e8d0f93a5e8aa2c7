"""Each software template is an action, too: the same cards, permissions, approvals and runs.

The action follows its template; what an admin has set (`SETTINGS`, permissions) stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db import transaction
from structlog import get_logger

from actions.models import Action
from actions.scaffolder.finding import BLUEPRINT, document_of
from actions.scaffolder.template import Template, read_template
from actions.services.action_spec import checked_action
from actions.services.definitions import keep_version
from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import AlreadyExists, IdpError, InvalidInput, NotFound
from catalog.kernel.feed import FeedRow
from catalog.models import Change, Entity
from catalog.services import catalog_settings, documents

logger = get_logger(__name__)

CONSUMER: Final = "actions.templates"
WRITER: Final = Actor.system("templates")
_MAX_CATEGORY: Final = 100

# What is the admins' to say of the action of a template; all else comes from the template.
SETTINGS: Final = (
    "requiredApproval",
    "approvalNotification",
    "approvalExpiryHours",
    "timeoutMinutes",
    "publish",
    "allowAnyoneToViewRuns",
)


def identifier_of(entity: str) -> str:
    """Of the action for a template (by its entity's identifier): `template:name`, with another
    namespace `template:namespace.name`."""
    return f"template:{entity.replace('/', '.')}"


def ensure_action(entity: Entity) -> Action:
    """The action of a template, made or brought up to date where it is not.

    One that comes from a location that no admin vouches for is not published until an admin does
    so: its steps use the credentials of the platform. That holds too for one that comes from
    another location than before. Raises InvalidInput for a descriptor that is no template,
    AlreadyExists where another action has its identifier.
    """
    template = read_template(document_of(entity))
    identifier = identifier_of(entity.identifier)
    with transaction.atomic():
        action = _known(entity, identifier, template.ref)
        if action is not None:
            return _change(action, identifier, _document(template, entity, action))
        action = Action(
            identifier=identifier, template=entity, document=_document(template, entity, None)
        )
        try:
            documents.create(action, actor=WRITER, blueprint=BLUEPRINT)
        except AlreadyExists:
            made = Action.objects.filter(template=entity).first()
            if made is None:
                raise
            return made  # by somebody else, just now
        keep_version(action)
    return action


def change_settings(identifier: str, changes: Mapping[str, Any], *, actor: Actor) -> Action:
    """Set what is the admins' to say of a template's action; null takes a setting back.

    Raises NotFound; InvalidInput for a key that comes from the template, or a wrong value.
    """
    for key in changes:
        if key not in SETTINGS:
            raise InvalidInput.of(key, changes[key], f"one of {', '.join(SETTINGS)}")
    with transaction.atomic():
        action = (
            Action.objects.select_for_update(of=("self",))
            .filter(identifier=identifier, template__isnull=False)
            .first()
        )
        if action is None:
            raise NotFound.of("Action", identifier)
        settings = {**action.document, **changes}
        document = {key: one for key, one in settings.items() if one is not None}
        checked_action({"identifier": identifier, **document})
        return _change(action, identifier, document, actor=actor)


def follow(rows: Sequence[FeedRow]) -> None:
    """Make, change and delete the actions of templates that came, changed and went."""
    told = [row for row in rows if row.model == Change.ENTITY and row.blueprint == BLUEPRINT]
    if not told:
        return
    touched = {row.object_id for row in told if row.object_id is not None}
    for entity in Entity.objects.select_related("located__file__location").filter(
        pk__in=touched, blueprint__identifier=BLUEPRINT
    ):
        try:
            with transaction.atomic():
                ensure_action(entity)
        except IdpError as error:  # running it says the same to whoever tries
            logger.warning("template_action_failed", template=entity.identifier, error=str(error))
    gone = {identifier_of(row.identifier) for row in told if row.action == feed.DELETE}
    for action in _orphans(*gone):
        documents.delete(action, actor=WRITER, blueprint=BLUEPRINT)


def _known(entity: Entity, identifier: str, ref: str) -> Action | None:
    """The action of a template, locked; also the one of a template that went and came again."""
    action = Action.objects.select_for_update(of=("self",)).filter(template=entity).first()
    if action is not None:
        return action
    for orphan in _orphans(identifier):
        if orphan.invocation.get("template") == ref:
            orphan.template = entity
            orphan.save(update_fields=["template"])
            return orphan
    return None


def _orphans(*identifiers: str) -> list[Action]:
    """Actions of templates that went, locked."""
    found = Action.objects.select_for_update(of=("self",)).filter(
        identifier__in=identifiers, template=None
    )
    return [one for one in found if one.invocation.get("type") == "TEMPLATE"]


def _document(template: Template, entity: Entity, action: Action | None) -> dict[str, Any]:
    spec = (entity.descriptor or {}).get("spec") or {}
    category = spec.get("type")
    kept = action.document if action else {}
    default = {} if _is_vouched_for(entity) else {"publish": False}
    said = {
        "title": template.title,
        "description": template.description or None,
        "icon": entity.icon or "Template",
        "category": str(category)[:_MAX_CATEGORY] if category else None,
        "trigger": {
            "type": "self-service",
            "operation": "CREATE",
            "userInputs": {"properties": {}, "required": []},
        },
        "invocationMethod": {"type": "TEMPLATE", "template": template.ref},
        **default,
        **{key: kept[key] for key in SETTINGS if key in kept},
    }
    return {key: one for key, one in said.items() if one is not None}


def _is_vouched_for(entity: Entity) -> bool:
    """Whether an admin brought it here (an import, a source), registered where it is read, or said
    by rule that templates may come from there."""
    located = getattr(entity, "located", None)
    if located is None or located.file is None or located.file.location.is_trusted:
        return True
    rules = [*catalog_settings.current().rules, *located.file.location.rules]
    allowed = [one for rule in rules for one in rule.get("allow") or ()]
    kinds = [one.get("kind") if isinstance(one, Mapping) else one for one in allowed]
    return any(str(kind).lower() == BLUEPRINT for kind in kinds)


def _change(
    action: Action, identifier: str, document: dict[str, Any], *, actor: Actor = WRITER
) -> Action:
    """Give a locked action another document, if it is another."""
    is_other = not documents.is_same(action.document, document)
    if is_other:
        action.version += 1
    documents.change(action, identifier, document, actor=actor, blueprint=BLUEPRINT)
    if is_other:
        keep_version(action)
    return action
