"""What functions and methods have at hand while an expression is compiled."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import regex
from django.db import DataError, OperationalError, connection, transaction
from django.db.models import DateTimeField, Value
from psycopg.errors import QueryCanceled

from catalog.kernel.errors import shorten
from catalog.selectors.sql import Sql
from scorecards.cql.errors import CqlSyntaxError, Unsupported, nearest
from scorecards.cql.terms import Converting, Term, Type, cheap, json_of, jsonb
from scorecards.cql.tree import Argument, Items, Lambda, Member, Name, Node, Text
from scorecards.rules.compiled import Compilation, Reads

Call = Name | Member
MAX_PATTERN: Final = 1_000  # characters
PREPARING_MS: Final = 500  # for PostgreSQL to prepare a pattern


@dataclass(slots=True)
class Seen:
    """What has been looked at so far: see `Reads`."""

    properties: set[str] = field(default_factory=set)
    facts: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    is_related: bool = False
    is_timed: bool = False
    is_apart: bool = False

    def reads(self) -> Reads:
        return Reads(
            frozenset(self.properties),
            frozenset(self.facts),
            frozenset(self.sources),
            self.is_related,
            self.is_timed,
            self.is_apart,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A list being gone through: its elements as `alias`.x, at the place `alias`.n."""

    alias: str
    element: Term


