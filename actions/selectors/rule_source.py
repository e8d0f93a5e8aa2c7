"""What rules of scorecards may know of the runs of an entity."""

from __future__ import annotations

from typing import Final

from django.db.models import F, JSONField

from catalog.registry import RuleSource
from catalog.selectors.sql import Sql

MAX_RUNS: Final = 100

# By the index run_entity. Runs that only those concerned may see are not told of: what a rule
# looked at is shown to everybody.
_RUNS: Final = f"""(SELECT coalesce(jsonb_agg(jsonb_build_object(
        'action', run.action, 'status', run.status, 'createdAt', run.created, 'endedAt', run.ended
    ) ORDER BY run.id DESC), '[]')
FROM (
    SELECT r.id, r.about ->> 'identifier' AS action, r.status,
           to_char(r.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS created,
           to_char(r.ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS ended
    FROM actions_run r
    WHERE r.entity IS NOT NULL AND r.entity ->> 'identifier' = {{}}
      AND r.blueprint ->> 'identifier' =
          (SELECT b.identifier FROM catalog_blueprint b WHERE b.id = {{}})
      AND NOT r.is_test AND NOT r.is_closed
    ORDER BY r.id DESC LIMIT {MAX_RUNS}
) run)"""  # noqa: S608


def _runs() -> Sql:
    return Sql(_RUNS, F("identifier"), F("blueprint_id"), output_field=JSONField())


RUNS: Final = RuleSource(
    name="runs",
    title="Runs of actions",
    description='The newest 100 runs of actions on the entity, the newest first: {"action", '
    '"status", "createdAt", "endedAt"}. An entity without runs has an empty list.',
    value=_runs,
)
