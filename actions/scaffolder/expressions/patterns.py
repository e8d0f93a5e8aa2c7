"""JavaScript's regular expressions, run by `regex` with a time limit: syntax, flags, `$1`.

The pattern is written anew for `regex`, sign by sign, so that what only one of both knows
(recursion, fuzzy matching, verbs, `\\Z`) never gets through.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import regex

from .budget import Meter
from .errors import Fault, LimitReached
from .values import WHITESPACE, Pattern

_MAX_LENGTH = 2_000
_MAX_GROUPS = 20
_MAX_WEIGHT = 2_000  # signs of a pattern with its counted repeats unrolled, as `regex` does
_FLAGS = {"g": 0, "i": regex.IGNORECASE, "m": 0, "s": 0, "u": 0, "y": 0}
_LINE_ENDS = "\\n\\r\\u2028\\u2029"
_SPACE = "".join(f"\\u{ord(sign):04x}" for sign in WHITESPACE)
_WORD = "A-Za-z0-9_"
_CLASSES = {"d": "0-9", "w": _WORD, "s": _SPACE}
_CLASS_SIGNS = tuple("dDwWsS")
_CONTROLS = {"n": "\\n", "r": "\\r", "t": "\\t", "v": "\\x0b", "f": "\\x0c"}
# What \D, \W and \S add to a character class: all signs but those.
_OTHERS = {
    "D": "\\x00-/:-\\U0010ffff",
    "W": "\\x00-/:-@\\[-\\^`{-\\U0010ffff",
    "S": "".join(
        f"\\U{before + 1:08x}-\\U{after - 1:08x}"
        for before, after in pairwise([-1, *sorted(map(ord, WHITESPACE)), 0x110000])
        if after - before > 1
    ),
}
_AT_WORD = f"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))"
_INSIDE_WORD = f"(?:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))"
_GROUP = regex.compile(r"\(\?(?:[:=!]|<[=!]|<([A-Za-z_$][\w$]*)>)|\((?!\?)")
_QUANTIFIER = regex.compile(r"(?:[*+?]|\{(\d{1,9})(?:,(\d{0,9}))?\})\??")
_NAMED = regex.compile(r"k<([A-Za-z_$][\w$]*)>")
_HEX = regex.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}")


def test(pattern: Pattern, text: str, meter: Meter) -> bool:
    return next(matches(pattern, text, meter, is_global=False), None) is not None


def matches(
    pattern: Pattern, text: str, meter: Meter, *, is_global: bool | None = None
) -> Iterator[Any]:
    """The first match, or all of them where the flags say "g" (or `is_global` does).

    Raises Fault for a pattern that is not one, LimitReached when the time is up.
    """
    program = compiled(pattern)
    every = "g" in pattern.flags if is_global is None else is_global
    find = program.match if "y" in pattern.flags else program.search
    at = 0
    while at <= len(text):
        meter.spend()
        match = _timed(find, text, at, meter)
        if match is None:
            return
        yield match
        if not every:
            return
        at = match.end() + (match.start() == match.end())


def _timed(find: Any, text: str, at: int, meter: Meter) -> Any:
    if meter.regex_seconds <= 0:
        raise LimitReached("regex_seconds", meter.budget.regex_seconds)
    began = time.monotonic()
    try:
        return find(text, pos=at, timeout=meter.regex_seconds)
    except TimeoutError:
        raise LimitReached("regex_seconds", meter.budget.regex_seconds) from None
    finally:
        meter.regex_seconds -= time.monotonic() - began


def replace(pattern: Pattern, text: str, replacement: str, meter: Meter) -> str:
    """Every match with "g", else the first; `$1`, `$<name>`, `$&`, `` $` ``, `$'` and `$$` work."""
    parts: list[str] = []
    at = 0
    for match in matches(pattern, text, meter):
        parts.append(text[at : match.start()])
        at = match.end()
        groups, names = match.groups(), match.groupdict()
        parts.append(expand(replacement, text, match.span(), meter, groups, names))
    parts.append(text[at:])
    meter.text(sum(map(len, parts)))
    return "".join(parts)


_REFERENCE = regex.compile(r"\$(?:([$&`'])|(\d{1,2})|<([^>]*)>)")


def expand(
    replacement: str,
    text: str,
    span: tuple[int, int],
    meter: Meter,
    groups: tuple[str | None, ...] = (),
    names: dict[str, str | None] | None = None,
) -> str:
    """The replacement for what was found in `text` at `span`."""
    start, end = span
    signs: dict[str, Callable[[], str]] = {
        "$": lambda: "$",
        "&": lambda: text[start:end],
        "`": lambda: text[:start],
        "'": lambda: text[end:],
    }
    parts: list[str] = []
    length = at = 0
    for reference in _REFERENCE.finditer(replacement):
        sign, digits, name = reference.groups()
        literal = reference.group()
        if sign:
            found = signs[sign]()
        elif digits:
            found = _numbered(digits, groups, literal)
        else:
            found = names.get(name) or "" if names else literal
        parts += [replacement[at : reference.start()], found]
        length += len(found)
        meter.text(length)
        at = reference.end()
    parts.append(replacement[at:])
    return "".join(parts)


def _numbered(digits: str, groups: tuple[str | None, ...], literal: str) -> str:
    """`$12` is the twelfth group where there are as many, else the first and a "2"."""
    for taken in (2, 1):
        if len(digits) >= taken and 0 < int(digits[:taken]) <= len(groups):
            return (groups[int(digits[:taken]) - 1] or "") + digits[taken:]
    return literal


def compiled(pattern: Pattern) -> Any:
    """The program for `regex`. Raises Fault for a pattern that is not one."""
    return _compiled(pattern.source, pattern.flags)


