"""Documentation as people read it: which sites there are, their pages, what is found in them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from django.contrib.postgres.search import SearchRank
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Left, Lower

from catalog.kernel.actors import Principal
from catalog.models import DocAsset, DocPage, DocSite, Entity
from catalog.selectors.typed import MAX_TEXT, Piece, Typed, marks_of, pieces_of, snippet_of

MAX_HITS: Final = 20
MAX_ALIASES: Final = 5
_SNIPPET_FROM: Final = 20_000  # characters of a page that are looked through for a snippet

SITE_COLUMNS: Final = ("entity", "ref", "state", "name", "description", "page_count", "built_at")


@dataclass(frozen=True, slots=True)
class DocHit:
    """A page that a search found. title, snippet: in pieces, of which some match."""

    url: str
    title: Sequence[Piece]
    snippet: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The pages before and behind one, in reading order: (title, url)."""

    before: tuple[str, str] | None = None
    after: tuple[str, str] | None = None


def visible_sites(principal: Principal) -> QuerySet[DocSite]:
    """The sites of the entities that `principal` may read."""
    return DocSite.objects.filter(entity__in=Entity.objects.visible_to(principal))


def listed_sites(
    principal: Principal,
    *,
    text: str = "",
    teams: Collection[str] | None = None,
    entities: Collection[int] | None = None,
) -> QuerySet[DocSite]:
    """The sites of an index, by name, with their entities. teams: of the owners; entities: their
    pks; None keeps all. Sites that only stand for another one are not listed."""
    sites = visible_sites(principal).exclude(page_count=0, state=DocSite.State.READY)
    if teams is not None:
        sites = sites.filter(entity__team__overlap=list(teams))
    if entities is not None:
        sites = sites.filter(pk__in=list(entities))
    for word in text[:MAX_TEXT].split():
        sites = sites.filter(
            Q(name__icontains=word)
            | Q(description__icontains=word)
            | Q(entity__label__contains=word.lower())
        )
    return (
        sites.select_related("entity__blueprint")
        .only(
            *SITE_COLUMNS,
            *(f"entity__{name}" for name in ("identifier", "title", "icon", "team", "blueprint")),
            "entity__blueprint__identifier",
            "entity__blueprint__title",
            "entity__blueprint__icon",
        )
        .order_by(Lower("entity__title").asc(nulls_last=True), "entity__identifier", "pk")
    )


def find_site(principal: Principal, ref: str) -> DocSite | None:
    """The site of an entity, by its reference in lower case; None where there is none to see."""
    found = visible_sites(principal).filter(ref=ref).select_related("entity__blueprint")
    return found.order_by("pk").first()


def find_shown(principal: Principal, site: DocSite) -> DocSite | None:
    """The site that an entity's docs are read in: its own, or the one it names instead; None where
    that leads nowhere."""
    for _ in range(MAX_ALIASES):
        named = site.sources.get("entity")
        if not named:
            return site
        following = find_site(principal, named)
        if following is None:
            return None
        site = following
    return None


def find_page(site: DocSite, url: str) -> DocPage | None:
    """The page at an address below the site; an address that lacks its slash counts too."""
    urls = [url] if not url or url.endswith("/") else [url, f"{url}/"]
    pages = site.pages.defer("text", "search")
    found = list(pages.filter(Q(url__in=urls) | Q(path=url)).order_by("url")[:3])
    return min(found, key=lambda one: (one.url != url, one.url not in urls), default=None)


def find_first(site: DocSite) -> DocPage | None:
    """The first page in reading order."""
    pages = site.pages.defer("text", "search")
    return pages.order_by(F("position").asc(nulls_last=True), "path").first()


def find_asset(site: DocSite, path: str) -> DocAsset | None:
    return site.assets.filter(path=path).first()


def neighbours(site: DocSite, page: DocPage) -> Neighbours:
    """The pages before and behind; none for a page that is not in the navigation."""
    if page.position is None:
        return Neighbours()
    around = site.pages.filter(position__in=[page.position - 1, page.position + 1])
    found = {
        position: (title, url)
        for position, title, url in around.values_list("position", "title", "url")
    }
    return Neighbours(found.get(page.position - 1), found.get(page.position + 1))


def search_site(site: DocSite, text: str) -> list[DocHit]:
    """The pages of a site that match a text, the best first. One statement."""
    typed = Typed.read(text)
    if typed is None:
        return []
    rows = (
        site.pages.filter(search=typed.query)
        .annotate(rank=SearchRank(F("search"), typed.query))
        .order_by("-rank", F("position").asc(nulls_last=True))
        .values_list("url", "title", Left("text", _SNIPPET_FROM))[:MAX_HITS]
    )
    marks = marks_of(typed.words)
    return [
        DocHit(url, pieces_of(title, marks), snippet_of(said, marks)) for url, title, said in rows
    ]


def asset_paths(site: DocSite) -> list[str]:
    return list(site.assets.order_by("path").values_list("path", flat=True))
