"""What a file of a location comes to: its entities, its problems, and where it leads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from catalog.dialects.backstage import wording
from catalog.dialects.backstage.annotations import LOCATION, ORIGIN
from catalog.dialects.backstage.kinds import BY_LOWER_NAME
from catalog.dialects.backstage.locations import Target
from catalog.dialects.backstage.mapping import Key, ref_of
from catalog.dialects.backstage.problems import Problem
from catalog.dialects.backstage.reader import Reader, content_hash
from catalog.dialects.backstage.reading import (
    Candidate,
    FileContent,
    Finding,
    key_of,
    read_file,
)
from catalog.dialects.backstage.validate import check_envelope
from catalog.ingest.locations.rules import Rules
from catalog.ingest.locations.walking import Lead, Node
from catalog.kernel.errors import shorten
from catalog.models import Blueprint

MAX_PROBLEMS: Final = 200  # of one file that are kept
MAX_DOCUMENT_BYTES: Final = 64 * 1024  # of a refused document that is kept

CustomKind = Callable[[str], bool]


@dataclass(slots=True)
class ReadFile:
    """A file that was read because it changed.

    digest: hash of its content. candidates: valid entities that may come from here. problems: see
    `LocationFile`; refused: the first of each entity that is not as it should be. keys: all
    entities that it names, valid or not. is_legible: every document tells which entity it is.
    is_out: strictly, nothing of it counts. refused_for: why its whole Location was refused.
    """

    node: Node
    digest: str
    candidates: list[Candidate]
    problems: list[dict[str, Any]]
    reads: list[dict[str, Any]]
    keys: set[Key]
    is_legible: bool = True
    is_out: bool = False
    refused_for: str = ""
    refused: dict[Key, dict[str, Any]] = field(default_factory=dict)

    def reject(self, candidate: Candidate, problem: Problem, *, holder: str = "") -> None:
        """Note why a valid entity is not taken. holder: the place that has it instead."""
        line = candidate.document.line_of(problem.path) if problem.path else candidate.document.line
        finding = Finding(line, problem.field, problem.message, problem.expected, problem.hint)
        name = f"{candidate.entity['kind']} {shorten(candidate.key[1])}"
        self._add(name, (finding,), candidate.entity, candidate.key, holder=holder)

    def status_of(self, key: Key) -> list[dict[str, Any]]:
        """The `status.items` of an entity of which the last good data is shown."""
        problem = self.refused.get(key)
        if problem is None and key not in self.keys and not self.is_legible:
            problem = next(one for one in self.problems if one["key"] is None)
        return [wording.status_item(problem["error"])] if problem else []

    def _add(
        self,
        entity: str,
        findings: Sequence[Finding],
        document: Any,
        key: Key | None,
        *,
        holder: str = "",
        is_custom_kind: CustomKind = lambda kind: True,
    ) -> None:
        is_kept = _is_of_a_kind(document, is_custom_kind) and _is_small(document)
        kept = document if is_kept else None
        for finding in findings:
            problem: dict[str, Any] = {
                "line": finding.line,
                "entity": entity,
                "field": finding.field,
                "message": finding.message,
                "expected": finding.expected,
                "hint": finding.hint,
                "document": kept,
                "key": list(key) if key else None,
                "error": _error(document, finding, is_custom_kind),
            }
            if holder:
                problem["holder"] = holder
            if len(self.problems) < MAX_PROBLEMS:
                self.problems.append(problem)
            if key and not holder:
                self.refused.setdefault(key, problem)
            kept = None  # once is enough


def parse(
    node: Node,
    *,
    reader: Reader,
    rules: Rules,
    is_custom_kind: CustomKind,
    is_strict: bool,
) -> ReadFile:
    """Read the content of a node, and tell the walk where it leads."""
    raw = node.content or b""
    content = read_file(
        node.place,
        raw,
        reader=reader,
        is_custom_kind=is_custom_kind,
        strict=is_strict,
    )
    reads = [
        {"place": one.place, "etag": one.etag, "hash": one.hash.hex()} for one in content.reads
    ]
    digest = content_hash(raw).hex()
    file = ReadFile(node, digest, [], [], reads, set(), is_out=content.is_out)
    for report in content.journal.rejected:
        document = report.document
        key = key_of(document) if document is not None and not check_envelope(document) else None
        if key is None:
            file.is_legible = False
        else:
            file.keys.add(key)
            file.is_out |= not rules.allow(document)
        file._add(report.entity, report.findings, document, key, is_custom_kind=is_custom_kind)
    for candidate, findings in _misled(content):
        name = f"Location {candidate.key[1]}"
        file._add(name, findings, None, candidate.key, is_custom_kind=is_custom_kind)
    for candidate in content.candidates:
        file.keys.add(candidate.key)
        if rules.allow(candidate.entity):
            file.candidates.append(candidate)
            continue
        kind = candidate.entity["kind"]
        problem = Problem(
            ("kind",),
            f"entities of kind {kind} are not allowed from this location",
            "a kind that the rules allow",
            hint="An administrator decides in the settings of the catalogue, or of the location.",
        )
        file.reject(candidate, problem)
        file.is_out = True
    node.leads = [lead for one in file.candidates for lead in _leads(one)]
    return file


def annotations_of(place: str, origin: str, reader: Reader) -> dict[str, str]:
    """What the catalogue says of an entity from a place."""
    return {
        LOCATION: place,
        ORIGIN: origin,
        **reader.annotations(place),
    }


def custom_kinds() -> set[str]:
    """The blueprints there are, any of which may be a kind."""
    return set(Blueprint.objects.values_list("identifier", flat=True))


def error_of_lead(lead: Lead) -> dict[str, Any]:
    """In Backstage's words."""
    kind, _, target = lead.place.partition(":")
    if not lead.is_missing:
        return wording.error(wording.INPUT_ERROR, f"Unable to read {kind}, {lead.problem}")
    if kind == "file":
        return wording.error(wording.NOT_FOUND_ERROR, f"file {target} does not exist")
    return wording.error(
        wording.NOT_FOUND_ERROR, f"Unable to read url, no matching files found for {target}"
    )


