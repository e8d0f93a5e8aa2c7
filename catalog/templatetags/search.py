"""Where hits of a search lead."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from catalog.portal import links
from catalog.selectors.find import Hit, Source
from catalog.templatetags.portal import icon, kind_icon

register = template.Library()


@register.simple_tag
def hit_url(hit: Hit) -> str:
    """The page of a hit: of an entity, of a page of docs, or its place in a definition."""
    if hit.source in (Source.DOCS, Source.DECISIONS):
        return links.docs_url(hit.ref, hit.url)
    if hit.source is Source.API:
        url = links.entity_url(hit.blueprint, hit.identifier, tab="definition")
        return f"{url}&view=outline#item-{hit.position}"
    return links.entity_url(hit.blueprint, hit.identifier)


@register.simple_tag
def hit_tile(hit: Hit) -> SafeString:
    """What a hit is drawn as: an entity by its kind, a part of one by what it is."""
    if hit.source is Source.CATALOG:
        return kind_icon(hit.blueprint, hit.icon, "sm")
    symbol, hue = _PARTS[hit.source]
    return format_html(
        '<span class="ui-kind ui-kind-sm" style="--hue:{}" aria-hidden="true">{}</span>',
        hue,
        icon(symbol),
    )


_PARTS = {
    Source.API: ("api", 200),
    Source.DOCS: ("article", 60),
    Source.DECISIONS: ("gavel", 60),
}
