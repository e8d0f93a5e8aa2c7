"""Many entities of one blueprint in one request: written and deleted as exporters do it."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ok
from catalog.api.entities import TAG, EntityDetail, write_mode
from catalog.api.integrations_refusals import ExporterWrites
from catalog.api.openapi import (
    DELETE_DEPENDENTS,
    MISSING_TARGETS,
    RUN_ID,
    WRITING,
    documented,
    envelope,
    flag,
    list_of,
    ref,
)
from catalog.ingest.exporter_log import Refusal
from catalog.kernel.errors import IdpError, InvalidInput, shorten
from catalog.services.entities import ItemResult, Status
from catalog.services.intake import delete_entities, write_bodies

MAX_WRITTEN = 20
MAX_DELETED = 100


class BulkWrite(EntityDetail):
    """An entity may be called "bulk": all methods but POST are about that one."""

    documented_methods = ("POST",)

    @documented(
        "bulk_entities",
        f"Create or change up to {MAX_WRITTEN} entities",
        tag=TAG,
        path=["blueprint"],
        params=[
            flag("upsert", "Change entities that exist, instead of refusing."),
            *WRITING,
            *MISSING_TARGETS,
            RUN_ID,
        ],
        body={
            "type": "object",
            "properties": {
                "entities": list_of(ref("EntityBody"), minItems=1, maxItems=MAX_WRITTEN)
            },
            "required": ["entities"],
        },
        answers={200: ref("BulkResult"), 207: ref("BulkResult")},
        errors=[403, 404, 422],
        description="Each entity stands for itself: 207 means that some were refused, and "
        "`errors` says which and why. Entities of one request may relate to each other.",
    )
    def post(self, request: Request, blueprint: str, entity: str) -> Response:
        target = self.blueprint_to_write(blueprint)
        bodies = params.body_list(params.body_object(request), "entities", high=MAX_WRITTEN)
        results = write_bodies(
            bodies,
            blueprint=target,
            principal=self.principal,
            actor=self.actor,
            mode=write_mode(request),
            missing_targets=params.missing_targets(request),
            dry_run=params.flag(request, "validation_only"),
            run=self.run_of(request),
        )
        self.refused(
            request,
            blueprint,
            [
                Refusal(item.identifier, item.error, bodies[item.index])
                for item in results
                if item.error
            ],
        )
        errors = [_error(item, item.error) for item in results if item.error]
        return Response(
            {
                "ok": not errors,
                "entities": [_written(item) for item in results if not item.error],
                "errors": errors,
            },
            status=207 if errors else 200,
        )


class BulkDelete(ExporterWrites):
    @documented(
        "bulk_delete_entities",
        f"Delete up to {MAX_DELETED} entities",
        tag=TAG,
        path=["blueprint"],
        params=[DELETE_DEPENDENTS, RUN_ID],
        body={
            "type": "object",
            "properties": {
                "entities": list_of({"type": "string"}, minItems=1, maxItems=MAX_DELETED)
            },
            "required": ["entities"],
        },
        answers={200: envelope(deletedEntities=list_of({"type": "string"}))},
        errors=[403, 404, 409, 422],
        description="All or nothing: one entity that others need refuses them all. Unknown "
        "identifiers are skipped.",
    )
    def post(self, request: Request, blueprint: str) -> Response:
        target = self.blueprint_to_write(blueprint)
        identifiers = params.body_list(params.body_object(request), "entities", high=MAX_DELETED)
        for index, identifier in enumerate(identifiers):
            if not isinstance(identifier, str):
                raise InvalidInput(
                    f"entities.{index} is {shorten(identifier)}; expected an identifier",
                    details={
                        "field": f"entities.{index}",
                        "value": shorten(identifier),
                        "expected": "text",
                    },
                )
        deleted = delete_entities(
            identifiers,
            blueprint=target,
            actor=self.actor,
            delete_dependents=params.flag(request, "delete_dependents"),
            run=self.run_of(request),
        )
        return ok(deletedEntities=deleted)


def _written(item: ItemResult) -> dict[str, Any]:
    return {
        "index": item.index,
        "identifier": item.identifier,
        "created": item.status is Status.CREATED,
        "additionalData": item.additional,
    }


def _error(item: ItemResult, error: IdpError) -> dict[str, Any]:
    return {
        "index": item.index,
        "identifier": item.identifier,
        "statusCode": error.status,
        "error": error.code,
        "message": str(error),
        "details": error.details,
    }
