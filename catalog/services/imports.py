"""Import of catalogue files: find them, read them, map them, and hand them to the one door.

Files stream through in batches, so memory does not grow with their number. A bad document is
reported with file, line and field, and never stops the others. Which file an entity came from is
kept in its `location`; the first file of an entity keeps it until it no longer holds it.
"""

from __future__ import annotations

import os
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from django.db import transaction

from catalog.dialects.backstage import placeholders
from catalog.dialects.backstage.blueprints import (
    custom_blueprint,
    default_blueprints,
    system_properties,
)
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
from catalog.dialects.backstage.kinds import KINDS
from catalog.dialects.backstage.locations import find_targets
from catalog.dialects.backstage.mapping import (
    TEAM,
    USER,
    RelationShape,
    blueprint_of,
    identifier_of,
    map_entity,
    ref_of,
    source_path,
)
from catalog.dialects.backstage.problems import Problem
from catalog.dialects.backstage.validate import check_entity, check_envelope
from catalog.kernel.actors import Actor
from catalog.kernel.errors import IdpError
from catalog.kernel.yaml_reader import YamlDocument, YamlError, YamlLimits, read_documents
from catalog.models import Blueprint, Entity
from catalog.services.blueprints import (
    blueprint_document,
    ensure_blueprints,
    ensure_system_blueprints,
    patch_blueprint,
)
from catalog.services.entities import EntityDraft, MissingTargets, Mode, Status, apply
from catalog.services.shapes import load_shapes

MAX_FILE_BYTES = 64 * 1024 * 1024
BATCH = 1000
NO_ENTITY = "no entity in it"

Key = tuple[str, str]  # blueprint, identifier


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """dry_run: check everything, store nothing. strict: as Backstage does it, a file with one
    broken document is out as a whole, and so is a Location that names a missing file.
    create_kinds: make blueprints for kinds that Backstage does not know. take_over: an entity
    that another file holds moves to the file read now. roots: further folders that may be read."""

    dry_run: bool = False
    strict: bool = False
    create_kinds: bool = False
    take_over: bool = False
    roots: tuple[Path, ...] = ()
    batch_size: int = BATCH
    max_file_bytes: int = MAX_FILE_BYTES


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
    """What was found about one document: why it was refused, or what to know about it."""

    file: str
    line: int
    entity: str
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class ImportResult:
    """What became of an import. counts: by blueprint ("" where a document has none), then by
    status. skipped: files that hold no entities, with the reason."""

    files: int = 0
    documents: int = 0
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    rejected: list[Report] = field(default_factory=list)
    warnings: list[Report] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    created_blueprints: list[str] = field(default_factory=list)

    @property
    def totals(self) -> Counter[str]:
        return sum(self.counts.values(), Counter())

    def as_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "counts": {name: dict(count) for name, count in sorted(self.counts.items())},
            "skipped": [{"file": file, "reason": reason} for file, reason in self.skipped],
            "totals": dict(self.totals),
        }


def import_files(
    paths: Iterable[str],
    *,
    actor: Actor,
    options: ImportOptions = ImportOptions(),
    progress: Callable[[ImportResult], None] = lambda result: None,
) -> ImportResult:
    """Import files, folders and shell patterns, and all files that their Locations name.

    In a folder, every YAML or JSON file counts that holds entities of Backstage; a file that is
    named, or called `catalog-info`, counts in any case. `progress` is called after each batch.
    """
    return _Import(actor, options, progress).run(list(paths))


@dataclass(slots=True)
class _Candidate:
    """A valid entity on its way to the door. entity: placeholders replaced; descriptor: as kept."""

    file: Path
    document: YamlDocument
    entity: dict[str, Any]
    descriptor: dict[str, Any]

    @property
    def key(self) -> Key:
        ref = ref_of(self.entity)
        return blueprint_of(ref.kind), identifier_of(ref)


