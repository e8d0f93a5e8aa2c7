"""Teams and people in lists: the tree of teams, and who is in which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db import connection
from django.db.models import IntegerField, TextField

from catalog.kernel.actors import Principal
from catalog.kernel.keyset import Key
from catalog.models import TEAM, USER, Entity, name_in_order
from catalog.selectors.tables import Target, owner_titles

MAX_TEAMS: Final = 300
COUNT_CAP: Final = 1000

NAME_KEYS: Final = (
    Key("title", name_in_order(), TextField()),
    Key("pk", "pk", IntegerField()),
)

# Membership may be stated at either end, so people are counted, not edges.
_COUNTS = """
WITH known AS (
    SELECT d.id, d.identifier AS relation
    FROM catalog_relationdefinition d JOIN catalog_blueprint b ON b.id = d.blueprint_id
    WHERE (b.identifier, d.identifier) IN ((%(user)s, 'team'), (%(team)s, 'members'))
)
SELECT t.id,
    (SELECT count(DISTINCT m.id) FROM (
        SELECT r.source_id AS id FROM catalog_relation r
        JOIN known k ON k.id = r.definition_id AND k.relation = 'team' WHERE r.target_id = t.id
        UNION ALL
        SELECT r.target_id FROM catalog_relation r
        JOIN known k ON k.id = r.definition_id AND k.relation = 'members'
        WHERE r.source_id = t.id AND r.target_id IS NOT NULL) AS m),
    (SELECT count(*) FROM (
        SELECT FROM catalog_entity e WHERE e.team && ARRAY[t.identifier]
        LIMIT %(cap)s + 1) AS owned)
FROM catalog_entity t WHERE t.id = ANY(%(pks)s)
"""

_PARENTS = """
SELECT r.source_id, r.target_id FROM catalog_relation r
JOIN catalog_relationdefinition d ON d.id = r.definition_id
WHERE d.identifier = 'parent' AND r.source_id = ANY(%(pks)s) AND r.target_id = ANY(%(pks)s)
UNION
SELECT r.target_id, r.source_id FROM catalog_relation r
JOIN catalog_relationdefinition d ON d.id = r.definition_id
WHERE d.identifier = 'children' AND r.source_id = ANY(%(pks)s) AND r.target_id = ANY(%(pks)s)
ORDER BY 1, 2
"""

_TEAMS_BY_PERSON = """
SELECT m.person, t.identifier, coalesce(t.title, t.identifier) FROM (
    SELECT r.source_id AS person, r.target_id AS team FROM catalog_relation r
    JOIN catalog_relationdefinition d ON d.id = r.definition_id
    WHERE d.identifier = 'team' AND r.source_id = ANY(%(pks)s)
    UNION
    SELECT r.target_id, r.source_id FROM catalog_relation r
    JOIN catalog_relationdefinition d ON d.id = r.definition_id
    WHERE d.identifier = 'members' AND r.target_id = ANY(%(pks)s)) AS m
JOIN catalog_entity t ON t.id = m.team ORDER BY 3
"""


@dataclass(slots=True)
class TeamNode:
    """A team in the tree. depth: 0 for those without a parent among the shown teams.

    owned_count: counted no further than `COUNT_CAP` + 1.
    """

    entity: Entity
    member_count: int = 0
    owned_count: int = 0
    depth: int = 0
    children: list[TeamNode] = field(default_factory=list)


def team_tree(principal: Principal) -> list[TeamNode]:
    """The first `MAX_TEAMS` teams by name, each under its parent, flat in the order of reading.

    Three statements. A team with several parents stands under one of them; a ring of parents is
    cut open.
    """
    teams = list(
        Entity.objects.visible_to(principal)
        .filter(blueprint__identifier=TEAM)
        .select_related("blueprint")
        .order_by(NAME_KEYS[0].expression, "pk")[:MAX_TEAMS]
    )
    nodes = {team.pk: TeamNode(team) for team in teams}
    parents: dict[int, int] = {}
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, {"pks": [*nodes], "user": USER, "team": TEAM, "cap": COUNT_CAP})
        for pk, members, owned in cursor.fetchall():
            nodes[pk].member_count, nodes[pk].owned_count = members, owned
        cursor.execute(_PARENTS, {"pks": [*nodes]})
        for child, parent in cursor.fetchall():
            parents.setdefault(child, parent)
    roots = []
    for pk, node in nodes.items():
        if pk in parents and not _is_in_ring(pk, parents):
            nodes[parents[pk]].children.append(node)
        else:
            roots.append(node)
    return [node for root in roots for node in _read(root, 0)]


def named(principal: Principal, teams: Sequence[str]) -> list[Target]:
    """Teams with their titles, by name."""
    return sorted(owner_titles(principal, [teams]).values(), key=lambda team: team.label.lower())


def teams_by_person(people: Sequence[Entity]) -> Mapping[int, list[Target]]:
    """The teams that people name or that name them, by pk of the person; one statement."""
    if not people:
        return {}
    found: dict[int, list[Target]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_TEAMS_BY_PERSON, {"pks": [person.pk for person in people]})
        for person, identifier, title in cursor.fetchall():
            found.setdefault(person, []).append(Target(TEAM, identifier, title))
    return found


def _is_in_ring(pk: int, parents: Mapping[int, int]) -> bool:
    """Whether following the parents leads back to the team itself."""
    seen: set[int] = set()
    above = parents.get(pk)
    while above is not None and above not in seen:
        if above == pk:
            return True
        seen.add(above)
        above = parents.get(above)
    return False


def _read(node: TeamNode, depth: int) -> Iterable[TeamNode]:
    node.depth = depth
    yield node
    for child in node.children:
        yield from _read(child, depth + 1)
