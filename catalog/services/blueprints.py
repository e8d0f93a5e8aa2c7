"""Blueprints: create, change, rename, delete; each change is checked against what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import orjson
from django.db import connection, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import (
    AlreadyExists,
    BreakingChange,
    Conflict,
    HasDependents,
    InvalidBlueprint,
    NotFound,
    shorten,
)
from catalog.kernel.identifiers import (
    check_blueprint_identifier,
    check_property_identifier,
)
from catalog.models import Blueprint, Change, Entity, RelationDefinition
from catalog.services import entities
from catalog.services.blueprint_spec import (
    ANY_TARGET,
    BlueprintSpec,
    RelationSpec,
    parse,
)
from catalog.services.entities import EntityDraft, MissingTargets, Mode
from catalog.services.shapes import compiled
from catalog.services.system_blueprints import SYSTEM_BLUEPRINTS

EXAMPLES = 5
_ARRANGED = ("relations", "mirrorProperties", "calculationProperties", "aggregationProperties")


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing a blueprint change does to existing entities.

    is_breaking: the change is refused unless forced. count: how many entities; examples: the
    identifiers of the first few.
    """

    kind: str
    path: str
    message: str
    count: int
    examples: tuple[str, ...]
    is_breaking: bool = True


@dataclass(frozen=True, slots=True)
class Impact:
    effects: tuple[Effect, ...] = field(default=())

    @property
    def is_breaking(self) -> bool:
        return any(effect.is_breaking for effect in self.effects)

    def as_dict(self) -> dict[str, Any]:
        return {
            "breaking": self.is_breaking,
            "effects": [asdict(e) for e in self.effects],
        }


def create_blueprint(document: Mapping[str, Any], *, actor: Actor) -> Blueprint:
    """Create a blueprint from Port's JSON.

    Raises InvalidBlueprint, AlreadyExists, and NotFound for an unknown relation target.
    """
    spec = parse(document)
    now = timezone.now()
    with transaction.atomic():
        entities.lock_everything()
        if Blueprint.objects.filter(identifier=spec.identifier).exists():
            raise AlreadyExists(
                f'Blueprint "{spec.identifier}" exists already',
                details={
                    "resource": "Blueprint",
                    "with": "identifier",
                    "value": spec.identifier,
                },
            )
        blueprint = Blueprint(
            created_at=now, created_by=actor.name, updated_at=now, updated_by=actor.name
        )
        _assign(blueprint, spec)
        blueprint.is_system = spec.identifier in SYSTEM_BLUEPRINTS
        blueprint.save(force_insert=True)
        _save_relations(blueprint, spec)
        _record(feed.CREATE, blueprint, actor, now)
    return blueprint


def replace_blueprint(
    identifier: str,
    document: Mapping[str, Any],
    *,
    actor: Actor,
    force: bool = False,
    if_version: int | None = None,
) -> Blueprint:
    """Give a blueprint a new definition; another `identifier` in the document renames it.

    Raises BreakingChange (with the impact in its details) when stored entities do not fit and
    `force` is not set. A forced change keeps every value: those that no longer fit stay as they
    are until the next write of the entity, those of removed properties stay hidden. Raises
    Conflict when the stored `version` is no longer `if_version`.
    """
    spec = parse({"identifier": identifier, **document})
    now = timezone.now()
    with transaction.atomic():
        entities.lock_everything()
        blueprint = _get(identifier)
        if if_version is not None and blueprint.version != if_version:
            raise Conflict(
                f'Blueprint "{identifier}" was changed by {blueprint.updated_by} meanwhile',
                hint="Load it again and repeat the change.",
            )
        before = blueprint_document(blueprint)
        _check_system(blueprint, spec)
        impact = _impact(blueprint, spec)
        if impact.is_breaking and not force:
            raise _breaking(blueprint, impact)
        if _is_same(before, spec.document()):
            return blueprint
        old_relations = _relations_of(blueprint)
        if spec.identifier != identifier:
            _move(blueprint, spec.identifier, actor)
            spec = spec.following(identifier)
            old_relations = _relations_of(_get(spec.identifier))
        _assign(blueprint, spec)
        _save(blueprint, actor, now)
        _save_relations(blueprint, spec)
        _rewrite_relations(blueprint, old_relations, spec, actor)
        _record(feed.UPDATE, blueprint, actor, now, before=before)
    return blueprint


