"""Small readings of JQ text, done without running it."""

from __future__ import annotations

import re
from typing import Final

import orjson

# A word as people write a blueprint's name without the quotes that would make it JQ text.
_BARE = re.compile(r"[A-Za-z0-9@_][\w@.+:\\/=-]*")
_STEP = r"""(?:\.[A-Za-z_]\w*|\."(?:[^"\\]|\\.)*"|\.?\["(?:[^"\\]|\\.)*"\]|\.?\[\d+\])"""
_PATH = re.compile(rf"(?=\.){_STEP}+")
_NAMING = re.compile(r"\.\s*(?:as\s+\$\w+)?\s*\|")

FILE: Final = "file://"


def is_bare_word(text: str) -> bool:
    return _BARE.fullmatch(text) is not None


def literal(expression: str) -> str | None:
    """The text that a JQ text literal stands for; None for every other expression."""
    try:
        value = orjson.loads(expression)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, str) else None


def with_double_quotes(expression: str) -> str:
    """`expression` with its single-quoted text in double quotes, which is all that JQ knows.

    A quote inside double-quoted text stays, and so does an apostrophe within a word.
    """
    if "'" not in expression:
        return expression
    parts: list[str] = []
    at, end = 0, len(expression)
    while at < end:
        letter = expression[at]
        if letter == '"':
            stop = _after_text(expression, at)
        elif letter == "#":
            line_end = expression.find("\n", at)
            stop = end if line_end < 0 else line_end
        elif letter == "'" and (close := _closing_quote(expression, at)):
            content = expression[at + 1 : close]
            if "\\(" not in content:  # with an interpolation, its quotes are JQ's own
                content = re.sub(r'(?<!\\)"', r"\"", content)
            parts.append(f'"{content}"')
            at = close + 1
            continue
        else:
            stop = at + 1
        parts.append(expression[at:stop])
        at = stop
    return "".join(parts)


def _closing_quote(expression: str, opening: int) -> int | None:
    at = opening
    while (at := expression.find("'", at + 1)) > 0:
        if not expression[at + 1 : at + 2].isalnum():
            return at
    return None


def _after_text(expression: str, opening: int) -> int:
    """Where the double-quoted text that begins at `opening` is over; it may interpolate more."""
    at, end = opening + 1, len(expression)
    while at < end:
        if expression.startswith("\\(", at):
            at, depth = at + 2, 1
            while at < end and depth:
                if expression[at] == '"':
                    at = _after_text(expression, at)
                    continue
                depth += {"(": 1, ")": -1}.get(expression[at], 0)
                at += 1
        elif expression[at] == "\\":
            at += 2
        elif expression[at] == '"':
            return at + 1
        else:
            at += 1
    return end


def leading_path(expression: str) -> str | None:
    """The path that an `itemsToParse` begins with (".spec.items | map(…)" → ".spec.items").

    None where it begins otherwise: with a function, a construction, a variable.
    """
    rest = expression.strip()
    while True:
        if rest.startswith("("):
            rest = rest[1:].lstrip()
        elif naming := _NAMING.match(rest):
            rest = rest[naming.end() :].lstrip()
        else:
            break
    path = _PATH.match(rest)
    return path[0] if path else None


def included_file(value: str) -> str | None:
    """The path in `file://PATH`, an old way of naming a file whose text is a property."""
    if not value.startswith(FILE):
        return None
    return value.removeprefix(FILE).removeprefix("./").strip()


def included_file_expression(path: str) -> str:
    """JQ for the text of a file that the selector's `includedFiles` asks the source for."""
    return f".__includedFiles[{orjson.dumps(path).decode()}]"
