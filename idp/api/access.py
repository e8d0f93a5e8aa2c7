"""/v1/roles, /v1/apps, and what the caller may do: who has which access."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from actions.services.access import Access
from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import OBJECT, documented, envelope, list_of
from catalog.kernel.actors import Role
from catalog.kernel.errors import InvalidInput, NotFound
from catalog.selectors.documents import timestamp
from catalog.services import permissions
from idp import auth, people
from idp.api.fields import FIELDS, only, wanted_fields
from idp.models import ApiClient

TAG = "Access"
_TEXT = {"type": "string"}
_TEXTS = list_of(_TEXT)
_CREDENTIALS = envelope(clientId=_TEXT, clientSecret=_TEXT)
_ROLES = {
    Role.ADMIN: "Builds and manages everything.",
    Role.MEMBER: "Changes the catalogue and runs actions.",
    Role.VIEWER: "Reads the catalogue.",
}


class RoleList(ApiView):
    @documented(
        "list_roles",
        "List roles",
        tag=TAG,
        answers={200: envelope(roles=list_of(OBJECT))},
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
        tag=TAG,
        answers={200: envelope(permissions=_TEXTS)},
        description="`execute:actions:ID`, or `execute:team_entities:actions:ID` where only on "
        "what the caller's teams own.",
    )
    def get(self, request: Request) -> Response:
        return ok(permissions=Access(self.principal).permissions())


class RotateCredentials(ApiView):
    @documented(
        "rotate_credentials",
        "Give a service account new credentials",
        tag=TAG,
        path=["user"],
        answers={200: _CREDENTIALS},
        errors=[403, 404, 422],
        description="The old ones end at once. The secret is told this once.",
    )
    def post(self, request: Request, user: str) -> Response:
        permissions.require_admin(self.principal, "rotate credentials")
        return ok(**people.rotate_credentials(user, actor=self.actor))


class AppList(ApiView):
    @documented(
        "list_apps",
        "List API clients",
        tag=TAG,
        params=[FIELDS],
        answers={200: envelope(apps=list_of(OBJECT))},
        errors=[403],
        description="Their secrets are not kept, so nobody is told these.",
    )
    def get(self, request: Request) -> Response:
        permissions.require_admin(self.principal, "see API clients")
        fields = wanted_fields(request)
        return ok(apps=[only(_app(one), fields) for one in ApiClient.objects.order_by("pk")])


class AppDetail(ApiView):
    @documented(
        "replace_app",
        "Rename an API client, or switch it on or off",
        tag=TAG,
        path=["app"],
        body={
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 100},
                "enabled": {"type": "boolean"},
            },
        },
        answers={200: envelope(app=OBJECT)},
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
        tag=TAG,
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
        tag=TAG,
        path=["app"],
        answers={200: envelope(app=OBJECT)},
        errors=[403, 404],
        description="The old one, and its tokens, end at once. The new one is told this once.",
    )
    def post(self, request: Request, app: str) -> Response:
        permissions.require_admin(self.principal, "change API clients")
        client = _client(app)
        secret = auth.rotate_secret(client, actor=self.actor)
        return ok(app={**_app(client), "secret": secret})


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
