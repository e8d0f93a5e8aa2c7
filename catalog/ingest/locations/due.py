"""Which locations are to be read soon: those that a place, a push or a change of the catalogue
concerns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import orjson
from django.db import connection
from django.utils import timezone

from catalog.dialects.backstage.mapping import Key
from catalog.ingest.locations import rules
from catalog.ingest.locations.holding import ACTOR
from catalog.kernel import feed
from catalog.kernel.feed import FeedRow
from catalog.models import Change, Entity, Location, LocationFile

CONSUMER: Final = "locations"

_OF_PLACES = """
SELECT f.location_id FROM catalog_locationfile f WHERE f.place = ANY(%(places)s)
UNION
SELECT f.location_id FROM catalog_locationfile f, json_array_elements(f.targets) t
WHERE f.targets::text <> '[]' AND t->>'place' = ANY(%(places)s)
UNION
SELECT f.location_id FROM catalog_locationfile f, json_array_elements(f.reads) r
WHERE f.reads::text <> '[]' AND r->>'place' = ANY(%(places)s)
UNION
SELECT f.location_id FROM catalog_locationfile f
WHERE EXISTS (SELECT FROM unnest(%(below)s::text[]) AS start WHERE starts_with(f.place, start))
"""

_PATTERNS = """
SELECT f.location_id, t->>'place' FROM catalog_locationfile f, json_array_elements(f.targets) t
WHERE f.targets::text LIKE '%%*%%' AND t->>'place' LIKE '%%*%%'
"""

_CONTESTED = """
UPDATE catalog_locationfile f SET content_hash = NULL, etag = ''
WHERE f.problems::text LIKE '%%"holder"%%' AND EXISTS (
    SELECT FROM json_array_elements(f.problems) p
    JOIN json_to_recordset(%s::json) AS k(blueprint text, identifier text)
      ON p->'key'->>0 = k.blueprint AND p->'key'->>1 = k.identifier
    WHERE p->>'holder' IS NOT NULL)
RETURNING f.location_id
"""


def refresh_places(places: Collection[str], *, below: Collection[str] = ()) -> int:
    """Have the locations read soon that these places concern: as files, as targets that may be
    there now, by patterns, or as what placeholders read. Returns how many.

    below: how further places begin, of which the names are not known.
    """
    wanted = [place for place in places if place]
    starts = [start for start in below if start]
    if not (wanted or starts):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_OF_PLACES, {"places": wanted, "below": starts})
        found = {pk for (pk,) in cursor.fetchall()}
        cursor.execute(_PATTERNS)
        for pk, pattern in cursor.fetchall():
            if pk not in found and any(rules.is_match(pattern, place) for place in wanted):
                found.add(pk)
    return make_due(found)


def locations_of(entity: Entity) -> list[Location]:
    """The locations that an entity comes from."""
    holding = Location.objects.filter(files__entities__entity=entity)
    return list(Location.objects.filter(pk__in=holding.values("pk")))


def make_due(pks: Iterable[Any]) -> int:
    """Have locations read with the next tick; returns how many there are."""
    return Location.objects.filter(pk__in=list(pks)).update(next_refresh_at=timezone.now())


def reconsider(keys: Collection[Key]) -> set[Any]:
    """Have files read again that were refused an entity because another one had it, which it has
    no longer. Returns the pks of their locations."""
    if not keys:
        return set()
    wanted = [{"blueprint": one, "identifier": two} for one, two in keys]
    with connection.cursor() as cursor:
        cursor.execute(_CONTESTED, [orjson.dumps(wanted).decode()])
        found = {pk for (pk,) in cursor.fetchall()}
    if found:
        make_due(found)
    return found


def follow(rows: Sequence[FeedRow]) -> None:
    """The consumer of the feed: what somebody deletes though its file still holds it comes back,
    what a file was refused because of it can be had now, and what could not be read may be once a
    source or the settings have changed."""
    if any(one.model in (Change.INTEGRATION, Change.SETTINGS) for one in rows):
        Location.objects.filter(state=Location.State.FAILED).update(next_refresh_at=timezone.now())
    gone = [one for one in rows if one.model == Change.ENTITY and one.action == feed.DELETE]
    if not gone:
        return
    reconsider([(one.blueprint, one.identifier) for one in gone])
    places = {(one.before or {}).get("location") for one in gone if one.actor != ACTOR.name} - {
        None,
        "",
    }
    if not places:
        return
    files = LocationFile.objects.filter(place__in=places)
    found = set(files.values_list("location_id", flat=True))
    files.update(content_hash=None, etag="")
    make_due(found)
