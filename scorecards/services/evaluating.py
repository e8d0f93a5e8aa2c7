"""Evaluating scorecards: results, their history and the events they make, in one statement each.

An evaluation reads the database only. It writes what came out differently, so one that changes
nothing leaves no trace but its own row. What happens here happens under the scorecard's lock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic
from typing import Any, Final

import structlog
from django.db import connection, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import Conflict, NotFound
from catalog.kernel.locks import Lock, hold, try_hold
from catalog.models import Entity
from catalog.selectors.kinds import load_kinds
from scorecards.formats import definition_of
from scorecards.models import Evaluation, Score, Scorecard, ScoreChange
from scorecards.rules.compiling import CompiledScorecard, compile_scorecard
from scorecards.rules.judging import judging, run_calls
from scorecards.services import initiatives
from scorecards.services.keeping import have_evaluated
from scorecards.statuses import status_at

logger = structlog.get_logger(__name__)

SCORE: Final = "score"  # the model of scores in the feed
TIMEOUT_S: Final = 300
SOME_TIMEOUT_S: Final = 30  # for what changed: others wait for the consumer of the feed
UNNOTICED: Final = timedelta(minutes=15)  # for what no row of the feed tells of
RETRY: Final = timedelta(minutes=10)  # after a failure

_WRITE: Final = """
WITH {judging},
before AS MATERIALIZED (
    SELECT s.* FROM scorecards_score s WHERE s.scorecard_id = %s {of_these}
),
differing AS MATERIALIZED (
    SELECT n.*, b.statuses AS was_statuses, b.rank AS was_rank, b.level AS was_level,
           (b.statuses, b.rank, b.level) IS DISTINCT FROM (n.statuses, n.rank::smallint, n.level)
               AS is_moved
    FROM judged n LEFT JOIN before b ON b.entity_id = n.id
    WHERE (b.version, b.statuses, b.rank, b.level, b.points, b.total, b.data_as_of, b.evidence)
        IS DISTINCT FROM
        (%s, n.statuses, n.rank::smallint, n.level, n.points, n.total, n.data_as_of, n.evidence)
),
written AS (
    INSERT INTO scorecards_score (
        scorecard_id, entity_id, statuses, rank, level, points, total, evidence, version,
        evaluated_at, data_as_of, since, is_mirrored)
    SELECT %s, id, statuses, rank, level, points, total, evidence, %s, %s, data_as_of, %s, false
    FROM differing
    ON CONFLICT (scorecard_id, entity_id) DO UPDATE SET
        statuses = excluded.statuses, rank = excluded.rank, level = excluded.level,
        points = excluded.points, total = excluded.total, evidence = excluded.evidence,
        version = excluded.version, evaluated_at = excluded.evaluated_at,
        data_as_of = excluded.data_as_of,
        since = CASE WHEN (scorecards_score.statuses, scorecards_score.level)
                        = (excluded.statuses, excluded.level)
                     THEN scorecards_score.since ELSE excluded.since END,
        is_mirrored = scorecards_score.is_mirrored
            AND (scorecards_score.statuses, scorecards_score.level, scorecards_score.version,
                 scorecards_score.data_as_of)
              = (excluded.statuses, excluded.level, excluded.version, excluded.data_as_of)
),
gone AS (
    DELETE FROM scorecards_score s USING before b
    WHERE s.id = b.id AND NOT EXISTS (SELECT FROM judged n WHERE n.id = b.entity_id)
    RETURNING s.entity_id, s.statuses, s.rank, s.level
),
moved AS (
    INSERT INTO scorecards_scorechange (
        scorecard_id, entity_id, blueprint, identifier, at, version, cause,
        was_statuses, statuses, was_rank, rank, was_level, level, points, total)
    SELECT %s, d.id, k.identifier, e.identifier, %s, %s, %s, d.was_statuses, d.statuses,
           d.was_rank, d.rank, d.was_level, d.level, d.points, d.total
    FROM differing d
    JOIN catalog_entity e ON e.id = d.id
    JOIN catalog_blueprint k ON k.id = e.blueprint_id
    WHERE d.is_moved
    UNION ALL
    SELECT %s, g.entity_id, l.blueprint, l.identifier, %s, %s, %s, g.statuses, NULL,
           g.rank, NULL, g.level, NULL, NULL, NULL
    FROM gone g
    CROSS JOIN LATERAL (
        SELECT c.blueprint, c.identifier FROM scorecards_scorechange c
        WHERE c.scorecard_id = %s AND c.entity_id = g.entity_id
        ORDER BY c.at DESC, c.id DESC LIMIT 1
    ) l
    RETURNING entity_id, blueprint, identifier, was_statuses, statuses, was_rank, rank,
              was_level, level
)
SELECT (SELECT count(*) FROM judged),
       count(*) FILTER (WHERE was_statuses IS NOT NULL AND statuses IS NOT NULL),
       count(*) FILTER (WHERE rank > was_rank),
       count(*) FILTER (WHERE rank < was_rank),
       count(*) FILTER (WHERE was_statuses IS NULL),
       count(*) FILTER (WHERE statuses IS NULL),
       json_agg(json_build_array(entity_id, blueprint, identifier, was_statuses, statuses,
                                 was_level, level))
           FILTER (WHERE %s AND was_statuses IS NOT NULL AND statuses IS NOT NULL)
