"""What if: how a scorecard that is not saved would come out, beside how the saved one does.

It is the same statement that evaluates, over all entities; nothing is stored. So what is shown
here is what saving it then does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from psycopg.errors import QueryCanceled

from catalog.kernel.actors import Actor, Principal
from catalog.kernel.errors import LimitExceeded
from catalog.models import Entity
from catalog.selectors.kinds import load_kinds
from catalog.services.entities import EntityDraft, Mode, apply
from catalog.services.facts import FactDraft, put_facts
from scorecards.definition import Definition, Level
from scorecards.formats import definition_of
from scorecards.models import Scorecard
from scorecards.rules.compiling import CompiledRule, CompiledScorecard, compile_scorecard
from scorecards.rules.judging import judging, run_calls
from scorecards.statuses import ABSENT, PASSING, STATUSES, WANTING

TIMEOUT_S: Final = 30  # consumers of the feed wait for transactions that write, and this one does
TRIAL_S: Final = 10
MAX_NAMES: Final = 50
MAX_TEAMS: Final = 200
MAX_SAMPLES: Final = 5  # of entities at a rule

_COMPARED: Final = """
CREATE TEMPORARY TABLE scorecards_preview ON COMMIT DROP AS
WITH {judging},
saved AS MATERIALIZED (
    SELECT s.entity_id, s.statuses, s.rank, s.level FROM scorecards_score s
    WHERE s.scorecard_id = %s AND EXISTS (SELECT FROM catalog_entity e WHERE e.id = s.entity_id)
)
SELECT coalesce(n.id, b.entity_id) AS id, n.statuses, n.rank, n.level,
       b.statuses AS was_statuses, b.rank AS was_rank, b.level AS was_level
FROM judged n FULL JOIN saved b ON b.entity_id = n.id
"""

_MOVES: Final[Mapping[str, str]] = {
    "raised": "p.rank > p.was_rank",
    "lowered": "p.rank < p.was_rank",
    "entered": "p.was_statuses IS NULL",
    "left": "p.statuses IS NULL",
}

_NAMES: Final = """
SELECT k.identifier, e.identifier, coalesce(e.title, e.identifier), p.was_level, p.level
FROM scorecards_preview p
JOIN catalog_entity e ON e.id = p.id
JOIN catalog_blueprint k ON k.id = e.blueprint_id
WHERE {condition} AND e.id IN ({visible})
ORDER BY lower(coalesce(e.title, e.identifier)), e.id LIMIT %s
"""

_AT_RULE: Final = "substr(p.statuses, %s, 1) = ANY(%s)"

_TEAMS: Final = """
SELECT coalesce(t.team, ''), count(*) FILTER (WHERE p.statuses IS NOT NULL),
       count(*) FILTER (WHERE p.rank > p.was_rank), count(*) FILTER (WHERE p.rank < p.was_rank)
FROM scorecards_preview p
JOIN catalog_entity e ON e.id = p.id
LEFT JOIN LATERAL unnest(e.team) AS t(team) ON true
GROUP BY 1 HAVING count(*) FILTER (WHERE p.rank <> p.was_rank) > 0
ORDER BY 4 DESC, 3 DESC, 1 LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Named:
    """An entity, and the levels it was and would be at (None: it was or would not be in it)."""

    blueprint: str
    identifier: str
    title: str
    was_level: str | None
    level: str | None


@dataclass(frozen=True, slots=True)
class Movement:
    """count: of how many; names: of the first of them."""

    count: int
    names: tuple[Named, ...] = ()


@dataclass(frozen=True, slots=True)
class LevelPreview:
    level: Level
    was: int
    now: int


@dataclass(frozen=True, slots=True)
class RulePreview:
    """was, now: entities by the name of a status; was is empty for a new rule. passing, missing:
    the first entities that would pass it, and that would not.
    """

    identifier: str
    title: str
    problem: str
    is_announced: bool
    was: Mapping[str, int]
    now: Mapping[str, int]
    passing: tuple[Named, ...]
    missing: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class TeamPreview:
    """team: its identifier, "" for what nobody owns."""

    team: str
    entities: int
    raised: int
    lowered: int


