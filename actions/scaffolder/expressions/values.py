"""JavaScript's values over JSON's: undefined, truth, conversions, equality, order, JSON text.

Texts are counted in code points, so that no emoji is cut in two; JavaScript counts UTF-16 units.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from .budget import Meter
from .errors import Fault

WHITESPACE: Final = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_EXACT = 2**53  # the whole numbers below it are themselves in JavaScript
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_RADIX = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")
_INFINITY = {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}


class Undefined(Enum):
    """JavaScript's `undefined`: a name or key that is not there."""

    UNDEFINED = "undefined"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = Undefined.UNDEFINED


class Safe(str):
    """A text that `escape` leaves alone."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """A regular expression literal, `r/source/flags`."""

    source: str
    flags: str


@dataclass(frozen=True, slots=True, eq=False)
class Invocable:
    """Something a template can call: a global, a method of a value, a macro.

    call: takes the positional arguments and the named ones. member: what stands under a key of it.
    """

    name: str
    call: Callable[[list[Any], dict[str, Any]], Any]
    member: Callable[[str], Any] = lambda _: UNDEFINED


def kind_of(value: Any) -> str:
    """What a value is, for messages."""
    if value is UNDEFINED:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    for kind, name in (
        (str, "string"),
        (list, "array"),
        (dict, "record"),
        (Pattern, "regular expression"),
    ):
        if isinstance(value, kind):
            return name
    return "callable"


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def truthy(value: Any) -> bool:
    """JavaScript's truth: empty lists, objects and safe texts (objects, too) are true."""
    if isinstance(value, list | dict | Safe):
        return True
    return value == value and bool(value)


def number(value: float) -> int | float:
    """A result of arithmetic; a whole number becomes an int, so that it is one in JSON, too."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value


def to_number(value: Any, meter: Meter) -> int | float:
    """JavaScript's Number(value); a whole number beyond 2^53 becomes the nearest double."""
    value = to_primitive(value, meter)
    if value is UNDEFINED:
        return math.nan
    if value is None:
        return 0
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return _parse(value.strip(WHITESPACE))
    if isinstance(value, int) and abs(value) > _EXACT:
        try:
            return float(value)
        except OverflowError:
            return math.copysign(math.inf, value)
    return value  # type: ignore[no-any-return]


def _parse(text: str) -> int | float:
    if not text:
        return 0
    if _RADIX.fullmatch(text):
        return number(float(int(text, 0))) if len(text) < 256 else math.nan
    if _DECIMAL.fullmatch(text):
        return number(float(text))
    return _INFINITY.get(text, math.nan)


def to_integer(value: Any, meter: Meter, default: int | float = 0) -> int | float:
    """JavaScript's ToIntegerOrInfinity; `default` for undefined."""
    if value is UNDEFINED:
        return default
    result = to_number(value, meter)
    if result != result:
        return 0
    return result if math.isinf(result) else int(result)


def to_primitive(value: Any, meter: Meter) -> Any:
    if isinstance(value, list):
        return _listed(value, meter)
    if isinstance(value, dict):
        return "[object Object]"
    if isinstance(value, Pattern):
        return f"/{value.source}/{value.flags}"
    if isinstance(value, Invocable):
        raise Fault(f'"{value.name}" is a function; call it with ()')
    return value


def _listed(items: list[Any], meter: Meter) -> str:
    meter.enter()
    meter.items(len(items))
    parts = [render(item, meter) for item in items]
    meter.text(sum(map(len, parts)) + len(parts))
    meter.leave()
    return ",".join(parts)


def to_text(value: Any, meter: Meter) -> str:
    """JavaScript's String(value)."""
    value = to_primitive(value, meter)
    if isinstance(value, str):
        return str(value)
    if value is UNDEFINED:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value)


def render(value: Any, meter: Meter) -> str:
    """A value as it stands in a text: undefined and null are empty."""
    return "" if value is UNDEFINED or value is None else to_text(value, meter)


def number_text(value: int | float) -> str:
    """A number as JavaScript writes it: 1, 0.1, 1e+21, 1e-7; whole ones keep all their digits."""
    if isinstance(value, int):
        if abs(value) < 10**21:
            return str(value)
        value = to_float(value)
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0)
    if whole == "0":
        point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return sign + digits[0] + (f".{digits[1:]}" if count > 1 else "") + power


