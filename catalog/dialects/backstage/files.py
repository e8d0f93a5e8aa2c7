"""Files that may be read: only below the folders that somebody opened, links followed first."""

from __future__ import annotations

import glob
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from catalog.dialects.backstage.reader import (
    MAX_FILE_BYTES,
    URL,
    FileMissing,
    FileRefused,
    Read,
    ReadingNotAllowed,
    is_address,
    is_file,
    path_in,
    place_of,
)

MAX_GLOB_FILES = 10_000
SUFFIXES = (".yaml", ".yml", ".json")

GIT = ".git"

_SKIPPED_FOLDERS = frozenset([GIT, "node_modules", "__pycache__", ".venv"])
_DESCRIPTOR_NAME = re.compile(r"\.?catalog-info\.(?:ya?ml|json)", re.I)
_GLOB = re.compile(r"[*?\[{]")
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_MAX_ALTERNATIVES = 100
_SETTLED_S = 2.0  # until then a file may change again without its times telling


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders (real paths) below which files may be read.

    outside, hint: how a file elsewhere is refused.
    """

    roots: tuple[Path, ...]
    outside: str = "it lies outside the folder of the import"
    hint: str = "Import a folder that holds both files, or name one with --root."

    @classmethod
    def around(cls, *paths: Path) -> Workspace:
        """Each folder itself; for a file its folder. The enclosing Git repository, if any, too."""
        roots: dict[Path, None] = {}
        for path in paths:
            real = path.resolve()
            folder = real if real.is_dir() else real.parent
            above = (parent for parent in (folder, *folder.parents) if (parent / GIT).exists())
            roots[next(above, folder)] = None
        return cls(tuple(roots))

    def real(self, path: Path) -> Path:
        """The path without links. Raises FileMissing, or FileRefused unless it is a file below
        the roots."""
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            real = None
        # What lies outside is refused in the same words whether it exists or not.
        self.check(Path(os.path.normpath(path)) if real is None else real)
        if real is None:
            raise FileMissing("there is no such file")
        if real.is_dir():
            raise FileRefused("it is a folder, not a file", hint=f"Write {path.name}/*.yaml.")
        if not real.is_file():
            raise FileRefused("it is not a regular file")
        return real

    def check(self, real: Path) -> None:
        """Raises FileRefused for what lies outside."""
        if not any(real.is_relative_to(root) for root in self.roots):
            raise FileRefused(self.outside, hint=self.hint)
        if GIT in real.parts:  # its configuration may hold a token
            raise FileRefused("it is one of Git's own files")

    def read(self, path: Path, max_bytes: int) -> bytes:
        """The content of a file. Raises FileRefused; also for more than `max_bytes`."""
        found = self.read_if_changed(path, "", max_bytes)
        assert found is not None  # noqa: S101 - nothing has no etag
        return found.content

    def read_if_changed(self, path: Path, etag: str, max_bytes: int) -> Read | None:
        """The content of a file, or None when it is as it was with that etag: not written since,
        by its size and times."""
        real = self.real(path)
        try:
            with real.open("rb") as file:
                now = _etag(os.fstat(file.fileno()))
                if etag and etag == now:
                    return None
                data = file.read(max_bytes + 1)
        except OSError as error:
            raise FileRefused(f"it cannot be read: {error.strerror}") from error
        if len(data) > max_bytes:
            raise FileRefused(f"it has more than {max_bytes:,} bytes")
        return Read(data, now)


class FileReader:
    """Reads the `file:` places of a workspace; addresses it leaves alone. See `Reader`."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def read(self, place: str, *, etag: str = "", max_bytes: int = MAX_FILE_BYTES) -> Read | None:
        return self.workspace.read_if_changed(_path(place), etag, max_bytes)

    def resolve(self, base: str, target: str, *, type: str = "") -> str:
        """A path is relative to the file at `base`; one that begins with "/" may also be relative
        to a root of the workspace, as it is in a repository."""
        if is_address(target):
            return f"{URL}:{target}"
        if target.endswith(("/", "\\")):
            raise FileRefused(
                "a target must be a file, not a folder", hint="Write ./folder/*.yaml."
            )
        if not target.startswith("/"):
            return place_of(_joined(path_in(base).parent, target))
        roots = self.workspace.roots
        inside = [_joined(root, target) for root in roots]
        there = next((path for path in inside if os.path.isfile(path) or _names_any(path)), None)
        if there is None:
            absolute = Path(os.path.normpath(target))
            is_meant = os.path.isfile(absolute) or any(map(absolute.is_relative_to, roots))
            there = absolute if is_meant or not inside else inside[0]
        return place_of(there)

    def expand(self, place: str) -> list[str]:
        path = _path(place)
        if not is_glob(str(path)) or os.path.isfile(path):
            return [place_of(self.workspace.real(path))]
        folder, pattern = _cut(path)
        self.workspace.check(folder.resolve())
        matches = expand(pattern, folder)
        if not matches:
            raise FileMissing("the pattern names no file")
        return [place_of(self.workspace.real(match)) for match in matches]

    def annotations(self, place: str) -> dict[str, str]:
        return {}

    def check_content(self, base: str, place: str) -> None:
        """Whatever may be read may be shown: whoever starts an import has these files."""


