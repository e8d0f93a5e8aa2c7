"""Where an entity comes from: the Locations that led to its file, up to the root."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from django.db import connection

from catalog.dialects.backstage.queries.selection import pks_by_ref
from catalog.kernel.actors import Principal

# The files of the tree that the entity is in, with the Locations that each of them holds.
_TREE = """
SELECT root.entity_ref, own.place, f.place, f.targets,
       coalesce(json_agg(json_build_array(d.ref, d.document -> 'spec' -> 'target',
                                          d.document -> 'spec' -> 'targets')
                         ORDER BY d.ref) FILTER (WHERE d.ref IS NOT NULL), '[]')
FROM catalog_locatedentity e
JOIN catalog_locationfile own ON own.id = e.file_id
JOIN catalog_location root ON root.id = own.location_id
JOIN catalog_locationfile f ON f.location_id = root.id
LEFT JOIN catalog_locatedentity l ON l.file_id = f.id
    AND EXISTS (SELECT FROM catalog_entitydocument k
                WHERE k.entity_id = l.entity_id AND k.terms @> ARRAY['kind=location'])
LEFT JOIN catalog_entitydocument d ON d.entity_id = l.entity_id
WHERE e.entity_id = %s
GROUP BY root.entity_ref, own.place, f.id
"""


@dataclass(frozen=True, slots=True)
class Ancestor:
    """An entity and the references of those that led to it."""

    ref: str
    pk: int
    parents: list[str]


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the tree: the places that it leads to, the Locations in it with what they name."""

    place: str
    targets: Sequence[str]
    locations: Mapping[str, Sequence[str]]


def ancestry(principal: Principal, ref: str) -> list[Ancestor]:
    """The entity and its ancestors, nearest first; empty when there is no such entity.

    What `principal` may not read is left out. Three statements at most, however deep the tree.
    """
    own = pks_by_ref(principal, [ref])
    if ref not in own:
        return []
    parents = _parents(own[ref], ref)
    pks = {**pks_by_ref(principal, parents), **own} if parents else own
    found: list[Ancestor] = []
    waiting = [ref]
    for one in waiting:
        above = [parent for parent in parents.get(one, ()) if parent in pks]
        found.append(Ancestor(one, pks[one], above))
        waiting += (parent for parent in above if parent not in waiting)
    return found


def _parents(pk: int, ref: str) -> dict[str, list[str]]:
    """The parents of the entity and of all Locations of its tree, by reference."""
    with connection.cursor() as cursor:
        cursor.execute(_TREE, [pk])
        rows = cursor.fetchall()
    if not rows:
        return {}
    root, place = rows[0][:2]
    files = [
        _File(
            file_place,
            [target["place"] for target in targets],
            {one: _named(target, many) for one, target, many in locations},
        )
        for _, _, file_place, targets, locations in rows
    ]
    places = {ref: place} | {one: file.place for file in files for one in file.locations}
    led = {place: _leading_to(place, files) for place in set(places.values())}
    parents = {
        one: [parent for parent in led[at] if parent != one] or [root] for one, at in places.items()
    }
    return {**parents, root: []}


def _leading_to(place: str, files: Iterable[_File]) -> list[str]:
    """The Locations that lead to a file."""
    return sorted(
        one
        for file in files
        if any(place == target or fnmatchcase(place, target) for target in file.targets)
        for one in _speaking_of(place, file.locations)
    )


def _speaking_of(place: str, locations: Mapping[str, Sequence[str]]) -> Iterable[str]:
    """Which of the Locations in a file names a place, where one can tell by the words."""
    speaking = [
        one
        for one, targets in locations.items()
        if any(_ends_with(place, target) for target in targets)
    ]
    return speaking or locations


def _ends_with(place: str, target: str) -> bool:
    tail = target
    while tail.startswith(("./", "../")):
        tail = tail.partition("/")[2]
    return place == target or fnmatchcase(place, f"*/{tail}") or place.endswith(f":{tail}")


def _named(target: Any, targets: Any) -> list[str]:
    return [*([target] if target else []), *(targets or [])]
