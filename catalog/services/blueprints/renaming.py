"""Renaming parts of a blueprint: values, edges and the paths of other blueprints follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import AlreadyExists, NotFound
from catalog.kernel.identifiers import check_property_identifier
from catalog.models import Blueprint, Entity, RelationDefinition
from catalog.services import entities
from catalog.services.blueprints.documents import (
    blueprint_document,
    get_blueprint,
    record_change,
    save_version,
)
from catalog.services.blueprints.lifecycle import check_system, replace_blueprint
from catalog.services.entities import EntityDraft
from catalog.services.entities.marking import mark_blueprint

_Graph = Mapping[str, Mapping[str, str | None]]


def rename_property(identifier: str, old: str, new: str, *, actor: Actor) -> Blueprint:
    """Rename an own property; the values of all entities move with it.

    Raises NotFound, AlreadyExists, InvalidInput, and BreakingChange when a value that the schema
    already refused stands in the way.
    """
    check_property_identifier(new, field="newPropertyName")
    with transaction.atomic():
        entities.lock_everything()
        blueprint = get_blueprint(identifier)
        document = blueprint_document(blueprint)
        schema = document["schema"]
        properties = _renamed_key(schema["properties"], old, new, "Property")
        required = [new if name == old else name for name in schema["required"]]
        document["schema"] = {**schema, "properties": properties, "required": required}
        blueprint = replace_blueprint(identifier, document, actor=actor, force=True)
        _rename_grant(blueprint, "updateProperties", old, new)
        _rename_in_paths(identifier, old, new, is_relation=False, actor=actor)
        having = Entity.objects.filter(blueprint=blueprint, properties__has_key=old)
        entities.merge_all(
            [
                EntityDraft(identifier, one, properties={old: None, new: properties[old]})
                for one, properties in having.values_list("identifier", "properties")
            ],
            actor=actor,
        )
    return get_blueprint(identifier)


def rename_relation(identifier: str, old: str, new: str, *, actor: Actor) -> Blueprint:
    """Rename a relation; the edges of all entities move with it."""
    check_property_identifier(new, field="newRelationIdentifier")
    with transaction.atomic():
        entities.lock_everything()
        blueprint = get_blueprint(identifier)
        document = blueprint_document(blueprint)
        document["relations"] = _renamed_key(document["relations"], old, new, "Relation")
        check_system(blueprint, document)
        if new == old:
            return blueprint
        values = list(
            Entity.objects.filter(blueprint=blueprint, relations__has_key=old)
            .order_by("pk")
            .values_list("identifier", "relations")
        )
        _rename_in_paths(identifier, old, new, is_relation=True, actor=actor)
        before = blueprint_document(get_blueprint(identifier))
        # The definition keeps its row, and so its place among the others.
        blueprint.relation_definitions.filter(identifier=old).update(identifier=new)
        blueprint = get_blueprint(identifier)
        _rename_grant(blueprint, "updateRelations", old, new)
        now = timezone.now()
        save_version(blueprint, actor=actor, at=now)
        record_change(feed.UPDATE, blueprint, actor=actor, at=now, before=before)
        entities.merge_all(
            [
                EntityDraft(identifier, one, relations={new: relations[old]})
                for one, relations in values
            ],
            actor=actor,
        )
        with connection.cursor() as cursor:
            mark_blueprint(cursor, blueprint.pk)
    return blueprint


def rename_mirror(identifier: str, old: str, new: str, *, actor: Actor) -> Blueprint:
    check_property_identifier(new, field="newMirrorName")
    with transaction.atomic():
        entities.lock_everything()
        document = blueprint_document(get_blueprint(identifier))
        document["mirrorProperties"] = _renamed_key(
            document["mirrorProperties"], old, new, "Mirror property"
        )
        replace_blueprint(identifier, document, actor=actor, force=True)
        _rename_in_paths(identifier, old, new, is_relation=False, actor=actor)
    return get_blueprint(identifier)


def _rename_in_paths(at: str, old: str, new: str, *, is_relation: bool, actor: Actor) -> None:
    """Rename one step of every path that goes through blueprint `at` (mirrors, ownership, filters
    of aggregations), and a property where it is aggregated or asked for. Called while the relation
    definitions have their old names.
    """
    graph = _graph()

    def renamed(path: str, start: str, *, ends_in_property: bool) -> str:
        steps = path.split(".")
        here: str | None = start
        for index, step in enumerate(steps):
            is_property = ends_in_property and index == len(steps) - 1
            if here == at and step == old and is_property is not is_relation:
                steps[index] = new
            here = graph.get(here or "", {}).get(step)
        return ".".join(steps)

    def filtered(one: dict[str, Any], own: str) -> dict[str, Any]:
        filters = one.get("pathFilter") or []
        for part in filters:
            path = part["path"]
            is_own = path[0] in graph.get(own, {})
            start = part.get("fromBlueprint") or (own if is_own else one["target"])
            steps = renamed(".".join(path), start, ends_in_property=False).split(".")
            filters = [{**part, "path": steps}]
        return {**one, "pathFilter": filters} if filters else one

    for blueprint in Blueprint.objects.prefetch_related("relation_definitions__target"):
        before = blueprint_document(blueprint)
        blueprint.mirror_properties = {
            name: {
                **mirror,
                "path": renamed(mirror["path"], blueprint.identifier, ends_in_property=True),
            }
            for name, mirror in blueprint.mirror_properties.items()
        }
        blueprint.aggregation_properties = {
            name: filtered(one, blueprint.identifier)
            if is_relation
            else _aggregating(one, at, old, new)
            for name, one in blueprint.aggregation_properties.items()
        }
        if blueprint.ownership and blueprint.ownership.get("path"):
            path = renamed(
                blueprint.ownership["path"], blueprint.identifier, ends_in_property=False
            )
            blueprint.ownership = {**blueprint.ownership, "path": path}
        inheritance = blueprint.extra.get("teamInheritance")
        if inheritance:
            path = renamed(inheritance["path"], blueprint.identifier, ends_in_property=False)
            blueprint.extra = {
                **blueprint.extra,
                "teamInheritance": {**inheritance, "path": path},
            }
        if blueprint_document(blueprint) != before:
            now = timezone.now()
            save_version(blueprint, actor=actor, at=now)
            record_change(feed.UPDATE, blueprint, actor=actor, at=now, before=before)


def _rename_grant(blueprint: Blueprint, part: str, old: str, new: str) -> None:
    """Who may change a property or relation stays the same under its new name."""
    stored = blueprint.permissions or {}
    if old in stored.get(part, {}):
        grants = {new if name == old else name: grant for name, grant in stored[part].items()}
        blueprint.permissions = {**stored, part: grants}
        blueprint.version += 1
        blueprint.save(update_fields=["permissions", "version"])


def _aggregating(one: dict[str, Any], at: str, old: str, new: str) -> dict[str, Any]:
    """An aggregation of blueprint `at` after a property of that was renamed."""
    spec = one["calculationSpec"]
    if one["target"] != at:
        return one
    named = {key: new for key in ("property", "measureTimeBy") if spec.get(key) == old}
    query = {"query": _asking(one["query"], old, new)} if one.get("query") else {}
    return {**one, "calculationSpec": {**spec, **named}, **query}


def _asking(part: Any, old: str, new: str) -> Any:
    """A query, or a part of one, whose rules ask for the property by its new name."""
    if isinstance(part, list):
        return [_asking(one, old, new) for one in part]
    if not isinstance(part, dict):
        return part
    rules = {"rules": _asking(part["rules"], old, new)} if "rules" in part else {}
    named = {"property": new} if part.get("property") == old else {}
    return {**part, **rules, **named}


def _graph() -> _Graph:
    """{blueprint: {relation: target blueprint}}"""
    graph: dict[str, dict[str, str | None]] = {}
    definitions = RelationDefinition.objects.values_list(
        "blueprint__identifier", "identifier", "target__identifier"
    )
    for blueprint, relation, target in definitions:
        graph.setdefault(blueprint, {})[relation] = target
    return graph


def _renamed_key(mapping: dict[str, Any], old: str, new: str, what: str) -> dict[str, Any]:
    if old not in mapping:
        raise NotFound.of(what, old)
    if new != old and new in mapping:
        raise AlreadyExists.of(what, new)
    return {new if name == old else name: value for name, value in mapping.items()}
