"""Typed pieces of SQL: what a part of a CQL expression is worth for each entity.

NULL is "no data" everywhere. Whatever the data is, none of this makes PostgreSQL stop with an
error: text is cast only where a pattern says that it can be, and numbers stay within bounds (see
`parsing.MAX_NUMBER`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from django.db.models import JSONField, TextField, Value

from catalog.selectors.search.moments import MOMENT_PATTERN
from catalog.selectors.sql import Sql, json_value
from scorecards.rules.compiled import Compilation


class Type(StrEnum):
    """How each is kept in SQL: moments are seconds since 1970, durations seconds, both numeric;
    json is jsonb and never JSON's null; a list is a jsonb array; a version is a text[] that sorts
    as versions do; a level is its title.
    """

    TEXT = "text"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    MOMENT = "a moment"
    DURATION = "a duration"
    JSON = "a value"
    LIST = "a list"
    VERSION = "a version"
    LEVEL = "a level"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Term:
    """constant: the Python value of what was written out. is_cheap: may be worked out repeatedly.
    shown: jsonb to be shown for it, where that is not what it is compared by. written: the text a
    duration was made of. length: SQL of a list's length that does not make the list. name: what
    it is of, for a level. present: the condition that it is there, where that is more than not
    being NULL.
    """

    type: Type
    sql: Any
    constant: Any = None
    is_cheap: bool = False
    shown: Any = None
    written: str = ""
    length: Any = None
    name: str = ""
    present: Any = None


def text_of(value: str) -> Term:
    return Term(Type.TEXT, Sql("{}::text", Value(value)), value, is_cheap=True)


def number_of(value: Decimal) -> Term:
    return Term(Type.NUMBER, Sql("{}::numeric", Value(str(value))), value, is_cheap=True)


def boolean_of(value: bool) -> Term:
    return Term(Type.BOOLEAN, Sql("true" if value else "false"), value, is_cheap=True)


def moment_of(value: datetime) -> Term:
    seconds = Value(str(Decimal(str(value.timestamp()))))
    return Term(Type.MOMENT, Sql("{}::numeric", seconds), value, is_cheap=True)


def duration_of(seconds: Decimal, written: str) -> Term:
    return Term(
        Type.DURATION,
        Sql("{}::numeric", Value(str(seconds))),
        seconds,
        is_cheap=True,
        written=written,
    )


NULL: Final = Term(Type.NULL, Sql("NULL::jsonb", output_field=JSONField()), is_cheap=True)


def json_of(sql: Any, *, is_cheap: bool = False) -> Term:
    """sql: jsonb in which JSON's null may still stand."""
    return Term(Type.JSON, jsonb("nullif({}, 'null'::jsonb)", sql), is_cheap=is_cheap)


def list_of(sql: Any, *, length: Any = None) -> Term:
    """sql: a jsonb array, or NULL."""
    return Term(Type.LIST, sql, length=length)


def jsonb(template: str, *parts: Any) -> Sql:
    return Sql(template, *parts, output_field=JSONField())


def path(value: Any, keys: tuple[str | int, ...]) -> Sql:
    """A member of jsonb, at any depth; the number of an element is a number."""
    steps: list[Any] = []
    for key in keys:
        steps.append(Value(key) if isinstance(key, str) else Sql(f"{key:d}"))
    template = "({}" + "".join(" -> {}::text" if isinstance(key, str) else " -> {}" for key in keys)
    return jsonb(template + ")", value, *steps)


class Converting:
    """Terms from one type to another; NULL for what the other cannot express."""

    def __init__(self, compilation: Compilation) -> None:
        self.compilation = compilation

    def once(self, term: Term, make: Callable[[Any], Sql]) -> Sql:
        """SQL that uses `term` several times, while it is worked out only once."""
        if term.is_cheap:
            return make(term.sql)
        alias = self.compilation.alias()
        made = make(Sql(f"{alias}.v"))
        # OFFSET keeps the planner from putting the expression in for each of its uses
        return Sql(
            f"(SELECT {{}} FROM (SELECT {{}} AS v OFFSET 0) {alias})",  # noqa: S608
            made,
            term.sql,
            output_field=made.output_field,
        )

    def both(self, left: Term, right: Term, make: Callable[[Any, Any], Sql]) -> Sql:
        return self.once(left, lambda a: self.once(right, lambda b: make(a, b)))

    def number(self, term: Term) -> Sql:
        """Seconds, of a moment or a duration."""
        if term.type is Type.JSON:
            return self.once(term, _number)
        return term.sql if term.type in _NUMERIC else UNKNOWN_NUMBER

    def text(self, term: Term) -> Sql:
        if term.type is Type.JSON:
            return self.once(
                term,
                lambda v: Sql(
                    "CASE WHEN jsonb_typeof({}) = 'string' THEN {} #>> '{{}}' END",
                    v,
                    v,
                    output_field=TextField(),
                ),
            )
        return term.sql if term.type in (Type.TEXT, Type.LEVEL) else UNKNOWN_TEXT

    def boolean(self, term: Term) -> Sql:
        if term.type is Type.JSON:
            return self.once(
                term,
                lambda v: Sql(
                    "CASE WHEN jsonb_typeof({}) = 'boolean' THEN {} = 'true'::jsonb END", v, v
                ),
            )
        return term.sql if term.type is Type.BOOLEAN else Sql("NULL::boolean")

    def list(self, term: Term) -> Sql:
        if term.type is Type.JSON:
            return self.once(
                term, lambda v: jsonb("CASE WHEN jsonb_typeof({}) = 'array' THEN {} END", v, v)
            )
        return term.sql if term.type is Type.LIST else NULL.sql

    def moment(self, term: Term) -> Sql:
        if term.type is Type.MOMENT:
            return term.sql
        if term.type in (Type.TEXT, Type.JSON):
            text = Term(Type.TEXT, self.text(term))
            return self.once(
                text,
                lambda v: Sql(
                    "CASE WHEN {} ~ {} THEN extract(epoch FROM {}::timestamptz) END",
                    v,
                    Value(MOMENT_PATTERN),
                    v,
                ),
            )
        return UNKNOWN_NUMBER

    def duration(self, term: Term) -> Sql:
        """A JSON number is one of seconds."""
        if term.type in (Type.DURATION, Type.JSON):
            return self.number(term)
        return UNKNOWN_NUMBER

    def version(self, term: Term) -> Term:
        """A text as a version: "1.2.3", "v2.0", "1.0.0-rc.1+build"."""
        if term.type is Type.VERSION:
            return term
        text = Term(Type.TEXT, self.text(term))
        return Term(Type.VERSION, self.once(text, _version), shown=self.shown(term))

    def json(self, term: Term) -> Sql:
        """As jsonb, to be compared with jsonb."""
        if term.type in (Type.JSON, Type.LIST, Type.NULL):
            return term.sql
        if isinstance(term.constant, str | bool) and term.type in (Type.TEXT, Type.BOOLEAN):
            return jsonb("{}::jsonb", json_value(term.constant))
        if term.type in (Type.MOMENT, Type.DURATION, Type.VERSION):
            return self.shown(term)
        return jsonb("to_jsonb({})", term.sql)

    def shown(self, term: Term) -> Sql:
        """As jsonb, to be read by people."""
        if term.shown is not None:
            return term.shown
        if term.type is Type.MOMENT:
            return self.once(term, _shown_moment)
        if term.type is Type.DURATION:
            return jsonb("to_jsonb(round({} / 86400, 1) || ' days')", term.sql)
        if term.type is Type.VERSION:
            return jsonb("to_jsonb({})", term.sql)
        return self.json(term)