FROM moved
"""


class EvaluationRunning(Conflict):
    """The scorecard is being evaluated already."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation came to; see `Evaluation`."""

    entities: int
    changed: int
    raised: int
    lowered: int
    entered: int
    left: int

    @property
    def has_moved(self) -> bool:
        return bool(self.changed or self.entered or self.left)


def evaluate(
    scorecard_pk: int,
    *,
    cause: str,
    by: str = "",
    entities: Collection[int] | None = None,
    wait: bool = True,
) -> Outcome | None:
    """Evaluate a scorecard for all its entities, or for those (pks) that may have changed.

    cause: one of `ScoreChange.Cause`; that it was changed since the last time goes before it. by:
    who asked. wait: for another evaluation to end; else raises EvaluationRunning. Returns None when
    there is nothing to evaluate: the scorecard is gone or archived, or it was never evaluated and
    is not to be as a whole now.
    """
    started = monotonic()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            if wait:
                hold(Lock.SCORECARD, scorecard_pk)
            elif not try_hold(Lock.SCORECARD, scorecard_pk):
                raise EvaluationRunning(
                    "The scorecard is being evaluated", hint="Try again when that has ended."
                )
            scorecard = _to_evaluate(scorecard_pk)
            is_new = scorecard is not None and scorecard.evaluated_version != scorecard.version
            if scorecard is None or (entities is not None and is_new):
                return None  # its turn as a whole comes next
            # many conditions on many rows: compiling them takes longer than it saves
            timeout_s = TIMEOUT_S if entities is None else SOME_TIMEOUT_S
            cursor.execute(f"SET LOCAL jit = off; SET LOCAL statement_timeout = '{timeout_s}s'")
            if entities is None:  # all of them at once go through memory, not through files
                cursor.execute("SET LOCAL work_mem = '64MB'")
            compiled = compiled_of(scorecard, timezone.now())
            cause = ScoreChange.Cause.RULES if is_new else cause
            outcome, told = _write(scorecard, compiled, cause, entities)
            cursor.execute("SET LOCAL statement_timeout = DEFAULT; SET LOCAL work_mem = DEFAULT")
            _tell(scorecard, told, compiled.now)
            if outcome.has_moved or entities is None:
                initiatives.follow(scorecard.pk, entities)
            if entities is None:
                _note(scorecard, compiled, outcome, cause, by, monotonic() - started)
    except EvaluationRunning:
        raise
    except Exception as error:  # else its turn would come again at once, for ever
        _note_failure(scorecard_pk, error, cause, by, monotonic() - started)
        raise
    return outcome


