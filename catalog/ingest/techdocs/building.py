"""Renders a site: pages, the files they show, and what is wrong with it."""

from __future__ import annotations

import hashlib
import mimetypes
import posixpath
import re
import time
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote, urljoin, urlsplit

import orjson

from catalog.dialects.backstage.reader import FileRefused, content_hash
from catalog.ingest.techdocs.layout import (
    MAX_PAGE_BYTES,
    PAGE_SUFFIXES,
    Layout,
    NavItem,
    Source,
    title_of,
    url_of,
)
from catalog.ingest.techdocs.trees import joined
from catalog.kernel.markdown import Heading, Rendered, Renderer

MAX_PAGES: Final = 2_000
MAX_ASSET_BYTES: Final = 10 * 1024 * 1024
MAX_SITE_BYTES: Final = 100 * 1024 * 1024
MAX_BUILD_S: Final = 300.0
MAX_WARNINGS: Final = 500
MAX_FACT_CHARS: Final = 100


@dataclass(slots=True)
class Page:
    path: str
    url: str
    title: str
    html: str
    toc: list[dict[str, Any]]
    text: str
    position: int | None
    facts: dict[str, str]
    edit_url: str

    def hash(self) -> bytes:
        return content_hash(
            orjson.dumps(
                [
                    *(self.url, self.title, self.html, self.toc, self.text),
                    *(self.position, self.facts, self.edit_url),
                ]
            )
        )


@dataclass(slots=True)
class Asset:
    path: str
    content_type: str
    content: bytes


@dataclass(slots=True)
class Built:
    """A site, ready to be stored. nav and warnings as `DocSite` has them."""

    name: str
    description: str
    nav: list[dict[str, Any]] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    assets: list[Asset] = field(default_factory=list)
    warnings: list[dict[str, str]] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        return sum(len(one.html.encode()) for one in self.pages) + sum(
            len(one.content) for one in self.assets
        )

    def version(self) -> str:
        """The same for the same content, wherever and whenever it was built."""
        seen = hashlib.blake2b(digest_size=16)
        seen.update(orjson.dumps([self.name, self.description, self.nav]))
        for page in self.pages:
            seen.update(page.path.encode() + b"\0" + page.hash())
        for asset in self.assets:
            seen.update(asset.path.encode() + b"\0" + content_hash(asset.content))
        return seen.hexdigest()


