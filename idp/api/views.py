"""What the roof itself answers under /v1: tokens for programs, and the organisation."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import documented, envelope, ref
from catalog.kernel.identifiers import ORGANIZATION
from catalog.selectors.documents import timestamp
from catalog.services import permissions
from idp.auth import issue_token
from idp.models import Organization
from idp.organization import get_organization, settings_of, update_organization

TAG = "Organisation"


class AccessToken(ApiView):
    """Open to all, and to senders of tokens that have expired."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(
        "create_access_token",
        "Exchange a client's id and secret for a token",
        tag="Authentication",
        body={
            "type": "object",
            "properties": {"clientId": {"type": "string"}, "clientSecret": {"type": "string"}},
            "required": ["clientId", "clientSecret"],
        },
        answers={
            200: envelope(
                accessToken={"type": "string"},
                expiresIn={"type": "integer", "description": "Seconds."},
                tokenType={"type": "string"},
            )
        },
        is_open=True,
    )
    def post(self, request: Request) -> Response:
        body = params.body_object(request)
        token = issue_token(client_id=body.get("clientId"), client_secret=body.get("clientSecret"))
        return ok(
            accessToken=token.access_token,
            expiresIn=token.expires_in,
            tokenType=token.token_type,
        )


class OrganizationDetail(ApiView):
    @documented(
        "get_organization",
        "Get the organisation",
        tag=TAG,
        answers={200: envelope(organization=ref("Organization"))},
    )
    def get(self, request: Request) -> Response:
        return ok(organization=_document(get_organization()))

    @documented(
        "replace_organization",
        "Replace the settings of the organisation",
        tag=TAG,
        body=ref("OrganizationBody"),
        answers={200: envelope(organization=ref("Organization"))},
        errors=[403, 422],
    )
    def put(self, request: Request) -> Response:
        return self._change(params.body_object(request), replace=True)

    @documented(
        "patch_organization",
        "Change settings of the organisation",
        tag=TAG,
        body=ref("OrganizationBody"),
        body_is_optional=True,
        answers={200: envelope(organization=ref("Organization"))},
        errors=[403, 422],
    )
    def patch(self, request: Request) -> Response:
        return self._change(params.body_object(request, may_be_empty=True), replace=False)

    def _change(self, body: dict[str, Any], *, replace: bool) -> Response:
        permissions.require_admin(self.principal, "change the organisation")
        changed = update_organization(body, actor=self.actor, replace=replace)
        return ok(organization=_document(changed))


def _document(organization: Organization) -> dict[str, Any]:
    return {
        "id": ORGANIZATION,
        "name": organization.name,
        "isBlocked": False,
        "featureFlags": [],  # each would make exporters expect a service that is not here
        "settings": settings_of(organization),
        "announcement": organization.announcement,
        "createdAt": timestamp(organization.created_at),
        "updatedAt": timestamp(organization.updated_at),
    }
