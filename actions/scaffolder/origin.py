"""Where the files that a template fetches come from: beside the template, or behind an address."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, Self

from actions.scaffolder.workspace import GIT, PathRefused, clean_path
from catalog.dialects.backstage.annotations import LOCATION, SOURCE
from catalog.dialects.backstage.files import Workspace as Opened
from catalog.dialects.backstage.reader import (
    URL,
    FileMissing,
    FileRefused,
    is_address,
    is_file,
    path_in,
    place_of,
)
from catalog.ingest.locations.reader import PlaceReader
from catalog.ingest.techdocs.opening import Place
from catalog.ingest.techdocs.sources import Facts, base_of
from catalog.ingest.techdocs.trees import FolderTree
from catalog.kernel.errors import shorten
from catalog.kernel.identifiers import is_storable

MAX_FILES: Final = 10_000
MAX_BYTES: Final = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SkeletonFile:
    """A file as it lies at its origin. link: where it leads when it is a symbolic link."""

    path: str
    read: Callable[[], bytes] = field(repr=False)
    is_executable: bool = False
    link: str = ""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A folder of files, in the order of their paths. refused: {path: why it was left out}."""

    files: list[SkeletonFile]
    refused: dict[str, str] = field(default_factory=dict)


class Origin(Protocol):
    """Reads what a `url` of a step means. All that fails is a FileRefused."""

    def folder(self, url: str) -> Skeleton:
        """The folder; its files can be read for as long as the origin is open."""

    def file(self, url: str) -> SkeletonFile: ...


