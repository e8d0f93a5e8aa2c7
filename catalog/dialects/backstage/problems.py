"""What is wrong with a document, said so that its author can mend it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from catalog.kernel.errors import shorten

Path = tuple[str | int, ...]

UNFILLED = "This looks like a template that has not been filled in."


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `path` leads from the document's root to the value, or to where it lacks."""

    path: Path
    message: str
    expected: str = ""
    value: str = ""
    hint: str = ""

    @property
    def field(self) -> str:
        return dotted(self.path)


def dotted(path: Sequence[str | int]) -> str:
    """`spec.links[0].url`: how a path is written for people. The root is the empty text."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + shorten(part)
    return text


def missing(path: Path, expected: str) -> Problem:
    return Problem(path, f"{dotted(path)} is missing; expected {expected}", expected)


def wrong(path: Path, value: Any, expected: str, hint: str = "") -> Problem:
    """`value` at `path` is not `expected`."""
    said = describe(value)
    if isinstance(value, str) and "{{" in value:
        hint = UNFILLED
    elif value is None:
        hint = hint or "Give it a value, or remove the key."
    where = dotted(path) or "the document"
    return Problem(path, f"{where} must be {expected}, not {said}", expected, said, hint)


def describe(value: Any) -> str:
    """A short name for a value in a sentence: `"abc"`, `the number 1`, `a map`."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= 80 else f'{text[:78]}…"'
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a list" if isinstance(value, list) else "a map"
