"""The log of an exporter's source: the lines it sends, and the writes that we refused it.

Exporters go on after a refusal and call the run completed, so the reasons are kept here, entity by
entity, with what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from catalog.ingest.messages import MAX_MESSAGES, Log, masked, masked_text
from catalog.kernel.errors import IdpError, shorten
from catalog.models import Integration, SyncMessage
from catalog.services.exporter_runs import count_refusals, run_named

KEPT: Final = 10_000  # lines of each exporter
MAX_TEXT: Final = 4000

_LEVELS: Final = {
    "TRACE": "debug",
    "DEBUG": "debug",
    "WARN": "warning",
    "WARNING": "warning",
    "ERROR": "error",
    "CRITICAL": "error",
    "FATAL": "error",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A write that we refused. identifier: "" where the body named none. body: as it was sent."""

    identifier: str
    error: IdpError
    body: Any = None


def take_lines(exporter: Integration, lines: Sequence[Any]) -> None:
    """Keep lines of an exporter's log ({"message", "level", "timestamp", "extra"}).

    What is no such object is left out; the oldest lines go when there are more than `KEPT`.
    """
    objects = [line for line in lines[-KEPT:] if isinstance(line, Mapping)]
    names = {name for line in objects for name in _event_ids(line)}
    runs = dict(
        exporter.runs.filter(external_id__in=names).values_list("external_id", "pk")
        if names
        else ()
    )
    SyncMessage.objects.bulk_create(
        [
            SyncMessage(
                integration=exporter,
                run_id=next((runs[name] for name in _event_ids(line) if name in runs), None),
                at=_moment(line.get("timestamp")),
                level=_LEVELS.get(str(line.get("level", "")).upper(), "info"),
                stage="log",
                kind=_extra_text(line, "resource_kind", 200),
                message=_text(line.get("message", ""), MAX_TEXT),
                details={"extra": masked(line["extra"])} if line.get("extra") else {},
            )
            for line in objects
        ],
        batch_size=500,
    )
    _forget_old(exporter)


def note_refusals(
    exporter: Integration,
    refusals: Sequence[Refusal],
    *,
    blueprint: str,
    resync_id: str = "",
    event: str = "",
) -> None:
    """Write down what we refused to an exporter.

    resync_id: its name of the run. event: what made it write; a live event belongs to no run.
    """
    is_live = bool(event) and event != "resync" and not resync_id
    run = None if is_live else run_named(exporter, resync_id)
    if run is not None:
        count_refusals(run, len(refusals))
        if run.refused >= MAX_MESSAGES:  # the count goes on
            return
    log = Log(exporter, run=run)
    for one in refusals:
        details = one.error.details
        log.item(
            "error",
            str(one.error),
            stage="live" if is_live else "apply",
            blueprint=blueprint,
            identifier=one.identifier,
            field=str(details.get("field") or ""),
            details={"error": one.error.code, "status": one.error.status, **details},
            item=one.body,
        )
    log.close()
    if run is None:  # nothing else counts these
        _forget_old(exporter)


def _event_ids(line: Mapping[str, Any]) -> list[str]:
    """The names that a run of this line may have: that of the event, and of the one above it."""
    names = [_extra_text(line, key, 100) for key in ("event_id", "event_parent_id")]
    return [name for name in names if name]


def _extra_text(line: Mapping[str, Any], key: str, limit: int) -> str:
    extra = line.get("extra")
    value = extra.get(key) if isinstance(extra, Mapping) else None
    return _text(value, limit) if isinstance(value, str) else ""


def _text(value: object, limit: int) -> str:
    return shorten(masked_text(value if isinstance(value, str) else str(value)), limit)


def _moment(value: object) -> datetime:
    now = timezone.now()
    try:
        found = parse_datetime(value) if isinstance(value, str) else None
        found = found and (found if found.tzinfo else found.replace(tzinfo=UTC))
        return min(found.astimezone(UTC), now) if found else now  # clocks of others may be ahead
    except (ValueError, OverflowError):
        return now


def _forget_old(exporter: Integration) -> None:
    lines = SyncMessage.objects.filter(integration=exporter)
    oldest = lines.order_by("-at").values_list("at", flat=True)[KEPT - 1 : KEPT]
    for at in oldest:
        lines.filter(at__lt=at).delete()
