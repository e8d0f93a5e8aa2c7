"""From places to valid entities: read the files, follow their Locations, and keep a journal of all
that was refused or left aside, with file and line.

`read_file` reads one file, wherever it lies; `Reading` finds the files of folders and patterns and
follows their Locations. Nothing here knows the database.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from catalog.dialects.backstage.detect import (
    is_entity,
    may_hold_entities,
    surely_holds_entities,
)
from catalog.dialects.backstage.files import (
    FileReader,
    Workspace,
    expand,
    is_descriptor_name,
    is_glob,
    walk,
)
from catalog.dialects.backstage.locations import Target, find_targets
from catalog.dialects.backstage.mapping import Key, blueprint_of, key_of_ref, ref_of
from catalog.dialects.backstage.placeholders import (
    TOKENS,
    Intake,
    PlaceholderRead,
    is_link,
    resolve,
    resolve_link,
)
from catalog.dialects.backstage.problems import Problem, wrong
from catalog.dialects.backstage.reader import (
    MAX_FILE_BYTES,
    FileMissing,
    FileRefused,
    Reader,
    address_in,
    is_file,
    path_in,
    place_of,
)
from catalog.dialects.backstage.validate import check_entity, check_envelope
from catalog.kernel.errors import IdpError
from catalog.kernel.yaml_reader import (
    DEFAULT_LIMITS,
    YamlDocument,
    YamlError,
    YamlLimits,
    read_documents,
)
from catalog.registry import DocumentTaker

MAX_ADDRESSES = 10_000  # of one reading
MAX_FINDINGS = 20  # of one document: for each, its text is read again to find the line
NO_ENTITY = "no entity in it"


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem and its place. `line` counts from 1; `field` is dotted, "" is the document."""

    line: int
    field: str
    message: str
    expected: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found about one document. entity: kind and name, blueprint: what it would have
    become; both "" where it is too broken to tell. document: as it was written, where the journal
    keeps it."""

    file: str
    line: int
    entity: str
    blueprint: str
    findings: tuple[Finding, ...]
    document: Any = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "line": self.line,
            "entity": self.entity,
            "blueprint": self.blueprint,
            "findings": [asdict(one) for one in self.findings],
        }


@dataclass(slots=True)
class Journal:
    """What happened to the files and documents. skipped: files that hold no entities, and why."""

    files: int = 0
    documents: int = 0
    rejected: list[Report] = field(default_factory=list)
    warnings: list[Report] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    keeps_documents: bool = False

    def reject(
        self, file: Path | str, document: YamlDocument, value: Any, problems: list[Problem]
    ) -> None:
        kept = value if self.keeps_documents else None
        self.rejected.append(_report(file, document, value, problems, kept))

    def reject_file(self, file: Path | str, reason: str, line: int = 1, hint: str = "") -> None:
        finding = Finding(line, "", reason, "", hint)
        self.rejected.append(Report(shown(file), line, "", "", (finding,)))

    def warn(
        self, file: Path | str, document: YamlDocument, value: Any, problems: list[Problem]
    ) -> None:
        if problems:
            self.warnings.append(_report(file, document, value, problems))

    def as_dict(self) -> dict[str, Any]:
        """For people and programs; without the documents, which may be large."""
        return {
            "files": self.files,
            "documents": self.documents,
            "rejected": [one.as_dict() for one in self.rejected],
            "warnings": [one.as_dict() for one in self.warnings],
            "skipped": self.skipped,
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """A valid entity. entity: its placeholders replaced; descriptor: the document to keep.
    targets: what a Location leads to."""

    place: str
    document: YamlDocument
    entity: dict[str, Any]
    descriptor: dict[str, Any]
    targets: tuple[Target, ...] = ()

    @property
    def key(self) -> Key:
        return key_of(self.entity)


@dataclass(frozen=True, slots=True)
class Other:
    """A document that is no entity, and who takes it."""

    taker: DocumentTaker
    place: str
    document: YamlDocument


# --- one file ---------------------------------------------------------------------------------


@dataclass(slots=True)
class FileContent:
    """What one file holds. candidates: its valid entities, in order; journal: what was found about
    the others, their documents with it. reads: what placeholders took in.

    is_out: as a whole, since its text cannot be read, or, strictly, one of its documents cannot.
    """

    place: str
    candidates: list[Candidate]
    journal: Journal
    reads: list[PlaceholderRead]
    is_out: bool = False

    @property
    def targets(self) -> list[Target]:
        return [target for one in self.candidates for target in one.targets]


def read_file(
    place: str,
    content: bytes,
    *,
    reader: Reader,
    is_custom_kind: Callable[[str], bool],
    strict: bool = False,
    limits: YamlLimits = DEFAULT_LIMITS,
) -> FileContent:
    """The entities of a file that was read, their placeholders replaced; and what is wrong.

    strict: as Backstage does it, one document that is not even an entity keeps out all others; a
    Location of which one target can be none is refused; only what Backstage itself takes is
    valid. What Locations lead to is the caller's to read.
    """
    journal = Journal(keeps_documents=True)
    text = _Text(place, reader, is_custom_kind, strict, journal)
    candidates: list[Candidate] = []
    is_out = False
    try:
        documents = read_documents(content, name=shown(place), limits=limits)
        candidates.extend(text.entities(documents, content))
    except YamlError as error:
        journal.reject_file(place, error.problem, error.line, error.hint)
        is_out = True
    return FileContent(
        place, candidates, journal, list(text.intake.reads.values()), is_out or text.is_out
    )


class _Text:
    """The documents of one file on their way to entities."""

    def __init__(
        self,
        place: str,
        reader: Reader,
        is_custom_kind: Callable[[str], bool],
        strict: bool,
        journal: Journal,
    ) -> None:
        self.place = place
        self.reader = reader
        self.is_custom_kind = is_custom_kind
        self.strict = strict
        self.journal = journal
        self.intake = Intake(place, reader, is_strict=strict)
        self.is_out = False

    def entities(self, documents: Iterable[YamlDocument], content: bytes) -> Iterator[Candidate]:
        """The valid ones, as they are read. content: the text of all documents."""
        if self.strict:
            documents = list(documents)
        self.journal.files += 1
        if self.strict and self._refuse_all(documents):
            self.is_out = True
            return
        may_have_placeholders = any(token.encode() in content for token in TOKENS)
        for document in documents:
            yield from self._check(document, may_have_placeholders)

    def _refuse_all(self, documents: Iterable[YamlDocument]) -> bool:
        """Strictly, one document that is not even an entity keeps out the others of its file."""
        for document in documents:
            if document.error or (document.value is not None and check_envelope(document.value)):
                list(self._check(document, False))
                out = Problem((), "the whole file is left out for this document (strict)")
                self.journal.warn(self.place, document, None, [out])
                return True
        return False

    def _check(self, document: YamlDocument, may_have_placeholders: bool) -> Iterator[Candidate]:
        value, journal = document.value, self.journal
        if document.error:
            error = document.error
            journal.documents += 1
            journal.reject_file(self.place, error.problem, error.line, error.hint)
            return
        if value is None:
            return
        journal.documents += 1
        if problems := check_envelope(value):
            journal.reject(self.place, document, value, problems)
            return
        entity = descriptor = value
        if may_have_placeholders:
            resolved = resolve(value, self.intake)
            journal.warn(self.place, document, value, resolved.warnings)
            if resolved.problems:
                journal.reject(self.place, document, value, resolved.problems)
                return
            entity, descriptor = resolved.entity, resolved.descriptor
        if problems := self._problems_of(entity):
            journal.reject(self.place, document, value, problems)
            return
        if entity["kind"] == "API":
            linked = resolve_link(entity, self.intake)
            journal.warn(self.place, document, value, linked.warnings)
            if linked.entity is not entity:
                entity, descriptor = linked.entity, linked.descriptor
        targets: list[Target] = []
        if entity["kind"] == "Location":
            named = find_targets(entity, base=self.place, reader=self.reader, is_strict=self.strict)
            if named.problems and self.strict:
                journal.reject(self.place, document, value, named.problems)
                return
            journal.warn(self.place, document, value, named.problems)
            targets = named.found
        yield Candidate(self.place, document, entity, descriptor, tuple(targets))

    def _problems_of(self, entity: dict[str, Any]) -> list[Problem]:
        problems = check_entity(entity, is_custom_kind=self.is_custom_kind)
        if not problems and self.strict and entity["kind"] == "API":
            definition = entity["spec"]["definition"]
            if is_link(definition):  # beyond Backstage
                problems = [wrong(("spec", "definition"), definition, "text")]
        return problems


# --- files, and the files that they name ------------------------------------------------------


class Reading:
    """The valid entities of files, folders and shell patterns, and of all that Locations name.

    In a folder, a YAML or JSON file counts when it holds an entity of Backstage, or is called
    `catalog-info`; a file that is named, by the caller or by a Location, counts in any case.

    strict: see `read_file`; and a Location that names a missing or broken file is out, with all
    that it names. roots: further folders whose files may be named. reader: what reads the files
    of a workspace, and perhaps addresses. takers: of documents that are no entities; they are in
    `others` then, and their files count.
    """

    def __init__(
        self,
        paths: Iterable[str],
        *,
        is_custom_kind: Callable[[str], bool],
        strict: bool = False,
        roots: Iterable[Path] = (),
        max_file_bytes: int = MAX_FILE_BYTES,
        reader: Callable[[Workspace], Reader] = FileReader,
        takers: Sequence[DocumentTaker] = (),
    ) -> None:
        self.journal = Journal()
        self.takers = takers
        self.others: list[Other] = []
        self.is_custom_kind = is_custom_kind
        self.strict = strict
        self.max_file_bytes = max_file_bytes
        self.limits = YamlLimits(max_bytes=max_file_bytes)
        self.queue: deque[str] = deque()
        self.seen: set[str] = set()
        self.named: set[str] = set()  # count in any case
        self.left_aside: set[str] = set()  # until something names them
        self.optional: set[str] = set()  # addresses that may be missing
        self.addresses = 0
        self._open(list(paths), list(roots), reader)

    def __iter__(self) -> Iterator[Candidate]:
        while self.queue:
            place = self.queue.popleft()
            is_named = place in self.named
            try:
                content = self._content(place)
            except FileMissing as error:
                if place not in self.optional:
                    self._unreadable(place, is_named, error)
            except FileRefused as error:
                self._unreadable(place, is_named, error)
            else:
                if is_named or may_hold_entities(content) or self._may_hold_others(content):
                    yield from self._read(place, content, is_named)
                else:
                    self._leave_aside(place, NO_ENTITY)

    # --- files --------------------------------------------------------------------------------

    def _open(
        self, paths: list[str], roots: list[Path], reader: Callable[[Workspace], Reader]
    ) -> None:
        """Find the files that the arguments mean, and the folders that may be read."""
        found: list[tuple[Path, bool]] = []
        for path in paths:
            one = Path(path)
            if one.is_dir():
                roots.append(one)
                found.extend((file, is_descriptor_name(file.name)) for file in walk(one))
            elif one.is_file():
                roots.append(one)
                found.append((one, True))
            elif is_glob(path) and (matches := expand(path, Path())):
                roots.extend(dict.fromkeys(match.parent for match in matches))
                found.extend((match, True) for match in matches)
            else:
                self.journal.reject_file(path, "there is no such file or folder")
        workspace = Workspace.around(*roots)
        self.reader = reader(workspace)
        for file, is_named in found:
            try:
                self._enqueue(place_of(workspace.real(file)), is_named)
            except FileRefused as error:  # a link that leads out of the folder
                self.journal.skipped[shown(file)] = error.message

    def _enqueue(self, place: str, is_named: bool) -> None:
        if is_named:
            self.named.add(place)
        if place not in self.seen or (is_named and place in self.left_aside):
            self.seen.add(place)
            self.left_aside.discard(place)
            self.journal.skipped.pop(shown(place), None)
            self.queue.append(place)

    def _leave_aside(self, place: str, reason: str) -> None:
        self.left_aside.add(place)
        self.journal.skipped[shown(place)] = reason

    def _unreadable(self, place: str, is_named: bool, error: FileRefused) -> None:
        if is_named:
            self.journal.reject_file(place, error.message, hint=error.hint)
        else:
            self._leave_aside(place, error.message)

    def _content(self, place: str) -> bytes:
        if not is_file(place):
            self.addresses += 1
            if self.addresses > MAX_ADDRESSES:
                raise FileRefused(f"one import reads {MAX_ADDRESSES:,} addresses at most")
        read = self.reader.read(place, max_bytes=self.max_file_bytes)
        assert read is not None  # noqa: S101 - nothing has no etag
        return read.content

    def _read(self, place: str, content: bytes, is_named: bool) -> Iterator[Candidate]:
        text = _Text(place, self.reader, self.is_custom_kind, self.strict, self.journal)
        try:
            documents: Iterable[YamlDocument] = read_documents(
                content, name=shown(place), limits=self.limits
            )
            if self.takers:
                documents = (one for one in documents if not self._is_taken(place, one))
            if not is_named:
                count = len(self.others)
                documents = list(documents)
                is_of_others = len(self.others) > count
                if not is_of_others and (reason := _why_aside(documents, content)):
                    self._leave_aside(place, reason)
                    return
            for candidate in text.entities(documents, content):
                if self._follow(candidate):
                    yield candidate
        except YamlError as error:
            if is_named or surely_holds_entities(content):
                self.journal.reject_file(place, error.problem, error.line, error.hint)
            else:
                self._leave_aside(place, error.problem)

    def _may_hold_others(self, content: bytes) -> bool:
        return any(taker.may_hold(content) for taker in self.takers)

    def _is_taken(self, place: str, document: YamlDocument) -> bool:
        if document.error:
            return False
        taker = next((one for one in self.takers if one.is_meant(document.value)), None)
        if taker is None:
            return False
        self.others.append(Other(taker, place, document))
        self.journal.documents += 1
        return True

    # --- Locations ----------------------------------------------------------------------------

    def _follow(self, candidate: Candidate) -> bool:
        """Queue what a Location names. False when the Location is refused for it."""
        problems: list[Problem] = []
        found: list[tuple[str, bool]] = []
        for target in candidate.targets:
            try:
                places = self.reader.expand(target.place)
                if self.strict:
                    self._check_places(places)
                found.extend((place, target.is_optional) for place in places)
            except FileRefused as error:
                if not (target.is_optional and isinstance(error, FileMissing)):
                    problems.append(target.problem(error))
        if problems and self.strict:
            self.journal.reject(candidate.place, candidate.document, candidate.descriptor, problems)
            return False
        self.journal.warn(candidate.place, candidate.document, candidate.entity, problems)
        for place, is_optional in found:
            if is_optional and place not in self.seen:
                self.optional.add(place)
            elif not is_optional:
                self.optional.discard(place)
            self._enqueue(place, True)
        return True

    def _check_places(self, places: Iterable[str]) -> None:
        """Raises FileRefused when a file is not there, or would be out as a whole."""
        for place in places:
            content = self._content(place)
            try:
                for document in read_documents(content, name=shown(place), limits=self.limits):
                    if document.error:
                        raise document.error
                    if document.value is not None and (found := check_envelope(document.value)):
                        raise FileRefused(f"line {document.line}: {found[0].message}")
            except YamlError as error:
                raise FileRefused(f"line {error.line}: {error.problem}", hint=error.hint) from error


# --- details ----------------------------------------------------------------------------------


def keys_in(file: Path, *, max_file_bytes: int = MAX_FILE_BYTES) -> set[Key]:
    """The entities that a file holds now, valid or not; empty when it cannot be read."""
    keys: set[Key] = set()
    try:
        content = Workspace((file.parent,)).read(file, max_file_bytes)
        limits = YamlLimits(max_bytes=max_file_bytes)
        for document in read_documents(content, name=str(file), limits=limits):
            if not document.error and not check_envelope(document.value):
                keys.add(key_of(document.value))
    except IdpError:
        pass  # what cannot be read holds nothing
    return keys


def key_of(entity: Mapping[str, Any]) -> Key:
    """Blueprint and identifier of a document with a sound envelope."""
    return key_of_ref(ref_of(entity))


def shown(file: Path | str) -> str:
    """A path or place as short as it can be said: an address without its `url:`, a path below the
    current folder without that."""
    if isinstance(file, str):
        file = str(path_in(file)) if is_file(file) else address_in(file)
    # a name that is not UTF-8 can be read, but neither printed nor stored
    text = os.fsencode(file).decode("utf-8", "replace")
    return text.removeprefix(os.getcwd() + os.sep)


def location_of(file: Path) -> str:
    """What an entity's `location` says of a file."""
    return "file:" + os.fsencode(file).decode("utf-8", "replace")


