"""Sync runs and their logs as lists to read on, newest first."""

from __future__ import annotations

from collections.abc import Collection

from catalog.kernel.errors import NotFound
from catalog.models import Integration, SyncMessage, SyncRun
from catalog.selectors.origins import sync_run_of


def runs(
    *,
    integration: Integration | None = None,
    states: Collection[str] = (),
    older_than: int | None = None,
    limit: int,
) -> list[SyncRun]:
    """The newest runs, of one source or of all; `older_than`: those before this pk."""
    found = SyncRun.objects.select_related("integration").defer("reported", "cursor")
    if integration is not None:
        found = found.filter(integration=integration)
    if states:
        found = found.filter(state__in=states)
    if older_than is not None:
        found = found.filter(pk__lt=older_than)
    return list(found.order_by("-pk")[:limit])


def get_run(name: str) -> SyncRun:
    """A run by what the history calls it ("sync_7"), or by its number. Raises NotFound."""
    pk = sync_run_of(name) or sync_run_of(f"sync_{name}")
    found = SyncRun.objects.select_related("integration").filter(pk=pk).first() if pk else None
    if found is None:
        raise NotFound.of("Sync run", name, field="id")
    return found


def messages(
    run: SyncRun,
    *,
    levels: Collection[str] = (),
    blueprint: str = "",
    identifier: str = "",
    older_than: int | None = None,
    limit: int,
) -> list[SyncMessage]:
    """The newest lines of a run's log; `older_than`: those before this pk."""
    found = run.messages.all()
    if levels:
        found = found.filter(level__in=levels)
    if blueprint:
        found = found.filter(blueprint=blueprint)
    if identifier:
        found = found.filter(identifier=identifier)
    if older_than is not None:
        found = found.filter(pk__lt=older_than)
    return list(found.order_by("-pk")[:limit])
