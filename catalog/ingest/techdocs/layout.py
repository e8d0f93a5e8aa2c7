"""One site out of several folders: which file stands where, and in what order they are read."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from catalog.dialects.backstage.reader import FileRefused
from catalog.ingest.techdocs.mkdocs import Config, find_config, read_config
from catalog.ingest.techdocs.trees import Tree, joined

MAX_NAV: Final = 5_000
MAX_DEPTH: Final = 20
MAX_PAGE_BYTES: Final = 4 * 1024 * 1024
PAGE_SUFFIXES: Final = (".md", ".markdown")
ADR_FOLDER: Final = "adr"

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.I)
_INCLUDE = re.compile(r"!include\s+(\S.*)")


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the site. path: in its tree. snippets: the folders that it may take text from."""

    tree: Tree
    path: str
    edit_url: str = ""
    snippets: tuple[str, ...] = ("",)
    is_decision: bool = False


@dataclass(slots=True)
class NavItem:
    """A page (path), a link (url) or a section (children)."""

    title: str = ""
    path: str = ""
    url: str = ""
    children: list[NavItem] = field(default_factory=list)


@dataclass(slots=True)
class Layout:
    """files: {path in the site: where it is}; of trees that cannot be listed those read so far."""

    name: str = ""
    description: str = ""
    uses_folders: bool = True
    nav: list[NavItem] = field(default_factory=list)
    files: dict[str, Source] = field(default_factory=dict)
    warnings: list[tuple[str, str]] = field(default_factory=list)  # (file, what is wrong)
    _open: list[tuple[str, Tree, Config]] = field(default_factory=list)
    _items: int = 0
    _is_generated: bool = False

    def warn(self, file: str, message: str) -> None:
        if (file, message) not in self.warnings:
            self.warnings.append((file, message))

    # --- sources ------------------------------------------------------------------------------

    def add_docs(self, tree: Tree) -> None:
        """The docs of a folder, with mkdocs.yml or without. Raises FileRefused."""
        config = find_config(tree)
        if config is None:
            self._add_plain(tree)
            return
        self.name, self.description = config.name, config.description
        self.uses_folders = config.uses_folders
        self._add_files("", tree, config)
        if config.nav is None:
            self._is_generated = True
            self.nav = self._generated(list(self.files))
            if not self.nav and (first := self._first(tree, config)):
                self.nav = [first]
        else:
            self.nav = list(self._nav(config.nav, "", tree, config, 0))

    def add_decisions(self, tree: Tree) -> None:
        """The decisions of a folder, in a section of their own. Raises FileRefused."""
        paths = tree.files("")
        if paths is None:
            raise FileRefused(
                "the decisions of a plain web server cannot be listed",
                hint="adr-location may name a folder of GitHub, GitLab or of this server.",
            )
        section = NavItem("Decisions")
        known = {one.tree.name_of(one.path): place for place, one in self.files.items()}
        for path in paths:
            is_page = path.endswith(PAGE_SUFFIXES)
            place = known.get(tree.name_of(path))
            if place is None:
                place = f"{ADR_FOLDER}/{path}"
                self._put(place, Source(tree, path, _edit_url(tree, path), is_decision=is_page))
            elif is_page:  # the docs have it too
                self.files[place] = replace(self.files[place], is_decision=True)
            if is_page and (self._is_generated or not _has(self.nav, place)):
                section.children.append(NavItem(path=place))
        if self._is_generated:
            self.nav = _without(self.nav, {one.path for one in section.children})
        self._note_refused(tree)
        if section.children:
            section.children.sort(key=lambda one: not _is_index(one.path))
            self.nav.append(section)

    def find(self, path: str) -> Source | None:
        """The file at a path of the site. Raises FileRefused."""
        if found := self.files.get(path):
            return found
        for prefix, tree, config in self._open:
            inside = _below(path, prefix)
            if inside is None:
                continue
            place = joined(config.docs, inside)
            if place is not None and tree.read(place, MAX_PAGE_BYTES) is not None:
                source = self._source(tree, config, place, inside)
                self.files[path] = source
                return source
        return None

    def at_source(self, tree: Tree, path: str) -> str | None:
        """Where in the site a file of a tree stands; None when it is no part of it."""
        return next(
            (place for place, one in self.files.items() if one.path == path and one.tree is tree),
            None,
        )

    def pages(self) -> list[str]:
        return [path for path in self.files if path.endswith(PAGE_SUFFIXES)]

    def _add_files(self, prefix: str, tree: Tree, config: Config) -> None:
        paths = tree.files(config.docs)
        if paths is None:
            self._open.append((prefix, tree, config))
            return
        for path in paths:
            inside = _below(path, config.docs)
            if inside is None or any(one.fullmatch(inside) for one in config.excluded):
                continue
            self._put(prefix + inside, self._source(tree, config, path, inside))
        self._note_refused(tree)

    def _add_plain(self, tree: Tree) -> None:
        """Without mkdocs.yml: docs/ with the README before it; else all pages of the folder."""
        self._is_generated = True
        config = Config("", "docs")
        listed = tree.files("docs")
        if listed is None:
            self._open.append(("", tree, config))
            first = self._first(tree, config) or self._readme(tree)
            self.nav = [first] if first else []
            return
        if not any(path.endswith(PAGE_SUFFIXES) for path in listed):
            self._add_files("", tree, Config("", ""))
        else:
            self._add_files("", tree, config)
            self._readme(tree)
        self.nav = self._generated(list(self.files))

    def _readme(self, tree: Tree) -> NavItem | None:
        """The README beside docs/, as a page before them."""
        for name in ("README.md", "readme.md", "Readme.md"):
            if name not in self.files and tree.read(name, MAX_PAGE_BYTES) is not None:
                self._put(name, Source(tree, name, _edit_url(tree, name)))
                return NavItem(path=name)
        return None

    def _first(self, tree: Tree, config: Config) -> NavItem | None:
        for name in ("index.md", "README.md"):
            if self.find(name):
                return NavItem(path=name)
        return None

    def _source(self, tree: Tree, config: Config, path: str, inside: str) -> Source:
        edit = config.edit_base + inside if config.edit_base else _edit_url(tree, path)
        return Source(tree, path, edit, config.snippets or ("",))

    def _put(self, path: str, source: Source) -> None:
        if path in self.files:
            self.warn(path, "two files stand at this place; the first one is shown")
            return
        self.files[path] = source

    def _note_refused(self, tree: Tree) -> None:
        for path, reason in tree.refused().items():
            self.warn(path, reason)

    # --- navigation ---------------------------------------------------------------------------

    def _nav(
        self, said: list[Any], prefix: str, tree: Tree, config: Config, depth: int
    ) -> Iterator[NavItem]:
        if depth > MAX_DEPTH:
            self.warn("mkdocs.yml", f"nav is more than {MAX_DEPTH} levels deep")
            return
        for one in said:
            self._items += 1
            if self._items > MAX_NAV:
                self.warn("mkdocs.yml", f"nav has more than {MAX_NAV:,} entries")
                return
            pairs = one.items() if isinstance(one, dict) else [("", one)]
            for title, value in pairs:
                title = str(title) if title is not None else ""
                if isinstance(value, list):
                    children = list(self._nav(value, prefix, tree, config, depth + 1))
                    if children:
                        yield NavItem(title or "Pages", children=children)
                elif isinstance(value, str):
                    yield from self._entry(title, value.strip(), prefix, tree, config, depth)

    def _entry(
        self, title: str, value: str, prefix: str, tree: Tree, config: Config, depth: int
    ) -> Iterator[NavItem]:
        if included := _INCLUDE.fullmatch(value):
            yield from self._included(title, included[1].strip("'\" "), tree, config, depth)
            return
        if _SCHEME.match(value):
            if value.lower().startswith(("https://", "http://", "mailto:")):
                yield NavItem(title or value, url=value)
            else:
                self.warn("mkdocs.yml", f"nav names {value!r}, which is no address of a page")
            return
        inside = joined("", value)
        if inside is None:
            self.warn("mkdocs.yml", f"nav names {value!r}, which leads out of the docs")
            return
        try:
            is_there = self.find(prefix + inside) is not None
        except FileRefused as error:
            self.warn("mkdocs.yml", f"nav names {value!r}: {error.message}")
            return
        if not is_there:
            self.warn("mkdocs.yml", f"nav names {value!r}, which is not there")
        elif not inside.endswith(PAGE_SUFFIXES):
            yield NavItem(title or inside, url=prefix + inside)
        else:
            yield NavItem(title, path=prefix + inside)

    def _included(
        self, title: str, target: str, tree: Tree, config: Config, depth: int
    ) -> Iterator[NavItem]:
        """The docs of another mkdocs.yml of the repository, below the name of its site."""
        path = joined(config.folder, target)
        try:
            if path is None:
                raise FileRefused("it leads out of the repository")
            sub = read_config(tree, path)
            if sub is None:
                raise FileRefused("it is not there")
        except FileRefused as error:
            self.warn("mkdocs.yml", f"nav includes {target!r}: {error.message}")
            return
        alias = _alias(sub.name or sub.folder.rpartition("/")[2] or title)
        if any(path.startswith(f"{alias}/") for path in self.files) or depth >= MAX_DEPTH:
            self.warn("mkdocs.yml", f"nav includes {target!r} at {alias}/, which is taken")
            return
        prefix = f"{alias}/"
        before = set(self.files)
        self._add_files(prefix, tree, sub)
        if sub.nav is None:
            added = [path for path in self.files if path not in before]
            children = self._generated(added, prefix)
        else:
            children = list(self._nav(sub.nav, prefix, tree, sub, depth + 1))
        if children:
            yield NavItem(title or sub.name or alias, children=children)

    def _generated(self, paths: list[str], prefix: str = "") -> list[NavItem]:
        """The navigation of those who wrote none: as the folders are, the first page first."""
        top = NavItem()
        for path in sorted((one for one in paths if one.endswith(PAGE_SUFFIXES)), key=_order):
            at = top
            for folder in path.removeprefix(prefix).split("/")[:-1]:
                name = title_of(folder)
                found = next((one for one in at.children if one.title == name), None)
                if found is None:
                    found = NavItem(name)
                    at.children.append(found)
                at = found
            at.children.append(NavItem(path=path))
        return top.children


