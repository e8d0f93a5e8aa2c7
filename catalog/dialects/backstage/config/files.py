"""Where configuration and what it includes is read from."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from catalog.kernel.errors import InvalidInput, NotFound, shorten

MAX_BYTES = 1024 * 1024


class ConfigFiles(Protocol):
    def read(self, path: str, *, base: str = "") -> tuple[str, bytes]:
        """The file that `path` names in the file `base`: (its name, content).

        Raises NotFound, InvalidInput (too large, cannot be read).
        """


class FilesOnDisk:
    """For an operator's own command, which may read whatever its operator may."""

    def read(self, path: str, *, base: str = "") -> tuple[str, bytes]:
        place = (Path(base).parent / path) if base else Path(path)
        try:
            with place.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            raise NotFound.of("File", str(place), field="path") from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is no path"
            raise InvalidInput(f"{shorten(str(place))} cannot be read: {why}") from error
        return str(place), _bounded(str(place), content)


class FilesGiven:
    """For files that somebody sends: nothing else is read, whatever they include."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = dict(files)

    def read(self, path: str, *, base: str = "") -> tuple[str, bytes]:
        name = posixpath.normpath(posixpath.join(posixpath.dirname(base), path))
        for one in (name, posixpath.basename(name)):  # uploads lose their folders
            if one in self._files:
                return one, _bounded(one, self._files[one])
        error = NotFound.of("File", path, field="path")
        error.hint = "Add it to the files that are sent."
        raise error


def _bounded(name: str, content: bytes) -> bytes:
    if len(content) > MAX_BYTES:
        raise InvalidInput(
            f"{shorten(name)} has more than {MAX_BYTES:,} bytes",
            details={"field": name, "expected": f"<= {MAX_BYTES:,} bytes"},
        )
    return content
