"""Daily roll-ups: how all entities, and those of each team, blueprint and domain, stand today."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

from django.db import connection, transaction

from scorecards.models import Rollup
from scorecards.statuses import ABSENT

DOMAIN: Final = "domain"  # the blueprint of domains

# The groups of a score, as a lateral join behind `catalog_entity e`. A domain is what an entity
# leads to in at most two relations; a domain is in itself.
_GROUPS: Final = {
    Rollup.Kind.ALL: "SELECT ''",
    Rollup.Kind.TEAM: """
        SELECT DISTINCT unnest(CASE WHEN e.team = '{}' THEN '{""}' ELSE e.team END)""",
    Rollup.Kind.BLUEPRINT: """
        SELECT b.identifier FROM catalog_blueprint b WHERE b.id = e.blueprint_id""",
    Rollup.Kind.DOMAIN: """
        SELECT DISTINCT coalesce(d.identifier, '') FROM (SELECT) one LEFT JOIN (
            SELECT t.identifier FROM (
                SELECT e.id
                UNION SELECT r.target_id FROM catalog_relation r WHERE r.source_id = e.id
                UNION SELECT s.target_id FROM catalog_relation r
                JOIN catalog_relation s ON s.source_id = r.target_id WHERE r.source_id = e.id
            ) near(id)
            JOIN catalog_entity t ON t.id = near.id
            JOIN catalog_blueprint b ON b.id = t.blueprint_id AND b.identifier = %(domain)s
        ) d ON true""",
}

# Entities that share their statuses are counted before these are taken apart.
_ROLL_UP: Final = """
WITH rolled AS (
    SELECT s.id, s.evaluated_version AS version, json_array_length(v.levels) AS levels
    FROM scorecards_scorecard s
    JOIN scorecards_scorecardversion v
        ON v.scorecard_id = s.id AND v.version = s.evaluated_version
    WHERE s.state <> 'archived' AND (%(these)s::bigint[] IS NULL OR s.id = ANY(%(these)s))
),
members AS MATERIALIZED (
    SELECT s.scorecard_id, g.name, s.rank, s.statuses, count(*) AS n,
           sum(s.points) AS points, sum(s.total) AS total
    FROM rolled r
    JOIN scorecards_score s ON s.scorecard_id = r.id
    JOIN catalog_entity e ON e.id = s.entity_id
    CROSS JOIN LATERAL ({groups}) AS g(name)
    GROUP BY 1, 2, 3, 4
),
groups AS (
    SELECT scorecard_id, name, sum(n) AS n, sum(points) AS points, sum(total) AS total
    FROM members GROUP BY 1, 2
    {whole}
),
letters AS (
    SELECT scorecard_id, name, slot, jsonb_object_agg(letter, n) AS counts
    FROM (
        SELECT m.scorecard_id, m.name, slot, substr(m.statuses, slot + 1, 1) AS letter,
               sum(m.n) AS n
        FROM members m CROSS JOIN LATERAL generate_series(0, length(m.statuses) - 1) AS slot
        GROUP BY 1, 2, 3, 4
    ) counted
    WHERE letter <> %(absent)s GROUP BY 1, 2, 3
),
rules AS (
    SELECT scorecard_id, name, jsonb_object_agg(slot, counts) AS rules FROM letters GROUP BY 1, 2
),
ranks AS (
    SELECT g.scorecard_id, g.name, jsonb_agg(coalesce(c.n, 0) ORDER BY rank) AS ranks
    FROM groups g
    JOIN rolled r ON r.id = g.scorecard_id
    CROSS JOIN LATERAL generate_series(0, r.levels - 1) AS rank
    LEFT JOIN (
        SELECT scorecard_id, name, rank, sum(n) AS n FROM members GROUP BY 1, 2, 3
    ) c USING (scorecard_id, name, rank)
    GROUP BY 1, 2
),
gone AS (
    DELETE FROM scorecards_rollup u USING rolled r
    WHERE u.scorecard_id = r.id AND u.kind = %(kind)s AND u.day = %(day)s
      AND NOT EXISTS (
          SELECT FROM groups g WHERE g.scorecard_id = u.scorecard_id AND g.name = u."group")
)
INSERT INTO scorecards_rollup (
    scorecard_id, day, kind, "group", version, entities, ranks, rules, points, total)
SELECT g.scorecard_id, %(day)s, %(kind)s, g.name, r.version, g.n, k.ranks,
       coalesce(l.rules, '{{}}'), g.points, g.total
FROM groups g
JOIN rolled r ON r.id = g.scorecard_id
JOIN ranks k USING (scorecard_id, name)
LEFT JOIN rules l USING (scorecard_id, name)
ON CONFLICT (scorecard_id, kind, "group", day) DO UPDATE SET
    version = excluded.version, entities = excluded.entities, ranks = excluded.ranks,
    rules = excluded.rules, points = excluded.points, total = excluded.total
"""

# A scorecard without entities has a row, too: that there are none.
_WHOLE: Final = """
    UNION ALL SELECT r.id, '', 0, 0, 0 FROM rolled r
    WHERE NOT EXISTS (SELECT FROM members m WHERE m.scorecard_id = r.id)"""


def roll_up(now: datetime, scorecards: Collection[int] | None = None) -> None:
    """Write the roll-ups of the day (UTC) of `now` for these scorecards (pks; all: None) that were
    evaluated and are not archived, in place of those that the day had; one statement per kind.

    An entity of several teams or domains counts in each, one of none in "".
    """
    day = now.astimezone(UTC).date()
    with transaction.atomic(), connection.cursor() as cursor:
        for kind, groups in _GROUPS.items():
            whole = _WHOLE if kind == Rollup.Kind.ALL else ""
            cursor.execute(
                _ROLL_UP.format(groups=groups, whole=whole),
                {
                    "these": None if scorecards is None else sorted(scorecards),
                    "kind": kind,
                    "day": day,
                    "domain": DOMAIN,
                    "absent": ABSENT.letter,
                },
            )
