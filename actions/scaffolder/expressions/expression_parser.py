"""From the tokens of a tag to expression nodes: operator precedence as Nunjucks has it."""

from __future__ import annotations

from typing import Final, Literal

from . import nodes, patterns
from .budget import Meter
from .errors import Fault, LimitReached, TemplateError, place
from .lexer import Token
from .nodes import Arguments, Node
from .values import UNDEFINED, Pattern, number

_OR, _AND, _NOT, _IN, _IS, _EQUAL, _ORDER, _SUM, _PRODUCT, _POWER, _FILTER = range(1, 12)
_STRENGTH: Final = {
    **dict.fromkeys(("==", "===", "!=", "!=="), _EQUAL),
    **dict.fromkeys(("<", "<=", ">", ">="), _ORDER),
    **dict.fromkeys(("+", "-", "~"), _SUM),
    **dict.fromkeys(("*", "/", "//", "%"), _PRODUCT),
    "**": _POWER,
    "|": _FILTER,
}
_WORDS: Final = {"or": _OR, "and": _AND, "in": _IN, "is": _IS}
_CONSTANTS: Final = {"true": True, "false": False, "none": None, "null": None}
# `not a == b` is `(not a) == b`, as Nunjucks has it: these pass "not" on to their left side.
_PASSES_NOT: Final = frozenset({*_STRENGTH} - {"**", "//", "|"})


