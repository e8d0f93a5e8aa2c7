"""A scorecard compiled: which entities it is about, and for each rule its SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from catalog.kernel.errors import InvalidInput
from catalog.selectors.kinds import Kinds
from catalog.selectors.search.operands import is_of
from catalog.selectors.sql import EVERYTHING, Sql, all_of
from scorecards import cql
from scorecards.definition import Definition, Filter, Language, RuleSpec
from scorecards.rules.compiled import Compilation, Compiled, JqCall, Reads
from scorecards.rules.conditions import check_conditions, compile_conditions
from scorecards.rules.jq_rules import check_jq, compile_jq


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """rank: of the level it leads to; None for a rule that gives points only. filter: the condition
    on Entity under which it applies; None for all. is_announced: it counts from a later day on;
    is_over: it does not count any more.
    """

    spec: RuleSpec
    slot: int
    rank: int | None
    compiled: Compiled
    filter: Any | None
    is_announced: bool
    is_over: bool


@dataclass(frozen=True, slots=True)
class CompiledScorecard:
    """scope: the condition on Entity that says who is meant, of those of its blueprints (pks).
    calls: programs to run first; scope_calls: how many of the first of them the scope depends on.
    problems: what is wrong with its filter.
    """

    definition: Definition
    rules: tuple[CompiledRule, ...]
    scope: Any
    blueprints: frozenset[int]
    calls: tuple[JqCall, ...]
    scope_calls: int
    reads: Reads
    now: datetime
    problems: tuple[str, ...] = ()

    def rule(self, identifier: str) -> CompiledRule | None:
        return next((one for one in self.rules if one.spec.identifier == identifier), None)


def compile_scorecard(
    definition: Definition, slots: Mapping[str, int], kinds: Kinds, now: datetime
) -> CompiledScorecard:
    """slots: by identifier of a rule; those that are not there are left out.

    Never raises for a definition that was checked: what the catalogue does not know becomes a
    problem of the rule, which then has no data.
    """
    own = kinds.pk_of(definition.blueprint) if definition.blueprint else None
    compilation = Compilation(kinds, now, own)
    blueprints = _blueprints(definition, kinds)
    scope = _filtered(definition.filter, compilation)
    scope_calls = len(compilation.calls)
    rules = tuple(
        _rule(spec, slots[spec.identifier], definition, compilation)
        for spec in definition.rules
        if spec.identifier in slots
    )
    return CompiledScorecard(
        definition=definition,
        rules=rules,
        scope=scope.verdict,
        blueprints=blueprints,
        calls=tuple(compilation.calls),
        scope_calls=scope_calls,
        reads=reduce(or_, (one.compiled.reads for one in rules), scope.reads),
        now=now,
        problems=(scope.problem,) if scope.problem else (),
    )


def check_rule(spec: RuleSpec, kinds: Kinds, now: datetime, *, field: str) -> Compiled:
    """Compile a rule that is about to be saved.

    Raises InvalidInput, with the position, for what no catalogue could answer; what this one does
    not know is in `problem`.
    """
    try:
        if spec.language is Language.CONDITIONS:
            assert isinstance(spec.expression, Mapping)  # noqa: S101 - see Language
            check_conditions(spec.expression)
        elif spec.language is Language.JQ:
            check_jq(str(spec.expression), field=f"{field}.jq")
        _check_filter(spec.filter)
        return _compiled(spec, Compilation(kinds, now))
    except InvalidInput as error:
        raise InvalidInput(
            f"{field}: {error.message}",
            hint=error.hint,
            details={"field": field, **error.details},
        ) from None


def check_filter(filter: Filter, kinds: Kinds, now: datetime, *, field: str) -> Compiled:
    """As `check_rule`."""
    try:
        _check_filter(filter)
        return _filtered(filter, Compilation(kinds, now))
    except InvalidInput as error:
        raise InvalidInput(
            f"{field}: {error.message}", hint=error.hint, details={"field": field, **error.details}
        ) from None


def _check_filter(filter: Filter | None) -> None:
    if filter and filter.conditions:
        check_conditions(filter.conditions)
    if filter and filter.query:
        cql.check(filter.query)


def _rule(
    spec: RuleSpec, slot: int, definition: Definition, compilation: Compilation
) -> CompiledRule:
    today = compilation.now.date()
    compiled = _compiled(spec, compilation)
    applies = None
    if spec.filter is not None and spec.filter != Filter():
        applies = _filtered(spec.filter, compilation)
        compiled = replace(compiled, reads=compiled.reads | applies.reads)
        if applies.problem:
            compiled = Compiled.impossible(applies.problem)
            applies = None
    return CompiledRule(
        spec=spec,
        slot=slot,
        rank=definition.rank_of(spec.level),
        compiled=compiled,
        filter=applies.verdict if applies else None,
        is_announced=spec.is_announced(today),
        is_over=spec.is_over(today),
    )


def _compiled(spec: RuleSpec, compilation: Compilation) -> Compiled:
    if spec.language is Language.CONDITIONS:
        assert isinstance(spec.expression, Mapping)  # noqa: S101 - see Language
        return compile_conditions(spec.expression, compilation)
    if spec.language is Language.JQ:
        return compile_jq(str(spec.expression), compilation)
    return cql.compile(str(spec.expression), compilation)


def _filtered(filter: Filter, compilation: Compilation) -> Compiled:
    """A filter as one condition; who does not fit for certain is not meant."""
    wanted: list[Any] = []
    reads, problem = Reads(), ""
    kinds = compilation.kinds
    if filter.types:
        wanted.append(is_of(sorted(cql.types_of(filter.types, kinds))))
    if filter.types_excluded:
        excluded = sorted(cql.types_of(filter.types_excluded, kinds))
        wanted.append(Sql("NOT ({})", is_of(excluded)))
    if filter.groups:
        wanted.append(cql.has_group(filter.groups))
    if filter.groups_excluded:
        wanted.append(Sql("({}) IS NOT TRUE", cql.has_group(filter.groups_excluded)))
    compiled: list[Compiled] = []
    if filter.conditions:
        compiled.append(compile_conditions(filter.conditions, compilation))
    if filter.query:
        compiled.append(cql.compile(filter.query, compilation))
    for one in compiled:
        wanted.append(one.verdict)
        reads |= one.reads
        problem = problem or one.problem
    calls = tuple(number for one in compiled for number in one.calls)
    verdict = all_of(wanted) if wanted else EVERYTHING
    return Compiled(verdict=verdict, reads=reads, problem=problem, calls=calls)


def _blueprints(definition: Definition, kinds: Kinds) -> frozenset[int]:
    """Which kinds a scorecard is about: its own; else those its filter names, or all but system
    ones.
    """
    if definition.blueprint:
        pk = kinds.pk_of(definition.blueprint)
        return frozenset() if pk is None else frozenset({pk})
    if definition.filter.types:
        return frozenset(cql.types_of(definition.filter.types, kinds))
    return frozenset(kind.pk for kind in kinds if not kind.identifier.startswith("_"))
