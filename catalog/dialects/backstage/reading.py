"""From paths to valid entities: find the files, read them, follow their Locations, and keep a
journal of all that was refused or left aside, with file and line.

Nothing here knows the database, so whatever brings files (a folder, a clone of a repository)
reads them the same way.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalog.dialects.backstage.detect import (
    is_entity,
    may_hold_entities,
    surely_holds_entities,
)
from catalog.dialects.backstage.files import (
    FileRefused,
    Workspace,
    expand,
    is_descriptor_name,
    is_glob,
    walk,
)
from catalog.dialects.backstage.locations import find_targets
from catalog.dialects.backstage.mapping import blueprint_of, identifier_of, ref_of
from catalog.dialects.backstage.placeholders import MAX_BYTES as MAX_PLACEHOLDER_BYTES
from catalog.dialects.backstage.placeholders import TOKENS, resolve
from catalog.dialects.backstage.problems import Problem
from catalog.dialects.backstage.validate import check_entity, check_envelope
from catalog.kernel.errors import IdpError
from catalog.kernel.yaml_reader import YamlDocument, YamlError, YamlLimits, read_documents

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_FINDINGS = 20  # of one document: for each, its text is read again to find the line
NO_ENTITY = "no entity in it"

Key = tuple[str, str]  # blueprint, identifier


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
    become; both "" where it is too broken to tell."""

    file: str
    line: int
    entity: str
    blueprint: str
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class Journal:
    """What happened to the files and documents. skipped: files that hold no entities, and why."""

    files: int = 0
    documents: int = 0
    rejected: list[Report] = field(default_factory=list)
    warnings: list[Report] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def reject(
        self, file: Path, document: YamlDocument, value: Any, problems: list[Problem]
    ) -> None:
        self.rejected.append(_report(file, document, value, problems))

    def reject_file(self, file: Path | str, reason: str, line: int = 1, hint: str = "") -> None:
        finding = Finding(line, "", reason, "", hint)
        self.rejected.append(Report(shown(file), line, "", "", (finding,)))

    def warn(self, file: Path, document: YamlDocument, value: Any, problems: list[Problem]) -> None:
        if problems:
            self.warnings.append(_report(file, document, value, problems))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A valid entity. entity: its placeholders replaced; descriptor: the document to keep."""

    file: Path
    document: YamlDocument
    entity: dict[str, Any]
    descriptor: dict[str, Any]

    @property
    def key(self) -> Key:
        return key_of(self.entity)


class Reading:
    """The valid entities of files, folders and shell patterns, and of all that Locations name.

    In a folder, a YAML or JSON file counts when it holds an entity of Backstage, or is called
    `catalog-info`; a file that is named, by the caller or by a Location, counts in any case.

    strict: as Backstage does it, a file with one broken document is out as a whole, and so is a
    Location that names a missing file. roots: further folders whose files may be named.
    """

    def __init__(
        self,
        paths: Iterable[str],
        *,
        is_custom_kind: Callable[[str], bool],
        strict: bool = False,
        roots: Iterable[Path] = (),
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        self.journal = Journal()
        self.is_custom_kind = is_custom_kind
        self.strict = strict
        self.max_file_bytes = max_file_bytes
        self.limits = YamlLimits(max_bytes=max_file_bytes)
        self.queue: deque[Path] = deque()
        self.seen: set[Path] = set()
        self.named: set[Path] = set()  # count in any case
        self.left_aside: set[Path] = set()  # until something names them
        self.workspace = Workspace(())
        self._open(list(paths), list(roots))

    def __iter__(self) -> Iterator[Candidate]:
        while self.queue:
            file = self.queue.popleft()
            is_named = file in self.named
            try:
                content = self.workspace.read(file, self.max_file_bytes)
            except FileRefused as error:
                if is_named:
                    self.journal.reject_file(file, error.message, hint=error.hint)
                else:
                    self._leave_aside(file, error.message)
                continue
            if is_named or may_hold_entities(content):
                yield from self._read(file, content, is_named)
            else:
                self._leave_aside(file, NO_ENTITY)

    # --- files --------------------------------------------------------------------------------

    def _open(self, paths: list[str], roots: list[Path]) -> None:
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
        self.workspace = Workspace.around(*roots)
        for file, is_named in found:
            try:
                self._enqueue(self.workspace.real(file), is_named)
            except FileRefused as error:  # a link that leads out of the folder
                self.journal.skipped[shown(file)] = error.message

    def _enqueue(self, file: Path, is_named: bool) -> None:
        if is_named:
            self.named.add(file)
        if file not in self.seen or (is_named and file in self.left_aside):
            self.seen.add(file)
            self.left_aside.discard(file)
            self.journal.skipped.pop(shown(file), None)
            self.queue.append(file)

    def _leave_aside(self, file: Path, reason: str) -> None:
        self.left_aside.add(file)
        self.journal.skipped[shown(file)] = reason

    def _read(self, file: Path, content: bytes, is_named: bool) -> Iterator[Candidate]:
        try:
            documents: Iterable[YamlDocument] = read_documents(
                content, name=shown(file), limits=self.limits
            )
            if self.strict or not is_named:
                documents = list(documents)
            if not is_named and (reason := _why_aside(documents, content)):
                self._leave_aside(file, reason)
                return
            self.journal.files += 1
            if self.strict and self._is_out(file, documents):
                return
            may_have_placeholders = any(token.encode() in content for token in TOKENS)
            for document in documents:
                yield from self._check(file, document, may_have_placeholders)
        except YamlError as error:
            if is_named or surely_holds_entities(content):
                self.journal.reject_file(file, error.problem, error.line, error.hint)
            else:
                self._leave_aside(file, error.problem)

    def _is_out(self, file: Path, documents: Iterable[YamlDocument]) -> bool:
        """Strictly, one document that is not even an entity keeps out the others of its file."""
        for document in documents:
            if document.error or (document.value is not None and check_envelope(document.value)):
                list(self._check(file, document, False))
                out = Problem((), "the whole file is left out for this document (strict)")
                self.journal.warn(file, document, None, [out])
                return True
        return False

    # --- documents ----------------------------------------------------------------------------

    def _check(
        self, file: Path, document: YamlDocument, may_have_placeholders: bool
    ) -> Iterator[Candidate]:
        value, journal = document.value, self.journal
        if document.error:
            error = document.error
            journal.documents += 1
            journal.reject_file(file, error.problem, error.line, error.hint)
            return
        if value is None:
            return
        journal.documents += 1
        if problems := check_envelope(value):
            journal.reject(file, document, value, problems)
            return
        entity = descriptor = value
        if may_have_placeholders:
            resolved = resolve(value, read=self._reader_beside(file))
            journal.warn(file, document, value, resolved.warnings)
            if resolved.problems:
                journal.reject(file, document, value, resolved.problems)
                return
            entity, descriptor = resolved.entity, resolved.descriptor
        if problems := check_entity(entity, is_custom_kind=self.is_custom_kind):
            journal.reject(file, document, value, problems)
            return
        if entity["kind"] == "Location" and not self._follow(file, document, entity):
            return
        yield Candidate(file, document, entity, descriptor)

    def _reader_beside(self, file: Path) -> Callable[[str], bytes]:
        return lambda path: self.workspace.read(file.parent / path, MAX_PLACEHOLDER_BYTES)

    def _follow(self, file: Path, document: YamlDocument, entity: dict[str, Any]) -> bool:
        """Queue what a Location names. False when the Location is refused for it."""
        targets = find_targets(entity, file=file, workspace=self.workspace)
        if targets.problems and self.strict:
            self.journal.reject(file, document, entity, targets.problems)
            return False
        self.journal.warn(file, document, entity, targets.problems + targets.warnings)
        for target in targets.files:
            self._enqueue(target, True)
        return True


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
    ref = ref_of(entity)
    return blueprint_of(ref.kind), identifier_of(ref)


def shown(file: Path | str) -> str:
    """A path as short as it can be said: below the current folder without that."""
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


def _report(file: Path, document: YamlDocument, value: Any, problems: list[Problem]) -> Report:
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
    )


def _name(entity: Mapping[str, Any]) -> str:
    """`Component shop/orders`, or as much of it as there is."""
    metadata = entity.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    name, namespace = metadata.get("name"), metadata.get("namespace")
    named = f"{namespace}/{name}" if isinstance(name, str) and namespace else name
    return " ".join(part for part in (entity.get("kind"), named) if isinstance(part, str))[:200]
