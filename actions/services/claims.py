"""Agents elsewhere fetch the runs that are theirs to execute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from actions.models import Run
from actions.services.handing_over import opened
from catalog.kernel.actors import Principal
from catalog.kernel.errors import PermissionDenied
from catalog.kernel.identifiers import is_storable
from catalog.services.permissions import WRITERS, Standing

MAX_CLAIMED = 1000


def claim_pending(
    *,
    installation: str,
    limit: int,
    visibility_ms: int,
    method: str = "",
    exclude: Sequence[str] = (),
    principal: Principal,
) -> list[tuple[Run, dict[str, Any]]]:
    """Runs for an agent to execute, oldest first, each with its payload in clear. Nobody else gets
    them for `visibility_ms`.

    installation: the agent's name; method: only this type of invocation; exclude: identifiers of
    actions. Raises PermissionDenied, SealingFailed.
    """
    _require_agent(principal)
    now = timezone.now()
    with transaction.atomic():
        waiting = Run.objects.select_for_update(of=("self",), skip_locked=True).filter(
            Q(claimed_until=None) | Q(claimed_until__lt=now),
            is_pending=True,
            installation=installation,
        )
        if method:  # `payload` is `json`, which cannot be asked for its keys with ->
            waiting = waiting.extra(where=["payload->>'type' = %s"], params=[method])
        if exclude:
            waiting = waiting.exclude(action__identifier__in=exclude)
        runs = list(waiting.select_related("action").order_by("pk")[:limit])
        for run in runs:
            run.claimed_until = now + timedelta(milliseconds=visibility_ms)
        Run.objects.bulk_update(runs, ["claimed_until"])
    return [(run, opened(run)["payload"]) for run in runs]


def acknowledge(identifiers: Sequence[str], *, principal: Principal) -> int:
    """The agent that claimed these runs has them now, and they are offered to nobody again. Returns
    how many there were to have. Raises PermissionDenied.
    """
    _require_agent(principal)
    wanted = [one for one in identifiers if is_storable(one)]
    pending = Run.objects.filter(
        identifier__in=wanted, is_pending=True, claimed_until__isnull=False
    )
    return pending.update(is_pending=False, claimed_until=None)


def _require_agent(principal: Principal) -> None:
    """Payloads are for those who execute them: admins and programs."""
    standing = Standing(principal)
    is_program = bool(getattr(principal, "client_id", "")) and standing.role in WRITERS
    if not (standing.is_admin or is_program):
        raise PermissionDenied(
            "Only admins and API clients may fetch runs",
            hint="Use an API client with the role Member.",
        )
