"""/v1/actions/{action}/firings: what an automation did. Our own resource; Port has none like it."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from actions.api.actions import TAG
from actions.models import Firing
from actions.selectors import automations
from actions.services import definitions
from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import OBJECT, Schema, documented, envelope, list_of, query
from catalog.kernel.errors import InvalidRequest
from catalog.kernel.pagination import encode_cursor
from catalog.selectors.documents import timestamp
from catalog.services import permissions

PAGE, MAX_PAGE = 50, 500

_OUTCOMES: list[str] = list(Firing.Outcome.values)
_FIRING: Schema = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "outcome": {"type": "string", "enum": _OUTCOMES},
        "reason": {
            "type": ["string", "null"],
            "description": "Why nothing was started: JQ's words, or the loop it would have been.",
        },
        "runId": {"type": ["string", "null"]},
        "depth": {"type": "integer", "description": "How many runs stand behind the event."},
        "event": {**OBJECT, "description": "As the condition saw it."},
        "at": {"type": "string", "format": "date-time"},
    },
}


class FiringList(ApiView):
    @documented(
        "list_action_firings",
        "List what an automation did, newest first",
        tag=TAG,
        path=["action"],
        params=[
            query("outcome", f"Only these: {', '.join(_OUTCOMES)}.", many=True),
            query("limit", f"How many, 1 to {MAX_PAGE}; {PAGE} if not given.", kind=int),
            query("from", "`next` of the page before."),
        ],
        answers={200: envelope(firings=list_of(_FIRING), next={"type": ["string", "null"]})},
        errors=[400, 403, 404],
        description="For admins: events show runs, which not everybody may see. An event that the "
        "condition did not let through is not in the list.",
    )
    def get(self, request: Request, action: str) -> Response:
        permissions.require_admin(self.principal, "read what automations did")
        limit = params.whole(request, "limit", default=PAGE, high=MAX_PAGE)
        cursor = params.text(request, "from")
        found = automations.firings(
            definitions.get_action(action),
            outcomes=_outcomes(request),
            older_than=params.cursor_value(cursor, int) if cursor else None,
            limit=limit + 1,
        )
        return ok(
            firings=[_document(one) for one in found[:limit]],
            next=encode_cursor([found[limit - 1].pk]) if len(found) > limit else None,
        )


def _outcomes(request: Request) -> list[str]:
    values = params.listed(request, "outcome")
    if unknown := [one for one in values if one not in _OUTCOMES]:
        raise InvalidRequest(
            f'outcome is "{unknown[0]}"; expected {" or ".join(_OUTCOMES)}',
            details={"field": "outcome", "value": unknown[0], "expected": _OUTCOMES},
        )
    return values


def _document(firing: Firing) -> dict[str, Any]:
    return {
        "id": f"firing_{firing.pk}",
        "outcome": firing.outcome,
        "reason": firing.reason or None,
        "runId": firing.run.identifier if firing.run else None,
        "depth": firing.depth,
        "event": firing.event,
        "at": timestamp(firing.at),
    }