class _Import:
    def __init__(
        self, actor: Actor, options: ImportOptions, progress: Callable[[ImportResult], None]
    ) -> None:
        self.actor = actor
        self.options = options
        self.progress = progress
        self.result = ImportResult()
        self.workspace = Workspace(())
        self.queue: deque[tuple[Path, bool]] = deque()  # file, whether it counts in any case
        self.seen: set[Path] = set()
        self.registered: dict[Key, Path] = {}
        self.held: OrderedDict[Path, set[Key]] = OrderedDict()
        self.blueprints = set(Blueprint.objects.values_list("identifier", flat=True))
        self.limits = YamlLimits(max_bytes=options.max_file_bytes)

    def run(self, paths: list[str]) -> ImportResult:
        self._open(paths)
        batch: list[_Candidate] = []
        for candidate in self._candidates():
            batch.append(candidate)
            if len(batch) >= self.options.batch_size:
                self._flush(batch)
                batch = []
        self._flush(batch)
        return self.result

    # --- files --------------------------------------------------------------------------------

    def _open(self, paths: list[str]) -> None:
        """Find the files that the arguments mean, and the folders that may be read."""
        roots: list[Path] = [Path(root) for root in self.options.roots]
        found: list[tuple[Path, bool]] = []
        for path in paths:
            named = Path(path)
            if named.is_dir():
                roots.append(named)
                found.extend((file, is_descriptor_name(file.name)) for file in walk(named))
            elif named.is_file():
                roots.append(named)
                found.append((named, True))
            elif is_glob(path) and (matches := expand(path, Path())):
                roots.extend(dict.fromkeys(match.parent for match in matches))
                found.extend((match, True) for match in matches)
            else:
                self.result.skipped.append((path, "there is no such file or folder"))
        self.workspace = Workspace.around(*roots)
        for file, is_certain in found:
            self._enqueue(file, is_certain)

    def _enqueue(self, file: Path, is_certain: bool) -> None:
        try:
            real = self.workspace.real(file)
        except FileRefused as error:
            self.result.skipped.append((_shown(file), error.message))
            return
        if real not in self.seen:
            self.seen.add(real)
            self.queue.append((real, is_certain))

    def _candidates(self) -> Iterator[_Candidate]:
        while self.queue:
            file, is_certain = self.queue.popleft()
            try:
                content = self.workspace.read(file, self.options.max_file_bytes)
            except FileRefused as error:
                self.result.skipped.append((_shown(file), error.message))
                continue
            if not is_certain and not may_hold_entities(content):
                self.result.skipped.append((_shown(file), NO_ENTITY))
                continue
            yield from self._read(file, content, is_certain)

    def _read(self, file: Path, content: bytes, is_certain: bool) -> Iterator[_Candidate]:
        name = _shown(file)
        try:
            documents: Iterable[YamlDocument] = read_documents(
                content, name=name, limits=self.limits
            )
            if not is_certain or self.options.strict:
                documents = list(documents)
                if not is_certain and not _counts(documents, content):
                    self.result.skipped.append((name, _why_not(documents)))
                    return
            self.result.files += 1
            if self.options.strict and self._is_refused_whole(file, documents):
                return
            for document in documents:
                yield from self._check(file, document, content)
        except YamlError as error:
            if is_certain or surely_holds_entities(content):
                self._reject(file, error.line, "", "", [_of_error(error)])
            else:
                self.result.skipped.append((name, error.problem))

    def _is_refused_whole(self, file: Path, documents: Iterable[YamlDocument]) -> bool:
        """Strictly, one document that is not even an entity keeps out all others of its file."""
        for document in documents:
            if document.error or (document.value is not None and check_envelope(document.value)):
                for _ in self._check(file, document, b""):
                    pass
                others = "the whole file is left out because of this document (strict)"
                self._warn(file, document, "", [Problem((), others)])
                return True
        return False

    # --- documents ----------------------------------------------------------------------------

    def _check(self, file: Path, document: YamlDocument, content: bytes) -> Iterator[_Candidate]:
        value = document.value
        if document.error:
            self.result.documents += 1
            self._reject(file, document.error.line, "", "", [_of_error(document.error)])
            return
        if value is None:
            return
        self.result.documents += 1
        if problems := check_envelope(value):
            self._refuse(file, document, value, problems)
            return
        entity = descriptor = value
        if any(token.encode() in content for token in placeholders.TOKENS):
            resolved = placeholders.resolve(value, read=self._reader_beside(file))
            self._warn(file, document, _name(value), resolved.warnings)
            if resolved.problems:
                self._refuse(file, document, value, resolved.problems)
                return
            entity, descriptor = resolved.entity, resolved.descriptor
        if problems := check_entity(entity, is_custom_kind=self._is_custom_kind):
            self._refuse(file, document, value, problems)
            return
        if entity["kind"] == "Location" and not self._follow(file, document, entity):
            return
        yield _Candidate(file, document, entity, descriptor)

    def _reader_beside(self, file: Path) -> Callable[[str], bytes]:
        return lambda path: self.workspace.read(file.parent / path, placeholders.MAX_BYTES)

    def _is_custom_kind(self, kind: str) -> bool:
        return self.options.create_kinds or blueprint_of(kind) in self.blueprints

    def _follow(self, file: Path, document: YamlDocument, entity: dict[str, Any]) -> bool:
        """Queue what a Location names. False when it is refused for it."""
        targets = find_targets(entity, file=file, workspace=self.workspace)
        if targets.problems and self.options.strict:
            self._refuse(file, document, entity, targets.problems)
            return False
        self._warn(file, document, _name(entity), targets.problems + targets.warnings)
        for target in targets.files:
            self._enqueue(target, True)
        return True

    # --- batches ------------------------------------------------------------------------------

    def _flush(self, batch: list[_Candidate]) -> None:
        if not batch:
            return
        with transaction.atomic():
            created = self._ensure_blueprints({candidate.entity["kind"] for candidate in batch})
            accepted = self._without_conflicts(batch)
            self._apply(accepted)
            if self.options.dry_run:
                transaction.set_rollback(True)
        self.result.created_blueprints += [
            one for one in created if one not in self.result.created_blueprints
        ]
        if not self.options.dry_run:
            self.blueprints.update(created)
        self.progress(self.result)

    def _ensure_blueprints(self, kinds: set[str]) -> list[str]:
        created: list[str] = []
        if {blueprint_of(kind) for kind in kinds} - self.blueprints or not self._has_system():
            created += ensure_system_blueprints()
            documents = default_blueprints(kinds)
            documents |= {
                blueprint_of(kind): custom_blueprint(kind) for kind in kinds if kind not in KINDS
            }
            created += ensure_blueprints(documents, actor=self.actor)
        for kind in kinds & {"Group", "User"}:
            self._extend_system_blueprint(blueprint_of(kind))
        return created

    def _has_system(self) -> bool:
        return {TEAM, USER} <= self.blueprints

    def _extend_system_blueprint(self, identifier: str) -> None:
        """At the first import of a group or user, give it the properties that all kinds have.

        Later the blueprint belongs to the administrators: what they took away stays away.
        """
        came_before = Entity.objects.filter(
            blueprint__identifier=identifier, descriptor__isnull=False
        )
        if came_before.exists():
            return
        blueprint = Blueprint.objects.get(identifier=identifier)
        schema = blueprint_document(blueprint)["schema"]
        properties = {**system_properties()[identifier], **schema["properties"]}
        if properties.keys() != schema["properties"].keys():
            ordered = {**schema["properties"], **properties}
            patch_blueprint(
                identifier, {"schema": {**schema, "properties": ordered}}, actor=self.actor
            )

    def _without_conflicts(self, batch: list[_Candidate]) -> list[_Candidate]:
        """Leave out what another file holds: one read before, or one that held it already."""
        stored = self._stored_locations(batch)
        accepted = []
        for candidate in batch:
            key = candidate.key
            holder = self.registered.get(key)
            place = f"file:{holder}" if holder else ""
            if holder is None and not self.options.take_over:
                place = self._other_holder(key, stored.get(key), candidate.file)
            if place:
                message = f"{_name(candidate.entity)} is already registered from {_shown(place)}"
                hint = "" if holder else "Remove it there, or import with --take-over."
                problem = Problem(("metadata", "name"), message, "one file per entity", "", hint)
                self._refuse(candidate.file, candidate.document, candidate.entity, [problem])
            else:
                self.registered[key] = candidate.file
                accepted.append(candidate)
        return accepted

    def _stored_locations(self, batch: list[_Candidate]) -> dict[Key, str]:
        keys = {candidate.key for candidate in batch}
        rows = Entity.objects.filter(
            blueprint__identifier__in={blueprint for blueprint, _ in keys},
            identifier__in={identifier for _, identifier in keys},
            location__isnull=False,
        ).values_list("blueprint__identifier", "identifier", "location")
        return {
            (blueprint, identifier): location or ""
            for blueprint, identifier, location in rows
            if (blueprint, identifier) in keys
        }

    def _other_holder(self, key: Key, location: str | None, file: Path) -> str:
        """The place that holds a stored entity, if it is another one and still holds it."""
        if not location or location == f"file:{file}":
            return ""
        scheme, _, target = location.partition(":")
        if scheme != "file":
            return location
        return location if key in self._keys_in(Path(target)) else ""

    def _keys_in(self, file: Path) -> set[Key]:
        """The entities that a file holds now. Remembered for the files asked for last."""
        if file in self.held:
            self.held.move_to_end(file)
            return self.held[file]
        keys: set[Key] = set()
        try:
            content = Workspace((file.parent,)).read(file, self.options.max_file_bytes)
            for document in read_documents(content, name=str(file), limits=self.limits):
                if not document.error and not check_envelope(document.value):
                    ref = ref_of(document.value)
                    keys.add((blueprint_of(ref.kind), identifier_of(ref)))
        except IdpError:
            pass  # what cannot be read holds nothing
        self.held[file] = keys
        if len(self.held) > 100:
            self.held.popitem(last=False)
        return keys

    def _apply(self, candidates: list[_Candidate]) -> None:
        shapes = load_shapes()
        drafts = []
        for candidate in candidates:
            relations = {
                name: RelationShape(definition.target, definition.many)
                for name, definition in shapes[candidate.key[0]].definitions.items()
            }
            mapped = map_entity(candidate.entity, relations)
            self._warn(candidate.file, candidate.document, _name(candidate.entity), mapped.warnings)
            drafts.append(
                EntityDraft(
                    blueprint=mapped.blueprint,
                    identifier=mapped.identifier,
                    title=mapped.title,
                    team=mapped.team,
                    properties=mapped.properties,
                    relations=mapped.relations,
                    descriptor=candidate.descriptor,
                    location=f"file:{candidate.file}",
                )
            )
        result = apply(
            drafts,
            mode=Mode.REPLACE,
            actor=self.actor,
            missing_targets=MissingTargets.DANGLE,
        )
        for candidate, item in zip(candidates, result.items, strict=True):
            if item.status is Status.REJECTED and item.error:
                self._refuse_item(candidate, item.error)
            else:
                self._count(item.blueprint, item.status.value)

    # --- reports ------------------------------------------------------------------------------

    def _count(self, blueprint: str, status: str) -> None:
        self.result.counts.setdefault(blueprint, Counter())[status] += 1

    def _refuse_item(self, candidate: _Candidate, error: IdpError) -> None:
        path = source_path(candidate.entity, str(error.details.get("field", "")))
        problem = Problem(
            path, error.message, str(error.details.get("expected", "")), hint=error.hint
        )
        self._refuse(candidate.file, candidate.document, candidate.entity, [problem])

    def _refuse(
        self, file: Path, document: YamlDocument, value: Any, problems: list[Problem]
    ) -> None:
        kind = value.get("kind") if isinstance(value, dict) else None
        blueprint = blueprint_of(kind) if isinstance(kind, str) else ""
        findings = [_finding(document, problem) for problem in problems]
        self._reject(file, findings[0].line, blueprint, _name(value), findings)

    def _reject(
        self, file: Path, line: int, blueprint: str, entity: str, findings: list[Finding]
    ) -> None:
        self._count(blueprint, Status.REJECTED.value)
        self.result.rejected.append(Report(_shown(file), line, entity, tuple(findings)))

    def _warn(
        self, file: Path, document: YamlDocument, entity: str, problems: list[Problem]
    ) -> None:
        if problems:
            findings = tuple(_finding(document, problem) for problem in problems)
            self.result.warnings.append(Report(_shown(file), findings[0].line, entity, findings))


