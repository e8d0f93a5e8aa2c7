"""A stored blueprint: found, shown as Port's JSON, saved with its change row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import NotFound
from catalog.kernel.identifiers import is_storable
from catalog.models import Blueprint, Change
from catalog.services.blueprint_spec import RelationSpec


def get_blueprint(identifier: str) -> Blueprint:
    """With its relations loaded. Raises NotFound."""
    blueprints = Blueprint.objects.prefetch_related("relation_definitions__target")
    found = blueprints.filter(identifier=identifier).first() if is_storable(identifier) else None
    if found is None:
        raise NotFound.of("Blueprint", identifier)
    return found


def blueprint_document(blueprint: Blueprint) -> dict[str, Any]:
    """The blueprint as Port's JSON, without the moments and authors."""
    document: dict[str, Any] = {
        "identifier": blueprint.identifier,
        "title": blueprint.title,
        "icon": blueprint.icon,
        "description": blueprint.description,
        "schema": {"properties": {}, "required": [], **blueprint.schema},
        "relations": {
            name: relation.document() for name, relation in relations_of(blueprint).items()
        },
        "mirrorProperties": blueprint.mirror_properties,
        "calculationProperties": blueprint.calculation_properties,
        "aggregationProperties": blueprint.aggregation_properties,
        **blueprint.extra,
    }
    if blueprint.ownership is not None:
        document["ownership"] = blueprint.ownership
    return document


def relations_of(blueprint: Blueprint) -> dict[str, RelationSpec]:
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


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two documents say the same; the order of properties and relations counts."""
    return one == other and all(
        list(_ordered(one, part)) == list(_ordered(other, part))
        for part in (
            "schema",
            "relations",
            "mirrorProperties",
            "calculationProperties",
            "aggregationProperties",
        )
    )


def save_version(blueprint: Blueprint, *, actor: Actor, at: datetime) -> None:
    """Save a changed blueprint as its next version."""
    blueprint.version += 1
    blueprint.updated_at, blueprint.updated_by = at, actor.name
    blueprint.save()


def record_change(
    action: str,
    blueprint: Blueprint,
    *,
    actor: Actor,
    at: datetime,
    before: Mapping[str, Any] | None = None,
) -> None:
    """Add a change of a blueprint to the feed. `before`: the document as it was."""
    was = now = None
    if action == feed.DELETE:
        was = dict(before or {})
    elif before is not None:
        after = blueprint_document(blueprint)
        keys = [
            key
            for key in {**before, **after}
            if orjson.dumps(before.get(key)) != orjson.dumps(after.get(key))
        ]
        was = {key: before[key] for key in keys if key in before}
        now = {key: after[key] for key in keys if key in after}
    feed.record(
        [
            feed.Record(
                action,
                Change.BLUEPRINT,
                blueprint.identifier,
                blueprint.identifier,
                blueprint.pk,
                was,
                now,
            )
        ],
        actor=actor,
        at=at,
    )


def _ordered(document: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    value: Mapping[str, Any] = document.get(part) or {}
    return value.get("properties", {}) if part == "schema" else value
