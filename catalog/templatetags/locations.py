"""Places of descriptors on pages."""

from __future__ import annotations

from collections.abc import Sized

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from catalog.selectors.locations import Fault

register = template.Library()


@register.filter
def place_link(place: str) -> SafeString:
    """A place as its path, or as a link to its address."""
    return _linked(place, "", "")


@register.filter
def file_line(fault: Fault) -> SafeString:
    """`catalog-info.yaml:12`, which leads there where it has an address."""
    line = f":{fault.line}" if fault.line else ""
    return _linked(fault.place, line, f"#L{fault.line}" if fault.line else "")


@register.filter
def subtract(count: int, shown: Sized) -> int:
    """How many are not among those shown."""
    return count - len(shown)


def _linked(place: str, line: str, anchor: str) -> SafeString:
    kind, _, target = place.partition(":")
    if kind == "url" and target.startswith(("https://", "http://")):
        return format_html(
            '<a class="ui-link" href="{}{}" target="_blank" rel="noopener noreferrer">{}{}</a>',
            target,
            anchor,
            target,
            line,
        )
    return format_html("<code>{}{}</code>", target or place, line)
