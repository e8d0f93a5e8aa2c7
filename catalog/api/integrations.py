"""/v1/integration: sources, ours and those of exporters, which register and configure themselves.

An exporter is named by the `installationId` it chose. `integrations_reports` takes what exporters
say of their runs, and shows what is known of any source's.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.integrations_documents import (
    integration_document,
    integration_documents,
    light_document,
)
from catalog.api.openapi import OBJECT, Schema, documented, envelope, list_of, query
from catalog.ingest import integrations as own
from catalog.ingest.runs import request_sync
from catalog.kernel.errors import Conflict, InvalidInput, NotFound
from catalog.models import Integration, SyncRun
from catalog.selectors.integrations import get_source, sources
from catalog.services import exporters, permissions
from catalog.services.integrations import Stated
from catalog.tasks import start_sync

TAG = "Integrations"
PATH = OpenApiParameter(
    "integration", str, OpenApiParameter.PATH, description="Its `installationId`."
)

_TEXT: Schema = {"type": "string"}
BODY: Schema = {
    "type": "object",
    "properties": {
        "installationId": {**_TEXT, "minLength": 1, "maxLength": 100},
        "installationAppType": _TEXT,
        "version": _TEXT,
        "title": {"type": ["string", "null"]},
        "config": {**OBJECT, "description": "The mapping."},
        "changelogDestination": OBJECT,
        "actionsProcessingEnabled": {"type": "boolean"},
        "incrementalSyncEnabled": {"type": "boolean"},
        "createPortResourcesOrigin": {"type": ["string", "null"]},
        "arePortResourcesInitialized": {"type": "boolean"},
        "processingMode": {"type": ["string", "null"]},
    },
}
_INGEST: Schema = {"type": "object", "properties": {"ingestUrl": _TEXT}}
INTEGRATION: Schema = {
    "type": "object",
    "properties": {
        "_id": _TEXT,
        "identifier": _TEXT,
        **BODY["properties"],
        "installationType": {**_TEXT, "description": "`SaaS` for what this server syncs itself."},
        "integrationType": _TEXT,
        "resyncState": {"type": ["object", "null"], "additionalProperties": True},
        "logAttributes": _INGEST,
        "metricAttributes": _INGEST,
        "ingestAttributes": _INGEST,
        "createdAt": {**_TEXT, "format": "date-time"},
        "createdBy": _TEXT,
        "updatedAt": {**_TEXT, "format": "date-time"},
        "updatedBy": _TEXT,
    },
    "required": ["identifier", "installationId", "installationAppType", "installationType"],
}
_ONE = {200: envelope(integration=INTEGRATION)}
_LIST = {200: envelope(integrations=list_of(INTEGRATION))}


class IntegrationList(ApiView):
    @documented(
        "list_integrations",
        "List all integrations",
        tag=TAG,
        params=[query("actionsProcessingEnabled", "Only those that do, or do not.")],
        answers=_LIST,
        errors=[403],
        description="What this server syncs itself, and exporters that registered.",
    )
    def get(self, request: Request) -> Response:
        permissions.require_source_read(self.principal, "read integrations")
        found = list(sources().order_by("identifier"))
        documents = integration_documents(found, request)
        if "actionsProcessingEnabled" in request.query_params:
            wanted = params.flag(request, "actionsProcessingEnabled")
            documents = [one for one in documents if one["actionsProcessingEnabled"] is wanted]
        return ok(integrations=documents)

    @documented(
        "create_integration",
        "Register an exporter",
        tag=TAG,
        params=[query("integration_modes", "Not supported: `create_resources`.", many=True)],
        body={**BODY, "required": ["installationId"]},
        answers=_ONE,
        errors=[403, 409, 422],
        description="The entities that it writes are recognised by its User-Agent.",
    )
    def post(self, request: Request) -> Response:
        permissions.require_exporter(self.principal, None, "register integrations")
        body = params.body_object(request)
        if "create_resources" in params.listed(request, "integration_modes"):
            raise InvalidInput(
                "integration_modes: this server makes no default resources for exporters",
                hint="Let the exporter make its own (createPortResourcesOrigin: Default).",
                details={"field": "integration_modes", "value": "create_resources"},
            )
        made = exporters.register(body, actor=self.actor)
        return ok(integration=integration_document(made, request))


class IntegrationMetadata(ApiView):
    @documented(
        "list_integrations_metadata",
        "List what everybody may know of all integrations",
        tag=TAG,
        answers=_LIST,
    )
    def get(self, request: Request) -> Response:
        return ok(integrations=[light_document(one) for one in sources().order_by("identifier")])


class ProvisionEnabled(ApiView):
    @documented(
        "list_provisioned_integrations",
        "List the types whose default resources this server makes",
        tag=TAG,
        answers={200: envelope(integrations=list_of(_TEXT))},
        description="None: exporters bring their own.",
    )
    def get(self, request: Request) -> Response:
        return ok(integrations=[])


class IntegrationDetail(ApiView):
    @documented(
        "get_integration",
        "Get an integration",
        tag=TAG,
        params=[
            PATH,
            query("byField", "`installationId`, or `logIngestId`."),
            query("isPolling", "Accepted."),
            query("oceanCoreVersion", "Accepted."),
        ],
        answers=_ONE,
        errors=[403, 404],
    )
    def get(self, request: Request, integration: str) -> Response:
        permissions.require_source_read(self.principal, "read integrations")
        return ok(integration=integration_document(get_source(integration), request))

    @documented(
        "patch_integration",
        "Change an integration, or ask it for a resync",
        tag=TAG,
        params=[PATH],
        body=BODY,
        body_is_optional=True,
        answers=_ONE,
        errors=[403, 404, 409, 422],
        description="An empty body asks for a resync: an exporter finds the request when it polls, "
        "and what this server syncs is queued. Another `config` does so too.",
    )
    def patch(self, request: Request, integration: str) -> Response:
        return self.change(request, integration, params.body_object(request, may_be_empty=True))

    @documented(
        "delete_integration",
        "Delete an integration",
        tag=TAG,
        params=[PATH],
        answers={200: envelope()},
        errors=[403, 404],
        description="Its entities stay.",
    )
    def delete(self, request: Request, integration: str) -> Response:
        found = get_source(integration)
        self._require(found, "delete integrations")
        if found.runs_here:
            own.delete_source(found, actor=self.actor)
        else:
            exporters.remove(found, actor=self.actor)
        return ok()

    def change(
        self, request: Request, integration: str, body: dict[str, Any], *, skip_resync: bool = False
    ) -> Response:
        found = get_source(integration)
        self._require(found, "change integrations")
        if not body:
            changed = self._request_resync(found)
        elif found.runs_here:
            changed = self._change_own(found, body, skip_resync=skip_resync)
        else:
            changed = exporters.update(found, body, actor=self.actor, skip_resync=skip_resync)
        return ok(integration=integration_document(changed, request))

    def _require(self, found: Integration, what: str) -> None:
        if found.runs_here:
            permissions.require_admin(self.principal, what)
        else:
            permissions.require_exporter(self.principal, found, what)

    def _request_resync(self, found: Integration) -> Integration:
        if not found.runs_here:
            return exporters.request_resync(found, actor=self.actor)
        run = request_sync(found, trigger=SyncRun.Trigger.API, requested_by=self.actor.name)
        start_sync(run)
        return found

    def _change_own(
        self, found: Integration, body: dict[str, Any], *, skip_resync: bool
    ) -> Integration:
        """What this server syncs itself has a title and a mapping here, and the rest in admin."""
        other = sorted(body.keys() - {"title", "config", "installationId"})
        if other or body.get("installationId", found.identifier) != found.identifier:
            field = other[0] if other else "installationId"
            raise Conflict(
                f'"{found.identifier}" is synced by this server; {field} is not for an exporter '
                "to say",
                hint="Give the exporter an installationId of its own.",
                details={"field": field, "expected": "title or config"},
            )
        before = found.mapping
        stated: Stated = {}
        if "title" in body:
            stated["title"] = body["title"] or ""
        if "config" in body:
            stated["mapping"] = body["config"]
        changed = own.update_source(found, actor=self.actor, **stated)
        if changed.mapping != before and changed.is_enabled and not skip_resync:
            self._request_resync(changed)
        return changed


class IntegrationConfig(IntegrationDetail):
    documented_methods = ("PATCH",)
    http_method_names = ["patch"]

    @documented(
        "patch_integration_config",
        "Change the mapping of an integration",
        tag=TAG,
        params=[
            PATH,
            OpenApiParameter(
                "x-skip-resync", bool, OpenApiParameter.HEADER, description="No resync for it."
            ),
        ],
        body={"type": "object", "properties": {"config": OBJECT}, "required": ["config"]},
        answers=_ONE,
        errors=[403, 404, 422],
    )
    def patch(self, request: Request, integration: str) -> Response:
        body = params.body_object(request)
        if not isinstance(body.get("config"), dict):
            raise InvalidInput(
                "config is missing; expected the mapping, an object",
                details={"field": "config", "expected": "an object"},
            )
        skips = request.headers.get("x-skip-resync", "").lower() == "true"
        return self.change(request, integration, {"config": body["config"]}, skip_resync=skips)


class NoKafka(ApiView):
    @documented(
        "get_kafka_credentials",
        "Kafka is no part of this server",
        tag=TAG,
        answers={},
        errors=[404],
    )
    def get(self, request: Request) -> Response:
        raise NotFound("This server has no Kafka", hint="Let the exporter listen by POLLING.")
