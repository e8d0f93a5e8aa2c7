"""The blueprints as reading needs them: small, and cached until one of them changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connection

from catalog.models import Blueprint


@dataclass(frozen=True, slots=True)
class Link:
    """A relation of a kind. target: identifier of a blueprint; None leads to any kind."""

    pk: int
    identifier: str
    title: str
    target: str | None
    many: bool
    required: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """A blueprint. properties and computed: schema of each by name ({"type": "string", …}).

    computed is mirrors, calculations and aggregations together. team_path: the relations that its
    entities inherit their teams along; None where they have teams of their own.
    """

    pk: int
    identifier: str
    title: str
    icon: str | None
    properties: Mapping[str, Mapping[str, Any]]
    computed: Mapping[str, Mapping[str, Any]]
    mirrors: Mapping[str, Mapping[str, Any]]
    calculations: Mapping[str, Mapping[str, Any]]
    aggregations: Mapping[str, Mapping[str, Any]]
    team_path: str | None
    links: Mapping[str, Link]
    is_found_globally: bool

    def type_of(self, name: str) -> str | None:
        """The JSON type a property is declared with; None when it is not known."""
        schema = self.properties.get(name) or self.computed.get(name) or {}
        kind = schema.get("type")
        return kind if isinstance(kind, str) else None


class Kinds:
    """All blueprints at one moment."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.by_identifier = {kind.identifier: kind for kind in kinds}
        self.by_pk = {kind.pk: kind for kind in self.by_identifier.values()}

    def __iter__(self) -> Any:
        return iter(self.by_identifier.values())

    def get(self, identifier: str) -> Kind | None:
        return self.by_identifier.get(identifier)

    def pk_of(self, identifier: str) -> int | None:
        kind = self.get(identifier)
        return kind.pk if kind else None

    @cached_property
    def computed_in(self) -> Mapping[str, list[int]]:
        """The blueprints (pks) that compute a property of this name."""
        found: dict[str, list[int]] = {}
        for kind in self:
            for name in kind.computed:
                found.setdefault(name, []).append(kind.pk)
        return found

    @cached_property
    def link_by_pk(self) -> Mapping[int, Link]:
        return {link.pk: link for link in self.links()}

    def links(self, pks: Iterable[int] | None = None, *, name: str | None = None) -> list[Link]:
        """The relations of some kinds (of all: None), of one name or of every name."""
        kinds = self if pks is None else [self.by_pk[pk] for pk in pks if pk in self.by_pk]
        return [
            link
            for kind in kinds
            for link in kind.links.values()
            if name in (None, link.identifier)
        ]


def load_kinds() -> Kinds:
    """All blueprints: one small statement while nobody changes them, two more after a change."""
    global _cached
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_database(), count(*), sum(id), sum(version), max(updated_at) "
            "FROM catalog_blueprint"
        )
        stamp = cursor.fetchone()
    if _cached is None or _cached[0] != stamp:
        _cached = (stamp, Kinds(_load()))
    return _cached[1]


_cached: tuple[tuple[Any, ...], Kinds] | None = None


def _load() -> list[Kind]:
    blueprints = Blueprint.objects.prefetch_related("relation_definitions__target")
    return [
        Kind(
            pk=blueprint.pk,
            identifier=blueprint.identifier,
            title=blueprint.title,
            icon=blueprint.icon,
            properties=blueprint.properties,
            computed={
                **blueprint.mirror_properties,
                **blueprint.calculation_properties,
                **blueprint.aggregation_properties,
            },
            mirrors=blueprint.mirror_properties,
            calculations=blueprint.calculation_properties,
            aggregations=blueprint.aggregation_properties,
            team_path=blueprint.team_path,
            links={
                one.identifier: Link(
                    pk=one.pk,
                    identifier=one.identifier,
                    title=one.title or one.identifier,
                    target=one.target.identifier if one.target else None,
                    many=one.many,
                    required=one.required,
                )
                for one in blueprint.relation_definitions.all()
            },
            is_found_globally=blueprint.extra.get("includeInGlobalSearch") is not False,
        )
        for blueprint in blueprints
    ]
