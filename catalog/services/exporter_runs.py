"""The resyncs of exporters as sync runs, from what exporters report of them.

A run begins when the exporter says that it does, and takes the name that its metrics give it (an
event id). Its end is what the exporter says, made honest: one that calls itself completed although
some of its writes were refused is completed with errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from django.db import transaction
from django.db.models import Count, F
from django.utils import timezone

from catalog.kernel.errors import InvalidInput, LimitExceeded, shorten
from catalog.kernel.identifiers import is_storable
from catalog.kernel.schema import check_json
from catalog.models import Change, Integration, SyncRun
from catalog.selectors.documents import timestamp

SILENCE: Final = timedelta(hours=1)  # not every exporter gives signs of life
MAX_KINDS: Final = 500
MAX_RECORD_BYTES: Final = 64 * 1024

RUNTIME, RECONCILIATION = "__runtime__", "__reconciliation__"  # records that are about no kind
_RESYNC: Final = "__resync__"

_KIND_STATES: Final = {
    "pending": "waiting",
    "syncing": "running",
    "completed": "done",
    "failed": "failed",
    "aborted": "stopped",
}
_OPEN: Final = {"state": SyncRun.State.RUNNING, "trigger": SyncRun.Trigger.EXPORTER}


def start_run(exporter: Integration, *, at: datetime, requested_by: str) -> SyncRun:
    """Begin a run; one that never ended did so by its exporter's death. In a transaction."""
    for run in exporter.runs.select_for_update().filter(**_OPEN):
        _close(run, SyncRun.State.FAILED, at, "The exporter began anew without ending this run")
    return SyncRun.objects.create(
        integration=exporter,
        created_at=at,
        started_at=at,
        heartbeat_at=at,
        requested_by=requested_by,
        attempt=1,
        **_OPEN,
    )


def end_run(exporter: Integration, status: str, *, at: datetime) -> None:
    """End the newest open run, if there is one. status: completed, failed or aborted."""
    run = exporter.runs.select_for_update().filter(**_OPEN).order_by("-pk").first()
    if run is not None:
        _end(run, status, at)


def run_named(exporter: Integration, name: str) -> SyncRun | None:
    """The run that the exporter calls so (its event id); without a name, the open one."""
    if not name:
        return exporter.runs.filter(**_OPEN).order_by("-pk").first()
    if not _is_name(name):
        return None
    return exporter.runs.filter(external_id=name).first()


def take_metrics(exporter: Integration, records: Sequence[Any], *, by: str) -> None:
    """Note the progress of kinds, from records as exporters send them.

    A run whose name is new is the one that has just begun, or else begins now. Records without a
    name of a run or a kind say nothing. Raises InvalidInput, LimitExceeded.
    """
    by_run: dict[str, list[Mapping[str, Any]]] = {}
    for index, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise InvalidInput(
                f"Record {index} is {shorten(record)}; expected an object",
                details={"field": f"{index}", "expected": "an object"},
            )
        check_json(dict(record))
        if len(orjson.dumps(record)) > MAX_RECORD_BYTES:
            raise LimitExceeded(f"Record {index} has more than {MAX_RECORD_BYTES} bytes")
        event_id, kind = record.get("eventId"), record.get("kindIdentifier")
        if isinstance(event_id, str) and _is_name(event_id) and isinstance(kind, str):
            by_run.setdefault(event_id, []).append(record)
    for event_id, some in by_run.items():
        with transaction.atomic():
            _merge(_locked_run(exporter, event_id, by), some)


def heartbeat(exporter: Integration, event_id: str) -> None:
    """The exporter is alive, and at this run."""
    if _is_name(event_id):
        runs = exporter.runs.filter(external_id=event_id, **_OPEN)
        runs.update(heartbeat_at=timezone.now())


def count_refusals(run: SyncRun, count: int) -> None:
    """So many of the run's items were refused by us."""
    SyncRun.objects.filter(pk=run.pk).update(
        refused=F("refused") + count, heartbeat_at=timezone.now()
    )


def end_silent_runs() -> int:
    """End runs of exporters that were not heard of for `SILENCE`; returns how many."""
    now, ended = timezone.now(), 0
    with transaction.atomic():
        silent = SyncRun.objects.select_for_update(skip_locked=True).filter(
            heartbeat_at__lt=now - SILENCE, **_OPEN
        )
        for run in silent:
            _close(run, SyncRun.State.FAILED, now, "Nothing was heard of the exporter for an hour")
            ended += 1
    return ended


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= 100 and is_storable(name)


def _locked_run(exporter: Integration, event_id: str, by: str) -> SyncRun:
    # Records come side by side: the first makes the run, the others find it.
    Integration.objects.select_for_update(no_key=True).get(pk=exporter.pk)
    runs = exporter.runs.select_for_update()
    if run := runs.filter(external_id=event_id).first():
        return run
    now = timezone.now()
    run = runs.filter(external_id="", **_OPEN).order_by("-pk").first()
    if run is None:
        run = SyncRun(integration=exporter, created_at=now, started_at=now, attempt=1, **_OPEN)
        run.requested_by = by
    run.external_id, run.heartbeat_at = event_id, now
    run.save()
    return run