_NUMERIC: Final = (Type.NUMBER, Type.MOMENT, Type.DURATION)
UNKNOWN_NUMBER: Final = Sql("NULL::numeric")
UNKNOWN_TEXT: Final = Sql("NULL::text")


def _number(v: Any) -> Sql:
    return Sql(
        "CASE WHEN jsonb_typeof({}) = 'number' THEN "
        "CASE WHEN abs({}::numeric) < 1e60 THEN {}::numeric END END",
        v,
        v,
        v,
    )


# Text that is a number below 1e60.
_NUMBER_PATTERN: Final = r"^\s*-?\d{1,30}([.]\d{1,30})?([eE][+-]?[0-2]?\d)?\s*$"


def number_in_text(v: Any) -> Sql:
    """jsonb that is a number, or text that is one, as JQ's `tonumber` has it."""
    return Sql(
        "CASE jsonb_typeof({}) WHEN 'number' THEN "
        "CASE WHEN abs((CASE WHEN jsonb_typeof({}) = 'number' THEN {} END)::numeric) < 1e60 "
        "THEN (CASE WHEN jsonb_typeof({}) = 'number' THEN {} END)::numeric END "
        "WHEN 'string' THEN CASE WHEN {} #>> '{{}}' ~ {} THEN ({} #>> '{{}}')::numeric END END",
        *(v,) * 6,
        Value(_NUMBER_PATTERN),
        v,
    )


def _shown_moment(v: Any) -> Sql:
    return jsonb(
        "CASE WHEN {} BETWEEN -62135596800 AND 253402300799 THEN to_jsonb(to_char("
        "to_timestamp({}::float8) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')) "
        "ELSE to_jsonb({}) END",
        v,
        v,
        v,
    )


_VERSION_PATTERN: Final = (
    r"^\s*[vV]?(\d{1,15})(?:[.](\d{1,15}))?(?:[.](\d{1,15}))?"
    r"(?:-([0-9A-Za-z.-]{1,200}))?(?:[+][0-9A-Za-z.-]*)?\s*$"
)
# Sorts as semver says: numbers by their size and before words, fewer parts first, and a release
# ("~") after what leads up to it.
_VERSION: Final = """(SELECT CASE WHEN m.p IS NOT NULL THEN
    ARRAY[lpad(m.p[1], 15, '0'), lpad(coalesce(m.p[2], '0'), 15, '0'),
          lpad(coalesce(m.p[3], '0'), 15, '0')]
    || CASE WHEN m.p[4] IS NULL THEN ARRAY['~'] ELSE (
        SELECT array_agg(CASE WHEN i.part ~ '^[0-9]+$'
            THEN '0' || lpad(length(ltrim(i.part, '0'))::text, 3, '0') || ltrim(i.part, '0')
            ELSE '1' || i.part END ORDER BY i.place)
        FROM unnest(string_to_array(m.p[4], '.')) WITH ORDINALITY AS i(part, place)) END
    END FROM (SELECT regexp_match({}, {}) AS p OFFSET 0) m)"""


def _version(v: Any) -> Sql:
    return Sql(_VERSION, v, Value(_VERSION_PATTERN))


def is_stable(version: Term) -> Sql:
    return Sql(
        "(SELECT CASE WHEN x.v IS NOT NULL THEN x.v[1] > '000000000000000' COLLATE \"C\" "
        "AND x.v[4] = '~' END FROM (SELECT {} AS v OFFSET 0) x)",
        version.sql,
    )


def cheap(term: Term) -> Term:
    return replace(term, is_cheap=True)