class PlacedOrigin:
    """Beside a template that the catalogue read from somewhere.

    base: the place of the folder with the template, "" where it has none. own_file: the place of
    its file as the catalogue knows it: folders of this server are open to no other. A context.
    """

    def __init__(self, base: str = "", *, own_file: str = "") -> None:
        roots = Opened.around(path_in(own_file)).roots if is_file(own_file) else ()
        self._base = base
        self._own_file = own_file
        self._reader = PlaceReader(roots=roots)
        self._stack = ExitStack()
        self._opened: dict[str, Skeleton] = {}

    @classmethod
    def of(cls, document: Mapping[str, Any], location: str | None) -> Self:
        """document: of the template, with the annotations of the catalogue. location: the place of
        its file."""
        metadata = document.get("metadata") or {}
        annotations = metadata.get("annotations") or {}
        facts = Facts(
            "Template",
            str(metadata.get("namespace") or ""),
            str(metadata.get("name") or ""),
            location=location or "",
            annotations={key: one for key, one in annotations.items() if key == SOURCE},
            catalogue={key: one for key, one in annotations.items() if key == LOCATION},
        )
        return cls(base_of(facts), own_file=location or "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._reader.close()

    def folder(self, url: str) -> Skeleton:
        place = self._place(url)
        if place not in self._opened:
            tree = self._stack.enter_context(
                Place(place, self._reader, own_file=self._own_file).opened()
            )
            if not isinstance(tree, FolderTree):
                raise FileRefused(
                    f"The files below {shorten(url, 200)} cannot be listed",
                    hint="Add a GitHub or GitLab source for its host, or fetch single files.",
                )
            self._opened[place] = skeleton_of(tree.root, tree.limit)
        return self._opened[place]

    def file(self, url: str) -> SkeletonFile:
        place = self._place(url)
        read = self._reader.read(place, max_bytes=MAX_BYTES)
        if read is None:  # nothing was asked that it could be the same as
            raise FileMissing(f"There is no file at {shorten(url, 200)}")
        is_executable = is_file(place) and os.access(path_in(place), os.X_OK)
        return SkeletonFile(posixpath.basename(place), partial(bytes, read.content), is_executable)

    def _place(self, url: str) -> str:
        if not is_storable(url):
            raise FileRefused("The url has a character that no address may have")
        if is_address(url):
            if not url.startswith(("https://", "http://")):
                raise FileRefused(
                    f"{shorten(url, 200)} cannot be fetched", hint="https://… is meant."
                )
            return f"{URL}:{url}"
        if not self._base:
            raise FileRefused(
                f"{shorten(url, 200)} is relative, and the catalogue does not know where the "
                "template lies",
                hint=f"Register its file, or write {SOURCE}.",
            )
        if url.startswith(("/", "\\")):
            raise FileRefused(
                f"{shorten(url, 200)} is an absolute path",
                hint="Write it relative to the template.",
            )
        if is_file(self._base):
            if not is_file(self._own_file):  # an annotation alone opens no folder
                raise FileRefused(
                    "A folder of this server may only be named by a template of this server"
                )
            return place_of(Path(posixpath.normpath(posixpath.join(path_in(self._base), url))))
        return self._reader.resolve(self._base.rstrip("/") + "/", url)


class ClosedOrigin:
    """Reads no address: the tokens of the sources see what whoever asks may not."""

    def folder(self, url: str) -> Skeleton:
        raise self._refused(url)

    def file(self, url: str) -> SkeletonFile:
        raise self._refused(url)

    def _refused(self, url: str) -> FileRefused:
        return FileRefused(
            f"{shorten(url, 200)} is not fetched while a template is tried out",
            hint="Name files beside the template, or ask an admin to try it out.",
        )


class GivenOrigin:
    """Files that somebody sent along with a template, by their paths relative to it; addresses are
    read as `beyond` does."""

    def __init__(self, contents: Mapping[str, bytes], beyond: Origin) -> None:
        self._contents = {clean_path(path): content for path, content in contents.items()}
        self._beyond = beyond

    def folder(self, url: str) -> Skeleton:
        if is_address(url):
            return self._beyond.folder(url)
        folder = self._clean(url)
        prefix = f"{folder}/" if folder else ""
        found = [
            SkeletonFile(path.removeprefix(prefix), partial(bytes, content))
            for path, content in sorted(self._contents.items())
            if path.startswith(prefix)
        ]
        if not found:
            raise FileMissing(f"There is no folder {shorten(url, 200)} beside the template")
        return Skeleton(found)

    def file(self, url: str) -> SkeletonFile:
        if is_address(url):
            return self._beyond.file(url)
        path = self._clean(url)
        if path not in self._contents:
            raise FileMissing(f"There is no file {shorten(url, 200)} beside the template")
        content = self._contents[path]
        return SkeletonFile(posixpath.basename(path), partial(bytes, content))

    def _clean(self, url: str) -> str:
        try:
            return clean_path(url)
        except PathRefused as error:
            raise FileRefused(error.message, hint=error.hint) from error


def skeleton_of(root: Path, limit: Path) -> Skeleton:
    """The files below a folder of this machine, hidden ones too. Links that lead out of `limit`
    are left out, and so is all that is Git's."""
    files: list[SkeletonFile] = []
    refused: dict[str, str] = {}
    for path in _walk(root):
        name = path.relative_to(root).as_posix()
        found = path.lstat()
        if not is_storable(name):
            refused[name.encode(errors="replace").decode()] = "its name cannot be read"
        elif stat.S_ISLNK(found.st_mode):
            target = os.readlink(path)
            if os.path.isabs(target) or not _is_inside(path, limit):
                refused[name] = "the link leads out"
            else:
                files.append(SkeletonFile(name, partial(_read, path), link=target))
        elif stat.S_ISREG(found.st_mode):
            is_executable = bool(found.st_mode & stat.S_IXUSR)
            files.append(SkeletonFile(name, partial(_read, path), is_executable))
        else:
            refused[name] = "it is no regular file"
        if len(files) > MAX_FILES:
            raise FileRefused(f"The folder has more than {MAX_FILES:,} files")
    return Skeleton(sorted(files, key=lambda one: one.path), refused)


def _walk(root: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(root):
        links = [one for one in folders if os.path.islink(os.path.join(parent, one))]
        folders[:] = [one for one in folders if one not in links and one.lower() != GIT]
        for name in [*names, *links]:
            if name.lower() != GIT:
                yield Path(parent, name)


def _is_inside(path: Path, limit: Path) -> bool:
    try:
        return path.resolve().is_relative_to(limit.resolve())
    except (OSError, RuntimeError):
        return False


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise FileRefused(f"{path.name} has more than {MAX_BYTES:,} bytes")
    return content
