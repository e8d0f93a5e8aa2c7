"""Port's conditions to SQL: the same questions as in searches, with a third answer.

{"combinator": "and" | "or", "conditions": [{"property" | "relation", "operator", "value"}]}

A condition about a value that is not there is no data; but a negative one ("!=") holds, as it does
in searches, and "is empty" is answered by just that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog.kernel.actors import Insider
from catalog.kernel.errors import IdpError, shorten
from catalog.selectors.search.compiler import Compiler
from catalog.selectors.search.operands import Operand
from catalog.selectors.search.rules import Comparison, Rule, Takes, parse
from catalog.selectors.search.scope import Scope
from catalog.selectors.sql import Sql, all_of, any_of
from scorecards.rules.compiled import Compilation, Compiled, Part, Reads, Tree

MOMENTS = ("between", "notBetween", "isExpired", "isNotExpired")


def compile_conditions(query: Mapping[str, Any], compilation: Compilation) -> Compiled:
    """A rule's or a filter's conditions, checked when they were saved.

    What names something the catalogue does not have (any more) compiles to a problem.
    """
    try:
        parts = [_part(rule, compilation) for rule in _rules(query)]
    except IdpError as error:
        return Compiled.impossible(error.message)
    verdicts = [part.verdict for part in parts]
    combinator = "or" if query.get("combinator") == "or" else "and"
    tree: Tree = (combinator, tuple(range(len(parts))))
    return Compiled(
        verdict=any_of(verdicts) if combinator == "or" else all_of(verdicts),
        parts=tuple(parts),
        tree=tree if len(parts) > 1 else 0,
        reads=_reads(query),
    )


def check_conditions(query: Mapping[str, Any]) -> None:
    """Raises InvalidQuery for conditions that no catalogue could answer."""
    _rules(query)


def _rules(query: Mapping[str, Any]) -> list[tuple[Rule, Mapping[str, Any]]]:
    conditions = query["conditions"]
    stated = [{key: one[key] for key in one if key != "not"} for one in conditions]
    group = parse({"combinator": query.get("combinator", "and"), "rules": stated})
    return list(zip(group.rules, conditions, strict=True))


def _part(pair: tuple[Rule, Mapping[str, Any]], compilation: Compilation) -> Part:
    rule, stated = pair
    assert isinstance(rule, Comparison)  # noqa: S101 - the schema of conditions allows nothing else
    scope = Scope(Insider())
    scope.now, scope.kinds = compilation.now, compilation.kinds
    compiler = Compiler(scope, compilation.blueprint, is_scanning=True)
    answer = compiler.rule(rule)
    operand = compiler.operand(rule)
    if _needs_value(rule):
        answer = Sql("CASE WHEN {} THEN ({}) IS TRUE END", _is_there(operand), answer)
    if stated.get("not") is True:
        answer = Sql("NOT ({})", answer)
    return Part(text=words(stated), actual=operand.actual(), verdict=answer)


def _needs_value(rule: Comparison) -> bool:
    return (
        not rule.operator.is_negative
        and (rule.operator.takes is not Takes.NOTHING or rule.operator.method != "is_empty")
        and rule.value is not None
    )


def _is_there(operand: Operand) -> Sql:
    return Sql("jsonb_typeof({}) <> 'null'", operand.actual())


def words(condition: Mapping[str, Any]) -> str:
    """A condition in words: "tier is 1", "owner is not empty"."""
    name = condition.get("property") or condition.get("relation")
    operator = str(condition.get("operator"))
    shown = operator_words(operator)
    if condition.get("not") is True:
        shown = f"not {shown}"
    if "value" not in condition:
        return f"{name} {shown}"
    return f"{name} {shown} {_value_in_words(condition['value'])}"


def operator_words(name: str) -> str:
    return _WORDS.get(name, name)


_WORDS = {
    "=": "is",
    "!=": "is not",
    "contains": "contains",
    "isEmpty": "is empty",
    "isNotEmpty": "is not empty",
    "isExpired": "is in the past",
    "isNotExpired": "is in the future",
    "doesNotContains": "does not contain",
    "containsAny": "contains any of",
    "beginsWith": "begins with",
    "doesNotBeginsWith": "does not begin with",
    "endsWith": "ends with",
    "doesNotEndsWith": "does not end with",
    "in": "is one of",
    "notIn": "is none of",
    "between": "is between",
    "notBetween": "is not between",
}


def _value_in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        if "preset" in value:
            return str(value["preset"])
        return f"{value.get('from')} and {value.get('to')}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return shorten(value)


def _reads(query: Mapping[str, Any]) -> Reads:
    conditions = query["conditions"]
    return Reads(
        properties=frozenset(str(one.get("property") or one.get("relation")) for one in conditions),
        is_timed=any(
            one.get("operator") in MOMENTS
            or (isinstance(one.get("value"), Mapping) and "preset" in one["value"])
            for one in conditions
        ),
    )
