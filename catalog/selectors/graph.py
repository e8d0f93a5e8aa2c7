"""Walking the graph of relations: neighbours, what is reachable, teams and their members.

A relation points from the thing that needs to the thing that is needed. So *upstream* follows
relations (what this depends on) and *downstream* goes against them (what depends on this).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import connection
from django.db.models import F, Q, Subquery, Value
from psycopg.types.json import Jsonb

from catalog.models import Entity, EntityQuerySet
from catalog.selectors.kinds import TEAM, USER
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
    walks, reached = [], []
    for way in ways:
        hop = _HOP[way].format(way=way)
        if definitions is not None:
            hop += " AND r.definition_id = ANY({})"
            parts.append(Value(list(definitions)))
        walks.append(f"{way}(id) AS (SELECT id FROM seeds UNION {hop})")
        reached.append(f"(SELECT id FROM {way} LIMIT {MAX_REACHED})")
    return Sql(
        "{} IN (WITH RECURSIVE seeds(id) AS MATERIALIZED ({}), "
        f"{', '.join(walks)} {' UNION ALL '.join(reached)} EXCEPT SELECT id FROM seeds)",
        *parts,
    )


_TEAMS = """
WITH RECURSIVE known AS (
    SELECT d.id, b.identifier AS blueprint, d.identifier AS relation
    FROM catalog_relationdefinition d JOIN catalog_blueprint b ON b.id = d.blueprint_id
    WHERE (b.identifier, d.identifier) IN (
        (%(user)s, 'team'), (%(team)s, 'members'), (%(team)s, 'parent'), (%(team)s, 'children'))
),
person AS (
    SELECT e.id FROM catalog_entity e
    WHERE e.blueprint_id = (SELECT id FROM catalog_blueprint WHERE identifier = %(user)s)
      AND (e.identifier = ANY(%(emails)s)
           OR e.properties @> %(email)s::jsonb OR e.properties @> %(lower_email)s::jsonb)
),
teams(id) AS (
    (SELECT r.target_id FROM person p JOIN catalog_relation r ON r.source_id = p.id
     JOIN known k ON k.id = r.definition_id AND k.relation = 'team'
     UNION ALL
     SELECT r.source_id FROM person p JOIN catalog_relation r ON r.target_id = p.id
     JOIN known k ON k.id = r.definition_id AND k.relation = 'members')
    UNION
    SELECT above.id FROM teams t CROSS JOIN LATERAL (
        SELECT r.target_id AS id FROM catalog_relation r
        JOIN known k ON k.id = r.definition_id AND k.relation = 'parent' WHERE r.source_id = t.id
        UNION ALL
        SELECT r.source_id FROM catalog_relation r
        JOIN known k ON k.id = r.definition_id AND k.relation = 'children' WHERE r.target_id = t.id
    ) AS above
    WHERE %(with_parents)s
)
SELECT e.identifier FROM teams t JOIN catalog_entity e ON e.id = t.id
WHERE e.blueprint_id = (SELECT id FROM catalog_blueprint WHERE identifier = %(team)s)
ORDER BY e.identifier
"""


def people(email: str) -> EntityQuerySet:
    """The `_user` entity with this e-mail address (as identifier or as property `email`)."""
    emails = [email, email.lower()]
    has_email = Q(identifier__in=emails)
    for one in emails:
        has_email |= Q(properties__contains={"email": one})
    return Entity.objects.filter(has_email, blueprint__identifier=USER)


def teams_of(email: str, *, with_parents: bool = False) -> list[str]:
    """Identifiers of the teams of the person with this e-mail address, with one statement.

    The person is the `_user` entity that has it as identifier or as property `email`; its teams
    are those it names in `team` and those that name it in `members`. `with_parents` adds the
    teams above them, all the way up.
    """
    if not email or "\0" in email:
        return []
    lower = email.lower()
    with connection.cursor() as cursor:
        cursor.execute(
            _TEAMS,
            {
                "user": USER,
                "team": TEAM,
                "emails": [email, lower],
                "email": Jsonb({"email": email}),
                "lower_email": Jsonb({"email": lower}),
                "with_parents": with_parents,
            },
        )
        return [identifier for (identifier,) in cursor.fetchall()]
