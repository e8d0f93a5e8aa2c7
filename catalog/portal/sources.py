"""Sources and their runs, as the portal shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from catalog.ingest.provenance import source_url
from catalog.models import Integration, SyncMessage, SyncRun
from catalog.registry import source_kinds
from catalog.selectors.origins import sync_run_of
from catalog.selectors.sources import Health, SourceState, states_of

LOG_ROWS: Final = 100
LEVELS: Final = ("error", "warning", "info", "debug")

HEALTH: Final = {  # words, tone, icon
    Health.OFF: ("Off", "lightGray", "pause_circle"),
    Health.NEW: ("Never ran", "lightGray", "hourglass_empty"),
    Health.WORKING: ("Syncing", "blue", "sync"),
    Health.GOOD: ("Good", "green", "check_circle"),
    Health.TROUBLED: ("Has problems", "yellow", "warning"),
    Health.FAILED: ("Failed", "red", "error"),
}
_STATES: Final = {
    SyncRun.State.QUEUED: ("Waiting", "lightGray", "schedule"),
    SyncRun.State.RUNNING: ("Running", "blue", "sync"),
    SyncRun.State.SUCCEEDED: ("Succeeded", "green", "check_circle"),
    SyncRun.State.PARTIAL: ("Completed with errors", "yellow", "warning"),
    SyncRun.State.FAILED: ("Failed", "red", "error"),
    SyncRun.State.CANCELLED: ("Cancelled", "lightGray", "cancel"),
}
_STALE: Final = {
    "deleted": "Deleted what is gone from the source",
    "held": "Held back: nothing is deleted until an admin decides",
    "ignored": "Kept what is gone from the source",
    "skipped": "Nothing was deleted",
    "preview": "Would delete",
    "none": "Nothing was deleted",
}


@dataclass(frozen=True, slots=True)
class Badge:
    words: str
    tone: str
    icon: str


@dataclass(frozen=True, slots=True)
class RunLink:
    """A run that something else names."""

    pk: int
    source: Integration

    @property
    def url(self) -> str:
        return run_url(self.source, self.pk)


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run with what a list or a page says of it. totals: of all kinds (see `SyncRun.totals`).

    seconds: how long it took, or has taken so far; None while it waits. stale_words: what became
    of what the source no longer has.
    """

    run: SyncRun
    url: str
    badge: Badge
    totals: Mapping[str, int]
    seconds: float | None
    stale_words: str

    @property
    def changed(self) -> int:
        return self.totals.get("created", 0) + self.totals.get("updated", 0)

    @property
    def problems(self) -> int:
        return self.totals.get("failed", 0) + self.totals.get("rejected", 0)

    @property
    def rate(self) -> float | None:
        """Items a second."""
        fetched = self.totals.get("fetched", 0)
        return fetched / self.seconds if fetched and self.seconds else None


@dataclass(frozen=True, slots=True)
class Problem:
    """What a person should know, in a sentence, and the run that has more of it."""

    text: str
    run: RunLink


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source with what a list or its page says of it; its gravest problem first."""

    source: Integration
    url: str
    kind_title: str
    badge: Badge
    state: SourceState
    last: RunRow | None
    problems: Sequence[Problem]

    @property
    def problem(self) -> str:
        return self.problems[0].text if self.problems else ""

    @property
    def is_webhook(self) -> bool:
        return self.source.kind == Integration.WEBHOOK


def run_url(source: Integration, pk: int) -> str:
    return reverse("catalog:source-run", args=[source.identifier, pk])


def run_links(names: Iterable[str]) -> dict[str, RunLink]:
    """The sync runs that the history names ("sync_7"), by name, as far as they are kept."""
    pks = {pk for name in names if (pk := sync_run_of(name))}
    found = SyncRun.objects.filter(pk__in=pks).select_related("integration") if pks else ()
    return {one.name: RunLink(one.pk, one.integration) for one in found}


def troubled() -> list[SourceRow]:
    """The sources that want somebody's hand; five statements."""
    found = Integration.objects.filter(is_enabled=True).defer("sealed", "mapping", "attributes")
    now = timezone.now()
    rows = [source_row(state, now) for state in states_of(found.order_by("identifier"))]
    return [row for row in rows if row.problem]


def source_row(state: SourceState, now: datetime) -> SourceRow:
    source = state.integration
    kind = source_kinds.get(source.kind)
    last = run_row(state.last_run, source, now) if state.last_run else None
    return SourceRow(
        source=source,
        url=source_url(source),
        kind_title=kind.title if kind else source.kind,
        badge=Badge(*_health_words(source, state)),
        state=state,
        last=last,
        problems=_problems(state),
    )


def run_row(run: SyncRun, source: Integration, now: datetime) -> RunRow:
    until = run.ended_at or now
    words, tone, icon = _STATES[SyncRun.State(run.state)]
    stale = run.stale.get("state", "")
    return RunRow(
        run=run,
        url=run_url(source, run.pk),
        badge=Badge("Preview" if run.is_dry_run and run.is_finished else words, tone, icon),
        totals=run.totals,
        seconds=(until - run.started_at).total_seconds() if run.started_at else None,
        stale_words=_STALE.get(stale, ""),
    )


def log_of(
    run: SyncRun, *, level: str, text: str, before: int | None
) -> tuple[Sequence[SyncMessage], int | None]:
    """A page of a run's log, newest first, and where the next page goes on."""
    lines: QuerySet[SyncMessage] = run.messages.order_by("-pk")
    if level in LEVELS:
        lines = lines.filter(level=level)
    if text:
        lines = lines.filter(identifier__icontains=text) | lines.filter(message__icontains=text)
    if before is not None:
        lines = lines.filter(pk__lt=before)
    found = list(lines[: LOG_ROWS + 1])
    rows = found[:LOG_ROWS]
    return rows, rows[-1].pk if len(found) > LOG_ROWS else None


def admin_url(model: Any, pk: int | None = None) -> str:
    """The admin's page of a source or run, or its list; "" where there is none (yet)."""
    if not admin.site.is_registered(model):
        return ""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    try:
        return reverse(f"{name}_change", args=[pk]) if pk else reverse(f"{name}_changelist")
    except NoReverseMatch:
        return ""


def _health_words(source: Integration, state: SourceState) -> tuple[str, str, str]:
    if source.kind == Integration.WEBHOOK and state.health is Health.NEW:
        return "Listening", "green", "sensors"
    return HEALTH[state.health]


def _problems(state: SourceState) -> list[Problem]:
    source, last, held = state.integration, state.last_run, state.held
    if not source.is_enabled:
        return []
    found = []
    if last is not None and last.state == SyncRun.State.FAILED:
        found.append(Problem(last.error or "The last run failed.", RunLink(last.pk, source)))
    if held is not None:
        words = f"Nothing is deleted until an admin decides. {held.stale.get('reason', '')}"
        found.append(Problem(words.strip(), RunLink(held.pk, source)))
    if last is not None and last.state == SyncRun.State.PARTIAL:
        words = last.error or "The last run completed with errors; its log says which."
        found.append(Problem(words, RunLink(last.pk, source)))
    return found
