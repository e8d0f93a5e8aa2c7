"""Word to the workers that a run is due, or soon will be. Else the next tick finds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from actions.models import Run

run_due = Signal()  # run_pk: int, is_long: bool, in_s: float

SOON_S: Final = 60  # a worker keeps in mind what is due within this time


def takes_long(payload: Mapping[str, Any]) -> bool:
    """Whether the work of a run with this payload may take minutes, and so a worker of its own."""
    return bool(payload.get("type") == "TEMPLATE")


def tell_worker(run: Run) -> None:
    """Once the transaction is over; nothing where no worker is wanted soon."""
    if run.due_at is None:
        return
    in_s = max(0.0, (run.due_at - timezone.now()).total_seconds())
    if in_s > SOON_S:
        return
    is_long = takes_long(run.payload)
    transaction.on_commit(
        lambda: run_due.send_robust(sender=None, run_pk=run.pk, is_long=is_long, in_s=in_s),
        robust=True,
    )
