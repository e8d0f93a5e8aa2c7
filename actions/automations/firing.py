"""Automations fire: conditions are asked, loops are stopped, runs are started, and of each event
that a condition let through, what became of it is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.utils import timezone

from actions.automations.events import Event
from actions.automations.listeners import Listener
from actions.models import Firing, Run
from actions.services.starting import start_automation
from catalog.kernel import jq
from catalog.kernel.errors import IdpError, shorten

MAX_DEPTH: Final = 5  # runs, each caused by the one before it
MAX_STARTS: Final = 100  # of one automation for one entity in `STARTS_WITHIN`
STARTS_WITHIN: Final = timedelta(minutes=1)
MAX_REASON: Final = 2000

_LATELY: Final = """
SELECT action_id, event->'context'->>'blueprintIdentifier', event->'context'->>'entityIdentifier',
       count(*)
FROM actions_firing
WHERE at > %s AND outcome = %s AND action_id = ANY(%s)
  AND event->'context'->>'entityIdentifier' IS NOT NULL
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class _Shot:
    """An automation that an event starts. problem: why its condition could not be evaluated."""

    listener: Listener
    event: Event
    problem: str = ""


def fire(events: Sequence[Event], listeners: Sequence[Listener]) -> list[Firing]:
    """Start the automations that listen to these events, in the caller's transaction; returns what
    is kept of it.

    What has fired for an event does not fire again. Besides what it takes to start the runs, the
    number of statements does not grow with the events.
    """
    shots = [shot for listener in listeners for shot in _shots(listener, events)]
    if not shots:
        return []
    shots = _unfired(shots)
    places = {id(event): n for n, event in enumerate(events)}
    shots.sort(key=lambda shot: places[id(shot.event)])
    depths = _depths({shot.event.cause for shot in shots} - {""})
    lately = _started_lately({shot.listener.action.pk for shot in shots})
    firings = [_fire(shot, depths, lately) for shot in shots]
    return Firing.objects.bulk_create(firings)


def prune(before: datetime) -> int:
    """Forget what automations did before this; returns how many rows there were."""
    return Firing.objects.filter(at__lt=before).delete()[0]


def _shots(listener: Listener, events: Sequence[Event]) -> list[_Shot]:
    """The events that an automation answers to; one call of JQ for all."""
    heard = [event for event in events if event.concerns(listener)]
    expressions = listener.condition.expressions
    if not heard or not expressions:
        return [_Shot(listener, event) for event in heard]
    program = jq.Program(fields={str(n): one for n, one in enumerate(expressions)})
    outcomes = jq.run(program, [event.document for event in heard])
    shots = []
    for event, outcome in zip(heard, outcomes, strict=True):
        holds, problem = _verdict(outcome, is_any=listener.condition.is_any)
        if holds or problem:
            shots.append(_Shot(listener, event, problem))
    return shots


def _verdict(outcome: jq.Outcome, *, is_any: bool) -> tuple[bool, str]:
    """Whether a condition holds, and what was wrong where that cannot be told.

    An expression that fails counts only where the others do not decide. Null and false do not
    hold, everything else does, as in JQ.
    """
    if outcome.failure:
        return False, outcome.failure
    holding = [
        value is not None and value is not False
        for name, value in outcome.values.items()
        if name not in outcome.errors
    ]
    decides = any if is_any else all
    if decides(holding) is is_any or not outcome.errors:
        return decides(holding), ""
    number, message = next(iter(outcome.errors.items()))
    return False, f"Expression {int(number) + 1} of the condition failed: {message}"


def _unfired(shots: Sequence[_Shot]) -> list[_Shot]:
    """Without those that have fired before: a row of the feed may be read again."""
    known = set(
        Firing.objects.filter(
            action__in={shot.listener.action.pk for shot in shots},
            change__in={shot.event.change for shot in shots},
        ).values_list("action_id", "change")
    )
    return [shot for shot in shots if (shot.listener.action.pk, shot.event.change) not in known]


def _depths(runs: set[str]) -> dict[str, int]:
    """How deep a run is that one of these brings about. Others than runs of actions are none."""
    if not runs:
        return {}
    found = Run.objects.filter(identifier__in=runs).values_list("identifier", "depth")
    return {identifier: depth + 1 for identifier, depth in found}


def _started_lately(actions: set[int]) -> Counter[tuple[int, tuple[str, str] | None]]:
    """How many runs automations have started for each entity within a minute."""
    with connection.cursor() as cursor:
        cursor.execute(
            _LATELY, [timezone.now() - STARTS_WITHIN, Firing.Outcome.STARTED, sorted(actions)]
        )
        return Counter(
            {(action, (blueprint, entity)): n for action, blueprint, entity, n in cursor}
        )


def _fire(
    shot: _Shot,
    depths: Mapping[str, int],
    lately: Counter[tuple[int, tuple[str, str] | None]],
) -> Firing:
    action, event = shot.listener.action, shot.event
    depth = depths.get(event.cause, 0)
    key = (action.pk, event.subject)
    firing = Firing(
        action=action, change=event.change, event=event.document, depth=depth, at=timezone.now()
    )
    if shot.problem:
        firing.outcome, firing.reason = Firing.Outcome.FAILED, shorten(shot.problem, MAX_REASON)
    elif reason := _loop(event, depth, lately[key]):
        firing.outcome, firing.reason = Firing.Outcome.STOPPED, reason
    else:
        try:
            with transaction.atomic():
                firing.run = start_automation(action, event.document, depth=depth)
            firing.outcome = Firing.Outcome.STARTED
            lately[key] += 1
        except IdpError as error:
            firing.outcome, firing.reason = Firing.Outcome.FAILED, shorten(str(error), MAX_REASON)
    return firing


def _loop(event: Event, depth: int, started: int) -> str:
    """Why an automation is not to start; "" where nothing speaks against it."""
    if depth > MAX_DEPTH:
        return (
            f"{MAX_DEPTH + 1} runs stand behind this event, each caused by the one before it "
            f"(the last one is {event.cause}): more are not started."
        )
    if event.subject is not None and started >= MAX_STARTS:
        return f"It started {started} runs for this entity within a minute: more are not started."
    return ""
