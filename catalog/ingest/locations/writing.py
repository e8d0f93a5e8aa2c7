"""One walk through a location, and what comes of it: its entities, its files, its state."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from catalog.dialects.backstage import wording
from catalog.dialects.backstage.annotations import ORIGIN
from catalog.dialects.backstage.locations import location_entity
from catalog.dialects.backstage.mapping import Key, blueprint_of, key_of_ref, ref_of
from catalog.dialects.backstage.problems import Problem
from catalog.dialects.backstage.reader import Reader
from catalog.dialects.backstage.reading import Candidate, key_of
from catalog.dialects.backstage.refs import parse_ref
from catalog.dialects.storing import ensure_blueprints_of, store
from catalog.ingest.locations import due, holding, orphans, rules, walking
from catalog.ingest.locations.holding import ACTOR, Holder
from catalog.ingest.locations.known import differs, file_row, known_row, row_without_file, trees_of
from catalog.ingest.locations.reading import (
    ReadFile,
    annotations_of,
    error_of_lead,
    parse,
    problem_of_lead,
)
from catalog.ingest.locations.walking import Lead, Node, Step, Tree
from catalog.models import CatalogSettings, Location, LocationFile
from catalog.services.entities import Status
from catalog.services.entities.marking import mark_changed

BATCH: Final = 500  # entities that are written together

_ATTEMPTS: Final = 3
_DELETE: Final = CatalogSettings.OrphanStrategy.DELETE


@dataclass(slots=True)
class Refreshed:
    """What a refresh did. files: how many were read because they changed. unchanged: nothing was
    parsed and nothing written."""

    created: int = 0
    updated: int = 0
    rejected: int = 0
    orphaned: int = 0
    files: int = 0
    unchanged: bool = False


class _Overtaken(Exception):
    """Somebody else wrote on this location since we began."""


@dataclass(slots=True)
class Round:
    """What all locations of one round share. run: the action run that asks for it, if one does."""

    reader: Reader
    settings: CatalogSettings
    blueprints: set[str]
    run: str = ""

    def refresh(self, row: Location, tree: Tree) -> Refreshed:
        """tree: as `row` was read."""
        total = Refreshed(unchanged=True)
        for _ in range(_ATTEMPTS):
            work = _Refresh(row, tree, self.reader, self.settings, self.blueprints, self.run)
            try:
                work.run()
            except _Overtaken:
                is_over = False
            else:
                total = _sum(total, work.result)
                # What one file let go, another one of the same location may have waited for.
                is_over = row.pk not in due.reconsider(work.orphaned)
            again = None if is_over else Location.objects.filter(pk=row.pk).first()
            if again is None:
                break
            row, tree = again, trees_of([again])[again.pk]
        if total.orphaned and self.settings.orphan_strategy == _DELETE:
            orphans.sweep_orphans(row.place)
        return total


def _sum(one: Refreshed, two: Refreshed) -> Refreshed:
    return Refreshed(
        one.created + two.created,
        one.updated + two.updated,
        two.rejected,
        one.orphaned + two.orphaned,
        one.files + two.files,
        one.unchanged and two.unchanged,
    )


@dataclass(frozen=True, slots=True)
class _RootEntity:
    """The Location entity that is made for a location."""

    entity: dict[str, Any]

    @property
    def descriptor(self) -> dict[str, Any]:
        return self.entity

    @property
    def key(self) -> Key:
        return key_of(self.entity)


class _Refresh:
    """One walk through a location."""

    def __init__(
        self,
        location: Location,
        tree: Tree,
        reader: Reader,
        settings: CatalogSettings,
        blueprints: set[str],
        action_run: str,
    ) -> None:
        self.location = location
        self.action_run = action_run
        self.reader = reader
        self.settings = settings
        self.version = (location.changed_at, location.updated_at)
        self.rules = rules.Rules.of(location, settings)
        self.blueprints = blueprints
        self.tree = tree
        self.result = Refreshed()
        self.orphaned: set[Key] = set()
        self.nodes: dict[str, Node] = {}
        self.read: dict[str, ReadFile] = {}
        self.waiting: list[ReadFile] = []
        self.leads: dict[str | None, list[Lead]] = {}  # followed, by the file that holds them
        self.is_changed = False
        self.is_faulty = False
        self.registered: dict[Key, str] = {}

    def run(self) -> None:
        for step in walking.steps(self.tree, self.reader, at_once=self.settings.is_strict):
            self._take(step)
            is_full = sum(len(one.candidates) for one in self.waiting) >= BATCH
            if is_full and not self.settings.is_strict:
                self._write(is_last=False)
        if self.settings.is_strict:
            self._hold_back()
        gone = self.tree.files.keys() - self.nodes.keys() - {self.tree.root.place}
        is_new = self.location.state == Location.State.PENDING
        if not (self.is_changed or gone or is_new or self.tree.root.place not in self.tree.files):
            self.result.unchanged = True
            return
        self._write(gone=gone, is_last=True)

    # --- what was read ------------------------------------------------------------------------

    def _take(self, step: Step) -> None:
        read = []
        for node in step.nodes:
            self.nodes[node.place] = node
            if node.content is not None:
                read.append(
                    parse(
                        node,
                        reader=self.reader,
                        rules=self.rules,
                        is_custom_kind=lambda kind: blueprint_of(kind) in self.blueprints,
                        is_strict=self.settings.is_strict,
                    )
                )
            self.is_changed |= node.is_changed or node.has_new_etag
        after = list(step.after)
        if self.settings.is_strict and (cause := _why_refused(read, step)):
            for file in read:
                _refuse(file, cause)
            if after and not any(one.problem for one in after):
                after[0] = replace(after[0], problem=cause)
        self.leads.setdefault(step.parent, []).extend(after)
        self.is_changed |= list(step.before) != after
        self.waiting += read
        for file in read:
            self.read[file.node.place] = file
            file.node.content = None  # read, and perhaps large

    def _hold_back(self) -> None:
        """Strictly, a Location that fails is not stored: the last good one stays, if any."""
        failed = {one.ref for leads in self.leads.values() for one in leads if one.problem}
        for file in self.waiting:
            file.candidates = [
                one for one in file.candidates if str(ref_of(one.entity)) not in failed
            ]

    # --- writing ------------------------------------------------------------------------------

    def _write(self, *, gone: Collection[str] = (), is_last: bool) -> None:
        """Write what was read and not yet written; at last also how the walk ended. Nearly always
        that is all at once."""
        files, self.waiting = self.waiting, []
        if not files and not is_last:
            return
        candidates = [one for file in files for one in file.candidates]
        kinds = {one.entity["kind"] for one in candidates}
        self._ensure_blueprints(kinds | {"Location"})
        now = timezone.now()
        root = _RootEntity(location_entity(self.location))
        keys = {one.key for one in candidates} | {root.key}
        with transaction.atomic(), connection.cursor() as cursor:
            holding.lock({blueprint for blueprint, _ in keys})
            self._claim(now)
            found = holding.holders(cursor, keys)
            accepted = self._without_conflicts(files, found)
            owns_root = is_last and self._may_store_root(found.get(root.key))
            entities, root_pk = self._store(accepted, root if owns_root else None)
            rows = self._last_rows(files) if is_last else [file_row(one, ()) for one in files]
            pks = holding.store_files(cursor, self.location, rows, at=now)
            held = self._held_rows(entities, pks)
            if root_pk is not None:
                held.append(self._root_row(root_pk, pks[self.location.place]))
            mark_changed(cursor, holding.hold(cursor, held))
            self._settle(cursor, {pks[file.node.place]: file for file in files}, now)
            if is_last:
                self._lose(cursor, [self.tree.files[place].pk for place in gone], now)
                self._tell_locations(cursor)
                self._rename_origin(cursor)
                self._set_state(now)
        self.result.rejected += sum(len(file.problems) for file in files)
        self.result.files += len(files)
        for file in files:
            file.candidates = []  # with their documents, they are most of the memory

    def _ensure_blueprints(self, kinds: set[str]) -> None:
        created = ensure_blueprints_of(kinds, known=self.blueprints, actor=ACTOR)
        self.blueprints.update(created)

    def _claim(self, now: datetime) -> None:
        """Lock the location. Raises _Overtaken when somebody else wrote on it since."""
        row = Location.objects.select_for_update().filter(pk=self.location.pk).first()
        if row is None or (row.changed_at, row.updated_at) != self.version:
            raise _Overtaken
        Location.objects.filter(pk=row.pk).update(changed_at=now)
        self.version = (now, row.updated_at)

    def _without_conflicts(
        self, files: Sequence[ReadFile], found: dict[Key, Holder]
    ) -> list[tuple[ReadFile, Candidate]]:
        accepted = []
        for file in files:
            for one in file.candidates:
                place = self._other_holder(one, found.get(one.key))
                if place:
                    message = f"it is already registered from {place.removeprefix('url:')}"
                    problem = Problem(
                        ("metadata", "name"),
                        message,
                        "one file per entity",
                        hint="Remove it from one of the two files.",
                    )
                    file.reject(one, problem, holder=place)
                elif place is not None:
                    accepted.append((file, one))
                    self.registered[one.key] = one.place
        return accepted

    def _other_holder(self, one: Candidate, holder: Holder | None) -> str | None:
        """The place that has an entity, if it is another; None when another location has the
        same file, so that it is the same entity."""
        if one.key in self.registered:
            return self.registered[one.key]
        if holder is None:
            return ""
        if holder.file is not None:
            if holder.place == one.place:
                return "" if holder.owner == self.location.pk else None
            return holder.place
        if holder.is_located or holder.location in ("", one.place):
            return ""
        return holder.location

    def _may_store_root(self, holder: Holder | None) -> bool:
        """Not when another location has it, whose target was changed since; nor, strictly, before
        its target could be read once."""
        if holder and holder.file is not None and holder.owner != self.location.pk:
            return False
        return not (holder is None and self.root.problem and self.settings.is_strict)

    def _store(
        self, accepted: Sequence[tuple[ReadFile, Candidate]], root: _RootEntity | None
    ) -> tuple[list[tuple[ReadFile, Key, int]], int | None]:
        """Write them through the door, and the Location entity with them; (file, key, pk) of those
        that are stored now, and the pk of the latter."""
        stored: list[tuple[ReadFile, Key, int]] = []
        root_pk = None
        every: list[tuple[ReadFile | None, Candidate | _RootEntity]] = [*accepted]
        if root is not None:
            every.append((None, root))
        for start in range(0, len(every), 2 * BATCH):
            part = every[start : start + 2 * BATCH]
            drafts = [one for _, one in part]
            results = store(drafts, location=self._place_of, actor=ACTOR, run=self.action_run)
            for (file, one), result in zip(part, results, strict=True):
                pk = result.item.pk
                if file and isinstance(one, Candidate) and result.problem:
                    file.reject(one, result.problem)
                    continue
                self.result.created += result.item.status is Status.CREATED
                self.result.updated += result.item.status is Status.UPDATED
                if pk is not None and file:
                    stored.append((file, one.key, pk))
                elif pk is not None:
                    root_pk = pk
        return stored, root_pk

    def _place_of(self, one: Candidate | _RootEntity) -> str:
        return one.place if isinstance(one, Candidate) else self.location.place

    def _held_rows(
        self, entities: Sequence[tuple[ReadFile, Key, int]], pks: dict[str, int]
    ) -> list[dict[str, Any]]:
        annotations: dict[str, dict[str, str]] = {}
        rows = []
        for file, key, pk in entities:
            place = file.node.place
            if place not in annotations:
                annotations[place] = annotations_of(place, self.location.place, self.reader)
            rows.append(
                {
                    "entity": pk,
                    "file": pks[place],
                    "origin": self.location.place,
                    "annotations": annotations[place],
                    "status": file.status_of(key),
                }
            )
        return rows

    def _root_row(self, pk: int, file: int) -> dict[str, Any]:
        place = self.location.place
        return {
            "entity": pk,
            "file": file,
            "origin": place,
            "annotations": annotations_of(place, place, self.reader),
            "status": (
                [wording.status_item(error_of_lead(self.root))] if self.root.problem else []
            ),
        }

    def _settle(self, cursor: Any, files: dict[int, ReadFile], now: datetime) -> None:
        """Tell what is wrong with the entities of files that were read; what a file no longer
        names is an orphan, unless it may be what cannot be made out."""
        root = ("location", holding.identifier_of(self.location))
        vanished: dict[Key, int] = {}
        statuses = []
        for pk, key, file_pk, status in holding.held_by(cursor, files):
            file = files[file_pk]
            if file.refused_for or key == root:
                continue
            if key not in file.keys and file.is_legible:
                vanished[key] = pk
            elif (wanted := file.status_of(key)) != status:
                statuses.append((pk, wanted))
        holding.set_status(cursor, statuses)
        self._let_go(cursor, vanished, now)

    def _let_go(self, cursor: Any, vanished: dict[Key, int], now: datetime) -> None:
        holding.make_orphans(cursor, list(vanished.values()), at=now)
        self.orphaned |= vanished.keys()
        self.result.orphaned += len(vanished)

    # --- the end ------------------------------------------------------------------------------

    @property
    def root(self) -> Lead:
        """The location's own lead, followed."""
        return self.leads.get(None, [self.tree.root])[0]

    def _last_rows(self, files: Sequence[ReadFile]) -> list[dict[str, Any]]:
        """What is to be stored of the files, now that all leads are followed."""
        waiting = {file.node.place for file in files}
        rows = []
        for place, node in self.nodes.items():
            leads = self.leads.get(place, [])
            known, file = node.known, self.read.get(place)
            row = file_row(file, leads) if file else known_row(node, leads)
            row["problems"] = [one for one in row["problems"] if "target" not in one] + [
                problem_of_lead(one, key_of_ref(parse_ref(one.ref))) for one in leads if one.problem
            ]
            self.is_faulty |= bool(row["problems"] or row["message"])
            if place == self.root.place:
                row["targets"] = [self.root.as_dict(), *row["targets"]]
                rows.append(row)
            elif place in waiting or (file and leads) or known is None or differs(known, row):
                rows.append(row)
        if self.root.place not in self.nodes:
            rows.append(row_without_file(self.root))
        return rows

    def _lose(self, cursor: Any, files: Sequence[int], now: datetime) -> None:
        """Files to which nothing leads any more."""
        if not files:
            return
        holding.hand_over(cursor, files)
        held = {key: pk for pk, key, _, _ in holding.held_by(cursor, files)}
        self._let_go(cursor, held, now)
        LocationFile.objects.filter(pk__in=files).delete()

    def _tell_locations(self, cursor: Any) -> None:
        """Tell the Location entities which of their targets could not be followed."""
        if len(self.leads) == 1 and not any(one.leads for one in self.tree.files.values()):
            return  # there are none but that of the location itself
        errors = {
            key_of_ref(parse_ref(one.ref)): one
            for parent, leads in self.leads.items()
            if parent is not None
            for one in leads
            if one.problem
        }
        refused = {key for file in self.read.values() for key in file.refused}
        refused |= {
            tuple(problem["key"])
            for node in self.nodes.values()
            if node.known and node.place not in self.read
            for problem in node.known.problems
            if problem.get("key") and "target" not in problem and "holder" not in problem
        }
        root = ("location", holding.identifier_of(self.location))
        pks = LocationFile.objects.filter(location=self.location).values_list("pk", flat=True)
        statuses = []
        for pk, key, _, status in holding.held_by(cursor, pks):
            if key[0] != holding.BLUEPRINT or key == root or key in refused:
                continue
            lead = errors.get(key)
            wanted = [wording.status_item(error_of_lead(lead))] if lead else []
            if wanted != status:
                statuses.append((pk, wanted))
        holding.set_status(cursor, statuses)

    def _rename_origin(self, cursor: Any) -> None:
        """After its target was changed, what stayed the same says where it comes from now."""
        place = self.location.place
        if not self.tree.files or place in self.tree.files:
            return
        cursor.execute(
            "SELECT l.entity_id, l.file_id, l.annotations, l.status FROM catalog_locatedentity l "
            "JOIN catalog_locationfile f ON f.id = l.file_id "
            "WHERE f.location_id = %s AND l.origin <> %s",
            [self.location.pk, place],
        )
        rows = [
            {
                "entity": entity,
                "file": file,
                "origin": place,
                "annotations": {
                    **annotations,
                    ORIGIN: place,
                },
                "status": status,
            }
            for entity, file, annotations, status in cursor.fetchall()
        ]
        mark_changed(cursor, holding.hold(cursor, rows))

    def _set_state(self, now: datetime) -> None:
        problem, state = self.root.problem, Location.State.READY
        if problem:
            state = Location.State.FAILED
        elif self.is_faulty:
            state = Location.State.PARTIAL
        wait = self.settings.refresh_interval_s * random.uniform(1, 1.5)  # noqa: S311 - no secret
        Location.objects.filter(pk=self.location.pk).update(
            state=state,
            problem=problem,
            refreshed_at=now,
            next_refresh_at=now + timedelta(seconds=wait),
        )


# --- details ----------------------------------------------------------------------------------


def _why_refused(read: Sequence[ReadFile], step: Step) -> str:
    """Strictly, one broken file or missing target keeps out all that its Location names."""
    for file in read:
        if file.is_out:
            first = file.problems[0]["message"] if file.problems else "it cannot be read"
            return f"{file.node.place}: {first}"
    for lead in step.after:
        if lead.problem:
            return f"{lead.written}: {lead.problem}"
    return ""


def _refuse(file: ReadFile, cause: str) -> None:
    file.refused_for = cause
    file.candidates = []
    file.node.leads = file.node.known.leads if file.node.known else ()
    if not file.problems:
        file.problems.append(
            {
                "line": 1,
                "entity": "",
                "field": "",
                "message": f"left out with all that its Location names: {cause}",
                "expected": "",
                "hint": "Locations are read strictly; the settings of the catalogue say so.",
                "document": None,
                "key": None,
                "error": wording.error(wording.INPUT_ERROR, cause),
            }
        )
