"""The methods of texts, lists and numbers that a template may call; none changes its value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from itertools import islice
from typing import Any, Final

from . import patterns
from .budget import Meter
from .errors import Fault
from .values import (
    UNDEFINED,
    WHITESPACE,
    Pattern,
    concat,
    is_number,
    number_text,
    strict_equal,
    to_integer,
    to_number,
    to_text,
)

Values = list[Any]


@dataclass(frozen=True, slots=True)
class Method:
    """call: (value, arguments, meter). least, most: how many arguments it takes."""

    call: Callable[[Any, Values, Meter], Any]
    least: int = 0
    most: float = 0


# What would change a list in place; a template works on values that others read, too.
_CHANGING: Final = frozenset(
    {
        *("append", "copyWithin", "fill", "insert", "pop", "push"),
        *("remove", "reverse", "shift", "sort", "splice", "unshift"),
    }
)


def find(value: Any, name: str, *, is_cookiecutter: bool) -> Method | None:
    """The method `name` of `value`. Raises Fault for one that would change it."""
    if isinstance(value, Pattern):
        return _PATTERN.get(name)
    if is_number(value):
        return _NUMBER.get(name)
    if isinstance(value, str):
        return _TEXT.get(name)
    if isinstance(value, list):
        if name in _CHANGING:
            raise Fault(
                f'Lists cannot be changed in templates: "{name}" is not there; '
                "use concat() or a filter, which give a new list"
            )
        return _LIST.get(name) or (_PYTHON_LIST.get(name) if is_cookiecutter else None)
    if isinstance(value, dict) and is_cookiecutter:
        return _PYTHON_DICT.get(name)
    return None


def _argument(arguments: Values, index: int) -> Any:
    return arguments[index] if index < len(arguments) else UNDEFINED


def _within(value: float, length: int) -> int:
    return int(min(max(value, 0), length))


def _from_end(value: Any, length: int, default: int, meter: Meter) -> int:
    """An index that counts from the end where it is negative, cut to 0..length."""
    index = to_integer(value, meter, default)
    return _within(index + length if index < 0 else index, length)


def _slice(value: Any, arguments: Values, meter: Meter) -> Any:
    size = len(value)
    start = _from_end(_argument(arguments, 0), size, 0, meter)
    end = _from_end(_argument(arguments, 1), size, size, meter)
    meter.walk(value)
    return value[start:end]


def _at(value: Any, arguments: Values, meter: Meter) -> Any:
    index = to_integer(_argument(arguments, 0), meter)
    index += len(value) if index < 0 else 0
    return value[int(index)] if 0 <= index < len(value) else UNDEFINED


# Texts


def _plain(value: Any, arguments: Values, meter: Meter, index: int = 0) -> str:
    argument = _argument(arguments, index)
    if isinstance(argument, Pattern):
        raise Fault("a regular expression does not fit here; give a text")
    meter.walk(value)
    return to_text(argument, meter)


def _char_at(value: str, arguments: Values, meter: Meter) -> str:
    index = to_integer(_argument(arguments, 0), meter)
    return value[int(index)] if 0 <= index < len(value) else ""


def _char_code_at(value: str, arguments: Values, meter: Meter) -> Any:
    sign = _char_at(value, arguments, meter)
    return ord(sign) if sign else math.nan


def _concat_text(value: str, arguments: Values, meter: Meter) -> str:
    for argument in arguments:
        value = concat(value, argument, meter)
    return value


def _includes_text(value: str, arguments: Values, meter: Meter) -> bool:
    start = _within(to_integer(_argument(arguments, 1), meter), len(value))
    return value.find(_plain(value, arguments, meter), start) >= 0


def _starts_with(value: str, arguments: Values, meter: Meter) -> bool:
    start = _within(to_integer(_argument(arguments, 1), meter), len(value))
    return value.startswith(_plain(value, arguments, meter), start)


def _ends_with(value: str, arguments: Values, meter: Meter) -> bool:
    end = _within(to_integer(_argument(arguments, 1), meter, len(value)), len(value))
    return value.endswith(_plain(value, arguments, meter), 0, end)


def _index_of_text(value: str, arguments: Values, meter: Meter) -> int:
    start = _within(to_integer(_argument(arguments, 1), meter), len(value))
    return value.find(_plain(value, arguments, meter), start)


def _last_index_of_text(value: str, arguments: Values, meter: Meter) -> int:
    limit = to_number(_argument(arguments, 1), meter)
    start = len(value) if limit != limit else _within(limit, len(value))
    wanted = _plain(value, arguments, meter)
    return value.rfind(wanted, 0, start + len(wanted))


def _replace(value: str, arguments: Values, meter: Meter, *, is_all: bool = False) -> str:
    replacement = to_text(arguments[1], meter)
    if isinstance(arguments[0], Pattern):
        if is_all and "g" not in arguments[0].flags:
            raise Fault("replaceAll needs a regular expression with the flag g")
        return patterns.replace(arguments[0], value, replacement, meter)
    wanted = _plain(value, arguments, meter)
    parts: list[str] = []
    length = at = begin = 0
    while (start := value.find(wanted, at)) >= 0:
        end = start + len(wanted)
        found = patterns.expand(replacement, value, (start, end), meter)
        parts += [value[begin:start], found]
        length += start - begin + len(found)
        meter.text(length)
        meter.spend()
        begin, at = end, max(end, start + 1)
        if not is_all or at > len(value):
            break
    meter.text(length + len(value) - begin)
    return "".join(parts) + value[begin:]


def _replace_all(value: str, arguments: Values, meter: Meter) -> str:
    return _replace(value, arguments, meter, is_all=True)


def _split(value: str, arguments: Values, meter: Meter) -> list[str]:
    limit = _argument(arguments, 1)
    most = None if limit is UNDEFINED else int(to_integer(limit, meter)) % 2**32
    separator = _argument(arguments, 0)
    if separator is UNDEFINED:
        return [value][:most]
    if isinstance(separator, Pattern):
        return list(islice(_split_by(separator, value, meter), most))
    text = to_text(separator, meter)
    meter.items(value.count(text) if text else len(value))
    meter.walk(value)
    return (value.split(text) if text else [*value])[:most]


def _split_by(pattern: Pattern, value: str, meter: Meter) -> Values:
    if not value:
        return [] if patterns.test(pattern, value, meter) else [value]
    parts: Values = []
    at = 0
    for match in patterns.matches(pattern, value, meter, is_global=True):
        start, end = match.span()
        if start == end and start in (at, len(value)):  # it would split off an empty text
            continue
        parts.append(value[at:start])
        parts += [UNDEFINED if group is None else group for group in match.groups()]
        at = end
    parts.append(value[at:])
    return parts


def _match(value: str, arguments: Values, meter: Meter) -> Any:
    pattern = _argument(arguments, 0)
    if not isinstance(pattern, Pattern):
        raise Fault("match needs a regular expression, as in r/[a-z]+/g")
    found = list(patterns.matches(pattern, value, meter))
    if not found:
        return None
    if "g" in pattern.flags:
        return [match.group() for match in found]
    return [UNDEFINED if g is None else g for g in (found[0].group(), *found[0].groups())]


def _search(value: str, arguments: Values, meter: Meter) -> int:
    pattern = _argument(arguments, 0)
    if not isinstance(pattern, Pattern):
        raise Fault("search needs a regular expression, as in r/[a-z]+/")
    match = next(patterns.matches(pattern, value, meter, is_global=False), None)
    return match.start() if match else -1


def _substring(value: str, arguments: Values, meter: Meter) -> str:
    size = len(value)
    start = _within(to_integer(_argument(arguments, 0), meter), size)
    end = _within(to_integer(_argument(arguments, 1), meter, size), size)
    return value[min(start, end) : max(start, end)]


def _substr(value: str, arguments: Values, meter: Meter) -> str:
    start = _from_end(_argument(arguments, 0), len(value), 0, meter)
    length = to_integer(_argument(arguments, 1), meter, len(value))
    return value[start : start + _within(length, len(value))]


def _padding(value: str, arguments: Values, meter: Meter) -> str:
    wanted = to_integer(_argument(arguments, 0), meter) - len(value)
    filler = _argument(arguments, 1)
    text = " " if filler is UNDEFINED else to_text(filler, meter)
    if wanted <= 0 or not text:
        return ""
    meter.text(wanted + len(value))
    return (text * (int(wanted) // len(text) + 1))[: int(wanted)]


def _repeat(value: str, arguments: Values, meter: Meter) -> str:
    count = to_integer(_argument(arguments, 0), meter)
    if count < 0 or math.isinf(count):
        raise Fault(f"repeat needs a count of 0 or more, not {number_text(count)}")
    meter.text(len(value) * count)
    return value * int(count)


def _charged(change: Callable[[str], str]) -> Callable[[Any, Values, Meter], Any]:
    def call(value: str, _: Values, meter: Meter) -> str:
        meter.text(len(value))
        return change(value)

    return call


# Lists


def _concat_list(value: Values, arguments: Values, meter: Meter) -> Values:
    result = [*value]
    for argument in arguments:
        result += argument if isinstance(argument, list) else [argument]
        meter.items(len(result))
    return result


def _flat(value: Values, arguments: Values, meter: Meter) -> Values:
    result: Values = []
    depth = to_integer(_argument(arguments, 0), meter, 1)
    _flatten(value, depth, result, meter)
    return result


def _flatten(value: Values, depth: float, result: Values, meter: Meter) -> None:
    meter.enter()
    for item in value:
        if depth > 0 and isinstance(item, list):
            _flatten(item, depth - 1, result, meter)
        else:
            result.append(item)
        meter.spend()
    meter.leave()


def _includes_list(value: Values, arguments: Values, meter: Meter) -> bool:
    wanted = arguments[0]
    if wanted != wanted and is_number(wanted):
        return any(is_number(item) and item != item for item in value)
    return _index_of_list(value, arguments, meter) >= 0


def _index_of_list(value: Values, arguments: Values, meter: Meter) -> int:
    meter.walk(value)
    start = _from_end(_argument(arguments, 1), len(value), 0, meter)
    for index in range(start, len(value)):
        if strict_equal(value[index], arguments[0]):
            return index
    return -1


def _last_index_of_list(value: Values, arguments: Values, meter: Meter) -> int:
    meter.walk(value)
    start = to_integer(_argument(arguments, 1), meter, len(value) - 1)
    start = start + len(value) if start < 0 else min(start, len(value) - 1)
    for index in range(int(max(start, -1)), -1, -1):
        if strict_equal(value[index], arguments[0]):
            return index
    return -1


def join(value: Values, separator: str, meter: Meter) -> str:
    """The items in one text; undefined and null are empty."""
    meter.items(len(value))
    parts = ["" if x is None or x is UNDEFINED else to_text(x, meter) for x in value]
    meter.text(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def _join(value: Values, arguments: Values, meter: Meter) -> str:
    separator = _argument(arguments, 0)
    return join(value, "," if separator is UNDEFINED else to_text(separator, meter), meter)


# Numbers


def _digits(arguments: Values, meter: Meter, least: int = 0) -> int | None:
    if _argument(arguments, 0) is UNDEFINED:
        return None
    digits = to_integer(arguments[0], meter)
    if not least <= digits <= 100:
        raise Fault(f"digits are {number_text(digits)}; expected {least} to 100")
    return int(digits)


def _to_fixed(value: float, arguments: Values, meter: Meter) -> str:
    digits = _digits(arguments, meter) or 0
    if not math.isfinite(value) or abs(value) >= 1e21:
        return number_text(value)
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, _WIDE)
    return f"{rounded:f}" if value else f"{abs(rounded):f}"


def _to_exponential(value: float, arguments: Values, meter: Meter) -> str:
    digits = _digits(arguments, meter)
    if not math.isfinite(value):
        return number_text(value)
    if digits is None:
        text = number_text(abs(value)).partition("e")[0].replace(".", "").strip("0")
        digits = max(len(text) - 1, 0)
    mantissa, _, exponent = f"{_half_up(value, digits + 1) or 0.0:.{digits}e}".partition("e")
    return f"{mantissa}e{'-' if exponent[0] == '-' else '+'}{int(exponent[1:])}"


def _to_precision(value: float, arguments: Values, meter: Meter) -> str:
    digits = _digits(arguments, meter, 1)
    if digits is None or not math.isfinite(value):
        return number_text(value)
    rounded = _half_up(value, digits)
    exponent = rounded.adjusted() if rounded else 0
    if exponent < -6 or exponent >= digits:
        return _to_exponential(value, [digits - 1], meter)
    return f"{rounded:.{max(digits - 1 - exponent, 0)}f}"


def _half_up(value: float, digits: int) -> Decimal:
    exact = Decimal(value)
    if not exact:
        return exact
    return exact.quantize(Decimal(1).scaleb(exact.adjusted() - digits + 1), ROUND_HALF_UP, _WIDE)


def _to_base(value: float, arguments: Values, meter: Meter) -> str:
    base = to_integer(_argument(arguments, 0), meter, 10)
    if not 2 <= base <= 36:
        raise Fault(f"the base is {number_text(base)}; expected 2 to 36")
    if base == 10 or not math.isfinite(value):
        return number_text(value)
    if value != int(value):
        raise Fault("only whole numbers can be written in another base")
    digits, rest = "", abs(int(value))
    while rest:
        rest, digit = divmod(rest, int(base))
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return ("-" if value < 0 else "") + (digits or "0")


_WIDE: Final = Context(prec=1200)  # every digit of the smallest double
_MANY: Final = math.inf

_NUMBER: Final[Mapping[str, Method]] = {
    "toExponential": Method(_to_exponential, 0, 1),
    "toFixed": Method(_to_fixed, 0, 1),
    "toPrecision": Method(_to_precision, 0, 1),
    "toString": Method(_to_base, 0, 1),
}
_PATTERN: Final[Mapping[str, Method]] = {
    "test": Method(lambda v, a, m: patterns.test(v, to_text(a[0], m), m), 1, 1),
}
_TEXT: Final[Mapping[str, Method]] = {
    "at": Method(_at, 1, 1),
    "charAt": Method(_char_at, 0, 1),
    "charCodeAt": Method(_char_code_at, 0, 1),
    "concat": Method(_concat_text, 0, _MANY),
    "endsWith": Method(_ends_with, 1, 2),
    "includes": Method(_includes_text, 1, 2),
    "indexOf": Method(_index_of_text, 1, 2),
    "lastIndexOf": Method(_last_index_of_text, 1, 2),
    "match": Method(_match, 1, 1),
    "padEnd": Method(lambda v, a, m: v + _padding(v, a, m), 1, 2),
    "padStart": Method(lambda v, a, m: _padding(v, a, m) + v, 1, 2),
    "repeat": Method(_repeat, 1, 1),
    "replace": Method(_replace, 2, 2),
    "replaceAll": Method(_replace_all, 2, 2),
    "search": Method(_search, 1, 1),
    "slice": Method(_slice, 0, 2),
    "split": Method(_split, 0, 2),
    "startsWith": Method(_starts_with, 1, 2),
    "substr": Method(_substr, 0, 2),
    "substring": Method(_substring, 0, 2),
    "toLowerCase": Method(_charged(str.lower)),
    "toString": Method(_charged(str)),
    "toUpperCase": Method(_charged(str.upper)),
    "trim": Method(_charged(lambda value: value.strip(WHITESPACE))),
    "trimEnd": Method(_charged(lambda value: value.rstrip(WHITESPACE))),
    "trimStart": Method(_charged(lambda value: value.lstrip(WHITESPACE))),
}
_LIST: Final[Mapping[str, Method]] = {
    "at": Method(_at, 1, 1),
    "concat": Method(_concat_list, 0, _MANY),
    "flat": Method(_flat, 0, 1),
    "includes": Method(_includes_list, 1, 2),
    "indexOf": Method(_index_of_list, 1, 2),
    "join": Method(_join, 0, 1),
    "lastIndexOf": Method(_last_index_of_list, 1, 2),
    "slice": Method(_slice, 0, 2),
    "toString": Method(lambda value, _, meter: to_text(value, meter)),
}
# Cookiecutter's templates call Python's.
_PYTHON_LIST: Final[Mapping[str, Method]] = {
    "count": Method(lambda v, a, _: sum(strict_equal(item, a[0]) for item in v), 1, 1),
    "find": Method(_index_of_list, 1, 1),
    "index": Method(_index_of_list, 1, 1),
}
_PYTHON_DICT: Final[Mapping[str, Method]] = {
    "get": Method(lambda v, a, m: v.get(to_text(a[0], m), _argument(a, 1)), 1, 2),
    "has_key": Method(lambda v, a, m: to_text(a[0], m) in v, 1, 1),
    "items": Method(lambda v, _, m: [[key, v[key]] for key in _keys(v, m)]),
    "keys": Method(lambda v, _, m: _keys(v, m)),
    "values": Method(lambda v, _, m: [v[key] for key in _keys(v, m)]),
}


def _keys(value: dict[str, Any], meter: Meter) -> list[str]:
    meter.items(len(value))
    return [*value]
