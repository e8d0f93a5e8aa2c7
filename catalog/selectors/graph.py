"""Walking the graph of relations: the neighbours of an entity, and what is reachable from some.

A relation points from the thing that needs to the thing that is needed. So *upstream* follows
relations (what this depends on) and *downstream* goes against them (what depends on this).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection
from django.db.models import F, Subquery, Value

from catalog.kernel.actors import Principal
from catalog.models import Entity
from catalog.registry import own_blueprints
from catalog.selectors.kinds import Kinds, load_kinds
from catalog.selectors.sql import NOTHING, Sql

UPSTREAM, DOWNSTREAM, BOTH = "upstream", "downstream", "both"

# A walk visits each entity once, so it ends on any graph; this is where a huge one is cut off.
MAX_REACHED: Final = 100_000

_HOP = {
    UPSTREAM: "SELECT r.target_id FROM {way} w JOIN catalog_relation r ON r.source_id = w.id "
    "WHERE r.target_id IS NOT NULL",
    DOWNSTREAM: "SELECT r.source_id FROM {way} w JOIN catalog_relation r ON r.target_id = w.id "
    "WHERE true",
}


def reachable_from(
    seeds: Any, *, direction: str = BOTH, definitions: Sequence[int] | None = None
) -> Sql:
    """A condition on Entity: tied to one of `seeds` by a chain of relations, and not a seed.

    seeds: a queryset of entity pks. direction BOTH is the union of both ways, each walked on its
    own. definitions: follow only these relations (pks of RelationDefinition).
    """
    if definitions is not None and not definitions:
        return NOTHING
    parts: list[Any] = [F("pk"), Subquery(seeds)]
    ways = [UPSTREAM, DOWNSTREAM] if direction == BOTH else [direction]
    walks, reached = [], []  # of constants of ours
    for way in ways:
        hop = _HOP[way].format(way=way)
        if definitions is not None:
            hop += " AND r.definition_id = ANY({})"
            parts.append(Value(list(definitions)))
        walks.append(f"{way}(id) AS (SELECT id FROM seeds UNION {hop})")  # noqa: S608
        reached.append(f"(SELECT id FROM {way} LIMIT {MAX_REACHED})")  # noqa: S608
    return Sql(
        "{} IN (WITH RECURSIVE seeds(id) AS MATERIALIZED ({}), "  # noqa: S608
        f"{', '.join(walks)} {' UNION ALL '.join(reached)} EXCEPT SELECT id FROM seeds)",
        *parts,
    )


MAX_DEPTH: Final = 5
_MAX_WALKED: Final = 5000  # steps of a walk, before the nearest of its nodes are taken


@dataclass(frozen=True, slots=True)
class More:
    """Edges of a node that are not shown. direction: UPSTREAM for what it needs."""

    relation: str
    title: str
    direction: str
    count: int


@dataclass(frozen=True, slots=True)
class Node:
    """depth: steps from the entity in the middle, which has 0. kind: title of the blueprint."""

    pk: int
    blueprint: str
    kind: str
    identifier: str
    name: str
    icon: str | None
    depth: int
    more: Sequence[More] = ()

    @property
    def more_count(self) -> int:
        return sum(one.count for one in self.more)


@dataclass(frozen=True, slots=True)
class Edge:
    """source needs target; both are pks of nodes."""

    source: int
    target: int
    relation: str
    title: str


@dataclass(frozen=True, slots=True)
class Dangling:
    """A relation of the entity in the middle to something that is not there."""

    relation: str
    title: str
    blueprint: str
    identifier: str


@dataclass(frozen=True, slots=True)
class Graph:
    """The surroundings of an entity. nodes: nearest first, the entity itself at the beginning."""

    nodes: Sequence[Node]
    edges: Sequence[Edge]
    dangling: Sequence[Dangling]
    has_more_nodes: bool
    has_more_edges: bool


def neighbours(
    entity: Entity,
    *,
    principal: Principal,
    depth: int = 1,
    direction: str = BOTH,
    kinds: Collection[str] | None = None,
    fan_out: int = 12,
    max_nodes: int = 60,
    max_edges: int = 200,
) -> Graph:
    """What is around an entity, with a constant number of statements (five).

    depth: how far to go, up to `MAX_DEPTH`. direction: see the module; BOTH goes either way at
    each step. kinds: identifiers of blueprints; others are not entered. fan_out: how many things
    each relation of a node leads to, at most; `more` of the node counts what is left out.
    """
    facts = load_kinds()
    wanted = None if kinds is None else [pk for kind in kinds if (pk := facts.pk_of(kind))]
    hidden = _hidden(entity, facts)
    if hidden and wanted is None:
        wanted = [pk for pk in facts.by_pk if pk not in hidden]
    depths = _walked(entity.pk, min(depth, MAX_DEPTH), direction, wanted, fan_out, max_nodes + 1)
    has_more_nodes = len(depths) > max_nodes
    nearest = list(depths)[:max_nodes]
    rows = {
        row.pk: row
        for row in Entity.objects.visible_to(principal)
        .filter(pk__in=nearest)
        .only("identifier", "title", "icon", "blueprint")
    }
    shown = [pk for pk in nearest if pk in rows and rows[pk].blueprint_id in facts.by_pk]
    edges, dangling = _edges(shown, entity.pk, facts, max_edges + 1)
    more = _more(shown, facts, {link.pk for link in facts.links(hidden)})
    return Graph(
        nodes=[_node(rows[pk], depths[pk], more.get(pk, ()), facts) for pk in shown],
        edges=edges[:max_edges],
        dangling=dangling,
        has_more_nodes=has_more_nodes,
        has_more_edges=len(edges) > max_edges,
    )


_WALK = """
WITH RECURSIVE walk(id, depth) AS (
    SELECT %(root)s::bigint, 0
    UNION
    SELECT near.id, w.depth + 1 FROM walk w CROSS JOIN LATERAL (
        SELECT r.target_id AS id,
               row_number() OVER (PARTITION BY r.definition_id ORDER BY r.position, r.id) AS rank
        FROM catalog_relation r JOIN catalog_entity e ON e.id = r.target_id
        WHERE r.source_id = w.id AND %(upstream)s
          AND (%(kinds)s::bigint[] IS NULL OR e.blueprint_id = ANY(%(kinds)s::bigint[]))
        UNION ALL
        SELECT r.source_id, row_number() OVER (PARTITION BY r.definition_id ORDER BY r.id)
        FROM catalog_relation r JOIN catalog_entity e ON e.id = r.source_id
        WHERE r.target_id = w.id AND %(downstream)s
          AND (%(kinds)s::bigint[] IS NULL OR e.blueprint_id = ANY(%(kinds)s::bigint[]))
    ) AS near
    WHERE w.depth < %(depth)s AND near.rank <= %(fan_out)s
)
SELECT id, min(depth) FROM (SELECT id, depth FROM walk LIMIT %(max_walked)s) AS walked
GROUP BY id ORDER BY min(depth), id LIMIT %(max_nodes)s
"""

_EDGES = """
SELECT r.source_id, r.target_id, r.definition_id, r.target_blueprint, r.target_identifier
FROM catalog_relation r
WHERE r.source_id = ANY(%(shown)s)
  AND (r.target_id = ANY(%(shown)s) OR (r.target_id IS NULL AND r.source_id = %(root)s))
