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
    """For all entities of a blueprint, after its name or its relations changed."""
    cursor.execute(
        "INSERT INTO catalog_pendingdocument (entity_id) "
        "SELECT id FROM catalog_entity WHERE blueprint_id = %s",
        [blueprint_pk],
    )


def mark_pointing_at(cursor: Any, blueprint: str) -> None:
    """For all that refer to entities of a blueprint, after that got this name."""
    cursor.execute(
        "INSERT INTO catalog_pendingdocument (entity_id) "
        "SELECT DISTINCT source_id FROM catalog_relation WHERE target_blueprint = %s",
        [blueprint],
    )
