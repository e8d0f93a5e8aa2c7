"""Import of catalogue files: what was read is mapped and handed to the one door.

Entities stream through in batches, so memory does not grow with their number. A bad document is
reported with file, line and field, and never stops the others. Which file an entity came from is
kept in its `location`; the first file of an entity keeps it until it no longer holds it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import transaction

from catalog.dialects.backstage.files import FileReader, Workspace
from catalog.dialects.backstage.mapping import Key, blueprint_of
from catalog.dialects.backstage.problems import Problem
from catalog.dialects.backstage.reader import (
    MAX_FILE_BYTES,
    URL,
    Reader,
    is_address,
    is_file,
    path_in,
)
from catalog.dialects.backstage.reading import (
    Candidate,
    Finding,
    Journal,
    Other,
    Reading,
    Report,
    keys_in,
    location_of,
    shown,
)
from catalog.dialects.storing import ensure_blueprints_of, store
from catalog.kernel.actors import Actor
from catalog.models import Blueprint, Entity
from catalog.registry import document_takers
from catalog.services.entities import Status

BATCH = 1000
_REMEMBERED_FILES = 100


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """dry_run: check everything, store nothing. create_kinds: make blueprints for kinds that
    Backstage does not know. take_over: an entity that another file holds moves to the file read
    now. strict, roots, max_file_bytes, reader: see `Reading`. location: what an entity's `location`
    says of the file it came from; of an address it is the address. run: what history calls the
    import. takes_others: documents of other apps, such as scorecards, are taken in, too."""

    dry_run: bool = False
    strict: bool = False
    create_kinds: bool = False
    take_over: bool = False
    roots: tuple[Path, ...] = ()
    max_file_bytes: int = MAX_FILE_BYTES
    batch_size: int = BATCH
    location: Callable[[Path], str] = location_of
    reader: Callable[[Workspace], Reader] = FileReader
    run: str = ""
    takes_others: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one entity of the files. pk: None where nothing is stored."""

    blueprint: str
    identifier: str
    status: str
    pk: int | None


@dataclass(slots=True)
class ImportResult:
    """What became of an import. stored: by blueprint (or what else is taken in), then by status."""

    journal: Journal
    stored: dict[str, Counter[str]] = field(default_factory=dict)
    created_blueprints: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, Counter[str]]:
        """Entities by blueprint ("": not even that could be read), then by status."""
        counts = {name: Counter(count) for name, count in self.stored.items()}
        for report in self.journal.rejected:
            counts.setdefault(report.blueprint, Counter())[Status.REJECTED.value] += 1
        return dict(sorted(counts.items()))

    @property
    def totals(self) -> Counter[str]:
        return sum(self.counts.values(), Counter())

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.journal.as_dict(),
            "counts": self.counts,
            "totals": self.totals,
            "created_blueprints": self.created_blueprints,
        }


def import_files(
    paths: Iterable[str],
    *,
    actor: Actor,
    options: ImportOptions = ImportOptions(),
    progress: Callable[[ImportResult], None] = lambda result: None,
    saw: Callable[[Sequence[Imported]], None] = lambda entities: None,
) -> ImportResult:
    """Import files, folders and shell patterns, and all files that their Locations name.

    `progress` is called after each batch, and `saw` with what was in it; at last with what is in
    the catalogue from files that had something wrong: it counts as there. Blueprints of
    Backstage's kinds are made when a kind first comes; those that exist are left as they are.
    """
    return _Import(paths, actor, options, progress, saw).run()


