"""Teams as clients of the API know them: a name, a description and people.

A team is an entity of `_team`. Its name is the entity's title; the identifier is the same where
that is possible, with `_` for letters that an identifier cannot have. People are stated at both
ends, `_team.members` (which keeps their order) and `_user.team` (which searches ask for).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import regex
from django.db import transaction

from catalog.kernel.actors import Actor
from catalog.kernel.errors import AlreadyExists, InvalidInput, NotFound, shorten
from catalog.kernel.identifiers import is_storable
from catalog.models import TEAM, USER, Entity
from catalog.selectors.memberships import members_of, persons, team_called, teams
from catalog.services import entities
from catalog.services.entities import EntityDraft, MissingTargets, Mode

MAX_NAME: Final = 130
_FORBIDDEN: Final = regex.compile(r"[;#/?]")
_NOT_IN_IDENTIFIER: Final = regex.compile(r"[^\p{L}0-9@_.+:=-]")


def get_team(name: str) -> Entity:
    """The team of this name or identifier. Raises NotFound."""
    found = team_called(name) if is_storable(name) else None
    if found is None:
        raise NotFound.of("Team", name, field="name")
    return found


def team_identifiers(names: Sequence[Any], *, field: str) -> list[str]:
    """Identifiers of the teams called so. Raises InvalidInput for one there is not."""
    found = []
    for index, name in enumerate(names):
        team = team_called(name) if isinstance(name, str) and is_storable(name) else None
        if team is None:
            raise InvalidInput(
                f'{field}.{index}: there is no team "{shorten(name)}"',
                details={
                    "field": f"{field}.{index}",
                    "value": shorten(name),
                    "expected": "the name of a team",
                },
            )
        found.append(team.identifier)
    return list(dict.fromkeys(found))


def create_team(
    *, name: object, description: str | None, people: Sequence[str], actor: Actor
) -> Entity:
    """people: identifiers of `_user` entities, in their order.

    Raises AlreadyExists, InvalidInput.
    """
    checked = _checked_name(name)
    with transaction.atomic():
        entities.lock_everything()
        if team_called(checked) or team_called(_identifier(checked)):
            raise AlreadyExists.of("Team", checked, field="name")
        draft = EntityDraft(
            TEAM,
            _identifier(checked),
            title=checked,
            properties={"description": description},
        )
        _apply([draft], Mode.CREATE, actor)
        team = get_team(_identifier(checked))
        _set_people(team, people, actor)
    return get_team(team.identifier)


def change_team(
    name: str, changes: Mapping[str, Any], *, people: Sequence[str] | None, actor: Actor
) -> Entity:
    """Change name and description where `changes` has them, and all people unless None.

    A new name renames the entity, too; what the team owns follows.
    Raises NotFound, AlreadyExists, InvalidInput.
    """
    with transaction.atomic():
        entities.lock_everything()
        team = get_team(name)
        identifier, title = team.identifier, team.title
        if "name" in changes and changes["name"] != (team.title or team.identifier):
            title = _checked_name(changes["name"])
            other = team_called(title)
            if other is not None and other.pk != team.pk:
                raise AlreadyExists.of("Team", title, field="name")
            if identifier == _identifier(team.title or identifier):
                identifier = _identifier(title)
                entities.rename(TEAM, team.identifier, identifier, actor=actor)
        parts: dict[str, Any] = {"title": title}
        if "description" in changes:
            parts["properties"] = {"description": changes["description"]}
        _apply([EntityDraft(TEAM, identifier, **parts)], Mode.MERGE, actor)
        team = teams().get(identifier=identifier)
        if people is not None:
            _set_people(team, people, actor)
    return teams().get(pk=team.pk)


def delete_team(name: str, *, actor: Actor) -> None:
    """What it owned keeps its name. Raises NotFound, HasDependents."""
    with transaction.atomic():
        team = get_team(name)
        _set_people(team, [], actor)
        entities.delete([(TEAM, team.identifier)], actor=actor)


def set_teams(person: Entity, team_names: Sequence[str], *, actor: Actor) -> None:
    """Make these (identifiers) the teams of a `_user` entity, at both ends."""
    with transaction.atomic():
        entities.lock_everything()
        wanted = list(dict.fromkeys(team_names))
        drafts = [EntityDraft(USER, person.identifier, relations={"team": wanted})]
        for team in teams().filter(identifier__in=wanted) | teams().filter(
            relations__members__contains=[person.identifier]
        ):
            members = list(team.relations.get("members", []))
            kept = [one for one in members if one != person.identifier]
            if team.identifier in wanted:
                kept = members if person.identifier in members else [*members, person.identifier]
            if kept != members:
                drafts.append(EntityDraft(TEAM, team.identifier, relations={"members": kept}))
        _apply(drafts, Mode.MERGE, actor)


def _set_people(team: Entity, people: Sequence[str], actor: Actor) -> None:
    wanted = list(dict.fromkeys(people))
    drafts = [EntityDraft(TEAM, team.identifier, relations={"members": wanted})]
    involved = {row.identifier for row in members_of([team.pk])[team.pk]} | set(wanted)
    for person in persons().filter(identifier__in=involved):
        own = list(person.relations.get("team", []))
        kept = [one for one in own if one != team.identifier]
        if person.identifier in wanted:
            kept = own if team.identifier in own else [*own, team.identifier]
        if kept != own:
            drafts.append(EntityDraft(USER, person.identifier, relations={"team": kept}))
    _apply(drafts, Mode.MERGE, actor)


def _apply(drafts: Sequence[EntityDraft], mode: Mode, actor: Actor) -> None:
    result = entities.apply(
        drafts,
        mode=mode,
        actor=actor,
        missing_targets=MissingTargets.DANGLE,
        all_or_nothing=True,
    )
    if result.rejected and (error := result.rejected[0].error):
        raise error


def _checked_name(value: object) -> str:
    expected = f"1 to {MAX_NAME} characters without ; # / ? and without blanks around"
    is_good = (
        isinstance(value, str)
        and 1 <= len(value) <= MAX_NAME
        and value == value.strip()
        and not _FORBIDDEN.search(value)
        and is_storable(value)
    )
    if not is_good:
        raise InvalidInput.of("name", value, expected)
    return str(value)


def _identifier(name: str) -> str:
    return str(_NOT_IN_IDENTIFIER.sub("_", name))
