"""Functions of values: durations, dates, versions, JQ programs."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from catalog.kernel import jq
from catalog.kernel.errors import InvalidExpression, shorten
from catalog.selectors.search.moments import parse_moment
from catalog.selectors.sql import Sql, json_value
from scorecards.cql.durations import parse_duration
from scorecards.cql.errors import Unsupported
from scorecards.cql.jq_programs import Step, simple_steps
from scorecards.cql.terms import (
    Term,
    Type,
    duration_of,
    json_of,
    jsonb,
    moment_of,
    number_in_text,
    path,
)
from scorecards.cql.tree import Node, Text
from scorecards.cql.working import Call, Work


def duration(work: Work, node: Call) -> Term:
    given = work.bound(node, "text", needed=1)["text"]
    written = work.literal(given, "the duration")
    seconds = parse_duration(written)
    if seconds is None:
        raise work.wrong(given, shorten(written), "an ISO 8601 duration: P7D, PT12H, P-90D")
    return duration_of(seconds, written)


def date(work: Work, node: Call) -> Term:
    given = work.bound(node, "text", needed=1)["text"]
    return moment_of(moment_in(work, given, work.literal(given, "the date")))


def moment_in(work: Work, node: Node, written: str) -> datetime:
    moment = parse_moment(written)
    if moment is None:
        raise work.wrong(node, shorten(written), "an ISO 8601 date")
    return moment


def now(work: Work, node: Call) -> Term:
    work.bound(node)
    work.seen.is_timed = True
    return moment_of(work.compilation.now)


def semver(work: Work, node: Call) -> Term:
    given = work.bound(node, "version", needed=1)["version"]
    term = work.value(given)
    if term.type not in (Type.TEXT, Type.JSON):
        raise work.wrong(given, work.written(given), "a text with a version")
    return work.version(term)


def captures(work: Work, node: Call) -> Term:
    given = work.bound(node, "name", "value", needed=2)
    if work.variables:
        raise Unsupported("captures() within a function is not supported")
    label = work.literal(given["name"], "the name")
    term = work.value(given["value"])
    work.captured.append((label, term))
    return term


def run_jq(work: Work, node: Call) -> Term:
    given = work.bound(node, "value", "program", needed=2)
    value = json_of(work.shown(work.value(given["value"])))
    if not isinstance(given["program"], Text):
        raise Unsupported("A JQ program must be written out as a text; others are not supported")
    program = given["program"].value
    steps = simple_steps(program)
    if steps is not None:
        return _stepped(work, value, steps)
    if problem := _jq_problem(program):
        raise work.wrong(given["program"], shorten(program), f"a JQ program ({problem})")
    if work.variables:
        raise Unsupported(
            f'jq(…, "{shorten(program, 60)}") within a function is not supported; '
            "paths, tonumber, not and length are"
        )
    number, result = work.compilation.call(program, value.sql)
    work.calls.append(number)
    return json_of(result)


@lru_cache(maxsize=1024)
def _jq_problem(program: str) -> str:
    try:
        jq.check(program, field="program")
    except InvalidExpression as error:
        return str(error.details.get("message", error.message))
    return ""


def _stepped(work: Work, value: Term, steps: list[Step]) -> Term:
    """As JQ, but nothing comes of a value that is not there at all."""
    last = _walked(work, value, steps)
    if last.type is Type.JSON:
        return last
    sql = work.once(
        value,
        lambda v: Sql(
            "CASE WHEN {} IS NOT NULL THEN {} END",
            v,
            _walked(work, json_of(v, is_cheap=True), steps).sql,
        ),
    )
    return Term(last.type, sql)


def _walked(work: Work, term: Term, steps: list[Step]) -> Term:
    for step in steps:
        if step.word == "path":
            term = json_of(path(work.json(term), step.keys)) if step.keys else term
        elif step.word == "tonumber":
            term = Term(Type.NUMBER, work.once(json_of(work.json(term)), number_in_text))
        elif step.word == "length":
            term = Term(Type.NUMBER, work.once(json_of(work.json(term)), _jq_length))
        else:
            told = jsonb("coalesce({}, 'null')", work.json(term))
            wanted = (False, None) if step.word == "not" else (step.value,)
            same = Sql(
                f"({{}} IN ({', '.join(['{}::jsonb'] * len(wanted))}))",
                told,
                *(json_value(one) for one in wanted),
            )
            term = Term(Type.BOOLEAN, same)
    return term


def _jq_length(v: Any) -> Sql:
    """JQ's: of null it is 0, of a number its size; true and false have none."""
    return Sql(
        "CASE jsonb_typeof({}) WHEN 'string' THEN length({} #>> '{{}}')::numeric "
        "WHEN 'array' THEN jsonb_array_length(CASE WHEN jsonb_typeof({}) = 'array' THEN {} END)"
        "::numeric WHEN 'object' THEN (SELECT count(*) FROM jsonb_object_keys("
        "CASE WHEN jsonb_typeof({}) = 'object' THEN {} END))::numeric "
        "WHEN 'number' THEN CASE WHEN abs((CASE WHEN jsonb_typeof({}) = 'number' THEN {} END)"
        "::numeric) < 1e60 THEN abs((CASE WHEN jsonb_typeof({}) = 'number' THEN {} END)::numeric) "
        "END WHEN 'boolean' THEN NULL ELSE 0 END",
        *(v,) * 10,
    )