def to_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def strict_equal(left: Any, right: Any) -> bool:
    """`===`: lists and objects are equal to themselves alone."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if type(left) is str and type(right) is str:
        return left == right
    return left is right


def loose_equal(left: Any, right: Any, meter: Meter) -> bool:
    """`==`: numbers, texts and booleans are compared as numbers where their types differ."""
    if strict_equal(left, right):
        return True
    compound = (list, dict, Pattern, Invocable, Safe)
    if isinstance(left, compound) and isinstance(right, compound):
        return False
    left, right = to_primitive(left, meter), to_primitive(right, meter)
    nothing = (None, UNDEFINED)
    if left in nothing or right in nothing:
        return left in nothing and right in nothing
    if isinstance(left, str) and isinstance(right, str):
        return str(left) == str(right)
    return bool(to_number(left, meter) == to_number(right, meter))


def order(left: Any, right: Any, meter: Meter) -> float:
    """Below, at or above zero as JavaScript's `<` and `>` have it; NaN where neither is true."""
    left, right = to_primitive(left, meter), to_primitive(right, meter)
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    one, other = to_number(left, meter), to_number(right, meter)
    if one != one or other != other:
        return math.nan
    return (one > other) - (one < other)


def add(left: Any, right: Any, meter: Meter) -> Any:
    """`+`: puts texts together where either side is one, else adds."""
    left, right = to_primitive(left, meter), to_primitive(right, meter)
    if isinstance(left, str) or isinstance(right, str):
        return concat(left, right, meter)
    return number(to_float(to_number(left, meter)) + to_float(to_number(right, meter)))


def concat(left: Any, right: Any, meter: Meter) -> str:
    one, other = to_text(left, meter), to_text(right, meter)
    meter.text(len(one) + len(other))
    return one + other


def is_index(key: str, length: int) -> bool:
    return key.isascii() and key.isdigit() and str(int(key[:16])) == key and int(key) < length


def own(target: Any, key: str) -> Any:
    """What `target` holds under `key`, UNDEFINED where it holds nothing."""
    if isinstance(target, dict):
        return target.get(key, UNDEFINED)
    if isinstance(target, str | list):
        if key == "length":
            return len(target)
        if is_index(key, len(target)):
            return target[int(key)]
    return UNDEFINED


def has_own(target: Any, key: str) -> bool:
    if isinstance(target, dict):
        return key in target
    return isinstance(target, str | list) and (key == "length" or is_index(key, len(target)))


def detach(value: Any, meter: Meter) -> Any:
    """A copy as JSON has it: undefined keys left out, undefined items null, not-a-number null."""
    if isinstance(value, Invocable):
        raise Fault(f'"{value.name}" is a function; call it with ()')
    if isinstance(value, Pattern):
        return {}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not isinstance(value, list | dict):
        return value
    meter.enter()
    meter.items(len(value))
    copy: Any
    if isinstance(value, list):
        copy = [None if item is UNDEFINED else detach(item, meter) for item in value]
    else:
        copy = {k: detach(v, meter) for k, v in value.items() if v is not UNDEFINED}
    meter.leave()
    return copy


def json_text(value: Any, meter: Meter, indent: str = "") -> str:
    """JSON.stringify(value, null, indent)."""
    parts: list[str] = []
    _write_json(detach(value, meter), meter, parts, indent, "\n" if indent else "")
    meter.text(sum(map(len, parts)))
    return "".join(parts)


def _write_json(value: Any, meter: Meter, parts: list[str], indent: str, line: str) -> None:
    if isinstance(value, str):
        meter.text(len(value))
        parts.append(json.dumps(value, ensure_ascii=False))
    elif not isinstance(value, list | dict):
        parts.append("null" if value is None else to_text(value, meter))
    elif not value:
        parts.append("[]" if isinstance(value, list) else "{}")
    else:
        meter.items(len(value))
        inner = line + indent
        meter.text(len(value) * len(inner))
        colon = ": " if indent else ":"
        is_list = isinstance(value, list)
        parts.append("[" if is_list else "{")
        for index, key in enumerate(value):
            parts.append(f",{inner}" if index else inner)
            if is_list:
                _write_json(key, meter, parts, indent, inner)
            else:
                parts.append(json.dumps(key, ensure_ascii=False) + colon)
                _write_json(value[key], meter, parts, indent, inner)
        parts.append(line + ("]" if is_list else "}"))
