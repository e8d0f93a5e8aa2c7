"""/v1/audit-log: who changed what, and what could not be written."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import OBJECT, documented, envelope, list_of, query
from catalog.kernel.errors import InvalidRequest
from catalog.models import Change
from catalog.selectors.audit import FAILURE, SUCCESS, AuditEntry, AuditQuery, audit_log
from catalog.selectors.documents import timestamp
from catalog.services.permissions import can_administer, can_read_sources

MAX_ENTRIES = 1000
_FOR_ALL = (Change.ENTITY, Change.BLUEPRINT, Change.FACT, Change.METRIC)


class AuditLog(ApiView):
    @documented(
        "get_audit_log",
        "List changes, newest first",
        tag="Audit log",
        params=[
            query("identifier", "Of the thing with this identifier."),
            query("entity", "Of entities with this identifier."),
            query("blueprint", "Of this blueprint and its entities."),
            query("run_id", "Made for this action run or sync run."),
            query("InstallationId", "Made by this integration."),
            query("webhookId", "Made by this webhook."),
            query("webhookEventId", "Made for this event of a webhook."),
            query("origin", "`UI`, `API`, or a User-Agent.", many=True),
            query("resources", "`entity`, `blueprint`, `run`, `action`, …", many=True),
            query("from", "Not before this moment (RFC 3339)."),
            query("to", "Not after this moment (RFC 3339)."),
            query("action", "`CREATE`, `UPDATE` or `DELETE`."),
            query("status", "`SUCCESS`, or `FAILURE`: what sources could not write, and why."),
            query("limit", f"How many, 1 to {MAX_ENTRIES}; 100 if not given.", kind=int),
        ],
        answers={200: envelope(audits=list_of(OBJECT))},
        errors=[400],
        description="Who is no admin sees changes of entities and blueprints alone, and a viewer "
        "only those that were made.",
    )
    def get(self, request: Request) -> Response:
        resources = params.listed(request, "resources") + params.listed(request, "resources[]")
        if not can_administer(self.principal):
            resources = [one for one in resources or _FOR_ALL if one in _FOR_ALL]
            if not resources:
                return ok(audits=[])
        status = _one_of(request, "status", SUCCESS, FAILURE)
        if not can_read_sources(self.principal):
            if status == FAILURE:
                return ok(audits=[])
            status = SUCCESS
        entries = audit_log(
            AuditQuery(
                identifier=params.text(request, "identifier", limit=1000),
                entity=params.text(request, "entity", limit=1000),
                blueprint=params.text(request, "blueprint"),
                run=params.text(request, "run_id"),
                installation=params.text(request, "InstallationId")
                or params.text(request, "installationId"),
                webhook=params.text(request, "webhookId"),
                webhook_event=params.text(request, "webhookEventId", limit=200),
                origins=params.listed(request, "origin") + params.listed(request, "origin[]"),
                resources=resources,
                action=_one_of(request, "action", "CREATE", "UPDATE", "DELETE"),
                status=status,
                since=params.moment(request, "from"),
                until=params.moment(request, "to"),
                limit=params.whole(request, "limit", default=100, high=MAX_ENTRIES),
            )
        )
        return ok(audits=[_document(entry) for entry in entries])


def _one_of(request: Request, name: str, *allowed: str) -> str:
    value = params.text(request, name).upper()
    if value and value not in allowed:
        raise InvalidRequest(
            f'{name} is "{value}"; expected {" or ".join(allowed)}',
            details={"field": name, "value": value, "expected": list(allowed)},
        )
    return value


def _document(entry: AuditEntry) -> dict[str, Any]:
    is_entity = entry.resource == Change.ENTITY
    return {
        "identifier": entry.identifier,
        "action": entry.action,
        "resourceType": entry.resource,
        "status": entry.status,
        "trigger": {
            "by": {"type": entry.actor_kind, "name": entry.actor},
            "origin": entry.origin,
            "at": timestamp(entry.at),
        },
        "context": {
            "blueprint": entry.blueprint or None,
            "entity": entry.name if is_entity else None,
            "resource": entry.name,
            "runId": entry.run or None,
            "installationId": entry.installation or None,
        },
        "diff": {"before": entry.before, "after": entry.after},
        "additionalData": entry.details,
        "message": entry.message,
    }
