"""What a CQL text says, as a tree, and the tree as text again.

`span` is where a node stands in the text, [start, end) in characters; equal trees may differ in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    span: Span = field(default=(0, 0), compare=False, repr=False)

    def children(self) -> Iterator[Node]:
        return iter(())


@dataclass(frozen=True, slots=True)
class Text(Node):
    value: str


@dataclass(frozen=True, slots=True)
class Number(Node):
    value: Decimal


@dataclass(frozen=True, slots=True)
class Boolean(Node):
    value: bool


@dataclass(frozen=True, slots=True)
class Null(Node):
    pass


@dataclass(frozen=True, slots=True)
class Items(Node):
    """A list that is written out."""

    items: tuple[Node, ...]

    def children(self) -> Iterator[Node]:
        return iter(self.items)


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """name: "" for one that is known by its place."""

    value: Node
    name: str = ""

    def children(self) -> Iterator[Node]:
        yield self.value


@dataclass(frozen=True, slots=True)
class Lambda(Node):
    name: str
    body: Node

    def children(self) -> Iterator[Node]:
        yield self.body


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A source or a function. arguments: None where there are no brackets."""

    name: str
    arguments: tuple[Argument, ...] | None = None

    def children(self) -> Iterator[Node]:
        return iter(self.arguments or ())


@dataclass(frozen=True, slots=True)
class Member(Node):
    of: Node
    name: str
    arguments: tuple[Argument, ...] | None = None

    def children(self) -> Iterator[Node]:
        yield self.of
        yield from self.arguments or ()


@dataclass(frozen=True, slots=True)
class Negative(Node):
    of: Node

    def children(self) -> Iterator[Node]:
        yield self.of


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    left: Node
    sign: str
    right: Node

    def children(self) -> Iterator[Node]:
        yield self.left
        yield self.right


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """sign: "==", "!=", "<", "<=", ">" or ">="."""

    left: Node
    sign: str
    right: Node

    def children(self) -> Iterator[Node]:
        yield self.left
        yield self.right


@dataclass(frozen=True, slots=True)
class Not(Node):
    of: Node

    def children(self) -> Iterator[Node]:
        yield self.of


@dataclass(frozen=True, slots=True)
class Joined(Node):
    """word: "and" or "or". items: two or more."""

    word: str
    items: tuple[Node, ...]

    def children(self) -> Iterator[Node]:
        return iter(self.items)


# How tightly each kind of node holds together; what is looser stands in brackets.
_OR, _AND, _COMPARED, _SUM, _PRODUCT, _SIGNED, _TIGHT = range(7)
_LEVELS: Final = {"or": _OR, "and": _AND, "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT}


def to_text(node: Node) -> str:
    """The text of a tree, which reads as the same tree again."""
    match node:
        case Text():
            return _quoted(node.value)
        case Number():
            return str(node.value)
        case Boolean():
            return "true" if node.value else "false"
        case Null():
            return "null"
        case Items():
            return f"[{', '.join(map(to_text, node.items))}]"
        case Argument():
            return f"{node.name} = {to_text(node.value)}" if node.name else to_text(node.value)
        case Lambda():
            return f"{node.name} => {to_text(node.body)}"
        case Name():
            return f"{node.name}{_arguments(node.arguments)}"
        case Member():
            return f"{_within(node.of, _TIGHT)}.{node.name}{_arguments(node.arguments)}"
        case Negative():
            return f"-{_within(node.of, _SIGNED)}"
        case Arithmetic():
            level = _LEVELS[node.sign]
            return f"{_within(node.left, level)} {node.sign} {_within(node.right, level + 1)}"
        case Comparison():
            return f"{_within(node.left, _SUM)} {node.sign} {_within(node.right, _SUM)}"
        case Not():
            return f"!({to_text(node.of)})"
        case Joined():
            level = _LEVELS[node.word] + 1
            return f" {node.word} ".join(_within(one, level) for one in node.items)
    raise TypeError(f"{type(node).__name__} has no text")


def _within(node: Node, level: int) -> str:
    text = to_text(node)
    return text if _level(node) >= level else f"({text})"


def _level(node: Node) -> int:
    match node:
        case Joined():
            return _LEVELS[node.word]
        case Comparison() | Not():
            return _COMPARED
        case Arithmetic():
            return _LEVELS[node.sign]
        case Negative():
            return _SIGNED
    return _TIGHT


def _arguments(arguments: tuple[Argument, ...] | None) -> str:
    return "" if arguments is None else f"({', '.join(map(to_text, arguments))})"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def nodes_of(tree: Node) -> Iterator[tuple[Node, int]]:
    """Every node with its depth, without recursion."""
    waiting: list[tuple[Any, int]] = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting += [(child, depth + 1) for child in node.children()]
