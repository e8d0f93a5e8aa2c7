"""Search over everything: its page, and the command palette."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET
from django.views.decorators.vary import vary_on_headers

from actions.portal import cards
from catalog.portal.numbered import page_number
from catalog.portal.shell import Crumb, PortalRequest, fragment, page, portal_view, wants_fragment
from catalog.selectors.find import MAX_OFFSET, Found, Source, find, find_grouped
from catalog.selectors.kinds import load_kinds
from idp.portal.navigation import sidebar

MAX_TEXT: Final = 200
PAGE_ROWS: Final = 20
MAX_PAGE: Final = MAX_OFFSET // PAGE_ROWS
MAX_CHOSEN: Final = 50  # values of one filter
FACET_ROWS: Final = 8  # shown at once; the others on demand
PALETTE_ACTIONS: Final = 4

_SOURCES: Final = {
    Source.CATALOG: "Catalogue",
    Source.API: "APIs",
    Source.DOCS: "Docs",
    Source.DECISIONS: "Decisions",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A tab or a value of a facet: its address switches it on, or off where it is on. count: None
    where nobody counted."""

    title: str
    url: str
    is_on: bool
    count: int | None


@dataclass(frozen=True, slots=True)
class Facet:
    """Values of a filter: the first ones, and those shown on demand."""

    title: str
    first: Sequence[Choice]
    others: Sequence[Choice]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A search as the address of its page says it. kinds: identifiers. page: counted from 1."""

    text: str
    source: Source | None
    kinds: tuple[str, ...]
    lifecycles: tuple[str, ...]
    page: int

    @classmethod
    def read(cls, request: PortalRequest) -> _Asked:
        source = request.GET.get("type", "")
        return cls(
            text=text_of(request),
            source=Source(source) if source in set(Source) else None,
            kinds=_listed(request, "kind"),
            lifecycles=_listed(request, "lifecycle"),
            page=page_number(request, most=MAX_PAGE),
        )

    @property
    def is_something(self) -> bool:
        return bool(self.text or self.source or self.kinds or self.lifecycles)

    def url(self, **changes: Any) -> str:
        """The address of this search with something changed; a change leads to its first page."""
        asked = {
            "q": self.text,
            "type": self.source,
            "kind": self.kinds,
            "lifecycle": self.lifecycles,
            **changes,
        }
        return f"{reverse('portal:search')}?" + urlencode(
            {key: value for key, value in asked.items() if value}, doseq=True
        )


@portal_view
@require_GET
@vary_on_headers("HX-Request")
def search(request: PortalRequest) -> HttpResponseBase:
    """Everything that matches `q`, best first, by type, kind and lifecycle."""
    asked = _Asked.read(request)
    found = Found()
    if asked.is_something:
        found = find(
            asked.text,
            principal=request.user,
            sources=[asked.source] if asked.source else tuple(Source),
            kinds=asked.kinds,
            lifecycles=asked.lifecycles,
            limit=PAGE_ROWS,
            offset=(asked.page - 1) * PAGE_ROWS,
            with_facets=True,
        )
    begin = (asked.page - 1) * PAGE_ROWS
    context = {
        "asked": asked,
        "text": asked.text,
        "found": found,
        "first": begin + 1,
        "last": begin + len(found.hits),
        "tabs": _tabs(asked, found),
        "facets": [one for one in (_kinds(asked, found), _lifecycles(asked, found)) if one],
        "before": asked.url(page=asked.page - 1) if asked.page > 1 else "",
        "after": asked.url(page=asked.page + 1) if begin + PAGE_ROWS < found.total else "",
        "without_filters": _Asked(asked.text, None, (), (), 1).url(),
        "is_filtered": bool(asked.source or asked.kinds or asked.lifecycles),
    }
    if wants_fragment(request):
        return fragment(request, "portal/search_results.html", context)
    return page(
        request,
        "portal/search.html",
        context,
        title=f"“{asked.text}”" if asked.text else "Search",
        trail=[Crumb("Search")],
    )


@portal_view
@require_GET
def palette(request: PortalRequest) -> HttpResponseBase:
    """The first hits, and the pages and actions that fit, for the command palette."""
    text = text_of(request)
    return fragment(
        request,
        "portal/palette.html",
        {
            "text": text,
            "pages": _pages(request, text),
            "actions": cards.found(request.user, text, limit=PALETTE_ACTIONS),
            "groups": [
                (group, group.kind.title if group.kind else _SOURCES[group.source])
                for group in find_grouped(text, principal=request.user)
            ],
        },
    )


def text_of(request: PortalRequest) -> str:
    """What was typed; addresses of Backstage's search page call it `query`."""
    typed = request.GET.get("q", "") or request.GET.get("query", "")
    return typed.replace("\x00", "")[:MAX_TEXT].strip()


def _listed(request: PortalRequest, name: str) -> tuple[str, ...]:
    values = [value for value in request.GET.getlist(name) if value and "\x00" not in value]
    return tuple(dict.fromkeys(values))[:MAX_CHOSEN]


def _tabs(asked: _Asked, found: Found) -> list[Choice]:
    whole = sum(found.sources.values())
    tabs = [Choice("All", asked.url(type=None), asked.source is None, whole)]
    tabs += [
        Choice(title, asked.url(type=source), asked.source is source, found.sources.get(source, 0))
        for source, title in _SOURCES.items()
        # not every house writes its decisions down
        if source is not Source.DECISIONS or found.sources.get(source) or asked.source is source
    ]
    return tabs


def _kinds(asked: _Asked, found: Found) -> Facet | None:
    counted = {kind.identifier: (kind.title, count) for kind, count in found.kinds}
    known = load_kinds()
    titles = {name: kind.title for name in asked.kinds if (kind := known.get(name))}
    values = [(name, title, count) for name, (title, count) in counted.items()]
    values += [(n, titles.get(n, n), 0) for n in asked.kinds if n not in counted]
    return _facet("Kind", asked, "kind", asked.kinds, values)


def _lifecycles(asked: _Asked, found: Found) -> Facet | None:
    counted = dict(found.lifecycles)
    values = [(value, value, count) for value, count in counted.items()]
    values += [(value, value, 0) for value in asked.lifecycles if value not in counted]
    return _facet("Lifecycle", asked, "lifecycle", asked.lifecycles, values)


def _facet(
    title: str,
    asked: _Asked,
    name: str,
    chosen: tuple[str, ...],
    values: Sequence[tuple[str, str, int]],
) -> Facet | None:
    """values: (value, title, how many). None where there is nothing to choose."""
    choices = []
    for value, label, count in values:
        is_on = value in chosen
        others = tuple(one for one in chosen if one != value)
        url = asked.url(**{name: others if is_on else (*chosen, value)})
        choices.append(Choice(label, url, is_on, count))
    if not choices or (len(choices) == 1 and not chosen):
        return None
    choices.sort(key=lambda one: not one.is_on)
    return Facet(title, choices[:FACET_ROWS], choices[FACET_ROWS:])


def _pages(request: PortalRequest, text: str) -> list[dict[str, Any]]:
    """Entries of the sidebar whose title has all the words."""
    words = text.lower().split()
    items = [item for group in sidebar(request) for item in group["items"]]
    return [item for item in items if all(word in item["title"].lower() for word in words)][:5]
