"""People as clients of the API know them: accounts here, and persons of the catalogue.

An account (`User`) and a person (`_user` entity) are one where they have the same e-mail address.
Who has an account has its role and status; of the others the person says these. Teams are the
person's. Nobody's password is told or set here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog
from allauth.account.forms import ResetPasswordForm
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from catalog.kernel.actors import Actor, Role
from catalog.kernel.errors import Conflict, InvalidInput, NotFound, shorten
from catalog.kernel.identifiers import check_entity_identifier, is_storable
from catalog.models import USER, Entity
from catalog.selectors.memberships import (
    PersonRow,
    person_row,
    persons,
    teams_of_people,
)
from catalog.selectors.teams import people as people_with
from catalog.services import entities
from catalog.services.entities import EntityDraft, Mode
from catalog.services.teams import set_teams, team_identifiers
from idp import auth, users
from idp.models import ApiClient, User
from idp.service_accounts import is_active, is_service_account, role_of

DISABLED: Final = "Disabled"
INVITED: Final = "Invited"
STAGED: Final = "Staged"
STANDARD: Final = "Standard"

_NOT_IN_USERNAME: Final = re.compile(r"[^\w.@+-]")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Person:
    """account, entity: at least one of them. status: Active, Invited, Disabled or Staged."""

    email: str
    first_name: str
    last_name: str
    status: str
    kind: str
    role: str
    picture: str
    account: User | None = None
    entity: PersonRow | None = None
    teams: Sequence[Entity] = field(default_factory=tuple)

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or self.email

    @property
    def created_at(self) -> datetime | None:
        if self.account is not None:
            return self.account.date_joined
        return self.entity.created_at if self.entity else None

    @property
    def updated_at(self) -> datetime | None:
        """Of the person: an account keeps no moment of its last change."""
        return self.entity.updated_at if self.entity else self.created_at


def list_people() -> list[Person]:
    """Everybody, by e-mail address; five statements."""
    accounts = {(user.email or user.username).lower(): user for user in User.objects.order_by("pk")}
    rows = {(row.email or row.identifier).lower(): row for row in map(person_row, persons())}
    teams = teams_of_people(row.pk for row in rows.values())
    return [
        _person(accounts.get(key), rows.get(key), teams) for key in sorted({**accounts, **rows})
    ]


def get_person(email: str) -> Person:
    """By e-mail address, or by what stands for one: a user name, an identifier.

    Raises NotFound.
    """
    found = _find(email)
    if found is None:
        raise NotFound.of("User", email, field="email")
    return found


def ensure_entities(emails: Sequence[Any], *, actor: Actor) -> list[str]:
    """Identifiers of the `_user` entities of these people, made for those who have an account.

    Raises InvalidInput for somebody there is not.
    """
    identifiers = []
    for index, email in enumerate(emails):
        person = _find(email) if isinstance(email, str) else None
        if person is None:
            raise InvalidInput(
                f'users.{index}: there is nobody with the address "{shorten(email)}"',
                hint="Invite them first.",
                details={
                    "field": f"users.{index}",
                    "value": shorten(email),
                    "expected": "the e-mail address of a user",
                },
            )
        identifiers.append(
            person.entity.identifier if person.entity else _make_entity(person, actor)
        )
    return list(dict.fromkeys(identifiers))


def invite(
    email: object,
    *,
    roles: Sequence[Any],
    team_names: Sequence[Any],
    actor: Actor,
    request: HttpRequest | None,
) -> tuple[Person, bool]:
    """Let somebody in: an account without a password, and a person of the catalogue in teams.

    Who was switched off comes back. request: send a link by which they set a password, as after a
    forgotten one; None sends nothing. Returns the person, and whether a link went out.
    Raises InvalidInput, Conflict for somebody who is in.
    """
    address = _checked_email(email)
    role = _role(roles) if roles else Role.MEMBER.value
    wanted = team_identifiers(team_names, field="invitee.teams")
    with transaction.atomic():
        account = User.objects.filter(email__iexact=address).first()
        if account is None:
            account = _make_account(address, role, actor)
        elif account.is_active:
            raise Conflict(
                f'"{address}" is in already', details={"resource": "User", "value": address}
            )
        else:
            account = users.update_user(account, role=role, is_active=True, actor=actor)
        person = get_person(address)
        identifier = person.entity.identifier if person.entity else _make_entity(person, actor)
        if wanted:
            set_teams(persons().get(identifier=identifier), wanted, actor=actor)
    is_told = _send_link(address, request) if request is not None else False
    return get_person(address), is_told


def change_person(
    email: str,
    *,
    roles: Sequence[Any] | None,
    team_names: Sequence[Any] | None,
    actor: Actor,
) -> Person:
    """Give somebody another role, or other teams. Raises NotFound, InvalidInput, Conflict."""
    with transaction.atomic():
        person = get_person(email)
        if roles is not None:
            role = _role(roles)
            if person.account is not None:
                users.update_user(person.account, role=role, actor=actor)
            elif person.entity is not None and is_service_account(person.entity.properties):
                _merge(person.entity.identifier, {"port_role": role}, actor)
            else:
                raise Conflict(
                    f'"{email}" has no account, so no role either', hint="Invite them first."
                )
        if team_names is not None:
            wanted = team_identifiers(team_names, field="teams")
            identifier = person.entity.identifier if person.entity else _make_entity(person, actor)
            set_teams(persons().get(identifier=identifier), wanted, actor=actor)
    return get_person(email)


def remove_person(email: str, *, actor: Actor) -> None:
    """Switch the account off, for the history keeps its names, and delete the person.

    Raises NotFound, Conflict for the last admin, HasDependents.
    """
    with transaction.atomic():
        person = get_person(email)
        if person.account is not None and person.account.is_active:
            users.update_user(person.account, is_active=False, actor=actor)
        if person.entity is not None:
            set_teams(persons().get(pk=person.entity.pk), [], actor=actor)
            entities.delete([(USER, person.entity.identifier)], actor=actor)
            for client in _clients(person.entity.identifier):
                auth.update_client(client, is_active=False, actor=actor)


def welcome_service_accounts(pks: Sequence[int], actor: Actor) -> Mapping[int, Mapping[str, Any]]:
    """Credentials for new service accounts; this is the only time that their secrets are told."""
    told = {}
    for entity in Entity.objects.filter(pk__in=pks):
        if is_active(entity.properties):
            told[entity.pk] = {"credentials": _new_credentials(entity, actor)}
    return told


def rotate_credentials(email: str, *, actor: Actor) -> dict[str, str]:
    """New credentials for a service account; the old ones, and their tokens, end at once.

    Raises NotFound, InvalidInput for a person, who has none.
    """
    with transaction.atomic():
        person = get_person(email)
        if person.entity is None or not is_service_account(person.entity.properties):
            raise InvalidInput(
                f'"{email}" is no service account, and only these have credentials',
                details={"field": "email", "value": email, "expected": "a service account"},
            )
        for client in _clients(person.entity.identifier):
            auth.update_client(client, is_active=False, actor=actor)
        return _new_credentials(persons().get(pk=person.entity.pk), actor)


def _new_credentials(entity: Entity, actor: Actor) -> dict[str, str]:
    client, secret = auth.create_client(
        name=(entity.title or entity.identifier)[:100],
        role=role_of(entity.properties),
        account=entity.identifier,
        actor=actor,
    )
    return {"clientId": client.client_id, "clientSecret": secret}


def _clients(identifier: str) -> QuerySet[ApiClient]:
    return ApiClient.objects.filter(account=identifier, is_active=True)


def _find(email: str) -> Person | None:
    if not email or not is_storable(email):
        return None
    account = User.objects.filter(Q(email__iexact=email) | Q(username=email)).first()
    entity = people_with((account and account.email) or email).order_by("pk").first()
    row = person_row(entity) if entity else None
    if account is None and row is not None and row.email:
        account = User.objects.filter(email__iexact=row.email).first()
    if account is None and row is None:
        return None
    return _person(account, row, teams_of_people([row.pk]) if row else {})


def as_person(account: User | None, row: PersonRow) -> Person:
    """Without teams."""
    return _person(account, row, {})


def _person(
    account: User | None, row: PersonRow | None, teams: Mapping[int, Sequence[Entity]]
) -> Person:
    properties = row.properties if row else {}
    title = str(properties.get("displayName") or (row.title if row else "") or "")
    first, last = (account.first_name, account.last_name) if account else ("", "")
    if not (first or last):
        first, _, last = title.partition(" ")
    email = (account.email if account else "") or (row.email if row else "")
    return Person(
        email=email or (account.username if account else row.identifier if row else ""),
        first_name=first,
        last_name=last,
        status=_status(account, properties),
        kind=str(properties.get("port_type") or STANDARD),
        role=account.role if account else _stated_role(properties),
        picture=str(properties.get("picture") or ""),
        account=account,
        entity=row,
        teams=teams.get(row.pk, ()) if row else (),
    )


def _stated_role(properties: Mapping[str, Any]) -> str:
    if is_service_account(properties):
        return role_of(properties)
    return str(properties.get("port_role") or "")


def _status(account: User | None, properties: Mapping[str, Any]) -> str:
    if account is None:
        return str(properties.get("status") or STAGED)
    if not account.is_active:
        return DISABLED
    has_come = account.last_login is not None or account.has_usable_password()
    return "Active" if has_come else INVITED


def _make_account(address: str, role: str, actor: Actor) -> User:
    username = _NOT_IN_USERNAME.sub("_", address)[:150]
    try:
        return users.create_user(
            password=None, username=username, email=address, role=role, actor=actor
        )
    except ValidationError as error:
        raise InvalidInput(
            f'"{address}" cannot be invited: {" ".join(error.messages)}',
            details={"field": "invitee.email", "value": address},
        ) from None


def _make_entity(person: Person, actor: Actor) -> str:
    """The person of an account in the catalogue; returns its identifier."""
    properties = {"email": person.email, "displayName": person.name, "port_type": STANDARD}
    if "@" not in person.email:
        del properties["email"]
    identifier: str | None = person.email
    try:
        check_entity_identifier(identifier)
    except InvalidInput:
        identifier = None  # addresses may have letters that identifiers have not
    [item] = entities.apply(
        [EntityDraft(USER, identifier, title=person.name, properties=properties)],
        mode=Mode.CREATE,
        actor=actor,
    ).items
    if item.error:
        raise item.error
    return item.identifier


def _merge(identifier: str, properties: dict[str, Any], actor: Actor) -> None:
    [item] = entities.apply(
        [EntityDraft(USER, identifier, properties=properties)], mode=Mode.MERGE, actor=actor
    ).items
    if item.error:
        raise item.error


def _role(roles: Sequence[Any]) -> str:
    """The highest of the roles: each includes those after it. Raises InvalidInput."""
    for role in roles:
        if role not in list(Role):
            raise InvalidInput(
                f"roles has {shorten(role)}; expected some of {', '.join(Role)}",
                hint="Name people who moderate a blueprint in its permissions.",
                details={"field": "roles", "value": shorten(role), "expected": list(Role)},
            )
    if not roles:
        raise InvalidInput(
            "roles is empty; expected at least one role",
            details={"field": "roles", "expected": list(Role)},
        )
    return next(role.value for role in Role if role in roles)


def _checked_email(email: object) -> str:
    try:
        validate_email(email if isinstance(email, str) else None)
    except ValidationError:
        raise InvalidInput(
            f"invitee.email is {shorten(email)}; expected an e-mail address",
            details={
                "field": "invitee.email",
                "value": shorten(email),
                "expected": "an e-mail address",
            },
        ) from None
    return str(email)


def _send_link(address: str, request: HttpRequest) -> bool:
    """Send the link that sets a password. A mail server that is away stops nobody's invitation."""
    form = ResetPasswordForm({"email": address})
    if not form.is_valid():
        return False
    try:
        form.save(request)
    except OSError as error:  # what smtplib raises, too
        log.warning("invitation_not_sent", reason=str(error))
        return False
    return True
