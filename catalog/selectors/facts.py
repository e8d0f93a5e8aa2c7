"""What is known of an entity beside its content: facts, and series of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.models import QuerySet

from catalog.models import Fact, MetricPoint

# The last point of each series by the index of the constraint, which the count walks along.
_SERIES: Final = """
SELECT s.key, s.points, s.first, s.last, p.value
FROM (SELECT key, count(*) AS points, min(at) AS first, max(at) AS last
      FROM catalog_metricpoint WHERE entity_id = %s GROUP BY key) s
JOIN catalog_metricpoint p ON p.entity_id = %s AND p.key = s.key AND p.at = s.last
ORDER BY s.key
"""


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one key. value: the newest."""

    key: str
    points: int
    first: datetime
    last: datetime
    value: float


def facts_of(entity: int) -> QuerySet[Fact]:
    """The facts of an entity (its pk), by key."""
    return Fact.objects.filter(entity=entity).order_by("key")


def series_of(entity: int) -> list[Series]:
    """The series of an entity (its pk), by key; one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_SERIES, [entity, entity])
        return [Series(*row) for row in cursor.fetchall()]


def points_of(
    entity: int,
    key: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    older_than: datetime | None = None,
    limit: int,
) -> Sequence[tuple[datetime, float]]:
    """(moment, value) of a series, the newest first, from `since` to `until`, both included."""
    points = MetricPoint.objects.filter(entity=entity, key=key).order_by("-at")
    if since:
        points = points.filter(at__gte=since)
    if until:
        points = points.filter(at__lte=until)
    if older_than:
        points = points.filter(at__lt=older_than)
    return list(points.values_list("at", "value")[:limit])


def is_told_of(entity: int) -> bool:
    """Whether there is any fact or point of an entity (its pk); one statement."""
    facts = Fact.objects.filter(entity=entity).order_by().values("entity")
    points = MetricPoint.objects.filter(entity=entity).order_by().values("entity")
    return facts.union(points).exists()
