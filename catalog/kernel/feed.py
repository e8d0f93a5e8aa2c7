"""The change feed: one append-only table that is audit log, history and outbox.

Writers add rows in their own transaction (`record`). Consumers (`consume`) read them in commit
order and move their position in the transaction of their work, so nothing is lost or done twice
when a worker, Redis or the broker dies. The signal `changes_recorded` after commit only wakes
them up early.

Order: a row's id becomes visible out of order, since a slow transaction may commit a low id
after a fast one committed a higher one. Rows are therefore read by (transaction, id), and only
below the oldest transaction still running (`pg_snapshot_xmin`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection, transaction
from django.dispatch import Signal
from psycopg import sql

from catalog.kernel.actors import Actor
from catalog.kernel.locks import Lock, hold, try_hold

changes_recorded = Signal()  # no arguments: a poke, not a message

CREATE, UPDATE, DELETE, RENAME = "create", "update", "delete", "rename"

_INSERT = """
INSERT INTO catalog_change (
    at, transaction, actor_kind, actor, datasource, request_id, run,
    action, model, blueprint, identifier, object_id, before, after)
SELECT %s, pg_current_xact_id()::text::bigint, %s, %s, %s, %s, %s,
       r.action, r.model, r.blueprint, r.identifier, r.object_id, r.before, r.after
FROM json_to_recordset(%s::json) AS r(
    action text, model text, blueprint text, identifier text, object_id bigint,
    before jsonb, after jsonb)
"""

_READ = """
SELECT transaction, id, at, actor_kind, actor, action, model, blueprint, identifier,
       object_id, before, after, run
FROM catalog_change
WHERE (transaction, id) > (%s, %s)
  AND transaction < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
ORDER BY transaction, id
LIMIT %s
"""


_MOVE = """
INSERT INTO catalog_feedconsumer (name, transaction, change_id, updated_at)
VALUES (%s, %s, %s, now())
ON CONFLICT (name) DO UPDATE SET transaction = excluded.transaction,
    change_id = excluded.change_id, updated_at = excluded.updated_at
"""


@dataclass(frozen=True, slots=True)
class Record:
    """What changed. `before` and `after` hold the changed keys only (see `catalog.Change`)."""

    action: str
    model: str
    identifier: str
    blueprint: str = ""
    object_id: int | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A change as a consumer sees it."""

    transaction: int
    id: int
    at: datetime
    actor_kind: str
    actor: str
    action: str
    model: str
    blueprint: str
    identifier: str
    object_id: int | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    run: str


def record(records: Sequence[Record], *, actor: Actor, at: datetime, run: str = "") -> None:
    """Add rows to the feed, in the caller's transaction, with one statement."""
    if not records:
        return
    payload = orjson.dumps(list(records)).decode()  # orjson knows dataclasses
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [at, actor.kind, actor.name, actor.datasource, actor.request_id, run, payload],
        )
    transaction.on_commit(lambda: changes_recorded.send_robust(sender=None), robust=True)


def consume(name: str, handle: Callable[[Sequence[FeedRow]], None], *, limit: int = 1000) -> int:
    """Give the next rows of the feed to `handle` and move the position of `name` past them.

    Returns how many rows were handled: 0 when there is nothing new, or when another process is
    at it. What `handle` raises is raised here, and the position stays.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT hashtext(%s)", [name])
        if not try_hold(Lock.FEED_CONSUMER, cursor.fetchone()[0]):
            return 0
        cursor.execute(
            "SELECT transaction, change_id FROM catalog_feedconsumer WHERE name = %s", [name]
        )
        cursor.execute(_READ, [*(cursor.fetchone() or (0, 0)), limit])
        rows = [_row(values) for values in cursor.fetchall()]
        if rows:  # an idle consumer writes nothing
            handle(rows)
            cursor.execute(_MOVE, [name, rows[-1].transaction, rows[-1].id])
        return len(rows)


def ensure_partitions(now: datetime, *, months_ahead: int = 2) -> list[str]:
    """Create the monthly partitions from this month on; returns the names of new ones.

    A default partition catches what falls outside, so a write never fails for want of one. What
    it caught of a month moves into the partition of that month.
    """
    created = []
    with transaction.atomic(), connection.cursor() as cursor:
        hold(Lock.PARTITIONS)
        for offset in range(months_ahead + 1):
            start, end = _month(now, offset), _month(now, offset + 1)
            name = f"catalog_change_{start:%Y_%m}"
            cursor.execute("SELECT to_regclass(%s)", [name])
            if cursor.fetchone()[0] is None:
                _create_partition(cursor, name, start, end)
                created.append(name)
    return created


def _create_partition(cursor: Any, name: str, start: datetime, end: datetime) -> None:
    """Attached when it is full, not created in its place: that would lock out all writers."""
    table = sql.Identifier(name)
    between = sql.SQL("at >= {} AND at < {}").format(sql.Literal(start), sql.Literal(end))
    cursor.execute(sql.SQL("CREATE TABLE {} (LIKE catalog_change)").format(table))
    cursor.execute("LOCK TABLE catalog_change_default IN ACCESS EXCLUSIVE MODE")
    cursor.execute(
        sql.SQL(
            "WITH moved AS (DELETE FROM catalog_change_default WHERE {} RETURNING *) "
            "INSERT INTO {} SELECT * FROM moved"
        ).format(between, table)
    )
    cursor.execute(
        sql.SQL(
            "ALTER TABLE catalog_change ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})"
        ).format(table, sql.Literal(start), sql.Literal(end))
    )


def drop_partitions(now: datetime, *, keep_months: int) -> list[str]:
    """Drop partitions that ended more than `keep_months` months ago; returns their names.

    What the default partition holds of that time goes, too.
    """
    start = _month(now, -keep_months)
    oldest = f"catalog_change_{start:%Y_%m}"
    with transaction.atomic(), connection.cursor() as cursor:
        hold(Lock.PARTITIONS)
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'catalog_change'::regclass "
            "AND c.relname ~ '^catalog_change_[0-9]{4}_[0-9]{2}$' AND c.relname < %s "
            "ORDER BY 1",
            [oldest],
        )
        names = [row[0] for row in cursor.fetchall()]
        for name in names:
            cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
        cursor.execute("DELETE FROM catalog_change_default WHERE at < %s", [start])
    return names


def _month(now: datetime, offset: int) -> datetime:
    months = now.year * 12 + now.month - 1 + offset
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


def _row(values: Sequence[Any]) -> FeedRow:
    row = FeedRow(*values)
    return replace(row, before=_json(row.before), after=_json(row.after))


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str | bytes) else value
