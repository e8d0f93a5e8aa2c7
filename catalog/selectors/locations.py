"""Locations as people look at them: how each is doing, its tree of files, what is wrong in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from django.db import connection
from django.db.models import Q, QuerySet

from catalog.models import Entity, LocatedEntity, Location

MAX_PROBLEMS: Final = 200
MAX_FILES: Final = 500

_COUNTS = """
SELECT f.location_id, count(*) FILTER (WHERE f.content_hash IS NOT NULL),
       greatest(sum(json_array_length(f.problems)), count(*) FILTER (WHERE f.message <> '')),
       (SELECT count(*) FROM catalog_locatedentity l JOIN catalog_locationfile o ON o.id = l.file_id
        WHERE o.location_id = f.location_id)
FROM catalog_locationfile f WHERE f.location_id = ANY(%s) GROUP BY f.location_id
"""

# Of entities that were valid once the owners are known; of others as far as their document says.
_OF_TEAMS = """
SELECT f.location_id FROM catalog_locatedentity l
JOIN catalog_entity e ON e.id = l.entity_id
JOIN catalog_locationfile f ON f.id = l.file_id
WHERE l.status::text <> '[]' AND e.team::text[] && %(teams)s::text[]
UNION
SELECT f.location_id FROM catalog_locationfile f, json_array_elements(f.problems) p
WHERE f.problems::text <> '[]'
  AND regexp_replace(lower(p->'document'->'spec'->>'owner'), '^(group:)?(default/)?', '')
      = ANY(%(teams)s::text[])
UNION
SELECT o.location_id FROM catalog_locationfile o, json_array_elements(o.problems) p
JOIN catalog_blueprint b ON b.identifier = p->'key'->>0
JOIN catalog_entity e ON e.blueprint_id = b.id AND e.identifier = p->'key'->>1
WHERE o.problems::text <> '[]' AND e.team::text[] && %(teams)s::text[]
"""

_FILES = """
SELECT f.id, f.place, f.targets, f.problems, f.message, f.content_hash IS NOT NULL, f.read_at,
       (SELECT count(*) FROM catalog_locatedentity l WHERE l.file_id = f.id)
FROM catalog_locationfile f WHERE f.location_id = %s ORDER BY f.place
"""


@dataclass(frozen=True, slots=True)
class LocationRow:
    """A location with the number of its files, its entities, and its problems."""

    location: Location
    files: int = 0
    problems: int = 0
    entities: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and where. key: blueprint and identifier of the entity, if there is
    one to look at."""

    place: str
    line: int
    entity: str
    field: str
    message: str
    hint: str
    key: tuple[str, str] | None = None


