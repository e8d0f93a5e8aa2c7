"""Sources as a list and one by one, with the run that each had last."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet

from catalog.kernel.errors import NotFound
from catalog.kernel.identifiers import is_storable
from catalog.models import Integration, SyncRun

INTERNAL = "int_"  # before the number, where the API calls a source by that


def sources() -> QuerySet[Integration]:
    """All that are no webhooks: those have addresses of their own."""
    return Integration.objects.exclude(kind=Integration.WEBHOOK)


def get_source(identifier: str) -> Integration:
    """A source by its `installationId`, else by its number ("int_7"). Raises NotFound."""
    found = sources().filter(identifier=identifier).first() if is_storable(identifier) else None
    number = identifier.removeprefix(INTERNAL)
    if found is None and number != identifier and number.isascii() and number.isdigit():
        found = sources().filter(pk=int(number)).first() if len(number) < 19 else None
    if found is None:
        raise NotFound.of("Integration", identifier, field="installationId")
    return found


def last_runs(integrations: Iterable[Integration]) -> dict[int, SyncRun]:
    """The run that each began last, by the pk of the integration; dry runs do not count."""
    runs = (
        SyncRun.objects.filter(integration__in=list(integrations), is_dry_run=False)
        .exclude(state=SyncRun.State.QUEUED)
        .order_by("integration_id", "-pk")
        .distinct("integration_id")
    )
    return {run.integration_id: run for run in runs}