class ExpressionParser:
    """Reads one tag; the statement parser takes its words from the same tokens."""

    def __init__(self, source: str, tokens: list[Token], meter: Meter) -> None:
        self.source = source
        self.tokens = tokens
        self.meter = meter
        self.index = 0

    # The tokens

    @property
    def next(self) -> Token:
        return self.tokens[self.index]

    def fail(self, message: str, at: int | None = None) -> TemplateError:
        return TemplateError(message, *place(self.source, self.next.at if at is None else at))

    def advance(self) -> Token:
        token = self.next
        if token.kind != "end":
            self.index += 1
        return token

    def peeks(self, *values: str, kind: Literal["operator", "name"] = "operator") -> bool:
        return self.next.kind == kind and self.next.value in values

    def accept(self, *values: str, kind: Literal["operator", "name"] = "operator") -> str:
        """The next token where it is one of `values`, "" otherwise."""
        return self.advance().value if self.peeks(*values, kind=kind) else ""

    def expect(self, value: str) -> None:
        if not self.accept(value):
            raise self.fail(f"Expected {value}{self.received()}")

    def name(self) -> str:
        if self.next.kind != "name":
            raise self.fail(f"Expected name{self.received()}")
        return self.advance().value

    def end(self) -> None:
        if self.next.kind != "end":
            raise self.fail(f"Expected the end of the tag{self.received()}")

    def received(self) -> str:
        if self.next.kind == "end":
            return ", received end of input"
        return f', received "{self.next.value[:40]}"'

    # Expressions

    def whole(self) -> Node:
        """An expression that fills the rest of the tag."""
        node = self.expression()
        self.end()
        return node

    def expression(self) -> Node:
        self.meter.enter()
        node = self.binary(_OR)
        if self.accept("if", kind="name"):
            test = self.binary(_OR)
            otherwise = self.expression() if self.accept("else", kind="name") else None
            node = nodes.Conditional(node.at, test, node, otherwise)
        self.meter.leave()
        return node

    def binary(self, minimum: int) -> Node:
        """Operators at least as strong as `minimum`; all are left-associative."""
        left = self.prefix()
        links = 0
        while (strength := self.strength()) >= minimum:
            self.meter.enter()  # a long chain makes a deep tree
            links += 1
            left = self.infix(left, strength)
        self.meter.depth -= links
        return left

    def strength(self) -> int:
        kind, value, _ = self.next
        if kind == "operator":
            return _STRENGTH.get(value, 0)
        if kind != "name":
            return 0
        if value == "not":
            following = self.tokens[self.index + 1]
            return _IN if following[:2] == ("name", "in") else 0
        return _WORDS.get(value, 0)

    def infix(self, left: Node, strength: int) -> Node:
        if strength == _PRODUCT:
            return self.product(left)
        token = self.advance()
        operator = token.value
        if operator == "|":
            return self.filter(left)
        if operator == "is":
            return self.test(left)
        if operator == "not":
            self.advance()
            inside = nodes.Binary(left.at, "in", left, self.binary(_IN + 1))
            return nodes.Unary(left.at, "not", inside)
        return nodes.Binary(left.at, operator, left, self.binary(strength + 1))

    def product(self, left: Node) -> Node:
        """`*`, `/` and `%` go from left to right; `//` is stronger, and floors all since `*`."""
        terms = self.floored(left)
        while operator := self.accept("*", "/"):
            first, *rest = self.floored(self.binary(_POWER))
            terms += [(operator, first[1]), *rest]
        return self.folded(terms)

    def floored(self, first: Node) -> list[tuple[str, Node]]:
        terms = self.remainders(first)
        links = 0
        while self.accept("//"):
            self.meter.enter()
            links += 1
            divisor, *rest = self.remainders(self.binary(_POWER))
            terms += [("/", divisor[1]), *rest]
            terms = [("", nodes.Unary(first.at, "floor", self.folded(terms)))]
        self.meter.depth -= links
        return terms

    def remainders(self, first: Node) -> list[tuple[str, Node]]:
        terms = [("", first)]
        while self.accept("%"):
            terms.append(("%", self.binary(_POWER)))
        return terms

    def folded(self, terms: list[tuple[str, Node]]) -> Node:
        if len(terms) > self.meter.budget.nesting:
            raise LimitReached("nesting", self.meter.budget.nesting)
        (_, node), *rest = terms
        for operator, right in rest:
            node = nodes.Binary(node.at, operator, node, right)
        return node

    def filter(self, target: Node) -> nodes.Filter:
        at = self.next.at
        name = self.name()
        while self.accept("."):
            name = f"{name}.{self.name()}"
        return nodes.Filter(at, target, name, self.optional_arguments())

    def test(self, target: Node) -> Node:
        is_negated = self.accept("not", kind="name")
        at = self.next.at
        name = self.name()
        if name == "none":
            name = "null"
        test = nodes.Test(at, target, name, self.optional_arguments())
        return nodes.Unary(at, "not", test) if is_negated else test

    def prefix(self) -> Node:
        token = self.next
        if self.accept("not", kind="name"):
            self.meter.enter()
            node = _negated(self.binary(_NOT), token.at)
            self.meter.leave()
            return node
        if operator := self.accept("-", "+"):
            self.meter.enter()
            node = nodes.Unary(token.at, operator, self.prefix())
            self.meter.leave()
            return node
        return self.postfix()

    def postfix(self) -> Node:
        node = self.primary()
        links = 0
        while operator := self.accept(".", "[", "("):
            self.meter.enter()
            links += 1
            at = self.next.at
            if operator == ".":
                node = nodes.Member(at, node, nodes.Literal(at, self.name()))
            elif operator == "[":
                node = self.subscript(node)
            else:
                node = nodes.Call(node.at, node, self.arguments())
        self.meter.depth -= links
        return node

    def subscript(self, target: Node) -> Node:
        at = self.next.at
        start = None if self.peeks(":") else self.expression()
        if not self.accept(":"):
            self.expect("]")
            return nodes.Member(at, target, start or nodes.Literal(at, UNDEFINED))
        stop = None if self.peeks(":", "]") else self.expression()
        step = self.expression() if self.accept(":") and not self.peeks("]") else None
        self.expect("]")
        return nodes.Slice(at, target, start, stop, step)

    def primary(self) -> Node:
        token = self.advance()
        kind, value, at = token
        if kind == "number":
            return nodes.Literal(at, number(float(value)))
        if kind == "string":
            return nodes.Literal(at, value)
        if kind == "regex":
            flags, _, pattern = value.partition("/")
            literal = Pattern(pattern, flags)
            try:
                patterns.compiled(literal)
            except Fault as fault:
                raise self.fail(str(fault), at) from None
            return nodes.Literal(at, literal)
        if kind == "name":
            if value in _CONSTANTS:
                return nodes.Literal(at, _CONSTANTS[value])
            return nodes.Name(at, value)
        if value == "(":
            if self.peeks(")"):
                raise self.fail("Parenthesized expression cannot be empty", at)
            return nodes.Sequence(at, self.items(")"))
        if value == "[":
            return nodes.ListOf(at, self.items("]"))
        if value == "{":
            return nodes.Record(at, self.pairs())
        found = f'"{value}"' if value else "at end of input"
        raise self.fail(f"Unexpected expression token {found}", at)

    def items(self, closing: str) -> list[Node]:
        items: list[Node] = []
        if self.accept(closing):
            return items
        items.append(self.expression())
        while self.accept(","):
            items.append(self.expression())
        self.expect(closing)
        return items

    def pairs(self) -> list[tuple[str, Node]]:
        pairs: list[tuple[str, Node]] = []
        if self.accept("}"):
            return pairs
        while True:
            if self.next.kind not in ("name", "string"):
                raise self.fail("Dictionary keys must be strings or names")
            key = self.advance().value
            self.expect(":")
            pairs.append((key, self.expression()))
            if not self.accept(","):
                self.expect("}")
                return pairs

    def optional_arguments(self) -> Arguments:
        return self.arguments() if self.accept("(") else Arguments([], [])

    def arguments(self) -> Arguments:
        """What follows "("; `name=value` arguments may stand anywhere."""
        arguments = Arguments([], [])
        if self.accept(")"):
            return arguments
        while True:
            following = self.tokens[min(self.index + 1, len(self.tokens) - 1)]
            if self.next.kind == "name" and following[:2] == ("operator", "="):
                name = self.name()
                self.advance()
                arguments.named.append((name, self.expression()))
            else:
                arguments.positional.append(self.expression())
            if not self.accept(","):
                self.expect(")")
                return arguments


def _negated(node: Node, at: int) -> Node:
    if isinstance(node, nodes.Binary) and node.operator in _PASSES_NOT:
        return nodes.Binary(at, node.operator, _negated(node.left, at), node.right)
    return nodes.Unary(at, "not", node)