class Builder:
    """Renders what a layout holds, within bounds of number, size and time. Used once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._renderer = Renderer()
        self._rendered: dict[str, tuple[Source, Rendered]] = {}
        self._assets: dict[str, Asset] = {}
        self._anchors: list[tuple[str, str, str]] = []  # (page, linked page, id)
        self._waiting: list[str] = []
        self._bytes = 0
        self._ends_at = time.monotonic() + MAX_BUILD_S

    def build(self, *, name: str) -> Built:
        """The site. name: for one that gives itself none. Raises FileRefused when nothing is
        there to be read, or it is too much."""
        layout = self._layout
        self._waiting = layout.pages()
        with self._renderer:
            while self._waiting:
                path = self._waiting.pop(0)
                if path not in self._rendered:
                    self._page(path)
        if not self._rendered:
            raise FileRefused(
                "there is no page",
                hint="Put Markdown into docs/, or let techdocs-ref name its folder.",
            )
        order: list[str] = []
        nav = [self._nav(one, order) for one in layout.nav]
        self._check_anchors()
        built = Built(layout.name or name, layout.description, nav)
        named = _titles(layout.nav)
        position = {path: number for number, path in enumerate(order)}
        for path, (source, rendered) in self._rendered.items():
            built.pages.append(
                Page(
                    path,
                    self._url(path),
                    named.get(path) or rendered.title or self._untitled(path, built.name),
                    rendered.html,
                    [_heading(one) for one in rendered.toc],
                    rendered.text,
                    position.get(path),
                    _decision(rendered) if source.is_decision else {},
                    source.edit_url,
                )
            )
        built.pages.sort(key=lambda one: (one.position is None, one.position or 0, one.path))
        built.assets = sorted(self._assets.values(), key=lambda one: one.path)
        built.warnings = [
            {"page": page, "message": message} for page, message in layout.warnings[:MAX_WARNINGS]
        ]
        return built

    def _untitled(self, path: str, name: str) -> str:
        stem = posixpath.splitext(path.rpartition("/")[2])[0]
        if stem.lower() not in ("index", "readme"):
            return title_of(stem)
        folder = path.rpartition("/")[0].rpartition("/")[2]
        return title_of(folder) if folder else name

    def _url(self, path: str) -> str:
        return url_of(path, self._layout.files, self._layout.uses_folders)

    def _page(self, path: str) -> None:
        if len(self._rendered) >= MAX_PAGES:
            self._layout.warn(path, f"left out: a site has at most {MAX_PAGES:,} pages")
            return
        if time.monotonic() > self._ends_at:
            raise FileRefused(f"the site was not built within {MAX_BUILD_S:g} s")
        source = self._layout.files[path]
        try:
            content = source.tree.read(source.path, MAX_PAGE_BYTES)
        except FileRefused as error:
            self._layout.warn(path, error.message)
            return
        if content is None:
            self._layout.warn(path, "it cannot be read")
            return
        rendered = self._renderer.render(
            content.decode("utf-8", errors="replace").replace("\x00", "\ufffd"),
            link=lambda target, is_image: self._link(path, source, target, is_image),
            snippet=lambda name: self._snippet(path, source, name),
        )
        if rendered.is_plain:
            self._layout.warn(path, "it is too long or too deeply nested, and shown as written")
        self._rendered[path] = (source, rendered)
        self._bytes += len(rendered.html)
        if self._bytes > MAX_SITE_BYTES:
            raise FileRefused(f"the site has more than {MAX_SITE_BYTES:,} bytes")

    # --- links --------------------------------------------------------------------------------

    def _link(self, page: str, source: Source, target: str, is_image: bool) -> str | None:
        """What a page writes for a target: relative to its own address where it is in the site."""
        target = target.strip()
        try:
            split = urlsplit(target)
        except ValueError:
            self._layout.warn(page, f"{target[:200]!r} is no address")
            return None
        if split.scheme or split.netloc:
            return target
        if not split.path:
            if split.fragment:
                self._anchors.append((page, page, unquote(split.fragment)))
            return target
        try:
            found = self._target(page, source, unquote(split.path))
        except FileRefused as error:
            self._layout.warn(page, f"the link to {target[:200]} is refused: {error.message}")
            return None
        if found is None:
            return self._outside(page, source, target, is_image)
        suffix = f"#{split.fragment}" if split.fragment else ""
        if found.endswith(PAGE_SUFFIXES):
            if split.fragment:
                self._anchors.append((page, found, unquote(split.fragment)))
            return self._relative(page, self._url(found)) + suffix
        if not self._take(page, found):
            return None
        return self._relative(page, found) + suffix

    def _target(self, page: str, source: Source, path: str) -> str | None:
        """The file of the site that a path written on a page means."""
        layout = self._layout
        folder = page.rpartition("/")[0]
        is_out = True
        for one in _spellings(folder, self._url(page), path):
            if one is None:
                continue
            is_out = False
            for name in (one, *(posixpath.join(one, index) for index in ("index.md", "README.md"))):
                if name and layout.find(name):
                    self._wait_for(name)
                    return name
        inside = joined(source.path.rpartition("/")[0], path)
        if inside is not None and (found := layout.at_source(source.tree, inside)):
            return found
        if is_out and inside is None:
            raise FileRefused("it leads out of the repository")
        return None

    def _wait_for(self, path: str) -> None:
        """A page of a folder that cannot be listed is known once something links to it."""
        if path.endswith(PAGE_SUFFIXES) and path not in self._rendered:
            self._waiting.append(path)

    def _outside(self, page: str, source: Source, target: str, is_image: bool) -> str | None:
        """A file of the repository that is no part of the docs: where the forge shows it."""
        split = urlsplit(target)
        inside = joined(source.path.rpartition("/")[0], unquote(split.path))
        if inside is not None and not target.startswith("/") and self._exists(source, inside):
            if is_image:
                place = f"_files/{inside}"
                self._layout.files.setdefault(place, Source(source.tree, inside))
                return self._relative(page, place) if self._take(page, place) else None
            if source.tree.address:
                return urljoin(source.tree.address, quote(inside)) + (
                    f"#{split.fragment}" if split.fragment else ""
                )
            self._layout.warn(page, f"the link {target[:200]} leads to a file that is no page")
            return target
        self._layout.warn(page, f"the {'picture' if is_image else 'link'} {target[:200]} is broken")
        return self._relative(page, split.path) if is_image else target

    def _exists(self, source: Source, path: str) -> bool:
        try:
            return bool(path) and source.tree.read(path, MAX_ASSET_BYTES) is not None
        except FileRefused:
            return False

    def _relative(self, page: str, url: str) -> str:
        """An address of the site, as seen from a page."""
        own = self._url(page)
        folder = own if own.endswith("/") or not own else posixpath.dirname(own)
        path = (
            posixpath.relpath(f"/{url}", f"/{folder}")
            if url
            else posixpath.relpath("/", f"/{folder}")
        )
        if (url.endswith("/") or not url) and not path.endswith("/"):
            path += "/"
        return quote(path)

    def _take(self, page: str, path: str) -> bool:
        """Keep a file that a page shows or offers."""
        if path in self._assets:
            return True
        if self._bytes > MAX_SITE_BYTES:  # the page that asks is the last one
            return False
        source = self._layout.files[path]
        try:
            content = source.tree.read(source.path, MAX_ASSET_BYTES)
        except FileRefused as error:
            self._layout.warn(page, f"{path}: {error.message}")
            return False
        if content is None:
            self._layout.warn(page, f"{path} is not there")
            return False
        self._bytes += len(content)
        kind = mimetypes.guess_type(path, strict=False)[0] or "application/octet-stream"
        self._assets[path] = Asset(path, kind[:100], content)
        return True

    def _check_anchors(self) -> None:
        for page, linked, anchor in self._anchors:
            found = self._rendered.get(linked)
            if found and anchor not in found[1].ids and anchor not in ("", "top"):
                where = "this page" if linked == page else linked
                self._layout.warn(page, f"{where} has no part #{anchor[:200]}")

    # --- snippets -----------------------------------------------------------------------------

    def _snippet(self, page: str, source: Source, name: str) -> str | None:
        """The text that a page takes in: a file, lines of it ("a.py:1:3"), a section ("a.md:x")."""
        path, parts = _snippet_parts(name)
        if path.lower().startswith(("http://", "https://")):
            self._layout.warn(
                page, f"the snippet {name[:200]} is refused: it is not in the repository"
            )
            return None
        for base in source.snippets:
            inside = joined(base, path)
            if inside is None or path.startswith("/"):
                self._layout.warn(
                    page, f"the snippet {name[:200]} is refused: it leads out of the repository"
                )
                return None
            try:
                content = source.tree.read(inside, MAX_PAGE_BYTES)
            except FileRefused as error:
                self._layout.warn(page, f"the snippet {name[:200]} is refused: {error.message}")
                return None
            if content is not None:
                text = content.decode("utf-8", errors="replace").replace("\x00", "\ufffd")
                return _part_of(text.replace("\r\n", "\n"), parts)
        self._layout.warn(page, f"the snippet {name[:200]} is not there")
        return None

    # --- navigation ---------------------------------------------------------------------------

    def _nav(self, item: NavItem, order: list[str]) -> dict[str, Any]:
        if item.children:
            return {
                "title": item.title,
                "children": [self._nav(one, order) for one in item.children],
            }
        if not item.path:
            if "://" not in item.url and not item.url.startswith("mailto:"):
                self._take("mkdocs.yml", item.url)
                return {"title": item.title, "url": item.url}
            return {"title": item.title, "url": item.url, "is_external": True}
        if item.path in self._rendered and item.path not in order:
            order.append(item.path)
        rendered = self._rendered.get(item.path)
        title = item.title or (rendered[1].title if rendered else "")
        return {
            "title": title or self._untitled(item.path, self._layout.name or "Home"),
            "url": self._url(item.path),
        }


def _spellings(folder: str, url: str, path: str) -> list[str | None]:
    """The paths that authors may mean: from the file, from the address it is read at, from the
    root of the docs; a page also without its suffix."""
    plain = path.rstrip("/") or path
    from_file = joined(folder, plain) if not path.startswith("/") else joined("", plain.lstrip("/"))
    from_url = joined(url.rstrip("/") if url.endswith("/") else posixpath.dirname(url), plain)
    found: list[str | None] = []
    for one in (from_file, from_url):
        found.append(one)
        if one and not posixpath.splitext(one)[1]:
            found.append(f"{one}.md")
        if one and one.endswith(".html"):
            found.append(f"{one.removesuffix('.html')}.md")
    return found


def _titles(nav: list[NavItem]) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in nav:
        if item.path and item.title:
            found.setdefault(item.path, item.title)
        for path, title in _titles(item.children).items():
            found.setdefault(path, title)
    return found


def _heading(one: Heading) -> dict[str, Any]:
    return {"id": one.id, "title": one.title, "level": one.level}


def _snippet_parts(name: str) -> tuple[str, str]:
    """A snippet's file, and what of it is meant."""
    scheme = 2 if name.lower().startswith(("http:", "https:")) else 1
    parts = name.split(":", scheme)
    return ":".join(parts[:scheme]), parts[scheme] if len(parts) > scheme else ""


