"""Word to the workers that a run is due. When the broker is away, the next tick finds it."""

from __future__ import annotations

from django.db import transaction
from django.dispatch import Signal

from actions.models import Run

run_due = Signal()  # run_pk: int, is_long: bool


def tell_worker(run: Run) -> None:
    """Once the transaction is over; nothing where no worker is wanted."""
    if run.due_at is not None:
        is_long = run.payload.get("type") == "TEMPLATE"
        transaction.on_commit(
            lambda: run_due.send_robust(sender=None, run_pk=run.pk, is_long=is_long), robust=True
        )
