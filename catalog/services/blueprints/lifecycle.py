"""Blueprints: created, changed, deleted; each change is checked against what is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from catalog import registry
from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import (
    AlreadyExists,
    Conflict,
    HasDependents,
    InvalidBlueprint,
    NotFound,
    shorten,
)
from catalog.models import Blueprint, Entity, Relation, RelationDefinition
from catalog.services import entities
from catalog.services.blueprint_spec import BlueprintSpec, RelationSpec, aggregating, parse
from catalog.services.blueprints.documents import (
    blueprint_document,
    get_blueprint,
    is_same,
    record_change,
    relations_of,
    save_version,
)
from catalog.services.blueprints.impact import Impact, impact_of
from catalog.services.derived import check_definitions
from catalog.services.entities import EntityDraft
from catalog.services.entities.marking import mark_blueprint
from catalog.services.system_blueprints import SYSTEM_BLUEPRINTS, system_document

# Parts that need other blueprints, in the order in which they need each other.
_LEADING_OUT = (
    ("relations",),
    ("mirrorProperties", "aggregationProperties", "ownership", "teamInheritance"),
)


def create_blueprint(document: Mapping[str, Any], *, actor: Actor) -> Blueprint:
    """Create a blueprint from Port's JSON.

    Raises InvalidBlueprint, AlreadyExists, and NotFound for an unknown relation target.
    """
    spec = parse(document)
    with transaction.atomic():
        entities.lock_everything()
        now = timezone.now()
        _check_free(spec.identifier)
        blueprint = Blueprint(
            created_at=now, created_by=actor.name, updated_at=now, updated_by=actor.name
        )
        _assign(blueprint, spec)
        blueprint.is_system = system_document(spec.identifier) is not None
        blueprint.save(force_insert=True)
        _save_relations(blueprint, spec)
        check_definitions(spec.identifier)
        record_change(feed.CREATE, blueprint, actor=actor, at=now)
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
    with transaction.atomic():
        entities.lock_everything()
        now = timezone.now()
        blueprint = get_blueprint(identifier)
        if if_version is not None and blueprint.version != if_version:
            raise Conflict(
                f'Blueprint "{identifier}" was changed by {blueprint.updated_by} meanwhile',
                hint="Load it again and repeat the change.",
            )
        before = blueprint_document(blueprint)
        check_system(blueprint, spec.document())
        if is_same(before, spec.document()):
            return blueprint
        if not force and (impact := impact_of(blueprint, spec)).is_breaking:
            raise impact.refusal(identifier)
        old_relations, old_team_path = relations_of(blueprint), blueprint.team_path
        if spec.identifier != identifier:
            _move(blueprint, spec.identifier, actor)
            spec = spec.following(identifier)
            old_relations = relations_of(get_blueprint(spec.identifier))
        _assign(blueprint, spec)
        save_version(blueprint, actor=actor, at=now)
        _save_relations(blueprint, spec)
        check_definitions(spec.identifier, before=before)
        _rewrite_relations(blueprint, old_relations, spec, actor)
        if spec.identifier != identifier or spec.relations != old_relations:
            with connection.cursor() as cursor:
                mark_blueprint(cursor, blueprint.pk)
        if bool(old_team_path) is not bool(blueprint.team_path):
            entities.rehash(Entity.objects.filter(blueprint=blueprint).exclude(team=[]))
        record_change(feed.UPDATE, blueprint, actor=actor, at=now, before=before)
    return blueprint


def patch_blueprint(
    identifier: str, changes: Mapping[str, Any], *, actor: Actor, force: bool = False
) -> Blueprint:
    """Replace the given top-level keys of a blueprint as wholes; the others stay."""
    with transaction.atomic():
        entities.lock_everything()
        document = {**blueprint_document(get_blueprint(identifier)), **changes}
        return replace_blueprint(identifier, document, actor=actor, force=force)


def preview_change(identifier: str, document: Mapping[str, Any]) -> Impact:
    """What `replace_blueprint` would do to the stored entities. Writes nothing."""
    spec = parse({"identifier": identifier, **document})
    return impact_of(get_blueprint(identifier), spec)


def delete_blueprint(identifier: str, *, actor: Actor) -> None:
    """Delete a blueprint that nothing depends on; raises HasDependents otherwise."""
    with transaction.atomic():
        entities.lock_everything()
        now = timezone.now()
        blueprint = get_blueprint(identifier)
        if blueprint.is_system:
            raise HasDependents(f'Blueprint "{identifier}" is part of the system')
        count = blueprint.entities.count()
        if count:
            raise HasDependents(
                f'Blueprint "{identifier}" still has {count} entities',
                hint="Delete its entities first (DELETE …/all-entities).",
                details={"count": count},
            )
        _forget_in_results(blueprint)
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
        record_change(feed.DELETE, blueprint, actor=actor, at=now, before=before)
        blueprint.relation_definitions.all().delete()
        blueprint.delete()


def delete_all_entities(
    identifier: str, *, actor: Actor, delete_blueprint_too: bool = False
) -> int:
    """Delete every entity of a blueprint, then perhaps the blueprint. Returns how many.

    Raises HasDependents, and deletes nothing, when entities of other blueprints require one.
    """
    count = 0
    with transaction.atomic():
        entities.lock_everything()
        _check_not_required(get_blueprint(identifier))
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


def _check_not_required(blueprint: Blueprint) -> None:
    """Raises HasDependents when entities of other blueprints need entities of this one."""
    edges = Relation.objects.filter(definition__required=True, target__blueprint=blueprint)
    needing = Entity.objects.filter(pk__in=edges.values("source")).exclude(blueprint=blueprint)
    names = [entity.ref for entity in needing.select_related("blueprint").order_by("pk")[:20]]
    if names:
        count = needing.count()
        raise HasDependents(
            f'{count} entities of other blueprints need entities of "{blueprint.identifier}": '
            f"{', '.join(names[:5])}" + (" …" if count > 5 else ""),
            hint="Delete them first, or change their relation.",
            details={"count": count, "dependents": names},
        )


def ensure_blueprints(documents: Mapping[str, Mapping[str, Any]], *, actor: Actor) -> list[str]:
    """Create those of `documents` (by identifier) that do not exist; returns their identifiers.

    They may refer to each other: relations are added once all of them are there.
    """
    if not _unknown(documents):
        return []  # the usual case, without making writers wait
    with transaction.atomic():
        entities.lock_everything()
        missing = _unknown(documents)
        later = {key for keys in _LEADING_OUT for key in keys}
        for identifier in missing:
            alone = {k: v for k, v in documents[identifier].items() if k not in later}
            create_blueprint(alone, actor=actor)
        for keys in _LEADING_OUT:
            for identifier in missing:
                rest = {k: v for k, v in documents[identifier].items() if k in keys}
                if rest:
                    patch_blueprint(identifier, rest, actor=actor)
    return missing


def ensure_system_blueprints() -> list[str]:
    """Create `_user` and `_team` where they are missing."""
    return ensure_blueprints(SYSTEM_BLUEPRINTS, actor=Actor.system("setup"))


def _forget_in_results(blueprint: Blueprint) -> None:
    """Take away the relations to a blueprint that closed blueprints of the platform's own have: an
    app added them by itself, so they keep nobody from deleting it.
    """
    pointing = RelationDefinition.objects.filter(
        target=blueprint,
        blueprint__identifier__in=[
            k for k, own in registry.own_blueprints.items() if own.is_closed
        ],
    )
    for identifier in {one.blueprint.identifier for one in pointing.select_related("blueprint")}:
        relations = blueprint_document(get_blueprint(identifier))["relations"]
        kept = {k: one for k, one in relations.items() if one["target"] != blueprint.identifier}
        actor = Actor.system(registry.own_blueprints[identifier].writer)
        patch_blueprint(identifier, {"relations": kept}, actor=actor, force=True)


def _check_free(identifier: str) -> None:
    if Blueprint.objects.filter(identifier=identifier).exists():
        raise AlreadyExists.of("Blueprint", identifier)


def _unknown(identifiers: Iterable[str]) -> list[str]:
    known = set(
        Blueprint.objects.filter(identifier__in=list(identifiers)).values_list(
            "identifier", flat=True
        )
    )
    return [identifier for identifier in identifiers if identifier not in known]


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
    entities.merge_all(
        [
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
        ],
        actor=actor,
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


def _move(blueprint: Blueprint, identifier: str, actor: Actor) -> None:
    """Give the blueprint its new name, and let everything that names it follow."""
    _check_free(identifier)
    old = blueprint.identifier
    # A version of its own: entities are written under it before the rest of the change is saved.
    blueprint.version += 1
    blueprint.identifier = identifier
    blueprint.save(update_fields=["identifier", "version"])
    entities.rename_target_blueprint(old, identifier, actor=actor)
    for other in Blueprint.objects.exclude(pk=blueprint.pk):
        before = blueprint_document(other)
        other.aggregation_properties = aggregating(other.aggregation_properties, old, identifier)
        if other.aggregation_properties != before["aggregationProperties"]:
            now = timezone.now()
            save_version(other, actor=actor, at=now)
            record_change(feed.UPDATE, other, actor=actor, at=now, before=before)


def check_system(blueprint: Blueprint, document: Mapping[str, Any]) -> None:
    """System blueprints may be extended; what the product itself reads must stay."""
    own = system_document(blueprint.identifier) if blueprint.is_system else None
    if own is None:
        return
    own_properties, properties = own["schema"]["properties"], document["schema"]["properties"]
    own_relations, relations = own["relations"], document["relations"]
    is_kept = (
        document["identifier"] == blueprint.identifier
        and all(
            name in properties and properties[name]["type"] == one["type"]
            for name, one in own_properties.items()
        )
        and all(
            name in relations
            and all(relations[name][key] == one[key] for key in ("target", "many", "required"))
            for name, one in own_relations.items()
        )
    )
    if not is_kept:
        raise InvalidBlueprint(
            f'Blueprint "{blueprint.identifier}" is part of the system: it can be extended, but '
            "not renamed, and its own properties and relations must stay as they are",
            details={
                "expected": {
                    "properties": list(own["schema"]["properties"]),
                    "relations": list(own["relations"]),
                }
            },
        )
