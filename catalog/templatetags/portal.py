"""What the portal's templates draw with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import regex
from django import template
from django.http import QueryDict
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from catalog.ingest.provenance import source_url
from catalog.kernel.html import markdown
from catalog.models import Entity
from catalog.portal import code, header, icons, links, values
from catalog.selectors.entity_page import RelatedGroup
from catalog.selectors.history import TimelineEntry

register = template.Library()

MAX_DIFF_CHARS: Final = 20_000

register.filter("cell", values.cell)
register.filter("full", values.full)
register.filter("markdown", markdown)


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """A Material Symbol; decoration, so screen readers pass over it."""
    return format_html(
        '<span class="material-symbols-outlined {}" aria-hidden="true">{}</span>', extra, name
    )


@register.simple_tag(takes_context=True)
def header_items(context: template.Context) -> SafeString:
    """What apps put into the header, for somebody who is logged in."""
    request = context.get("request")
    if request is None or not request.user.is_authenticated:
        return SafeString()
    return format_html_join(
        "",
        "{}",
        (
            (render_to_string(one.template, dict(one.context(request))),)
            for one in header.header_items()
        ),
    )


@register.simple_tag
def kind_icon(kind: str, icon_name: str | None = None, size: str = "") -> SafeString:
    """The tile of a kind: its icon on its hue. size: "", "sm" or "lg"."""
    return format_html(
        '<span class="ui-kind {}" style="--hue:{}" aria-hidden="true">'
        '<span class="material-symbols-outlined">{}</span></span>',
        f"ui-kind-{size}" if size else "",
        icons.hue(kind),
        icons.symbol(icon_name, kind),
    )


@register.simple_tag
def avatar(entity: Entity, size: str = "sm") -> SafeString:
    """A person's or team's tile: initials of the name, on a hue of their own."""
    name = str(entity)
    words = [word for word in regex.split(r"[\s._@-]+", name) if word]
    initials = "".join(word[0] for word in words[:2]).upper() or "?"
    return format_html(
        '<span class="ui-kind ui-avatar ui-kind-{}" style="--hue:{}" aria-hidden="true">{}</span>',
        size,
        icons.own_hue(entity.identifier),
        initials,
    )


@register.simple_tag
def entity_url(blueprint: str, identifier: str, tab: str = "") -> str:
    return links.entity_url(blueprint, identifier, tab)


@register.simple_tag
def table_url(blueprint: str, **query: str) -> str:
    return links.table_url(blueprint, **query)


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """The query of this page with some keys changed; None or "" takes a key out."""
    params: QueryDict = context["request"].GET.copy()
    for key, value in changes.items():
        if value in (None, ""):
            params.pop(key, None)
        else:
            params[key] = value
    encoded = params.urlencode()
    return f"?{encoded}" if encoded else "?"


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """How long ago, with the exact UTC time on hover."""
    return values.moment(moment) if moment else ""


@register.filter
def exact(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


@register.filter
def capped(count: int, cap: int) -> str:
    """A count that was not taken further than `cap`."""
    return f"{cap:,}+" if count > cap else f"{count:,}"


register.filter("target", values.target)

_SENTENCES = {"create": "Created", "delete": "Deleted", "rename": "Renamed", "restore": "Restored"}


@register.filter
def sentence(change: TimelineEntry) -> str:
    """A change in a few words: what was done, to which fields."""
    if change.action != "update":
        return _SENTENCES.get(change.action, change.action.capitalize())
    names = [one.path.partition(".")[2] or one.path for one in change.changes]
    if not names:
        return "Changed its document"
    rest = len(names) - 3
    return f"Changed {', '.join(names[:3])}{f' and {rest} more' if rest > 0 else ''}"


@register.filter
def diff_value(value: Any) -> SafeString:
    """One side of a changed field: text as it is, everything else as JSON."""
    if value is None:
        return format_html('<span class="ui-muted">–</span>')
    text = value if isinstance(value, str) else code.as_json(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = ", ".join(value) or "[]"
    return format_html("<pre>{}</pre>", text[:MAX_DIFF_CHARS])


@register.filter
def location(text: str) -> SafeString:
    """Where a descriptor was read: a link for an address, else the path."""
    kind, _, place = text.partition(":")
    if kind == "url":
        return values.link(place)
    return format_html('<span class="ui-mono">{}</span>', place or text)


@register.filter
def incoming_line(group: RelatedGroup) -> SafeString:
    """The first entities that point here, and how many more."""
    shown = [row.target for row in group.rows[:6]]
    more = group.count - len(shown)
    return format_html(
        "{}{}",
        values.targets(shown, limit=6),
        format_html(' <span class="ui-more">+{}</span>', more) if more > 0 else "",
    )


@register.filter
def all_url(group: RelatedGroup, entity: Entity) -> str:
    """The table of everything that points here by this relation."""
    name = entity.identifier if group.is_direct else entity.ref
    return links.table_url(group.blueprint, f=f"relations.{group.relation}:has:{name}")


@register.filter
def thousands(number: int) -> str:
    return f"{number:,}"


@register.filter
def duration(seconds: float) -> str:
    """How long something took: "0.4 s", "12 s", "3 min 5 s", "2 h 10 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


register.filter("pretty_json", code.as_json)
register.filter("source_url", source_url)


@register.filter
def at(mapping: Mapping[Any, Any], key: Any) -> Any:
    """`mapping[key]`, or None."""
    return mapping.get(key)
