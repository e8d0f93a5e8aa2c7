"""Files that an import may read: only below the folders it was given, links followed first."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from catalog.kernel.errors import InvalidInput

MAX_GLOB_FILES = 10_000
SUFFIXES = (".yaml", ".yml", ".json")

_SKIPPED_FOLDERS = frozenset([".git", "node_modules", "__pycache__", ".venv"])
_DESCRIPTOR_NAME = re.compile(r"\.?catalog-info\.(?:ya?ml|json)", re.I)
_GLOB = re.compile(r"[*?\[{]")
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_MAX_ALTERNATIVES = 100


class FileRefused(InvalidInput):
    """A file that may not be read, or cannot be."""

    code = "file_refused"


class FileMissing(FileRefused):
    code = "file_missing"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders (real paths) below which files may be read."""

    roots: tuple[Path, ...]

    @classmethod
    def around(cls, *paths: Path) -> Workspace:
        """Each folder itself; for a file its folder. The enclosing Git repository, if any, too."""
        roots: dict[Path, None] = {}
        for path in paths:
            real = path.resolve()
            folder = real if real.is_dir() else real.parent
            above = (parent for parent in (folder, *folder.parents) if (parent / ".git").exists())
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
        place = Path(os.path.normpath(path)) if real is None else real
        if not any(place.is_relative_to(root) for root in self.roots):
            raise FileRefused(
                "it lies outside the folder of the import",
                hint="Import a folder that holds both files, or name one with --root.",
            )
        if real is None:
            raise FileMissing("there is no such file")
        if real.is_dir():
            raise FileRefused("it is a folder, not a file", hint=f"Write {path.name}/*.yaml.")
        if not real.is_file():
            raise FileRefused("it is not a regular file")
        return real

    def read(self, path: Path, max_bytes: int) -> bytes:
        """The content of a file. Raises FileRefused; also for more than `max_bytes`."""
        real = self.real(path)
        try:
            with real.open("rb") as file:
                data = file.read(max_bytes + 1)
        except OSError as error:
            raise FileRefused(f"it cannot be read: {error.strerror}") from error
        if len(data) > max_bytes:
            raise FileRefused(f"it has more than {max_bytes:,} bytes")
        return data


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
    count = 0
    for alternative in _alternatives(pattern):
        compact = re.sub(r"(?:\*\*/)+", "**/", alternative)  # each ** multiplies the walk
        for match in glob.iglob(compact, root_dir=folder, recursive=True):
            count += 1
            if count > MAX_GLOB_FILES:
                raise FileRefused(f"the pattern names more than {MAX_GLOB_FILES:,} files")
            path = folder / match
            if path.is_file():
                found[path] = None
    return sorted(found)


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
