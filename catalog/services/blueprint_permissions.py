"""Who may write the entities of a blueprint: stored with it, and asked at the door.

{"entities": {"register": grant, "update": grant, "unregister": grant, "updateProperties": {name:
grant}, "updateRelations": {name: grant}, "read"?: grant}} (see `grants`). Where nobody said
anything, admins and members write. Whoever changes a property or relation that has a grant of its
own needs both that one and `update`. Admins may always do everything.

Everybody reads everything: a `read` that says otherwise is refused, since derived values, the
history and the graph would still show what it hides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor, Role, Verb
from catalog.kernel.errors import InvalidInput
from catalog.models import Blueprint, Change
from catalog.services import entities
from catalog.services.blueprints.documents import get_blueprint
from catalog.services.grants import grant_to, parse_grant
from catalog.services.permissions import WRITERS

META_FIELDS: Final = ("$identifier", "$title", "$icon", "$team")
_PARTS: Final = ("updateProperties", "updateRelations")


def permissions_document(blueprint: Blueprint) -> dict[str, Any]:
    """What clients get: the grants that hold, with what nobody set as it is by default."""
    writers = [Role.ADMIN] if blueprint.is_system else WRITERS
    default = {
        **{str(verb): grant_to(*writers) for verb in Verb},
        **{part: {} for part in _PARTS},
    }
    return {"entities": {**default, **(blueprint.permissions or {})}}


def update_permissions(identifier: str, changes: Mapping[str, Any], *, actor: Actor) -> Blueprint:
    """Change what is given: grants key by key, those of properties and relations one by one,
    where null takes one away. What stays as it is leaves no trace.

    Raises NotFound, InvalidInput.
    """
    given = changes.get("entities", {})
    if not isinstance(given, Mapping):
        raise InvalidInput.of("entities", given, "an object with register, update and unregister")
    with transaction.atomic():
        entities.lock_everything()  # no writer passes by the old ones meanwhile
        blueprint = get_blueprint(identifier)
        if blueprint.is_system and given:
            raise InvalidInput(
                f'Users and teams decide who may do what, so only admins write "{identifier}"',
                details={"field": "entities", "expected": "another blueprint"},
            )
        stored = permissions_document(blueprint)["entities"]
        new = _merged(stored, given, blueprint)
        if new != stored:
            _save(blueprint, new)
            feed.record(
                [
                    feed.Record(
                        feed.UPDATE,
                        Change.BLUEPRINT,
                        identifier,
                        identifier,
                        blueprint.pk,
                        {"permissions": {"entities": stored}},
                        {"permissions": {"entities": new}},
                    )
                ],
                actor=actor,
                at=timezone.now(),
            )
    return blueprint


def _save(blueprint: Blueprint, permissions: dict[str, Any]) -> None:
    # The version tells all processes that they know an old blueprint.
    Blueprint.objects.filter(pk=blueprint.pk).update(
        permissions=permissions, version=F("version") + 1
    )
    blueprint.permissions = permissions


def _merged(
    stored: Mapping[str, Any], given: Mapping[str, Any], blueprint: Blueprint
) -> dict[str, Any]:
    new = dict(stored)
    for key, value in given.items():
        field = f"entities.{key}"
        if key in list(Verb):
            new[key] = parse_grant(value, field=field, stored=stored[key])
        elif key == "read":
            new[key] = _read(value, field)
        elif key in _PARTS:
            new[key] = _of_parts(value, field, stored[key], blueprint)
    return new


def _read(value: Any, field: str) -> dict[str, Any]:
    expected = (
        f'the role "{Role.MEMBER}" in roles, and no policy: everybody reads everything here, so '
        "that a restriction would have no effect"
    )
    if not isinstance(value, Mapping) or value.get("policy") is not None:
        raise InvalidInput.of(field, value, expected)
    grant = parse_grant(value, field=field, stored=grant_to())
    if Role.MEMBER not in grant["roles"]:
        raise InvalidInput.of(f"{field}.roles", grant["roles"], expected)
    return grant


def _of_parts(
    value: Any, field: str, stored: Mapping[str, Any], blueprint: Blueprint
) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput.of(field, value, "an object of grants")
    known = (
        [*blueprint.properties, *META_FIELDS]
        if field.endswith("Properties")
        else [one.identifier for one in blueprint.relation_definitions.all()]
    )
    new = dict(stored)
    for name, grant in value.items():
        if grant is None:
            new.pop(name, None)
        elif name not in known:
            raise InvalidInput.of(field, name, f"one of {', '.join(known) or 'none'}")
        else:
            start = stored.get(name, grant_to())
            new[name] = parse_grant(grant, field=f"{field}.{name}", stored=start)
    return new