def is_descriptor_name(name: str) -> bool:
    """Whether a file of this name is a catalogue file wherever it stands."""
    return _DESCRIPTOR_NAME.fullmatch(name) is not None


def walk(folder: Path) -> Iterator[Path]:
    """The YAML and JSON files below a folder, in the order of their paths; links to folders are
    not followed."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES):
                yield Path(parent, name)


def is_glob(pattern: str) -> bool:
    return _GLOB.search(pattern) is not None


def expand(pattern: str, folder: Path) -> list[Path]:
    """Files that a shell pattern (`*`, `?`, `[…]`, `**`, `{a,b}`) names, in order.

    The pattern may begin with `../`. Raises FileRefused for more than `MAX_GLOB_FILES` matches.
    """
    found: dict[Path, None] = {}
    for count, path in enumerate(_walk_pattern(pattern, folder)):
        if count >= MAX_GLOB_FILES:
            raise FileRefused(f"the pattern names more than {MAX_GLOB_FILES:,} files")
        if path.is_file():
            found[path] = None
    return sorted(found)


def _walk_pattern(pattern: str, folder: Path) -> Iterator[Path]:
    for alternative in _alternatives(pattern):
        compact = re.sub(r"(?:\*\*/)+", "**/", alternative)  # each ** multiplies the walk
        for match in glob.iglob(compact, root_dir=folder, recursive=True):
            yield folder / match


def _alternatives(pattern: str) -> list[str]:
    done: list[str] = []
    waiting = [pattern]
    while waiting:
        current = waiting.pop()
        match = _BRACES.search(current)
        if match is None:
            done.append(current)
        else:
            waiting.extend(
                current[: match.start()] + option + current[match.end() :]
                for option in match[1].split(",")
            )
        if len(done) + len(waiting) > _MAX_ALTERNATIVES:
            raise FileRefused(f"the pattern has more than {_MAX_ALTERNATIVES} alternatives")
    return done


def _path(place: str) -> Path:
    if "\0" in place:
        raise FileMissing("there is no such file")
    if not is_file(place):
        raise ReadingNotAllowed(
            "this import reads files, not addresses",
            hint="Clone that repository and import its folder.",
        )
    return path_in(place)


def _joined(folder: Path, target: str) -> Path:
    return Path(os.path.normpath(f"{folder}/{target}"))


def _cut(path: Path) -> tuple[Path, str]:
    """A pattern as the folder that it surely begins with, and the rest."""
    parts = path.parts
    depth = 1
    while depth + 1 < len(parts) and os.path.isdir(Path(*parts[: depth + 1])):
        depth += 1
    return Path(*parts[:depth]), "/".join(parts[depth:])


def _names_any(path: Path) -> bool:
    """Whether a pattern names anything at all."""
    if not is_glob(str(path)):
        return False
    folder, pattern = _cut(path)
    return next(_walk_pattern(pattern, folder), None) is not None


def _etag(status: os.stat_result) -> str:
    if time.time() - status.st_mtime < _SETTLED_S:
        return ""
    times = f"{status.st_mtime_ns:x}-{status.st_ctime_ns:x}"
    return f"{status.st_ino:x}-{status.st_size:x}-{times}"