def evaluate_now(scorecard: Scorecard, *, actor: Actor) -> Outcome:
    """Evaluate all of it because somebody wants to see. Raises EvaluationRunning, NotFound."""
    outcome = evaluate(scorecard.pk, cause=ScoreChange.Cause.DATA, by=actor.name, wait=False)
    if outcome is None:
        raise NotFound.of("Scorecard that is not archived", scorecard.identifier)
    return outcome


def evaluate_entity(scorecard: Scorecard, entity: Entity, *, actor: Actor) -> Outcome:
    """Evaluate one entity because somebody wants to see. Raises EvaluationRunning, NotFound."""
    if scorecard.evaluated_version != scorecard.version:
        return evaluate_now(scorecard, actor=actor)
    outcome = evaluate(
        scorecard.pk, cause=ScoreChange.Cause.DATA, by=actor.name, entities=[entity.pk], wait=False
    )
    if outcome is None:
        raise NotFound.of("Scorecard that is not archived", scorecard.identifier)
    Score.objects.filter(scorecard=scorecard, entity=entity).update(evaluated_at=timezone.now())
    return outcome


def evaluate_soon(scorecard_pk: int, *, cause: str, by: str, entities: Collection[int]) -> None:
    """Evaluate some entities in the caller's transaction; or, where somebody is at the scorecard,
    have all of it evaluated when that has ended. So nobody waits.
    """
    try:
        evaluate(scorecard_pk, cause=cause, by=by, entities=entities, wait=False)
    except EvaluationRunning:
        have_evaluated(Scorecard.objects.select_for_update().get(pk=scorecard_pk))


def compiled_of(scorecard: Scorecard, now: datetime) -> CompiledScorecard:
    """What the scorecard says now; its `blueprint` loaded."""
    slots = dict(scorecard.rules.filter(removed_at=None).values_list("identifier", "slot"))
    return compile_scorecard(definition_of(scorecard), slots, load_kinds(), now)


def due(now: datetime) -> list[int]:
    """Scorecards (pks) that are to be evaluated as a whole."""
    found = Scorecard.objects.filter(next_evaluation_at__lte=now)
    found = found.exclude(state=Scorecard.State.ARCHIVED)
    return list(found.order_by("next_evaluation_at").values_list("pk", flat=True))


def prune(now: datetime, *, days: int) -> int:
    """Forget evaluations of more than so many days ago; returns how many that were."""
    before = now - timedelta(days=days)
    return Evaluation.objects.filter(started_at__lt=before).delete()[0]


def _to_evaluate(pk: int) -> Scorecard | None:
    return (
        Scorecard.objects.select_related("blueprint")
        .filter(pk=pk)
        .exclude(state=Scorecard.State.ARCHIVED)
        .first()
    )


def _write(
    scorecard: Scorecard,
    compiled: CompiledScorecard,
    cause: str,
    entities: Collection[int] | None,
) -> tuple[Outcome, Sequence[Any]]:
    """The outcome, and [entity, blueprint, identifier, statuses and level before and after] of what
    is worth telling.
    """
    run_calls(compiled, entities)
    asked = judging(compiled, scorecard=scorecard.pk, entities=entities)
    pk, version, now = scorecard.pk, scorecard.version, compiled.now
    is_worth_telling = (
        cause != ScoreChange.Cause.RULES and scorecard.state == Scorecard.State.ACTIVE
    )
    these: list[Any] = [] if entities is None else [sorted(entities)]
    with connection.cursor() as cursor:
        cursor.execute(
            _WRITE.format(
                judging=asked.sql, of_these="" if entities is None else "AND s.entity_id = ANY(%s)"
            ),
            [
                *asked.params,
                *(pk, *these),
                version,
                *(pk, version, now, now),
                *(pk, now, version, cause),
                *(pk, now, version, cause, pk),
                is_worth_telling,
            ],
        )
        *counts, told = cursor.fetchone()
    return Outcome(*counts), told or []


