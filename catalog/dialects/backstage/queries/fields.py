"""`fields`: the parts of an entity that a client asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from catalog.kernel.errors import InvalidRequest, shorten

MAX_FIELDS: Final = 1000


def parse_fields(fields: Sequence[str]) -> tuple[str, ...] | None:
    """The paths; None for the whole entity. Raises InvalidRequest for a path into a list, and for
    more than `MAX_FIELDS`."""
    if len(fields) > MAX_FIELDS:
        raise InvalidRequest(
            f"Invalid fields: {len(fields):,} are asked for; expected {MAX_FIELDS} at most"
        )
    for field in fields:
        if "[" in field:
            raise InvalidRequest(
                f'Invalid field "{shorten(field)}", array type fields are not supported'
            )
    return tuple(dict.fromkeys(fields)) or None


def has_root(fields: Sequence[str] | None, root: str) -> bool:
    """Whether something under this root key is shown."""
    return fields is None or any(f"{field}.".startswith(f"{root}.") for field in fields)


def pick(entity: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """What of the entity stands at the paths. A key with dots is found where its beginning is
    none: `metadata.annotations.example.com/tier`."""
    picked: dict[str, Any] = {}
    for field in fields:
        value, path = _at(entity, field)
        if not path:
            continue
        into = picked
        for key in path[:-1]:
            into = into.setdefault(key, {})
        old = into.get(path[-1])
        # of a part and its whole, in whichever order, the whole is shown
        into[path[-1]] = {**old, **value} if isinstance(old, dict) and old is not value else value
    return picked


def _at(value: Any, field: str) -> tuple[Any, list[str]]:
    """The value at a path and the keys that lead there; no keys where there is none."""
    path: list[str] = []
    key = ""
    for part in field.split("."):
        key = f"{key}.{part}" if key else part
        if isinstance(value, dict) and key in value:
            value = value[key]
            path.append(key)
            key = ""
    return (None, []) if key else (value, path)
