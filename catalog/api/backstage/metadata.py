"""What the catalogue lets programs ask of permissions, as Backstage's framework lists it."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from rest_framework.request import Request

from catalog.api.backstage.base import BackstageView, call, short_answer
from catalog.api.openapi import OBJECT, list_of

_ENTITY = "catalog-entity"
_PERMISSIONS = (
    ("catalog.entity.read", "read", _ENTITY),
    ("catalog.entity.create", "create", ""),
    ("catalog.entity.delete", "delete", _ENTITY),
    ("catalog.entity.refresh", "update", _ENTITY),
    ("catalog.entity.validate", "", ""),
    ("catalog.location.read", "read", ""),
    ("catalog.location.create", "create", ""),
    ("catalog.location.delete", "delete", ""),
    ("catalog.location.analyze", "", ""),
    ("catalog.entities.unprocessed.read", "read", ""),
    ("catalog.entities.unprocessed.delete", "delete", ""),
)


class PermissionsMetadata(BackstageView):
    @call(
        "get_backstage_permissions_metadata",
        "List the permissions of the catalogue",
        answers={
            200: {
                "type": "object",
                "properties": {"permissions": list_of(OBJECT), "rules": list_of(OBJECT)},
                "required": ["permissions", "rules"],
            }
        },
        description="Who has them is decided by roles and by the permissions of blueprints, so "
        "there are no conditional rules to hand out.",
    )
    def get(self, request: Request) -> HttpResponseBase:
        return short_answer(
            request, {"permissions": [_permission(*one) for one in _PERMISSIONS], "rules": []}
        )


def _permission(name: str, action: str, resource: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "resource" if resource else "basic",
        "name": name,
        "attributes": {"action": action} if action else {},
    }
    return {**made, "resourceType": resource} if resource else made
