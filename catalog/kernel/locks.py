"""Advisory locks. Each purpose is one constant here; all end with their transaction."""

from __future__ import annotations

from enum import IntEnum

from django.db import connection


class Lock(IntEnum):
    """First half of the lock key; the second half is a row's id, or 0."""

    BLUEPRINT = 1  # one writer of a blueprint's entities at a time
    FEED_CONSUMER = 2
    PARTITIONS = 3
    CATALOGUE = 4  # shared by writers of entities; alone for who changes what kinds there are
    LIVE_EVENTS = 5  # one worker at a time at the events of a source, so that they keep their order
    DATA_MIGRATION = 6
    DOCUMENTS = 7  # one worker at a time at the documents of changed entities
    SCORECARD = 8  # one evaluation of a scorecard at a time
    FACTS = 9  # one writer at a time of the facts of an entity, by the rest of its pk


def hold(purpose: Lock, key: int = 0) -> None:
    """Wait for the lock and keep it until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [int(purpose), key])


def hold_shared(purpose: Lock, key: int = 0) -> None:
    """Wait for those who hold the lock alone, then keep it beside others who share it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", [int(purpose), key])


def try_hold(purpose: Lock, key: int = 0) -> bool:
    """Take the lock if it is free; say whether it was."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [int(purpose), key])
        return bool(cursor.fetchone()[0])
