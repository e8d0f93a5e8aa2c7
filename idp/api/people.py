"""/v1/users, /v1/teams, /v1/roles, /v1/apps: who there is, and what may act here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models.functions import Lower
from rest_framework.request import Request
from rest_framework.response import Response

from actions.services.definitions import executable_by
from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import documented, envelope, list_of, query
from catalog.kernel.actors import Role
from catalog.kernel.errors import InvalidInput, NotFound
from catalog.models import Entity
from catalog.selectors.documents import timestamp
from catalog.selectors.memberships import PersonRow, members_of, teams
from catalog.services import permissions
from catalog.services.permissions import Standing
from catalog.services.teams import change_team, create_team, delete_team, get_team
from idp import auth, people
from idp.models import ApiClient, User
from idp.organization import PUBLIC_ID

USERS = "Users and teams"
ACCESS = "Access"
_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}
_TEXT = {"type": "string"}
_TEXTS = list_of(_TEXT)
_FIELDS = query("fields", "Only these: `name`, `users.email`, …", many=True)
_TEAM_BODY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 130},
        "description": {"type": ["string", "null"]},
        "users": {**_TEXTS, "description": "E-mail addresses."},
    },
}
_ONE_TEAM = envelope(team=_OBJECT)
_ONE_USER = envelope(user=_OBJECT)
_CREDENTIALS = envelope(clientId=_TEXT, clientSecret=_TEXT)
_ROLES = {
    Role.ADMIN: "Builds and manages everything.",
    Role.MEMBER: "Changes the catalogue and runs actions.",
    Role.VIEWER: "Reads the catalogue.",
}


class TeamList(ApiView):
    @documented(
        "list_teams",
        "List teams",
        tag=USERS,
        params=[_FIELDS],
        answers={200: envelope(teams=list_of(_OBJECT))},
    )
    def get(self, request: Request) -> Response:
        found = Entity.objects.visible_to(self.principal).filter(pk__in=teams().values("pk"))
        return ok(teams=_teams(list(found.order_by("identifier")), _fields(request)))

    @documented(
        "create_team",
        "Create a team",
        tag=USERS,
        body=_TEAM_BODY,
        answers={201: _ONE_TEAM},
        errors=[403, 409, 422],
    )
    def post(self, request: Request) -> Response:
        permissions.require_admin(self.principal, "create teams")
        body = params.body_object(request)
        made = create_team(
            name=body.get("name"),
            description=_description(body),
            people=_users(body, self) or [],
            actor=self.actor,
        )
        return ok(201, team=_teams([made])[0])


class TeamDetail(ApiView):
    @documented(
        "get_team",
        "Get a team",
        tag=USERS,
        path=["team"],
        params=[_FIELDS],
        answers={200: _ONE_TEAM},
        errors=[404],
    )
    def get(self, request: Request, team: str) -> Response:
        return ok(team=_teams([get_team(team)], _fields(request))[0])

    @documented(
        "replace_team",
        "Replace a team",
        tag=USERS,
        path=["team"],
        body=_TEAM_BODY,
        answers={200: _ONE_TEAM},
        errors=[403, 404, 409, 422],
        description="`users` replaces the list; without it, people stay.",
    )
    def put(self, request: Request, team: str) -> Response:
        body = params.body_object(request)
        return self._change(team, {"description": None, **body})

    @documented(
        "patch_team",
        "Change parts of a team",
        tag=USERS,
        path=["team"],
        body=_TEAM_BODY,
        body_is_optional=True,
        answers={200: _ONE_TEAM},
        errors=[403, 404, 409, 422],
    )
    def patch(self, request: Request, team: str) -> Response:
        return self._change(team, params.body_object(request, may_be_empty=True))

    @documented(
        "delete_team",
        "Delete a team",
        tag=USERS,
        path=["team"],
        answers={200: envelope()},
        errors=[403, 404, 409],
    )
    def delete(self, request: Request, team: str) -> Response:
        permissions.require_admin(self.principal, "delete teams")
        delete_team(team, actor=self.actor)
        return ok()

    def _change(self, team: str, body: Mapping[str, Any]) -> Response:
        permissions.require_admin(self.principal, "change teams")
        changes = dict(body)
        if "description" in changes:
            changes["description"] = _description(changes)
        changed = change_team(team, changes, people=_users(changes, self), actor=self.actor)
        return ok(team=_teams([changed])[0])


class UserList(ApiView):
    @documented(
        "list_users",
        "List people: accounts, and persons of the catalogue",
        tag=USERS,
        params=[_FIELDS],
        answers={200: envelope(users=list_of(_OBJECT))},
    )
    def get(self, request: Request) -> Response:
        fields = _fields(request)
        return ok(users=[_user(one, self, fields) for one in people.list_people()])


class UserInvite(ApiView):
    @documented(
        "invite_user",
        "Invite somebody",
        tag=USERS,
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
        answers={200: envelope(user=_OBJECT, notified={"type": "boolean"})},
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
        tag=USERS,
        path=["user"],
        params=[_FIELDS],
        answers={200: _ONE_USER},
        errors=[404],
    )
    def get(self, request: Request, user: str) -> Response:
        return ok(user=_user(people.get_person(user), self, _fields(request)))

    @documented(
        "patch_user",
        "Change the roles or teams of a person",
        tag=USERS,
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
        tag=USERS,
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


class RotateCredentials(ApiView):
    @documented(
        "rotate_credentials",
        "Give a service account new credentials",
        tag=ACCESS,
        path=["user"],
        answers={200: _CREDENTIALS},
        errors=[403, 404, 422],
        description="The old ones end at once. The secret is told this once.",
    )
    def post(self, request: Request, user: str) -> Response:
        permissions.require_admin(self.principal, "rotate credentials")
        return ok(**people.rotate_credentials(user, actor=self.actor))


class RoleList(ApiView):
    @documented(
        "list_roles",
        "List roles",
        tag=ACCESS,
        answers={200: envelope(roles=list_of(_OBJECT))},
    )
    def get(self, request: Request) -> Response:
        return ok(
            roles=[
                {"id": role.value, "name": role.value, "description": told, "protected": True}
                for role, told in _ROLES.items()
            ]
        )


class OwnPermissions(ApiView):
    @documented(
        "get_own_permissions",
        "List which actions the caller may run",
        tag=ACCESS,
        answers={200: envelope(permissions=_TEXTS)},
        description="`execute:actions:ID`, or `execute:team_entities:actions:ID` where only on "
        "what the caller's teams own.",
    )
    def get(self, request: Request) -> Response:
        return ok(permissions=executable_by(Standing(self.principal)))


class AppList(ApiView):
    @documented(
        "list_apps",
        "List API clients",
        tag=ACCESS,
        params=[_FIELDS],
        answers={200: envelope(apps=list_of(_OBJECT))},
        errors=[403],
        description="Their secrets are not kept, so nobody is told these.",
    )
    def get(self, request: Request) -> Response:
        permissions.require_admin(self.principal, "see API clients")
        fields = _fields(request)
        return ok(apps=[_only(_app(one), fields) for one in ApiClient.objects.order_by("pk")])


class AppDetail(ApiView):
    @documented(
        "replace_app",
        "Rename an API client, or switch it on or off",
        tag=ACCESS,
        path=["app"],
        body={
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 100},
                "enabled": {"type": "boolean"},
            },
        },
        answers={200: envelope(app=_OBJECT)},
        errors=[403, 404, 422],
    )
    def put(self, request: Request, app: str) -> Response:
        permissions.require_admin(self.principal, "change API clients")
        body = params.body_object(request)
        client = _client(app)
        changes: dict[str, Any] = {}
        if "name" in body:
            changes["name"] = _checked_name(body)
        if "enabled" in body:
            if not isinstance(body["enabled"], bool):
                raise InvalidInput(
                    "enabled is no truth value; expected true or false",
                    details={"field": "enabled", "expected": "true or false"},
                )
            changes["is_active"] = body["enabled"]
        return ok(app=_app(auth.update_client(client, actor=self.actor, **changes)))

    @documented(
        "delete_app",
        "Switch an API client off",
        tag=ACCESS,
        path=["app"],
        answers={200: envelope()},
        errors=[403, 404],
        description="Its tokens end at once. The history keeps its name, so it stays in the list.",
    )
    def delete(self, request: Request, app: str) -> Response:
        permissions.require_admin(self.principal, "switch API clients off")
        auth.update_client(_client(app), actor=self.actor, is_active=False)
        return ok()


class AppSecret(ApiView):
    @documented(
        "rotate_app_secret",
        "Give an API client a new secret",
        tag=ACCESS,
        path=["app"],
        answers={200: envelope(app=_OBJECT)},
        errors=[403, 404],
        description="The old one, and its tokens, end at once. The new one is told this once.",
    )
    def post(self, request: Request, app: str) -> Response:
        permissions.require_admin(self.principal, "change API clients")
        client = _client(app)
        secret = auth.rotate_secret(client, actor=self.actor)
        return ok(app={**_app(client), "secret": secret})


def _fields(request: Request) -> Sequence[str]:
    return params.listed(request, "fields") + params.listed(request, "fields[]")


def _only(document: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The wanted keys; "users.email" is the e-mail address alone of each user."""
    if not fields:
        return document
    shown: dict[str, Any] = {}
    for key, value in document.items():
        inner = [one.partition(".")[2] for one in fields if one.startswith(f"{key}.")]
        if key in fields:
            shown[key] = value
        elif inner and isinstance(value, list):
            shown[key] = [{name: one.get(name) for name in inner if name in one} for one in value]
    return shown


