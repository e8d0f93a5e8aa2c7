"""Trees of CQL as text."""

from __future__ import annotations

import json
from typing import Final

from scorecards.cql.tree import (
    Argument,
    Arithmetic,
    Boolean,
    Comparison,
    Items,
    Joined,
    Lambda,
    Member,
    Name,
    Negative,
    Node,
    Not,
    Null,
    Number,
    Text,
)

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
