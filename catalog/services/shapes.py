"""Blueprints as writing needs them: compiled, and cached until one of them changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection

from catalog.kernel.schema import CompiledSchema, compile_schema
from catalog.models import Blueprint

# Formats of Port that are not JSON Schema's and that no value is checked against stay as they
# are: the validator knows them not. These keys must not reach it, as they mean other things there.
_DISPLAY_KEYS = ("icon", "enumColors", "spec", "specAuthentication")


@dataclass(frozen=True, slots=True)
class Definition:
    """A relation: target is the identifier of a blueprint, None for any kind."""

    pk: int
    identifier: str
    target: str | None
    many: bool
    required: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """A blueprint, compiled: what an entity of it must look like.

    inherits_team: its entities have the teams of others; nobody writes them.
    """

    pk: int
    identifier: str
    is_system: bool
    inherits_team: bool
    permissions: Mapping[str, Any] | None
    defaults: Mapping[str, Any]
    validator: CompiledSchema
    definitions: Mapping[str, Definition]


def compiled(schema: Mapping[str, Any]) -> CompiledSchema:
    """The validator of the `properties` of entities of a blueprint with this schema."""
    return compile_schema(
        {
            "type": "object",
            "properties": {
                name: {k: v for k, v in one.items() if k not in _DISPLAY_KEYS}
                for name, one in schema.get("properties", {}).items()
            },
            "required": list(schema.get("required", [])),
            **({"$defs": schema["$defs"]} if "$defs" in schema else {}),
        }
    )


def load_shapes() -> dict[str, Shape]:
    """All blueprints by identifier.

    The cache is per process and good as long as nobody changed any blueprint: one statement asks
    only for that. Call it after taking the locks.
    """
    global _cached
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_database(), count(*), sum(id), sum(version), max(updated_at) "
            "FROM catalog_blueprint"
        )
        stamp = cursor.fetchone()
    cached = _cached
    if cached is None or cached[0] != stamp:
        # What is returned is this thread's own: another one may see other blueprints, in its
        # transaction, and put them into the cache at any moment.
        cached = _cached = (stamp, _load())
    return cached[1]


_cached: tuple[tuple[Any, ...], dict[str, Shape]] | None = None


def _load() -> dict[str, Shape]:
    return {
        blueprint.identifier: Shape(
            pk=blueprint.pk,
            identifier=blueprint.identifier,
            is_system=blueprint.is_system,
            inherits_team=blueprint.team_path is not None,
            permissions=blueprint.permissions,
            defaults={
                name: one["default"]
                for name, one in blueprint.properties.items()
                if one.get("default") is not None
            },
            validator=compiled(blueprint.schema),
            definitions={
                d.identifier: Definition(
                    pk=d.pk,
                    identifier=d.identifier,
                    target=d.target.identifier if d.target else None,
                    many=d.many,
                    required=d.required,
                )
                for d in blueprint.relation_definitions.all()
            },
        )
        for blueprint in Blueprint.objects.prefetch_related("relation_definitions__target")
    }