class _Import:
    def __init__(
        self,
        paths: Iterable[str],
        actor: Actor,
        options: ImportOptions,
        progress: Callable[[ImportResult], None],
        saw: Callable[[Sequence[Imported]], None],
    ) -> None:
        self.actor = actor
        self.options = options
        self.progress = progress
        self.saw = saw
        self.blueprints = set(Blueprint.objects.values_list("identifier", flat=True))
        self.reading = Reading(
            paths,
            is_custom_kind=self._is_custom_kind,
            strict=options.strict,
            roots=options.roots,
            max_file_bytes=options.max_file_bytes,
            reader=options.reader,
            takers=tuple(document_takers.values()) if options.takes_others else (),
        )
        self.journal = self.reading.journal
        self.result = ImportResult(self.journal)
        self.registered: dict[Key, str] = {}
        self.held: OrderedDict[Path, set[Key]] = OrderedDict()

    def run(self) -> ImportResult:
        batch: list[Candidate] = []
        for candidate in self.reading:
            batch.append(candidate)
            if len(batch) >= self.options.batch_size:
                self._store(batch)
                batch = []
        if batch:
            self._store(batch)
        for other in self.reading.others:
            self._take(other)
        if spared := self._of_broken_files():
            self.saw(spared)
        return self.result

    def _take(self, other: Other) -> None:
        """Have a document that is no entity taken in: after the entities, which it may be about."""
        name = other.taker.name
        for item in other.taker.take(other.document.value, self.actor, self.options.dry_run):
            line = other.document.line_of(item.path) if item.path else other.document.line
            findings = tuple(Finding(line, "", remark) for remark in item.remarks)
            report = Report(shown(other.place), line, item.name, name, findings)
            if item.status == Status.REJECTED:
                self.journal.rejected.append(report)
                continue
            self.result.stored.setdefault(name, Counter())[item.status] += 1
            if findings:
                self.journal.warnings.append(report)

    def _of_broken_files(self) -> list[Imported]:
        """What is stored from files in which something was refused, and was not read now."""
        files = {report.file for report in self.journal.rejected}
        locations = [
            f"{URL}:{file}" if is_address(file) else self.options.location(Path.cwd() / file)
            for file in files
        ]
        rows = Entity.objects.filter(location__in=locations).values_list(
            "blueprint__identifier", "identifier", "pk"
        )
        return [
            Imported(blueprint, identifier, Status.REJECTED.value, pk)
            for blueprint, identifier, pk in rows
            if (blueprint, identifier) not in self.registered
        ]

    def _location(self, place: str) -> str:
        return self.options.location(path_in(place)) if is_file(place) else place

    def _is_custom_kind(self, kind: str) -> bool:
        return self.options.create_kinds or blueprint_of(kind) in self.blueprints

    def _store(self, batch: list[Candidate]) -> None:
        is_dry = self.options.dry_run
        with transaction.atomic() if is_dry else nullcontext():
            kinds = {candidate.entity["kind"] for candidate in batch}
            created = ensure_blueprints_of(kinds, known=self.blueprints, actor=self.actor)
            self._apply(self._without_conflicts(batch))
            if is_dry:
                transaction.set_rollback(True)
        known = self.result.created_blueprints
        known += [identifier for identifier in created if identifier not in known]
        if not is_dry:
            self.blueprints.update(created)
        self.progress(self.result)

    # --- conflicts ----------------------------------------------------------------------------

    def _without_conflicts(self, batch: list[Candidate]) -> list[Candidate]:
        """Leave out what another file holds: one read before, or one that held it already."""
        stored = self._stored_locations(batch)
        accepted = []
        for candidate in batch:
            key = candidate.key
            hint = ""
            place = shown(self.registered[key]) if key in self.registered else ""
            if not place and not self.options.take_over:
                place = self._other_holder(key, stored.get(key, ""), candidate.place)
                hint = "Remove it there, or import with --take-over."
            if place:
                message = f"it is already registered from {place}"
                problem = Problem(("metadata", "name"), message, "one file per entity", "", hint)
                self.journal.reject(
                    candidate.place, candidate.document, candidate.entity, [problem]
                )
            else:
                self.registered[key] = candidate.place
                accepted.append(candidate)
        return accepted

    def _stored_locations(self, batch: list[Candidate]) -> dict[Key, str]:
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

    def _other_holder(self, key: Key, location: str, place: str) -> str:
        """The place that a stored entity came from, if it is another and still holds it."""
        scheme, _, target = location.partition(":")
        if location == self._location(place):
            return ""
        if scheme != "file":
            return location
        if key not in self._keys_in(Path(target)):
            return ""
        return shown(target)

    def _keys_in(self, file: Path) -> set[Key]:
        """What a file holds now, remembered for the files asked for last."""
        if file not in self.held:
            self.held[file] = keys_in(file, max_file_bytes=self.options.max_file_bytes)
            if len(self.held) > _REMEMBERED_FILES:
                self.held.popitem(last=False)
        self.held.move_to_end(file)
        return self.held[file]

    # --- the door -----------------------------------------------------------------------------

    def _apply(self, candidates: list[Candidate]) -> None:
        results = store(
            candidates,
            location=lambda candidate: self._location(candidate.place),
            actor=self.actor,
            run=self.options.run,
        )
        seen = []
        for candidate, stored in zip(candidates, results, strict=True):
            place = (candidate.place, candidate.document, candidate.entity)
            self.journal.warn(*place, list(stored.warnings))
            item = stored.item
            if stored.problem:
                self.journal.reject(*place, [stored.problem])
            else:
                counts = self.result.stored.setdefault(item.blueprint, Counter())
                counts[item.status.value] += 1
            seen.append(Imported(item.blueprint, item.identifier, item.status.value, item.pk))
        self.saw(seen)
