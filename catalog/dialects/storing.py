"""From valid entities of files to the one door: what imports and locations do alike.

Where an entity may come from, and who else holds it, is decided before; here it is mapped to what
its blueprint has, stored, and told what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from catalog.dialects.backstage.blueprints import (
    default_blueprints,
    relation_shapes,
    system_properties,
)
from catalog.dialects.backstage.mapping import (
    RelationShape,
    blueprint_of,
    map_entity,
    source_path,
    with_own_fields,
)
from catalog.dialects.backstage.problems import Problem
from catalog.kernel.actors import Actor
from catalog.models import TEAM, USER, Blueprint, Entity
from catalog.services.blueprints import (
    blueprint_document,
    ensure_blueprints,
    ensure_system_blueprints,
    patch_blueprint,
)
from catalog.services.entities import EntityDraft, ItemResult, MissingTargets, Mode, Status, apply


class Storable(Protocol):
    """A valid entity. entity: its placeholders replaced; descriptor: the document to keep."""

    @property
    def entity(self) -> dict[str, Any]: ...

    @property
    def descriptor(self) -> dict[str, Any]: ...

    @property
    def key(self) -> tuple[str, str]: ...


S = TypeVar("S", bound=Storable)


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a candidate. problem: why the door refused it, in the terms of its file.
    warnings: what only the descriptor keeps."""

    item: ItemResult
    problem: Problem | None
    warnings: Sequence[Problem]


def ensure_blueprints_of(kinds: set[str], *, known: set[str], actor: Actor) -> list[str]:
    """Make the blueprints of these kinds, and what they lead to, where they are missing.

    known: identifiers of the blueprints there are, as far as the caller knows. Returns the new
    ones. Takes the lock of the whole catalogue, so call it outside a transaction that writes.
    """
    created: list[str] = []
    if ({blueprint_of(kind) for kind in kinds} | {TEAM, USER}) - known:
        created += ensure_system_blueprints()
        created += ensure_blueprints(default_blueprints(kinds), actor=actor)
    for kind in sorted(kinds & {"Group", "User"}):
        _extend_system_blueprint(blueprint_of(kind), actor)
    return created


def store(
    candidates: Sequence[S], *, location: Callable[[S], str], actor: Actor, run: str = ""
) -> list[Stored]:
    """Write candidates through the door; one result for each, in order.

    location: what `Entity.location` says of where a candidate comes from. The blueprints must be
    there (`ensure_blueprints_of`). Raises LimitExceeded for more than `MAX_BATCH`.
    """
    relations = relation_shapes()
    results: dict[int, Stored] = {}
    for mode in (Mode.REPLACE, Mode.MERGE):
        part = [number for number, one in enumerate(candidates) if _mode(one) is mode]
        if not part:
            continue
        drafts, warnings = [], []
        for number in part:
            one = candidates[number]
            draft, warned = _draft(one, relations.get(one.key[0], {}), location(one))
            drafts.append(draft)
            warnings.append(warned)
        result = apply(
            drafts, mode=mode, actor=actor, missing_targets=MissingTargets.DANGLE, run=run
        )
        for number, item, warned in zip(part, result.items, warnings, strict=True):
            results[number] = Stored(item, _problem(candidates[number], item), warned)
    return [results[number] for number in range(len(candidates))]


def _draft(
    candidate: Storable, relations: Mapping[str, RelationShape], location: str
) -> tuple[EntityDraft, Sequence[Problem]]:
    mapped = map_entity(candidate.entity, relations)
    warnings = mapped.warnings
    if _mode(candidate) is Mode.MERGE:
        mapped = with_own_fields(mapped, candidate.entity["kind"])
    draft = EntityDraft(
        blueprint=mapped.blueprint,
        identifier=mapped.identifier,
        title=mapped.title,
        team=mapped.team,
        properties=mapped.properties,
        relations=mapped.relations,
        descriptor=candidate.descriptor,
        location=location,
    )
    return draft, warnings


def _problem(candidate: Storable, item: ItemResult) -> Problem | None:
    """A refusal of the door in the terms of the file."""
    error = item.error
    if item.status is not Status.REJECTED or error is None:
        return None
    path = source_path(candidate.entity, str(error.details.get("field", "")))
    return Problem(path, error.message, str(error.details.get("expected", "")), hint=error.hint)


def _mode(candidate: Storable) -> Mode:
    """The file is all there is to say of an entity, but not of a user or a team: whether someone
    may log in, and as what, is said elsewhere."""
    return Mode.MERGE if candidate.key[0] in (TEAM, USER) else Mode.REPLACE


def _extend_system_blueprint(identifier: str, actor: Actor) -> None:
    """At the first group or user that comes, give it the properties that all kinds have.

    Later the blueprint belongs to the administrators: what they took away stays away.
    """
    came_before = Entity.objects.filter(blueprint__identifier=identifier, descriptor__isnull=False)
    if came_before.exists():
        return
    blueprint = Blueprint.objects.get(identifier=identifier)
    schema = blueprint_document(blueprint)["schema"]
    missing = {
        name: one
        for name, one in system_properties()[identifier].items()
        if name not in schema["properties"]
    }
    if missing:
        schema = {**schema, "properties": {**schema["properties"], **missing}}
        patch_blueprint(identifier, {"schema": schema}, actor=actor)
