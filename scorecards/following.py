"""The consumer of the feed that keeps scores true: what changed is evaluated anew, and no more.

An entity whose blueprint changed as a whole waits for the evaluation of everything, which is then
due at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
import structlog
from django.db import connection, transaction
from django.utils import timezone

from catalog.kernel.feed import FeedRow
from catalog.models import TEAM, Change
from catalog.registry import own_blueprints
from catalog.selectors.kinds import load_kinds
from scorecards.models import Scorecard, ScoreChange
from scorecards.services.evaluating import compiled_of, evaluate

logger = structlog.get_logger(__name__)

CONSUMER: Final = "scorecards"

_OF_ENTITIES: Final = (Change.ENTITY, Change.FACT, Change.METRIC)

# Whatever is one relation away from what changed, also along edges that are gone by now: `names`
# are what it pointed to before and after.
_NEIGHBOURS: Final = """
SELECT r.source_id FROM catalog_relation r WHERE r.target_id = ANY(%(pks)s)
UNION
SELECT r.target_id FROM catalog_relation r
WHERE r.source_id = ANY(%(pks)s) AND r.target_id IS NOT NULL
UNION
SELECT r.source_id FROM json_to_recordset(%(keys)s::json) AS k(blueprint text, identifier text)
JOIN catalog_relation r ON r.target_id IS NULL
    AND r.target_blueprint = k.blueprint AND r.target_identifier = k.identifier
UNION
SELECT e.id FROM catalog_entity e WHERE e.identifier = ANY(%(names)s)
UNION
SELECT e.id FROM catalog_entity e WHERE e.team && %(teams)s::varchar[]
"""


@dataclass(slots=True)
class _Changed:
    """What rows of the feed tell of. pks: of entities by blueprint."""

    pks: dict[str, set[int]] = field(default_factory=dict)
    keys: set[tuple[str, str]] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    teams: set[str] = field(default_factory=set)
    blueprints: set[str] = field(default_factory=set)

    @property
    def all_pks(self) -> set[int]:
        return set().union(*self.pks.values())

    @classmethod
    def of(cls, rows: Sequence[FeedRow]) -> _Changed:
        found = cls()
        for row in rows:
            if row.blueprint in own_blueprints:
                continue  # results have no results
            if row.model == Change.BLUEPRINT:
                found.blueprints.add(row.identifier)
            elif row.model in _OF_ENTITIES and row.object_id is not None:
                found.pks.setdefault(row.blueprint, set()).add(row.object_id)
                if row.model == Change.ENTITY:
                    found._note_entity(row)
        return found

    def _note_entity(self, row: FeedRow) -> None:
        self.keys.add((row.blueprint, row.identifier))
        for side in (row.before or {}, row.after or {}):
            relations = side.get("relations")
            for value in relations.values() if isinstance(relations, dict) else ():
                for one in value if isinstance(value, list) else [value]:
                    if isinstance(one, str):
                        self.names |= {one, one.partition(":")[2]} - {""}
        if row.blueprint == TEAM:
            self.teams.add(row.identifier)


def follow(rows: Sequence[FeedRow]) -> None:
    """Evaluate what these rows are about, scorecard by scorecard; one that fails is tried again as
    a whole later, and keeps no other from its turn.
    """
    changed = _Changed.of(rows)
    if not changed.pks and not changed.blueprints:
        return
    around: set[int] | None = None
    kinds = load_kinds()
    anew = {kinds.pk_of(identifier) for identifier in changed.blueprints}
    scorecards = Scorecard.objects.select_related("blueprint").exclude(
        state=Scorecard.State.ARCHIVED
    )
    for scorecard in scorecards.order_by("pk"):
        try:
            with transaction.atomic():
                compiled = compiled_of(scorecard, timezone.now())
        except Exception as error:  # noqa: BLE001 - what one scorecard says keeps no other waiting
            logger.error("scorecard_not_compiled", scorecard=scorecard.pk, error=str(error))
            continue
        if anew & compiled.blueprints:
            Scorecard.objects.filter(pk=scorecard.pk).update(next_evaluation_at=timezone.now())
        pks = set(changed.all_pks)
        if scorecard.blueprint and not compiled.reads.is_related:
            pks = set(changed.pks.get(scorecard.blueprint.identifier, ()))
        if compiled.reads.is_related:
            around = _around(changed) if around is None else around
            pks |= around
        if not pks:
            continue
        try:
            evaluate(scorecard.pk, cause=ScoreChange.Cause.DATA, entities=pks)
        except Exception as error:  # noqa: BLE001 - whatever it is, `evaluate` has noted it
            logger.warning("scorecard_not_followed", scorecard=scorecard.pk, error=str(error))


def _around(changed: _Changed) -> set[int]:
    keys = [{"blueprint": blueprint, "identifier": name} for blueprint, name in changed.keys]
    with connection.cursor() as cursor:
        cursor.execute(
            _NEIGHBOURS,
            {
                "pks": sorted(changed.all_pks),
                "keys": orjson.dumps(keys).decode(),
                "names": sorted(changed.names),
                "teams": sorted(changed.teams),
            },
        )
        return {pk for (pk,) in cursor.fetchall()}
