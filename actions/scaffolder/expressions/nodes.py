"""The parts a template is parsed into. `at` is the offset in its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Node:
    at: int


# Expressions


@dataclass(slots=True)
class Literal(Node):
    value: Any


@dataclass(slots=True)
class Name(Node):
    name: str


@dataclass(slots=True)
class ListOf(Node):
    items: list[Node]


@dataclass(slots=True)
class Sequence(Node):
    """`(a, b)`: the last one counts."""

    items: list[Node]


@dataclass(slots=True)
class Record(Node):
    pairs: list[tuple[str, Node]]


@dataclass(slots=True)
class Member(Node):
    """`target.key`, `target[key]`."""

    target: Node
    key: Node


@dataclass(slots=True)
class Slice(Node):
    """`target[start:stop:step]`."""

    target: Node
    start: Node | None
    stop: Node | None
    step: Node | None


@dataclass(slots=True)
class Conditional(Node):
    """`then if test else otherwise`."""

    test: Node
    then: Node
    otherwise: Node | None


@dataclass(slots=True)
class Unary(Node):
    """operator: "not", "-", "+", "floor"."""

    operator: str
    target: Node


@dataclass(slots=True)
class Binary(Node):
    operator: str
    left: Node
    right: Node


@dataclass(slots=True)
class Arguments:
    positional: list[Node]
    named: list[tuple[str, Node]]


@dataclass(slots=True)
class Test(Node):
    """`target is name(arguments)`."""

    target: Node
    name: str
    arguments: Arguments


@dataclass(slots=True)
class Filter(Node):
    """`target | name(arguments)`."""

    target: Node
    name: str
    arguments: Arguments


@dataclass(slots=True)
class Call(Node):
    target: Node
    arguments: Arguments


# Statements


@dataclass(slots=True)
class Text(Node):
    text: str


@dataclass(slots=True)
class Output(Node):
    value: Node


Body = list[Node]


@dataclass(slots=True)
class Captured(Node):
    """A body whose output is a value."""

    body: Body


@dataclass(slots=True)
class If(Node):
    branches: list[tuple[Node, Body]]
    otherwise: Body


@dataclass(slots=True)
class For(Node):
    names: list[str]
    items: Node
    body: Body
    otherwise: Body


@dataclass(slots=True)
class Set(Node):
    names: list[str]
    value: Node


@dataclass(slots=True)
class Macro(Node):
    """parameters: (name, default or None)."""

    name: str
    parameters: list[tuple[str, Node | None]]
    body: Body


@dataclass(slots=True)
class CallBlock(Node):
    """`{% call(parameters) target(arguments) %}body{% endcall %}`; the body is caller()."""

    call: Call
    caller: Macro


@dataclass(slots=True)
class Switch(Node):
    value: Node
    cases: list[tuple[Node, Body]]
    otherwise: Body


@dataclass(slots=True)
class Block(Node):
    """`{% block name %}`: its body, with names of its own; nothing can override it here."""

    body: Body
