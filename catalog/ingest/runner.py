"""A sync: the objects of a source, page by page, through its mapping into the catalogue.

A page is fetched, mapped and written in batches; each batch is one transaction with its entities,
whose they are, its lines of the log, and how far the run has come. So whatever ends a worker
leaves a whole state, from which the next one goes on. Memory does not grow with the number of
objects. What goes wrong with an item, or with a kind, is said and stops nobody else.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import orjson
import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, transaction
from django.db.models import Q

from catalog.ingest import ownership, runs
from catalog.ingest.connections import Source, open_source
from catalog.ingest.mapping import (
    MappedBatch,
    MappedEntity,
    Mapping,
    ResourceMapping,
    map_items,
    parse_mapping,
)
from catalog.ingest.messages import Log, masked
from catalog.ingest.progress import KindProgress, written
from catalog.ingest.runs import ClaimLost, Pulse, State
from catalog.ingest.writing import (
    Body,
    actor_of,
    may_come_later,
    note_imported,
    pks_of,
    write_bodies,
)
from catalog.kernel.errors import HasDependents, IdpError, UpstreamError, UpstreamRefused
from catalog.kernel.http import Wait
from catalog.kernel.source import ImportContext, ResourceKind, Seen
from catalog.models import KindExample, Postponed, SyncRun
from catalog.selectors.stale import Pass, Stale
from catalog.services.entities import ItemResult, MissingTargets, Mode, Status

FORETOLD: Final = 50  # entities that a dry run names, by kind and by what becomes of them
BATCH: Final = 500  # items mapped at once; also entities written at once
RETRY_BATCH: Final = 200
BUDGET_S: Final = 1200.0  # then another task goes on: well below the time limit of tasks

logger = structlog.get_logger(__name__)


class _Ended(Exception):
    """The source does not let us in any more; there is no use in asking for the other kinds."""

    def __init__(self, error: IdpError) -> None:
        super().__init__(error.message)
        self.error = error


class _OutOfTime(Exception):
    """Another task shall go on from here."""


def run_sync(run_pk: int, *, budget_s: float = BUDGET_S) -> bool:
    """Work on a run until it is over, or for about `budget_s` seconds.

    Does nothing when there is nothing to take up: see `runs.claim`. Returns whether the run is to
    be handed to another call. What goes wrong with the source ends up on the run; raises
    DatabaseError when the database is away, after which the run is taken up later.
    """
    run = runs.claim(run_pk)
    if run is None:
        return False
    log = structlog.get_logger(__name__).bind(run=run.pk, source=run.integration.identifier)
    log.info("sync_started", attempt=run.attempt)
    try:
        with Pulse(run) as pulse:
            _Sync(run, pulse, ends_at=time.monotonic() + budget_s).go()
    except (_OutOfTime, SoftTimeLimitExceeded):
        runs.hand_over(run)
        log.info("sync_handed_over")
        return True
    except ClaimLost:
        log.info("sync_stopped")
        return False
    except DatabaseError:
        raise
    except Exception as error:
        log.exception("sync_broke")
        message = f"Unexpected error: {type(error).__name__}. The server's log has more."
        runs.finish(
            run,
            State.FAILED,
            error=message,
            error_code="internal_error",
            stale=ownership.skipped("The run did not come to its end."),
        )
        return False
    log.info("sync_ended", state=run.state, **run.totals)
    return False


@dataclass(slots=True)
class _Cursor:
    """Where a run is. page: the source's cursor of the page being read. offset: how many items
    from there on are done. mapping: digest of the mapping, since `index` counts its resources."""

    mapping: str
    index: int = 0
    page: Any = None
    offset: int = 0


class _Sync:
    """One call's work on a claimed run."""

    def __init__(self, run: SyncRun, pulse: Pulse, *, ends_at: float) -> None:
        self.run, self.pulse, self.ends_at = run, pulse, ends_at
        self.integration = run.integration
        self.log = Log(self.integration, run=run)
        self.kinds: list[KindProgress] = []
        self.seen: array[int] | None = array("q") if run.is_dry_run else None
        self.mapping: Mapping
        self.source: Source
        self.cursor: _Cursor

    def go(self) -> None:
        try:
            self._prepare()
        except IdpError as error:
            self._finish(error)
            return
        ended: IdpError | None = None
        with self.source.connection.http:
            try:
                self._kinds()
            except _Ended as stop:
                ended = stop.error
        self._retry_postponed()
        self._finish(ended)

    # -- before and after --------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Read what there is to do. Raises IdpError for what no kind could do without."""
        self.source = open_source(self.integration, log=self._remark, on_wait=self._waiting)
        self.log.secrets = self.source.secrets
        document = self.integration.mapping
        self.mapping = (
            parse_mapping(document, kind=self.source.kind, compile_all=False)
            if document
            else Mapping(resources=())
        )
        entries = [KindProgress(one.kind, one.index) for one in self.mapping.resources]
        if self.source.kind.imports:
            entries.insert(0, KindProgress(self.source.kind.name, -1))
        digest = blake2b(orjson.dumps(document), digest_size=8).hexdigest()
        given = self.run.cursor
        # A dry run keeps what it saw in memory, so it starts again.
        if given and given["mapping"] == digest and not self.run.is_dry_run:
            self.cursor = _Cursor(**given)
            self.kinds = [KindProgress.read(one) for one in self.run.kinds]
            return
        self.kinds = entries
        self.cursor = _Cursor(digest)
        wanted = set(self.run.only_kinds)
        for entry in self.kinds:
            if wanted and entry.kind not in wanted:
                entry.state = "skipped"
        with transaction.atomic():
            Postponed.objects.filter(run=self.run).delete()
            self._save()

    def _finish(self, ended: IdpError | None) -> None:
        """Say what came of it, and see to what the source no longer has."""
        state, error = self._outcome(ended)
        for entry in self.kinds:
            if entry.state in ("waiting", "running"):
                entry.state = "stopped"
        if state is State.FAILED:
            stale = ownership.skipped("The run failed, so nothing is known to be gone.")
        else:
            stale = self._sweep()
        with transaction.atomic():
            self.log.close()
            runs.finish(
                self.run,
                state,
                error=error.message if error else "",
                error_code=error.code if error else "",
                kinds=written(self.kinds),
                stale=stale,
            )

    def _outcome(self, ended: IdpError | None) -> tuple[SyncRun.State, IdpError | None]:
        """The state by the facts, and the error that says it best."""
        if ended is not None and not any(one.state == "done" for one in self.kinds):
            return State.FAILED, ended
        asked = [one for one in self.kinds if one.state != "skipped"]
        failed = [one for one in asked if one.state == "failed"]
        if asked and len(failed) == len(asked):
            names = ", ".join(dict.fromkeys(one.kind for one in failed))
            return State.FAILED, UpstreamError(
                f"No kind could be read ({names}): {failed[0].message}"
            )
        if any(one.has_trouble for one in asked):
            lost = sum(one.failed + one.rejected for one in asked)
            if lost and not any(one.stored for one in asked):
                return State.FAILED, IdpError(
                    f"Nothing could be stored: {lost:,} items or entities were refused. "
                    "The log says why."
                )
            return State.PARTIAL, ended
        return (State.PARTIAL, ended) if ended else (State.SUCCEEDED, None)

    def _save(self) -> None:
        """Write how far the run has come. Raises ClaimLost, which undoes the transaction."""
        runs.save(self.run, kinds=written(self.kinds), cursor=asdict(self.cursor))

    def _check(self) -> None:
        """After something was written: raises ClaimLost, or _OutOfTime when another task shall
        go on."""
        self.pulse.check()
        if time.monotonic() > self.ends_at and not self.run.is_dry_run:
            self._save()
            raise _OutOfTime

    def _remark(self, level: str, message: str, *, stage: str = "", kind: str = "") -> None:
        self.log.remark(level, message, stage=stage, kind=kind)

    def _waiting(self, wait: Wait) -> None:
        self.pulse.check()
        if wait.is_first and wait.total_s >= 5:
            self._remark("info", str(wait), stage="fetch")

    # -- the kinds ---------------------------------------------------------------------------------

    def _kinds(self) -> None:
        """Read every kind from where the run is; one that fails leaves the others alone."""
        resources = {one.index: one for one in self.mapping.resources}
        for place in range(self.cursor.index, len(self.kinds)):
            entry = self.kinds[place]
            if place != self.cursor.index:
                self.cursor = _Cursor(self.cursor.mapping, place)
            if entry.state == "skipped":
                continue
            entry.state = "running"
            refused: UpstreamRefused | None = None
            try:
                if entry.index < 0:
                    self._import(entry)
                else:
                    self._read(resources[entry.index], entry)
                entry.state = "done"
            except IdpError as error:
                self._fail(entry, error)
                if isinstance(error, UpstreamRefused) and error.details.get("status") != 403:
                    refused = error
            self.cursor = _Cursor(self.cursor.mapping, place + 1)
            with transaction.atomic():
                self.log.flush()
                self._save()
            if refused:
                raise _Ended(refused)

    def _fail(self, entry: KindProgress, error: IdpError) -> None:
        entry.state, entry.message = "failed", str(error)
        self._remark("error", str(error), stage="fetch", kind=entry.kind)

    def _read(self, resource: ResourceMapping, entry: KindProgress) -> None:
        """List the objects of a resource and write them. Raises IdpError."""
        found = self.source.kind.resource(resource.kind)
        if found is None:
            raise UpstreamError(f"{self.source.kind.title} knows no kind {resource.kind}")
        # So many items that come now are done already. They are written again, for the page may
        # be another one by now, but not counted again.
        done = self.cursor.offset
        for items, following in self._pages(found, resource):
            self.pulse.check()
            is_new = len(items) > done
            if not done:
                if not entry.pages:
                    self._keep_examples(resource, items)
                entry.pages += 1
            for start in range(0, len(items), BATCH):
                part = items[start : start + BATCH]
                is_known = start + len(part) <= done
                self._write(resource, entry, part, is_known=is_known)
                if not is_known and start + BATCH < len(items):
                    self._check()
            done = max(0, done - len(items))
            if following is not None:
                self.cursor.page, self.cursor.offset, done = following, 0, 0
            if is_new:
                self._check()

    def _pages(
        self, found: ResourceKind, resource: ResourceMapping
    ) -> Iterator[tuple[Sequence[Any], Any]]:
        """The pages from the cursor on, and the cursor behind each. Raises IdpError."""
        with self._vendor(found.name):
            pages = self.source.kind.fetch(
                self.source.connection, found, resource.selector, self.cursor.page
            )
        while True:
            with self._vendor(found.name):
                page = next(pages, None)
            if page is None:
                return
            yield page.items, page.next

    def _keep_examples(self, resource: ResourceMapping, items: Sequence[Any]) -> None:
        """Keep a few raw objects of the kind, to try mappings on."""
        if not items or self.run.is_dry_run:
            return
        own = {"integration": self.integration, "kind": resource.kind}
        with transaction.atomic():
            KindExample.objects.filter(**own).delete()
            KindExample.objects.bulk_create(
                KindExample(**own, data=masked(item, self.source.secrets))
                for item in items[: KindExample.KEPT]
            )

    def _import(self, entry: KindProgress) -> None:
        """Let the kind bring in its descriptors; it begins anew when it was interrupted."""
        for name in ("fetched", "unchanged", "rejected"):
            setattr(entry, name, 0)

        def saw(found: Sequence[Seen]) -> None:
            counts = Counter(one.status for one in found)
            entry.count(
                fetched=len(found), pages=1, **{one: counts[one] for one in Status if counts[one]}
            )
            with transaction.atomic():
                self._note_imported(entry.kind, found)
                self.log.flush()
                self._save()
            self.pulse.check()

        context = ImportContext(
            actor=actor_of(self.integration),
            run=self.run.name,
            is_dry_run=self.run.is_dry_run,
            saw=saw,
            report=partial(self._report, entry.kind),
            integration=self.integration.pk,
        )
        with self._vendor(entry.kind):
            self.source.kind.import_entities(self.source.connection, context)

    def _note_imported(self, kind: str, found: Sequence[Seen]) -> None:
        if self.seen is not None:
            keys = [(one.blueprint, one.identifier) for one in found if one.pk is None]
            self.seen.extend(pks_of(keys).values())
            self.seen.extend(one.pk for one in found if one.pk is not None)
        else:
            note_imported(found, integration=self.integration, kind=kind, run=self.run)

    def _report(self, kind: str, level: str, message: str, **parts: Any) -> None:
        self.log.item(level, message, stage="apply", kind=kind, **parts)

    # -- writing -----------------------------------------------------------------------------------

    def _write(
        self,
        resource: ResourceMapping,
        entry: KindProgress,
        items: Sequence[Any],
        *,
        is_known: bool,
    ) -> None:
        """Map a batch of objects and write what came of them. is_known: it is counted already."""
        mapped = map_items(resource, items, env=self.source.environment())
        if not is_known:
            self._count_items(resource, entry, mapped, items)
        for chunk in _chunks(mapped.entities):
            bodies = [Body(one.blueprint, one.body) for one in chunk]
            raw = [items[one.item_index] for one in chunk]
            with transaction.atomic():
                results = self._apply(entry.kind, bodies)
                self._account(entry, bodies, results, raw, is_known=is_known)
                if chunk and chunk[-1] is not mapped.entities[-1]:
                    continue  # the batch is done with its last chunk
                self.log.flush()
                self.cursor.offset += 0 if is_known else len(items)
                self._save()

    def _apply(
        self,
        kind: str,
        bodies: Sequence[Body],
        missing_targets: MissingTargets | None = None,
    ) -> list[ItemResult]:
        if not bodies:
            return []
        if missing_targets is None:
            creates = self.mapping.create_missing
            missing_targets = MissingTargets.CREATE if creates else MissingTargets.REJECT
            if self.run.is_dry_run and not creates:
                missing_targets = MissingTargets.DANGLE  # the run itself would have brought them
        results = write_bodies(
            bodies,
            integration=self.integration,
            kind=kind,
            mode=Mode.MERGE if self.mapping.merge else Mode.REPLACE,
            missing_targets=missing_targets,
            run=self.run.pk,
            run_name=self.run.name,
            dry_run=self.run.is_dry_run,
        )
        if self.seen is not None:
            self.seen.extend(one.pk for one in results if one.pk is not None)
            refused = [(one.blueprint, one.identifier) for one in results if one.pk is None]
            self.seen.extend(pks_of(refused).values())
        return results

    def _count_items(
        self,
        resource: ResourceMapping,
        entry: KindProgress,
        mapped: MappedBatch,
        items: Sequence[Any],
    ) -> None:
        """Count objects, and put into the log what the mapping could not do with them."""
        vital = {"", "identifier", "blueprint"}
        vital |= {one.name for one in (resource.query, resource.each) if one}
        vital |= {leaf.name for template in resource.templates for leaf in template.identity}
        failed, unknown, incomplete = set(), set(), set()
        for problem in mapped.problems:
            place = problem.item_index
            if problem.field not in vital:
                incomplete.add((place, problem.element))
            else:
                failed.add(place)
                if not problem.is_nameless:
                    unknown.add(place)
            details = {"expression": problem.expression, "value": problem.value}
            self.log.item(
                "error" if problem.field in vital else "warning",
                problem.message,
                stage="select"
                if resource.query and problem.field == resource.query.name
                else "map",
                kind=entry.kind,
                blueprint=resource.blueprint or "",
                field=problem.field,
                details={name: value for name, value in details.items() if value},
                item=items[place],
            )
        entry.count(
            fetched=len(items),
            filtered=mapped.filtered,
            failed=len(failed),
            unknown=len(unknown),
            incomplete=len(incomplete),
        )

    def _account(
        self,
        entry: KindProgress,
        bodies: Sequence[Body],
        results: Sequence[ItemResult],
        raw: Sequence[Any],
        *,
        is_known: bool,
    ) -> None:
        """Count what became of entities; what waits for another one is put aside."""
        postponed = []
        for body, result, item in zip(bodies, results, raw, strict=True):
            if result.error is None:
                # What was written was not there before, whoever counted.
                if result.status is not Status.UNCHANGED or not is_known:
                    entry.count(**{result.status: 1})
                if self.run.is_dry_run and result.status is not Status.UNCHANGED:
                    self._foretell(entry, result)
            elif is_known:
                continue
            elif may_come_later(result.error) and not self.run.is_dry_run:
                entry.count(postponed=1)
                postponed.append(
                    Postponed(
                        run=self.run,
                        index=entry.index,
                        blueprint=body.blueprint,
                        body=body.body,
                        item=masked(item, self.source.secrets),
                    )
                )
            else:
                self._reject(entry, result, item)
        Postponed.objects.bulk_create(postponed)

    def _foretell(self, entry: KindProgress, result: ItemResult) -> None:
        """Name an entity that a dry run would write; the first few of each kind."""
        if getattr(entry, result.status) <= FORETOLD:
            self.log.item(
                "info",
                f"It would be {result.status}",
                stage="preview",
                kind=entry.kind,
                blueprint=result.blueprint,
                identifier=result.identifier,
            )

    def _reject(self, entry: KindProgress, result: ItemResult, item: Any) -> None:
        entry.count(rejected=1)
        error = result.error
        assert error is not None  # noqa: S101 - only refused ones come here
        details = {name: value for name, value in error.details.items() if name != "field"}
        self.log.item(
            "error",
            str(error),
            stage="apply",
            kind=entry.kind,
            blueprint=result.blueprint,
            identifier=result.identifier,
            field=str(error.details.get("field", "")),
            details=details,
            item=item,
        )

    # -- at the end --------------------------------------------------------------------------------

    def _retry_postponed(self) -> None:
        """Try again what named entities that were not there, round after round while any is
        stored; so they come in the order of their dependence. What is left is refused."""
        entries = {one.index: one for one in self.kinds}
        is_backwards, has_stored = False, True
        while has_stored and Postponed.objects.filter(run=self.run).exists():
            has_stored = False
            # Every other round backwards: a chain in the worst order would take a round each.
            for rows in self._postponed(is_backwards):
                has_stored |= self._retry(entries[rows[0].index], rows, is_last=False)
            is_backwards = not is_backwards
        for rows in self._postponed(is_backwards):
            self._retry(entries[rows[0].index], rows, is_last=True)

    def _postponed(self, is_backwards: bool) -> Iterator[list[Postponed]]:
        """The rows that wait, in batches of one resource each."""
        waiting = Postponed.objects.filter(run=self.run)
        after: tuple[int, int] | None = None
        sign = "-" if is_backwards else ""
        while True:
            rows = waiting.order_by(f"{sign}index", f"{sign}pk")
            if after is not None:
                index, pk = after
                side = "lt" if is_backwards else "gt"
                rows = rows.filter(
                    Q(**{f"index__{side}": index}) | Q(index=index, **{f"pk__{side}": pk})
                )
            batch = list(rows[:RETRY_BATCH])
            if not batch:
                return
            after = batch[-1].index, batch[-1].pk
            for _, same in groupby(batch, key=attrgetter("index")):
                yield list(same)

    def _retry(self, entry: KindProgress, rows: Sequence[Postponed], *, is_last: bool) -> bool:
        """Write postponed entities; those that still wait stay, unless `is_last`. Returns whether
        any was stored."""
        bodies = [Body(one.blueprint, one.body) for one in rows]
        with transaction.atomic():
            results = self._apply(entry.kind, bodies)
            over = []
            for row, result in zip(rows, results, strict=True):
                if result.error is None:
                    entry.count(**{result.status: 1})
                elif is_last or not may_come_later(result.error):
                    self._reject(entry, result, row.item)
                else:
                    continue
                entry.count(postponed=-1)
                over.append(row.pk)
            Postponed.objects.filter(pk__in=over).delete()
            self.log.flush()
            self._save()
        self._check()
        return any(one.error is None for one in results)

    def _sweep(self) -> dict[str, Any]:
        """See to what the source no longer has; returns what is to be known of it."""
        complete = self._complete_kinds()
        removed: list[str] = []
        if not self.run.only_kinds:
            named = {one.kind for one in self.kinds}
            removed = [one for one in ownership.owned_kinds(self.integration) if one not in named]
        assert self.run.started_at is not None  # noqa: S101 - it was claimed
        passed = Pass(
            self.integration.pk,
            self.run.pk,
            [*complete, *removed],
            self.run.started_at,
            self.seen,
        )
        verdict = ownership.judge(
            passed,
            threshold=self.mapping.deletion_threshold,
            thresholds=self.mapping.deletion_thresholds,
            unsure=self._unsure(),
            removed=removed,
        )
        left: list[Stale] = []
        if not self.run.is_dry_run:
            ownership.Sweep(
                passed,
                verdict,
                actor=actor_of(self.integration),
                run_name=self.run.name,
                delete_dependents=self.mapping.delete_dependents,
                saved=lambda now: runs.save(self.run, stale=now.as_dict()),
                refused=lambda one, error: left.append(self._needed(one, error)),
            )()
        return ownership.concluded(
            verdict,
            is_dry_run=self.run.is_dry_run,
            incomplete=[one.kind for one in self.kinds if one.kind not in complete],
            needed=len(left),
        ).as_dict()

    def _complete_kinds(self) -> list[str]:
        """Kinds of which every resource of the mapping was read to its end."""
        states: dict[str, set[str]] = {}
        for one in self.kinds:
            states.setdefault(one.kind, set()).add(one.state)
        return [kind for kind, found in states.items() if found == {"done"}]

    def _unsure(self) -> dict[str, str]:
        """Kinds with items of which nobody knows which entities they stand for."""
        counts: Counter[str] = Counter()
        for one in self.kinds:
            counts[one.kind] += one.unknown
        return {
            kind: f"{count:,} of its items failed, so it is not known which entities they stand for"
            for kind, count in counts.items()
            if count
        }

    def _needed(self, one: Stale, error: HasDependents) -> Stale:
        self.log.item(
            "warning",
            f"Not deleted: {error}",
            stage="delete",
            kind=one.kinds[0],
            blueprint=one.blueprint,
            identifier=one.identifier,
        )
        return one

    @contextmanager
    def _vendor(self, resource: str) -> Iterator[None]:
        """Whatever a kind raises is its own or its vendor's trouble, and comes out as IdpError."""
        try:
            yield
        except (IdpError, ClaimLost, DatabaseError, SoftTimeLimitExceeded):
            raise
        except Exception as error:
            kind = self.source.kind
            logger.exception("source_kind_broke", kind=kind.name, resource=resource)
            raise UpstreamError(
                f"Unexpected answer, or a fault in {kind.title}: {type(error).__name__}: {error}"
            ) from error


def _chunks(entities: Sequence[MappedEntity]) -> Iterator[Sequence[MappedEntity]]:
    """In parts that are written at once; at least one, though it may be empty."""
    for start in range(0, len(entities) or 1, BATCH):
        yield entities[start : start + BATCH]
