"""Reading the places of descriptors again: on demand, by push, and on a schedule.

A location is walked without holding anything; what changed is written in batches, each a
transaction that first makes sure nobody else wrote on this location since the walk began. Whoever
comes second walks again and finds nothing left to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import orjson
from django.db import connection, connections
from django.utils import timezone
from structlog import get_logger

from catalog.dialects.backstage.reader import Reader
from catalog.ingest.locations import walking
from catalog.ingest.locations.known import trees_of
from catalog.ingest.locations.patience import Impatient
from catalog.ingest.locations.reader import PlaceReader
from catalog.ingest.locations.reading import custom_kinds
from catalog.ingest.locations.walking import Tree
from catalog.ingest.locations.writing import Refreshed, Round
from catalog.kernel.actors import Actor
from catalog.models import Location
from catalog.services import catalog_settings

LONGEST_BACK_OFF: Final = timedelta(minutes=30)
DUE_AT_ONCE: Final = 500  # locations that are looked at together
READERS: Final = 16  # addresses that are read side by side

logger = get_logger(__name__)

# One that cannot be read waits as long again as it could not be read so far.
_CLAIM = """
UPDATE catalog_location l SET refreshed_at = %(now)s, next_refresh_at = %(now)s + make_interval(
    secs => (1 + random() / 2) * CASE WHEN l.state = 'failed' THEN least(%(longest)s,
        greatest(%(interval)s, extract(epoch FROM %(now)s - coalesce(l.changed_at, %(now)s))))
        ELSE %(interval)s END)
FROM (SELECT id FROM catalog_location WHERE next_refresh_at <= %(now)s
      ORDER BY next_refresh_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED) due
WHERE l.id = due.id RETURNING l.*
"""

_NEW_ETAGS = """
UPDATE catalog_locationfile f SET etag = r.etag
FROM json_to_recordset(%s::json) AS r(id bigint, etag text) WHERE f.id = r.id
"""


def refresh(location: Location, actor: Actor | None = None, *, run: str = "") -> Refreshed:
    """Read a location now; files with problems are parsed again even if they are the same. run:
    names the action run that asks for it, in the history.

    What is wrong with its files is told by the location, not raised.
    """
    row = Location.objects.filter(pk=location.pk).first()
    if row is None:
        return Refreshed(unchanged=True)
    tree = trees_of([row])[row.pk]
    again = {
        place: replace(one, content_hash=None) if one.problems else one
        for place, one in tree.files.items()
    }
    with PlaceReader() as reader:
        work = Round(Impatient(reader), catalog_settings.current(), custom_kinds(), run)
        result = work.refresh(row, replace(tree, files=again))
    logger.info("location_refreshed", place=location.place, by=actor.name if actor else "")
    return result


def refresh_due(limit: int = DUE_AT_ONCE) -> int:
    """Read the locations whose turn has come, at most `limit`; returns how many.

    Any number of workers may call it: each turn is taken by one of them. A location in which
    nothing changed costs no statement of its own.
    """
    settings = catalog_settings.current()
    rows = list(
        Location.objects.raw(
            _CLAIM,
            {
                "now": timezone.now(),
                "interval": settings.refresh_interval_s,
                "longest": LONGEST_BACK_OFF.total_seconds(),
                "limit": limit,
            },
        )
    )
    if not rows:
        return 0
    trees = trees_of(rows)
    with PlaceReader() as places:
        if len(_far(rows)) >= READERS:
            places.prepare()  # threads share it
        reader = Impatient(places)
        changed, etags = _surveyed(rows, trees, reader)
        if etags:
            found = [{"id": pk, "etag": etag} for pk, etag in etags]
            with connection.cursor() as cursor:
                cursor.execute(_NEW_ETAGS, [orjson.dumps(found).decode()])
        work = Round(reader, settings, custom_kinds() if changed else set())
        for location in changed:
            try:
                work.refresh(location, trees[location.pk])
            except Exception as error:  # whatever one location does, the others get their turn
                logger.exception("location_failed", place=location.place)
                Location.objects.filter(pk=location.pk).update(
                    state=Location.State.FAILED,
                    problem=f"Unexpected error: {type(error).__name__}. The server's log has more.",
                )
    return len(rows)


def _surveyed(
    rows: Sequence[Location], trees: dict[Any, Tree], reader: Reader
) -> tuple[list[Location], list[tuple[int, str]]]:
    """The locations in which something changed, and the files that only have a new etag."""
    near = [one for one in rows if one.type == Location.Type.FILE]
    far = _far(rows)

    def look(location: Location) -> list[tuple[int, str]] | None:
        try:
            return walking.survey(trees[location.pk], reader)
        except Exception:  # noqa: BLE001 - told when it is read in earnest
            return None

    def look_elsewhere(location: Location) -> list[tuple[int, str]] | None:
        try:
            return look(location)
        finally:
            connections.close_all()  # a thread has its own

    verdicts = {one.pk: look(one) for one in near}
    if len(far) < READERS:
        verdicts |= {one.pk: look(one) for one in far}
    else:
        with ThreadPoolExecutor(READERS) as pool:
            found = pool.map(look_elsewhere, far)
            verdicts |= {one.pk: verdict for one, verdict in zip(far, found, strict=True)}
    changed = [
        one for one in rows if verdicts[one.pk] is None or one.state == Location.State.PENDING
    ]
    return changed, [etag for verdict in verdicts.values() for etag in verdict or ()]


def _far(rows: Sequence[Location]) -> list[Location]:
    return [one for one in rows if one.type != Location.Type.FILE]
