"""/v1/users: people, with an account or without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import OBJECT, documented, envelope, list_of, query
from catalog.kernel.errors import InvalidInput
from catalog.kernel.identifiers import ORGANIZATION
from catalog.selectors.documents import timestamp
from catalog.services import permissions
from idp import people
from idp.api.fields import FIELDS, only, wanted_fields
from idp.api.teams import TAG

_TEXT = {"type": "string"}
_TEXTS = list_of(_TEXT)
_ONE_USER = envelope(user=OBJECT)


class UserList(ApiView):
    @documented(
        "list_users",
        "List people: accounts, and persons of the catalogue",
        tag=TAG,
        params=[FIELDS],
        answers={200: envelope(users=list_of(OBJECT))},
    )
    def get(self, request: Request) -> Response:
        fields = wanted_fields(request)
        return ok(users=[_user(one, self, fields) for one in people.list_people()])


class UserInvite(ApiView):
    @documented(
        "invite_user",
        "Invite somebody",
        tag=TAG,
        params=[query("notify", "`false` sends no e-mail with a link to set a password.")],
        body={
            "type": "object",
            "properties": {
                "invitee": {
                    "type": "object",
                    "properties": {"email": _TEXT, "roles": _TEXTS, "teams": _TEXTS},
                    "required": ["email"],
                }
            },
            "required": ["invitee"],
        },
        answers={200: envelope(user=OBJECT, notified={"type": "boolean"})},
        errors=[403, 409, 422],
        description="Makes an account without a password.",
    )
    def post(self, request: Request) -> Response:
        permissions.require_admin(self.principal, "invite people")
        invitee = params.body_object(request).get("invitee")
        if not isinstance(invitee, dict):
            raise InvalidInput(
                "invitee is missing; expected an object with email",
                details={"field": "invitee", "expected": "an object with email"},
            )
        is_to_notify = params.text(request, "notify").lower() != "false"
        person, is_told = people.invite(
            invitee.get("email"),
            roles=params.body_names(invitee, "roles"),
            team_names=params.body_names(invitee, "teams"),
            actor=self.actor,
            request=request._request if is_to_notify else None,
        )
        return ok(user=_user(person, self), notified=is_told)


class UserDetail(ApiView):
    @documented(
        "get_user",
        "Get a person",
        tag=TAG,
        path=["user"],
        params=[FIELDS],
        answers={200: _ONE_USER},
        errors=[404],
    )
    def get(self, request: Request, user: str) -> Response:
        return ok(user=_user(people.get_person(user), self, wanted_fields(request)))

    @documented(
        "patch_user",
        "Change the roles or teams of a person",
        tag=TAG,
        path=["user"],
        body={"type": "object", "properties": {"roles": _TEXTS, "teams": _TEXTS}},
        body_is_optional=True,
        answers={200: _ONE_USER},
        errors=[403, 404, 409, 422],
        description="Each list replaces what is there. Of several roles the highest counts: each "
        "includes those below it.",
    )
    def patch(self, request: Request, user: str) -> Response:
        permissions.require_admin(self.principal, "change people")
        body = params.body_object(request, may_be_empty=True)
        changed = people.change_person(
            user,
            roles=params.body_names(body, "roles") if "roles" in body else None,
            team_names=params.body_names(body, "teams") if "teams" in body else None,
            actor=self.actor,
        )
        return ok(user=_user(changed, self))

    @documented(
        "delete_user",
        "Remove a person",
        tag=TAG,
        path=["user"],
        answers={200: envelope()},
        errors=[403, 404, 409],
        description="The account is switched off, since the history keeps its name; the person "
        "leaves the catalogue.",
    )
    def delete(self, request: Request, user: str) -> Response:
        permissions.require_admin(self.principal, "remove people")
        people.remove_person(user, actor=self.actor)
        return ok()


def _user(person: people.Person, view: ApiView, fields: Sequence[str] = ()) -> dict[str, Any]:
    account, row = person.account, person.entity
    seen = account.last_login if account else None
    may_see = permissions.can_administer(view.principal)
    return only(
        {
            "id": f"user_{account.pk}" if account else f"person_{row.pk if row else 0}",
            "email": person.email,
            "firstName": person.first_name,
            "lastName": person.last_name,
            "picture": person.picture or None,
            "status": person.status,
            "type": person.kind,
            "providers": [],
            "roles": [{"name": person.role}] if person.role else [],
            "teams": [team.title or team.identifier for team in person.teams],
            "orgs": [{"id": ORGANIZATION}],
            "orgMembers": [
                {
                    "orgId": ORGANIZATION,
                    "status": person.status,
                    "lastLoginAt": timestamp(seen) if seen and may_see else None,
                }
            ],
            "createdAt": timestamp(person.created_at) if person.created_at else None,
            "updatedAt": timestamp(person.updated_at) if person.updated_at else None,
        },
        fields,
    )
