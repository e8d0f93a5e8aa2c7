"""Entities that somebody is about to say something more of, beside what is in their content."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import orjson
from django.db import connection

from catalog.kernel.actors import Actor, EntityWrite, Verb
from catalog.kernel.errors import IdpError, NotFound, PermissionDenied
from catalog.kernel.identifiers import is_storable
from catalog.services.shapes import load_shapes

# Whoever deletes one of them waits, so that nothing is said of an entity that is gone.
_FIND: Final = """
SELECT e.id, b.identifier, e.identifier, e.team
FROM json_to_recordset(%s::json) AS n(blueprint text, identifier text)
JOIN catalog_blueprint b ON b.identifier = n.blueprint
JOIN catalog_entity e ON e.blueprint_id = b.id AND e.identifier = n.identifier
ORDER BY e.id FOR KEY SHARE OF e
"""

Name = tuple[str, str]  # blueprint, identifier


def writable(names: Iterable[Name], *, actor: Actor) -> dict[Name, int | IdpError]:
    """The pk of each entity that the actor may update, or why it may not be written.

    They stay there until the transaction ends. At most two statements.
    """
    wanted = set(names)
    asked = [
        {"blueprint": blueprint, "identifier": identifier}
        for blueprint, identifier in wanted
        if is_storable(blueprint) and is_storable(identifier)
    ]
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [orjson.dumps(asked).decode()])
        rows = cursor.fetchall()
    shapes = load_shapes() if rows and actor.authority else {}
    found: dict[Name, int | IdpError] = {}
    for pk, blueprint, identifier, team in rows:
        found[blueprint, identifier] = pk
        if actor.authority is None:
            continue
        try:
            actor.authority.check(
                EntityWrite(
                    verb=Verb.UPDATE,
                    blueprint=blueprint,
                    is_system=shapes[blueprint].is_system,
                    permissions=shapes[blueprint].permissions,
                    identifier=identifier,
                    team=team,
                )
            )
        except PermissionDenied as error:
            found[blueprint, identifier] = error
    for name in wanted - found.keys():
        found[name] = NotFound.of("Entity", name[1])
    return found


def writable_one(blueprint: str, identifier: str, *, actor: Actor) -> int:
    """The pk of an entity. Raises NotFound, PermissionDenied."""
    [found] = writable([(blueprint, identifier)], actor=actor).values()
    if isinstance(found, IdpError):
        raise found
    return found