def problem_of_lead(lead: Lead, key: Key) -> dict[str, Any]:
    """A target that cannot be followed, as a problem of the file that names it."""
    return {
        "line": lead.line,
        "entity": f"Location {key[1]}",
        "field": lead.field,
        "message": f"{lead.written}: {lead.problem}",
        "expected": "a file",
        "hint": lead.hint,
        "document": None,
        "key": list(key),
        "error": error_of_lead(lead),
        "target": lead.place,
    }


def _misled(content: FileContent) -> Iterator[tuple[Candidate, tuple[Finding, ...]]]:
    """The Locations with a target that can be none; they count, but their authors should know."""
    told: dict[str, tuple[Finding, ...]] = {}
    for report in content.journal.warnings:
        found = tuple(one for one in report.findings if one.field.startswith("spec.target"))
        if found and report.entity.startswith("Location "):
            told[report.entity] = found
    for candidate in content.candidates if told and not content.is_out else ():
        metadata = candidate.entity["metadata"]
        namespace, name = metadata.get("namespace"), metadata["name"]
        shown = f"{candidate.entity['kind']} {f'{namespace}/{name}' if namespace else name}"
        if shown in told:
            yield candidate, told[shown]


def _leads(candidate: Candidate) -> Iterator[Lead]:
    ref = str(ref_of(candidate.entity))
    for target in candidate.targets:
        yield _lead(ref, target, candidate)


def _lead(ref: str, target: Target, candidate: Candidate) -> Lead:
    return Lead(
        ref=ref,
        place=target.place,
        written=target.written,
        field=target.field,
        line=candidate.document.line_of(target.path),
        is_optional=target.is_optional,
    )


def _error(document: Any, finding: Finding, is_custom_kind: CustomKind) -> Mapping[str, Any]:
    if document is None:
        return wording.error(wording.INPUT_ERROR, finding.message)
    return wording.told_as(
        document, field=finding.field, message=finding.message, is_custom_kind=is_custom_kind
    )


def _is_of_a_kind(document: Any, is_custom_kind: CustomKind) -> bool:
    """Whether a refused document is meant for the catalogue. Anything else is nobody's to see: our
    token may read files that who registers a location may not."""
    kind = document.get("kind") if isinstance(document, Mapping) else None
    return isinstance(kind, str) and (kind.lower() in BY_LOWER_NAME or is_custom_kind(kind))


def _is_small(document: Any) -> bool:
    try:
        return len(orjson.dumps(document)) <= MAX_DOCUMENT_BYTES
    except (TypeError, ValueError):  # nothing that JSON can hold
        return False
