"""Where hits of a search lead."""

from __future__ import annotations

from django import template

from catalog.portal import links
from catalog.selectors.find import Hit, Source

register = template.Library()


@register.simple_tag
def hit_url(hit: Hit) -> str:
    """The page of a hit: of an entity, of a page of docs, or its place in a definition."""
    if hit.source is Source.DOCS:
        return links.docs_url(hit.ref, hit.url)
    if hit.source is Source.API:
        url = links.entity_url(hit.blueprint, hit.identifier, tab="definition")
        return f"{url}&view=outline#item-{hit.position}"
    return links.entity_url(hit.blueprint, hit.identifier)


@register.filter
def hit_icon(hit: Hit) -> str | None:
    """What a hit is drawn as: an entity by its kind, a part of one by what it is."""
    if hit.source is Source.CATALOG:
        return hit.icon
    return "api" if hit.source is Source.API else "menu_book"
