"""Runs that wait for approval, as people decide on them; and how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from actions.models import Run
from actions.portal.inputs import Input, inputs_of
from actions.portal.run_list import UNSHOWN, Row, rows_of, url_of_entity
from actions.portal.words import tile_of
from actions.services.access import Access
from catalog.kernel.actors import Principal

MAX_COUNTED: Final = 99
MAX_INPUTS: Final = 12


@dataclass(frozen=True, slots=True)
class Waiting:
    """inputs: the first of them; more: how many there are beside. may_decide: not everybody who
    sees that a run waits may approve it."""

    run: Run
    tile: str
    entity_url: str
    inputs: Sequence[Input]
    more: int
    may_decide: bool


def waiting_rows(runs: Iterable[Run], access: Access) -> list[Waiting]:
    return [_row(run, access) for run in runs]


def count_waiting(principal: Principal) -> int:
    """How many runs wait for this person, counted up to `MAX_COUNTED` + 1. One query when nothing
    waits at all, as mostly.
    """
    if not _anything_waits():
        return 0
    return Access(principal).waiting_for_me()[: MAX_COUNTED + 1].count()


def waiting_first(principal: Principal, limit: int) -> list[Row]:
    """The runs that have waited longest for this person."""
    if not _anything_waits():
        return []
    waiting = Access(principal).waiting_for_me().defer(*UNSHOWN)
    return rows_of(waiting.order_by("pk")[:limit])


def _anything_waits() -> bool:
    return Run.objects.filter(status=Run.Status.WAITING_FOR_APPROVAL).exists()


def _row(run: Run, access: Access) -> Waiting:
    inputs = inputs_of(run)
    return Waiting(
        run=run,
        tile=tile_of(run),
        entity_url=url_of_entity(run),
        inputs=inputs[:MAX_INPUTS],
        more=max(len(inputs) - MAX_INPUTS, 0),
        may_decide=access.may_approve(run),
    )
