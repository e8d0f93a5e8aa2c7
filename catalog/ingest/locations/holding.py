"""Which file holds which entity, in SQL for many at once. All in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from catalog.dialects.backstage.annotations import ORIGIN
from catalog.dialects.backstage.mapping import Key
from catalog.kernel.actors import Actor
from catalog.kernel.errors import HasDependents
from catalog.models import TEAM, USER, Location
from catalog.services.entities import EntityDraft, Mode, apply, delete
from catalog.services.entities.locking import lock_for_writing
from catalog.services.entities.marking import mark_changed

BLUEPRINT: Final = "location"  # of the entities made for locations
WRITER: Final = "locations"  # who writes entities of files, as history names it
ACTOR: Final = Actor("system", WRITER)

_HOLDERS = """
SELECT k.blueprint, k.identifier, e.id, e.location, l.entity_id IS NOT NULL,
       f.id, f.place, f.location_id
FROM json_to_recordset(%s::json) AS k(blueprint text, identifier text)
JOIN catalog_blueprint b ON b.identifier = k.blueprint
JOIN catalog_entity e ON e.blueprint_id = b.id AND e.identifier = k.identifier
LEFT JOIN catalog_locatedentity l ON l.entity_id = e.id
LEFT JOIN catalog_locationfile f ON f.id = l.file_id
"""

_STORE_FILES = """
INSERT INTO catalog_locationfile AS f (
    location_id, place, etag, content_hash, targets, reads, problems, message, read_at, changed_at)
SELECT %(location)s, r.place, r.etag, decode(r.hash, 'hex'), r.targets, r.reads, r.problems,
       r.message, %(now)s, CASE WHEN r.is_read THEN %(now)s END
FROM json_to_recordset(%(rows)s::json) AS r(
    place text, etag text, hash text, targets json, reads json, problems json, message text,
    is_read boolean)
ON CONFLICT (location_id, place) DO UPDATE SET
    etag = excluded.etag, content_hash = excluded.content_hash, targets = excluded.targets,
    reads = excluded.reads, problems = excluded.problems, message = excluded.message,
    read_at = excluded.read_at, changed_at = coalesce(excluded.changed_at, f.changed_at)
RETURNING place, id
"""

_HOLD = """
INSERT INTO catalog_locatedentity AS l (
    entity_id, file_id, origin, annotations, status, orphaned_at)
SELECT r.entity, r.file, r.origin, r.annotations, r.status, NULL
FROM json_to_recordset(%s::json) AS r(
    entity bigint, file bigint, origin text, annotations json, status json)
JOIN catalog_entity e ON e.id = r.entity
ON CONFLICT (entity_id) DO UPDATE SET
    file_id = excluded.file_id, origin = excluded.origin, annotations = excluded.annotations,
    status = excluded.status, orphaned_at = NULL
WHERE l.file_id IS DISTINCT FROM excluded.file_id OR l.origin <> excluded.origin
   OR l.orphaned_at IS NOT NULL OR l.annotations::text <> excluded.annotations::text
   OR l.status::text <> excluded.status::text
