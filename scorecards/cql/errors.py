"""What is wrong with a CQL text, and where."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import ClassVar, Final

from catalog.kernel.errors import InvalidInput, shorten

MAX_KNOWN: Final = 1000  # names that are looked through


class CqlSyntaxError(InvalidInput):
    """A text that is no CQL, or that no catalogue could answer: `"a" > 3`.

    details: {"line", "column" (both from 1), "found", "expected"}.
    """

    code: ClassVar[str] = "invalid_expression"

    @classmethod
    def at(
        cls, text: str, position: int, found: str, expected: str, *, hint: str = ""
    ) -> CqlSyntaxError:
        line, column = place_of(text, position)
        return cls(
            f"Line {line}, column {column}: found {shorten(found)}; expected {expected}",
            hint=hint,
            details={
                "line": line,
                "column": column,
                "found": shorten(found),
                "expected": expected,
            },
        )


class Unsupported(Exception):
    """What may be CQL but is not known here; the argument is the problem in words."""


def place_of(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def nearest(name: str, known: Iterable[str]) -> str:
    """ "; did you mean fileExists?", or "" when nothing is like it."""
    by_lower = {one.lower(): one for one in islice(known, MAX_KNOWN)}
    found = get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(by_lower[one] for one in found)}?" if found else ""
