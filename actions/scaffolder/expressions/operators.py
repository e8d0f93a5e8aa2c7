"""The operators with two sides, as JavaScript has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from .budget import Meter
from .values import add, concat, loose_equal, number, order, strict_equal, to_float, to_number


def apply(operator: str, left: Any, right: Any, meter: Meter) -> Any:
    """`left operator right`, all but "and", "or" and "in"."""
    if operator in _OF_VALUES:
        return _OF_VALUES[operator](left, right, meter)
    one, other = (to_float(to_number(side, meter)) for side in (left, right))
    return number(_OF_NUMBERS[operator](one, other))


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    sign = math.copysign(1, left) * math.copysign(1, right)
    return math.nan if not left or left != left else sign * math.inf


def remainder(left: float, right: float) -> float:
    return math.nan if not right or math.isinf(left) else math.fmod(left, right)


def _power(left: float, right: float) -> float:
    if abs(left) == 1 and not math.isfinite(right):
        return math.nan
    try:
        result = left**right
    except OverflowError:
        is_odd = math.fmod(right, 2) != 0
        return -math.inf if left < 0 and is_odd else math.inf
    except ZeroDivisionError:
        return math.inf
    return math.nan if isinstance(result, complex) else result


_OF_NUMBERS: Final[Mapping[str, Callable[[float, float], float]]] = {
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
    "%": remainder,
    "**": _power,
}
_OF_VALUES: Final[Mapping[str, Callable[[Any, Any, Meter], Any]]] = {
    "+": add,
    "~": concat,
    "==": loose_equal,
    "!=": lambda left, right, meter: not loose_equal(left, right, meter),
    "===": lambda left, right, _: strict_equal(left, right),
    "!==": lambda left, right, _: not strict_equal(left, right),
    "<": lambda left, right, meter: order(left, right, meter) < 0,
    "<=": lambda left, right, meter: order(left, right, meter) <= 0,
    ">": lambda left, right, meter: order(left, right, meter) > 0,
    ">=": lambda left, right, meter: order(left, right, meter) >= 0,
}
