"""Tasks and their events in Backstage's shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from actions.models import Run, RunLog
from actions.scaffolder.finding import document_of, refs_of
from catalog.selectors.documents import timestamp

STATUSES: Final = ("open", "processing", "completed", "failed", "cancelled", "skipped")
_ENDED: Final[Mapping[str, str]] = {
    Run.Status.SUCCESS: "completed",
    Run.Status.FAILURE: "failed",
    Run.Status.TIMED_OUT: "failed",
    Run.Status.CANCELLED: "cancelled",
    Run.Status.DECLINED: "cancelled",
}


def status_of(run: Run) -> str:
    if run.status in _ENDED:
        return _ENDED[run.status]
    return "processing" if run.attempts else "open"


def runs_of(status: str) -> dict[str, Any]:
    """The filter for the runs whose task has this status; none is ever skipped."""
    found = [run for run, task in _ENDED.items() if task == status]
    if status == "processing":
        return {"status": Run.Status.IN_PROGRESS, "attempts__gt": 0}
    if status == "open":
        return {"status__in": Run.OPEN, "attempts": 0}
    return {"status__in": found}


def tasks(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Without what nobody may see; one statement, whoever started them."""
    refs = refs_of({run.created_by for run in runs})
    return [_task(run, refs.get(run.created_by)) for run in runs]


def events(run: Run, lines: Iterable[RunLog]) -> list[dict[str, Any]]:
    """The lines of a run's log as events, in order."""
    return [
        {
            "id": line.pk,
            "isTaskRecoverable": False,
            "taskId": run.identifier,
            "type": "log",
            "body": {
                "message": line.message,
                **({"stepId": line.step} if line.step else {}),
                **({"status": line.step_status} if line.step_status else {}),
            },
            "createdAt": timestamp(line.created_at),
        }
        for line in lines
    ]


def completion(run: Run, last: int) -> dict[str, Any]:
    """The event that ends the stream of a run that has ended. last: the id of the event before."""
    status = status_of(run)
    body: dict[str, Any] = {"message": f"Run completed with status: {status}"}
    if status == "completed":
        body["output"] = run.output or {}
    else:
        body["error"] = {"name": "Error", "message": run.summary or run.status}
    return {
        "id": last + 1,
        "isTaskRecoverable": False,
        "taskId": run.identifier,
        "type": "completion",
        "body": body,
        "createdAt": timestamp(run.ended_at or run.updated_at),
    }


def _task(run: Run, created_by: str | None) -> dict[str, Any]:
    return {
        "id": run.identifier,
        "spec": _spec(run, created_by),
        "status": status_of(run),
        "createdAt": timestamp(run.created_at),
        "lastHeartbeatAt": timestamp(run.updated_at),
        **({"createdBy": created_by} if created_by else {}),
    }


def _spec(run: Run, created_by: str | None) -> dict[str, Any]:
    """What was asked for, with the template as it is now, as far as it is still there."""
    template = run.action.template if run.action else None
    spec: Mapping[str, Any] = {}
    info: dict[str, Any] = {"entityRef": run.payload.get("template")}
    if template is not None and isinstance(template.descriptor, Mapping):
        document = document_of(template)
        spec = document.get("spec") or {}
        info["entity"] = {"metadata": document["metadata"]}
    states = {one["id"]: one for one in run.steps}
    return {
        "apiVersion": "scaffolder.backstage.io/v1beta3",
        "parameters": run.properties,
        "steps": [
            {
                "id": (name := step.get("id") or f"step-{number}"),
                "name": step.get("name") or step.get("action"),
                "action": step.get("action"),
                "input": step.get("input") or {},
                **({"status": states[name]["status"]} if name in states else {}),
            }
            for number, step in enumerate(spec.get("steps") or (), 1)
            if isinstance(step, Mapping)
        ],
        "output": spec.get("output") or {},
        "user": {"ref": created_by} if created_by else {},
        "templateInfo": info,
    }