def _tell(scorecard: Scorecard, told: Sequence[Any], now: datetime) -> None:
    """Put what changed into the feed, for automations and whoever else follows it."""
    if not told:
        return
    slots = dict(scorecard.rules.values_list("slot", "identifier"))
    records = []
    for pk, blueprint, identifier, was_statuses, statuses, was_level, level in told:
        before: dict[str, Any] = {"scorecard": scorecard.identifier}
        after: dict[str, Any] = {"scorecard": scorecard.identifier}
        if was_level != level:
            before["level"], after["level"] = was_level, level
        before["rules"], after["rules"] = _changed_rules(was_statuses, statuses, slots)
        records.append(feed.Record(feed.UPDATE, SCORE, identifier, blueprint, pk, before, after))
    feed.record(records, actor=Actor.system("scorecards"), at=now)


def _changed_rules(
    was: str, now: str, slots: Mapping[int, str]
) -> tuple[dict[str, str], dict[str, str]]:
    changed = [slot for slot in slots if was[slot : slot + 1] != now[slot : slot + 1]]
    return (
        {slots[slot]: status_at(was, slot).name for slot in changed},
        {slots[slot]: status_at(now, slot).name for slot in changed},
    )


def _note(
    scorecard: Scorecard,
    compiled: CompiledScorecard,
    outcome: Outcome,
    cause: str,
    by: str,
    seconds: float,
) -> None:
    now = compiled.now
    Evaluation.objects.create(
        scorecard=scorecard,
        version=scorecard.version,
        cause=cause,
        by=by,
        started_at=now,
        duration_ms=round(seconds * 1000),
        entities=outcome.entities,
        changed=outcome.changed,
        raised=outcome.raised,
        lowered=outcome.lowered,
        entered=outcome.entered,
        left=outcome.left,
        error="; ".join(compiled.problems),
    )
    own = Scorecard.objects.filter(pk=scorecard.pk)
    own.update(
        evaluated_at=now,
        evaluated_version=scorecard.version,
        error="; ".join(compiled.problems),
    )
    # what was changed meanwhile stays due
    own.filter(next_evaluation_at=scorecard.next_evaluation_at).update(
        next_evaluation_at=_next_turn(compiled)
    )
    for rule in compiled.rules:
        scorecard.rules.filter(slot=rule.slot).exclude(problem=rule.compiled.problem).update(
            problem=rule.compiled.problem
        )


def _next_turn(compiled: CompiledScorecard) -> datetime:
    """After its window; or sooner, when a rule begins or ceases to count, or looks at what changes
    unnoticed.
    """
    now, definition = compiled.now, compiled.definition
    turns = [now + timedelta(hours=definition.window_h)]
    if compiled.reads.is_apart or compiled.reads.is_timed:
        turns.append(now + UNNOTICED)
    for rule in definition.rules:
        if rule.effective_from:
            turns.append(_midnight(rule.effective_from))
        if rule.effective_until and rule.effective_until < date.max:
            turns.append(_midnight(rule.effective_until + timedelta(days=1)))
    return min(turn for turn in turns if turn > now)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _note_failure(pk: int, error: Exception, cause: str, by: str, seconds: float) -> None:
    """Keep why it failed; it is tried again a little later."""
    logger.error("scorecard_evaluation_failed", scorecard=pk, error=str(error))
    message = (str(error) or type(error).__name__).splitlines()[0]
    now = timezone.now()
    with transaction.atomic():
        changed = Scorecard.objects.filter(pk=pk).update(
            error=message, next_evaluation_at=now + RETRY
        )
        if changed:
            Evaluation.objects.create(
                scorecard_id=pk,
                version=Scorecard.objects.values_list("version", flat=True).get(pk=pk),
                cause=cause,
                by=by,
                started_at=now,
                duration_ms=round(seconds * 1000),
                error=message,
            )