@dataclass(frozen=True, slots=True)
class Preview:
    """entities: that it would be about. problems: of its filter; those of rules are with them."""

    entities: int
    was_entities: int
    levels: tuple[LevelPreview, ...]
    rules: tuple[RulePreview, ...]
    raised: Movement
    lowered: Movement
    entered: Movement
    left: Movement
    teams: tuple[TeamPreview, ...]
    problems: tuple[str, ...]
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Tried:
    """How one entity would come out; see `Score`. None of it where the entity is not meant."""

    compiled: CompiledScorecard
    statuses: str | None
    rank: int
    level: str
    points: Any
    total: Any
    evidence: Mapping[str, Any]


def preview(
    definition: Definition,
    *,
    current: Scorecard | None = None,
    principal: Principal,
    limit: int = MAX_NAMES,
) -> Preview:
    """How a checked definition would come out; current: the saved scorecard that it would replace.

    Names at most `limit` entities of each sort. Raises LimitExceeded when that takes too long.
    """
    with _in_time("The preview", TIMEOUT_S):
        return _preview(definition, current, _Names(principal, limit))


@contextmanager
def _in_time(what: str, seconds: int) -> Iterator[None]:
    """Raises LimitExceeded where the database was told to stop."""
    try:
        yield
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        raise LimitExceeded(
            f"{what} was not ready after {seconds} seconds",
            hint="Narrow the filter down, or simplify the rules.",
            details={"expected": f"<= {seconds} s"},
        ) from None


def _preview(definition: Definition, current: Scorecard | None, names: _Names) -> Preview:
    started = monotonic()
    slots = preview_slots(definition, current)
    compiled = compile_scorecard(definition, slots, load_kinds(), timezone.now())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL jit = off; SET LOCAL statement_timeout = '{TIMEOUT_S}s'")
        run_calls(compiled, within_s=TIMEOUT_S)
        pk = current.pk if current else None
        asked = judging(compiled, scorecard=pk)
        cursor.execute(_COMPARED.format(judging=asked.sql), [*asked.params, pk])
        entities, was_entities, moves = _counts(cursor)
        found = Preview(
            entities=entities,
            was_entities=was_entities,
            levels=_levels(cursor, definition, current),
            rules=tuple(_rule(cursor, one, names) for one in compiled.rules),
            **{
                name: Movement(count, names.where(cursor, _MOVES[name]) if count else ())
                for name, count in moves.items()
            },
            teams=_teams(cursor),
            problems=compiled.problems,
            duration_ms=round((monotonic() - started) * 1000),
        )
        cursor.execute("DROP TABLE scorecards_preview")
        cursor.execute("SET LOCAL statement_timeout = DEFAULT")
    return found


def try_on(
    definition: Definition,
    entity: Entity,
    *,
    current: Scorecard | None = None,
    properties: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Tried:
    """How one entity would come out if these properties and facts of it were different.

    Nothing is stored. Raises what the catalogue says to such values (InvalidEntity, InvalidInput),
    and LimitExceeded: others wait who would write entities of its kind.
    """
    actor = Actor.system("what-if")
    key = (entity.blueprint.identifier, entity.identifier)
    with _in_time("The trial", TRIAL_S), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL jit = off; SET LOCAL statement_timeout = '{TRIAL_S}s'")
        if properties:
            draft = EntityDraft(*key, properties=dict(properties))
            [item] = apply([draft], mode=Mode.MERGE, actor=actor).items
            if item.error:
                raise item.error
        if facts:
            drafts = [FactDraft(*key, name, value) for name, value in facts.items()]
            for result in put_facts(drafts, actor=actor):
                if result.error:
                    raise result.error
        tried = _tried(definition, entity, current)
        transaction.set_rollback(True)
    return tried


def preview_slots(definition: Definition, current: Scorecard | None) -> dict[str, int]:
    """The slots its rules have, or would get."""
    known = dict(current.rules.values_list("identifier", "slot")) if current else {}
    following = current.next_slot if current else 0
    for rule in definition.rules:
        if rule.identifier not in known:
            known[rule.identifier] = following
            following += 1
    return {rule.identifier: known[rule.identifier] for rule in definition.rules}


def _tried(definition: Definition, entity: Entity, current: Scorecard | None) -> Tried:
    slots = preview_slots(definition, current)
    compiled = compile_scorecard(definition, slots, load_kinds(), timezone.now())
    run_calls(compiled, [entity.pk], within_s=TRIAL_S)
    asked = judging(compiled, scorecard=current.pk if current else None, entities=[entity.pk])
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH {asked.sql} "  # noqa: S608 - made of constants
            "SELECT statuses, rank, level, points, total, evidence::text::json FROM judged",
            asked.params,
        )
        row = cursor.fetchone()
    return Tried(compiled, *(row or (None, 0, "", 0, 0, {})))


