"""Documentation: the list of all that is documented, and the reader."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers

from catalog import tasks
from catalog.dialects.backstage.refs import EntityRef
from catalog.ingest.techdocs.sources import DOCS_KEYS, README
from catalog.models import DocAsset, DocPage, DocSite, Entity
from catalog.portal.annotation_links import annotations_of
from catalog.portal.entity_tabs import Card, Context, Tab
from catalog.portal.links import docs_url, entity_url
from catalog.portal.numbered import part_of
from catalog.portal.shell import Crumb, PortalRequest, fragment, page, portal_view, wants_fragment
from catalog.selectors import docs
from catalog.selectors.kinds import Kind
from catalog.selectors.tables import owner_titles
from catalog.selectors.teams import teams_of
from catalog.selectors.typed import marked

PAGE_SIZE: Final = 50
MAX_STARS: Final = 1_000
CARD_PAGES: Final = 5
MAX_LINES: Final = 2_000  # of a navigation that are drawn

_SCOPES: Final = (("", "All"), ("own", "My teams'"), ("starred", "Starred"))
_RELATIVE = re.compile(r'(<(?:a|img)\b[^>]*? (?:href|src)=")(?![a-z][a-z0-9+.-]*:|#|/)', re.I)
_SHOWN: Final = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif")
_SVG: Final = "image/svg+xml"

# A file of somebody's repository runs nothing, wherever it is opened.
_CAGE: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@dataclass(slots=True)
class NavLine:
    """A line of the navigation, drawn with its children."""

    title: str
    url: str = ""
    is_external: bool = False
    is_here: bool = False
    is_open: bool = False
    children: list[NavLine] = field(default_factory=list)


@portal_view
@require_GET
@vary_on_headers("HX-Request")
def index(request: PortalRequest) -> HttpResponseBase:
    """All documentation; `scope` narrows it to the person's teams or stars, `q` by names."""
    scope = request.GET.get("scope", "")
    text = request.GET.get("q", "").strip()
    sites = docs.listed_sites(
        request.user,
        text=text,
        teams=teams_of(request.user.email) if scope == "own" else None,
        entities=_stars(request) if scope == "starred" else None,
    )
    part = part_of(request, sites, size=PAGE_SIZE)
    owners = owner_titles(request.user, [site.entity.team for site in part.rows])
    context = {
        "rows": [
            (site, docs_url(site.ref), [owners[team] for team in site.entity.team])
            for site in part.rows
        ],
        "scope": scope,
        "scopes": _SCOPES,
        "q": text,
        "part": part,
    }
    if wants_fragment(request):
        return fragment(request, "catalog/docs/list.html", context)
    return page(request, "catalog/docs/index.html", context, title="Docs")


@portal_view
@require_GET
@vary_on_headers("HX-Request")
def read(
    request: PortalRequest, namespace: str, kind: str, name: str, path: str = ""
) -> HttpResponseBase:
    """A page of an entity's docs, or a file that one shows. `q` searches the site."""
    ref = str(EntityRef(kind, namespace, name))
    own = docs.find_site(request.user, ref)
    if own is None:
        raise Http404(f"{ref} has no docs, or is not in the catalogue")
    site = docs.find_shown(request.user, own)
    if site is None:
        return _page(request, own, None, status=404)
    if site.pk != own.pk:
        named = str(own.sources.get("path") or "")
        return redirect(docs_url(site.ref, path or (f"{named}/" if named else "")))
    if request.headers.get("HX-Request") and "q" in request.GET:
        return _results(request, site)
    found = docs.find_page(site, path)
    if found is None and not path:
        found = docs.find_first(site)
        if found is not None and found.url:
            return redirect(docs_url(site.ref, found.url))
    if found is not None:
        if found.url != path:  # links of a page are relative to its own address
            return redirect(docs_url(site.ref, found.url))
        return _page(request, site, found)
    if path and (asset := docs.find_asset(site, path)):
        return _file(request, asset)
    return _page(request, site, None, status=404 if path else 200)


@portal_view
@require_POST
def refresh(request: PortalRequest, pk: int) -> HttpResponseBase:
    """Have the docs of an entity built anew."""
    site = get_object_or_404(docs.visible_sites(request.user), pk=pk)
    tasks.start_docs(site.pk)
    messages.info(request, "The docs are being read again. Look at the page in a moment.")
    return redirect(docs_url(site.ref))


# --- the reader -------------------------------------------------------------------------------


def _page(
    request: PortalRequest, site: DocSite, found: DocPage | None, *, status: int = 200
) -> HttpResponseBase:
    text = request.GET.get("q", "").strip()
    entity = site.entity
    url = docs_url(site.ref)
    nav = nav_lines(site.nav, url, found.url if found else None)
    name = site.name or str(entity)
    trail = [Crumb("Docs", reverse("catalog:docs")), Crumb(name, url if found else "")]
    if found and found.url:
        trail += [*_sections(nav), Crumb(found.title)]
    context: dict[str, Any] = {
        "site": site,
        "site_name": name,
        "site_url": url,
        "entity": entity,
        "entity_href": entity_url(entity.blueprint.identifier, entity.identifier),
        "nav": nav,
        "doc": found,
        "html": mark_safe(found.html) if found else "",  # noqa: S308 - sanitised when built
        "toc": [one for one in found.toc if 2 <= one["level"] <= 3] if found else [],
        "q": text,
        "hits": _hits(site, text) if text else None,
        "warnings": [one for one in site.warnings if found and one["page"] == found.path],
        "all_warnings": site.warnings,
        "named": site.sources.get("entity", ""),
    }
    if found:
        around = docs.neighbours(site, found)
        context["before"] = around.before and (around.before[0], url + around.before[1])
        context["after"] = around.after and (around.after[0], url + around.after[1])
    return page(
        request,
        "catalog/docs/page.html",
        context,
        title=f"{found.title} · {name}" if found and found.title != name else name,
        trail=trail,
        status=status,
    )