class Work(Converting):
    def __init__(self, text: str, compilation: Compilation) -> None:
        super().__init__(compilation)
        self.source = text
        self.seen = Seen()
        self.calls: list[int] = []
        self.variables: dict[str, Term] = {}
        self.captured: list[tuple[str, Term]] = []

    @abstractmethod
    def value(self, node: Node) -> Term:
        """What a node is worth. Raises CqlSyntaxError, Unsupported."""

    @abstractmethod
    def equal(self, left: Term, right: Term) -> Sql:
        """Whether two terms say the same; strict about types."""

    def wrong(self, node: Node, found: str, expected: str, *, hint: str = "") -> CqlSyntaxError:
        return CqlSyntaxError.at(self.source, node.span[0], found, expected, hint=hint)

    def written(self, node: Node) -> str:
        return self.source[node.span[0] : node.span[1]]

    # arguments

    def bound(
        self, node: Call, *places: str, named: Sequence[str] = (), needed: int = 0
    ) -> dict[str, Node]:
        """The arguments by name; the first ones may be given by their place."""
        found: dict[str, Node] = {}
        position = 0
        for one in node.arguments or ():
            name = one.name
            if not name:
                if position >= len(places):
                    raise Unsupported(
                        f"{node.name}() with {position + 1} arguments is not supported"
                    )
                name = places[position]
                position += 1
            elif name not in places and name not in named:
                close = nearest(name, (*places, *named))
                raise Unsupported(f"{node.name}({name} = …) is not supported{close}")
            found[name] = one.value
        if missing := [name for name in places[:needed] if name not in found]:
            raise self.wrong(node, self.written(node), f"{node.name}() with {missing[0]}")
        return found

    def literal(self, node: Node, what: str) -> str:
        if isinstance(node, Text):
            return node.value
        term = self.value(node)
        if term.type is Type.JSON:
            raise Unsupported(f"{what} must be written out as a text; others are not supported")
        raise self.wrong(node, self.written(node), f"{what}, a text in double quotes")

    def literals(self, node: Node, what: str) -> list[str]:
        items = node.items if isinstance(node, Items) else (node,)
        return [self.literal(one, what) for one in items]

    def flag(self, arguments: dict[str, Node], name: str) -> bool:
        node = arguments.get(name)
        if node is None:
            return False
        constant = self.value(node).constant
        if not isinstance(constant, bool):
            raise self.wrong(node, self.written(node), "true or false")
        return constant

    def whole(self, arguments: dict[str, Node], name: str, default: int, most: int) -> int:
        node = arguments.get(name)
        if node is None:
            return default
        constant = self.value(node).constant
        is_number = isinstance(constant, Decimal) and constant == int(constant)
        if not is_number or not 1 <= constant <= most:
            raise self.wrong(node, self.written(node), f"a whole number from 1 to {most}")
        return int(constant)

    def lookback(self, arguments: dict[str, Node]) -> tuple[datetime | None, str]:
        """Since when (None: from the beginning), and the duration as it was written."""
        node = arguments.get("lookback")
        if node is None:
            return None, ""
        term = self.value(node)
        if term.type is not Type.DURATION or not isinstance(term.constant, Decimal):
            raise self.wrong(node, self.written(node), 'a duration: duration("P7D")')
        self.seen.is_timed = True
        now = self.compilation.now
        try:
            since = now - timedelta(seconds=float(abs(term.constant)))
        except OverflowError:
            since = datetime.min.replace(tzinfo=UTC)
        return since, term.written

    def within(self, moment: Any, since: datetime) -> Sql:
        """A timestamptz that is not before `since`, nor in the future."""
        return Sql("{} BETWEEN {} AND {}", moment, _moment(since), _moment(self.compilation.now))

    # patterns

    def pattern(self, node: Node, *, is_whole: bool) -> str:
        """A regular expression that PostgreSQL takes."""
        written = self.literal(node, "a pattern")
        if len(written) > MAX_PATTERN:
            raise self.wrong(node, f"{len(written):,} characters", f"at most {MAX_PATTERN:,}")
        flags = regex.match(r"\(\?[ims]+\)", written)
        head = flags[0] if flags else ""
        body = written[len(head) :]
        if regex.search(r"(?<!\\)(?:\\\\)*\\[1-9]", body):
            raise self.wrong(node, shorten(written), "a pattern without references to groups")
        wrapped = f"{head}^(?:{body})$" if is_whole else f"{head}(?:{body})"
        for one in (f"{head}{body}", wrapped):
            if problem := pattern_problem(one):
                raise self.wrong(node, shorten(written), f"a regular expression ({problem})")
        return wrapped

    # rows of lists

    @contextmanager
    def row(self, function: Node, *, what: str) -> Iterator[tuple[Row, Node]]:
        """Go through a list with a function `x => …`: its name stands for each element."""
        if not isinstance(function, Lambda):
            raise self.wrong(function, self.written(function), f"a function: {what}(x => …)")
        alias = self.compilation.alias()
        element = cheap(json_of(Sql(f"{alias}.x")))
        before = self.variables
        self.variables = {**before, function.name: element}
        try:
            yield Row(alias, element), function.body
        finally:
            self.variables = before

    def each(self, list_sql: Any, row: Row, value: Any, fold: str) -> Sql:
        """Fold what `value` is for each element (`r.value`, with `r.x` and `r.n`); NULL for no
        list.
        """
        alias, outer = row.alias, self.compilation.alias()
        return jsonb(
            f"(SELECT CASE WHEN {outer}.v IS NOT NULL THEN (SELECT {fold} FROM (SELECT {{}} AS "  # noqa: S608
            f"value, {alias}.x, {alias}.n FROM jsonb_array_elements({outer}.v) "
            f"WITH ORDINALITY AS {alias}(x, n) OFFSET 0) r) END "
            f"FROM (SELECT {{}} AS v OFFSET 0) {outer})",
            value,
            list_sql,
        )

    def new_row(self) -> Row:
        alias = self.compilation.alias()
        return Row(alias, cheap(json_of(Sql(f"{alias}.x"))))

    def kept(self, list_sql: Any, row: Row, condition: Any) -> Sql:
        """The elements of a list for which a condition holds."""
        return self.each(
            list_sql,
            row,
            condition,
            "coalesce(jsonb_agg(r.x ORDER BY r.n) FILTER (WHERE r.value), '[]')",
        )

    def narrowed(self, list_sql: Any, filters: Sequence[Any]) -> Any:
        """filters: functions of an element (jsonb) that make conditions."""
        if not filters:
            return list_sql
        row = self.new_row()
        conditions = [one(Sql(f"{row.alias}.x")) for one in filters]
        condition = Sql(" AND ".join(["({})"] * len(conditions)), *conditions)
        return self.kept(list_sql, row, condition)

    def item_filters(self, arguments: dict[str, Node]) -> list[Any]:
        """Named arguments that narrow a list down: severity = ["HIGH"], lookback = …"""
        filters: list[Any] = []
        for name, node in arguments.items():
            if name == "lookback":
                since, _ = self.lookback(arguments)
                assert since is not None  # noqa: S101 - there is the argument
                filters.append(lambda item, since=since: self._is_since(item, since))
            else:
                key = _ITEM_KEYS.get(name, name)
                wanted = [one.lower() for one in self.literals(node, f"{name} =")]
                filters.append(
                    lambda item, key=key, wanted=wanted: Sql(
                        "lower({} ->> {}::text) = ANY({}::text[])", item, Value(key), Value(wanted)
                    )
                )
        return filters

    def _is_since(self, item: Any, since: datetime) -> Sql:
        moment = self.moment(json_of(jsonb("({} -> 'timestamp')", item)))
        begin, end = since.timestamp(), self.compilation.now.timestamp()
        return Sql(
            "{} BETWEEN {}::numeric AND {}::numeric", moment, Value(str(begin)), Value(str(end))
        )


_ITEM_KEYS: Final = {"types": "type", "environments": "environment"}


def _moment(value: datetime) -> Value:
    return Value(value, output_field=DateTimeField())


@lru_cache(maxsize=2048)
def pattern_problem(pattern: str) -> str:
    """What PostgreSQL has against a regular expression; "" for nothing. It may take seconds to
    prepare one of repetitions within repetitions, and must not: each row may need it anew.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout')")
            [before] = cursor.fetchone()
            cursor.execute(f"SET LOCAL statement_timeout = {PREPARING_MS}")
            cursor.execute("SELECT '' ~ %s", [pattern])
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])
    except DataError as error:
        return str(error).split("\n", 1)[0].removeprefix("invalid regular expression: ")
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            return "it is too complex"
        raise
    return ""


def by_place(arguments: Sequence[Argument]) -> list[Node]:
    return [one.value for one in arguments if not one.name]