def _teams(rows: Sequence[Entity], fields: Sequence[str] = ()) -> list[dict[str, Any]]:
    members = members_of([row.pk for row in rows])
    emails = {person.email.lower() for team in members.values() for person in team}
    accounts = User.objects.alias(lower=Lower("email")).filter(lower__in=emails - {""})
    by_email = {user.email.lower(): user for user in accounts}
    return [
        _only(
            {
                "id": f"team_{row.pk}",
                "identifier": row.identifier,
                "name": row.title or row.identifier,
                "description": row.properties.get("description"),
                "provider": "idp",
                "users": [_member(one, by_email) for one in members[row.pk]],
                "createdAt": timestamp(row.created_at),
                "updatedAt": timestamp(row.updated_at),
            },
            fields,
        )
        for row in rows
    ]


def _member(row: PersonRow, by_email: Mapping[str, User]) -> dict[str, Any]:
    person = people.as_person(by_email.get(row.email.lower()), row)
    return {
        "email": person.email,
        "firstName": person.first_name,
        "lastName": person.last_name,
        "picture": person.picture or None,
        "status": person.status,
    }


def _user(person: people.Person, view: ApiView, fields: Sequence[str] = ()) -> dict[str, Any]:
    account, row = person.account, person.entity
    seen = account.last_login if account else None
    may_see = permissions.can_administer(view.principal)
    return _only(
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
            "orgs": [{"id": PUBLIC_ID}],
            "orgMembers": [
                {
                    "orgId": PUBLIC_ID,
                    "status": person.status,
                    "lastLoginAt": timestamp(seen) if seen and may_see else None,
                }
            ],
            "createdAt": timestamp(person.created_at) if person.created_at else None,
            "updatedAt": timestamp(person.updated_at) if person.updated_at else None,
        },
        fields,
    )


