"""Where descriptors come from: places, and who reads them.

A *place* is text, as `backstage.io/managed-by-location` writes it: "file:/abs/path" or
"url:https://…", perhaps with a shell pattern in it. Nothing that reads a descriptor needs to know
more of where it lies.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from catalog.kernel.errors import InvalidInput

FILE: Final = "file"
URL: Final = "url"
MAX_FILE_BYTES: Final = 64 * 1024 * 1024

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.I)


class FileRefused(InvalidInput):
    """A file that may not be read, or cannot be."""

    code = "file_refused"


class FileMissing(FileRefused):
    """There is no such file, as far as we can see."""

    code = "file_missing"


class FileUnreachable(FileRefused):
    """Its server is away or overloaded: another time it may be read."""

    code = "file_unreachable"


class ReadingNotAllowed(FileRefused):
    """Nobody has said that this host may be read."""

    code = "reading_not_allowed"


@dataclass(frozen=True, slots=True)
class Read:
    """The content of a file. etag: for the next conditional read; "" where there is none."""

    content: bytes
    etag: str = ""


class Reader(Protocol):
    """Reads places. All that fails is a FileRefused, in words that hold no secret."""

    def read(self, place: str, *, etag: str = "", max_bytes: int = MAX_FILE_BYTES) -> Read | None:
        """The file at a place; None when it is the same as when it had that etag.

        Raises FileMissing, FileUnreachable, ReadingNotAllowed, FileRefused.
        """

    def resolve(self, base: str, target: str, *, type: str = "") -> str:
        """The place of a target written in the file at `base`; what stands there is not asked.

        type: `file` or `url` where the author says so. Raises FileRefused for what can be no
        target (a folder, a file of this server named from elsewhere).
        """

    def expand(self, place: str) -> list[str]:
        """The places that a pattern names, in order; the place itself when it is no pattern.

        Raises FileMissing for none, ReadingNotAllowed, FileRefused; of a file also when it is not
        there.
        """

    def annotations(self, place: str) -> dict[str, str]:
        """What the catalogue says of the entities of that file: the annotations view-url,
        edit-url and source-location, as far as they are known."""

    def check_content(self, base: str, place: str) -> None:
        """Check that a document at `base` may take the content of `place` into itself.

        Raises FileRefused: what our token of a forge may read, not every author may show.
        """


def place_of(path: Path) -> str:
    return f"{FILE}:{path}"


def is_file(place: str) -> bool:
    return place.startswith(f"{FILE}:")


def path_in(place: str) -> Path:
    """The path of a `file:` place."""
    return Path(place.removeprefix(f"{FILE}:"))


def address_in(place: str) -> str:
    """The address of a `url:` place."""
    return place.removeprefix(f"{URL}:")


def is_address(target: str) -> bool:
    """Whether a target is absolute, with a scheme."""
    return _ADDRESS.match(target) is not None


def content_hash(content: bytes) -> bytes:
    """16 bytes that tell one content from another."""
    return hashlib.blake2b(content, digest_size=16).digest()