def _has(nav: list[NavItem], path: str) -> bool:
    return any(one.path == path or _has(one.children, path) for one in nav)


def _without(nav: list[NavItem], paths: set[str]) -> list[NavItem]:
    kept = []
    for one in nav:
        if one.children:
            one = replace(one, children=_without(one.children, paths))
            if one.children:
                kept.append(one)
        elif one.path not in paths:
            kept.append(one)
    return kept


def url_of(path: str, files: dict[str, Source], uses_folders: bool) -> str:
    """Where a page stands below the address of its site."""
    folder, _, name = path.rpartition("/")
    folder = f"{folder}/" if folder else ""
    stem = posixpath.splitext(name)[0]
    is_index = stem == "index" or (
        stem.lower() == "readme"
        and not {f"{folder}index.md", f"{folder}index.markdown"} & set(files)
    )
    if is_index:
        return folder if uses_folders else f"{folder}index.html"
    return f"{folder}{stem}/" if uses_folders else f"{folder}{stem}.html"


def title_of(name: str) -> str:
    """A name of a file or folder as a title: "getting-started.md" is "Getting started"."""
    stem = re.sub(r"^\d+[-_. ]+(?=\D)", "", posixpath.splitext(name)[0])
    words = re.sub(r"[-_]+", " ", stem).strip() or name
    return words[0].upper() + words[1:] if words.islower() else words


def _is_index(path: str) -> bool:
    return posixpath.splitext(path.rpartition("/")[2])[0].lower() in ("index", "readme")


def _order(path: str) -> list[tuple[int, str]]:
    """Pages of a folder before its folders, the first page before all."""
    *folders, name = path.split("/")
    return [(2, one.lower()) for one in folders] + [(0 if _is_index(name) else 1, name.lower())]


def _below(path: str, folder: str) -> str | None:
    folder = folder.rstrip("/")
    if not folder:
        return path
    return path[len(folder) + 1 :] if path.startswith(f"{folder}/") else None


def _alias(name: str) -> str:
    """The folder that an included site stands in: its name, as the monorepo plugin makes it."""
    parts = [re.sub(r"[^\w-]+", "-", part.lower()).strip("-") for part in name.split("/")]
    return "/".join(part for part in parts if part) or "included"


def _edit_url(tree: Tree, path: str) -> str:
    """The address to edit a file at, where the forge of the tree has one."""
    if "/tree/" not in tree.address:
        return ""
    return tree.address.replace("/tree/", "/edit/", 1).rstrip("/") + f"/{path}"
