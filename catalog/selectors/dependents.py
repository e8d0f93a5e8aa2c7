"""What stands and falls with an entity."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

_NEEDING = """
WITH RECURSIVE needing AS (
    SELECT r.source_id AS id FROM catalog_relation r
    JOIN catalog_relationdefinition d ON d.id = r.definition_id AND d.required
    WHERE r.target_id = ANY(%(pks)s)
    UNION
    SELECT r.source_id FROM needing n
    JOIN catalog_relation r ON r.target_id = n.id
    JOIN catalog_relationdefinition d ON d.id = r.definition_id AND d.required
)
SELECT n.id, b.identifier, e.identifier FROM needing n
JOIN catalog_entity e ON e.id = n.id
JOIN catalog_blueprint b ON b.id = e.blueprint_id
WHERE n.id <> ALL(%(pks)s) ORDER BY n.id
"""


def dependents_of(pks: Iterable[int]) -> list[tuple[int, str, str]]:
    """Entities that need one of `pks` by a required relation, all the way up.

    Each as (pk, blueprint, identifier); those of `pks` themselves are left out.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NEEDING, {"pks": list(pks)})
        rows: list[tuple[int, str, str]] = cursor.fetchall()
    return rows
