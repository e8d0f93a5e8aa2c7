"""JQ programs that are simple enough to be SQL: paths, `tonumber`, `not`, `length`, `== constant`.

Every other program goes to the sandbox.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import regex

from catalog.kernel.identifiers import is_storable

_STRING: Final = r'"(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*"'
_KEY: Final = regex.compile(rf"\.?(?:(?P<name>[A-Za-z_]\w*)|(?P<text>{_STRING}))", regex.ASCII)
_INDEX: Final = regex.compile(
    rf"\.?\[\s*(?:(?P<index>\d{{1,9}})|(?P<text>{_STRING}))\s*\]", regex.ASCII
)
_EQUALS: Final = regex.compile(rf"\.\s*==\s*(?P<value>{_STRING}|-?\d{{1,30}}|true|false)")


@dataclass(frozen=True, slots=True)
class Step:
    """word: "path", "tonumber", "not", "length" or "=="."""

    word: str
    keys: tuple[str | int, ...] = ()
    value: Any = None


def simple_steps(program: str) -> list[Step] | None:
    """The steps of a simple program; None for one that is more than that."""
    steps = [_step(piece.strip()) for piece in _pieces(program)]
    return [step for step in steps if step] if None not in steps else None


def _pieces(program: str) -> list[str]:
    """Split at the pipes that do not stand in a text."""
    pieces, here = [""], 0
    for match in regex.finditer(rf"{_STRING}|\|", program):
        pieces[-1] += program[here : match.start()]
        if match[0] == "|":
            pieces.append("")
        else:
            pieces[-1] += match[0]
        here = match.end()
    pieces[-1] += program[here:]
    return pieces


def _step(piece: str) -> Step | None:
    if piece in ("tonumber", "not", "length"):
        return Step(piece)
    if match := _EQUALS.fullmatch(piece):
        value = json.loads(match["value"])
        return Step("==", value=value) if is_storable(str(value)) else None
    if piece == ".":
        return Step("path")
    if not piece.startswith("."):
        return None
    keys: list[str | int] = []
    here = 0
    while here < len(piece):
        if match := _INDEX.match(piece, here):
            keys.append(int(match["index"]) if match["index"] else json.loads(match["text"]))
        elif piece[here] == "." and (match := _KEY.match(piece, here)):
            keys.append(match["name"] or json.loads(match["text"]))
        else:
            return None
        here = match.end()
    if any(isinstance(key, str) and not is_storable(key) for key in keys):
        return None
    return Step("path", keys=tuple(keys))
