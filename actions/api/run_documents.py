"""Runs, their log and deliveries, as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actions.models import Delivery, Run, RunLog
from actions.selectors.runs import Present, present
from catalog.api.base import signed
from catalog.selectors.documents import timestamp

TIMED_OUT = "Timed out"  # of a run that clients are told has failed


def run_document(run: Run) -> dict[str, Any]:
    [document] = run_documents([run])
    return document


def run_documents(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Each as Port's clients know it, and what we know beside that; two statements."""
    there = present(runs)
    return [_document(run, there) for run in runs]


def line(run: Run, entry: RunLog) -> dict[str, Any]:
    return {
        "id": f"log_{entry.pk}",
        "runId": run.identifier,
        "message": entry.message,
        "level": entry.level,
        "step": entry.step or None,
        "stepStatus": entry.step_status or None,
        "createdBy": entry.created_by,
        "createdAt": timestamp(entry.created_at),
    }


def delivery(attempt: Delivery) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "state": attempt.state,
        "method": attempt.method,
        "url": attempt.url,
        "requestHeaders": attempt.request_headers,
        "requestBody": attempt.request_body,
        "statusCode": attempt.status_code,
        "responseHeaders": attempt.response_headers,
        "responseBody": attempt.response_body,
        "error": attempt.error or None,
        "startedAt": timestamp(attempt.started_at),
        "startedBy": attempt.started_by,
        "endedAt": timestamp(attempt.ended_at) if attempt.ended_at else None,
    }


def _document(run: Run, there: Present) -> dict[str, Any]:
    status, label = run.status, run.status_label
    if status == Run.Status.TIMED_OUT:  # clients wait for SUCCESS, FAILURE or CANCELLED
        status, label = Run.Status.FAILURE, label or TIMED_OUT
    return {
        "id": run.identifier,
        "status": status,
        "statusLabel": label,
        "summary": run.summary,
        "link": run.link,
        "externalRunId": run.external_run_id,
        "action": {**run.about, "deleted": run.action is None},
        "blueprint": _blueprint(run, there),
        "entity": _entity(run, there),
        "properties": run.properties,
        "rawProperties": {},
        "source": run.source,
        "requiredApproval": {"type": run.required_approval} if run.required_approval else None,
        "approval": _approval(run),
        "payload": run.payload,
        "response": run.response,
        "pendingExecution": run.is_pending,
        "claimedUntil": timestamp(run.claimed_until) if run.claimed_until else None,
        "installationId": run.installation or None,
        "endedAt": timestamp(run.ended_at) if run.ended_at else None,
        "impersonatedBy": run.impersonated_by or None,
        "actionVersion": run.version,
        "isTest": run.is_test,
        "expiresAt": timestamp(run.expires_at) if run.expires_at else None,
        "steps": run.steps,
        "output": run.output,
        **signed(run),
    }


def _blueprint(run: Run, there: Present) -> dict[str, Any] | None:
    if not run.blueprint:
        return None
    return {**run.blueprint, "deleted": run.blueprint["identifier"] not in there.blueprints}


def _entity(run: Run, there: Present) -> dict[str, Any] | None:
    if not run.entity or not run.blueprint:
        return None
    key = (run.blueprint["identifier"], run.entity["identifier"])
    return {**run.entity, "deleted": key not in there.entities}


def _approval(run: Run) -> dict[str, Any] | None:
    """The last word on the run."""
    if not run.approvals:
        return None
    last = run.approvals[-1]
    return {"state": last["state"], "userId": last["user"], "description": last["description"]}
