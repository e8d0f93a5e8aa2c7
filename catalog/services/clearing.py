"""Emptying a blueprint, with a receipt that clients ask for afterwards."""

from __future__ import annotations

import secrets
import time
from typing import Final

from django.db import transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import HasDependents
from catalog.models import Change
from catalog.services.blueprints import delete_all_entities

PATIENCE_S: Final = 1.5


def clear_blueprint(
    identifier: str, *, actor: Actor, delete_blueprint_too: bool = False, run: str = ""
) -> str:
    """Delete every entity of a blueprint, then perhaps the blueprint, at once or not at all.

    The receipt is a row of the change feed (model "migration"), so that history tells the whole
    act beside the single deletions. Returns its id, for `catalog.selectors.receipts`.

    Raises HasDependents while relations of other blueprints lead to one that is to go. Those may be
    about to go as well: exporters ask for all of theirs at once, in no order. So it is tried for
    `PATIENCE_S` seconds.
    """
    ends_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            return _clear(identifier, actor, delete_blueprint_too, run)
        except HasDependents:
            if not delete_blueprint_too or time.monotonic() > ends_at:
                raise
        time.sleep(0.1)


def _clear(identifier: str, actor: Actor, delete_blueprint_too: bool, run: str) -> str:
    number = secrets.randbits(62)
    with transaction.atomic():
        count = delete_all_entities(
            identifier, actor=actor, delete_blueprint_too=delete_blueprint_too
        )
        feed.record(
            [
                feed.Record(
                    feed.CREATE,
                    Change.MIGRATION,
                    f"mig_{number}",
                    identifier,
                    number,
                    None,
                    {"deletedEntities": count, "deletedBlueprint": delete_blueprint_too},
                )
            ],
            actor=actor,
            at=timezone.now(),
            run=run,
        )
    return f"mig_{number}"
