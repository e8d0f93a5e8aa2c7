"""Entities that their source no longer has, by what is noted in `Owned`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from catalog.models import SyncRun

BATCH: Final = 500

# `gone`: rows that a complete pass did not see. `stale`: entities of which no other row remains.
STALE: Final = """
WITH gone AS (
    SELECT o.entity_id, o.kind FROM catalog_owned o
    WHERE o.integration_id = %(integration)s AND o.kind = ANY(%(kinds)s)
      AND o.run IS DISTINCT FROM %(run)s AND o.seen_at < %(before)s
      AND (%(among)s::bigint[] IS NULL OR o.entity_id = ANY(%(among)s))
      AND (%(seen)s::bigint[] IS NULL OR o.entity_id <> ALL(%(seen)s))
), stale AS (
    SELECT g.entity_id, array_agg(g.kind ORDER BY g.kind) AS kinds FROM gone g
    WHERE NOT EXISTS (
        SELECT FROM catalog_owned o
        WHERE o.integration_id = %(integration)s AND o.entity_id = g.entity_id AND o.kind <> ''
          AND NOT EXISTS (SELECT FROM gone x
                          WHERE x.entity_id = o.entity_id AND x.kind = o.kind))
    GROUP BY g.entity_id
), judged AS (
    SELECT s.entity_id, s.kinds,
           EXISTS (SELECT FROM catalog_owned o WHERE o.integration_id = %(integration)s
                   AND o.entity_id = s.entity_id AND o.is_creator)
           AND NOT EXISTS (SELECT FROM catalog_owned o WHERE o.integration_id <> %(integration)s
                           AND o.entity_id = s.entity_id) AS is_deletable
    FROM stale s
)
"""

_COUNT: Final = f"{STALE} SELECT count(*) FROM judged"  # noqa: S608 - nothing but our own text

_LIST: Final = f"""{STALE}
SELECT j.entity_id, b.identifier, e.identifier, e.title, j.kinds, j.is_deletable FROM judged j
JOIN catalog_entity e ON e.id = j.entity_id JOIN catalog_blueprint b ON b.id = e.blueprint_id
WHERE j.entity_id > %(after)s
ORDER BY j.entity_id LIMIT %(limit)s
"""  # noqa: S608 - nothing but our own text


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass over a source, whose result is compared with what is owned.

    kinds: those read to their end. before: when it began; what was written later is not stale.
    seen: in a dry run, the pks of what it saw (nothing is noted on the rows then).
    """

    integration: int
    run: int
    kinds: Sequence[str]
    before: datetime
    seen: Sequence[int] | None = None

    def facts(self, **more: Any) -> dict[str, Any]:
        """The parameters of `STALE`."""
        return {
            "integration": self.integration,
            "run": self.run,
            "kinds": list(self.kinds),
            "before": self.before,
            "seen": None if self.seen is None else list(self.seen),
            "among": None,
            **more,
        }


@dataclass(frozen=True, slots=True)
class Stale:
    """An entity that its source no longer has. kinds: of the mapping, that gave it.

    is_deletable: the integration made it, and no other one owns it.
    """

    pk: int
    blueprint: str
    identifier: str
    title: str | None
    kinds: tuple[str, ...]
    is_deletable: bool


def stale_entities(
    passed: Pass, *, after: int = 0, limit: int = BATCH, among: Sequence[int] | None = None
) -> list[Stale]:
    """The entities that a pass shows to be gone, in the order of their pks, from `after` on."""
    facts = passed.facts(after=after, limit=limit, among=None if among is None else list(among))
    with connection.cursor() as cursor:
        cursor.execute(_LIST, facts)
        return [
            Stale(pk, blueprint, identifier, title, tuple(kinds), is_deletable)
            for pk, blueprint, identifier, title, kinds, is_deletable in cursor.fetchall()
        ]


def count_stale(passed: Pass) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, passed.facts())
        return int(cursor.fetchone()[0])


def last_pass(integration_pk: int) -> Pass | None:
    """The newest pass that read at least one kind to its end; None when there was none."""
    run = (
        SyncRun.objects.filter(integration=integration_pk, is_dry_run=False, stale__has_key="kinds")
        .exclude(stale__kinds=[])
        .exclude(started_at=None)
        .order_by("-pk")
        .first()
    )
    return pass_of(run) if run else None


def pass_of(run: SyncRun) -> Pass | None:
    """What a run read to its end; None before it has begun."""
    if run.started_at is None:
        return None
    kinds = [one["kind"] for one in run.stale.get("kinds", ())]
    return Pass(run.integration_id, run.pk, kinds, run.started_at)
