"""What sources had to say of an entity; also of one that is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from catalog.kernel import feed
from catalog.kernel.identifiers import is_storable
from catalog.models import Change, SyncMessage


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
