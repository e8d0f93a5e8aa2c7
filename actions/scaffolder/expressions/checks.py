"""The tests of `is`: each tells true or false of a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .budget import Meter
from .errors import Fault
from .operators import remainder
from .values import (
    UNDEFINED,
    Invocable,
    Pattern,
    Safe,
    is_number,
    kind_of,
    order,
    strict_equal,
    to_number,
    truthy,
)


@dataclass(frozen=True, slots=True)
class Check:
    """call: (value, arguments, meter). takes: how many arguments."""

    call: Callable[[Any, list[Any], Meter], bool]
    takes: int = 0


def _plain(value: Any) -> str:
    if not isinstance(value, str):
        raise Fault(f"a text is needed, not {kind_of(value)}")
    return value


def _iterable(value: Any, _: list[Any], __: Meter) -> bool:
    if value is None or value is UNDEFINED:
        raise Fault("iterable test requires a value")
    return isinstance(value, str | list)


def _remainder(value: Any, divisor: Any, meter: Meter) -> float:
    return remainder(to_number(value, meter), to_number(divisor, meter))


def _same(value: Any, arguments: list[Any], _: Meter) -> bool:
    return strict_equal(value, arguments[0])


_LESS = Check(lambda v, a, m: order(v, a[0], m) < 0, 1)
_MORE = Check(lambda v, a, m: order(v, a[0], m) > 0, 1)

CHECKS: Final[Mapping[str, Check]] = {
    "callable": Check(lambda v, _, __: isinstance(v, Invocable)),
    "defined": Check(lambda v, _, __: v is not UNDEFINED),
    "divisibleby": Check(lambda v, a, m: _remainder(v, a[0], m) == 0, 1),
    "eq": Check(_same, 1),
    "equalto": Check(_same, 1),
    "escaped": Check(lambda v, _, __: isinstance(v, Safe)),
    "even": Check(lambda v, _, m: _remainder(v, 2, m) == 0),
    "falsy": Check(lambda v, _, __: not truthy(v)),
    "ge": Check(lambda v, a, m: order(v, a[0], m) >= 0, 1),
    "greaterthan": _MORE,
    "gt": _MORE,
    "iterable": Check(_iterable),
    "le": Check(lambda v, a, m: order(v, a[0], m) <= 0, 1),
    "lessthan": _LESS,
    "lower": Check(lambda v, _, __: _plain(v) == v.lower() and not isinstance(v, Safe)),
    "lt": _LESS,
    "mapping": Check(lambda v, _, __: isinstance(v, dict | Safe | Pattern)),
    "ne": Check(lambda v, a, m: not _same(v, a, m), 1),
    "null": Check(lambda v, _, __: v is None),
    "number": Check(lambda v, _, __: is_number(v)),
    "odd": Check(lambda v, _, m: _remainder(v, 2, m) == 1),
    "sameas": Check(_same, 1),
    "string": Check(lambda v, _, __: isinstance(v, str) and not isinstance(v, Safe)),
    "truthy": Check(lambda v, _, __: truthy(v)),
    "undefined": Check(lambda v, _, __: v is UNDEFINED),
    "upper": Check(lambda v, _, __: _plain(v) == v.upper() and not isinstance(v, Safe)),
}


def check(name: str, value: Any, arguments: list[Any], meter: Meter) -> bool:
    """Raises Fault for an unknown test and for a wrong number of arguments."""
    if name not in CHECKS:
        raise Fault(f'Unknown template test "{name}"')
    found = CHECKS[name]
    if len(arguments) != found.takes:
        raise Fault(f"Template test {name} requires {found.takes} positional argument(s)")
    return found.call(value, arguments, meter)
