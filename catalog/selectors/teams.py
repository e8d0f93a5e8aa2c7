"""People and their teams: who is in which, by the relations of `_user` and `_team`."""

from __future__ import annotations

from django.db import connection
from django.db.models import Q
from django.db.models.fields.json import KT
from django.db.models.functions import Lower

from catalog.models import TEAM, USER, Entity, EntityQuerySet

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
           OR e.properties ? 'email' AND lower(e.properties ->> 'email') = %(lower)s)
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


def people(*emails: str) -> EntityQuerySet:
    """The `_user` entities with these e-mail addresses, whatever their capitals.

    The address may be its property `email` (by index) or, as typed or in small letters, its
    identifier.
    """
    lower = [email.lower() for email in emails]
    is_theirs = Q(properties__has_key="email", lower_email__in=lower)
    return Entity.objects.alias(lower_email=Lower(KT("properties__email"))).filter(
        is_theirs | Q(identifier__in=[*emails, *lower]), blueprint__identifier=USER
    )


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
                "lower": lower,
                "with_parents": with_parents,
            },
        )
        return [identifier for (identifier,) in cursor.fetchall()]
