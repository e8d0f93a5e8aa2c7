"""JSON as `JSON.stringify(JSON.parse(text))` of JavaScript gives it back, so that receivers which
check a signature over the body as they read and wrote it come to the text that was sent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_INDEX: Final = re.compile(r"0|[1-9]\d{0,9}")
_MAX_INDEX: Final = 2**32 - 2


def stringify(value: Any) -> str:
    """`value` (JSON) without blanks; numbers as the doubles they become there, and keys that are
    indexes of arrays first.
    """
    return "".join(_pieces(value))


def _pieces(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield _text(value)
    elif value is None or isinstance(value, bool):
        yield json.dumps(value)
    elif isinstance(value, int | float):
        yield number(value)
    elif isinstance(value, Mapping):
        yield "{"
        for place, key in enumerate(_ordered(value)):
            yield f"{',' if place else ''}{_text(key)}:"
            yield from _pieces(value[key])
        yield "}"
    else:
        yield "["
        for place, one in enumerate(value):
            if place:
                yield ","
            yield from _pieces(one)
        yield "]"


def number(value: float) -> str:
    """A number as JavaScript writes it: the shortest digits of the double, without an exponent
    from 1e-6 up to 1e21.
    """
    try:
        double = float(value)
    except OverflowError:
        double = math.inf
    if not math.isfinite(double):
        return "null"
    if double == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(double)).normalize().as_tuple()
    text = "".join(map(str, digits))
    point = len(text) + int(exponent)  # where the decimal point stands, from the first digit
    if len(text) <= point <= 21:
        shown = text + "0" * (point - len(text))
    elif 0 < point <= 21:
        shown = f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        shown = f"0.{'0' * -point}{text}"
    else:
        fraction = f".{text[1:]}" if len(text) > 1 else ""
        shown = f"{text[0]}{fraction}e{point - 1:+d}"
    return f"-{shown}" if sign else shown


def _text(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", quoted)


def _ordered(value: Mapping[str, Any]) -> list[str]:
    """The keys in the order that an object of JavaScript has them."""
    indexes = [key for key in value if _INDEX.fullmatch(key) and int(key) <= _MAX_INDEX]
    return [*sorted(indexes, key=int), *(key for key in value if key not in set(indexes))]
