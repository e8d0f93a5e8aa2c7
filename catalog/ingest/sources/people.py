"""People and teams of a forge as `_user` and `_team` entities: who of them is known already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from django.db import connection

from catalog.ingest.sources.repository_files import Item
from catalog.models import USER

# What the mapping may keep of what others say of a person.
_KEPT: Final = ("email", "displayName", "picture", "description", "annotations")

_KNOWN: Final = """
SELECT e.identifier, e.title, e.properties::text,
       lower(e.properties ->> 'email'),
       lower(e.properties -> 'annotations' ->> %(annotation)s),
       EXISTS (SELECT FROM catalog_owned o WHERE o.entity_id = e.id
               AND o.integration_id = %(integration)s AND o.is_creator)
FROM catalog_entity e
WHERE e.blueprint_id = (SELECT id FROM catalog_blueprint WHERE identifier = %(user)s)
  AND (e.identifier = ANY(%(names)s)
       OR e.properties ? 'email' AND lower(e.properties ->> 'email') = ANY(%(names)s)
       OR lower(e.properties -> 'annotations' ->> %(annotation)s) = ANY(%(names)s))
ORDER BY e.id
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A `_user` entity. known: what others say of it; empty when this source made it."""

    identifier: str
    known: Mapping[str, Any] = field(default_factory=dict)


def find_people(
    logins: Mapping[str, str], *, annotation: str, integration: int | None
) -> dict[str, Person]:
    """The `_user` entity of each login that has one; one statement.

    logins: the e-mail address of each login, or "". annotation: the one that holds the login.
    A person is known by the address, then by the annotation, then by the login as identifier.
    """
    by_email: dict[str, Person] = {}
    by_login: dict[str, Person] = {}
    by_name: dict[str, Person] = {}
    names = {name.lower() for pair in logins.items() for name in pair if name}
    with connection.cursor() as cursor:
        cursor.execute(
            _KNOWN,
            {
                "user": USER,
                "names": [name for name in {*names, *logins} if "\0" not in name],
                "annotation": annotation,
                "integration": integration,
            },
        )
        for identifier, title, raw, email, login, is_own in cursor.fetchall():
            properties = orjson.loads(raw)
            kept = {name: properties[name] for name in _KEPT if properties.get(name)}
            person = Person(identifier, {} if is_own else {"title": title, **kept})
            by_email.setdefault(email or identifier.lower(), person)
            by_login.setdefault(login or "", person)
            by_name.setdefault(identifier, person)
    found = {}
    for login, email in logins.items():
        lower = login.lower()
        by_address = by_email.get(email.lower()) if email else None
        ways = (by_address, by_login.get(lower), by_name.get(lower))
        if one := next((way for way in ways if way), None):
            found[login] = one
    return found


def with_identity(
    people: Sequence[Item], *, login: str, email: str, annotation: str, integration: int | None
) -> list[Item]:
    """The people, each with `__identifier` and `__known`. login, email: the names of these keys."""
    known = find_people(
        {str(one[login]): str(one.get(email) or "") for one in people},
        annotation=annotation,
        integration=integration,
    )
    found = []
    for one in people:
        person = known.get(str(one[login])) or Person(str(one[login]).lower())
        found.append({**one, "__identifier": person.identifier, "__known": dict(person.known)})
    return found


def identifiers_of(
    logins: Iterable[str], *, annotation: str, integration: int | None, with_new: bool = False
) -> dict[str, str]:
    """The identifiers of those people that are in the catalogue, by login. with_new: of all of
    them, since the others are about to come."""
    wanted = dict.fromkeys(logins, "")
    known = find_people(wanted, annotation=annotation, integration=integration)
    found = {login: login.lower() for login in wanted} if with_new else {}
    return {**found, **{login: person.identifier for login, person in known.items()}}
