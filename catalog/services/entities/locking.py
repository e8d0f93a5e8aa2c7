"""The order in which writers of entities take their turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from django.db import OperationalError, connection
from psycopg.errors import DeadlockDetected

from catalog.kernel.identifiers import is_storable
from catalog.kernel.locks import Lock, hold, hold_shared

_T = TypeVar("_T")

# The written blueprints exclusively, the targets of their relations shared: so nobody creates or
# deletes a target while an edge to it is being written. Where targets may be created here, they
# are locked exclusively too. Always in the order of blueprint ids.
_LOCK = """
WITH written AS (SELECT id FROM catalog_blueprint WHERE identifier = ANY(%(identifiers)s)),
needed AS (
    SELECT id, true AS exclusive FROM written
    UNION ALL
    SELECT target_id, %(create)s FROM catalog_relationdefinition
    WHERE blueprint_id IN (SELECT id FROM written) AND target_id IS NOT NULL
    UNION ALL
    SELECT b.id, %(create)s FROM catalog_blueprint b
    WHERE EXISTS (SELECT FROM catalog_relationdefinition d
                  WHERE d.blueprint_id IN (SELECT id FROM written) AND d.target_id IS NULL)
),
ordered AS MATERIALIZED (
    SELECT id::int AS id, bool_or(exclusive) AS exclusive FROM needed GROUP BY id ORDER BY id
)
SELECT CASE WHEN exclusive THEN pg_advisory_xact_lock(%(purpose)s, id)
            ELSE pg_advisory_xact_lock_shared(%(purpose)s, id) END
FROM ordered
"""


def lock_for_writing(blueprints: Iterable[str], *, creates_targets: bool = False) -> None:
    """Wait for the other writers of these blueprints, until the transaction ends.

    The shared lock comes first and in a statement of its own: which blueprints to lock is then
    read after the last change of a blueprint, and stays true for as long as it is held.
    """
    hold_shared(Lock.CATALOGUE)
    with connection.cursor() as cursor:
        cursor.execute(
            _LOCK,
            {
                "identifiers": sorted(set(filter(is_storable, blueprints))),
                "create": creates_targets,
                "purpose": int(Lock.BLUEPRINT),
            },
        )


def lock_everything() -> None:
    """Wait for every writer of entities and keep new ones out until the transaction ends."""
    hold(Lock.CATALOGUE)


def retrying(work: Callable[[], _T]) -> _T:
    """Repeat after a deadlock, which can only come from two batches in one outer transaction."""
    for _ in range(3):
        try:
            return work()
        except OperationalError as error:
            if not isinstance(error.__cause__, DeadlockDetected) or connection.in_atomic_block:
                raise
    return work()
