"""The catalogue at a glance: its kinds, how much of each, what changed, what dangles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connection
from django.db.models import Count, Func, IntegerField, OuterRef, Subquery
from django.db.models.functions import Lower

from catalog.kernel.actors import Principal
from catalog.models import Blueprint, Change, Entity, EntityQuerySet, Relation
from catalog.registry import own_blueprints
from catalog.selectors.history import TimelineEntry, as_entry

KIND_COUNT_CAP: Final = 10_000

_FIRST_OWNED = """
SELECT first.id FROM unnest(%(kinds)s::bigint[]) AS kind(id) CROSS JOIN LATERAL (
    SELECT e.id FROM catalog_entity e
    WHERE e.blueprint_id = kind.id AND e.team && %(teams)s::varchar[]
    ORDER BY coalesce(e.title, e.identifier), e.id LIMIT %(limit)s
) AS first
"""


@dataclass(frozen=True, slots=True)
class KindCount:
    """A kind with the number of its entities, counted no further than `KIND_COUNT_CAP` + 1."""

    pk: int
    identifier: str
    title: str
    icon: str | None
    description: str | None
    is_system: bool
    count: int


@dataclass(frozen=True, slots=True)
class ChangedThing:
    """A change of an entity with the title it has now; None when it is gone."""

    blueprint: str
    identifier: str
    title: str | None
    icon: str | None
    entry: TimelineEntry


@dataclass(frozen=True, slots=True)
class Dangling:
    """A relation of `source` that names nothing in the catalogue."""

    source: Entity
    relation: str
    target_blueprint: str
    target_identifier: str


def kind_counts(principal: Principal) -> list[KindCount]:
    """All kinds by title, without what the platform makes of what it knows; one statement whose
    cost is bounded, however large the catalogue.
    """
    blueprints = Blueprint.objects.exclude(identifier__in=[*own_blueprints]).order_by(
        Lower("title"), "identifier"
    )
    visible = Entity.objects.visible_to(principal).filter(blueprint=OuterRef("pk")).order_by()
    counted = blueprints.annotate(
        count=Func(
            Subquery(visible.values("pk")[: KIND_COUNT_CAP + 1]),
            template="(SELECT count(*) FROM %(expressions)s AS capped)",
            output_field=IntegerField(),
        )
    )
    return [
        KindCount(
            one.pk, one.identifier, one.title, one.icon, one.description, one.is_system, one.count
        )
        for one in counted
    ]


def owned_counts(principal: Principal, teams: Sequence[str]) -> list[tuple[Blueprint, int]]:
    """How much of each kind the teams own, by title of the kind."""
    if not teams:
        return []
    rows = _owned(principal, teams).values("blueprint").annotate(count=Count("pk"))
    counts = {row["blueprint"]: row["count"] for row in rows}
    blueprints = Blueprint.objects.filter(pk__in=counts).order_by("title")
    return [(blueprint, counts[blueprint.pk]) for blueprint in blueprints]


def owned_by_kind(
    principal: Principal, teams: Sequence[str], *, limit: int
) -> list[tuple[Blueprint, int, list[Entity]]]:
    """For each kind that the teams own something of: how much, and the first `limit` by name.

    Four statements, however many kinds there are.
    """
    counts = owned_counts(principal, teams)
    if not counts:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            _FIRST_OWNED,
            {"kinds": [b.pk for b, _ in counts], "teams": list(teams), "limit": limit},
        )
        pks = [pk for (pk,) in cursor.fetchall()]
    entities = Entity.objects.visible_to(principal).defer("search", "label", "descriptor")
    by_kind: dict[int, list[Entity]] = {}
    for entity in sorted(entities.filter(pk__in=pks), key=str):
        by_kind.setdefault(entity.blueprint_id, []).append(entity)
    return [(blueprint, count, by_kind.get(blueprint.pk, [])) for blueprint, count in counts]


def lately_updated(principal: Principal, teams: Sequence[str], *, limit: int) -> list[Entity]:
    """What the teams own, the newest update first."""
    newest = (
        _owned(principal, teams).select_related("blueprint").defer("search", "label", "descriptor")
    )
    return list(newest.order_by("-updated_at", "-pk")[:limit])


def recent_changes(principal: Principal, *, limit: int) -> list[ChangedThing]:
    """The newest changes of entities, whoever made them; two statements."""
    changes = Change.objects.filter(model=Change.ENTITY).exclude(blueprint__in=[*own_blueprints])
    rows = list(changes.order_by("-id")[:limit])
    known = {
        entity.pk: entity
        for entity in Entity.objects.visible_to(principal)
        .filter(pk__in=[row.object_id for row in rows])
        .select_related("blueprint")
        .only("title", "identifier", "icon", "blueprint__identifier", "blueprint__icon")
    }
    return [_changed(row, known.get(row.object_id or 0)) for row in rows]


def dangling_of(principal: Principal, teams: Sequence[str], *, limit: int) -> list[Dangling]:
    """Relations of what the teams own that name nothing in the catalogue."""
    if not teams:
        return []
    edges = (
        Relation.objects.filter(
            target__isnull=True,
            source__in=_owned(principal, teams),
        )
        .select_related("source__blueprint", "definition")
        .order_by("source_id", "pk")
    )
    return [
        Dangling(
            edge.source,
            edge.definition.title or edge.definition.identifier,
            edge.target_blueprint,
            edge.target_identifier,
        )
        for edge in edges[:limit]
    ]


def _owned(principal: Principal, teams: Sequence[str]) -> EntityQuerySet:
    """What teams own, without what the platform makes of what it knows."""
    owned = Entity.objects.visible_to(principal).owned_by(list(teams))
    return owned.exclude(blueprint__identifier__in=[*own_blueprints])


def _changed(row: Change, entity: Entity | None) -> ChangedThing:
    return ChangedThing(
        blueprint=entity.blueprint.identifier if entity else row.blueprint,
        identifier=entity.identifier if entity else row.identifier,
        title=str(entity) if entity else None,
        icon=(entity.icon or entity.blueprint.icon) if entity else None,
        entry=as_entry(row),
    )