@dataclass(slots=True)
class TreeFile:
    """A file in its tree. depth: how many Locations lead to it. message: why it cannot be read; a
    pattern, or what may be missing and is, was not read either."""

    pk: int
    place: str
    entities: int
    problems: int
    message: str
    is_read: bool
    read_at: datetime | None
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Tree:
    """files: in the order of the tree, at most `MAX_FILES` of `count`, of which `read` could be
    read. faults: at most `MAX_PROBLEMS` of `fault_count`. folder: how most places begin."""

    folder: str = ""
    files: Sequence[TreeFile] = ()
    count: int = 0
    read: int = 0
    faults: Sequence[Fault] = ()
    fault_count: int = 0
    entities: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with one entity: it has lost its file, or its document is not as it should be.

    place: the file it comes from, or came from. location: the pk of the location, if it is there.
    """

    place: str
    location: Any
    orphaned_at: datetime | None
    faults: Sequence[Fault] = field(default_factory=tuple)
    message: str = ""


def listed(
    *, text: str = "", state: str = "", teams: Sequence[str] | None = None
) -> QuerySet[Location]:
    """Those that match, the troubled ones first. teams: only with problems of what these own."""
    found = Location.objects.all()
    if text:
        found = found.filter(Q(target__icontains=text) | Q(entity_ref__icontains=text))
    if state == "problems":
        found = found.filter(state__in=[Location.State.FAILED, Location.State.PARTIAL])
    elif state:
        found = found.filter(state=state)
    if teams is not None:
        with connection.cursor() as cursor:
            cursor.execute(_OF_TEAMS, {"teams": list(teams)})
            found = found.filter(pk__in=[pk for (pk,) in cursor.fetchall()])
    return found.order_by("target", "pk")


def rows_of(locations: Iterable[Location]) -> list[LocationRow]:
    """One statement, whatever their number."""
    some = list(locations)
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, [[one.pk for one in some]])
        counts = {pk: values for pk, *values in cursor.fetchall()}
    return [
        LocationRow(one, *(int(value or 0) for value in counts.get(one.pk, (0, 0, 0))))
        for one in some
    ]


def tree_of(location: Location) -> Tree:
    """All files of a location; two statements."""
    with connection.cursor() as cursor:
        cursor.execute(_FILES, [location.pk])
        rows = cursor.fetchall()
    files: dict[str, TreeFile] = {}
    children: dict[str, list[str]] = {}
    faults: list[Fault] = []
    count = 0
    for pk, place, targets, problems, message, is_read, read_at, entities in rows:
        files[place] = TreeFile(pk, place, entities, len(problems), message, is_read, read_at)
        children[place] = [one for target in targets for one in target.get("files", ())]
        count += len(problems)
        faults += [fault_of(place, one) for one in problems[: MAX_PROBLEMS - len(faults)]]
    return Tree(
        folder=f"{location.place.rpartition('/')[0]}/",
        files=_in_order(location.place, files, children)[:MAX_FILES],
        count=len(files),
        read=sum(file.is_read for file in files.values()),
        faults=_with_entities(faults),
        fault_count=count,
        entities=sum(file.entities for file in files.values()),
    )


def trouble_of(entity: Entity) -> Trouble | None:
    """What the owners of an entity should know of its descriptor; None when all is well.

    No statement where `located__file` is loaded, but for one that looks for an orphan's location.
    """
    row: LocatedEntity | None = getattr(entity, "located", None)
    if row is None:
        return None
    if row.file is None:
        type_, _, target = row.origin.partition(":")
        origin = Location.objects.filter(type=type_, target=target).values_list("pk", flat=True)
        return Trouble(entity.location or row.origin, origin.first(), row.orphaned_at)
    key = [entity.blueprint.identifier, entity.identifier]
    faults = [fault_of(row.file.place, one) for one in row.file.problems if one["key"] == key]
    if row.status and not faults:
        faults = [fault_of(row.file.place, one) for one in row.file.problems if not one["key"]][:1]
        faults = faults or [
            Fault(row.file.place, 0, "", "", str(item.get("message", "")), "")
            for item in row.status
        ]
    if not (faults or row.file.message):
        return None
    return Trouble(row.file.place, row.file.location_id, row.orphaned_at, faults, row.file.message)


def orphans_of(place: str) -> QuerySet[LocatedEntity]:
    """Of one location, by its place."""
    return (
        LocatedEntity.objects.filter(origin=place, orphaned_at__isnull=False)
        .select_related("entity__blueprint")
        .order_by("orphaned_at", "pk")
    )


def fault_of(place: str, problem: Mapping[str, Any]) -> Fault:
    key = problem.get("key")
    return Fault(
        place,
        problem.get("line") or 0,
        problem.get("entity", ""),
        problem.get("field", ""),
        problem.get("message", ""),
        problem.get("hint", ""),
        (key[0], key[1]) if key else None,
    )


def _with_entities(faults: Sequence[Fault]) -> list[Fault]:
    """The same, with the keys of those alone that are in the catalogue."""
    keys = {fault.key for fault in faults if fault.key}
    found = set(
        Entity.objects.filter(
            blueprint__identifier__in={blueprint for blueprint, _ in keys},
            identifier__in={identifier for _, identifier in keys},
        ).values_list("blueprint__identifier", "identifier")
        if keys
        else ()
    )
    return [one if one.key in found else replace(one, key=None) for one in faults]


def _in_order(
    root: str, files: Mapping[str, TreeFile], children: Mapping[str, Sequence[str]]
) -> list[TreeFile]:
    """Depth first from the root; each file where it is met first."""
    found: dict[str, TreeFile] = {}
    waiting = [(root, 0)]
    while waiting:
        place, depth = waiting.pop()
        file = files.get(place)
        if file is None or place in found:
            continue
        file.depth = depth
        found[place] = file
        waiting.extend((one, depth + 1) for one in reversed(children[place]) if one != place)
    return [*found.values(), *(file for place, file in files.items() if place not in found)]
