"""Metrics: numbers of entities, measured at moments.

The actor must be allowed to update the entity; permissions on single properties do not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any, Final

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import InvalidInput
from catalog.kernel.identifiers import is_storable
from catalog.models import Change, MetricPoint
from catalog.selectors.documents import timestamp
from catalog.services.entities.locking import retrying
from catalog.services.facts import check_key
from catalog.services.writable import writable_one

LENIENCE: Final = timedelta(days=1)  # a day's number may stand at its end

_PUT: Final = """
INSERT INTO catalog_metricpoint AS p (entity_id, key, at, value)
SELECT %s, g.key, g.at, g.value
FROM json_to_recordset(%s::json) AS g(key text, at timestamptz, value float8)
ORDER BY g.key, g.at
ON CONFLICT (entity_id, key, at) DO UPDATE SET value = excluded.value
WHERE p.value <> excluded.value
RETURNING key, at
"""

_DELETE: Final = """
DELETE FROM catalog_metricpoint
WHERE entity_id = %s AND key = %s AND at >= coalesce(%s::timestamptz, '-infinity')
  AND at <= coalesce(%s::timestamptz, 'infinity')
RETURNING key, at
"""


@dataclass(frozen=True, slots=True)
class PointDraft:
    """A number measured at a moment (with a time zone)."""

    key: str
    at: datetime
    value: float


def put_points(blueprint: str, entity: str, points: Sequence[PointDraft], *, actor: Actor) -> int:
    """Write points of series of an entity, all or none; one of the same moment is replaced.

    Returns how many were new or other than before. Four statements, however many there are.
    Raises InvalidInput naming the point, NotFound, PermissionDenied.
    """
    now = timezone.now()
    for index, point in enumerate(points):
        _check(index, point, now)
    # of the same moment the last one counts
    given = {(one.key, one.at): one.value for one in points}
    rows = [{"key": key, "at": at, "value": float(value)} for (key, at), value in given.items()]
    return retrying(
        lambda: _written(feed.UPDATE, _PUT, [orjson.dumps(rows).decode()], blueprint, entity, actor)
    )


def delete_points(
    blueprint: str,
    entity: str,
    key: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    actor: Actor,
) -> int:
    """Delete the points of a series from `since` to `until`, both included; returns how many.

    Raises NotFound, PermissionDenied.
    """
    known = key if is_storable(key) else None
    return _written(feed.DELETE, _DELETE, [known, since, until], blueprint, entity, actor)


def prune_points(now: datetime) -> int:
    """Delete the points older than IDP_METRIC_DAYS; returns how many. The feed does not tell."""
    if not settings.IDP_METRIC_DAYS:
        return 0
    deleted, _ = MetricPoint.objects.filter(at__lt=_oldest(now)).delete()
    return deleted


def _oldest(now: datetime) -> datetime:
    return now - timedelta(days=settings.IDP_METRIC_DAYS)


def _check(index: int, point: PointDraft, now: datetime) -> None:
    where = f"points[{index}]"
    try:
        check_key(point.key)
    except InvalidInput as error:
        raise InvalidInput.of(f"{where}.key", point.key, str(error.details["expected"])) from None
    value: Any = point.value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not _is_finite(value):
        raise InvalidInput.of(f"{where}.value", value, "a finite number")
    if point.at > now + LENIENCE:
        raise InvalidInput.of(f"{where}.at", point.at.isoformat(), "a moment that has come")
    if settings.IDP_METRIC_DAYS and point.at < _oldest(now):
        raise InvalidInput.of(
            f"{where}.at",
            point.at.isoformat(),
            f"a moment of the last {settings.IDP_METRIC_DAYS} days: older points are not kept",
        )


def _is_finite(value: float) -> bool:
    """Whether PostgreSQL has a place for it: JSON may have whole numbers beyond those of floats."""
    try:
        return isfinite(value)
    except OverflowError:
        return False


def _written(
    action: str, sql: str, params: list[Any], blueprint: str, entity: str, actor: Actor
) -> int:
    """How many points a statement wrote or deleted; the feed tells of each series."""
    with transaction.atomic():
        pk = writable_one(blueprint, entity, actor=actor)
        with connection.cursor() as cursor:
            cursor.execute(sql, [pk, *params])
            moments: dict[str, list[datetime]] = {}
            for key, at in cursor.fetchall():
                moments.setdefault(key, []).append(at)
        records = []
        for key, found in moments.items():
            told = {
                "key": key,
                "points": len(found),
                "first": timestamp(min(found)),
                "last": timestamp(max(found)),
            }
            before, after = (told, None) if action == feed.DELETE else (None, told)
            records.append(feed.Record(action, Change.METRIC, entity, blueprint, pk, before, after))
        feed.record(records, actor=actor, at=timezone.now())
    return sum(map(len, moments.values()))