def _users(body: Mapping[str, Any], view: ApiView) -> list[str] | None:
    """Identifiers of the people that the body lists; None where it says nothing of them."""
    if "users" not in body:
        return None
    emails = params.body_names(dict(body), "users")
    return people.ensure_entities(emails, actor=view.actor)


def _description(body: Mapping[str, Any]) -> str | None:
    if body.get("description") is None:
        return None
    return params.body_text(dict(body), "description")


def _checked_name(body: Mapping[str, Any]) -> str:
    name = params.body_text(dict(body), "name")
    if not 1 <= len(name) <= 100:
        raise InvalidInput(
            f"name has {len(name)} characters; expected 1 to 100",
            details={"field": "name", "value": name[:100], "expected": "1 to 100 characters"},
        )
    return name


def _client(app: str) -> ApiClient:
    found = ApiClient.objects.filter(client_id=app).first()
    if found is None:
        raise NotFound.of("App", app, field="id")
    return found


def _app(client: ApiClient) -> dict[str, Any]:
    return {
        "id": client.client_id,
        "name": client.name,
        "role": client.role,
        "enabled": client.is_active,
        "createdAt": timestamp(client.created_at),
        "updatedAt": timestamp(client.created_at),
        "lastUsedAt": timestamp(client.last_used_at) if client.last_used_at else None,
    }