def _merge(run: SyncRun, records: Sequence[Mapping[str, Any]]) -> None:
    now = timezone.now()
    for record in records:
        name = str(record["kindIdentifier"])
        known = run.reported.get(name)
        if known is None and len(run.reported) >= MAX_KINDS:
            raise LimitExceeded(f"A run may have at most {MAX_KINDS} kinds")
        began = known["createdAt"] if known else timestamp(now)
        run.reported[name] = {**record, "createdAt": began, "updatedAt": timestamp(now)}
    run.kinds, run.stale = _kinds(run), _stale(run)
    run.heartbeat_at = now
    if run.state == SyncRun.State.RUNNING:
        status = str(run.reported.get(RUNTIME, {}).get("syncState"))
        if status in ("completed", "failed", "aborted"):
            _end(run, status, now)
            return
    elif run.state == SyncRun.State.SUCCEEDED and _troubles(run):
        run.state, run.error = SyncRun.State.PARTIAL, _troubles(run)
    run.save()


def _end(run: SyncRun, status: str, at: datetime) -> None:
    run.kinds = _kinds(run, with_changes=True)
    troubles = _troubles(run)
    match status:
        case "completed" if not troubles:
            _close(run, SyncRun.State.SUCCEEDED, at)
        case "completed":
            _close(run, SyncRun.State.PARTIAL, at, troubles)
        case "aborted":
            _close(run, SyncRun.State.CANCELLED, at, "The exporter was stopped, or began anew")
        case _:
            _close(run, SyncRun.State.FAILED, at, troubles or "The exporter says that it failed")


def _close(run: SyncRun, state: SyncRun.State, at: datetime, error: str = "") -> None:
    run.state, run.ended_at, run.error = state, at, error
    run.save()


def _troubles(run: SyncRun) -> str:
    """What was not right in a run that may call itself completed; "" when all was."""
    failed = [kind["kind"] for kind in run.kinds if kind["state"] == "failed"]
    unmapped = sum(kind["failed"] for kind in run.kinds)
    unwritten = max(run.refused, sum(kind["rejected"] for kind in run.kinds))
    told = []
    if unwritten:
        told.append(f"{unwritten:,} writes were refused")
    if unmapped:
        told.append(f"{unmapped:,} objects could not be mapped")
    if failed:
        told.append(f"kinds that failed: {', '.join(failed[:20])}")
    return "; ".join(told)


def _kinds(run: SyncRun, *, with_changes: bool = False) -> list[dict[str, Any]]:
    """The progress of each kind, as `catalog.ingest.progress` has it.

    An exporter counts what it had written, not what that did. What was created and updated is
    known at the end, from the history, for kinds with a blueprint to themselves.
    """
    about_kinds = [
        record
        for name, record in run.reported.items()
        if name not in (RUNTIME, RECONCILIATION, _RESYNC)
    ]
    about_kinds.sort(key=lambda record: _whole(record.get("kindIndex")))
    kinds = [_kind(record) for record in about_kinds]
    changes = _changes(run) if with_changes else {}
    old = {(kind["kind"], kind["index"]): kind for kind in run.kinds}
    blueprints = [_literal(record.get("blueprint")) for record in about_kinds]
    for kind, blueprint in zip(kinds, blueprints, strict=True):
        before = old.get((kind["kind"], kind["index"]), {})
        kind["created"], kind["updated"] = before.get("created", 0), before.get("updated", 0)
        if blueprint in changes and blueprints.count(blueprint) == 1:
            kind["created"], kind["updated"] = changes[blueprint]
        kind["unchanged"] += max(0, kind["written"] - kind["created"] - kind["updated"])
    return kinds


def _kind(record: Mapping[str, Any]) -> dict[str, Any]:
    metrics = record.get("metrics")
    phases = metrics.get("phase") if isinstance(metrics, Mapping) else None

    def count(phase: str, what: str) -> int:
        value: Any = phases
        for key in (phase, "object_count_type", what, "object_count"):
            value = value.get(key) if isinstance(value, Mapping) else None
        return _whole(value)

    return {
        "kind": str(record.get("kind", ""))[:200],
        "index": _whole(record.get("kindIndex")),
        "state": _KIND_STATES.get(str(record.get("syncState")), "running"),
        "pages": 0,
        "fetched": count("extract", "raw_extracted"),
        "filtered": count("transform", "filtered_out"),
        "failed": count("transform", "failed"),
        "written": count("load", "loaded"),
        "created": 0,
        "updated": 0,
        "unchanged": count("load", "skipped"),
        "rejected": count("load", "failed"),
        "deleted": count("delete", "deleted"),
        "message": "",
    }


def _changes(run: SyncRun) -> dict[str, tuple[int, int]]:
    """How many entities of each blueprint the run created and updated."""
    rows = (
        Change.objects.filter(model=Change.ENTITY, run=run.name, at__gte=run.started_at)
        .order_by()
        .values_list("blueprint", "action")
        .annotate(count=Count("id"))
    )
    found: dict[str, dict[str, int]] = {}
    for blueprint, action, count in rows:
        found.setdefault(blueprint, {})[action] = count
    return {one: (by.get("create", 0), by.get("update", 0)) for one, by in found.items()}


def _stale(run: SyncRun) -> dict[str, Any]:
    record = run.reported.get(RECONCILIATION)
    if record is None:
        return {}
    deleted = _kind(record)["deleted"]
    return {"state": "deleted" if deleted else "none", "found": deleted, "deleted": deleted}


def _literal(expression: Any) -> str:
    """The blueprint of a mapping that names one outright: `"service"`, as JQ text."""
    try:
        value = orjson.loads(expression) if isinstance(expression, str) else None
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, str) else ""


def _whole(value: Any) -> int:
    """A count, which comes as 3.0."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return min(int(value), 2**53) if is_number and value > 0 else 0
