"""Further things in the header of every page: whoever brings one registers it in
`AppConfig.ready`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class HeaderItem:
    """context: what the template gets for a request of somebody who is logged in; cheap, since it
    is asked on every page.
    """

    name: str
    template: str
    context: Callable[[HttpRequest], Mapping[str, Any]]


_items: dict[str, HeaderItem] = {}


def register_header_item(item: HeaderItem) -> None:
    """Put it behind those before it. Raises ValueError when the name is taken."""
    if item.name in _items:
        raise ValueError(f"The header has an item {item.name!r} already")
    _items[item.name] = item


def header_items() -> Sequence[HeaderItem]:
    return list(_items.values())
