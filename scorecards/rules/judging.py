"""The one statement that evaluates a scorecard over all its entities, or over some of them.

It is made of steps, each a CTE: `seen` asks every rule about every entity, and has a letter for
each answer (see `scorecards.statuses`); `judged` makes level and points of them. What is done with
that is the caller's: `evaluating` writes it, `previewing` compares it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from time import monotonic
from typing import Any, Final

import orjson
from django.db import connection
from django.db.models import CharField, DateTimeField, F, Q, Value

from catalog.kernel import jq
from catalog.kernel.errors import InvalidInput, LimitExceeded
from catalog.kernel.identifiers import storable_text
from catalog.kernel.schema import check_json
from catalog.models import Entity, EntityQuerySet
from catalog.selectors.search.operands import is_of
from catalog.selectors.sql import Sql
from scorecards.definition import Definition, Missing
from scorecards.models import Exemption
from scorecards.rules.compiled import JqCall
from scorecards.rules.compiling import CompiledRule, CompiledScorecard
from scorecards.rules.evidence import SHORTENED, evidence_of
from scorecards.statuses import (
    ABSENT,
    ANNOUNCED_FAIL,
    ANNOUNCED_NO_DATA,
    ANNOUNCED_PASS,
    BLOCKING,
    COUNTED,
    ERROR,
    EXEMPT,
    FAIL,
    IGNORED,
    NO_DATA,
    NOT_APPLICABLE,
    PASS,
    Status,
)

_JQ_CHUNK: Final = 200  # documents in memory at once, facts and all
JQ_S: Final = 300  # for all programs of a scorecard
_JQ_TABLE: Final = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS scorecards_jq (number int NOT NULL, "
    "entity_id bigint NOT NULL, value jsonb, error text, PRIMARY KEY (number, entity_id)) "
    "ON COMMIT DROP"
)


_JQ_INSERT: Final = (
    "INSERT INTO scorecards_jq SELECT number, entity_id, nullif(value, 'null'), error "
    "FROM json_to_recordset(%s::json) "
    "AS r(number int, entity_id bigint, value jsonb, error text)"
)


@dataclass(frozen=True, slots=True)
class Judging:
    """CTEs that end in `judged`: id, statuses, rank, level, points, total, evidence, data_as_of.

    sql: "seen AS (…), judged AS (…)", to stand behind WITH.
    """

    sql: str
    params: tuple[Any, ...]


def judging(
    compiled: CompiledScorecard, *, scorecard: int | None, entities: Collection[int] | None = None
) -> Judging:
    """scorecard: the pk of the one whose exemptions hold. entities: pks; None for all.

    Its programs must have been run (`run_calls`), in the same transaction.
    """
    seen, params = _seen(compiled, entities)
    judged, judged_params = _judged(compiled)
    # hardly ever is there one: a step more for all entities is not worth it then
    if exempt := _exempt(compiled, scorecard):
        sql, exempt_params = exempt
        return Judging(
            f"asked AS MATERIALIZED ({seen}), seen AS MATERIALIZED ({sql}), "
            f"judged AS MATERIALIZED ({judged})",
            (*params, *exempt_params, *judged_params),
        )
    return Judging(
        f"seen AS MATERIALIZED ({seen}), judged AS MATERIALIZED ({judged})",
        (*params, *judged_params),
    )


def in_scope(compiled: CompiledScorecard, entities: Collection[int] | None) -> EntityQuerySet:
    return _candidates(compiled, entities).filter(compiled.scope)


def _candidates(compiled: CompiledScorecard, entities: Collection[int] | None) -> EntityQuerySet:
    found = Entity.objects.filter(is_of(sorted(compiled.blueprints)))
    return found if entities is None else found.filter(pk__in=sorted(entities))


class TooLong(LimitExceeded):
    """Its JQ programs took more time than they may."""


def run_calls(
    compiled: CompiledScorecard,
    entities: Collection[int] | None = None,
    *,
    within_s: float = JQ_S,
) -> None:
    """Run the JQ programs of a scorecard, in the transaction that will evaluate it.

    Their values go into a table that the transaction drops: `rules.compiled.value_of_call`. Raises
    TooLong after about `within_s`.
    """
    if not compiled.calls:
        return
    ends_at = monotonic() + within_s
    with connection.cursor() as cursor:
        cursor.execute(_JQ_TABLE)
        cursor.execute("TRUNCATE scorecards_jq")
    for call in compiled.calls:
        # what says who is meant is asked of everybody who may be
        is_of_scope = call.number < compiled.scope_calls
        asked = (_candidates if is_of_scope else in_scope)(compiled, entities)
        for rows in _outcomes(call, asked):
            with connection.cursor() as cursor:
                cursor.execute(_JQ_INSERT, [orjson.dumps(rows).decode()])
            if monotonic() > ends_at:
                raise TooLong(
                    f"The JQ programs had not ended after {within_s:.0f} seconds",
                    hint="Narrow the filter down, or say it in CQL or conditions.",
                    details={"expected": f"<= {within_s:.0f} s"},
                )
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE scorecards_jq")


def _outcomes(call: JqCall, entities: EntityQuerySet) -> Iterator[list[dict[str, Any]]]:
    """What a program gives for each entity, page by page."""
    program = jq.Program(fields={"value": call.program})
    asked = entities.annotate(asked=call.value).values_list("pk", "asked")
    last = 0
    # by pages: what is written must not disturb what is being read
    while page := list(asked.filter(pk__gt=last).order_by("pk")[:_JQ_CHUNK]):
        last = page[-1][0]
        outcomes = jq.run(program, [value for _, value in page])
        yield [
            {"number": call.number, "entity_id": pk, **_given(outcome)}
            for (pk, _), outcome in zip(page, outcomes, strict=True)
        ]


def _given(outcome: jq.Outcome) -> dict[str, Any]:
    """What a program gave for one entity, as far as the database has a place for it."""
    error = outcome.failure or outcome.errors.get("value")
    if error is not None:
        return {"value": None, "error": storable_text(error)}
    value = outcome.values.get("value")
    try:
        check_json(value)
    except InvalidInput as refused:
        return {"value": None, "error": refused.message}
    return {"value": value, "error": None}


# first step: a letter for the answer of each rule about each entity


def _seen(
    compiled: CompiledScorecard, entities: Collection[int] | None
) -> tuple[str, Sequence[Any]]:
    columns: dict[str, Any] = {"as_of": _as_of(compiled), "evidence": evidence_of(compiled.rules)}
    for n, rule in enumerate(compiled.rules):
        columns[f"l{n}"] = _letter(rule)
    found = in_scope(compiled, entities).order_by().annotate(**columns)
    return found.values_list("id", *columns).query.sql_with_params()


def _letter(rule: CompiledRule) -> Sql:
    """The verdict stands in it once, so it is worked out once."""
    if rule.is_over:
        return _char(NOT_APPLICABLE)
    unknown: Any = _char(_NO_DATA[rule.spec.missing])
    passed, failed = PASS, FAIL
    if rule.is_announced:
        passed, failed, unknown = ANNOUNCED_PASS, ANNOUNCED_FAIL, _char(ANNOUNCED_NO_DATA)
    elif rule.compiled.calls:
        has_failed = _has_failed(rule.compiled.calls)
        unknown = Sql("CASE WHEN {} THEN {} ELSE {} END", has_failed, _char(ERROR), unknown)
    letter = Sql(
        "CASE {} WHEN true THEN {} WHEN false THEN {} ELSE {} END",
        rule.compiled.verdict,
        _char(passed),
        _char(failed),
        unknown,
        output_field=CharField(),
    )
    if rule.filter is None:
        return letter
    return Sql(
        "CASE WHEN {} THEN {} ELSE {} END",
        rule.filter,
        letter,
        _char(NOT_APPLICABLE),
        output_field=CharField(),
    )


_NO_DATA: Final = {Missing.FAIL: NO_DATA, Missing.IGNORE: IGNORED, Missing.PASS: PASS}


def _char(status: Status) -> Sql:
    return Sql(f"'{status.letter}'::\"char\"", output_field=CharField())


_NEWEST: Final = """greatest({}, (SELECT max(f.collected_at) FROM catalog_fact f
WHERE f.entity_id = {} AND ({} OR f.key = ANY({}::text[]))))"""


def _as_of(compiled: CompiledScorecard) -> Sql:
    """The newest of what the rules looked at: the entity, and its facts if they are read."""
    facts = compiled.reads.facts
    if not facts:
        return Sql("{}", F("updated_at"), output_field=DateTimeField())
    return Sql(
        _NEWEST,
        F("updated_at"),
        F("pk"),
        Value("*" in facts),
        Value(sorted(facts)),
        output_field=DateTimeField(),
    )


def _has_failed(calls: Sequence[int]) -> Sql:
    return Sql(
        "EXISTS (SELECT FROM scorecards_jq j WHERE j.entity_id = {} AND j.error IS NOT NULL "
        "AND j.number = ANY({}::int[]))",
        F("pk"),
        Value([*calls]),
    )


# second step: what does not count for the time being


def _exempt(compiled: CompiledScorecard, scorecard: int | None) -> tuple[str, Sequence[Any]] | None:
    """None while nothing is exempt."""
    holding = Exemption.objects.filter(
        scorecard=scorecard, status=Exemption.Status.APPROVED
    ).filter(Q(ends_at=None) | Q(ends_at__gt=compiled.now))
    if scorecard is None or not holding.exists():
        return None
    letters, params = [], []
    for n, rule in enumerate(compiled.rules):
        if rule.is_over or rule.is_announced:
            letters.append(f"l{n}")
        else:
            params.append(rule.slot)
            letters.append(_EXEMPT_LETTER.format(n=n))
    return _EXEMPT.format(letters=", ".join(letters)), (*params, scorecard, compiled.now)


_EXEMPT_LETTER: Final = (
    f"CASE WHEN %s = ANY(x.slots) AND l{{n}} <> '{NOT_APPLICABLE.letter}' "
    f"THEN '{EXEMPT.letter}'::\"char\" ELSE l{{n}} END AS l{{n}}"
)
_EXEMPT: Final = """
SELECT asked.id, as_of, evidence, {letters}
FROM asked LEFT JOIN (
    SELECT e.entity_id, array_agg(r.slot) AS slots
    FROM scorecards_exemption e JOIN scorecards_rule r ON r.id = e.rule_id
    WHERE e.scorecard_id = %s AND e.status = 'APPROVED' AND (e.ends_at IS NULL OR e.ends_at > %s)
    GROUP BY e.entity_id
) x ON x.entity_id = asked.id"""


# last step: level and points


_JUDGED: Final = """
SELECT id, statuses, rank, (%s::text[])[rank + 1] AS level, points, total, evidence, data_as_of
FROM (
    SELECT id, statuses, CASE WHEN total = 0 THEN 0 ELSE {rank} END AS rank, points, total,
           short AS evidence, data_as_of
    FROM (
        SELECT *, {statuses} AS statuses, {points} AS points, {total} AS total,
               {evidence} AS short, as_of AS data_as_of
        FROM seen
        OFFSET 0 -- so that nothing is worked out twice
    ) AS counted
    OFFSET 0
) AS ranked"""


def _judged(compiled: CompiledScorecard) -> tuple[str, Sequence[Any]]:
    levels = [level.title for level in compiled.definition.levels]
    sql = _JUDGED.format(
        statuses=_statuses(compiled),
        rank=_rank(compiled),
        points=_sum(compiled, PASS.letter),
        total=_sum(compiled, COUNTED),
        evidence=SHORTENED,
    )
    return sql, [levels]


def _statuses(compiled: CompiledScorecard) -> str:
    """The letters by slot."""
    if not compiled.rules:
        return "''::text"
    by_slot = {rule.slot: n for n, rule in enumerate(compiled.rules)}
    return " || ".join(
        f"l{by_slot[slot]}::text" if slot in by_slot else f"'{ABSENT.letter}'"
        for slot in range(max(by_slot) + 1)
    )


def _rank(compiled: CompiledScorecard) -> str:
    """How far the ladder goes on for an entity that something counts for: a rule of no weight is
    for information, and keeps nobody back.
    """
    definition = compiled.definition
    weighty = [(n, rule) for n, rule in enumerate(compiled.rules) if rule.spec.weight > 0]
    if not weighty or not definition.has_levels:
        return "0"
    top = _top(definition, [rule for _, rule in weighty])
    cases = []
    for rank in range(1, top + 1):
        kept_back = " OR ".join(
            # most pass, and need not be asked further
            f"(l{n} <> '{PASS.letter}' AND l{n} IN {_letters(BLOCKING)})"
            for n, rule in weighty
            if rule.rank == rank
        )
        if kept_back:
            cases.append(f"WHEN {kept_back} THEN {rank - 1}")
    return f"CASE {' '.join(cases)} ELSE {top} END" if cases else str(top)


def _top(definition: Definition, weighty: Sequence[CompiledRule]) -> int:
    """The highest rank there is a way to: no level can be reached while none of its rules counts
    yet; nor one without rules, unless that comes for free.
    """
    highest = len(definition.levels) - 1
    for rank in range(1, highest + 1):
        rules = [rule for rule in weighty if rule.rank == rank]
        is_open = any(not rule.is_announced and not rule.is_over for rule in rules)
        if not is_open and (rules or not definition.is_lenient):
            return rank - 1
    return highest


def _sum(compiled: CompiledScorecard, letters: str) -> str:
    """The weights of the rules that have one of these letters."""
    by_weight: dict[Decimal, list[str]] = {}
    for n, rule in enumerate(compiled.rules):
        if rule.spec.weight > 0:
            by_weight.setdefault(rule.spec.weight, []).append(f"l{n}::text")
    sums = [
        # how much shorter the text of their letters is without these
        f"{weight} * ({len(rules)} - length(translate({' || '.join(rules)}, '{letters}', '')))"
        for weight, rules in by_weight.items()
    ]
    return f"({' + '.join(sums) or '0'})::numeric"


def _letters(letters: str) -> str:
    return "(" + ", ".join(f"'{letter}'" for letter in letters) + ")"
