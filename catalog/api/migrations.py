"""/v1/migrations: acts on many entities, with a receipt that clients ask for."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import Schema, documented, envelope, list_of, query, ref
from catalog.ingest.migrations import cancel_migration, create_migration
from catalog.kernel.errors import Conflict, InvalidInput, shorten
from catalog.models import DataMigration
from catalog.selectors.documents import timestamp
from catalog.selectors.receipts import Act, receipt, receipts
from catalog.services import permissions
from catalog.tasks import start_migration

TAG = "Migrations"

_ONE = {200: envelope(migration=ref("Migration"))}
_STATUSES = ("INITIALIZING", *DataMigration.Status.values)
_MAPPING: Schema = {
    "type": "object",
    "properties": {
        "blueprint": {"type": "string", "description": "The target; it may be the source."},
        "filter": {"type": "string", "description": "JQ that gives true for what is migrated."},
        "itemsToParse": {"type": "string", "description": "JQ of an array: one entity for each."},
        "entity": {
            "type": "object",
            "additionalProperties": True,
            "description": "`identifier`, `title`, `icon`, `team`, `properties`, `relations`; "
            "each leaf is JQ over the source entity as the API shows it.",
        },
    },
    "required": ["blueprint", "entity"],
}


class MigrationList(ApiView):
    @documented(
        "list_migrations",
        "List migrations, newest first",
        tag=TAG,
        params=[
            query("status", "Only these.", many=True),
            query("actor", "Who asked for them."),
            query("blueprint", "Their source or their target."),
        ],
        answers={200: envelope(migrations=list_of(ref("Migration")))},
        errors=[422],
    )
    def get(self, request: Request) -> Response:
        # Some clients write brackets after the names of lists.
        statuses = [*params.listed(request, "status"), *params.listed(request, "status[]")]
        for status in statuses:
            if status not in _STATUSES:
                expected = f"one of: {', '.join(_STATUSES)}"
                raise InvalidInput(
                    f'status is "{shorten(status)}"; expected {expected}',
                    details={"field": "status", "value": shorten(status), "expected": expected},
                )
        found = receipts(
            statuses=statuses,
            actor=params.text(request, "actor", limit=300),
            blueprint=params.text(request, "blueprint"),
        )
        return ok(migrations=[_document(one) for one in found])

    @documented(
        "create_migration",
        "Migrate the entities of a blueprint into another one, or into other properties",
        tag=TAG,
        body={
            "type": "object",
            "properties": {"sourceBlueprint": {"type": "string"}, "mapping": _MAPPING},
            "required": ["sourceBlueprint", "mapping"],
            "example": {
                "sourceBlueprint": "service",
                "mapping": {
                    "blueprint": "service",
                    "filter": ".properties.replicas != null",
                    "entity": {
                        "identifier": ".identifier",
                        "properties": {"replicaCount": ".properties.replicas | tonumber"},
                    },
                },
            },
        },
        answers={200: envelope(migrationId={"type": "string"}, migration=ref("Migration"))},
        errors=[403, 404, 422],
        description="Goes on in the background. The entities of the source stay; what the mapping "
        "does not name in an entity that exists stays, too.",
    )
    def post(self, request: Request) -> Response:
        permissions.require_admin(self.principal, "migrate entities")
        body = params.body_object(request)
        migration = create_migration(
            source_blueprint=params.body_text(body, "sourceBlueprint"),
            mapping=body.get("mapping"),  # type: ignore[arg-type] # it is checked there
            actor=self.actor,
        )
        start_migration(migration)
        return ok(migrationId=migration.name, migration=_document(migration))


class MigrationDetail(ApiView):
    @documented(
        "get_migration",
        "Get what became of an act on many entities",
        tag=TAG,
        path=["migration"],
        answers=_ONE,
        errors=[404],
    )
    def get(self, request: Request, migration: str) -> Response:
        return ok(migration=_document(receipt(migration)))


class MigrationCancel(ApiView):
    @documented(
        "cancel_migration",
        "Cancel a migration; what it wrote stays",
        tag=TAG,
        path=["migration"],
        body={"type": "object", "properties": {"reason": {"type": "string"}}},
        body_is_optional=True,
        answers=_ONE,
        errors=[403, 404, 409],
    )
    def post(self, request: Request, migration: str) -> Response:
        permissions.require_admin(self.principal, "cancel migrations")
        reason = params.body_text(
            params.body_object(request, may_be_empty=True), "reason", default=""
        )
        found = receipt(migration)
        if not isinstance(found, DataMigration):
            raise Conflict(
                "The migration is over already: COMPLETED",
                details={"field": "status", "value": "COMPLETED"},
            )
        return ok(migration=_document(cancel_migration(found.pk, reason=reason)))


def _document(act: Act) -> dict[str, Any]:
    if isinstance(act, DataMigration):
        return {
            "id": act.name,
            "status": act.status,
            "actor": act.actor,
            "sourceBlueprint": act.source_blueprint,
            "mapping": act.mapping,
            "deleteBlueprint": False,
            "deleteEntities": False,
            "totalCount": act.total,
            "filteredCount": act.filtered,
            "successCount": act.success_count,
            "failureCount": act.failure_count,
            "failures": act.failures,
            "error": act.error or None,
            "reason": act.reason or None,
            "createdAt": timestamp(act.created_at),
            "updatedAt": timestamp(act.updated_at),
        }
    done = act.after or {}
    return {
        "id": act.identifier,
        "status": "COMPLETED",
        "actor": act.actor,
        "sourceBlueprint": act.blueprint,
        "mapping": {},
        "deleteBlueprint": bool(done.get("deletedBlueprint")),
        "deleteEntities": True,
        "successCount": done.get("deletedEntities", 0),
        "failureCount": 0,
        "createdAt": timestamp(act.at),
        "updatedAt": timestamp(act.at),
    }
