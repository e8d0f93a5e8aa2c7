"""Where an entity comes from, and what sources had to say of it; also of one that is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from catalog.kernel import feed
from catalog.kernel.identifiers import is_storable
from catalog.models import Change, Entity, Integration, Owned, SyncMessage, SyncRun
from catalog.selectors.integrations import last_runs
from catalog.selectors.stale import last_pass


@dataclass(frozen=True, slots=True)
class Owner:
    """A source that has an entity. kinds: of its mapping, that give it; none where it only made
    the entity because another one names it.

    seen_at: when the source had it last. run: the pk of the sync run that saw it last; None for a
    live event. is_stale: the newest pass did not find it. last_run: the newest run of the source.
    """

    integration: Integration
    kinds: tuple[str, ...]
    is_creator: bool
    seen_at: datetime
    run: int | None
    is_stale: bool
    last_run: SyncRun | None


def owners_of(entity: Entity) -> list[Owner]:
    """The sources that have an entity, the one that made it first."""
    rows: dict[int, list[Owned]] = {}
    sources: dict[int, Integration] = {}
    for row in Owned.objects.filter(entity=entity).select_related("integration").order_by("kind"):
        rows.setdefault(row.integration_id, []).append(row)
        sources[row.integration_id] = row.integration
    runs = last_runs(sources.values())
    owners = []
    for pk, integration in sources.items():
        named = [row for row in rows[pk] if row.kind]
        newest = max(rows[pk], key=lambda row: row.seen_at)
        owners.append(
            Owner(
                integration=integration,
                kinds=tuple(row.kind for row in named),
                is_creator=any(row.is_creator for row in rows[pk]),
                seen_at=newest.seen_at,
                run=newest.run,
                is_stale=_is_stale(integration, named),
                last_run=runs.get(pk),
            )
        )
    return sorted(owners, key=lambda one: (not one.is_creator, one.integration.identifier))


@dataclass(frozen=True, slots=True)
class Deletion:
    """That an entity was deleted. run: "sync_7" where a sync did it."""

    at: datetime
    actor_kind: str
    actor: str
    run: str
    change_id: int


@dataclass(frozen=True, slots=True)
class IngestHistory:
    """What is known of an entity by its name, whether it exists or not; newest first.

    messages: lines of the sources' logs about it, with the raw object where there is one.
    """

    messages: Sequence[SyncMessage]
    deletions: Sequence[Deletion]


def ingest_history(blueprint: str, identifier: str, *, limit: int = 50) -> IngestHistory:
    """Why an entity is missing, or a property of it empty."""
    if not (is_storable(blueprint) and is_storable(identifier)):
        return IngestHistory([], [])
    lines = SyncMessage.objects.filter(blueprint=blueprint, identifier=identifier)
    deleted = Change.objects.filter(
        model=Change.ENTITY, action=feed.DELETE, blueprint=blueprint, identifier=identifier
    )
    return IngestHistory(
        messages=list(lines.select_related("integration", "run").order_by("-pk")[:limit]),
        deletions=[
            Deletion(one.at, one.actor_kind, one.actor, one.run, one.pk)
            for one in deleted.order_by("-id")[:limit]
        ],
    )


def _is_stale(integration: Integration, rows: Sequence[Owned]) -> bool:
    passed = last_pass(integration.pk) if rows else None
    if passed is None:
        return False
    return all(
        row.kind in passed.kinds and row.run != passed.run and row.seen_at < passed.before
        for row in rows
    )
