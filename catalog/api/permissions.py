"""/v1/blueprints/{blueprint}/permissions: who may write its entities."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, get_blueprint, ok
from catalog.api.openapi import documented, envelope, list_of
from catalog.services import permissions
from catalog.services.blueprint_permissions import permissions_document, update_permissions

_TEXTS = list_of({"type": "string"})
GRANT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "users": _TEXTS,
        "roles": _TEXTS,
        "teams": _TEXTS,
        "ownedByTeam": {"type": "boolean"},
    },
}
_GRANTS = {"type": "object", "additionalProperties": GRANT}
_PERMISSIONS = {
    "type": "object",
    "properties": {
        "entities": {
            "type": "object",
            "properties": {
                "register": GRANT,
                "update": GRANT,
                "unregister": GRANT,
                "updateProperties": _GRANTS,
                "updateRelations": _GRANTS,
                "read": GRANT,
            },
        }
    },
}
_ANSWER = {200: envelope(permissions=_PERMISSIONS)}


class BlueprintPermissions(ApiView):
    @documented(
        "get_blueprint_permissions",
        "Get who may write the entities of a blueprint",
        tag="Blueprints",
        path=["blueprint"],
        answers=_ANSWER,
        errors=[404],
    )
    def get(self, request: Request, blueprint: str) -> Response:
        return ok(permissions=permissions_document(get_blueprint(blueprint)))

    @documented(
        "patch_blueprint_permissions",
        "Change who may write the entities of a blueprint",
        tag="Blueprints",
        path=["blueprint"],
        body=_PERMISSIONS,
        body_is_optional=True,
        answers=_ANSWER,
        errors=[403, 404, 422],
        description="Only the keys given change. Admins may always write. Everybody reads "
        "everything, so a `read` that leaves out members is refused.",
    )
    def patch(self, request: Request, blueprint: str) -> Response:
        permissions.require_admin(self.principal, "change permissions")
        changed = update_permissions(
            blueprint, params.body_object(request, may_be_empty=True), actor=self.actor
        )
        return ok(permissions=permissions_document(changed))
