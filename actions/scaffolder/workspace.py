"""The folder that a run works in: nothing leads out of it, and it holds only so much."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import tempfile
import time
import zipfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings

from catalog.ingest.sources.repository_files import glob
from catalog.kernel.errors import InvalidInput, LimitExceeded, shorten
from catalog.kernel.identifiers import is_storable

GIT: Final = ".git"
MAX_PATH: Final = 1000  # characters
_MAX_NAME: Final = 255  # bytes, as file systems have it
_FORGOTTEN_S: Final = 24 * 3600.0  # a folder that old was left by a worker that died
_DRIVE = re.compile(r"[A-Za-z]:")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip archive knows


class PathRefused(InvalidInput):
    """A path that leads out of the workspace, or means no file."""

    code = "path_refused"


@dataclass(frozen=True, slots=True)
class Caps:
    """What a workspace may hold."""

    files: int = 10_000
    total_bytes: int = 200 * 1024 * 1024
    file_bytes: int = 20 * 1024 * 1024
    depth: int = 40


@dataclass(frozen=True, slots=True)
class File:
    """A file of the workspace. link: where a symbolic link leads, "" for a regular file."""

    path: str
    size_bytes: int
    is_executable: bool = False
    link: str = ""


def clean_path(path: str) -> str:
    """A relative path with `/`, without `.`, `..` and double slashes; "" is the folder itself.

    Raises PathRefused for one that leads out, is absolute, or can be no path.
    """
    shown = shorten(path, 200)
    if not isinstance(path, str) or not is_storable(path):
        raise PathRefused(f"{shown!r} has characters that no path may have")
    if len(path) > MAX_PATH:
        raise PathRefused(f"{shown} has {len(path)} characters; expected at most {MAX_PATH}")
    if path.startswith(("/", "\\")) or _DRIVE.match(path):
        raise PathRefused(
            f"{shown} is an absolute path", hint="Write it relative to the workspace."
        )
    parts: list[str] = []
    for part in path.replace("\\", "/").split("/"):
        if part == "..":
            if not parts:
                raise PathRefused(f"{shown} leads out of the workspace")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    for part in parts:
        if part.lower() == GIT:
            raise PathRefused(f"{shown} is one of Git's own files")
        if len(part.encode(errors="replace")) > _MAX_NAME:
            raise PathRefused(f"{shown} has a name that is too long")
    return "/".join(parts)


class Patterns:
    """Glob patterns of a template: a folder means all below it, `!` before one takes out again."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._rules = [
            (not one.startswith("!"), glob(text), glob(f"{text.rstrip('/')}/**"))
            for one in patterns
            for text in [one.removeprefix("!").removeprefix("./")]
        ]

    def match(self, path: str) -> bool:
        found = False
        for is_taken, whole, below in self._rules:
            if whole.fullmatch(path) or below.fullmatch(path):
                found = is_taken
        return found


