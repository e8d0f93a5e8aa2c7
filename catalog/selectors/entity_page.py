"""What an entity's page shows beside the entity itself: owners, edges both ways, its fate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from django.db.models import BigIntegerField, F, QuerySet

from catalog.kernel import feed
from catalog.kernel.actors import Principal
from catalog.models import Change, Entity, Relation
from catalog.registry import own_blueprints
from catalog.selectors.kinds import Kinds
from catalog.selectors.sql import Sql
from catalog.selectors.tables import Target, owner_titles

OUTGOING_CAP: Final = 500
INCOMING_CAP: Final = 2000
GROUP_ROWS: Final = 20


@dataclass(frozen=True, slots=True)
class RelatedRow:
    """One entity at the other end. entity: None while it is not in the catalogue."""

    target: Target
    entity: Entity | None


@dataclass(frozen=True, slots=True)
class RelatedGroup:
    """The edges of one relation in one direction, towards one kind.

    count: all there are, counted no further than the cap of that direction + 1; rows: the first
    of them. is_incoming: the others point here; `relation` is then theirs. is_direct: the relation
    has one kind as its target, so that values are bare identifiers.
    """

    relation: str
    title: str
    blueprint: str
    blueprint_title: str
    is_incoming: bool
    is_direct: bool
    count: int
    rows: Sequence[RelatedRow]

    @property
    def is_cut(self) -> bool:
        return self.count > len(self.rows)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of an entity that is not there any more.

    entity: where it is now, when it was renamed. change_id: the deletion, to restore it from.
    """

    action: str
    at: datetime
    actor: str
    actor_kind: str
    change_id: int
    entity: Entity | None = None


def find_entity(principal: Principal, blueprint: str, identifier: str) -> Entity | None:
    """With its blueprint, and with the file it comes from, if there is one; one statement."""
    return (
        Entity.objects.visible_to(principal)
        .select_related("blueprint", "located__file")
        .defer(
            "search",
            "label",
            "located__annotations",
            "located__file__targets",
            "located__file__reads",
        )
        .filter(blueprint__identifier=blueprint, identifier=identifier)
        .first()
    )


def owners_of(principal: Principal, entity: Entity) -> list[Target]:
    titles = owner_titles(principal, [entity.team])
    return [titles[team] for team in entity.team]


def outgoing(principal: Principal, entity: Entity, kinds: Kinds) -> list[RelatedGroup]:
    """What the entity points to, by relation in the order of its blueprint; two statements."""
    edges = list(
        Relation.objects.filter(source=entity)
        .order_by("definition__position", "definition_id", "position", "pk")
        .values_list(
            "definition__identifier", "target_blueprint", "target_identifier", "target_id"
        )[: OUTGOING_CAP + 1]
    )
    shown = _shown(principal, [pk for *_, pk in edges if pk])
    links = kind.links if (kind := kinds.get(entity.blueprint.identifier)) else {}
    groups = []
    for (name, blueprint), members in groupby(edges, key=lambda edge: edge[:2]):
        rows = [_row(blueprint, identifier, shown.get(pk)) for *_, identifier, pk in members]
        link = links.get(name)
        target = kinds.get(blueprint)
        groups.append(
            RelatedGroup(
                relation=name,
                title=link.title if link else name,
                blueprint=blueprint,
                blueprint_title=target.title if target else blueprint,
                is_incoming=False,
                is_direct=link is not None and link.target is not None,
                count=len(rows),
                rows=rows,
            )
        )
    return groups


def incoming(
    principal: Principal, entity: Entity, kinds: Kinds, *, rows: int = GROUP_ROWS
) -> list[RelatedGroup]:
    """What points to the entity, by relation and kind, the first `rows` of each; two statements."""
    visible = Entity.objects.visible_to(principal)
    is_made = entity.blueprint.identifier in own_blueprints
    made = [] if is_made else [kind.pk for kind in kinds if kind.identifier in own_blueprints]
    if made:  # results stand on pages of their own
        visible = visible.exclude(blueprint__in=made)
    edges = Relation.objects.filter(target=entity, source__in=visible).values_list(
        "definition_id", "source_id"
    )[: INCOMING_CAP + 1]
    sources: dict[int, list[int]] = {}
    for definition, source in sorted(edges):
        sources.setdefault(definition, []).append(source)
    shown = _shown(principal, [pk for pks in sources.values() for pk in pks[:rows]])
    groups = []
    for kind in kinds:
        for link in kind.links.values():
            if pks := sources.get(link.pk):
                groups.append(
                    RelatedGroup(
                        relation=link.identifier,
                        title=link.title,
                        blueprint=kind.identifier,
                        blueprint_title=kind.title,
                        is_incoming=True,
                        is_direct=link.target is not None,
                        count=len(pks),
                        rows=[
                            _row(kind.identifier, shown[pk].identifier, shown[pk])
                            for pk in pks[:rows]
                            if pk in shown
                        ],
                    )
                )
    return sorted(groups, key=lambda group: group.blueprint_title.lower())


def fate_of(principal: Principal, blueprint: str, identifier: str) -> Fate | None:
    """Why there is no entity of this name (any more); None when there never was one."""
    entities = Change.objects.filter(model=Change.ENTITY, blueprint=blueprint)
    gone = _newest(entities.filter(action=feed.DELETE, identifier=identifier))
    renamed = _newest(entities.filter(action=feed.RENAME, before__identifier=identifier))
    change = max((one for one in (gone, renamed) if one), key=lambda one: one.pk, default=None)
    if change is None:
        return None
    now = None
    if change.action == feed.RENAME:
        now = (
            Entity.objects.visible_to(principal)
            .select_related("blueprint")
            .filter(pk=change.object_id or 0)
            .first()
        )
    return Fate(change.action, change.at, change.actor, change.actor_kind, change.pk, now)


def _shown(principal: Principal, pks: Sequence[int]) -> dict[int, Entity]:
    entities = Entity.objects.visible_to(principal).select_related("blueprint")
    return entities.defer("search", "label", "descriptor").in_bulk(pks) if pks else {}


def _newest(changes: QuerySet[Change]) -> Change | None:
    # "+ 0" keeps the planner on the index of these few, off a walk through the whole feed by id
    return changes.order_by(Sql("{} + 0", F("id"), output_field=BigIntegerField()).desc()).first()


def _row(blueprint: str, identifier: str, entity: Entity | None) -> RelatedRow:
    if entity is None:
        return RelatedRow(Target(blueprint, identifier, None), None)
    icon = entity.icon or entity.blueprint.icon
    return RelatedRow(Target(blueprint, identifier, str(entity), icon), entity)
