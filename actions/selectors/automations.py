"""Questions about what automations did."""

from __future__ import annotations

from collections.abc import Sequence

from actions.models import Action, Firing


def firings(
    action: Action, *, outcomes: Sequence[str] = (), older_than: int | None = None, limit: int
) -> list[Firing]:
    """What became of the events that an automation answered to, the newest first."""
    found = Firing.objects.filter(action=action).select_related("run").order_by("-pk")
    if outcomes:
        found = found.filter(outcome__in=outcomes)
    if older_than is not None:
        found = found.filter(pk__lt=older_than)
    return list(found[:limit])
