"""Runs as events tell of them: the document of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actions.models import Run
from catalog.selectors.documents import timestamp


def run_document(run: Run) -> dict[str, Any]:
    """{"id", "status", "action", "blueprint", "entity", "properties", …}; needs `action` loaded."""
    return {
        "id": run.identifier,
        "status": run.status,
        "statusLabel": run.status_label,
        "summary": run.summary,
        "link": run.link,
        "externalRunId": run.external_run_id,
        "action": {**run.about, "deleted": run.action is None},
        "blueprint": {**run.blueprint, "deleted": False} if run.blueprint else None,
        "entity": {**run.entity, "deleted": False} if run.entity else None,
        "properties": run.properties,
        "rawProperties": {},
        "source": run.source,
        "requiredApproval": {"type": run.required_approval} if run.required_approval else None,
        "approval": approval_of(run.approvals),
        "payload": run.payload,
        "response": run.response,
        "pendingExecution": run.is_pending,
        "claimedUntil": timestamp(run.claimed_until) if run.claimed_until else None,
        "installationId": run.installation or None,
        "endedAt": timestamp(run.ended_at) if run.ended_at else None,
        "impersonatedBy": run.impersonated_by or None,
        "createdAt": timestamp(run.created_at),
        "createdBy": run.created_by,
        "updatedAt": timestamp(run.updated_at),
        "updatedBy": run.updated_by,
    }


def approval_of(approvals: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The last word on a run."""
    if not approvals:
        return None
    last = approvals[-1]
    return {"state": last["state"], "userId": last["user"], "description": last["description"]}
