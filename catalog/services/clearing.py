"""Emptying a blueprint, with a receipt that clients ask for afterwards."""

from __future__ import annotations

import secrets

from django.db import transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.models import Change
from catalog.services.blueprints import delete_all_entities


def clear_blueprint(
    identifier: str, *, actor: Actor, delete_blueprint_too: bool = False, run: str = ""
) -> str:
    """Delete every entity of a blueprint, then perhaps the blueprint, at once or not at all.

    The receipt is a row of the change feed (model "migration"), so that history tells the whole
    act beside the single deletions. Returns its id, for `catalog.selectors.receipts`.
    """
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
