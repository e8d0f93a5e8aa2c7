"""Lists of runs: what an address asks for, and their rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import BigAutoField, Q, QuerySet
from django.db.models.fields.json import KT
from django.http import QueryDict
from django.utils import timezone

from actions.models import Run
from actions.portal.words import STATUSES, badge_of, tile_of
from catalog.kernel.actors import Principal
from catalog.kernel.identifiers import is_storable
from catalog.kernel.keyset import Key, Keyset
from catalog.portal.links import entity_url
from catalog.portal.sources import Badge
from catalog.services.permissions import actor_of

ROWS: Final = 50
MAX_TEXT: Final = 300
OPEN: Final = "OPEN"
NEWEST_FIRST: Final = Keyset([Key("id", "pk", BigAutoField())], descending=True)

PERIODS: Final[Mapping[str, tuple[str, timedelta]]] = {
    "hour": ("Last hour", timedelta(hours=1)),
    "day": ("Last 24 hours", timedelta(days=1)),
    "week": ("Last 7 days", timedelta(days=7)),
    "month": ("Last 30 days", timedelta(days=30)),
}
# What lists of runs do not show; runs may carry much of it.
UNSHOWN: Final = ("event", "properties", "payload", "sealed", "response", "steps", "output")


@dataclass(frozen=True, slots=True)
class Row:
    """seconds: how long it took, or has been open for."""

    run: Run
    badge: Badge
    tile: str
    entity_url: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A list of runs as the address of its page says it; "" asks for all.

    action, entity, blueprint: identifiers. by: a name or a part of one.
    """

    action: str = ""
    status: str = ""
    by: str = ""
    mine: bool = False
    entity: str = ""
    blueprint: str = ""
    period: str = ""

    @classmethod
    def read(cls, params: QueryDict) -> Asked:
        """What makes no sense is left out."""
        status, period = params.get("status", ""), params.get("time", "")
        return cls(
            action=_text(params, "action"),
            status=status if status in STATUSES or status == OPEN else "",
            by=_text(params, "by"),
            mine=params.get("mine") == "1",
            entity=_text(params, "entity"),
            blueprint=_text(params, "blueprint"),
            period=period if period in PERIODS else "",
        )

    @property
    def is_narrowed(self) -> bool:
        return self != Asked()

    def narrowed(self, runs: QuerySet[Run], *, name: str, now: datetime) -> QuerySet[Run]:
        """The runs that fit. name: of whoever asks, as runs name people."""
        wanted = Q()
        if self.action:
            wanted &= Q(action__identifier=self.action)
        if self.status:
            wanted &= Q(status__in=Run.OPEN if self.status == OPEN else [self.status])
        if self.by:
            wanted &= Q(created_by__icontains=self.by)
        if self.mine:
            wanted &= Q(created_by=name)
        if self.blueprint:
            wanted &= Q(blueprint__identifier=self.blueprint)
        if self.period:
            wanted &= Q(created_at__gte=now - PERIODS[self.period][1])
        if self.entity:
            runs = runs.alias(entity_name=KT("entity__identifier"))
            wanted &= Q(entity_name=self.entity)
        return runs.filter(wanted)


def rows_of(runs: Iterable[Run]) -> list[Row]:
    now = timezone.now()
    return [
        Row(
            run=run,
            badge=badge_of(run),
            tile=tile_of(run),
            entity_url=url_of_entity(run),
            seconds=((run.ended_at or now) - run.created_at).total_seconds(),
        )
        for run in runs
    ]


def url_of_entity(run: Run) -> str:
    """Of the page of what the run is about; it says so itself when that is gone by now."""
    if not run.entity or not run.blueprint:
        return ""
    return entity_url(run.blueprint["identifier"], run.entity["identifier"])


def own_runs(principal: Principal) -> QuerySet[Run]:
    """What the person started, newest first; trials are none of it."""
    mine = Run.objects.filter(created_by=actor_of(principal).name, is_test=False)
    return mine.select_related("action").defer(*UNSHOWN).order_by("-pk")


def runs_on(runs: QuerySet[Run], blueprint: str, identifier: str) -> QuerySet[Run]:
    """The runs about an entity, newest first."""
    return (
        runs.alias(entity_name=KT("entity__identifier"))
        .filter(entity_name=identifier, blueprint__identifier=blueprint)
        .defer(*UNSHOWN)
        .order_by("-pk")
    )


def _text(params: QueryDict, name: str) -> str:
    value: Any = params.get(name, "").strip()[:MAX_TEXT]
    return value if is_storable(value) else ""