RETURNING entity_id
"""

_HELD = """
SELECT l.entity_id, b.identifier, e.identifier, l.file_id, l.status
FROM catalog_locatedentity l
JOIN catalog_entity e ON e.id = l.entity_id
JOIN catalog_blueprint b ON b.id = e.blueprint_id
WHERE l.file_id = ANY(%s)
"""

_SET_STATUS = """
UPDATE catalog_locatedentity l SET status = r.status
FROM json_to_recordset(%s::json) AS r(entity bigint, status json) WHERE l.entity_id = r.entity
"""

_ORPHAN = """
UPDATE catalog_locatedentity SET file_id = NULL, orphaned_at = %s, status = '[]'
WHERE entity_id = ANY(%s)
"""

# To the location that has the same file, the oldest of several.
_HEIRS = """
SELECT l.entity_id, heir.file, heir.place, l.annotations
FROM catalog_locatedentity l
JOIN catalog_locationfile f ON f.id = l.file_id
JOIN LATERAL (
    SELECT o.id AS file, w.type || ':' || w.target AS place
    FROM catalog_locationfile o JOIN catalog_location w ON w.id = o.location_id
    WHERE o.place = f.place AND o.location_id <> f.location_id AND o.content_hash IS NOT NULL
    ORDER BY o.id LIMIT 1
) heir ON true
WHERE f.id = ANY(%s)
"""

_INHERIT = """
UPDATE catalog_locatedentity l
SET file_id = r.file, origin = r.origin, annotations = r.annotations
FROM json_to_recordset(%s::json) AS r(entity bigint, file bigint, origin text, annotations json)
WHERE l.entity_id = r.entity
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """An entity that exists, and who holds it. location: `Entity.location`. is_located: whether
    it ever came from a location; file, place, owner: the file that holds it now, and its
    location's pk; None for an orphan."""

    pk: int
    location: str
    is_located: bool
    file: int | None
    place: str
    owner: Any


def lock(blueprints: Iterable[str]) -> None:
    """Wait for the other writers of these blueprints, all of them at once: a transaction of
    several batches could otherwise wait for one that waits for it."""
    lock_for_writing(blueprints)


def holders(cursor: Any, keys: Iterable[Key]) -> dict[Key, Holder]:
    cursor.execute(_HOLDERS, [_keys(keys)])
    return {
        (blueprint, identifier): Holder(pk, location or "", located, file, place or "", owner)
        for blueprint, identifier, pk, location, located, file, place, owner in cursor.fetchall()
    }


def store_files(
    cursor: Any, location: Location, rows: Sequence[dict[str, Any]], *, at: datetime
) -> dict[str, int]:
    """Write rows of `LocationFile`; returns their pks by place.

    A row: place, etag, hash (hexadecimal or None), targets, reads, problems, message, is_read.
    """
    if not rows:
        return {}
    cursor.execute(
        _STORE_FILES,
        {"location": location.pk, "now": at, "rows": orjson.dumps(rows).decode()},
    )
    return dict(cursor.fetchall())


def hold(cursor: Any, rows: Sequence[dict[str, Any]]) -> list[int]:
    """Say which files hold which entities; returns the entities of which that is new.

    A row: entity, file, origin, annotations, status.
    """
    if not rows:
        return []
    cursor.execute(_HOLD, [orjson.dumps(rows).decode()])
    return [pk for (pk,) in cursor.fetchall()]


def held_by(cursor: Any, files: Iterable[int]) -> list[tuple[int, Key, int, list[Any]]]:
    """(entity, key, file, status) of all that these files hold."""
    cursor.execute(_HELD, [list(files)])
    return [
        (pk, (blueprint, identifier), file, status)
        for pk, blueprint, identifier, file, status in cursor.fetchall()
    ]


def set_status(cursor: Any, rows: Sequence[tuple[int, list[Any]]]) -> None:
    if rows:
        found = [{"entity": pk, "status": status} for pk, status in rows]
        cursor.execute(_SET_STATUS, [orjson.dumps(found).decode()])
        mark_changed(cursor, [pk for pk, _ in rows])


def make_orphans(cursor: Any, pks: Sequence[int], *, at: datetime) -> None:
    if pks:
        cursor.execute(_ORPHAN, [at, list(pks)])
        mark_changed(cursor, pks)


def hand_over(cursor: Any, files: Sequence[int]) -> None:
    """Give what these files hold to other locations that have the same files."""
    if not files:
        return
    cursor.execute(_HEIRS, [list(files)])
    rows = [
        {
            "entity": entity,
            "file": file,
            "origin": origin,
            "annotations": {**annotations, ORIGIN: origin},
        }
        for entity, file, origin, annotations in cursor.fetchall()
    ]
    if rows:
        cursor.execute(_INHERIT, [orjson.dumps(rows).decode()])
        mark_changed(cursor, [row["entity"] for row in rows])


