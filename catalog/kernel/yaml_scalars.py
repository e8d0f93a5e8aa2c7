"""What a YAML scalar stands for: the types of the YAML 1.2 core schema, as JSON values.

A number that JSON cannot hold stays text; an integral float is an int, as in JavaScript; an
integer beyond 64 bits is a float.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from catalog.kernel.errors import shorten

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WORDS_1_1: dict[str, Any] = {
    **_WORDS,
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
}
# A plain scalar that begins otherwise is text; most do, so most need no look at all.
MAYBE_TYPED = frozenset(["", *"0123456789+-.~nNtTfF"])
MAYBE_TYPED_1_1 = MAYBE_TYPED | frozenset("yYoO")

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_OCTAL = re.compile(r"0o([0-7]+)")
_HEX = re.compile(r"0x([0-9a-fA-F]+)")
_BASED_1_1 = re.compile(r"([-+]?)0(?:b([01_]+)|x([0-9a-fA-F_]+)|([0-7_]+))")
_BASES_1_1 = {2: 2, 3: 16, 4: 8}
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")

_BIGGEST = 2**63 - 1
_EXACT = 2**53  # up to here a float and the integer it stands for are the same number


def resolve(text: str) -> Any:
    """The value of a plain scalar under the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text, 10, text)
    if _FLOAT.fullmatch(text):
        return _number(float(text), text)
    if match := _OCTAL.fullmatch(text):
        return _integer(match[1], 8, text)
    if match := _HEX.fullmatch(text):
        return _integer(match[1], 16, text)
    return text


def resolve_1_1(text: str) -> Any:
    """The same for a document that begins with `%YAML 1.1`. Dates stay text: JSON has none."""
    if text in _WORDS_1_1:
        return _WORDS_1_1[text]
    if match := _BASED_1_1.fullmatch(text):
        digits = match[match.lastindex or 0].replace("_", "")
        if digits:
            return _integer(match[1] + digits, _BASES_1_1[match.lastindex or 0], text)
    elif _SEXAGESIMAL.fullmatch(text):
        total = 0.0
        for part in text.lstrip("+-").replace("_", "").split(":"):
            total = total * 60 + float(part)
        return _number(-total if text[0] == "-" else total, text)
    return (
        resolve(text.replace("_", ""))
        if text[0] in "0123456789+-." and "_" in text
        else (resolve(text))
    )


def _integer(digits: str, base: int, text: str) -> Any:
    # int() refuses thousands of digits, and a float ends near 10**308.
    if len(digits) > 300:
        return text
    value = int(digits, base)
    return value if -_BIGGEST <= value <= _BIGGEST else _number(float(value), text)


def _number(value: float, text: str) -> Any:
    if value - value != 0:  # infinite or not a number
        return text
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


_TYPES = {
    "tag:yaml.org,2002:int": (int, float),
    "tag:yaml.org,2002:float": (int, float),
    "tag:yaml.org,2002:bool": (bool,),
    "tag:yaml.org,2002:null": (type(None),),
}


def tagged(text: str, tag: str, resolve: Callable[[str], Any]) -> Any:
    """A scalar with an explicit tag: a core type where the text fits it, else text."""
    if types := _TYPES.get(tag):
        value = resolve(text)
        if type(value) in types:
            return value
    return text


def as_key(value: Any) -> str:
    """Map keys are text in JSON. A list or map as a key is written out, as in `{ x }`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        inner = ", ".join(k if v is None else f"{k}: {as_key(v)}" for k, v in value.items())
        return shorten(f"{{ {inner} }}", 200)
    if isinstance(value, list):
        return shorten(f"[ {', '.join(map(as_key, value))} ]", 200)
    return str(value)