class Workspace:
    """See the module. root: a folder that nobody else writes to; paths are relative to it."""

    def __init__(self, root: Path, caps: Caps | None = None) -> None:
        self.root = root.resolve()
        self.caps = caps or Caps()
        self._sizes: dict[str, int] = {}
        self._total = 0

    # --- reading ------------------------------------------------------------------------------

    def path(self, relative: str) -> Path:
        """Where a path is on this machine. Raises PathRefused, also for what lies behind a link
        that leads out."""
        clean = clean_path(relative)
        path = self.root / clean
        if clean and not path.parent.resolve().is_relative_to(self.root):
            raise PathRefused(f"{shorten(relative, 200)} leads out of the workspace")
        if clean and path.is_symlink() and not _leads_inside(path, self.root):
            raise PathRefused(f"{shorten(relative, 200)} is a link that leads out of the workspace")
        return path

    def files(self, folder: str = "") -> list[File]:
        """All files below a folder, in the order of their paths; those of Git left out."""
        start = self.path(folder)
        found = []
        for parent, folders, names in os.walk(start):
            links = [one for one in folders if os.path.islink(os.path.join(parent, one))]
            folders[:] = [one for one in folders if one not in links and one.lower() != GIT]
            for name in [*names, *links]:
                if file := self._file(Path(parent, name)):
                    found.append(file)
        return sorted(found, key=lambda one: one.path)

    def folders(self, folder: str = "") -> list[str]:
        """All folders below a folder."""
        start = self.path(folder)
        found = []
        for parent, names, _ in os.walk(start):
            names[:] = [one for one in names if one.lower() != GIT]
            found += [
                Path(parent, name).relative_to(self.root).as_posix()
                for name in names
                if not Path(parent, name).is_symlink()
            ]
        return sorted(found)

    def folder(self, relative: str) -> str:
        """The clean path of a folder. Raises PathRefused when there is none."""
        path = self.path(relative)
        if not path.is_dir():
            raise PathRefused(f"There is no folder {shorten(relative, 200)} in the workspace")
        return clean_path(relative)

    def exists(self, relative: str) -> bool:
        path = self.path(relative)
        return path.exists() or path.is_symlink()

    def read(self, relative: str) -> bytes:
        """Raises PathRefused when there is no such file."""
        path = self.path(relative)
        if not path.is_file():
            raise PathRefused(f"There is no file {shorten(relative, 200)} in the workspace")
        with path.open("rb") as file:
            content = file.read(self.caps.file_bytes + 1)
        self._check_size(relative, len(content))
        return content

    # --- writing ------------------------------------------------------------------------------

    def write(self, relative: str, content: bytes, *, is_executable: bool = False) -> None:
        """Make a file, or replace one, with the folders above it. Raises PathRefused,
        LimitExceeded."""
        clean, path = self._target(relative)
        self._check_size(clean, len(content))
        self._count(clean, len(content))
        with _told(clean):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                path.unlink()
            path.write_bytes(content)
            path.chmod(0o755 if is_executable else 0o644)

    def link(self, relative: str, target: str) -> None:
        """Make a symbolic link. Raises PathRefused when it would lead out."""
        clean, path = self._target(relative)
        folder = clean.rpartition("/")[0]
        clean_path(f"{folder}/{target}" if folder and not os.path.isabs(target) else target)
        self._count(clean, len(target))
        with _told(clean):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.symlink_to(target)

    def delete(self, relative: str) -> bool:
        """Delete a file, or a folder with all in it; returns whether there was one."""
        path = self.path(relative)
        if path == self.root:
            for one in path.iterdir():
                self.delete(one.name)
            return True
        if not path.exists() and not path.is_symlink():
            return False
        with _told(relative):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        self._forget(path.relative_to(self.root).as_posix())
        return True

    def rename(self, source: str, target: str, *, overwrite: bool = False) -> None:
        """Move a file or folder. Raises PathRefused when there is none, or one in its place."""
        start, (clean, end) = self.path(source), self._target(target)
        if not start.exists() and not start.is_symlink():
            raise PathRefused(f"There is no {shorten(source, 200)} in the workspace")
        if end.is_relative_to(start) and end != start:
            raise PathRefused(f"{shorten(source, 200)} cannot be moved into itself")
        if end.exists() or end.is_symlink():
            if not overwrite:
                raise PathRefused(
                    f"{shorten(target, 200)} is there already", hint="Set overwrite: true."
                )
            if start.is_relative_to(end):
                raise PathRefused(f"{shorten(target, 200)} holds {shorten(source, 200)}")
            self.delete(clean)
        with _told(clean):
            end.parent.mkdir(parents=True, exist_ok=True)
            start.rename(end)
        self.check()

    def check(self) -> list[str]:
        """Count anew what an action wrote by itself, and take out what may not be here: links that
        lead out, and what is no regular file. Returns their paths. Raises LimitExceeded."""
        dropped = []
        self._sizes, self._total = {}, 0
        for parent, folders, names in os.walk(self.root):
            for name in [*folders, *names]:
                path = Path(parent, name)
                mode = path.lstat().st_mode
                relative = path.relative_to(self.root).as_posix()
                if stat.S_ISDIR(mode):
                    continue
                if not is_storable(relative):
                    path.unlink()
                    dropped.append(relative.encode(errors="replace").decode())
                elif (stat.S_ISLNK(mode) and not _leads_inside(path, self.root)) or not (
                    stat.S_ISREG(mode) or stat.S_ISLNK(mode)
                ):
                    path.unlink()
                    dropped.append(relative)
                else:
                    size = path.lstat().st_size
                    self._check_size(relative, size)
                    self._count(relative, size)
        return sorted(dropped)

    # --- as a whole ---------------------------------------------------------------------------

    def archive(self, folder: str = "", *, without: Collection[str] = ()) -> bytes:
        """The files below a folder as a zip archive: the same bytes for the same files.

        without: paths to leave out.
        """
        prefix = f"{clean_path(folder)}/" if clean_path(folder) else ""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in self.files(folder):
                if file.path in without:
                    continue
                info = zipfile.ZipInfo(file.path.removeprefix(prefix), _EPOCH)
                info.create_system = 3  # as Unix has it, with modes
                info.compress_type = zipfile.ZIP_DEFLATED
                kind = stat.S_IFLNK if file.link else stat.S_IFREG
                mode = 0o755 if file.is_executable else 0o644
                info.external_attr = (kind | mode) << 16
                archive.writestr(info, file.link.encode() or self.read(file.path))
        return out.getvalue()

    def holding(self, texts: Collection[bytes]) -> list[str]:
        """The files in which one of these texts stands."""
        return [
            file.path
            for file in self.files()
            if not file.link and any(one in self.read(file.path) for one in texts)
        ]

    # --- details ------------------------------------------------------------------------------

    def _target(self, relative: str) -> tuple[str, Path]:
        clean = clean_path(relative)
        if not clean:
            raise PathRefused(f"{shorten(relative, 200)!r} names no file")
        if clean.count("/") >= self.caps.depth:
            raise LimitExceeded(
                f"{shorten(relative, 200)} lies deeper than {self.caps.depth} folders"
            )
        path = self.root / clean
        if not path.parent.resolve().is_relative_to(self.root):
            raise PathRefused(f"{shorten(relative, 200)} leads out of the workspace")
        return clean, path

    def _file(self, path: Path) -> File | None:
        found = path.lstat()
        relative = path.relative_to(self.root).as_posix()
        if stat.S_ISLNK(found.st_mode):
            if not _leads_inside(path, self.root):
                return None
            return File(relative, found.st_size, link=os.readlink(path))
        if not stat.S_ISREG(found.st_mode) or not is_storable(relative):
            return None
        return File(relative, found.st_size, bool(found.st_mode & stat.S_IXUSR))

    def _check_size(self, relative: str, size: int) -> None:
        if size > self.caps.file_bytes:
            raise LimitExceeded(
                f"{shorten(relative, 200)} has more than {self.caps.file_bytes:,} bytes"
            )

    def _count(self, clean: str, size: int) -> None:
        self._total += size - self._sizes.get(clean, 0)
        self._sizes[clean] = size
        if len(self._sizes) > self.caps.files:
            raise LimitExceeded(f"The workspace holds more than {self.caps.files:,} files")
        if self._total > self.caps.total_bytes:
            raise LimitExceeded(f"The workspace holds more than {self.caps.total_bytes:,} bytes")

    def _forget(self, clean: str) -> None:
        self._sizes = {
            path: size
            for path, size in self._sizes.items()
            if path != clean and not path.startswith(f"{clean}/")
        }
        self._total = sum(self._sizes.values())


@contextmanager
def opened_workspace(caps: Caps | None = None) -> Iterator[Workspace]:
    """A workspace of one's own, below the home of the server; it goes with the block."""
    home = settings.IDP_HOME / "tmp"
    home.mkdir(parents=True, exist_ok=True)
    _sweep(home)
    with tempfile.TemporaryDirectory(prefix="scaffolder-", dir=home) as folder:
        yield Workspace(Path(folder), caps)


def _sweep(home: Path) -> None:
    """Delete what workers that died have left."""
    before = time.time() - _FORGOTTEN_S
    for one in home.glob("scaffolder-*"):
        try:
            is_old = one.lstat().st_mtime < before
        except FileNotFoundError:  # another worker was quicker
            continue
        if is_old:
            shutil.rmtree(one, ignore_errors=True)


def _leads_inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a link that leads to itself
        return False


@contextmanager
def _told(relative: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PathRefused(f"{shorten(relative, 200)}: {error.strerror or error}") from error