def _counts(cursor: Any) -> tuple[int, int, dict[str, int]]:
    moves = ", ".join(f"count(*) FILTER (WHERE {one})" for one in _MOVES.values())
    cursor.execute(
        f"SELECT count(statuses), count(was_statuses), {moves} FROM scorecards_preview p"  # noqa: S608
    )
    entities, was_entities, *counts = cursor.fetchone()
    return entities, was_entities, dict(zip(_MOVES, counts, strict=True))


def _levels(
    cursor: Any, definition: Definition, current: Scorecard | None
) -> tuple[LevelPreview, ...]:
    """The levels it would have, lowest first, then those it has no more."""
    cursor.execute(
        "SELECT level, 0, count(*) FROM scorecards_preview WHERE statuses IS NOT NULL GROUP BY 1 "
        "UNION ALL SELECT was_level, count(*), 0 FROM scorecards_preview "
        "WHERE was_statuses IS NOT NULL GROUP BY 1"
    )
    counts: dict[str, list[int]] = {}
    for title, was, now in cursor.fetchall():
        both = counts.setdefault(title, [0, 0])
        both[0] += was
        both[1] += now
    saved = definition_of(current).levels if current else ()
    titles = [level.title for level in definition.levels]
    levels = [*definition.levels, *(one for one in saved if one.title not in titles)]
    return tuple(LevelPreview(one, *counts.get(one.title, [0, 0])) for one in levels)


def _rule(cursor: Any, rule: CompiledRule, names: _Names) -> RulePreview:
    place = rule.slot + 1
    cursor.execute(
        "SELECT substr(statuses, %s, 1), 0, count(*) FROM scorecards_preview "
        "WHERE statuses IS NOT NULL GROUP BY 1 "
        "UNION ALL SELECT substr(was_statuses, %s, 1), count(*), 0 FROM scorecards_preview "
        "WHERE was_statuses IS NOT NULL GROUP BY 1",
        [place, place],
    )
    was: dict[str, int] = {}
    now: dict[str, int] = {}
    for letter, before, after in cursor.fetchall():
        status = STATUSES.get(letter)
        for counts, count in ((was, before), (now, after)):
            if status and status is not ABSENT and count:
                counts[status.name] = counts.get(status.name, 0) + count
    return RulePreview(
        identifier=rule.spec.identifier,
        title=rule.spec.title,
        problem=rule.compiled.problem,
        is_announced=rule.is_announced,
        was=was,
        now=now,
        passing=names.where(cursor, _AT_RULE, place, [*PASSING], limit=MAX_SAMPLES),
        missing=names.where(cursor, _AT_RULE, place, [*WANTING], limit=MAX_SAMPLES),
    )


class _Names:
    """Names entities, as far as the principal may see them."""

    def __init__(self, principal: Principal, limit: int) -> None:
        seen = Entity.objects.visible_to(principal).values("pk")
        self.limit = limit
        try:
            self.visible, self.params = seen.query.sql_with_params()
        except EmptyResultSet:
            self.visible, self.params = "SELECT NULL", ()

    def where(
        self, cursor: Any, condition: str, *params: Any, limit: int | None = None
    ) -> tuple[Named, ...]:
        most = self.limit if limit is None else min(limit, self.limit)
        sql = _NAMES.format(condition=condition, visible=self.visible)
        cursor.execute(sql, [*params, *self.params, most])
        return tuple(Named(*row) for row in cursor.fetchall())


def _teams(cursor: Any) -> tuple[TeamPreview, ...]:
    cursor.execute(_TEAMS, [MAX_TEAMS])
    return tuple(TeamPreview(*row) for row in cursor.fetchall())