ORDER BY r.source_id, r.definition_id, r.position, r.id LIMIT %(limit)s
"""

_MORE = """
SELECT r.source_id, r.definition_id, 'upstream', count(*) FROM catalog_relation r
WHERE r.source_id = ANY(%(shown)s) AND r.target_id <> ALL(%(shown)s) GROUP BY 1, 2
UNION ALL
SELECT r.target_id, r.definition_id, 'downstream', count(*) FROM catalog_relation r
WHERE r.target_id = ANY(%(shown)s) AND r.source_id <> ALL(%(shown)s) GROUP BY 1, 2
ORDER BY 1, 3 DESC, 2
"""


def _walked(
    root: int, depth: int, direction: str, kinds: list[int] | None, fan_out: int, max_nodes: int
) -> dict[int, int]:
    """The nearest entities (pks), each with its distance; in that order."""
    with connection.cursor() as cursor:
        cursor.execute(
            _WALK,
            {
                "root": root,
                "depth": depth,
                "upstream": direction in (UPSTREAM, BOTH),
                "downstream": direction in (DOWNSTREAM, BOTH),
                "kinds": kinds,
                "fan_out": fan_out,
                "max_walked": _MAX_WALKED,
                "max_nodes": max_nodes,
            },
        )
        return dict(cursor.fetchall())


def _edges(
    shown: list[int], root: int, facts: Kinds, limit: int
) -> tuple[list[Edge], list[Dangling]]:
    edges, dangling = [], []
    with connection.cursor() as cursor:
        cursor.execute(_EDGES, {"shown": shown, "root": root, "limit": limit})
        for source, target, definition, blueprint, identifier in cursor.fetchall():
            link = facts.link_by_pk.get(definition)
            if link is None:
                continue  # made a moment ago
            if target is None:
                dangling.append(Dangling(link.identifier, link.title, blueprint, identifier))
            else:
                edges.append(Edge(source, target, link.identifier, link.title))
    return edges, dangling


def _hidden(middle: Entity, facts: Kinds) -> frozenset[int]:
    """Kinds (pks) that do not stand around an entity unasked: what the platform makes of what it
    knows stands only around what it made.
    """
    made = frozenset(kind.pk for kind in facts if kind.identifier in own_blueprints)
    return frozenset() if middle.blueprint_id in made else made


def _more(shown: list[int], facts: Kinds, hidden: Collection[int]) -> dict[int, list[More]]:
    found: dict[int, list[More]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_MORE, {"shown": shown})
        for pk, definition, direction, count in cursor.fetchall():
            if definition not in hidden and (link := facts.link_by_pk.get(definition)):
                more = More(link.identifier, link.title, direction, count)
                found.setdefault(pk, []).append(more)
    return found


def _node(row: Entity, depth: int, more: Sequence[More], facts: Kinds) -> Node:
    kind = facts.by_pk[row.blueprint_id]
    return Node(
        pk=row.pk,
        blueprint=kind.identifier,
        kind=kind.title,
        identifier=row.identifier,
        name=row.title or row.identifier,
        icon=row.icon or kind.icon,
        depth=depth,
        more=more,
    )
