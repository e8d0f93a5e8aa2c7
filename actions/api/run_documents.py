"""Runs, their log and deliveries, as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actions.models import Delivery, Run, RunLog
from actions.selectors.run_documents import run_document as told
from actions.selectors.runs import Present, present
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
    document = told(run)
    if run.status == Run.Status.TIMED_OUT:  # clients wait for SUCCESS, FAILURE or CANCELLED
        document |= {"status": Run.Status.FAILURE, "statusLabel": run.status_label or TIMED_OUT}
    return {
        **document,
        "blueprint": _blueprint(run, there),
        "entity": _entity(run, there),
        "actionVersion": run.version,
        "isTest": run.is_test,
        "expiresAt": timestamp(run.expires_at) if run.expires_at else None,
        "steps": run.steps,
        "output": run.output,
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
