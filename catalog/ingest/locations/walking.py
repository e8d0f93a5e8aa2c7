"""The tree of files that a location leads to: walked from its root, each file read only if it
changed. Nothing here knows the database, so that many trees can be walked side by side.

Whoever walks parses the files that changed (`Node.leads`) before the walk goes on from them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

from catalog.dialects.backstage.files import is_glob
from catalog.dialects.backstage.reader import (
    FileMissing,
    FileRefused,
    Read,
    Reader,
    content_hash,
)

MAX_FILES: Final = 20_000  # of one location
MAX_FILE_BYTES: Final = 16 * 1024 * 1024
_STEP_FILES: Final = 50
_STEP_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Lead:
    """A target of a Location entity, and where it led when it was last followed.

    ref: of that entity. place: perhaps a pattern. written, field, line: as its author finds it.
    files: what it led to. problem, hint: why it could not be followed; then `files` are those of
    the last time. is_missing: nothing is there.
    """

    ref: str
    place: str
    written: str
    field: str = "spec.target"
    line: int = 1
    is_optional: bool = False
    files: tuple[str, ...] = ()
    problem: str = ""
    hint: str = ""
    is_missing: bool = False

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        known = {name: value for name, value in stored.items() if name in cls.__slots__}
        return cls(**{**known, "files": tuple(known.get("files", ()))})

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def is_pattern(self) -> bool:
        return is_glob(self.place.partition(":")[2].partition("?")[0])


@dataclass(frozen=True, slots=True)
class Known:
    """A file as it was when last read (see `LocationFile`)."""

    pk: int
    place: str
    etag: str
    content_hash: bytes | None
    leads: tuple[Lead, ...]
    reads: tuple[Mapping[str, Any], ...]
    problems: tuple[Mapping[str, Any], ...]
    message: str


@dataclass(slots=True)
class Node:
    """A file on the walk. content: only when it differs from what is known, or was never read.
    message: why it cannot be read now; what is known of it stays then. is_missing: it is not
    there. leads: where the walk goes from here."""

    place: str
    known: Known | None
    content: bytes | None = None
    etag: str = ""
    message: str = ""
    is_missing: bool = False
    leads: Sequence[Lead] = ()

    @property
    def is_changed(self) -> bool:
        known = self.known
        return known is None or self.content is not None or self.message != known.message

    @property
    def has_new_etag(self) -> bool:
        return bool(self.known and not self.message and self.etag != self.known.etag)


@dataclass(slots=True)
class Step:
    """Files that were read together. parent: the file whose leads these are, None for the root.
    before, after: its leads, once all are followed; only in the last step of a parent."""

    parent: str | None
    nodes: list[Node] = field(default_factory=list)
    before: Sequence[Lead] = ()
    after: Sequence[Lead] = ()


@dataclass(frozen=True, slots=True)
class Tree:
    """A location's root, and what is known of its files, by place."""

    root: Lead
    files: Mapping[str, Known]


def steps(tree: Tree, reader: Reader, *, at_once: bool = False) -> Iterator[Step]:
    """Walk a tree, breadth first. at_once: all files of one parent make one step, so that they can
    be taken or refused together."""
    return _Walk(tree, reader, at_once).steps()


def survey(tree: Tree, reader: Reader) -> list[tuple[int, str]] | None:
    """Look whether anything changed: None if so, else the files (pk) with a new etag though they
    are the same."""
    etags: list[tuple[int, str]] = []
    seen = set()
    for step in steps(tree, reader):
        for node in step.nodes:
            if node.is_changed:
                return None
            seen.add(node.place)
            if node.known and node.has_new_etag:
                etags.append((node.known.pk, node.etag))
        if tuple(step.before) != tuple(step.after):
            return None
    if tree.root.is_pattern:
        seen.add(tree.root.place)
    return etags if seen == tree.files.keys() else None


class _Walk:
    def __init__(self, tree: Tree, reader: Reader, at_once: bool) -> None:
        self.tree = tree
        self.reader = reader
        self.at_once = at_once
        self.seen: set[str] = set()

    def steps(self) -> Iterator[Step]:
        waiting: deque[tuple[str | None, Sequence[Lead]]] = deque([(None, [self.tree.root])])
        while waiting:
            parent, leads = waiting.popleft()
            for step in self._follow(parent, leads):
                yield step
                for node in step.nodes:
                    groups: dict[str, list[Lead]] = {}
                    for lead in node.leads:
                        groups.setdefault(lead.ref, []).append(lead)
                    waiting.extend((node.place, group) for group in groups.values())

    def _follow(self, parent: str | None, leads: Sequence[Lead]) -> Iterator[Step]:
        step = Step(parent)
        after, size = [], 0
        for lead in leads:
            lead, places = self._expand(lead)
            found = []
            for place in places:
                if place in self.seen:
                    found.append(place)
                    continue
                if len(self.seen) >= MAX_FILES:
                    lead = replace(
                        lead, problem=f"the location leads to more than {MAX_FILES:,} files"
                    )
                    break
                node = self._read(place)
                if node.is_missing and (lead.is_optional or lead.is_pattern) and not lead.problem:
                    continue
                if node.message and not lead.is_pattern and not lead.problem:
                    lead = replace(lead, problem=node.message, is_missing=node.is_missing)
                self.seen.add(place)
                found.append(place)
                step.nodes.append(node)
                size += len(node.content or b"")
                if not self.at_once and (len(step.nodes) >= _STEP_FILES or size > _STEP_BYTES):
                    yield step
                    step, size = Step(parent), 0
            after.append(replace(lead, files=tuple(found)))
        step.before, step.after = leads, after
        yield step

    def _expand(self, lead: Lead) -> tuple[Lead, Sequence[str]]:
        """The lead without its former problem, and the places it means now; those of the last
        time when that cannot be told."""
        fresh = replace(lead, problem="", hint="", is_missing=False)
        if not lead.is_pattern:
            return fresh, [lead.place]
        try:
            return fresh, self.reader.expand(lead.place)
        except FileMissing as error:
            if lead.is_optional:
                return fresh, []
            told = replace(fresh, problem=error.message, hint=error.hint, is_missing=True)
            return told, lead.files
        except FileRefused as error:
            return replace(fresh, problem=error.message, hint=error.hint), lead.files

    def _read(self, place: str) -> Node:
        known = self.tree.files.get(place)
        node = Node(place, known, leads=known.leads if known else ())
        is_read = known is not None and known.content_hash is not None
        try:
            read = self.reader.read(
                place,
                etag=known.etag if known and is_read else "",
                max_bytes=MAX_FILE_BYTES,
            )
            if known and is_read and _is_same(read, known.content_hash):
                node.etag = read.etag if read else known.etag
                if not self._took_in_something_new(known):
                    return node
                read = read or self.reader.read(place, max_bytes=MAX_FILE_BYTES)
            if read is None:
                raise FileRefused("its server says that it is the same as it never was")
            node.content, node.etag = read.content, read.etag
        except FileRefused as error:
            node.message = str(error)
            node.is_missing = isinstance(error, FileMissing)
        return node

    def _took_in_something_new(self, known: Known) -> bool:
        """Whether a file that its placeholders read has changed; one that cannot be read now has
        not, as far as we know."""
        for one in known.reads:
            try:
                read = self.reader.read(one["place"], etag=one["etag"])
            except FileMissing:
                return True
            except FileRefused:
                continue
            if not _is_same(read, bytes.fromhex(one["hash"])):
                return True
        return False


def _is_same(read: Read | None, known: bytes | None) -> bool:
    return read is None or content_hash(read.content) == known