def patch_blueprint(
    identifier: str, changes: Mapping[str, Any], *, actor: Actor, force: bool = False
) -> Blueprint:
    """Replace the given top-level keys of a blueprint as wholes; the others stay."""
    with transaction.atomic():
        entities.lock_everything()
        document = {**blueprint_document(_get(identifier)), **changes}
        return replace_blueprint(identifier, document, actor=actor, force=force)


def preview_change(identifier: str, document: Mapping[str, Any]) -> Impact:
    """What `replace_blueprint` would do to the stored entities. Writes nothing."""
    spec = parse({"identifier": identifier, **document})
    return _impact(_get(identifier), spec)


def delete_blueprint(identifier: str, *, actor: Actor) -> None:
    """Delete a blueprint that nothing depends on; raises HasDependents otherwise."""
    now = timezone.now()
    with transaction.atomic():
        entities.lock_everything()
        blueprint = _get(identifier)
        if blueprint.is_system:
            raise HasDependents(f'Blueprint "{identifier}" is part of the system')
        count = blueprint.entities.count()
        if count:
            raise HasDependents(
                f'Blueprint "{identifier}" still has {count} entities',
                hint="Delete its entities first (DELETE …/all-entities).",
                details={"count": count},
            )
        pointing = [
            f"{d.blueprint.identifier}.{d.identifier}"
            for d in blueprint.incoming_definitions.select_related("blueprint").exclude(
                blueprint=blueprint
            )
        ]
        if pointing:
            raise HasDependents(
                f'Relations point to blueprint "{identifier}": {", ".join(pointing)}',
                hint="Remove these relations first.",
                details={"dependents": pointing},
            )
        before = blueprint_document(blueprint)
        _record(feed.DELETE, blueprint, actor, now, before=before)
        blueprint.relation_definitions.all().delete()
        blueprint.delete()


def delete_all_entities(
    identifier: str, *, actor: Actor, delete_blueprint_too: bool = False
) -> int:
    """Delete every entity of a blueprint, then perhaps the blueprint. Returns how many."""
    count = 0
    with transaction.atomic():
        _get(identifier)
        while True:
            keys = [
                (identifier, one)
                for one in Entity.objects.filter(blueprint__identifier=identifier)
                .order_by("pk")
                .values_list("identifier", flat=True)[: entities.MAX_BATCH]
            ]
            if not keys:
                break
            count += len(entities.delete(keys, actor=actor, delete_dependents=True))
        if delete_blueprint_too:
            delete_blueprint(identifier, actor=actor)
    return count


def rename_property(identifier: str, old: str, new: str, *, actor: Actor) -> Blueprint:
    """Rename an own property; the values of all entities move with it."""
    check_property_identifier(new, field="newPropertyName")
    with transaction.atomic():
        entities.lock_everything()
        blueprint = _get(identifier)
        document = blueprint_document(blueprint)
        schema = document["schema"]
        schema["properties"] = _renamed_key(schema["properties"], old, new, "Property")
        schema["required"] = [new if name == old else name for name in schema["required"]]
        blueprint = replace_blueprint(identifier, document, actor=actor, force=True)
        having = Entity.objects.filter(blueprint=blueprint, properties__has_key=old)
        _merge(
            (
                EntityDraft(identifier, one, properties={old: None, new: properties[old]})
                for one, properties in having.values_list("identifier", "properties")
            ),
            actor,
        )
    return blueprint


