"""What starts automations: the events they listen to, and their conditions. Checked when they are
defined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from catalog.kernel import jq
from catalog.kernel.errors import InvalidInput
from catalog.kernel.schedules import Schedule, parse_schedule
from catalog.registry import event_kinds
from catalog.selectors.kinds import load_kinds

ENTITY_CREATED: Final = "ENTITY_CREATED"
ENTITY_UPDATED: Final = "ENTITY_UPDATED"
ENTITY_DELETED: Final = "ENTITY_DELETED"
ANY_ENTITY_CHANGE: Final = "ANY_ENTITY_CHANGE"
TIMER_EXPIRED: Final = "TIMER_PROPERTY_EXPIRED"
RUN_CREATED: Final = "RUN_CREATED"
RUN_UPDATED: Final = "RUN_UPDATED"
ANY_RUN_CHANGE: Final = "ANY_RUN_CHANGE"
SCHEDULE: Final = "SCHEDULE"

TIMER_FORMAT: Final = "timer"  # of properties that run out
MAX_EXPRESSIONS: Final = 50

# {type: keys that say which}; those that other apps bring are in the registry.
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    ENTITY_CREATED: ("blueprintIdentifier",),
    ENTITY_UPDATED: ("blueprintIdentifier",),
    ENTITY_DELETED: ("blueprintIdentifier",),
    ANY_ENTITY_CHANGE: ("blueprintIdentifier",),
    TIMER_EXPIRED: ("blueprintIdentifier", "propertyIdentifier"),
    RUN_CREATED: ("actionIdentifier",),
    RUN_UPDATED: ("actionIdentifier",),
    ANY_RUN_CHANGE: ("actionIdentifier",),
    SCHEDULE: ("cron",),
}
_MEANT: Final[Mapping[str, str]] = {
    "blueprintIdentifier": "the identifier of a blueprint",
    "propertyIdentifier": "the identifier of a property",
    "actionIdentifier": "the identifier of an action",
    "cron": 'a cron line like "0 6 * * 1"',
}
_TITLES: Final[Mapping[str, str]] = {
    ENTITY_CREATED: "An entity was created",
    ENTITY_UPDATED: "An entity was changed",
    ENTITY_DELETED: "An entity was deleted",
    ANY_ENTITY_CHANGE: "An entity was created, changed or deleted",
    TIMER_EXPIRED: "A timer of an entity ran out",
    RUN_CREATED: "A run was started",
    RUN_UPDATED: "A run changed",
    ANY_RUN_CHANGE: "A run was started or changed",
    SCHEDULE: "At set times",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """JQ over the event. is_any: one that holds is enough; else all of them have to."""

    expressions: tuple[str, ...] = ()
    is_any: bool = False


def event_titles() -> dict[str, str]:
    """{type: in words} of all events there are."""
    return {**_TITLES, **{one.name: one.title for one in event_kinds.values()}}


def keys_of(event_type: str) -> tuple[str, ...]:
    """The keys of an event of this type that say which ones are meant."""
    if kind := event_kinds.get(event_type):
        return (*kind.required, *kind.optional)
    return _KEYS.get(event_type, ())


def check_trigger(trigger: Mapping[str, Any]) -> None:
    """Raises InvalidInput, naming the field, for an event that there is not or a condition that
    could not be evaluated. Self-service actions have no event.
    """
    if trigger.get("type") == "automation":
        _check_event(trigger.get("event"))
        _check_jq(trigger.get("condition"))


def condition_of(trigger: Mapping[str, Any]) -> Condition:
    """The condition of an automation that `check_trigger` let pass."""
    given = trigger.get("condition") or {}
    return Condition(
        tuple(given.get("expressions") or ()), str(given.get("combinator")).lower() == "or"
    )


def next_turn(trigger: Mapping[str, Any], after: datetime) -> datetime | None:
    """When an automation with a schedule is due next; None for one without, or with none that
    `check_trigger` would let pass.
    """
    event = trigger.get("event")
    if trigger.get("type") != "automation" or not isinstance(event, Mapping):
        return None
    if event.get("type") != SCHEDULE:
        return None
    try:
        schedule, zone = _schedule(event)
    except InvalidInput:
        return None
    return schedule.next_after(after.astimezone(zone)).astimezone(UTC)


def _check_event(event: Any) -> None:
    known = [*_KEYS, *event_kinds]
    if not isinstance(event, Mapping):
        raise InvalidInput.of("trigger.event", event, "an object with a type")
    event_type = event.get("type")
    if event_type not in known:
        raise InvalidInput.of(
            "trigger.event.type", event_type, f"one of {', '.join(sorted(known))}"
        )
    kind = event_kinds.get(event_type)
    required = kind.required if kind else _KEYS[event_type]
    for key in keys_of(event_type):
        value = event.get(key)
        is_missing = value is None and key not in required
        if not is_missing and (not isinstance(value, str) or not value):
            raise InvalidInput.of(f"trigger.event.{key}", value, _MEANT.get(key, "an identifier"))
    if event_type == SCHEDULE:
        _schedule(event)
    if event_type == TIMER_EXPIRED:
        _check_timer(event)


def _check_timer(event: Mapping[str, Any]) -> None:
    kind = load_kinds().get(event["blueprintIdentifier"])
    if kind is None:
        return  # that there is no such blueprint is for whoever looks it up to say
    name = event["propertyIdentifier"]
    timers = [one for one, spec in kind.properties.items() if spec.get("format") == TIMER_FORMAT]
    if name not in timers:
        expected = (
            f"a property of format timer; {kind.identifier} has {', '.join(timers) or 'none'}"
        )
        raise InvalidInput.of("trigger.event.propertyIdentifier", name, expected)


def _schedule(event: Mapping[str, Any]) -> tuple[Schedule, ZoneInfo]:
    schedule = parse_schedule(str(event.get("cron") or ""), field="trigger.event.cron")
    if schedule is None:
        raise InvalidInput.of("trigger.event.cron", event.get("cron"), _MEANT["cron"])
    name = event.get("timezone") or "UTC"
    try:
        return schedule, ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput.of(
            "trigger.event.timezone", name, 'a time zone like "Europe/Berlin"'
        ) from None


def _check_jq(condition: Any) -> None:
    if condition is None:
        return
    if not isinstance(condition, Mapping) or condition.get("type") != "JQ":
        raise InvalidInput.of(
            "trigger.condition", condition, 'an object of type "JQ" with expressions'
        )
    combinator = condition.get("combinator")
    if combinator is not None and str(combinator).lower() not in ("and", "or"):
        raise InvalidInput.of("trigger.condition.combinator", combinator, '"and" or "or"')
    expressions = condition.get("expressions")
    field = "trigger.condition.expressions"
    if (
        not isinstance(expressions, list)
        or len(expressions) > MAX_EXPRESSIONS
        or not all(isinstance(one, str) and one.strip() for one in expressions)
    ):
        raise InvalidInput.of(
            field, expressions, f"a list of at most {MAX_EXPRESSIONS} JQ expressions"
        )
    named = {f"{field}[{n}]": expression for n, expression in enumerate(expressions)}
    if wrong := jq.check_all(named):
        raise next(iter(wrong.values()))
