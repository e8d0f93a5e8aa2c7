"""What live events make of entities: written, forgotten or deleted, and told one by one.

Results are kept on the event's row: [{"blueprint", "identifier", "status", "field"?, "message"?}].
status: "created", "updated", "unchanged" or "rejected"; "deleted"; "released" (it is gone from the
source, but others have it too, or had it before); "kept" (others need it); "missing" (there was
nothing to delete). Every item that went wrong is a line of the source's log besides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from catalog.ingest.mapping import MappedBatch, MappedEntity, ResourceMapping
from catalog.ingest.messages import Log
from catalog.ingest.ownership import release
from catalog.ingest.writing import (
    PROGRAM,
    Body,
    actor_of,
    may_come_later,
    note_seen,
    pks_of,
    write_bodies,
)
from catalog.kernel.errors import HasDependents, IdpError, InvalidEntity, shorten
from catalog.kernel.source import Seen
from catalog.models import Integration, Owned
from catalog.selectors.dependents import dependents_of
from catalog.selectors.stale import Pass, stale_entities
from catalog.services import entities
from catalog.services.entities import ItemResult, MissingTargets, Mode, Status
from catalog.services.entities.locking import lock_for_writing
from catalog.services.references import resolve_references

BATCH: Final = 500  # entities written at once
MAX_RESULTS: Final = 1000  # kept on the event's row

_ALL_TIME: Final = datetime(9999, 1, 1, tzinfo=UTC)
_NO_RUN: Final = 0

Key = tuple[str, str]


class Deed(StrEnum):
    """What a step does. FORGET: delete what the source itself made and nobody else has. DELETE:
    whoever made it."""

    WRITE = "write"
    FORGET = "forget"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Step:
    """A deed on entities of one resource kind, in their order. items: the raw objects they were
    made of, by `item_index`."""

    deed: Deed
    kind: str
    entities: Sequence[MappedEntity]
    items: Sequence[Any]
    with_dependents: bool = True


@dataclass(slots=True)
class Outcome:
    """results: see the module; the first ones. problems: how many items or fields went wrong."""

    results: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    problems: int = 0
    first_problem: str = ""

    def add(self, key: Key, status: str, *, message: str = "", where: str = "") -> None:
        self.count += 1
        if len(self.results) < MAX_RESULTS:
            told = {"field": where, "message": message}
            self.results.append(
                {
                    "blueprint": key[0],
                    "identifier": key[1],
                    "status": status,
                    **{name: value for name, value in told.items() if value},
                }
            )

    def problem(self, message: str) -> None:
        self.problems += 1
        self.first_problem = self.first_problem or message

    @property
    def summary(self) -> str:
        """What went wrong, in a sentence; "" for nothing."""
        if not self.problems:
            return ""
        more = f" (and {self.problems - 1:,} more)" if self.problems > 1 else ""
        return f"{self.first_problem}{more}"


class Writer:
    """Carries out the steps of one event, in the caller's transaction."""

    def __init__(
        self,
        integration: Integration,
        log: Log,
        *,
        run_name: str,
        mode: Mode = Mode.MERGE,
        missing_targets: MissingTargets = MissingTargets.CREATE,
        owns_only_what_it_makes: bool = False,
        dry_run: bool = False,
    ) -> None:
        """owns_only_what_it_makes: no claim to what others made and this one only adds to."""
        self.integration, self.log, self.run_name = integration, log, run_name
        self.mode, self.missing_targets = mode, missing_targets
        self.owns_only_what_it_makes = owns_only_what_it_makes
        self.dry_run = dry_run
        self.actor = actor_of(integration)
        self.outcome = Outcome()

    def note_problems(
        self, resource: ResourceMapping, mapped: MappedBatch, items: Sequence[Any]
    ) -> None:
        """Put into the log what a mapping could not do; a lost field is a warning."""
        vital = {"", "identifier", "blueprint"}
        vital |= {one.name for one in (resource.query, resource.each) if one}
        vital |= {leaf.name for template in resource.templates for leaf in template.identity}
        for problem in mapped.problems:
            details = {"expression": problem.expression, "value": problem.value}
            is_filter = resource.query is not None and problem.field == resource.query.name
            self.log.item(
                "error" if problem.field in vital else "warning",
                problem.message,
                stage="select" if is_filter else "map",
                kind=resource.kind,
                blueprint=resource.blueprint or "",
                field=problem.field,
                details={name: value for name, value in details.items() if value},
                item=items[problem.item_index],
            )
            where = f"{problem.field}: " if problem.field else ""
            self.outcome.problem(f"{where}{problem.message}")

    def saw(self, kind: str, found: Sequence[Seen]) -> None:
        """Note what an import did to descriptors, and tell it."""
        there = [one for one in found if one.status in set(Status)]
        note_seen(
            [
                ItemResult(index, one.blueprint, one.identifier, Status(one.status), pk=one.pk)
                for index, one in enumerate(there)
            ],
            integration=self.integration,
            kind=kind,
            run=None,
        )
        for one in found:
            self.outcome.add((one.blueprint, one.identifier), one.status)

    def carry_out(self, steps: Sequence[Step]) -> Outcome:
        """Do the steps in their order; what goes wrong with one entity stops no other one."""
        steps = [step for step in steps if step.entities]
        if steps:
            self._lock(steps)
        for step in steps:
            if step.deed is Deed.WRITE:
                self._write(step)
            elif step.deed is Deed.FORGET:
                self._forget(step)
            else:
                self._delete(step)
        return self.outcome

    def _lock(self, steps: Sequence[Step]) -> None:
        """All locks at once, in the order of everybody: two events then never wait for each
        other in a circle."""
        doomed = [
            (one.blueprint, one.body["identifier"])
            for step in steps
            if step.deed is not Deed.WRITE and step.with_dependents
            for one in step.entities
            if isinstance(one.body["identifier"], str)
        ]
        if doomed and dependents_of(pks_of(doomed).values()):
            entities.lock_everything()
            return
        lock_for_writing(
            (one.blueprint for step in steps for one in step.entities),
            creates_targets=self.missing_targets is MissingTargets.CREATE,
        )

    # -- writing -----------------------------------------------------------------------------------

    def _write(self, step: Step) -> None:
        later: list[MappedEntity] = []
        for chunk in _chunks(step.entities):
            for entity, result in zip(chunk, self._apply(step.kind, chunk), strict=True):
                if result.error is not None and may_come_later(result.error):
                    later.append(entity)
                else:
                    self._account(step, entity, result)
        # The next ones may have brought what those named.
        for chunk in _chunks(later):
            for entity, result in zip(chunk, self._apply(step.kind, chunk), strict=True):
                self._account(step, entity, result)

    def _apply(self, kind: str, chunk: Sequence[MappedEntity]) -> list[ItemResult]:
        results = write_bodies(
            [Body(one.blueprint, one.body) for one in chunk],
            integration=self.integration,
            kind=kind,
            mode=self.mode,
            missing_targets=self.missing_targets,
            run=None,
            run_name=self.run_name,
            dry_run=self.dry_run,
        )
        if self.owns_only_what_it_makes and not self.dry_run:
            Owned.objects.filter(
                integration=self.integration,
                kind=kind,
                is_creator=False,
                entity_id__in=[one.pk for one in results if one.pk is not None],
            ).delete()
        return results

    def _account(self, step: Step, entity: MappedEntity, result: ItemResult) -> None:
        key = (result.blueprint, result.identifier)
        if result.error is None:
            self.outcome.add(key, result.status.value)
        else:
            self._refused(step, entity, key, Status.REJECTED.value, result.error, stage="apply")

    def _refused(
        self,
        step: Step,
        entity: MappedEntity,
        key: Key,
        status: str,
        error: IdpError,
        *,
        stage: str,
    ) -> None:
        where = str(error.details.get("field", ""))
        self.outcome.add(key, status, message=str(error), where=where)
        self.outcome.problem(f"{key[0]} {shorten(key[1])}: {error.message}")
        self.log.item(
            "error",
            str(error),
            stage=stage,
            kind=step.kind,
            blueprint=key[0],
            identifier=key[1],
            field=where,
            details={name: value for name, value in error.details.items() if name != "field"},
            item=step.items[entity.item_index],
        )

    # -- deleting ----------------------------------------------------------------------------------

    def _forget(self, step: Step) -> None:
        """Delete what the source made and alone has; let go of what others have or made."""
        named = dict(self._named(step))
        pks = pks_of(list(named))
        mine = Owned.objects.filter(
            integration=self.integration, kind=step.kind, entity_id__in=pks.values()
        )
        mine_pks = set(mine.values_list("entity_id", flat=True))
        passed = Pass(self.integration.pk, _NO_RUN, [step.kind], _ALL_TIME)
        gone = {
            one.pk: one.is_deletable
            for one in stale_entities(passed, among=sorted(mine_pks), limit=len(mine_pks) or 1)
        }
        doomed = [key for key in named if gone.get(pks.get(key, 0)) is True]
        self._remove(step, doomed, named)
        released = [key for key in named if gone.get(pks.get(key, 0)) is False]
        if not self.dry_run:
            release(self.integration.pk, [pks[key] for key in released])
            # What another resource kind of the mapping still gives stays ours by that one alone.
            mine.filter(entity_id__in=mine_pks - gone.keys()).delete()
        for key in released:
            self.outcome.add(key, "released")

    def _delete(self, step: Step) -> None:
        named = dict(self._named(step))
        there = pks_of(list(named))
        for key in named:
            if key not in there:
                self.outcome.add(key, "missing")
        self._remove(step, [key for key in named if key in there], named)

    def _remove(self, step: Step, doomed: Sequence[Key], named: Mapping[Key, MappedEntity]) -> None:
        """Delete entities; of several, those that can go do.

        Those that need them are asked for only where there are any: they take the lock of all.
        """
        if not doomed:
            return
        if self.dry_run:
            for key in doomed:
                self.outcome.add(key, "deleted")
            return
        try:
            deleted = entities.delete(doomed, actor=self.actor, run=self.run_name)
        except HasDependents as error:
            if step.with_dependents:
                deleted = entities.delete(
                    doomed, actor=self.actor, delete_dependents=True, run=self.run_name
                )
            elif len(doomed) > 1:
                for key in doomed:
                    self._remove(step, [key], named)
                return
            else:
                [key] = doomed
                self._refused(step, named[key], key, "kept", error, stage="delete")
                return
        for key in deleted:  # dependents among them
            self.outcome.add(key, "deleted")

    def _named(self, step: Step) -> Iterator[tuple[Key, MappedEntity]]:
        """The key of each entity; a search that finds none is told, and left out."""
        by_blueprint: dict[str, list[MappedEntity]] = defaultdict(list)
        for one in step.entities:
            by_blueprint[one.blueprint].append(one)
        for blueprint, some in by_blueprint.items():
            bodies = [{"identifier": one.body["identifier"]} for one in some]
            found = resolve_references(bodies, blueprint=blueprint, principal=PROGRAM)
            for entity, resolved in zip(some, found, strict=True):
                identifier = resolved.body.get("identifier")
                error = resolved.error
                if error is None and not isinstance(identifier, str):
                    error = InvalidEntity(
                        f"identifier is {shorten(identifier)}; expected text",
                        details={"field": "identifier", "value": shorten(identifier)},
                    )
                if error is None:
                    yield (blueprint, str(identifier)), entity
                else:
                    self._refused(step, entity, (blueprint, ""), "kept", error, stage="delete")


def _chunks(some: Sequence[MappedEntity]) -> Iterator[Sequence[MappedEntity]]:
    for start in range(0, len(some), BATCH):
        yield some[start : start + BATCH]