def rename_relation(identifier: str, old: str, new: str, *, actor: Actor) -> Blueprint:
    """Rename a relation; the edges of all entities move with it."""
    check_property_identifier(new, field="newRelationIdentifier")
    with transaction.atomic():
        entities.lock_everything()
        blueprint = _get(identifier)
        before = deepcopy(blueprint_document(blueprint))
        _renamed_key(before["relations"], old, new, "Relation")
        values = list(
            Entity.objects.filter(blueprint=blueprint, relations__has_key=old).values_list(
                "identifier", "relations"
            )
        )
        for mirror in blueprint.mirror_properties.values():
            first, _, rest = mirror["path"].partition(".")
            if first == old:
                mirror["path"] = f"{new}.{rest}"
        # The definition keeps its row, so that edges need not be written again.
        blueprint.relation_definitions.filter(identifier=old).update(identifier=new)
        now = timezone.now()
        _save(blueprint, actor, now)
        blueprint = _get(identifier)
        _record(feed.UPDATE, blueprint, actor, now, before=before)
        _merge(
            (
                EntityDraft(identifier, one, relations={new: relations[old]})
                for one, relations in values
            ),
            actor,
        )
    return blueprint


def rename_mirror(identifier: str, old: str, new: str, *, actor: Actor) -> Blueprint:
    check_property_identifier(new, field="newMirrorName")
    with transaction.atomic():
        entities.lock_everything()
        document = blueprint_document(_get(identifier))
        document["mirrorProperties"] = _renamed_key(
            document["mirrorProperties"], old, new, "Mirror property"
        )
        return replace_blueprint(identifier, document, actor=actor, force=True)


def ensure_blueprints(documents: Mapping[str, Mapping[str, Any]], *, actor: Actor) -> list[str]:
    """Create those of `documents` (by identifier) that do not exist; returns their identifiers.

    They may refer to each other: relations are added once all of them are there.
    """
    if not _unknown(documents):
        return []  # the usual case, without making writers wait
    with transaction.atomic():
        entities.lock_everything()
        missing = _unknown(documents)
        for identifier in missing:
            create_blueprint({**documents[identifier], "relations": {}}, actor=actor)
        for identifier in missing:
            if documents[identifier].get("relations"):
                patch_blueprint(
                    identifier,
                    {"relations": documents[identifier]["relations"]},
                    actor=actor,
                )
    return missing


def ensure_system_blueprints() -> list[str]:
    """Create `_user` and `_team` where they are missing."""
    return ensure_blueprints(SYSTEM_BLUEPRINTS, actor=Actor.system("setup"))


