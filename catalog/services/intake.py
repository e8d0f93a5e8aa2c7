"""Entity bodies as the API takes them, brought through the door.

A body is Port's: `identifier`, `title`, `icon`, `team`, `properties`, `relations`; other keys mean
nothing. Where it names an entity it may hold a search instead (see `references`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from django.db import transaction

from catalog import registry
from catalog.kernel.actors import Actor, Principal
from catalog.kernel.errors import IdpError, InvalidEntity, NotFound, shorten
from catalog.models import Blueprint
from catalog.services import derived, entities
from catalog.services.entities import EntityDraft, ItemResult, MissingTargets, Mode, Status
from catalog.services.references import UnresolvedIdentifier, resolve_references

UNKNOWN = "unknown"  # the identifier of a body whose own search found no single entity

_PARTS = ("title", "icon", "team", "properties", "relations")


def write_bodies(
    bodies: Sequence[Any],
    *,
    blueprint: Blueprint,
    principal: Principal,
    actor: Actor,
    mode: Mode,
    missing_targets: MissingTargets = MissingTargets.REJECT,
    dry_run: bool = False,
    run: str = "",
) -> list[ItemResult]:
    """Write a batch of bodies into one blueprint; one result per body, in order.

    A bad body is reported in its result and stops nobody else.
    """
    results: dict[int, ItemResult] = {}
    drafts: dict[int, EntityDraft] = {}
    for index, body in enumerate(_resolved(bodies, blueprint, principal)):
        if isinstance(body, IdpError):
            results[index] = _rejected(index, blueprint, bodies[index], body)
        else:
            drafts[index] = _draft(blueprint, body.get("identifier"), body)
    if drafts:
        welcome = registry.welcomes.get(blueprint.identifier)
        told: Mapping[int, Mapping[str, Any]] = {}
        with transaction.atomic() if welcome else nullcontext():
            applied = entities.apply(
                list(drafts.values()),
                mode=mode,
                actor=actor,
                missing_targets=missing_targets,
                dry_run=dry_run,
                run=run,
            )
            made = [i.pk for i in applied.items if i.status is Status.CREATED and i.pk]
            if welcome and made:
                told = welcome(made, actor)
        for index, item in zip(drafts, applied.items, strict=True):
            results[index] = replace(item, index=index, additional=told.get(item.pk or 0, {}))
        if not dry_run:
            _refresh(blueprint, applied.items)
    return [results[index] for index in range(len(bodies))]


def change_entity(
    identifier: str,
    body: Mapping[str, Any],
    *,
    blueprint: Blueprint,
    principal: Principal,
    actor: Actor,
    mode: Mode,
    missing_targets: MissingTargets = MissingTargets.REJECT,
    run: str = "",
) -> ItemResult:
    """Change the entity `identifier`, which must exist; another one in the body renames it.

    Raises NotFound, AlreadyExists, InvalidEntity.
    """
    new = body.get("identifier")
    if new is None:
        new = identifier
    [resolved] = _resolved([{**body, "identifier": new}], blueprint, principal)
    if isinstance(resolved, IdpError):
        raise resolved
    new = resolved["identifier"]
    with transaction.atomic():
        if new != identifier:
            entities.rename(blueprint.identifier, identifier, new, actor=actor)
        [item] = entities.apply(
            [_draft(blueprint, new, resolved)],
            mode=mode,
            actor=actor,
            missing_targets=missing_targets,
            must_exist=True,
            run=run,
        ).items
        if item.error:
            raise item.error
        _refresh(blueprint, [item], is_renamed=new != identifier)
    return item


def delete_entities(
    identifiers: Sequence[str],
    *,
    blueprint: Blueprint,
    actor: Actor,
    delete_dependents: bool = False,
    run: str = "",
) -> list[str]:
    """Delete entities of one blueprint; unknown ones are skipped. Returns what was deleted there.

    Raises HasDependents, and PermissionDenied where a dependent is not the caller's to delete;
    then nothing is deleted.
    """
    keys = [(blueprint.identifier, one) for one in identifiers if "\x00" not in one]
    deleted = entities.delete(keys, actor=actor, delete_dependents=delete_dependents, run=run)
    return [identifier for name, identifier in deleted if name == blueprint.identifier]


def delete_entity(
    identifier: str,
    *,
    blueprint: Blueprint,
    actor: Actor,
    delete_dependents: bool = False,
    run: str = "",
) -> None:
    """Delete one entity. Raises NotFound, and what `delete_entities` raises."""
    deleted = delete_entities(
        [identifier],
        blueprint=blueprint,
        actor=actor,
        delete_dependents=delete_dependents,
        run=run,
    )
    if identifier not in deleted:
        raise NotFound.of("Entity", identifier)


def _refresh(
    blueprint: Blueprint, items: Sequence[ItemResult], *, is_renamed: bool = False
) -> None:
    """Work out what is computed for the entities just written, so that the answer shows it."""
    written = (Status.CREATED, Status.UPDATED)
    pks = [item.pk for item in items if item.pk and (item.status in written or is_renamed)]
    if pks and blueprint.has_computed:
        derived.refresh_written(blueprint.identifier, pks)


def _resolved(
    bodies: Sequence[Any], blueprint: Blueprint, principal: Principal
) -> list[Mapping[str, Any] | IdpError]:
    """Each body with its searches replaced by what they found, or what is wrong with it."""
    objects = {index: body for index, body in enumerate(bodies) if isinstance(body, Mapping)}
    found = dict(
        zip(
            objects,
            resolve_references(
                list(objects.values()), blueprint=blueprint.identifier, principal=principal
            ),
            strict=True,
        )
    )
    return [
        (found[index].error or found[index].body) if index in found else _no_object(body)
        for index, body in enumerate(bodies)
    ]


def _draft(blueprint: Blueprint, identifier: Any, body: Mapping[str, Any]) -> EntityDraft:
    parts = {part: body[part] for part in _PARTS if part in body}
    return EntityDraft(blueprint.identifier, identifier, **parts)


def _rejected(index: int, blueprint: Blueprint, body: Any, error: IdpError) -> ItemResult:
    given = body.get("identifier") if isinstance(body, Mapping) else None
    identifier = given if isinstance(given, str) else ""
    if isinstance(error, UnresolvedIdentifier):
        identifier = UNKNOWN
    return ItemResult(index, blueprint.identifier, identifier, Status.REJECTED, error=error)


def _no_object(body: Any) -> InvalidEntity:
    return InvalidEntity(
        f"An entity must be an object, not {shorten(body)}",
        details={"field": "entities", "value": shorten(body), "expected": "an object"},
    )
