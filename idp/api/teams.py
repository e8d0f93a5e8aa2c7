"""/v1/teams: teams of the catalogue and who is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models.functions import Lower
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import OBJECT, documented, envelope, list_of
from catalog.models import Entity
from catalog.selectors.documents import timestamp
from catalog.selectors.memberships import PersonRow, members_of, teams
from catalog.services import permissions
from catalog.services.teams import change_team, create_team, delete_team, get_team
from idp import people
from idp.api.fields import FIELDS, only, wanted_fields
from idp.models import User

TAG = "Users and teams"
_TEAM_BODY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 130},
        "description": {"type": ["string", "null"]},
        "users": {**list_of({"type": "string"}), "description": "E-mail addresses."},
    },
}
_ONE_TEAM = envelope(team=OBJECT)


class TeamList(ApiView):
    @documented(
        "list_teams",
        "List teams",
        tag=TAG,
        params=[FIELDS],
        answers={200: envelope(teams=list_of(OBJECT))},
    )
    def get(self, request: Request) -> Response:
        found = Entity.objects.visible_to(self.principal).filter(pk__in=teams().values("pk"))
        return ok(teams=_teams(list(found.order_by("identifier")), wanted_fields(request)))

    @documented(
        "create_team",
        "Create a team",
        tag=TAG,
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
        tag=TAG,
        path=["team"],
        params=[FIELDS],
        answers={200: _ONE_TEAM},
        errors=[404],
    )
    def get(self, request: Request, team: str) -> Response:
        return ok(team=_teams([get_team(team)], wanted_fields(request))[0])

    @documented(
        "replace_team",
        "Replace a team",
        tag=TAG,
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
        tag=TAG,
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
        tag=TAG,
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


def _teams(rows: Sequence[Entity], fields: Sequence[str] = ()) -> list[dict[str, Any]]:
    members = members_of([row.pk for row in rows])
    emails = {person.email.lower() for team in members.values() for person in team}
    accounts = User.objects.alias(lower=Lower("email")).filter(lower__in=emails - {""})
    by_email = {user.email.lower(): user for user in accounts}
    return [
        only(
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
