"""How sources are doing: their runs, what they own, what they no longer have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db.models import Count, Q

from catalog.models import Integration, Owned, SyncRun
from catalog.selectors.integrations import last_runs
from catalog.selectors.stale import Stale, count_stale, last_pass, stale_entities


class Health(StrEnum):
    """How a source is doing, by what its last run came to."""

    OFF = "off"
    NEW = "new"  # it never ran
    WORKING = "working"  # a run is at work, or waits for its turn
    GOOD = "good"
    TROUBLED = "troubled"  # it completed with errors, or something is held for a person
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SourceState:
    """A source with the run it had last (begun, not dry), the one that is not over, and one that
    holds back what the source no longer has, until a person decides."""

    integration: Integration
    health: Health
    last_run: SyncRun | None
    unfinished: SyncRun | None
    held: SyncRun | None
    owned: int


def states_of(integrations: Iterable[Integration]) -> list[SourceState]:
    """How each of these sources is doing; four statements, whatever their number."""
    sources = list(integrations)
    last = last_runs(sources)
    owned = dict(
        Owned.objects.filter(integration__in=sources)
        .values_list("integration")
        .annotate(count=Count("entity", distinct=True))
    )
    own = SyncRun.objects.filter(integration__in=sources)
    # The waiting one first, so that the one at work wins.
    unfinished = {run.integration_id: run for run in own.unfinished().order_by("-pk")}
    done = own.filter(is_dry_run=False, stale__has_key="kinds").exclude(stale__state="skipped")
    newest = done.order_by("integration_id", "-pk").distinct("integration_id")
    held = {run.integration_id: run for run in newest if run.stale["state"] == "held"}
    return [
        SourceState(
            integration=one,
            health=_health(one, last.get(one.pk), unfinished.get(one.pk), held.get(one.pk)),
            last_run=last.get(one.pk),
            unfinished=unfinished.get(one.pk),
            held=held.get(one.pk),
            owned=owned.get(one.pk, 0),
        )
        for one in sources
    ]


def stale_of(
    integration: Integration, *, after: int = 0, limit: int = 100
) -> tuple[int, Sequence[Stale]]:
    """What the newest pass shows to be gone from a source and is still in the catalogue.

    Returns how many there are in all, and a page of them: those behind the pk `after`.
    """
    passed = last_pass(integration.pk)
    if passed is None:
        return 0, []
    count = count_stale(passed)
    return count, stale_entities(passed, after=after, limit=limit) if count else []


def owned_by_kind(integration: Integration) -> dict[str, int]:
    """How many entities each kind of the mapping gives; "" counts those that no list names."""
    rows = Owned.objects.filter(integration=integration).values_list("kind")
    return dict(rows.annotate(count=Count("pk")).order_by("kind"))


def needing_attention() -> int:
    """How many sources failed last, or hold something back for a person."""
    sources = Integration.objects.filter(Q(runs_here=True) & Q(is_enabled=True))
    bad = {Health.FAILED, Health.TROUBLED}
    return sum(one.health in bad for one in states_of(sources))


def _health(
    integration: Integration, last: SyncRun | None, unfinished: SyncRun | None, held: SyncRun | None
) -> Health:
    if not integration.is_enabled:
        return Health.OFF
    if unfinished is not None and not unfinished.is_dry_run:
        return Health.WORKING
    if last is None:
        return Health.NEW
    if last.state == SyncRun.State.FAILED:
        return Health.FAILED
    if last.state == SyncRun.State.PARTIAL or held is not None:
        return Health.TROUBLED
    return Health.GOOD
