"""Word from GitHub and GitLab that a workflow or a pipeline went on: its run is looked at at once.

What the event says is not believed; the backend asks. Without events it asks now and then.
"""

from __future__ import annotations

from typing import Final

from django.utils import timezone

from actions.models import Run
from actions.services.telling import tell_worker
from catalog.ingest.sources.github.events import body_of
from catalog.kernel.errors import InvalidInput
from catalog.kernel.source import Event

_WHERE: Final = {  # by the kind of the source: header, its value, where the number stands, backend
    "github": ("x-github-event", "workflow_run", "workflow_run", "GITHUB"),
    "gitlab": ("x-gitlab-event", "Pipeline Hook", "object_attributes", "GITLAB"),
}


def heed(kind: str, event: Event) -> None:
    """Called with each live event of a source, in its transaction."""
    if kind not in _WHERE:
        return
    header, value, key, backend = _WHERE[kind]
    if event.headers.get(header) != value:
        return
    number = _number(event, key)
    if number is None:
        return
    watched = Run.objects.select_for_update().filter(
        external_run_id=str(number), status=Run.Status.IN_PROGRESS, is_watched=True
    )
    for run in watched:
        if run.payload.get("type") == backend:
            run.due_at = timezone.now()
            run.save(update_fields=["due_at"])
            tell_worker(run)


def _number(event: Event, key: str) -> int | None:
    try:
        found = body_of(event).get(key)
    except InvalidInput:  # whoever reads the event for the catalogue tells of it
        return None
    number = found.get("id") if isinstance(found, dict) else None
    return number if isinstance(number, int) else None
