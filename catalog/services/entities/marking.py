"""Marks entities whose Backstage document is to be worked out again, in the transaction of whoever
changed them. The work itself is put off: a bulk write costs no more than one narrow row each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def mark_changed(cursor: Any, pks: Sequence[int]) -> None:
    if pks:
        cursor.execute(
            "INSERT INTO catalog_pendingdocument (entity_id) SELECT unnest(%s::bigint[])",
            [list(pks)],
        )


def mark_blueprint(cursor: Any, blueprint_pk: int) -> None:
    """For all entities of a blueprint, after its name or that of a property changed."""
    cursor.execute(
        "INSERT INTO catalog_pendingdocument (entity_id) "
        "SELECT id FROM catalog_entity WHERE blueprint_id = %s",
        [blueprint_pk],
    )
