"""How teams stand on a scorecard now, those above other teams with what belongs to them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from django.db import connection

from catalog.models import TEAM
from scorecards.models import Scorecard

# The teams above each team, itself included: by `parent`, and by `children` the other way round.
# A ring of teams ends where it began.
_OF_TEAMS: Final = """
WITH RECURSIVE links AS (
    SELECT CASE d.identifier WHEN 'parent' THEN r.source_id ELSE r.target_id END AS below,
           CASE d.identifier WHEN 'parent' THEN r.target_id ELSE r.source_id END AS above
    FROM catalog_relation r
    JOIN catalog_relationdefinition d ON d.id = r.definition_id
    JOIN catalog_blueprint b ON b.id = d.blueprint_id AND b.identifier = %(team)s
    WHERE d.identifier IN ('parent', 'children') AND r.target_id IS NOT NULL AND %(subteams)s
),
teams AS (
    SELECT e.id, e.identifier FROM catalog_entity e
    JOIN catalog_blueprint b ON b.id = e.blueprint_id AND b.identifier = %(team)s
),
closure(below, above) AS (
    SELECT id, id FROM teams
    UNION SELECT c.below, l.above FROM closure c JOIN links l ON l.below = c.above
),
owned AS (
    SELECT s.entity_id, s.level, s.points, s.total, t.team
    FROM scorecards_score s JOIN catalog_entity e ON e.id = s.entity_id
    LEFT JOIN LATERAL unnest(e.team) AS t(team) ON true
    WHERE s.scorecard_id = %(scorecard)s
),
counted AS (
    SELECT DISTINCT coalesce(a.identifier, o.team, '') AS team, o.entity_id, o.level, o.points,
           o.total
    FROM owned o
    LEFT JOIN teams t ON t.identifier = o.team
    LEFT JOIN closure c ON c.below = t.id
    LEFT JOIN teams a ON a.id = c.above
),
levels AS (
    SELECT team, level, count(*) AS n, sum(points) AS points, sum(total) AS total
    FROM counted GROUP BY 1, 2
)
SELECT team, sum(n)::bigint, jsonb_object_agg(level, n), sum(points), sum(total)
FROM levels GROUP BY team ORDER BY team
"""


@dataclass(frozen=True, slots=True)
class GroupStanding:
    """How the entities of a group stand. group: the identifier of a team, "" for entities that
    nobody owns. levels: entities by title of their level. points of total: sums."""

    group: str
    entities: int
    levels: Mapping[str, int]
    points: Decimal
    total: Decimal


def of_teams(scorecard: Scorecard, *, with_subteams: bool = True) -> list[GroupStanding]:
    """Each team that owns something, by identifier; with_subteams: or whose teams below do. An
    entity counts once for each team, however many of those below it own it. One statement.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _OF_TEAMS, {"team": TEAM, "scorecard": scorecard.pk, "subteams": with_subteams}
        )
        rows = cursor.fetchall()
    return [
        GroupStanding(team, entities, json.loads(levels), points, total)
        for team, entities, levels, points, total in rows
    ]
