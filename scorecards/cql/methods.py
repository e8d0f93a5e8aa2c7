"""What may be asked of a value: `x.length`, `x.filter(y => …)`, `x.matches("…")`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.db.models import Value

from catalog.selectors.sql import Sql
from scorecards.cql.terms import Term, Type, is_stable, json_of, jsonb, list_of, moment_of
from scorecards.cql.tree import Member, Node
from scorecards.cql.working import Work

Method = Callable[[Work, Term, Member], Term]


def _needs(work: Work, term: Term, node: Member, *types: Type) -> None:
    if term.type not in (*types, Type.JSON):
        expected = " or ".join(str(one) for one in types)
        raise work.wrong(node.of, str(term.type), f"{expected}, which has .{node.name}")


def _function(work: Work, node: Member) -> Node:
    return work.bound(node, "function", needed=1)["function"]


def length(work: Work, term: Term, node: Member) -> Term:
    work.bound(node)
    _needs(work, term, node, Type.TEXT, Type.LIST)
    if term.length is not None:
        return Term(Type.NUMBER, term.length)
    if term.type is Type.LIST:
        return Term(Type.NUMBER, Sql("jsonb_array_length({})::numeric", term.sql))
    if term.type is Type.TEXT:
        return Term(Type.NUMBER, Sql("length({})::numeric", term.sql))
    return Term(Type.NUMBER, work.once(term, _length))


def _length(v: Any) -> Sql:
    return Sql(
        "CASE jsonb_typeof({}) WHEN 'string' THEN length({} #>> '{{}}') WHEN 'array' THEN "
        "jsonb_array_length(CASE WHEN jsonb_typeof({}) = 'array' THEN {} END) END::numeric",
        *(v,) * 4,
    )


def filtered(work: Work, term: Term, node: Member) -> Term:
    _needs(work, term, node, Type.LIST)
    with work.row(_function(work, node), what=node.name) as (row, body):
        condition = truth(work, body)
    return list_of(work.kept(work.list(term), row, condition))


def any_of(work: Work, term: Term, node: Member) -> Term:
    return _quantified(
        work,
        term,
        node,
        "CASE WHEN bool_or(r.value) THEN true WHEN bool_or(r.value IS NULL) THEN NULL "
        "ELSE false END",
    )


def all_of(work: Work, term: Term, node: Member) -> Term:
    return _quantified(
        work,
        term,
        node,
        "CASE WHEN NOT bool_and(r.value) THEN false WHEN bool_or(r.value IS NULL) THEN NULL "
        "ELSE true END",
    )


def _quantified(work: Work, term: Term, node: Member, fold: str) -> Term:
    _needs(work, term, node, Type.LIST)
    with work.row(_function(work, node), what=node.name) as (row, body):
        condition = truth(work, body)
    return Term(Type.BOOLEAN, Sql("{}", work.each(work.list(term), row, condition, fold)))


def truth(work: Work, node: Node) -> Sql:
    """A node that must be true or false."""
    term = work.value(node)
    if term.type not in (Type.BOOLEAN, Type.JSON):
        raise work.wrong(node, f"{work.written(node)} ({term.type})", "true or false")
    return work.boolean(term)


def mapped(work: Work, term: Term, node: Member) -> Term:
    _needs(work, term, node, Type.LIST)
    with work.row(_function(work, node), what=node.name) as (row, body):
        value = work.json(work.value(body))
    fold = "coalesce(jsonb_agg(coalesce(r.value, 'null') ORDER BY r.n), '[]')"
    return list_of(work.each(work.list(term), row, value, fold))


# Of a list in which something else than numbers stands, there is none; nulls are left out.
_ARE_NUMBERS: Final = "bool_and(jsonb_typeof(r.x) IN ('number', 'null'))"


def average(work: Work, term: Term, node: Member) -> Term:
    return _folded(work, term, node, f"CASE WHEN {_ARE_NUMBERS} THEN avg(r.value) END")


def total(work: Work, term: Term, node: Member) -> Term:
    return _folded(
        work,
        term,
        node,
        f"CASE WHEN coalesce({_ARE_NUMBERS}, true) THEN coalesce(sum(r.value), 0) END",
    )


def _folded(work: Work, term: Term, node: Member, fold: str) -> Term:
    work.bound(node)
    _needs(work, term, node, Type.LIST)
    row = work.new_row()
    value = work.number(row.element)
    return Term(Type.NUMBER, Sql("{}", work.each(work.list(term), row, value, fold)))


def smallest(work: Work, term: Term, node: Member) -> Term:
    return _extreme(work, term, node, "min")


def largest(work: Work, term: Term, node: Member) -> Term:
    return _extreme(work, term, node, "max")


def _extreme(work: Work, term: Term, node: Member, fold: str) -> Term:
    """Of numbers, or of texts (dates among them)."""
    work.bound(node)
    _needs(work, term, node, Type.LIST)
    row = work.new_row()
    value = work.number(row.element)
    return json_of(
        work.each(
            work.list(term),
            row,
            value,
            f"CASE WHEN {_ARE_NUMBERS} THEN to_jsonb({fold}(r.value)) "
            "WHEN bool_and(jsonb_typeof(r.x) IN ('string', 'null')) THEN to_jsonb("
            f"{fold}((nullif(r.x, 'null') #>> '{{{{}}}}') COLLATE \"C\")) END",
        )
    )


def any_match(work: Work, term: Term, node: Member) -> Term:
    """Of texts, or of links by their URLs."""
    _needs(work, term, node, Type.LIST)
    given = work.bound(node, "pattern", needed=1)["pattern"]
    pattern = work.pattern(given, is_whole=True)
    row = work.new_row()
    text = Sql(
        f"CASE jsonb_typeof({row.alias}.x) WHEN 'string' THEN {row.alias}.x #>> '{{{{}}}}' "
        f"WHEN 'object' THEN {row.alias}.x ->> 'url' END"
    )
    matches = Sql("({} ~ {})", text, Value(pattern))
    found = work.each(work.list(term), row, matches, "coalesce(bool_or(r.value), false)")
    return Term(Type.BOOLEAN, Sql("{}", found))


def matches(work: Work, term: Term, node: Member) -> Term:
    return _matched(work, term, node, is_whole=True)


def matches_in(work: Work, term: Term, node: Member) -> Term:
    return _matched(work, term, node, is_whole=False)


def _matched(work: Work, term: Term, node: Member, *, is_whole: bool) -> Term:
    _needs(work, term, node, Type.TEXT)
    given = work.bound(node, "pattern", needed=1)["pattern"]
    pattern = work.pattern(given, is_whole=is_whole)
    return Term(Type.BOOLEAN, Sql("({} ~ {})", work.text(term), Value(pattern)))


def contains(work: Work, term: Term, node: Member) -> Term:
    _needs(work, term, node, Type.TEXT, Type.LIST)
    given = work.bound(node, "value", needed=1)["value"]
    part = work.value(given)
    if term.type is Type.TEXT:
        return Term(Type.BOOLEAN, Sql("(strpos({}, {}) > 0)", term.sql, work.text(part)))
    holds = jsonb("jsonb_build_array({})", work.json(part))
    if term.type is Type.LIST:
        return Term(Type.BOOLEAN, Sql("({} @> {})", term.sql, holds))
    return Term(Type.BOOLEAN, work.both(term, json_of(holds), _contained))


def _contained(v: Any, part: Any) -> Sql:
    """part: a list of what is looked for."""
    return Sql(
        "CASE jsonb_typeof({}) WHEN 'string' THEN CASE WHEN jsonb_typeof({} -> 0) = 'string' "
        "THEN strpos({} #>> '{{}}', {} ->> 0) > 0 END WHEN 'array' THEN {} @> {} END",
        v,
        part,
        v,
        part,
        v,
        part,
    )


def starts_with(work: Work, term: Term, node: Member) -> Term:
    return _at_end(work, term, node, "starts_with({}, {})")


def ends_with(work: Work, term: Term, node: Member) -> Term:
    return _at_end(work, term, node, "starts_with(reverse({}), reverse({}))")


def _at_end(work: Work, term: Term, node: Member, template: str) -> Term:
    _needs(work, term, node, Type.TEXT)
    part = work.value(work.bound(node, "text", needed=1)["text"])
    return Term(Type.BOOLEAN, Sql(template, work.text(term), work.text(part)))


def lower(work: Work, term: Term, node: Member) -> Term:
    work.bound(node)
    _needs(work, term, node, Type.TEXT)
    return Term(Type.TEXT, Sql("lower({})", work.text(term)))


def upper(work: Work, term: Term, node: Member) -> Term:
    work.bound(node)
    _needs(work, term, node, Type.TEXT)
    return Term(Type.TEXT, Sql("upper({})", work.text(term)))


def from_now(work: Work, term: Term, node: Member) -> Term:
    """How far away a moment is; negative for the past."""
    work.bound(node)
    _needs(work, term, node, Type.MOMENT, Type.TEXT)
    work.seen.is_timed = True
    now = moment_of(work.compilation.now).sql
    return Term(Type.DURATION, Sql("({} - {})", work.moment(term), now))


def stable(work: Work, term: Term, node: Member) -> Term:
    work.bound(node)
    _needs(work, term, node, Type.VERSION, Type.TEXT)
    return Term(Type.BOOLEAN, is_stable(work.version(term)))


METHODS: Final[Mapping[str, Method]] = {
    "all": all_of,
    "any": any_of,
    "anyMatch": any_match,
    "average": average,
    "contains": contains,
    "count": length,
    "endsWith": ends_with,
    "filter": filtered,
    "fromNow": from_now,
    "isStable": stable,
    "length": length,
    "lower": lower,
    "map": mapped,
    "matches": matches,
    "matchesIn": matches_in,
    "max": largest,
    "min": smallest,
    "startsWith": starts_with,
    "sum": total,
    "upper": upper,
}