def nav_lines(
    said: Sequence[Mapping[str, Any]], base: str, here: str | None, budget: list[int] | None = None
) -> list[NavLine]:
    """The navigation with whole addresses; sections that lead to the page shown are open."""
    budget = budget if budget is not None else [MAX_LINES]
    found = []
    for one in said:
        budget[0] -= 1
        if budget[0] < 0:
            break
        line = NavLine(str(one.get("title") or ""))
        if "children" in one:
            line.children = nav_lines(one["children"], base, here, budget)
            line.is_open = any(child.is_here or child.is_open for child in line.children)
        elif one.get("is_external"):
            line.url, line.is_external = str(one["url"]), True
        else:
            line.url, line.is_here = f"{base}{one['url']}", one["url"] == here
        found.append(line)
    return found


def _sections(nav: Sequence[NavLine]) -> list[Crumb]:
    for line in nav:
        if line.is_open:
            return [Crumb(line.title), *_sections(line.children)]
    return []


def _results(request: PortalRequest, site: DocSite) -> HttpResponse:
    text = request.GET.get("q", "").strip()
    return fragment(request, "catalog/docs/results.html", {"q": text, "hits": _hits(site, text)})


def _hits(site: DocSite, text: str) -> list[tuple[str, SafeString, SafeString]]:
    """(address, title, snippet) of what a search in the site finds."""
    return [
        (docs_url(site.ref, hit.url), marked(hit.title), marked(hit.snippet))
        for hit in docs.search_site(site, text)
    ]


def _file(request: PortalRequest, asset: DocAsset) -> HttpResponse:
    """A picture for pages to show, or anything else to be saved."""
    etag = f'"{bytes(asset.content_hash).hex()}"'
    if request.headers.get("If-None-Match") == etag:
        return HttpResponse(status=304, headers={"ETag": etag})
    is_picture = asset.content_type in (*_SHOWN, _SVG)
    kind = asset.content_type if is_picture else "application/octet-stream"
    headers = {
        "ETag": etag,
        "Content-Security-Policy": _CAGE,
        "X-Content-Type-Options": "nosniff",
    }
    if not is_picture:
        headers["Content-Disposition"] = "attachment"
    return HttpResponse(bytes(asset.content), content_type=kind, headers=headers)


# --- the entity's page ------------------------------------------------------------------------


def _has_docs(entity: Entity, kind: Kind) -> bool:
    annotations = annotations_of(entity)
    if any(annotations.get(key) for key in DOCS_KEYS):
        return True
    readme = entity.properties.get(README)
    return isinstance(readme, str) and bool(readme.strip())


def _tab(request: PortalRequest, entity: Entity, kind: Kind) -> Context:
    site, shown = _sites(request, entity)
    first = docs.find_first(shown) if shown else None
    url = docs_url(shown.ref) if shown else ""
    return {
        "site": site,
        "shown": shown,
        "docs_href": url,
        "doc": first,
        "doc_href": f"{url}{first.url}" if first else url,
        "html": rebased(first.html, f"{url}{first.url}") if first else "",
        "nav": nav_lines(shown.nav, url, first.url if first else None) if shown else [],
    }


def _card(request: PortalRequest, entity: Entity, kind: Kind) -> Context | None:
    if not _has_docs(entity, kind):
        return None
    site, shown = _sites(request, entity)
    if shown is None or site is None:
        return {"site": site, "pages": [], "url": ""}
    url = docs_url(shown.ref)
    listed = _leaves(nav_lines(shown.nav, url, None))[:CARD_PAGES]
    return {"site": shown, "url": url, "pages": listed}


TAB: Final = Tab("docs", "Docs", "catalog/docs/tab.html", _has_docs, _tab)
CARD: Final = Card("docs", "catalog/docs/card.html", _card)


def _leaves(nav: Sequence[NavLine]) -> list[NavLine]:
    """The pages of a navigation, in order."""
    return [one for line in nav for one in (_leaves(line.children) if line.children else [line])]


def _sites(request: PortalRequest, entity: Entity) -> tuple[DocSite | None, DocSite | None]:
    """The site of an entity, and the one that is read for it."""
    sites = docs.visible_sites(request.user).select_related("entity__blueprint")
    site = sites.filter(pk=entity.pk).first()
    return site, docs.find_shown(request.user, site) if site else None


def rebased(html: str, base: str) -> SafeString:
    """Sanitised HTML of a page, to be shown at another address than its own."""
    folder = escape(base.rpartition("/")[0] + "/")
    return mark_safe(_RELATIVE.sub(lambda found: found[1] + folder, html))  # noqa: S308


def _stars(request: PortalRequest) -> list[int]:
    return list(request.user.favourites.values_list("entity_id", flat=True)[:MAX_STARS])