def blueprint_document(blueprint: Blueprint) -> dict[str, Any]:
    """The blueprint as Port's JSON, without the moments and authors."""
    document: dict[str, Any] = {
        "identifier": blueprint.identifier,
        "title": blueprint.title,
        "icon": blueprint.icon,
        "description": blueprint.description,
        "schema": {"properties": {}, "required": [], **blueprint.schema},
        "relations": {
            name: relation.document() for name, relation in _relations_of(blueprint).items()
        },
        "mirrorProperties": blueprint.mirror_properties,
        "calculationProperties": blueprint.calculation_properties,
        "aggregationProperties": blueprint.aggregation_properties,
        **blueprint.extra,
    }
    if blueprint.ownership is not None:
        document["ownership"] = blueprint.ownership
    return document


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal, and in the same order where people arranged it."""
    return one == other and all(
        list(a) == list(b)
        for a, b in (
            (one["schema"]["properties"], other["schema"]["properties"]),
            *((one[group], other[group]) for group in _ARRANGED),
        )
    )


def _get(identifier: str) -> Blueprint:
    try:
        return Blueprint.objects.prefetch_related("relation_definitions__target").get(
            identifier=identifier
        )
    except Blueprint.DoesNotExist:
        raise NotFound.of("Blueprint", identifier) from None


def _unknown(identifiers: Iterable[str]) -> list[str]:
    known = set(
        Blueprint.objects.filter(identifier__in=list(identifiers)).values_list(
            "identifier", flat=True
        )
    )
    return [identifier for identifier in identifiers if identifier not in known]


def _relations_of(blueprint: Blueprint) -> dict[str, RelationSpec]:
    return {
        d.identifier: RelationSpec(
            target=d.target.identifier if d.target else None,
            many=d.many,
            required=d.required,
            title=d.title,
            description=d.description,
        )
        for d in blueprint.relation_definitions.all()
    }


def _assign(blueprint: Blueprint, spec: BlueprintSpec) -> None:
    blueprint.identifier = spec.identifier
    blueprint.title = spec.title
    blueprint.icon = spec.icon
    blueprint.description = spec.description
    blueprint.schema = spec.schema
    blueprint.mirror_properties = spec.mirror_properties
    blueprint.calculation_properties = spec.calculation_properties
    blueprint.aggregation_properties = spec.aggregation_properties
    blueprint.ownership = spec.ownership
    blueprint.extra = spec.extra


def _save(blueprint: Blueprint, actor: Actor, now: datetime) -> None:
    blueprint.version += 1
    blueprint.updated_at, blueprint.updated_by = now, actor.name
    blueprint.save()


def _save_relations(blueprint: Blueprint, spec: BlueprintSpec) -> None:
    wanted = {relation.target for relation in spec.relations.values() if relation.target}
    targets = {b.identifier: b for b in Blueprint.objects.filter(identifier__in=wanted)}
    for name, relation in spec.relations.items():
        if relation.target and relation.target not in targets:
            raise NotFound(
                f'relation "{name}": target blueprint "{shorten(relation.target)}" was not found',
                hint="Create the target blueprint first, or add the relation later.",
                details={
                    "field": f"relations.{name}.target",
                    "value": relation.target,
                    "expected": "an existing blueprint",
                    "resource": "Blueprint",
                },
            )
    gone = blueprint.relation_definitions.exclude(identifier__in=list(spec.relations))
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM catalog_relation WHERE definition_id = ANY(%s)",
            [list(gone.values_list("pk", flat=True))],
        )
    gone.delete()
    RelationDefinition.objects.bulk_create(
        [
            RelationDefinition(
                blueprint=blueprint,
                identifier=name,
                title=relation.title,
                description=relation.description,
                target=targets.get(relation.target or ""),
                many=relation.many,
                required=relation.required,
                position=position,
            )
            for position, (name, relation) in enumerate(spec.relations.items())
        ],
        update_conflicts=True,
        unique_fields=["blueprint", "identifier"],
        update_fields=[
            "title",
            "description",
            "target",
            "many",
            "required",
            "position",
        ],
    )
    # what was prefetched is no longer true
    getattr(blueprint, "_prefetched_objects_cache", {}).pop("relation_definitions", None)


def _rewrite_relations(
    blueprint: Blueprint,
    old: dict[str, RelationSpec],
    spec: BlueprintSpec,
    actor: Actor,
) -> None:
    """Bring stored relation values into the form the new definitions ask for."""
    new = spec.relations
    changed = [
        name
        for name, relation in old.items()
        if name not in new or (relation.target, relation.many) != (new[name].target, new[name].many)
    ]
    if not changed:
        return
    stored = Entity.objects.filter(blueprint=blueprint, relations__has_any_keys=changed)
    _merge(
        (
            EntityDraft(
                spec.identifier,
                identifier,
                relations={
                    name: _converted(relations[name], old[name], new[name])
                    for name in changed
                    if name in new and name in relations
                },
            )
            for identifier, relations in stored.values_list("identifier", "relations")
        ),
        actor,
    )
    retargeted = [
        name
        for name in changed
        if name in new and new[name].target and new[name].target != old[name].target
    ]
    with connection.cursor() as cursor:
        for name in retargeted:
            cursor.execute(
                "UPDATE catalog_relation r SET target_blueprint = b.identifier, target_id = "
                "(SELECT e.id FROM catalog_entity e WHERE e.blueprint_id = b.id "
                " AND e.identifier = r.target_identifier) "
                "FROM catalog_relationdefinition d JOIN catalog_blueprint b ON b.id = d.target_id "
                "WHERE r.definition_id = d.id AND d.blueprint_id = %s AND d.identifier = %s",
                [blueprint.pk, name],
            )


def _converted(value: Any, old: RelationSpec, new: RelationSpec) -> Any:
    values = value if isinstance(value, list) else [value]
    if old.target is None and new.target is not None:
        prefix = f"{new.target}:"
        values = [v.removeprefix(prefix) for v in values if v.startswith(prefix)]
    elif old.target is not None and new.target is None:
        values = [f"{old.target}:{v}" for v in values]
    if new.many:
        return values
    return values[0] if values else None


def _merge(drafts: Iterator[EntityDraft], actor: Actor) -> None:
    """Merge drafts in batches; the transaction is one, so a refusal undoes everything."""
    pending = list(drafts)
    for start in range(0, len(pending), entities.MAX_BATCH):
        result = entities.apply(
            pending[start : start + entities.MAX_BATCH],
            mode=Mode.MERGE,
            actor=actor,
            missing_targets=MissingTargets.DANGLE,
        )
        if result.rejected:
            first = result.rejected[0]
            raise BreakingChange(
                f'{len(result.rejected)} entities cannot follow, first "{first.identifier}": '
                f"{first.error}"
            )


def _move(blueprint: Blueprint, identifier: str, actor: Actor) -> None:
    check_blueprint_identifier(identifier)
    if Blueprint.objects.filter(identifier=identifier).exists():
        raise AlreadyExists(f'Blueprint "{identifier}" exists already')
    old = blueprint.identifier
    Blueprint.objects.filter(pk=blueprint.pk).update(
        identifier=identifier, version=blueprint.version + 1, updated_at=timezone.now()
    )
    entities.rename_target_blueprint(old, identifier, actor=actor)


def _check_system(blueprint: Blueprint, spec: BlueprintSpec) -> None:
    """System blueprints may be extended; what the product itself reads must stay."""
    if not blueprint.is_system:
        return
    own = SYSTEM_BLUEPRINTS[blueprint.identifier]
    kept_properties = own["schema"]["properties"].keys() <= spec.schema["properties"].keys()
    kept_relations = own["relations"].keys() <= spec.relations.keys()
    if spec.identifier != blueprint.identifier or not kept_properties or not kept_relations:
        raise InvalidBlueprint(
            f'Blueprint "{blueprint.identifier}" is part of the system: it can be extended, but '
            "not renamed, and its own properties and relations must stay",
            details={
                "expected": {
                    "properties": list(own["schema"]["properties"]),
                    "relations": list(own["relations"]),
                }
            },
        )


def _impact(blueprint: Blueprint, spec: BlueprintSpec) -> Impact:
    return Impact(
        (
            *_schema_effects(blueprint, spec),
            *_removed_property_effects(blueprint, spec),
            *_relation_effects(blueprint, spec),
        )
    )


def _schema_effects(blueprint: Blueprint, spec: BlueprintSpec) -> Iterator[Effect]:
    """Entities that fit the old schema and would not fit the new one, by what is wrong."""
    old, new = compiled(blueprint.schema), compiled(spec.schema)
    if old is new:
        return
    found: dict[tuple[str, str], list[str]] = {}
    messages: dict[tuple[str, str], str] = {}
    stored = blueprint.entities.order_by("pk").values_list("identifier", "properties")
    for identifier, properties in stored.iterator(chunk_size=2000):
        if new.is_valid(properties):
            continue
        known = {(p.path, p.expected) for p in old.problems(properties)}
        for problem in new.problems(properties):
            key = (problem.path, problem.expected)
            if key not in known:
                found.setdefault(key, []).append(identifier)
                messages.setdefault(key, problem.message)
    for (path, expected), identifiers in found.items():
        yield Effect(
            kind="invalid_values",
            path=path,
            message=f"{messages[path, expected]} (expected {expected})",
            count=len(identifiers),
            examples=tuple(identifiers[:EXAMPLES]),
        )


def _removed_property_effects(blueprint: Blueprint, spec: BlueprintSpec) -> Iterator[Effect]:
    for name in blueprint.properties:
        if name not in spec.schema["properties"]:
            having = blueprint.entities.filter(properties__has_key=name)
            if effect := _effect(
                having,
                "hidden_values",
                name,
                "values stay stored, but are no longer shown",
                False,
            ):
                yield effect


def _relation_effects(blueprint: Blueprint, spec: BlueprintSpec) -> Iterator[Effect]:
    for name, old in _relations_of(blueprint).items():
        having = blueprint.entities.filter(relations__has_key=name)
        new = spec.relations.get(name)
        effect = None
        if new is None:
            effect = _effect(having, "lost_relations", name, "these relations are removed")
        elif new.target is not None and new.target != old.target:
            effect = _effect(
                having,
                "retargeted",
                name,
                f"these relations will point to {new.target}",
            )
        elif old.many and not new.many:
            several = having.filter(**{f"relations__{name}__1__isnull": False})
            effect = _effect(several, "too_many", name, "only the first target is kept")
        if effect:
            yield effect
    for name, new in spec.relations.items():
        if new.required:
            lacking = blueprint.entities.exclude(relations__has_key=name)
            if effect := _effect(lacking, "required", name, "the required relation is missing"):
                yield effect


def _effect(
    queryset: Any, kind: str, path: str, message: str, is_breaking: bool = True
) -> Effect | None:
    examples = tuple(queryset.order_by("pk").values_list("identifier", flat=True)[:EXAMPLES])
    if not examples:
        return None
    return Effect(kind, path, message, queryset.count(), examples, is_breaking)


def _breaking(blueprint: Blueprint, impact: Impact) -> BreakingChange:
    told = "; ".join(
        f'"{e.path}": {e.count} entities ({", ".join(e.examples)}): {e.message}'
        for e in impact.effects
        if e.is_breaking
    )
    return BreakingChange(
        f'The change of blueprint "{blueprint.identifier}" breaks existing entities: {told}',
        hint="Mend these entities first, or force the change (force=true).",
        details={"impact": impact.as_dict()},
    )


def _renamed_key(mapping: dict[str, Any], old: str, new: str, what: str) -> dict[str, Any]:
    if old not in mapping:
        raise NotFound.of(what, old)
    if new != old and new in mapping:
        raise AlreadyExists(f'{what} "{new}" exists already')
    return {new if name == old else name: value for name, value in mapping.items()}


def _record(
    action: str,
    blueprint: Blueprint,
    actor: Actor,
    now: datetime,
    before: dict[str, Any] | None = None,
) -> None:
    changed_before = changed_after = None
    if action == feed.DELETE:
        changed_before = before
    elif before is not None:
        after = blueprint_document(blueprint)
        keys = [
            key
            for key in {**before, **after}
            # as text: another order of properties is a change too
            if orjson.dumps(before.get(key)) != orjson.dumps(after.get(key))
        ]
        changed_before = {key: before[key] for key in keys if key in before}
        changed_after = {key: after[key] for key in keys if key in after}
    feed.record(
        [
            feed.Record(
                action,
                Change.BLUEPRINT,
                blueprint.identifier,
                blueprint.identifier,
                blueprint.pk,
                changed_before,
                changed_after,
            )
        ],
        actor=actor,
        at=now,
    )


__all__ = [
    "ANY_TARGET",
    "Effect",
    "Impact",
    "blueprint_document",
    "create_blueprint",
    "delete_all_entities",
    "delete_blueprint",
    "ensure_blueprints",
    "ensure_system_blueprints",
    "patch_blueprint",
    "preview_change",
    "rename_mirror",
    "rename_property",
    "rename_relation",
    "replace_blueprint",
]
