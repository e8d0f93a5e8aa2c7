"""Places of descriptors on pages."""

from __future__ import annotations

from collections.abc import Sized

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from catalog.selectors.locations import Fault

register = template.Library()


@register.filter
def place_link(place: str, folder: str = "") -> SafeString:
    """A place as its path, or as a link to its address; what lies below `folder` without that."""
    return _linked(place, 0, folder)


@register.filter
def file_line(fault: Fault, folder: str = "") -> SafeString:
    """`catalog-info.yaml:12`, which leads there where it has an address."""
    return _linked(fault.place, fault.line, folder)


@register.filter
def subtract(count: int, shown: Sized) -> int:
    """How many are not among those shown."""
    return count - len(shown)


def _linked(place: str, line: int, folder: str) -> SafeString:
    kind, _, target = place.partition(":")
    shown = place.removeprefix(folder) if folder else place
    shown = target if shown == place else shown
    if line:
        shown = f"{shown}:{line}"
    if kind == "url" and target.startswith(("https://", "http://")):
        return format_html(
            '<a class="ui-link" href="{}{}" title="{}" target="_blank" rel="noopener noreferrer">'
            "{}</a>",
            target,
            f"#L{line}" if line else "",
            target,
            shown,
        )
    return format_html('<code title="{}">{}</code>', target or place, shown or place)