def _why_aside(documents: Iterable[YamlDocument], content: bytes) -> str:
    """Why a file that nobody named does not count; "" when it does."""
    if any(is_entity(document.value) for document in documents):
        return ""
    broken = next((document.error for document in documents if document.error), None)
    if broken is None:
        return NO_ENTITY
    if surely_holds_entities(content):
        return ""
    return f"not readable as YAML (line {broken.line}: {broken.problem})"


def _report(
    file: Path | str,
    document: YamlDocument,
    value: Any,
    problems: list[Problem],
    kept: Any = None,
) -> Report:
    findings = tuple(
        Finding(
            document.line_of(problem.path) if problem.path else document.line,
            problem.field,
            problem.message,
            problem.expected,
            problem.hint,
        )
        for problem in problems[:MAX_FINDINGS]
    )
    if (more := len(problems) - len(findings)) > 0:
        findings += (Finding(findings[-1].line, "", f"and {more:,} more problems"),)
    entity = value if isinstance(value, Mapping) else {}
    kind = entity.get("kind")
    return Report(
        file=shown(file),
        line=findings[0].line,
        entity=_name(entity),
        blueprint=blueprint_of(kind) if isinstance(kind, str) else "",
        findings=findings,
        document=kept,
    )


def _name(entity: Mapping[str, Any]) -> str:
    """`Component shop/orders`, or as much of it as there is."""
    metadata = entity.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    name, namespace = metadata.get("name"), metadata.get("namespace")
    named = f"{namespace}/{name}" if isinstance(name, str) and namespace else name
    return " ".join(part for part in (entity.get("kind"), named) if isinstance(part, str))[:200]
