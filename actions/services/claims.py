"""Agents elsewhere fetch the runs that are theirs to execute."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.fields.json import KT
from django.utils import timezone

from actions.models import Run
from actions.services.handing_over import opened
from catalog.kernel.actors import Principal
from catalog.kernel.errors import PermissionDenied
from catalog.kernel.identifiers import is_storable
from catalog.models import Integration
from catalog.services.permissions import is_exporter

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
    _require_agent(principal, [installation])
    now = timezone.now()
    with transaction.atomic():
        waiting = Run.objects.select_for_update(of=("self",), skip_locked=True).filter(
            Q(claimed_until=None) | Q(claimed_until__lt=now),
            is_pending=True,
            installation=installation,
        )
        if method:
            waiting = waiting.alias(method=KT("payload__type")).filter(method=method)
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
    wanted = [one for one in identifiers if is_storable(one)]
    pending = Run.objects.filter(
        identifier__in=wanted, is_pending=True, claimed_until__isnull=False
    )
    _require_agent(principal, pending.order_by().values_list("installation", flat=True).distinct())
    return pending.update(is_pending=False, claimed_until=None)


def _require_agent(principal: Principal, installations: Iterable[str]) -> None:
    """Payloads are for those who execute them: admins and programs, and those of an exporter for
    the program that registered it.
    """
    names = [one for one in installations if is_storable(one)]
    exporters = Integration.objects.filter(identifier__in=names)
    if not all(is_exporter(principal, one) for one in exporters or [None]):
        raise PermissionDenied(
            "Only admins and API clients may fetch runs, and those of an exporter only the client "
            "that registered it",
            hint="Use an API client with the role Member.",
        )
