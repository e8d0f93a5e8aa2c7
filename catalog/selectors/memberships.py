"""Who is in which team, told from both ends of the relation: many at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import Q

from catalog.models import TEAM, USER, Entity, EntityQuerySet

# Those whom the team names, in its order, then those who name the team, by their names.
_EDGES: Final = """
WITH known AS (
    SELECT d.id, d.identifier AS relation
    FROM catalog_relationdefinition d JOIN catalog_blueprint b ON b.id = d.blueprint_id
    WHERE (b.identifier, d.identifier) IN ((%(user)s, 'team'), (%(team)s, 'members'))
)
SELECT edge.team, edge.person FROM (
    SELECT r.source_id AS team, r.target_id AS person, 0 AS rank, r.position
    FROM catalog_relation r JOIN known k ON k.id = r.definition_id AND k.relation = 'members'
    WHERE r.target_id IS NOT NULL
    UNION ALL
    SELECT r.target_id, r.source_id, 1, 0
    FROM catalog_relation r JOIN known k ON k.id = r.definition_id AND k.relation = 'team'
    WHERE r.target_id IS NOT NULL
) AS edge JOIN catalog_entity p ON p.id = edge.person
WHERE edge.{side} = ANY(%(pks)s)
ORDER BY edge.team, edge.rank, edge.position, p.identifier
"""


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A `_user` entity: email is its property, or else its identifier where that is one."""

    pk: int
    identifier: str
    title: str
    email: str
    properties: dict[str, Any]
    created_at: datetime
    updated_at: datetime


def person_row(entity: Entity) -> PersonRow:
    told = entity.properties.get("email")
    email = told if isinstance(told, str) and told else ""
    if not email and "@" in entity.identifier:
        email = entity.identifier
    return PersonRow(
        entity.pk,
        entity.identifier,
        entity.title or "",
        email,
        dict(entity.properties),
        entity.created_at,
        entity.updated_at,
    )


def teams() -> EntityQuerySet:
    return Entity.objects.filter(blueprint__identifier=TEAM)


def persons() -> EntityQuerySet:
    return Entity.objects.filter(blueprint__identifier=USER)


def team_called(name: str) -> Entity | None:
    """The team with this identifier, or else with this title (the oldest one of several)."""
    found = teams().filter(identifier=name).first()
    return found or teams().filter(title=name).order_by("pk").first()


def members_of(team_pks: Sequence[int]) -> dict[int, list[PersonRow]]:
    """The people of each team, without repeats; two statements."""
    edges = _edges("team", team_pks)
    rows = {
        row.pk: row
        for row in map(person_row, persons().filter(pk__in={person for _, person in edges}))
    }
    found: dict[int, dict[int, PersonRow]] = {pk: {} for pk in team_pks}
    for team, person in edges:
        if person in rows:
            found[team][person] = rows[person]
    return {pk: list(people.values()) for pk, people in found.items()}


def emails_in_teams(names: Collection[str]) -> list[str]:
    """Of the people in the teams with these identifiers or titles; three statements."""
    if not names:
        return []
    pks = teams().filter(Q(identifier__in=names) | Q(title__in=names)).values_list("pk", flat=True)
    people = (person for members in members_of(list(pks)).values() for person in members)
    return [person.email for person in people if person.email]


def teams_of_people(person_pks: Iterable[int]) -> dict[int, list[Entity]]:
    """The teams of each person, in the order of their identifiers; two statements."""
    pks = list(person_pks)
    edges = _edges("person", pks)
    rows = {row.pk: row for row in teams().filter(pk__in={team for team, _ in edges})}
    found: dict[int, set[int]] = {pk: set() for pk in pks}
    for team, person in edges:
        if team in rows:
            found[person].add(team)
    return {
        pk: sorted((rows[team] for team in members), key=lambda team: team.identifier)
        for pk, members in found.items()
    }


def _edges(side: str, pks: Sequence[int]) -> list[tuple[int, int]]:
    """(team, person) for all of these teams, or people."""
    with connection.cursor() as cursor:
        cursor.execute(_EDGES.format(side=side), {"user": USER, "team": TEAM, "pks": list(pks)})
        return [(team, person) for team, person in cursor.fetchall()]