def _part_of(text: str, part: str) -> str:
    lines = text.split("\n")
    if not part:
        return "\n".join(one for one in lines if "--8<-- [" not in one)
    ranges = part.split(",")
    if all(re.fullmatch(r"\d*:?\d*", one) for one in ranges):
        found: list[str] = []
        for one in ranges:
            first, _, last = one.partition(":")
            skipped = max(int(first or 1), 1) - 1
            if ":" not in one:
                found += lines[skipped : skipped + 1]
            else:
                found += lines[skipped : int(last)] if last else lines[skipped:]
        return "\n".join(found)
    begin = re.compile(rf"--8<--\s+\[\s*start:\s*{re.escape(part)}\s*\]")
    end = re.compile(rf"--8<--\s+\[\s*end:\s*{re.escape(part)}\s*\]")
    inside = False
    found = []
    for line in lines:
        if end.search(line):
            break
        if inside and "--8<-- [" not in line:
            found.append(line)
        inside = inside or begin.search(line) is not None
    return "\n".join(found)


_STATUS = re.compile(
    r"(?:^|\s)Status:?\s+(Proposed|Accepted|Rejected|Deprecated|Superseded|Draft|In progress"
    r"|Approved|Implemented|Pending|Done)\b",
    re.I,
)
_DATE = re.compile(r"(?:^|\s)(?:Date|Last updated|Decided on):?\s+(\d{4}-\d{2}-\d{2})\b", re.I)


def _decision(rendered: Rendered) -> dict[str, str]:
    """Status and date of a decision: of its front matter, or as its first lines say."""
    beginning = rendered.text[:2_000]
    found = {}
    for key, pattern in (("status", _STATUS), ("date", _DATE)):
        said = rendered.front.get(key)
        match = pattern.search(beginning)
        value = str(said) if said else match[1] if match else ""
        if value:
            found[key] = value[:MAX_FACT_CHARS]
    return found
