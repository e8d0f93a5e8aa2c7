"""`{{ JQ }}` in texts: where it begins and ends, and which secrets it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import regex

from catalog.kernel.errors import InvalidExpression, shorten

OPENING: Final = "{{"
CLOSING: Final = "}}"

_QUOTES: Final = "\"'"  # our JQ takes single ones, too
_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}
_SPREAD: Final = regex.compile(r"\s*\{\{\s*spreadValue\(\s*\)\s*\}\}\s*")
# `.secrets`, but not of something else, as in `.inputs.secrets`; then the name, as JQ has it.
_SECRETS: Final = regex.compile(
    r"""\.(?<!(?:\.[A-Za-z_]\w*|["'\])?}])\.)\s*
        (?:secrets\b|(["'])secrets\1|\[(["'])secrets\2\])""",
    regex.VERBOSE,
)
_NAME: Final = regex.compile(
    r"""\??\s*
        (?:\.\s*(?P<name>[A-Za-z_]\w*)
        |\.\s*(["'])(?P<name>[^"'\\]+)\2
        |\.?\[\s*(["'])(?P<name>[^"'\\]+)\3\s*\])""",
    regex.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Expression:
    """The JQ of a template."""

    jq: str


@dataclass(frozen=True, slots=True)
class Template:
    """A text in parts. is_whole: nothing but one template, which keeps the type of its value."""

    parts: tuple[str | Expression, ...]
    is_whole: bool

    @property
    def expressions(self) -> Iterator[Expression]:
        return (part for part in self.parts if isinstance(part, Expression))


def parse(text: str, *, where: str) -> Template | None:
    """The parts of a text; None for one without templates. Raises InvalidExpression."""
    parts: list[str | Expression] = []
    place = 0
    while (start := text.find(OPENING, place)) >= 0:
        if start > place:
            parts.append(text[place:start])
        end = _end(text, start + len(OPENING))
        if end < 0:
            raise _wrong(where, text[start:], "is not closed: expected }} outside of JQ's brackets")
        found = text[start + len(OPENING) : end].strip()
        if not found:
            raise _wrong(where, text[start:], "is empty: expected JQ between the braces")
        parts.append(Expression(found))
        place = end + len(CLOSING)
    if not parts:
        return None
    if place < len(text):
        parts.append(text[place:])
    around = [part for part in parts if isinstance(part, str)]
    is_whole = len(parts) - len(around) == 1 and not "".join(around).strip()
    return Template(tuple(parts), is_whole)


def is_spread(key: str) -> bool:
    """Whether what stands under this key goes into the object around it, key by key."""
    return OPENING in key and bool(_SPREAD.fullmatch(key))


def texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """(place, text) of each text with templates in a JSON value, keys too."""
    if isinstance(value, str):
        if OPENING in value:
            yield where, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            if OPENING in key and not is_spread(key):
                yield below(where, key), key
            yield from texts(one, below(where, key))
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from texts(one, f"{where}[{number}]")


def secrets_in(expression: Expression, *, where: str) -> set[str]:
    """The names of the organisation's secrets that it reads.

    Raises InvalidExpression where it reads `.secrets` in a way that names none.
    """
    names = set()
    for match in _SECRETS.finditer(expression.jq):
        named = _NAME.match(expression.jq, match.end())
        if named is None:
            raise InvalidExpression(
                f'{where}: "{shorten(expression.jq)}" reads secrets without naming one',
                hint='Write .secrets.NAME or .secrets["NAME"].',
                details={"field": where, "expression": expression.jq},
            )
        names.add(named["name"])
    return names


def below(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _end(text: str, place: int) -> int:
    """Where the `}}` stands that closes the JQ beginning at `place`; -1 if nothing does.

    Braces of JQ's own objects, and all in its texts and comments, close nothing.
    """
    open_: list[str] = []  # what would close the brackets and texts that we are in
    while place < len(text):
        sign = text[place]
        if open_ and open_[-1] in _QUOTES:
            if sign == "\\":
                if text.startswith("(", place + 1):
                    open_.append(")")
                place += 2
                continue
            if sign == open_[-1]:
                open_.pop()
        elif sign in _QUOTES:
            open_.append(sign)
        elif sign == "#":
            place = text.find("\n", place)
            if place < 0:
                return -1
        elif closer := _CLOSERS.get(sign):
            open_.append(closer)
        elif open_ and sign == open_[-1]:
            open_.pop()
        elif not open_ and text.startswith(CLOSING, place):
            return place
        place += 1
    return -1


def _wrong(where: str, text: str, what: str) -> InvalidExpression:
    return InvalidExpression(
        f'{where or "The text"}: the template that begins with "{shorten(text, 60)}" {what}',
        details={"field": where, "value": shorten(text), "expected": "{{ JQ }}"},
    )
