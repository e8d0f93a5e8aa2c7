"""/v1/webhooks: addresses that take the events of any program, and what is made of them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok, signed
from catalog.api.openapi import OBJECT, Schema, documented, envelope, list_of
from catalog.ingest import webhooks
from catalog.ingest.webhooks_definitions import (
    MAX_DESCRIPTION,
    MAX_IDENTIFIER,
    MAX_TITLE,
    all_webhooks,
    create_webhook,
    get_webhook,
    patch_webhook,
    replace_webhook,
    webhook_document,
)
from catalog.kernel.errors import InvalidInput, shorten
from catalog.models import InboundEvent, Integration
from catalog.selectors.documents import timestamp
from catalog.services import permissions
from catalog.services.integrations import WEBHOOK_SETTINGS, delete_integration

TAG = "Webhooks"
EVENTS = 100  # listed

_PATH = OpenApiParameter(
    "webhook", str, OpenApiParameter.PATH, description="Identifier of the webhook."
)
_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_MAPPING: Schema = {
    "type": "object",
    "properties": {
        "blueprint": _TEXT,
        "operation": {
            "anyOf": [{"type": "string", "enum": ["create", "delete"]}, OBJECT],
            "description": "`create` (also changes), `delete`, or "
            '`{"type": "delete", "deleteDependents": false}`.',
        },
        "filter": {**_TEXT, "description": "JQ that gives true for the events that matter."},
        "itemsToParse": {
            **_TEXT,
            "description": "JQ of an array; each of up to 500 elements is then `.item`.",
        },
        "entity": {
            **OBJECT,
            "description": "`identifier`, `title`, `icon`, `team`, `properties`, `relations`; "
            "each leaf is JQ over `.body`, `.headers` and `.queryParams`.",
        },
    },
    "required": ["blueprint", "entity"],
}
_BODY: Schema = {
    "type": "object",
    "properties": {
        "identifier": {**_TEXT, "minLength": 1, "maxLength": MAX_IDENTIFIER},
        "title": {**_TEXT, "minLength": 1, "maxLength": MAX_TITLE},
        "description": {**_TEXT_OR_NULL, "maxLength": MAX_DESCRIPTION},
        "icon": _TEXT_OR_NULL,
        "enabled": {"type": "boolean"},
        "integrationType": _TEXT,
        "mappings": list_of(_MAPPING),
        "security": {
            "type": ["object", "null"],
            "properties": {
                name: {"type": one["type"], **({"enum": one["enum"]} if "enum" in one else {})}
                for name, one in WEBHOOK_SETTINGS["properties"].items()
            },
            "description": "Write the name of a secret, `${NAME}`, or the secret itself, which "
            "is then shown as `••••`.",
        },
    },
    "example": {
        "identifier": "builds",
        "title": "Builds",
        "enabled": True,
        "mappings": [
            {
                "blueprint": "build",
                "operation": "create",
                "filter": '.headers."x-event" == "build"',
                "entity": {
                    "identifier": ".body.id | tostring",
                    "properties": {"status": ".body.status"},
                    "relations": {"service": ".body.service"},
                },
            }
        ],
        "security": {
            "secret": "${BUILDS}",
            "signatureHeaderName": "X-Signature",
            "signatureAlgorithm": "sha256",
        },
    },
}
_WEBHOOK: Schema = {
    "type": "object",
    "properties": {
        **_BODY["properties"],
        "webhookKey": {**_TEXT, "description": "Only for admins: it is a secret."},
        "url": {**_TEXT, "description": "Where events go. Only for admins."},
        "createdAt": {**_TEXT, "format": "date-time"},
        "createdBy": _TEXT,
        "updatedAt": {**_TEXT, "format": "date-time"},
        "updatedBy": _TEXT,
    },
    "required": ["identifier", "title", "enabled", "mappings"],
}
_ONE = {200: envelope(integration=_WEBHOOK)}
_RESULTS = list_of(
    {
        "type": "object",
        "properties": {
            "blueprint": _TEXT,
            "identifier": _TEXT,
            "status": {
                "type": "string",
                "enum": [
                    *("created", "updated", "unchanged", "rejected"),
                    *("deleted", "released", "kept", "missing"),
                ],
            },
            "field": _TEXT,
            "message": _TEXT,
        },
        "required": ["blueprint", "identifier", "status"],
    }
)


class WebhookList(ApiView):
    @documented(
        "list_webhooks",
        "List all webhooks",
        tag=TAG,
        answers={200: envelope(integrations=list_of(_WEBHOOK))},
        errors=[403],
    )
    def get(self, request: Request) -> Response:
        permissions.require_source_read(self.principal, "read webhooks")
        return ok(integrations=[_document(one, self) for one in all_webhooks()])

    @documented(
        "create_webhook",
        "Add a webhook",
        tag=TAG,
        body={**_BODY, "required": ["title", "enabled"]},
        answers={201: envelope(integration=_WEBHOOK)},
        errors=[403, 409, 422],
        description="An identifier is made up where none is given.",
    )
    def post(self, request: Request) -> Response:
        permissions.require_admin(self.principal, "add webhooks")
        made = create_webhook(params.body_object(request), actor=self.actor)
        return ok(201, integration=_document(made, self))


class WebhookDetail(ApiView):
    @documented(
        "get_webhook", "Get a webhook", tag=TAG, params=[_PATH], answers=_ONE, errors=[403, 404]
    )
    def get(self, request: Request, webhook: str) -> Response:
        permissions.require_source_read(self.principal, "read webhooks")
        return ok(integration=_document(get_webhook(webhook), self))

    @documented(
        "replace_webhook",
        "Replace a webhook",
        tag=TAG,
        params=[_PATH],
        body={**_BODY, "required": ["title", "enabled"]},
        answers=_ONE,
        errors=[403, 404, 409, 422],
        description="Its address stays. A secret that comes as `••••` stays, too.",
    )
    def put(self, request: Request, webhook: str) -> Response:
        return self._change(request, webhook, replace_webhook)

    @documented(
        "change_webhook",
        "Change a webhook",
        tag=TAG,
        params=[_PATH],
        body=_BODY,
        answers=_ONE,
        errors=[403, 404, 409, 422],
    )
    def patch(self, request: Request, webhook: str) -> Response:
        return self._change(request, webhook, patch_webhook)

    @documented(
        "delete_webhook",
        "Delete a webhook; the entities it wrote stay",
        tag=TAG,
        params=[_PATH],
        answers={200: envelope()},
        errors=[403, 404],
    )
    def delete(self, request: Request, webhook: str) -> Response:
        permissions.require_admin(self.principal, "delete webhooks")
        delete_integration(get_webhook(webhook), actor=self.actor)
        return ok()

    def _change(self, request: Request, webhook: str, change: Any) -> Response:
        permissions.require_admin(self.principal, "change webhooks")
        found = get_webhook(webhook)
        changed = change(found, params.body_object(request), actor=self.actor)
        return ok(integration=_document(changed, self))


class WebhookTest(ApiView):
    @documented(
        "test_webhook",
        "Try a webhook's mappings on a sample; nothing is written",
        tag=TAG,
        params=[_PATH],
        body={
            "type": "object",
            "properties": {
                "body": {"description": "What the program would send."},
                "headers": OBJECT,
                "queryParams": OBJECT,
                "mappings": {**list_of(_MAPPING), "description": "Instead of its own."},
            },
            "required": ["body"],
        },
        answers={
            200: envelope(
                mappings=list_of(
                    {
                        "type": "object",
                        "properties": {
                            "blueprint": _TEXT_OR_NULL,
                            "operation": {"type": "string", "enum": ["upsert", "delete"]},
                            "selected": {"type": "boolean"},
                            "elements": {"type": ["integer", "null"]},
                            "fields": list_of(OBJECT),
                            "entities": list_of(OBJECT),
                            "problems": list_of(OBJECT),
                            "results": _RESULTS,
                        },
                    }
                )
            )
        },
        errors=[403, 404, 422],
        description="For each mapping: what every expression gave, the entities, and what would "
        "become of them.",
    )
    def post(self, request: Request, webhook: str) -> Response:
        permissions.require_admin(self.principal, "try webhooks")
        found = get_webhook(webhook)
        given = params.body_object(request)
        sample = webhooks.sample_event(
            given.get("body"), _texts(given, "headers"), _texts(given, "queryParams")
        )
        document = found.mapping
        if given.get("mappings") is not None:
            document = {"mappings": given["mappings"]}
        return ok(mappings=webhooks.try_out(found, document, sample))


class WebhookEvents(ApiView):
    @documented(
        "list_webhook_events",
        "List the newest events of a webhook, and what was made of them",
        tag=TAG,
        params=[_PATH],
        answers={
            200: envelope(
                events=list_of(
                    {
                        "type": "object",
                        "properties": {
                            "id": {**_TEXT, "description": "Also the run of what it changed."},
                            "status": {"type": "string", "enum": list(InboundEvent.State.values)},
                            "receivedAt": {**_TEXT, "format": "date-time"},
                            "processedAt": {**_TEXT_OR_NULL, "format": "date-time"},
                            "attempts": {"type": "integer"},
                            "error": _TEXT_OR_NULL,
                            "results": _RESULTS,
                        },
                    }
                )
            )
        },
        errors=[403, 404],
    )
    def get(self, request: Request, webhook: str) -> Response:
        permissions.require_source_read(self.principal, "read events")
        found = InboundEvent.objects.filter(integration=get_webhook(webhook)).defer("body")
        return ok(
            events=[
                {
                    "id": one.delivery,
                    "status": one.state,
                    "receivedAt": timestamp(one.received_at),
                    "processedAt": timestamp(one.processed_at) if one.processed_at else None,
                    "attempts": one.attempts,
                    "error": one.error or None,
                    "results": one.results,
                }
                for one in found.order_by("-pk")[:EVENTS]
            ]
        )


def _texts(given: dict[str, Any], name: str) -> dict[str, str]:
    value = given.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise InvalidInput(
            f"{name} is {shorten(value)}; expected an object of texts",
            details={"field": name, "value": shorten(value), "expected": "an object of texts"},
        )
    return value


def _document(webhook: Integration, view: ApiView) -> dict[str, Any]:
    document = {
        **webhook_document(webhook),
        **signed(webhook),
    }
    if permissions.can_administer(view.principal):
        address = f"/v1/webhooks/ingest/{webhook.webhook_key}"
        document["webhookKey"] = webhook.webhook_key
        document["url"] = view.request.build_absolute_uri(address)
    return document
