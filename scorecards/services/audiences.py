"""Who is to hear of what: people, each told once, whatever teams they are in."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from django.contrib.auth import get_user_model

from catalog.kernel.actors import Role
from catalog.models import TEAM, USER, Entity
from catalog.selectors.memberships import members_of, teams
from scorecards.formats import definition_of
from scorecards.models import Scorecard

TOPIC: Final = "scorecards"  # of all that scorecards tell

_Thing = TypeVar("_Thing", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Owners:
    """teams: identifiers. people: e-mail addresses in small letters."""

    teams: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()

    def __or__(self, other: Owners) -> Owners:
        return Owners(self.teams | other.teams, self.people | other.people)

    def __bool__(self) -> bool:
        return bool(self.teams or self.people)


def owners_of(entity_pks: Collection[int]) -> dict[int, Owners]:
    """Of the entities that are still there: people and teams own themselves; one statement."""
    found = Entity.objects.filter(pk__in=set(entity_pks))
    rows = found.values_list(
        "pk", "blueprint__identifier", "identifier", "team", "properties__email"
    )
    return {pk: _owners(*row) for pk, *row in rows}


def named(owner: str) -> Owners:
    """Whoever an owner is that was written down: an e-mail address, or a team."""
    if not owner:
        return Owners()
    if "@" in owner:
        return Owners(people=frozenset({owner.lower()}))
    return Owners(teams=frozenset({owner}))


def stewards_of(scorecard: Scorecard) -> Owners:
    """Who decides about a scorecard: its owner; where it names none, the admins."""
    return named(definition_of(scorecard).owner) or Owners(people=frozenset(_admins()))


def by_person(things: Mapping[_Thing, Owners]) -> dict[frozenset[_Thing], list[str]]:
    """The e-mail addresses of those who are to hear of the same things, by these things.

    Three statements, however many things and people there are.
    """
    names = {team for owners in things.values() for team in owners.teams}
    members = _members(names)
    told: dict[str, set[_Thing]] = {}
    for thing, owners in things.items():
        people = set(owners.people).union(*(members.get(team, ()) for team in owners.teams))
        for person in people:
            told.setdefault(person, set()).add(thing)
    groups: dict[frozenset[_Thing], list[str]] = {}
    for person in sorted(told):
        groups.setdefault(frozenset(told[person]), []).append(person)
    return groups


def _owners(blueprint: str, identifier: str, team: Sequence[str], email: object) -> Owners:
    if blueprint == TEAM:
        return Owners(teams=frozenset({identifier}))
    if blueprint == USER:
        told = email if isinstance(email, str) and email else identifier
        return named(told) if "@" in told else Owners()
    return Owners(teams=frozenset(team))


def _members(names: Collection[str]) -> dict[str, set[str]]:
    """The addresses of the people in teams, by identifier or title as they were named."""
    if not names:
        return {}
    rows = teams().filter(identifier__in=names) | teams().filter(title__in=names)
    found = {
        pk: (identifier, title or identifier)
        for pk, identifier, title in rows.values_list("pk", "identifier", "title")
    }
    emails: dict[str, set[str]] = {}
    for pk, people in members_of(list(found)).items():
        for name in {*found[pk]} & set(names):
            emails.setdefault(name, set()).update(
                person.email.lower() for person in people if person.email
            )
    return emails


def _admins() -> set[str]:
    users = get_user_model()._default_manager.filter(role=Role.ADMIN, is_active=True)
    return {email.lower() for email in users.exclude(email="").values_list("email", flat=True)}
