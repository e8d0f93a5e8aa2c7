"""UPSERT_ENTITY: an entity of the catalogue is created or changed, here and at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings

from actions.backends.base import FIELD, MethodBackend, text_of
from actions.models import Run
from actions.registry import Invocation, Outcome
from catalog.kernel.actors import Actor
from catalog.kernel.errors import InvalidInput
from catalog.models import USER, RelationDefinition
from catalog.portal.links import entity_url
from catalog.selectors.memberships import person_row
from catalog.selectors.teams import people
from catalog.services.entities import EntityDraft, MissingTargets, Mode, Status, apply

_SAID: Final = {
    Status.CREATED: "Created",
    Status.UPDATED: "Changed",
    Status.UNCHANGED: "Nothing to change in",
}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}


class UpsertEntity(MethodBackend):
    type = "UPSERT_ENTITY"
    title = "Create or change an entity"
    description = "Creates or changes an entity of the catalogue"
    icon = "DefaultEntity"
    schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "type": {"const": "UPSERT_ENTITY"},
            "blueprintIdentifier": {
                "type": "string",
                "minLength": 1,
                "title": "Blueprint",
                "description": "Of the entity.",
            },
            "mapping": {
                "type": "object",
                "title": "Entity",
                "description": "What it is to be; keys that are left out stay as they are, and "
                "without an identifier each run makes a new one. {{ JQ }} is filled in.",
                "properties": {
                    "identifier": {"type": "string", "minLength": 1, "title": "Identifier"},
                    "title": {**_TEXT_OR_NULL, "title": "Title"},
                    "icon": {**_TEXT_OR_NULL, "title": "Icon"},
                    "team": {"type": ["string", "array", "null"], "title": "Teams"},
                    "properties": {"type": ["object", "string", "null"], "title": "Properties"},
                    "relations": {"type": ["object", "string", "null"], "title": "Relations"},
                },
            },
        },
        "required": ["type", "blueprintIdentifier", "mapping"],
    }

    def invoke(self, invocation: Invocation) -> Outcome:
        payload = invocation.payload
        blueprint = text_of(payload, "blueprintIdentifier")
        mapping = payload.get("mapping")
        if not isinstance(mapping, Mapping):
            raise InvalidInput.of(f"{FIELD}.mapping", mapping, "an object")
        [item] = apply(
            [_draft(blueprint, mapping, invocation.run)],
            mode=Mode.MERGE,
            actor=_actor(invocation.run),
            missing_targets=MissingTargets.REJECT,
            run=invocation.run.identifier,
        ).items
        if item.error:
            raise item.error
        said = f'{_SAID[item.status]} {blueprint} "{item.identifier}"'
        invocation.log(f"{said}.")
        return Outcome(
            status="SUCCESS",
            summary=said,
            links=[settings.IDP_URL + entity_url(blueprint, item.identifier)],
        )


def _draft(blueprint: str, mapping: Mapping[str, Any], run: Run) -> EntityDraft:
    """What the mapping says, and nothing of what it does not.

    Where it names no identifier, each run makes an entity: the same one, however often it is tried.
    """
    said: dict[str, Any] = {
        key: mapping[key] for key in ("title", "icon", "team") if key in mapping
    }
    for key in ("properties", "relations"):
        if mapping.get(key) is None:
            continue
        if not isinstance(mapping[key], Mapping):
            raise InvalidInput.of(f"{FIELD}.mapping.{key}", mapping[key], "an object")
        said[key] = dict(mapping[key])
    if "relations" in said:
        targets = {name: _target(one) for name, one in said["relations"].items()}
        said["relations"] = _by_identifier(blueprint, targets)
    own = f"e_{run.identifier.removeprefix('r_')}"
    is_named = "identifier" in mapping
    identifier = text_of(mapping, "identifier", field=f"{FIELD}.mapping") if is_named else own
    return EntityDraft(blueprint, identifier, **said)


def _target(value: Any) -> Any:
    """An input that picks entities has their documents; relations name them."""
    if isinstance(value, list):
        return [_target(one) for one in value]
    return value["identifier"] if isinstance(value, Mapping) and "identifier" in value else value


def _by_identifier(blueprint: str, relations: Mapping[str, Any]) -> dict[str, Any]:
    """The relations with people by their identifiers, where their addresses stand
    (`{{ .trigger.by.user.email }}`): in Port, both are the same.
    """
    to_people = RelationDefinition.objects.filter(
        blueprint__identifier=blueprint, target__identifier=USER, identifier__in=relations
    ).values_list("identifier", flat=True)
    named = {name: relations[name] for name in to_people}
    stated = {one for value in named.values() for one in _texts(value) if "@" in one}
    if not stated:
        return dict(relations)
    found = {person_row(one).email.lower(): one.identifier for one in people(*sorted(stated))}

    def known(value: Any) -> Any:
        if isinstance(value, list):
            return [known(one) for one in value]
        return found.get(value.lower(), value) if isinstance(value, str) else value

    return {**relations, **{name: known(value) for name, value in named.items()}}


def _texts(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _actor(run: Run) -> Actor:
    """Whoever started the run; what the action may write is decided by whoever may define it."""
    by = run.trigger.get("by") or {}
    is_person = bool((by.get("user") or {}).get("email"))
    kind = "system" if run.source == "AUTOMATION" else "user" if is_person else "client"
    name = f"idp/action/{run.about['identifier']}"
    return Actor(kind=kind, name=run.created_by, datasource=name)
