"""The filters that come with the dialect, those of Nunjucks."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Callable, Mapping
from functools import cmp_to_key
from typing import Any, Final
from urllib.parse import quote

from . import patterns
from .budget import Meter
from .checks import check
from .errors import Fault
from .methods import join as join_items
from .values import (
    UNDEFINED,
    WHITESPACE,
    Pattern,
    Safe,
    add,
    is_number,
    json_text,
    number,
    order,
    own,
    render,
    strict_equal,
    to_float,
    to_integer,
    to_number,
    to_text,
    truthy,
)

Filter = Callable[[Any, list[Any], Meter], Any]
_NOTHING = (None, UNDEFINED)


def _argument(arguments: list[Any], index: int, default: Any = UNDEFINED) -> Any:
    return arguments[index] if index < len(arguments) else default


def _or(value: Any, default: Any) -> Any:
    return value if truthy(value) else default


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Fault("Filter input must be a string")
    return value


def _text_or_empty(value: Any, meter: Meter) -> str:
    """A text; undefined, null and false are an empty one."""
    text = "" if value in _NOTHING or value is False else _text(value)
    meter.walk(text)
    return text


def _like(value: Any, text: str) -> str:
    """Safe where `value` was."""
    return Safe(text) if isinstance(value, Safe) else text


def _sequence(value: Any, name: str, meter: Meter) -> list[Any]:
    """The items of a list or a text; of anything else but nothing, none."""
    if value in _NOTHING:
        raise Fault(f"{name} requires a sequence")
    if not isinstance(value, list | str):
        return []
    meter.items(len(value))
    return [*value]


def _array(value: Any, name: str, meter: Meter) -> list[Any]:
    if not isinstance(value, list):
        raise Fault(f"{name} requires an array")
    meter.items(len(value))
    return value


def _attribute(value: Any, path: list[str]) -> Any:
    for key in path:
        if value in _NOTHING:
            raise Fault("Cannot read a template attribute from a nullish value")
        value = own(value, key)
    return value


def _path(value: Any, meter: Meter) -> list[str]:
    if not truthy(value):
        return []
    return value.split(".") if isinstance(value, str) else [to_text(value, meter)]


# Texts


def _capitalize(value: Any, _: list[Any], meter: Meter) -> str:
    text = _text_or_empty(value, meter).lower()
    return _like(value, text[:1].upper() + text[1:])


def _center(value: Any, arguments: list[Any], meter: Meter) -> Any:
    value = "" if value in _NOTHING or value is False else value
    width = _or(_argument(arguments, 0), 80)
    size = own(value, "length")
    if order(size, width, meter) >= 0:
        return value
    spaces = to_number(width, meter) - to_number(size, meter)
    text = to_text(value, meter)
    if spaces != spaces or spaces <= 0:
        return _like(value, text)
    meter.text(len(text) + spaces)
    left, right = max(math.ceil(spaces / 2 - spaces % 2), 0), math.ceil(spaces / 2)
    return _like(value, " " * left + text + " " * right)


_HTML: Final = {"&": "&amp;", '"': "&quot;", "'": "&#39;", "<": "&lt;", ">": "&gt;", "\\": "&#92;"}
_UNSAFE = re.compile(r"[&\"'<>\\]")


def _force_escape(value: Any, _: list[Any], meter: Meter) -> Safe:
    text = render(value, meter)
    meter.text(len(text) * 6)
    return Safe(_UNSAFE.sub(lambda match: _HTML[match.group()], text))


def _escape(value: Any, arguments: list[Any], meter: Meter) -> Safe:
    return value if isinstance(value, Safe) else _force_escape(value, arguments, meter)


def _indent(value: Any, arguments: list[Any], meter: Meter) -> Any:
    lines = _text_or_empty(value, meter).split("\n")
    width = to_number(_or(_argument(arguments, 0), 4), meter)
    width = 0 if width != width or width < 0 else width
    meter.text(len(lines) * width)
    margin = " " * math.ceil(width)
    is_first = truthy(_argument(arguments, 1))
    if value in ("", None, UNDEFINED, False):
        return ""
    return _like(value, "\n".join(margin + x if n or is_first else x for n, x in enumerate(lines)))


def _cased(change: Callable[[str], str]) -> Filter:
    return lambda value, _, meter: change(_text_or_empty(value, meter))


def _nl2br(value: Any, _: list[Any], meter: Meter) -> str:
    text = "" if value in _NOTHING else _text(value)
    meter.text(len(text) * 7)
    return _like(value, re.sub(r"\r\n|\n", "<br />\n", text))


def _replace(value: Any, arguments: list[Any], meter: Meter) -> Any:
    wanted, replacement = _argument(arguments, 0), _argument(arguments, 1)
    most = _argument(arguments, 2)
    if isinstance(wanted, Pattern):
        return patterns.replace(wanted, _text(value), to_text(replacement, meter), meter)
    if not isinstance(wanted, str) and not is_number(wanted):
        return value
    if not isinstance(value, str) and not is_number(value):
        return value
    text, sought = to_text(value, meter), to_text(wanted, meter)
    new = to_text(replacement, meter)
    limit = -1 if most is UNDEFINED else to_number(most, meter)
    count = text.count(sought) if limit == -1 else min(text.count(sought), max(limit, 0))
    meter.text(len(text) + count * max(len(new) - len(sought), 0))
    if not sought:  # Nunjucks puts it around and between all signs
        meter.text((len(text) + 1) * len(new))
        return _like(value, new + new.join(text) + new if text else new + new)
    return _like(value, text.replace(sought, new, math.ceil(count)) if count else text)


def _string(value: Any, _: list[Any], meter: Meter) -> str:
    if value in _NOTHING:
        raise Fault("string requires a value")
    return value if isinstance(value, Safe) else render(value, meter)


_TAG = re.compile(r"</?[a-z][a-z0-9]*\b[^>]*>|<!--[\s\S]*?-->", re.IGNORECASE | re.ASCII)


def _without_tags(text: str, meter: Meter) -> str:
    """All tags and comments cut out."""
    parts: list[str] = []
    last_tag, last_comment = text.rfind(">"), text.rfind("-->")
    at = 0
    while 0 <= (start := text.find("<", at)) < last_tag:
        meter.spend()
        # Looked for only where an end follows, so that each sign is passed once.
        can_end = start < last_comment or not text.startswith("<!--", start)
        match = _TAG.match(text, start) if can_end else None
        end = match.end() if match else start + 1
        parts.append(text[at : start if match else end])
        at = end
    parts.append(text[at:])
    return "".join(parts)


def _striptags(value: Any, arguments: list[Any], meter: Meter) -> str:
    text = _text_or_empty(value, meter)
    for _ in range(9):
        stripped = _without_tags(text, meter)
        if stripped == text:
            break
        text = stripped
    else:
        raise Fault("striptags input contains excessively nested markup")
    text = text.strip(WHITESPACE)
    if not truthy(_argument(arguments, 0)):
        return _like(value, re.sub(r"\s+", " ", text))
    text = "\n".join(line.strip(" ") for line in text.split("\n"))
    text = re.sub(" +", " ", text).replace("\r\n", "\n")
    return _like(value, re.sub(r"\n\n\n+", "\n\n", text))


def _title(value: Any, _: list[Any], meter: Meter) -> str:
    words = _text_or_empty(value, meter).lower().split(" ")
    return _like(value, " ".join(word[:1].upper() + word[1:] for word in words))


def _truncate(value: Any, arguments: list[Any], meter: Meter) -> Any:
    value = "" if value in _NOTHING or value is False else value
    length = to_number(_or(_argument(arguments, 0), 255), meter)
    if isinstance(value, str | list) and len(value) <= length:
        return value
    text = _text(value)
    meter.walk(text)
    cut = 0 if length != length or length < 0 else int(min(length, len(text)))
    if not truthy(_argument(arguments, 1)):
        space = text.rfind(" ", 0, cut + 1 if length == length else None)
        cut = cut if space < 0 else space
    end = _argument(arguments, 2)
    return _like(value, text[:cut] + ("..." if end in _NOTHING else to_text(end, meter)))


def _encoded(value: Any, meter: Meter) -> str:
    text = to_text(value, meter)
    meter.text(len(text) * 3)
    return quote(text, safe="-_.!~*'()", errors="replace")


def _urlencode(value: Any, _: list[Any], meter: Meter) -> str:
    if isinstance(value, str):
        return _encoded(value, meter)
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        pairs = [*value.items()]
    elif isinstance(value, list):
        if any(item in _NOTHING for item in value):
            raise Fault("urlencode sequence entries cannot be nullish")
        pairs = [(own(item, "0"), own(item, "1")) for item in value]
    meter.items(len(pairs))
    return "&".join(f"{_encoded(key, meter)}={_encoded(item, meter)}" for key, item in pairs)


_WORD = re.compile(r"(?:\(|<|&lt;)?(.*?)(?:\.|,|\)|\n|&gt;)?", re.DOTALL)
_MAIL = re.compile(r"[\w.!#$%&'*+\-/=?^`{|}~]+@[a-z\d-]+(?:\.[a-z\d-]+)+", re.IGNORECASE)
_DOMAIN = re.compile(r"\.(?:org|net|com)(?::|/|$)")


def _urlize(value: Any, arguments: list[Any], meter: Meter) -> str:
    text = _text(value)
    meter.text(len(text) * 3)
    limit = _argument(arguments, 0)
    length = None if limit is UNDEFINED else int(max(to_integer(limit, meter), 0))
    rel = ' rel="nofollow"' if _argument(arguments, 1) is True else ""
    return "".join(_linked(word, length, rel) for word in re.split(r"(\s+)", text))


def _linked(word: str, length: int | None, rel: str) -> str:
    match = _WORD.fullmatch(word)
    found = match[1] if match else word
    short = found[:length]
    if re.match(r"https?://", found):
        return f'<a href="{found}"{rel}>{short}</a>'
    if found.startswith("www."):
        return f'<a href="http://{found}"{rel}>{short}</a>'
    if len(found) < 255 and _MAIL.fullmatch(found):
        return f'<a href="mailto:{found}">{found}</a>'
    if _DOMAIN.search(found):
        return f'<a href="http://{found}"{rel}>{short}</a>'
    return word


def _wordcount(value: Any, _: list[Any], meter: Meter) -> Any:
    text = _text_or_empty(value, meter) if truthy(value) else ""
    return len(re.findall(r"\w+", text, re.ASCII)) or None


# Numbers


def _float(value: Any, arguments: list[Any], meter: Meter) -> Any:
    match = re.match(
        r"[+-]?(?:Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)",
        to_text(value, meter).lstrip(WHITESPACE),
        re.ASCII,
    )
    return number(float(match.group())) if match else _argument(arguments, 0)


def _int(value: Any, arguments: list[Any], meter: Meter) -> Any:
    base = int(to_integer(_argument(arguments, 1), meter, 10)) or 10
    text = to_text(value, meter).lstrip(WHITESPACE).lower()
    sign = -1 if text.startswith("-") else 1
    text = text[1:] if text[:1] in ("+", "-") else text
    if text.startswith("0x") and base == 16:
        text = text[2:]
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"[: max(base, 0)]
    size = len(text) - len(text.lstrip(digits))
    if not 2 <= base <= 36 or not size:
        return _argument(arguments, 0)
    if size > 1_000:
        raise Fault("the number has too many digits")
    return number(to_float(sign * int(text[:size], base)))


def _round(value: Any, arguments: list[Any], meter: Meter) -> Any:
    precision = to_number(_or(_argument(arguments, 0), 0), meter)
    try:
        factor = 10.0**precision
    except OverflowError:
        return math.nan
    given = to_number(value, meter) * factor
    if not math.isfinite(given):
        return number(given / factor if factor else math.nan)
    method = {"ceil": math.ceil, "floor": math.floor}.get(
        _argument(arguments, 1) if isinstance(_argument(arguments, 1), str) else "",
        lambda x: math.floor(x + 0.5),
    )
    return number(method(given) / factor)


def _sum(value: Any, arguments: list[Any], meter: Meter) -> Any:
    key = _argument(arguments, 0)
    items = _array(value, "sum", meter)
    if truthy(key):
        items = [_attribute(item, [to_text(key, meter)]) for item in items]
    total: Any = 0
    for item in items:
        total = add(total, item, meter)
    return add(_argument(arguments, 1, 0), total, meter)


# Lists and objects


def _batch(value: Any, arguments: list[Any], meter: Meter) -> list[Any]:
    items = _sequence(value, "batch", meter)
    size = to_integer(_argument(arguments, 0), meter)
    if not 0 < size < math.inf:
        raise Fault("Batch size must be a positive integer")
    rows = [items[at : at + int(size)] for at in range(0, len(items), int(size))]
    fill = _argument(arguments, 1)
    if rows and truthy(fill):
        meter.items(size)
        rows[-1] += [fill] * int(size - len(rows[-1]))
    return rows


def _default(value: Any, arguments: list[Any], _: Meter) -> Any:
    if truthy(_argument(arguments, 1)):
        return value if truthy(value) else _argument(arguments, 0)
    return _argument(arguments, 0) if value is UNDEFINED else value


def _dictsort(value: Any, arguments: list[Any], meter: Meter) -> list[Any]:
    if not isinstance(value, dict):
        raise Fault("dictsort requires a record")
    by = _argument(arguments, 1, "key")
    if by not in ("key", "value"):
        raise Fault("dictsort can only sort by key or value")
    is_cased = truthy(_argument(arguments, 0))

    def compare(one: list[Any], other: list[Any]) -> int:
        left, right = (pair[by == "value"] for pair in (one, other))
        if not is_cased:
            left, right = (x.upper() if isinstance(x, str) else x for x in (left, right))
        if order(left, right, meter) > 0:
            return 1
        return 0 if strict_equal(left, right) else -1

    return _sorted([[key, item] for key, item in value.items()], compare, meter)


def _sorted(items: list[Any], compare: Callable[[Any, Any], int], meter: Meter) -> list[Any]:
    def counted(one: Any, other: Any) -> int:
        meter.spend()
        return compare(one, other)

    meter.items(len(items))
    return sorted(items, key=cmp_to_key(counted))


def _sort(value: Any, arguments: list[Any], meter: Meter) -> list[Any]:
    sign = -1 if truthy(_argument(arguments, 0)) else 1
    is_cased = truthy(_argument(arguments, 1))
    path = _path(_argument(arguments, 2), meter)

    def compare(one: Any, other: Any) -> int:
        left, right = _attribute(one, path), _attribute(other, path)
        if not is_cased and isinstance(left, str) and isinstance(right, str):
            left, right = left.lower(), right.lower()
        result = order(left, right, meter)
        return 0 if result != result else sign * int(result)

    # As Nunjucks: what cannot be walked is sorted into nothing. Undefined items go last, as in JS.
    items = value if isinstance(value, list) else [*value] if isinstance(value, str) else []
    known = [item for item in items if item is not UNDEFINED]
    return _sorted(known, compare, meter) + [UNDEFINED] * (len(items) - len(known))


def _dump(value: Any, arguments: list[Any], meter: Meter) -> Any:
    if value is UNDEFINED:
        return UNDEFINED
    spacing = _argument(arguments, 0)
    indent = spacing[:10] if isinstance(spacing, str) else ""
    if is_number(spacing):
        indent = " " * int(min(max(to_integer(spacing, meter), 0), 10))
    return json_text(value, meter, indent)


def _edge(name: str, index: int) -> Filter:
    def edge(value: Any, _: list[Any], __: Meter) -> Any:
        if value in _NOTHING:
            raise Fault(f"{name} requires a sequence")
        if isinstance(value, list | str):
            return value[index] if value else UNDEFINED
        return own(value, "0") if not index else UNDEFINED

    return edge


def _groupby(value: Any, arguments: list[Any], meter: Meter) -> dict[str, list[Any]]:
    path = _path(_argument(arguments, 0), meter)
    groups: dict[str, list[Any]] = {}
    for item in _sequence(value, "groupby", meter):
        groups.setdefault(to_text(_attribute(item, path), meter), []).append(item)
    return groups


def _join(value: Any, arguments: list[Any], meter: Meter) -> str:
    separator = _or(_argument(arguments, 0), "")
    key = _argument(arguments, 1)
    if truthy(key):
        items = _sequence(value, "join", meter)
        value = [_attribute(item, [to_text(key, meter)]) for item in items]
    return join_items(_array(value, "join", meter), to_text(separator, meter), meter)


def _length(value: Any, _: list[Any], __: Meter) -> Any:
    if isinstance(value, str | list | dict):
        return len(value)
    return 0 if value in _NOTHING or value is False else UNDEFINED


def _list(value: Any, _: list[Any], meter: Meter) -> list[Any]:
    if isinstance(value, dict):
        meter.items(len(value))
        return [{"key": key, "value": item} for key, item in value.items()]
    if not isinstance(value, list | str):
        raise Fault("list requires an iterable value")
    meter.items(len(value))
    return [*value]


def _random(value: Any, _: list[Any], meter: Meter) -> Any:
    items = _sequence(value, "random", meter)
    return secrets.choice(items) if items else UNDEFINED


def _reverse(value: Any, _: list[Any], meter: Meter) -> Any:
    meter.walk(value)
    if isinstance(value, str):
        return _like(value, value[::-1])
    return value[::-1] if isinstance(value, list) else []


def _selected(name: str, wanted: bool) -> Filter:
    def select(value: Any, arguments: list[Any], meter: Meter) -> list[Any]:
        test = "truthy" if _argument(arguments, 0) is UNDEFINED else to_text(arguments[0], meter)
        items = _sequence(value, name, meter)
        return [item for item in items if check(test, item, arguments[1:], meter) is wanted]

    return select


def _with_attribute(name: str, wanted: bool) -> Filter:
    def select(value: Any, arguments: list[Any], meter: Meter) -> list[Any]:
        key = to_text(_argument(arguments, 0), meter)
        items = _array(value, name, meter)
        return [item for item in items if truthy(_attribute(item, [key])) is wanted]

    return select


def _slice(value: Any, arguments: list[Any], meter: Meter) -> list[Any]:
    if not isinstance(value, list | str):
        raise Fault("slice requires a sequence")
    count = to_integer(_argument(arguments, 0), meter)
    if not 0 < count < math.inf:
        raise Fault("Slice count must be a positive integer")
    meter.items(count + len(value))
    fill = _argument(arguments, 1)
    base, extra = divmod(len(value), int(count))
    result: list[Any] = []
    at = 0
    for index in range(int(count)):
        size = base + (index < extra)
        part = value[at : at + size]
        at += size
        if truthy(fill) and index >= extra:
            if isinstance(part, str):
                raise Fault("slice cannot append a fill value to a string")
            part = [*part, fill]
        result.append(part)
    return result


FILTERS: Final[Mapping[str, Filter]] = {
    "abs": lambda value, _, meter: number(abs(to_number(value, meter))),
    "batch": _batch,
    "capitalize": _capitalize,
    "center": _center,
    "d": _default,
    "default": _default,
    "dictsort": _dictsort,
    "dump": _dump,
    "e": _escape,
    "escape": _escape,
    "first": _edge("first", 0),
    "float": _float,
    "forceescape": _force_escape,
    "groupby": _groupby,
    "indent": _indent,
    "int": _int,
    "join": _join,
    "last": _edge("last", -1),
    "length": _length,
    "list": _list,
    "lower": _cased(str.lower),
    "nl2br": _nl2br,
    "random": _random,
    "reject": _selected("reject", False),
    "rejectattr": _with_attribute("rejectattr", False),
    "replace": _replace,
    "reverse": _reverse,
    "round": _round,
    "safe": lambda v, _, meter: v if isinstance(v, Safe) else Safe(render(v, meter)),
    "select": _selected("select", True),
    "selectattr": _with_attribute("selectattr", True),
    "slice": _slice,
    "sort": _sort,
    "string": _string,
    "striptags": _striptags,
    "sum": _sum,
    "title": _title,
    "trim": lambda v, _, meter: _like(v, _text(v).strip(WHITESPACE)),
    "truncate": _truncate,
    "upper": _cased(str.upper),
    "urlencode": _urlencode,
    "urlize": _urlize,
    "wordcount": _wordcount,
}
# Filters whose arguments have names; of others, named ones come as one object, as in Nunjucks.
PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    "int": ("default", "base"),
    "sort": ("reverse", "case_sensitive", "attribute"),
}
