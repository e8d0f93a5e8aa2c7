"""The keys and values of an entity: what can be filtered, sorted and counted by.

Every scalar leaf is a pair of its dotted path and its value; a text in a list is besides a key of
its own with the value `true`. Relations are none of these: their other ends state them too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

Pairs = dict[str, list[str | None]]

MAX_KEY: Final = 200  # characters; a longer key cannot be asked for
MAX_VALUE: Final = 200  # characters; of a longer value only the key is known

_UNINDEXED = frozenset(["attachments", "relations", "status", "metadata.etag"])


def pairs_of(document: Mapping[str, Any]) -> Pairs:
    """{lower-case key: its values in their own case, each once, in the order of their lower-case
    forms}. None: there is a leaf, but no value to be found by; it comes last."""
    found: dict[str, dict[str | None, None]] = {}

    def add(path: str, value: str | None) -> None:
        if len(path) <= MAX_KEY:
            found.setdefault(path.lower(), {})[value] = None

    def visit(path: str, value: Any) -> None:
        if path in _UNINDEXED:
            return
        if isinstance(value, dict):
            for key, one in value.items():
                visit(f"{path}.{key}" if path else key, one)
        elif isinstance(value, list):
            for one in value:
                visit(path, one)
                if isinstance(one, str):
                    add(f"{path}.{one}", "true")
        else:
            text = value_text(value)
            add(path, text if text is not None and len(text) <= MAX_VALUE else None)

    visit("", document)
    return {key: sorted(values, key=_order) for key, values in found.items()}


def terms_of(pairs: Pairs) -> list[str]:
    """The pairs to be selected by: `key_term` of each key, `value_term` of each value."""
    terms = {key_term(key) for key in pairs}
    terms.update(
        value_term(key, value)
        for key, values in pairs.items()
        for value in values
        if value is not None
    )
    return sorted(terms)


def key_term(key: str) -> str:
    """The term of all that have this key."""
    return _safe(key.lower())


def value_term(key: str, value: str) -> str:
    """The term of all that have this value under this key."""
    return f"{_safe(key.lower())}={value.lower()}"


def value_text(value: Any) -> str | None:
    """A scalar as text, as JavaScript writes it; None for null."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return orjson.dumps(value).decode() if isinstance(value, bool | float) else str(value)


def values_under(pairs: Pairs, key: str) -> Iterable[str]:
    """The values under a key in lower case."""
    return (value.lower() for value in pairs.get(key.lower(), []) if value is not None)


def _order(value: str | None) -> tuple[bool, str]:
    return value is None, (value or "").lower()


def _safe(key: str) -> str:
    """With an equals sign of its own a key would look like another one with a value."""
    return key.replace("\\", "\\\\").replace("=", "\\=") if "=" in key or "\\" in key else key