def _counts(documents: Iterable[YamlDocument], content: bytes) -> bool:
    return any(is_entity(document.value) for document in documents) or (
        any(document.error for document in documents) and surely_holds_entities(content)
    )


def _why_not(documents: Iterable[YamlDocument]) -> str:
    for document in documents:
        if document.error:
            return f"not readable as YAML (line {document.error.line}: {document.error.problem})"
    return NO_ENTITY


def _finding(document: YamlDocument, problem: Problem) -> Finding:
    line = document.line_of(problem.path) if problem.path else document.line
    return Finding(line, problem.field, problem.message, problem.expected, problem.hint)


def _of_error(error: YamlError) -> Finding:
    return Finding(error.line, "", error.problem, "YAML", error.hint)


def _name(value: Any) -> str:
    """`Component orders`, or as much of it as there is."""
    if not isinstance(value, Mapping):
        return ""
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    namespace = metadata.get("namespace") if isinstance(metadata, Mapping) else None
    named = f"{namespace}/{name}" if namespace and name else name
    return " ".join(part for part in (value.get("kind"), named) if isinstance(part, str))[:200]


def _shown(file: Path | str) -> str:
    """A path as short as it can be said: below the current folder without it."""
    text = str(file)
    prefix = "file:" if text.startswith("file:") else ""
    text = text.removeprefix("file:")
    here = os.getcwd() + os.sep
    return text.removeprefix(here) if prefix or text.startswith(here) else text
