"""Who is meant by a team, an owner, an entity or everybody: e-mail addresses in small letters."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.contrib.auth import get_user_model

from catalog.dialects.backstage.mapping import key_of_ref
from catalog.dialects.backstage.refs import parse_ref
from catalog.models import TEAM, USER, Entity
from catalog.selectors.memberships import emails_in_teams, person_row


def members(names: Collection[str]) -> set[str]:
    """The people in these teams, called by identifier or title; three statements."""
    return {email.lower() for email in emails_in_teams(names)}


def behind(entities: Iterable[Entity]) -> set[str]:
    """Each person themselves, the members of each team, the owners of anything else."""
    found: set[str] = set()
    names: set[str] = set()
    for entity in entities:
        if entity.blueprint.identifier == USER:
            email = person_row(entity).email
            found |= {email.lower()} if email else set()
        elif entity.blueprint.identifier == TEAM:
            names.add(entity.identifier)
        else:
            names |= set(entity.team)
    return found | members(names)


def named(refs: Collection[str]) -> set[str]:
    """Who is behind the entities of these references; one that leads nowhere reaches nobody.

    Raises RefError.
    """
    keys = {key_of_ref(parse_ref(ref)) for ref in refs}
    found = Entity.objects.select_related("blueprint").filter(
        blueprint__identifier__in={blueprint for blueprint, _ in keys},
        identifier__in={identifier for _, identifier in keys},
    )
    return behind(one for one in found if (one.blueprint.identifier, one.identifier) in keys)


def everybody() -> set[str]:
    """All who may log in and have an address."""
    users = get_user_model()._default_manager.filter(is_active=True).exclude(email="")
    return {email.lower() for email in users.values_list("email", flat=True)}
