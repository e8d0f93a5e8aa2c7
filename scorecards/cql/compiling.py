"""From tree to SQL: what becomes of operators, names and members, and of the rule as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from django.db.models import F, JSONField, Value

from catalog.kernel.errors import shorten
from catalog.registry import rule_sources
from catalog.selectors.sql import Sql, json_value
from scorecards.cql import tree
from scorecards.cql.calculations import moment_in
from scorecards.cql.errors import Unsupported, nearest
from scorecards.cql.functions import (
    DEPENDENCIES,
    ENTITY,
    FIELDS,
    FUNCTIONS,
    KNOWN,
    OWNERSHIP,
    Function,
    links_of,
    lists_of_events,
    ownership,
    ranks_of,
    registered,
)
from scorecards.cql.methods import METHODS, truth
from scorecards.cql.parsing import parse
from scorecards.cql.reading import NARROWING, read, see_tool, tool_member
from scorecards.cql.relations import docs
from scorecards.cql.sources import TOOLS, source_names, tool_value
from scorecards.cql.terms import (
    NULL,
    Term,
    Type,
    boolean_of,
    json_of,
    jsonb,
    list_of,
    number_of,
    path,
    text_of,
)
from scorecards.cql.tree import Member, Name, Node
from scorecards.cql.working import Work
from scorecards.rules.compiled import UNKNOWN, Compilation, Compiled, Part, Tree

_MEMBERS: Final = {"entity": ENTITY, "ownership": OWNERSHIP, "dependencies": DEPENDENCIES}
_EVENTS: Final = ("deploys", "customEvents")


def compile_rule(text: str, compilation: Compilation) -> Compiled:
    """A rule, or a filter, that is true or false of each entity.

    Raises CqlSyntaxError for what is no CQL or could be answered by no catalogue. What is not
    supported, or not known to this catalogue, becomes `Compiled.problem`.
    """
    root = parse(text)
    if root is None:
        return Compiled.impossible("The expression says nothing yet: there is only a comment")
    compiler = Compiler(text, compilation)
    try:
        verdict, shape = compiler.condition(root)
    except Unsupported as error:
        return Compiled.impossible(str(error))
    return Compiled(
        verdict=verdict,
        parts=tuple(compiler.parts),
        tree=shape,
        reads=compiler.seen.reads(),
        calls=tuple(dict.fromkeys(compiler.calls)),
    )


class Compiler(Work):
    """One expression."""

    def __init__(self, text: str, compilation: Compilation) -> None:
        super().__init__(text, compilation)
        self.parts: list[Part] = []
        self._values = {
            tree.Text: lambda node: text_of(node.value),
            tree.Number: lambda node: number_of(node.value),
            tree.Boolean: lambda node: boolean_of(node.value),
            tree.Null: lambda _: NULL,
            tree.Items: self._items,
            tree.Name: self._name,
            tree.Member: self._member,
            tree.Negative: self._negative,
            tree.Arithmetic: self._arithmetic,
            tree.Comparison: self._comparison,
            tree.Not: lambda node: Term(Type.BOOLEAN, Sql("(NOT {})", truth(self, node.of))),
            tree.Joined: self._joined,
        }

    # the rule as a whole

    def condition(self, node: Node) -> tuple[Any, Tree]:
        """The verdict, and how it hangs together of parts."""
        if isinstance(node, tree.Joined):
            found = [self.condition(one) for one in node.items]
            word = f" {node.word.upper()} "
            verdict = Sql(f"({word.join(['{}'] * len(found))})", *(one for one, _ in found))
            return verdict, (node.word, tuple(shape for _, shape in found))
        if isinstance(node, tree.Not):
            verdict, shape = self.condition(node.of)
            return Sql("(NOT {})", verdict), ("not", (shape,))
        return self._part(node)

    def _part(self, node: Node) -> tuple[Any, int]:
        self.captured = []
        if isinstance(node, tree.Comparison):
            left, right = self.value(node.left), self.value(node.right)
            verdict = self._compared(node, left, right)
            looked_at = right if _is_written_out(left) else left
        else:
            verdict = truth(self, node)
            looked_at = Term(Type.BOOLEAN, verdict)
        captured = self.captured or [("", looked_at)]
        place = len(self.parts)
        for index, (label, term) in enumerate(captured):
            actual = self.shown(term)
            actual = Sql("{}", actual, output_field=JSONField())
            # what is captured besides belongs to no verdict
            of_part = verdict if index == 0 else UNKNOWN
            self.parts.append(Part(self.written(node), actual, of_part, capture=label))
        return verdict, place

    # values

    def value(self, node: Node) -> Term:
        make = self._values.get(type(node))
        if make is None:
            raise self.wrong(node, self.written(node), "a value")
        return make(node)  # type: ignore[operator]

    def _items(self, node: tree.Items) -> Term:
        terms = [self.value(one) for one in node.items]
        places = ", ".join(["coalesce({}, 'null')"] * len(terms))
        made = jsonb(f"jsonb_build_array({places})", *(self.json(one) for one in terms))
        return list_of(made)

    def _joined(self, node: tree.Joined) -> Term:
        word = f" {node.word.upper()} "
        pieces = [truth(self, one) for one in node.items]
        return Term(Type.BOOLEAN, Sql(f"({word.join(['{}'] * len(pieces))})", *pieces))

    def _negative(self, node: tree.Negative) -> Term:
        term = self.value(node.of)
        if term.type is Type.NUMBER and term.constant is not None:
            return number_of(-term.constant)
        if term.type not in (Type.NUMBER, Type.DURATION, Type.JSON):
            raise self.wrong(node.of, f"{self.written(node.of)} ({term.type})", "a number")
        kind = Type.DURATION if term.type is Type.DURATION else Type.NUMBER
        return Term(kind, Sql("(- {})", self.number(term)))

    def _arithmetic(self, node: tree.Arithmetic) -> Term:
        left, right = self.value(node.left), self.value(node.right)
        kind = _ARITHMETIC.get((_plain(left), node.sign, _plain(right)))
        if kind is None:
            found = f"{left.type} {node.sign} {right.type}"
            raise self.wrong(node, found, "numbers, or moments and durations")
        a, b = self.number(left), self.number(right)
        if node.sign == "/":
            # what is nearly nothing divides nothing: the result stays within bounds
            return Term(kind, Sql("({} / nullif(round({}, 60), 0))", a, b))
        return Term(kind, Sql(f"({{}} {node.sign} {{}})", a, b))

    # comparisons

    def _comparison(self, node: tree.Comparison) -> Term:
        left, right = self.value(node.left), self.value(node.right)
        return Term(Type.BOOLEAN, self._compared(node, left, right))

    def _compared(self, node: tree.Comparison, left: Term, right: Term) -> Sql:
        if node.sign in ("==", "!="):
            return self._equality(node, left, right)
        for term, side in ((left, node.left), (right, node.right)):
            if term.type in (Type.NULL, Type.BOOLEAN, Type.LIST):
                raise self.wrong(side, f"{self.written(side)} ({term.type})", _ORDERED)
        if Type.LEVEL in (left.type, right.type):
            return self._level_order(node, left, right)
        if left.type is right.type is Type.JSON:
            return self.both(left, right, lambda a, b: self._json_order(node.sign, a, b))
        pair = self._alike(node, left, right)
        if pair is None:
            raise self._mismatch(node, left, right)
        if Type.TEXT in (left.type, right.type) and _is_text(left) and _is_text(right):
            return Sql(f'({{}} COLLATE "C" {node.sign} {{}} COLLATE "C")', *pair)
        if Type.VERSION in (left.type, right.type):
            return Sql(f'({{}} COLLATE "C" {node.sign} {{}} COLLATE "C")', *pair)
        return Sql(f"({{}} {node.sign} {{}})", *pair)

    def _json_order(self, sign: str, a: Any, b: Any) -> Sql:
        """Two numbers, or two texts."""
        left, right = json_of(a, is_cheap=True), json_of(b, is_cheap=True)
        return Sql(
            f'coalesce({{}} {sign} {{}}, {{}} COLLATE "C" {sign} {{}} COLLATE "C")',
            self.number(left),
            self.number(right),
            self.text(left),
            self.text(right),
        )

    def _equality(self, node: tree.Comparison, left: Term, right: Term) -> Sql:
        is_equal = node.sign == "=="
        if Type.NULL in (left.type, right.type):
            other = right if left.type is Type.NULL else left
            present = Sql("({} IS NOT NULL)", other.sql) if other.present is None else other.present
            return Sql("(NOT {})", present) if is_equal else present
        same = self._same(node, left, right)
        return same if is_equal else Sql("(NOT {})", same)

    def _same(self, node: tree.Comparison, left: Term, right: Term) -> Sql:
        if _OWN_EQUALITY & {left.type, right.type}:
            pair = self._alike(node, left, right)
            if pair is None:
                raise self._mismatch(node, left, right)
            return Sql("({} = {})", *pair)
        if Type.JSON not in (left.type, right.type) and _group(left) is not _group(right):
            raise self._mismatch(node, left, right)
        return self.equal(left, right)

    def equal(self, left: Term, right: Term) -> Sql:
        if left.type is right.type is not Type.LIST:
            return Sql("({} = {})", left.sql, right.sql)
        return Sql("({} = {})", self.json(left), self.json(right))

    def _alike(self, node: tree.Comparison, left: Term, right: Term) -> tuple[Sql, Sql] | None:
        """Both as SQL of one type; None when they have none in common."""
        kinds = {left.type, right.type}
        if Type.VERSION in kinds and kinds <= {Type.VERSION, Type.TEXT, Type.JSON}:
            for term, side in ((left, node.left), (right, node.right)):
                if (
                    isinstance(term.constant, str)
                    and not term.constant[:2].strip("vV")[:1].isdigit()
                ):
                    raise self.wrong(side, self.written(side), "a version: 1.2.3")
            return self.version(left).sql, self.version(right).sql
        if Type.MOMENT in kinds and kinds <= {Type.MOMENT, Type.TEXT, Type.JSON}:
            for term, side in ((left, node.left), (right, node.right)):
                if isinstance(term.constant, str):
                    moment_in(self, side, term.constant)
            return self.moment(left), self.moment(right)
        if Type.DURATION in kinds and kinds <= {Type.DURATION, Type.JSON}:
            return self.duration(left), self.duration(right)
        if kinds <= {Type.NUMBER, Type.JSON}:
            return self.number(left), self.number(right)
        if kinds <= {Type.TEXT, Type.JSON, Type.LEVEL}:
            return self.text(left), self.text(right)
        return None

    def _level_order(self, node: tree.Comparison, left: Term, right: Term) -> Sql:
        """Levels by their rank: `level("production") >= "Silver"`."""
        level, other, sign = left, right, node.sign
        if left.type is not Type.LEVEL:
            level, other, sign = right, left, _MIRRORED[sign]
        if not isinstance(other.constant, str):
            raise self._mismatch(node, left, right)
        ranks = ranks_of(level.name)
        wanted = {
            pk: levels[other.constant] for pk, levels in ranks.items() if other.constant in levels
        }
        if not wanted:
            known = dict.fromkeys(one for levels in ranks.values() for one in levels)
            raise Unsupported(
                f'The scorecard "{shorten(level.name)}" has no level '
                f'"{shorten(other.constant)}"{nearest(other.constant, known)}'
            )
        return Sql(
            f"(SELECT s.rank {sign} ({{}}::jsonb ->> s.scorecard_id::text)::int "  # noqa: S608
            "FROM scorecards_score s JOIN scorecards_scorecard c ON c.id = s.scorecard_id "
            "WHERE s.entity_id = {} AND c.identifier = {} AND c.state = 'active' "
            "ORDER BY c.id LIMIT 1)",
            json_value(wanted),
            F("pk"),
            Value(level.name),
        )

    def _mismatch(self, node: tree.Comparison, left: Term, right: Term) -> Exception:
        found = f"{self.written(node)} ({left.type} and {right.type})"
        return self.wrong(node, found, "both sides to be of one type")

    # names and members

    def _name(self, node: Name) -> Term:
        name = node.name
        if name in self.variables:
            if node.arguments is not None:
                raise self.wrong(node, self.written(node), "a function or a source")
            return self.variables[name]
        if name in FIELDS and node.arguments is None:
            return ENTITY[name](self, node)
        if name in FUNCTIONS:
            return FUNCTIONS[name](self, node)
        if name in _EVENTS:
            return lists_of_events(self, node)
        found = self._source(node)
        if found is None:
            known = [*KNOWN, *source_names(), *FIELDS, "null", "true", "false"]
            raise self._unsupported(node, known)
        return found

    def _source(self, node: Name) -> Term | None:
        """A source as a value: whether it is there, and what it says."""
        name = node.name
        if name == "entity" and node.arguments is None:
            return Term(Type.JSON, jsonb("to_jsonb({}::text)", ENTITY["tag"](self, node).sql))
        if name == "ownership" and node.arguments is None:
            return ownership(self)
        if name == "dependencies" and node.arguments is None:
            return DEPENDENCIES["out"](self, node)
        if name == "documentation":
            self.bound(node)
            return self._with_docs()
        if name == "runbooks":
            self.bound(node)
            return _there(links_of(self, "runbook"))
        if name == "docs":
            self.bound(node)
            self.seen.is_apart = True
            self.seen.sources.add(name)
            return json_of(docs())
        if name in rule_sources:
            value = registered(self, name)
        elif name in TOOLS:
            see_tool(self, name)
            value = json_of(tool_value(TOOLS[name]))
        else:
            return None
        given = self.bound(node, named=NARROWING)
        if given:
            return list_of(self.narrowed(self.list(value), self.item_filters(given)))
        return value

    def _with_docs(self) -> Term:
        """Links to documentation; the docs that were built are one more."""
        self.seen.is_apart = True
        self.seen.sources.add("documentation")
        built = jsonb(
            "coalesce((SELECT jsonb_build_array(d.v) FROM (SELECT {} AS v OFFSET 0) d "
            "WHERE d.v ->> 'state' = 'ready'), '[]')",
            docs(),
        )
        found = jsonb("({} || {})", links_of(self, "documentation").sql, built)
        return _there(list_of(found))

    def _member(self, node: Member) -> Term:
        of = node.of
        if isinstance(of, Name) and of.name not in self.variables:
            if of.name in _MEMBERS and of.arguments is None:
                return self._own_member(of.name, node)
            if of.name in TOOLS and of.name not in _EVENTS and node.name not in _ALWAYS_METHODS:
                return tool_member(self, of, node)
        term = self.value(of)
        if node.name in METHODS:
            return METHODS[node.name](self, term, node)
        if term.type is not Type.JSON:
            known = sorted(METHODS)
            if term.type is Type.LIST or node.arguments is not None:
                raise Unsupported(
                    f".{node.name} of {term.type} is not supported{nearest(node.name, known)}"
                )
            raise self.wrong(
                node, f"{self.written(of)} ({term.type})", f"a value with .{node.name}"
            )
        return json_of(read(self, path(term.sql, (node.name,)), node))

    def _own_member(self, source: str, node: Member) -> Term:
        members: Any = _MEMBERS[source]
        method: Function | None = members.get(node.name)
        if method is None:
            close = nearest(node.name, members)
            raise Unsupported(f"{source}.{node.name}() is not supported{close}")
        return method(self, node)

    def _unsupported(self, node: Name, known: list[str]) -> Unsupported:
        brackets = "" if node.arguments is None else "()"
        close = nearest(node.name, dict.fromkeys(known))
        return Unsupported(f"{shorten(node.name)}{brackets} is not supported{close}")


_ALWAYS_METHODS: Final = frozenset({"length", "count"})
_OWN_EQUALITY: Final = {Type.VERSION, Type.MOMENT, Type.DURATION}
_ORDERED: Final = "what has an order: numbers, texts, moments, durations, versions"
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _there(term: Term) -> Term:
    """A list that is there when something is in it."""
    return replace(term, present=Sql("({} <> '[]'::jsonb)", term.sql))


def _is_written_out(term: Term) -> bool:
    return term.constant is not None or term.type is Type.NULL


def _is_text(term: Term) -> bool:
    return term.type in (Type.TEXT, Type.JSON)


def _group(term: Term) -> Type:
    """Levels are told by their titles."""
    return Type.TEXT if term.type is Type.LEVEL else term.type


def _plain(term: Term) -> Type:
    return Type.NUMBER if term.type is Type.JSON else term.type


_N, _M, _D = Type.NUMBER, Type.MOMENT, Type.DURATION
_ARITHMETIC: Final = {
    (_N, "+", _N): _N,
    (_N, "-", _N): _N,
    (_N, "*", _N): _N,
    (_N, "/", _N): _N,
    (_D, "+", _D): _D,
    (_D, "-", _D): _D,
    (_D, "*", _N): _D,
    (_N, "*", _D): _D,
    (_D, "/", _N): _D,
    (_D, "/", _D): _N,
    (_M, "+", _D): _M,
    (_D, "+", _M): _M,
    (_M, "-", _D): _M,
    (_M, "-", _M): _D,
}
