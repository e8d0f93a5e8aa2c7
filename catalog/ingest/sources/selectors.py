"""How the selectors of mappings are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_on(selector: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """Whether a selector's switch is on; mappings also write it as the text "true" or "false"."""
    value = selector.get(name)
    if isinstance(value, str):
        return value.strip().lower() == "true"
    return default if value is None else bool(value)
