"""Folders of documentation, wherever they are: on this server, behind an address, in memory."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote, urljoin

from catalog.dialects.backstage.files import GIT
from catalog.dialects.backstage.reader import (
    URL,
    FileMissing,
    FileRefused,
)
from catalog.dialects.backstage.reader import Reader as PlaceReader
from catalog.kernel.identifiers import is_storable

MAX_FILES: Final = 5_000
_SKIPPED = frozenset({"node_modules", "__pycache__", "venv"})


class Tree(Protocol):
    """A folder and all below it. Paths are relative to it, with `/`, and never lead out of it.

    address: where people see the folder, with a closing slash; "" when nobody does.
    """

    address: str

    def files(self, folder: str) -> list[str] | None:
        """The files below a folder, in order; None where they cannot be listed."""

    def read(self, path: str, max_bytes: int) -> bytes | None:
        """A file's content; None when there is none. Raises FileRefused with the reason."""

    def refused(self) -> Mapping[str, str]:
        """What was left out while listing: {path: reason}."""

    def name_of(self, path: str) -> str:
        """The same for the same file, seen in whichever tree."""


def joined(folder: str, target: str) -> str | None:
    """The path of a target written in a folder; None when it leads out of the tree."""
    path = posixpath.normpath(posixpath.join("/", folder, target)) if target else f"/{folder}"
    depth = 0
    for part in [*folder.split("/"), *target.split("/")]:
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return None
    return path.lstrip("/")


class FolderTree:
    """A folder of this machine. Links are followed as far as they stay inside `limit`."""

    def __init__(self, root: Path, *, limit: Path | None = None, address: str = "") -> None:
        self.root = root.resolve()
        self.limit = (limit or root).resolve()
        self.address = address
        self._refused: dict[str, str] = {}

    def files(self, folder: str) -> list[str]:
        found: list[str] = []
        for path in self._walk(self.root / folder):
            if len(found) >= MAX_FILES:
                raise FileRefused(
                    f"{folder or 'the folder'} has more than {MAX_FILES:,} files",
                    hint="Let docs_dir name a smaller folder.",
                )
            found.append(path.relative_to(self.root).as_posix())
        return sorted(found)

    def read(self, path: str, max_bytes: int) -> bytes | None:
        real = self._real(path)
        if real is None:
            return None
        try:
            with real.open("rb") as file:
                content = file.read(max_bytes + 1)
        except OSError as error:
            raise FileRefused(f"{path} cannot be read: {error.strerror}") from error
        if len(content) > max_bytes:
            raise FileRefused(f"{path} has more than {max_bytes:,} bytes")
        return content

    def refused(self) -> Mapping[str, str]:
        return self._refused

    def name_of(self, path: str) -> str:
        return f"{self.address or self.root.as_posix() + '/'}{path}"

    def stamp(self) -> str:
        """Changes whenever a file below does, as far as names, sizes and times tell."""
        seen = hashlib.blake2b(digest_size=16)
        for count, path in enumerate(self._walk(self.root)):
            if count > 10 * MAX_FILES:
                return ""
            stat = path.stat()
            seen.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode(errors="replace"))
        return seen.hexdigest()

    def _walk(self, folder: Path) -> Iterator[Path]:
        if not self._is_inside(folder):
            return
        for parent, folders, names in os.walk(folder):
            for name in folders:
                if Path(parent, name).is_symlink():
                    self._refuse(Path(parent, name), "links to folders are not followed")
            folders[:] = sorted(
                name
                for name in folders
                if name not in _SKIPPED and not name.startswith(".") and is_storable(name)
            )
            for name in sorted(names):
                path = Path(parent, name)
                if name.startswith(".") or not is_storable(name):
                    continue
                if path.is_symlink() and not self._is_inside(path):
                    self._refuse(path, "the link leads out of the repository")
                elif path.is_file():
                    yield path

    def _refuse(self, path: Path, reason: str) -> None:
        self._refused[path.relative_to(self.root).as_posix()] = reason

    def _real(self, path: str) -> Path | None:
        try:
            real = (self.root / path).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            return None
        if not real.is_relative_to(self.limit):
            raise FileRefused(f"{path} leads out of the repository")
        if GIT in real.relative_to(self.limit).parts:
            raise FileRefused(f"{path} is one of Git's own files")
        return real if real.is_file() else None

    def _is_inside(self, path: Path) -> bool:
        try:
            return path.resolve(strict=True).is_relative_to(self.limit)
        except (OSError, RuntimeError, ValueError):
            return False


class AddressTree:
    """What a plain web server has below an address. It cannot be listed: only what pages and the
    navigation name is read, each file once."""

    def __init__(self, address: str, reader: PlaceReader) -> None:
        self.address = address.rstrip("/") + "/"
        self._reader = reader
        self._read: dict[str, bytes | None] = {}

    def files(self, folder: str) -> None:
        return None

    def read(self, path: str, max_bytes: int) -> bytes | None:
        if path not in self._read:
            if len(self._read) >= MAX_FILES:
                raise FileRefused(f"the site names more than {MAX_FILES:,} files")
            place = f"{URL}:{urljoin(self.address, quote(path))}"
            try:
                found = self._reader.read(place, max_bytes=max_bytes)
            except FileMissing:
                found = None
            self._read[path] = found.content if found else None
        return self._read[path]

    def refused(self) -> Mapping[str, str]:
        return {}

    def name_of(self, path: str) -> str:
        return f"{self.address}{path}"


class TextTree:
    """A few files that an entity brings itself."""

    def __init__(self, texts: Mapping[str, str], *, address: str = "") -> None:
        self.address = address
        self._texts = texts

    def files(self, folder: str) -> list[str]:
        return sorted(self._texts)

    def read(self, path: str, max_bytes: int) -> bytes | None:
        text = self._texts.get(path)
        return None if text is None else text.encode()[:max_bytes]

    def refused(self) -> Mapping[str, str]:
        return {}

    def name_of(self, path: str) -> str:
        return f"{self.address}{path}"
