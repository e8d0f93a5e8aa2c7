"""The keys and values of an entity: what can be filtered, sorted and counted by.

Every scalar leaf is a pair of its dotted path and its value; a text in a list is besides a key of
its own with the value `true`. Relations are none of these: their other ends state them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

Pairs = dict[str, list[str | None]]

MAX_KEY: Final = 200  # characters; a longer key cannot be asked for
MAX_VALUE: Final = 200  # characters; of a longer value only the key is known

_UNINDEXED = frozenset(["attachments", "relations", "status", "metadata.etag"])


def pairs_and_terms(document: Mapping[str, Any]) -> tuple[Pairs, list[str]]:
    """The pairs of an entity, and the same as terms to select by (`key_term`, `value_term`).

    Pairs: {lower-case key: its values in their own case, each once, in the order of their
    lower-case forms}. None: there is a leaf, but no value to be found by; it comes last.
    """
    found: dict[str, dict[str | None, str]] = {}

    def add(path: str, value: str | None) -> None:
        if len(path) <= MAX_KEY:
            found.setdefault(path.lower(), {})[value] = "" if value is None else value.lower()

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
    pairs: Pairs = {}
    terms: set[str] = set()
    for key, values in found.items():
        known = sorted((value for value in values if value is not None), key=values.__getitem__)
        pairs[key] = [*known, None] if None in values else [*known]
        safe = _safe(key)
        terms.add(safe)
        terms.update(f"{safe}={values[value]}" for value in known)
    return pairs, sorted(terms)


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


def _safe(key: str) -> str:
    """With an equals sign of its own a key would look like another one with a value."""
    return key.replace("\\", "\\\\").replace("=", "\\=") if "=" in key or "\\" in key else key
