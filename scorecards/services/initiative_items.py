"""The entities that initiatives are about, and how far each one is: kept true by one statement per
initiative.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import structlog
from django.db import connection
from django.utils import timezone

from catalog.kernel.errors import InvalidInput
from scorecards.models import Initiative, Scorecard
from scorecards.selectors.initiative_scope import (
    Targets,
    entities_of,
    entities_sql,
    targets_of,
)
from scorecards.selectors.results import ladder_of
from scorecards.statuses import EXEMPT, WANTING

logger = structlog.get_logger(__name__)

# How those entities that are in it now do on what it wants.
_FITTING: Final = """
WITH fitting AS MATERIALIZED (
    SELECT e.id, b.identifier AS blueprint, e.identifier,
           greatest(t.open, (s.rank < %(rank)s AND s.total > 0)::int)::int AS open, t.exempt
    FROM scorecards_score s
    JOIN catalog_entity e ON e.id = s.entity_id
    JOIN catalog_blueprint b ON b.id = e.blueprint_id
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE l.letter <> '' AND strpos(%(open)s, l.letter) > 0) AS open,
               count(*) FILTER (WHERE l.letter = %(exempt)s) > 0 AS exempt
        FROM (SELECT substr(s.statuses, x + 1, 1) AS letter
              FROM unnest(%(slots)s::int[]) AS x) AS l
    ) AS t
    WHERE s.scorecard_id = %(scorecard)s {these} {chosen}
)
"""

# Who does not fit any more has left; whoever comes back goes on as what they were.
_WRITE: Final = """,
gone AS (
    UPDATE scorecards_initiativeitem i SET left_at = %(now)s
    WHERE i.initiative_id = %(initiative)s AND i.left_at IS NULL {those}
      AND NOT EXISTS (SELECT FROM fitting f WHERE f.id = i.entity_id)
)
INSERT INTO scorecards_initiativeitem AS i (
    initiative_id, entity_id, blueprint, identifier, joined_at, open, done_at, is_regressed,
    is_exempt)
SELECT %(initiative)s, f.id, f.blueprint, f.identifier, %(now)s, f.open,
       CASE WHEN f.open = 0 THEN %(now)s::timestamptz END, false, f.open = 0 AND f.exempt
FROM fitting f
ON CONFLICT (initiative_id, entity_id) DO UPDATE SET
    blueprint = excluded.blueprint, identifier = excluded.identifier, left_at = NULL,
    open = excluded.open,
    done_at = CASE WHEN excluded.open = 0 THEN coalesce(i.done_at, excluded.done_at) END,
    is_regressed = excluded.open > 0 AND (i.is_regressed OR i.done_at IS NOT NULL),
    is_exempt = excluded.is_exempt
WHERE i.left_at IS NOT NULL
   OR (i.open, i.is_exempt, i.blueprint, i.identifier)
      IS DISTINCT FROM (excluded.open, excluded.is_exempt, excluded.blueprint, excluded.identifier)
"""

# Those that are in it, or were.
_AS_BEFORE: Final = (
    "AND EXISTS (SELECT FROM scorecards_initiativeitem k"
    " WHERE k.initiative_id = %(initiative)s AND k.entity_id = e.id)"
)
_MARK: Final = re.compile("%[%s]")  # where a parameter goes, and an escaped percent sign

_DAY: Final = """
INSERT INTO scorecards_initiativeday (
    initiative_id, day, entities, done, open, exempt, regressed)
SELECT %(initiative)s, %(day)s, count(*), count(*) FILTER (WHERE open = 0), coalesce(sum(open), 0),
       count(*) FILTER (WHERE is_exempt), count(*) FILTER (WHERE is_regressed)
FROM scorecards_initiativeitem WHERE initiative_id = %(initiative)s AND left_at IS NULL
ON CONFLICT (initiative_id, day) DO UPDATE SET
    entities = excluded.entities, done = excluded.done, open = excluded.open,
    exempt = excluded.exempt, regressed = excluded.regressed
"""


def follow(scorecard_pk: int, entity_pks: Collection[int] | None = None) -> None:
    """Bring the running initiatives of a scorecard in line with its scores: all of them, or those
    of entities that were evaluated just now; in the caller's transaction.

    One statement per initiative, and two to look them up.
    """
    running = list(
        # as others who write their items do: one at a time
        Initiative.objects.select_for_update()
        .filter(scorecard=scorecard_pk, state=Initiative.State.RUNNING, started_at__isnull=False)
        .order_by("pk")
    )
    if not running:
        return
    scorecard = Scorecard.objects.select_related("blueprint").get(pk=scorecard_pk)
    ladder = ladder_of(scorecard)
    now = timezone.now()
    for initiative in running:
        refresh(initiative, targets_of(initiative, ladder), now, entity_pks)


def refresh(
    initiative: Initiative,
    targets: Targets,
    now: datetime,
    entity_pks: Collection[int] | None = None,
    *,
    is_start: bool = False,
) -> None:
    """Bring the items of one initiative in line. is_start: choose the entities by its filter even
    where the list is fixed from then on.
    """
    params: dict[str, Any] = {
        "initiative": initiative.pk,
        "scorecard": initiative.scorecard_id,
        "now": now,
        "rank": targets.rank or 0,
        "slots": targets.slots,
        "open": WANTING,
        "exempt": EXEMPT.letter,
        "pks": sorted(entity_pks) if entity_pks is not None else [],
    }
    chosen = _chosen(initiative, params, is_start=is_start)
    has_pks = entity_pks is not None
    sql = (_FITTING + _WRITE).format(
        these="AND s.entity_id = ANY(%(pks)s)" if has_pks else "",
        those="AND i.entity_id = ANY(%(pks)s)" if has_pks else "",
        chosen=chosen,
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def write_day(initiative: Initiative, now: datetime) -> None:
    """Where it stands, as its row of today; a later call of the day writes it anew."""
    with connection.cursor() as cursor:
        cursor.execute(_DAY, {"initiative": initiative.pk, "day": now.date()})


def _chosen(initiative: Initiative, params: dict[str, Any], *, is_start: bool) -> str:
    """The condition on `e` by which an entity is in it; what it needs goes into `params`."""
    if initiative.is_fixed and not is_start:
        return _AS_BEFORE
    try:
        entities = entities_of(initiative.filter)
    except InvalidInput as error:
        # The catalogue does not know any more what it asks for: nobody joins, nobody leaves.
        logger.warning(
            "initiative_filter_failed", initiative=initiative.identifier, error=error.message
        )
        return _AS_BEFORE
    if entities is None:
        return ""
    sql, its_params = entities_sql(entities)
    names = [f"chosen{number}" for number in range(len(its_params))]
    params.update(zip(names, its_params, strict=True))
    turn = iter(names)
    named = _MARK.sub(lambda mark: mark[0] if mark[0] == "%%" else f"%({next(turn)})s", sql)
    return f"AND e.id IN ({named})"
