"""What a CQL text says, as a tree.

`span` is where a node stands in the text, [start, end) in characters; equal trees may differ in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

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


def nodes_of(tree: Node) -> Iterator[tuple[Node, int]]:
    """Every node with its depth, without recursion."""
    waiting: list[tuple[Any, int]] = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting += [(child, depth + 1) for child in node.children()]