@lru_cache(maxsize=256)
def _compiled(source: str, flags: str) -> Any:
    if len(source) > _MAX_LENGTH:
        raise Fault(f"Regular-expression literal exceeds {_MAX_LENGTH:,} characters")
    if set(flags) - set(_FLAGS) or len(set(flags)) < len(flags):
        raise Fault(f'Unsupported regular-expression flags "{flags}"; known: gimsuy, once each')
    translated = _Translator(source, flags).translate()
    try:
        return regex.compile(translated, regex.VERSION0 | (regex.IGNORECASE if "i" in flags else 0))
    except regex.error as error:
        raise Fault(f"Invalid regular-expression literal: {error.msg}") from None


class _Translator:
    def __init__(self, source: str, flags: str) -> None:
        self.source = source
        self.is_multiline = "m" in flags
        self.dot = "(?s:.)" if "s" in flags else f"[^{_LINE_ENDS}]"
        self.at = 0

    def translate(self) -> str:
        parts: list[str] = []
        weights = [0]  # of the groups that are open
        last = 0  # weight of the part that a quantifier would repeat; 0: there is none
        while self.at < len(self.source):
            sign = self.source[self.at]
            if (match := _QUANTIFIER.match(self.source, self.at)) and sign in "*+?{":
                if not last:
                    raise Fault("Invalid regular-expression literal: nothing to repeat")
                weights[-1] += last * max(int(count or 1) - 1 for count in (*match.groups(), 1))
                if weights[-1] > _MAX_WEIGHT:
                    raise Fault("A regular expression repeats too much")
                parts.append(match.group())
                self.at = match.end()
                last = 0
                continue
            parts.append(self.atom(sign))
            last = self.weigh(sign, weights)
        return "".join(parts)

    def weigh(self, sign: str, weights: list[int]) -> int:
        """The weight of what was just read; the groups that are open count it."""
        if sign == "(":
            weights.append(1)
            if len(weights) > _MAX_GROUPS:
                raise Fault(f"A regular expression nests more than {_MAX_GROUPS} groups")
            return 0
        if sign == ")" and len(weights) == 1:
            raise Fault("Invalid regular-expression literal: a group is closed too often")
        weight = weights.pop() if sign == ")" else 1
        weights[-1] += weight
        return 0 if sign in "|^" else weight

    def atom(self, sign: str) -> str:
        if sign == "(":
            return self.group()
        if sign == "[":
            return self.set()
        if sign == "\\":
            return self.escape(is_in_set=False)
        self.at += 1
        if sign == ".":
            return self.dot
        if sign == "^":
            return f"(?:(?<=[{_LINE_ENDS}])|\\A)" if self.is_multiline else "\\A"
        if sign == "$":
            return f"(?:(?=[{_LINE_ENDS}])|\\Z)" if self.is_multiline else "\\Z"
        return sign if sign in "|)" else _literal(sign)

    def group(self) -> str:
        match = _GROUP.match(self.source, self.at)
        if not match:
            raise Fault("Invalid regular-expression literal: unknown group")
        self.at = match.end()
        return match.group() if not match[1] else f"(?P<{match[1]}>"

    def set(self) -> str:
        """`[…]`; `[]` matches nothing and `[^]` everything."""
        self.at += 1
        is_negated = self.source.startswith("^", self.at)
        self.at += is_negated
        parts: list[str] = []
        classes: set[int] = set()  # places where a "-" makes no range
        while not self.source.startswith("]", self.at):
            if self.at >= len(self.source):
                raise Fault("Invalid regular-expression literal: unterminated character class")
            sign = self.source[self.at]
            if sign == "\\":
                if self.source[self.at + 1 : self.at + 2] in _CLASS_SIGNS:
                    classes |= {len(parts) - 1, len(parts), len(parts) + 1}
                parts.append(self.escape(is_in_set=True))
                continue
            self.at += 1
            parts.append("-" if sign == "-" else _literal(sign))
        self.at += 1
        if not parts:
            return "(?s:.)" if is_negated else "(?!)"
        for index in classes | {0, len(parts) - 1}:
            if 0 <= index < len(parts) and parts[index] == "-":
                parts[index] = "\\-"
        return f"[{'^' if is_negated else ''}{''.join(parts)}]"

    def escape(self, *, is_in_set: bool) -> str:
        self.at += 1
        rest = self.source[self.at :]
        sign = rest[:1]
        if not sign:
            raise Fault("Invalid regular-expression literal: it ends with a backslash")
        if hexadecimal := _HEX.match(rest):
            self.at += hexadecimal.end()
            code = int(next(filter(None, hexadecimal.groups())), 16)
            if code > 0x10FFFF:
                raise Fault("Invalid regular-expression literal: no such character")
            return _literal(chr(code))
        if not is_in_set and (named := _NAMED.match(rest)):
            self.at += named.end()
            return f"(?P={named[1]})"
        if not is_in_set and sign in "123456789":
            digits = rest[: 1 + rest[1:2].isdecimal()]
            self.at += len(digits)
            return f"(?:\\{digits})"
        self.at += 1
        if sign.lower() in _CLASSES:
            inside = _CLASSES[sign.lower()]
            if is_in_set:
                return inside if sign.islower() else _OTHERS[sign]
            return f"[{inside}]" if sign.islower() else f"[^{inside}]"
        if sign == "b":
            return "\\x08" if is_in_set else _AT_WORD
        if sign == "B" and not is_in_set:
            return _INSIDE_WORD
        if sign == "0":
            return "\\x00"
        return _CONTROLS.get(sign) or _literal(sign)


def _literal(sign: str) -> str:
    """One sign that stands for itself, inside and outside a character class."""
    return sign if sign.isalnum() or sign == "_" else f"\\U{ord(sign):08x}"
