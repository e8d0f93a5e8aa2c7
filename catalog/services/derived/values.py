"""The values of computed properties, read for many entities at once.

One statement per path of mirrors and per aggregation, one run of JQ for all calculations: their
number does not depend on how many entities there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Any, Final

import orjson
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import F

from catalog.kernel import jq
from catalog.kernel.actors import Insider
from catalog.kernel.errors import InvalidInput
from catalog.kernel.schema import check_json
from catalog.models import Entity
from catalog.selectors.aggregate import plain
from catalog.selectors.kinds import Kinds
from catalog.selectors.search import Scope
from catalog.selectors.search.compiler import Compiler
from catalog.selectors.search.operands import Property
from catalog.services.derived.plan import Aggregation, Computed, Hop, Walk
from catalog.services.derived.specs import MOMENTS, TEAM_NAME

# By (is_forward): the column of an edge that a step starts at, and the one it leads to.
_NEAR: Final = {True: "source_id", False: "target_id"}
_FAR: Final = {True: "target_id", False: "source_id"}

_MOMENT_TEXT: Final = (
    "to_char(t.{} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"  # as the API shows it
)
_META: Final = {
    "$identifier": "to_jsonb(t.identifier)",
    "$title": "to_jsonb(t.title)",
    "$icon": "to_jsonb(t.icon)",
    "$team": "to_jsonb(t.team)",
    "$blueprint": "(SELECT to_jsonb(b.identifier) FROM catalog_blueprint b "
    "WHERE b.id = t.blueprint_id)",
    "$createdAt": f"to_jsonb({_MOMENT_TEXT.format('created_at')})",
    "$updatedAt": f"to_jsonb({_MOMENT_TEXT.format('updated_at')})",
    "$createdBy": "to_jsonb(t.created_by)",
    "$updatedBy": "to_jsonb(t.updated_by)",
}

_FUNCTIONS: Final = {
    "sum": "sum(q.number)",
    "average": "avg(q.number)",
    "min": "min(q.number)",
    "max": "max(q.number)",
    "median": "percentile_cont(0.5) WITHIN GROUP (ORDER BY q.number)",
}


def new_scope(kinds: Kinds | None = None) -> Scope:
    """What the searches of one refresh share. kinds: the blueprints, if not as they are stored."""
    scope = Scope(Insider())  # aggregations count what is there
    if kinds is not None:
        scope.kinds = kinds
    return scope


@dataclass(slots=True)
class Found:
    """values: what an entity's properties are, without those that are null. errors: why some are
    missing. team: what it inherits; None where it has teams of its own."""

    values: dict[str, Any]
    errors: dict[str, str]
    team: list[str] | None = None


def read_others(computed: Computed, pks: Sequence[int], scope: Scope) -> dict[int, Found]:
    """Mirrors, aggregations and inherited teams of entities of one blueprint."""
    found = {pk: Found({}, {}) for pk in pks}
    for name, problem in computed.problems.items():
        for one in found.values():
            one.errors[name] = problem.message
    by_walk: dict[Walk, list[tuple[str, str]]] = defaultdict(list)
    for name, (walk, last) in computed.mirrors.items():
        by_walk[walk].append((name, last))
    if computed.team:
        by_walk[computed.team].append((TEAM_NAME, TEAM_NAME))
    for walk, wanted in by_walk.items():
        _read_mirrors(walk, wanted, pks, found)
    for name, aggregation in computed.aggregations.items():
        _read_aggregation(name, aggregation, pks, found, scope)
    if computed.kind.team_path is not None:
        for one in found.values():
            teams = one.values.pop(TEAM_NAME, [])
            one.team = list(dict.fromkeys(teams))
    return found


def _read_mirrors(
    walk: Walk, wanted: Sequence[tuple[str, str]], pks: Sequence[int], found: dict[int, Found]
) -> None:
    """The values at the end of a walk: of one entity, or a flat list of those of all."""
    params: list[Any] = []
    columns = []
    for _, last in wanted:
        if last in _META:
            columns.append(_META[last])
        else:
            columns.append("coalesce(t.computed -> %s, t.properties -> %s)")
            params += [last, last]
    tables, where, edge_params = _edges(walk.hops, pks)
    order = ", ".join(f"r{n}.position, r{n}.id" for n in range(len(walk.hops)))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_start(walk.hops)}, t.id, {', '.join(columns)} "  # noqa: S608
            f"FROM {tables}, catalog_entity t "
            f"WHERE {where} AND t.id = {_end(walk.hops)} ORDER BY {order}",
            [*params, *edge_params],
        )
        rows = cursor.fetchall()
    seen: set[tuple[int, int]] = set()
    for source, end, *texts in rows:
        if (source, end) in seen:
            continue
        seen.add((source, end))
        values = found[source].values
        for (name, _), text in zip(wanted, texts, strict=True):
            value = None if text is None else orjson.loads(text)
            if value is None:
                continue
            if not walk.is_many:
                values[name] = value
            elif isinstance(value, list):
                values.setdefault(name, []).extend(value)
            else:
                values.setdefault(name, []).append(value)
    if walk.is_many:
        for name, _ in wanted:
            for pk in pks:
                found[pk].values.setdefault(name, [])


def _edges(hops: Sequence[Hop], pks: Sequence[int]) -> tuple[str, str, list[Any]]:
    """The edges r0, r1, … of walks that begin at these entities: tables, condition, parameters."""
    tables = [f"catalog_relation r{n}" for n in range(len(hops))]
    conditions = [f"{_start(hops)} = ANY(%s) AND r0.definition_id = ANY(%s)"]
    params: list[Any] = [list(pks), list(hops[0].links)]
    for n, hop in enumerate(hops[1:], start=1):
        conditions.append(
            f"r{n}.{_NEAR[hop.is_forward]} = {_end(hops[:n])} AND r{n}.definition_id = ANY(%s)"
        )
        params.append(list(hop.links))
    return ", ".join(tables), " AND ".join(conditions), params


def _start(hops: Sequence[Hop]) -> str:
    return f"r0.{_NEAR[hops[0].is_forward]}"


def _end(hops: Sequence[Hop]) -> str:
    return f"r{len(hops) - 1}.{_FAR[hops[-1].is_forward]}"


def _read_aggregation(
    name: str,
    aggregation: Aggregation,
    pks: Sequence[int],
    found: dict[int, Found],
    scope: Scope,
) -> None:
    spec = aggregation.spec
    try:
        counted, params = _counted(aggregation, scope)
    except InvalidInput as error:
        for one in found.values():
            one.errors[name] = error.message
        return
    rows: list[tuple[Any, ...]] = []
    if counted:
        links, link_params = _links(aggregation.walks, pks)
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT l.source, {_measure(aggregation)} FROM ({links}) l(source, target) "  # noqa: S608
                f"JOIN ({counted}) q ON q.pk = l.target WHERE l.source <> l.target GROUP BY 1",
                [*link_params, *params],
            )
            rows = cursor.fetchall()
    if spec.property is None and spec.period is None:
        for one in found.values():
            one.values[name] = 0
    for source, total, first in rows:
        value = plain(total)
        if spec.period is not None:
            value = None
            if total is not None and first is not None:
                periods = max(1, ceil((scope.now - first) / spec.period))
                value = plain(Decimal(total) / periods)
        if value is not None:
            found[source].values[name] = value


def _measure(aggregation: Aggregation) -> str:
    """What is selected for each entity: a number, and when the first of its period was."""
    spec = aggregation.spec
    if spec.period is not None:
        total = "count(*)" if spec.property is None else "sum(q.number)"
        dated = "FILTER (WHERE q.moment IS NOT NULL)"
        return f"{total} {dated}, min(q.moment)"
    return "count(*), NULL" if spec.property is None else f"{_FUNCTIONS[spec.function]}, NULL"


def _counted(aggregation: Aggregation, scope: Scope) -> tuple[str, Sequence[Any]]:
    """A query of the entities that count: pk, and number and moment where they matter."""
    spec, target = aggregation.spec, aggregation.target
    condition = Compiler(scope, target).group(spec.query)
    entities = Entity.objects.filter(condition, blueprint_id=target).order_by()
    columns = ["pk"]
    if spec.property is not None:
        entities = entities.annotate(number=_operand(spec.property, target, scope).number())
        columns.append("number")
    if spec.period is not None:
        meta = {"$createdAt": F("created_at"), "$updatedAt": F("updated_at")}
        moment = (
            meta[spec.moment]
            if spec.moment in MOMENTS
            else _operand(spec.moment, target, scope).moment()
        )
        entities = entities.annotate(moment=moment)
        columns.append("moment")
    try:
        sql, params = entities.values_list(*columns).query.sql_with_params()
    except EmptyResultSet:
        return "", ()
    return f"SELECT * FROM ({sql}) AS counted({', '.join(columns)})", params  # noqa: S608


def check_query(aggregation: Aggregation, scope: Scope) -> None:
    """Raises InvalidInput where the query does not suit the target. Nothing is searched."""
    Compiler(scope, aggregation.target).group(aggregation.spec.query)


def _operand(name: str, target: int, scope: Scope) -> Property:
    kind = scope.kinds.by_pk[target]
    return Property(name, computed_in=[target] if name in kind.computed else ())


def _links(walks: Iterable[Walk], pks: Sequence[int]) -> tuple[str, list[Any]]:
    """(entity, entity it is tied to), each pair once."""
    queries, params = [], []
    for walk in walks:
        tables, where, edge_params = _edges(walk.hops, pks)
        start, end = _start(walk.hops), _end(walk.hops)
        queries.append(f"SELECT DISTINCT {start}, {end} FROM {tables} WHERE {where}")  # noqa: S608
        params += edge_params
    return " UNION ".join(queries), params


def calculate(
    computed: Computed, documents: Mapping[int, Mapping[str, Any]], found: dict[int, Found]
) -> None:
    """Add the calculations of these entities (by pk, as `document` in `refresh` makes them)."""
    if not documents or not computed.calculations:
        return
    program = jq.Program(fields={n: one.expression for n, one in computed.calculations.items()})
    outcomes = jq.run(program, list(documents.values()))
    for pk, outcome in zip(documents, outcomes, strict=True):
        one = found[pk]
        for name in computed.calculations:
            message = outcome.failure or outcome.errors.get(name)
            value = outcome.values.get(name)
            if message is None and value is not None:
                message = _unstorable(value)
            if message is not None:
                one.errors[name] = message
            elif value is not None:
                one.values[name] = value


def _unstorable(value: Any) -> str | None:
    try:
        check_json(value)
    except InvalidInput as error:
        return error.message
    return None