def blueprints_of(cursor: Any, location: Location) -> list[str]:
    """Of all that a location holds, or held, and of Location entities."""
    cursor.execute(
        "SELECT DISTINCT b.identifier FROM catalog_locatedentity l "
        "JOIN catalog_entity e ON e.id = l.entity_id "
        "JOIN catalog_blueprint b ON b.id = e.blueprint_id "
        "LEFT JOIN catalog_locationfile f ON f.id = l.file_id "
        "WHERE f.location_id = %s OR (l.file_id IS NULL AND l.origin = %s)",
        [location.pk, location.place],
    )
    return [BLUEPRINT, *(row[0] for row in cursor.fetchall())]


def release(cursor: Any, location: Location, *, actor: Actor, at: datetime, run: str = "") -> int:
    """Delete what only this location holds, its orphans and its Location entity too; returns how
    many entities went. What something else needs becomes an orphan."""
    cursor.execute("SELECT id FROM catalog_locationfile WHERE location_id = %s", [location.pk])
    files = [pk for (pk,) in cursor.fetchall()]
    hand_over(cursor, files)
    cursor.execute(
        "SELECT b.identifier, e.identifier, e.id FROM catalog_entity e "
        "JOIN catalog_blueprint b ON b.id = e.blueprint_id "
        "LEFT JOIN catalog_locatedentity l ON l.entity_id = e.id "
        "WHERE l.file_id = ANY(%(files)s) OR (l.file_id IS NULL AND l.origin = %(place)s) "
        "OR (l.entity_id IS NULL AND b.identifier = %(blueprint)s AND e.identifier = %(name)s "
        "    AND e.location = %(place)s)",
        {
            "files": files,
            "place": location.place,
            "blueprint": BLUEPRINT,
            "name": identifier_of(location),
        },
    )
    rows = {(blueprint, identifier): pk for blueprint, identifier, pk in cursor.fetchall()}
    gone = delete_sparing(list(rows), actor=actor, run=run)
    make_orphans(cursor, [pk for key, pk in rows.items() if key not in gone], at=at)
    return len(gone)


def set_free(cursor: Any, pks: Sequence[int], *, actor: Actor) -> set[int]:
    """Let go of the people and teams among these that were there before any file described them:
    they stay, with what they have, and no file holds them. Returns who."""
    cursor.execute(
        "SELECT e.id, b.identifier, e.identifier FROM catalog_entity e "
        "JOIN catalog_blueprint b ON b.id = e.blueprint_id "
        "WHERE e.id = ANY(%s) AND b.identifier = ANY(%s) AND e.created_by <> %s",
        [list(pks), [TEAM, USER], WRITER],
    )
    rows = cursor.fetchall()
    if not rows:
        return set()
    drafts = [
        EntityDraft(blueprint, identifier, location=None) for _, blueprint, identifier in rows
    ]
    apply(drafts, mode=Mode.MERGE, actor=actor)
    free = [pk for pk, _, _ in rows]
    cursor.execute("DELETE FROM catalog_locatedentity WHERE entity_id = ANY(%s)", [free])
    mark_changed(cursor, free)
    return set(free)


def delete_sparing(keys: Sequence[Key], *, actor: Actor, run: str = "") -> set[Key]:
    """Delete entities but for those that something else needs; returns what went."""
    if not keys:
        return set()
    try:
        return set(delete(keys, actor=actor, run=run))
    except HasDependents:
        if len(keys) == 1:
            return set()
    half = len(keys) // 2
    gone = delete_sparing(keys[:half], actor=actor, run=run)
    gone |= delete_sparing(keys[half:], actor=actor, run=run)
    left = [key for key in keys if key not in gone]
    if gone and len(left) < len(keys):  # what needed them may be among those that went
        gone |= delete_sparing(left, actor=actor, run=run)
    return gone


def identifier_of(location: Location) -> str:
    """Of the Location entity made for it."""
    return location.entity_ref.rpartition("/")[2]


def _keys(keys: Iterable[Key]) -> str:
    return orjson.dumps([{"blueprint": one, "identifier": two} for one, two in keys]).decode()
