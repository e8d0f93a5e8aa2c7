"""/v1/blueprints/…/entities/…/provenance: which source answers for which value."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api.base import ApiView, get_blueprint, ok
from catalog.api.openapi import Schema, documented, envelope, list_of
from catalog.ingest.provenance import Origin, Trace, origins_of, provenance_of
from catalog.kernel.errors import NotFound
from catalog.models import Entity
from catalog.selectors.documents import timestamp
from catalog.selectors.kinds import load_kinds

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_MOMENT: Schema = {"type": "string", "format": "date-time"}

_SOURCE: Schema = {
    "type": "object",
    "properties": {
        "integration": {**_TEXT, "description": "`installationId`, or name of the webhook."},
        "kind": {**_TEXT, "description": "What sort of program it is: `github`, …"},
        "isExporter": {"type": "boolean"},
        "isEnabled": {"type": "boolean"},
        "isCreator": {"type": "boolean", "description": "It made the entity."},
        "resourceKinds": list_of(_TEXT, description="Of its mapping, that gave the entity."),
        "fields": {
            "type": ["array", "null"],
            "items": _TEXT,
            "description": "What it answers for; null is everything.",
        },
        "seenAt": _MOMENT,
        "syncRun": {**_TEXT_OR_NULL, "description": "The run that saw it last."},
        "goneAt": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "Since when its complete passes no longer find the entity.",
        },
        "goneReason": {**_TEXT_OR_NULL, "description": "Why it was not deleted for that."},
    },
}
_VALUE: Schema = {
    "type": "object",
    "properties": {
        "path": {**_TEXT, "description": "`title`, `properties.tier`, `relations.owner`, …"},
        "integration": {**_TEXT_OR_NULL, "description": "The source that answers for it."},
        "changedAt": {"type": ["string", "null"], "format": "date-time"},
        "changedBy": _TEXT_OR_NULL,
        "changedByKind": {
            **_TEXT_OR_NULL,
            "description": "`user`, `client`, `integration` or `system`.",
        },
        "runId": _TEXT_OR_NULL,
        "computedBy": {**_TEXT_OR_NULL, "description": "How it is computed, in words."},
        "error": {**_TEXT_OR_NULL, "description": "Why it could not be computed."},
    },
}


class EntityProvenance(ApiView):
    @documented(
        "get_entity_provenance",
        "Get where an entity and each of its values come from",
        tag="Entities",
        path=["blueprint", "entity"],
        answers={
            200: envelope(
                sources=list_of(_SOURCE), isStale={"type": "boolean"}, values=list_of(_VALUE)
            )
        },
        errors=[404],
        description="`isStale`: every source that had the entity does so no more.",
    )
    def get(self, request: Request, blueprint: str, entity: str) -> Response:
        found = (
            Entity.objects.visible_to(self.principal)
            .select_related("blueprint")
            .defer("search", "label", "descriptor")
            .filter(blueprint__identifier=blueprint, identifier=entity)
            .first()
        )
        kind = load_kinds().get(blueprint)
        if found is None or kind is None:
            get_blueprint(blueprint)
            raise NotFound.of("Entity", entity)
        provenance = provenance_of(found, kind, origins_of(found))
        return ok(
            sources=[_source(one) for one in provenance.origins],
            isStale=provenance.is_stale,
            values=[_value(one) for one in provenance.traces.values()],
        )


def _source(origin: Origin) -> dict[str, Any]:
    gone = origin.gone
    return {
        "integration": origin.source.identifier,
        "kind": origin.source.kind,
        "isExporter": origin.is_exporter,
        "isEnabled": origin.source.is_enabled,
        "isCreator": origin.is_creator,
        "resourceKinds": list(origin.kinds),
        "fields": None if origin.fields is None else sorted(origin.fields),
        "seenAt": timestamp(origin.seen_at),
        "syncRun": f"sync_{origin.run}" if origin.run else None,
        "goneAt": timestamp(gone.gone_at) if gone and gone.gone_at else None,
        "goneReason": (gone.gone_reason if gone else "") or None,
    }


def _value(trace: Trace) -> dict[str, Any]:
    is_typed = not trace.how
    return {
        "path": trace.path,
        "integration": trace.origin.source.identifier if trace.origin else None,
        "changedAt": timestamp(trace.touch.at) if is_typed else None,
        "changedBy": trace.touch.actor if is_typed else None,
        "changedByKind": (trace.touch.actor_kind or None) if is_typed else None,
        "runId": (trace.touch.run or None) if is_typed else None,
        "computedBy": trace.how or None,
        "error": trace.error or None,
    }
