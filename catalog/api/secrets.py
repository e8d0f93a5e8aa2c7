"""/v1/organization/secrets: secrets by name. Their values go in and never come out."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok, signed
from catalog.api.openapi import Schema, documented, envelope, list_of
from catalog.models import Secret
from catalog.services import permissions, secrets
from catalog.services.entities.drafts import UNSET

TAG = "Secrets"
_NAME = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,100}$"}
_VALUE = {"type": "string", "minLength": 1, "maxLength": secrets.MAX_VALUE}
_DESCRIPTION = {"type": ["string", "null"], "maxLength": 200}
_TEXT = {"type": "string"}
_SECRET: Schema = {
    "type": "object",
    "properties": {
        "secretName": _TEXT,
        "description": _TEXT,
        "createdAt": {"type": "string", "format": "date-time"},
        "createdBy": _TEXT,
        "updatedAt": {"type": "string", "format": "date-time"},
        "updatedBy": _TEXT,
    },
    "required": ["secretName", "description"],
}
_ONE = {200: envelope(secret=_SECRET)}


class SecretList(ApiView):
    @documented(
        "list_secrets",
        "List the organisation's secrets",
        tag=TAG,
        answers={200: envelope(secrets=list_of(_SECRET))},
        errors=[403],
        description="Their names and descriptions; values are never shown.",
    )
    def get(self, request: Request) -> Response:
        permissions.require_admin(self.principal, "see secrets")
        return ok(secrets=[_document(secret) for secret in Secret.objects.all()])

    @documented(
        "create_secret",
        "Create a secret",
        tag=TAG,
        body={
            "type": "object",
            "properties": {
                "secretName": _NAME,
                "secretValue": _VALUE,
                "description": _DESCRIPTION,
            },
            "required": ["secretName", "secretValue"],
        },
        answers={201: envelope(secret=_SECRET)},
        errors=[403, 409, 422],
    )
    def post(self, request: Request) -> Response:
        permissions.require_admin(self.principal, "create secrets")
        body = params.body_object(request)
        made = secrets.create_secret(
            name=params.body_text(body, "secretName"),
            value=body.get("secretValue", ""),
            description=_description(body.get("description")),
            actor=self.actor,
        )
        return ok(201, secret=_document(made))


class SecretDetail(ApiView):
    @documented(
        "get_secret",
        "Get a secret",
        tag=TAG,
        path=["secret"],
        answers=_ONE,
        errors=[403, 404],
        description="Its name and description; the value is never shown.",
    )
    def get(self, request: Request, secret: str) -> Response:
        permissions.require_admin(self.principal, "see secrets")
        return ok(secret=_document(secrets.get_secret(secret)))

    @documented(
        "update_secret",
        "Change a secret",
        tag=TAG,
        path=["secret"],
        body={
            "type": "object",
            "properties": {"secretValue": _VALUE, "description": _DESCRIPTION},
        },
        body_is_optional=True,
        answers=_ONE,
        errors=[403, 404, 422],
        description="What the body leaves out stays as it is.",
    )
    def patch(self, request: Request, secret: str) -> Response:
        permissions.require_admin(self.principal, "change secrets")
        body = params.body_object(request, may_be_empty=True)
        changed = secrets.update_secret(
            secret,
            value=body.get("secretValue", UNSET),
            description=_description(body["description"]) if "description" in body else UNSET,
            actor=self.actor,
        )
        return ok(secret=_document(changed))

    @documented(
        "delete_secret",
        "Delete a secret",
        tag=TAG,
        path=["secret"],
        answers={200: envelope()},
        errors=[403, 404],
        description="Integrations that name it fail at their next run, and say why.",
    )
    def delete(self, request: Request, secret: str) -> Response:
        permissions.require_admin(self.principal, "delete secrets")
        secrets.delete_secret(secret, actor=self.actor)
        return ok()


def _description(value: Any) -> Any:
    """null is how some clients say that there is none; anything else the service judges."""
    return "" if value is None else value


def _document(secret: Secret) -> dict[str, Any]:
    return {
        "secretName": secret.name,
        "description": secret.description,
        **signed(secret),
    }
