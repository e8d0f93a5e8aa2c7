"""Sources as the API shows them: exporters as they registered, ours in the same shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from rest_framework.request import Request

from catalog.api.base import signed
from catalog.models import Integration, SyncMessage, SyncRun
from catalog.selectors.documents import timestamp
from catalog.selectors.integrations import INTERNAL, last_runs

State = SyncRun.State

_STATUSES = {
    State.RUNNING: "running",
    State.SUCCEEDED: "completed",
    State.PARTIAL: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "aborted",
}
_SYNC_STATES = {**_STATUSES, State.QUEUED: "pending", State.RUNNING: "syncing"}


def integration_documents(found: list[Integration], request: Request) -> list[dict[str, Any]]:
    """Each with `resyncState`; nothing in it is secret."""
    runs = last_runs(one for one in found if one.runs_here)
    return [_document(one, request, runs.get(one.pk)) for one in found]


def integration_document(found: Integration, request: Request) -> dict[str, Any]:
    [document] = integration_documents([found], request)
    return document


def light_document(found: Integration) -> dict[str, Any]:
    """What everybody may know of a source."""
    return {
        "_id": f"{INTERNAL}{found.pk}",
        "identifier": found.identifier,
        "installationId": found.identifier,
        "installationAppType": found.kind,
        "installationType": found.attributes.get("installationType", "OnPrem")
        if not found.runs_here
        else "SaaS",
        "integrationType": found.attributes.get("integrationType", "custom")
        if not found.runs_here
        else "native",
        "title": found.title or None,
        "version": found.attributes.get("version", ""),
    }


def run_record(run: SyncRun) -> dict[str, Any]:
    """One line of the list of syncs."""
    return {
        "eventId": event_id(run),
        "syncState": _SYNC_STATES[State(run.state)],
        "hasErrors": run.state in (State.PARTIAL, State.FAILED),
        "message": run.error,
        "createdAt": timestamp(run.created_at),
        "updatedAt": timestamp(run.ended_at or run.heartbeat_at or run.created_at),
    }


def run_metrics(run: SyncRun) -> list[dict[str, Any]]:
    """What an exporter reported of each kind; of a run of ours, the same in its shape."""
    if run.reported:
        return list(run.reported.values())
    return [_metrics(run, kind) for kind in run.kinds]


def event_id(run: SyncRun) -> str:
    """The run's name at the exporter, or ours."""
    return run.external_id or run.name


def log_line(message: SyncMessage) -> dict[str, Any]:
    about = {
        key: value
        for key in ("stage", "kind", "blueprint", "identifier", "field")
        if (value := getattr(message, key))
    }
    extra = message.details.get("extra")
    return {
        "id": str(message.pk),
        "message": message.message,
        "level": message.level.upper(),
        "timestamp": timestamp(message.at),
        "eventId": event_id(message.run) if message.run else "",
        "extra": extra if isinstance(extra, Mapping) else {**about, **message.details},
    }


def _document(found: Integration, request: Request, run: SyncRun | None) -> dict[str, Any]:
    said = {} if found.runs_here else found.attributes
    ingest = request.build_absolute_uri(
        f"/v1/integration/{quote(found.identifier, safe='')}/ingest"
    )
    ingest_id = f"{INTERNAL}{found.pk}"
    return {
        **light_document(found),
        "changelogDestination": said.get("changelogDestination", {}),
        "config": found.mapping,
        "processingMode": said.get("processingMode"),
        "actionsProcessingEnabled": said.get("actionsProcessingEnabled", False),
        "incrementalSyncEnabled": said.get("incrementalSyncEnabled", False),
        "createPortResourcesOrigin": said.get("createPortResourcesOrigin"),
        "arePortResourcesInitialized": said.get("arePortResourcesInitialized", found.runs_here),
        "resyncState": _own_state(found, run) if found.runs_here else found.resync_state,
        "logAttributes": {"ingestId": ingest_id, "ingestUrl": f"{ingest}/logs"},
        "metricAttributes": {"ingestId": ingest_id, "ingestUrl": f"{ingest}/metrics"},
        "ingestAttributes": {"ingestUrl": ingest},
        **signed(found),
    }


def _own_state(found: Integration, run: SyncRun | None) -> dict[str, Any] | None:
    if run is None:
        return None
    return {
        "status": _STATUSES[State(run.state)],
        "lastResyncStart": timestamp(run.started_at) if run.started_at else None,
        "lastResyncEnd": timestamp(run.ended_at) if run.ended_at else None,
        "nextResync": timestamp(found.next_run_at) if found.next_run_at else None,
        "intervalInMinuets": None,
        "updatedAt": timestamp(run.ended_at or run.started_at or run.created_at),
    }


def _metrics(run: SyncRun, kind: Mapping[str, Any]) -> dict[str, Any]:
    states = {
        "waiting": "pending",
        "running": "syncing",
        "done": "completed",
        "failed": "failed",
        "skipped": "aborted",
        "stopped": "aborted",
    }

    def counts(**by_type: int) -> dict[str, Any]:
        return {
            "object_count_type": {key: {"object_count": n} for key, n in by_type.items()},
        }

    stored = sum(kind.get(key, 0) for key in ("created", "updated", "unchanged"))
    failed = kind.get("failed", 0)
    return {
        "kindIdentifier": f"{kind['kind']}-{kind['index']}",
        "kind": kind["kind"],
        "kindIndex": kind["index"],
        "eventId": event_id(run),
        "syncState": states.get(kind["state"], "syncing"),
        "metrics": {
            "phase": {
                "extract": counts(raw_extracted=kind.get("fetched", 0)),
                "transform": counts(
                    transformed=stored + kind.get("rejected", 0),
                    filtered_out=kind.get("filtered", 0),
                    failed=failed,
                ),
                "load": counts(loaded=stored, failed=kind.get("rejected", 0), skipped=0),
            }
        },
        "createdAt": timestamp(run.created_at),
        "updatedAt": timestamp(run.ended_at or run.heartbeat_at or run.created_at),
    }
