"""Which of the actions somebody may see are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from actions.models import Action


@dataclass(frozen=True, slots=True)
class ActionQuery:
    """What is empty does not count. event_action: whose runs an automation listens to."""

    identifier: str = ""
    blueprint: str = ""
    operation: str = ""
    trigger_type: str = ""
    event: str = ""
    event_action: str = ""
    is_published: bool | None = None


def matching(actions: Iterable[Action], query: ActionQuery) -> list[Action]:
    """Those that fit, in their order; each with its `blueprint` loaded."""
    return [one for one in actions if _fits(one, query)]


def _fits(action: Action, query: ActionQuery) -> bool:
    blueprint = action.blueprint.identifier if action.blueprint else ""
    event = action.trigger.get("event")
    known = event if isinstance(event, dict) else {"type": event}
    wanted = (
        (query.identifier, action.identifier),
        (query.blueprint, blueprint),
        (query.operation, action.trigger.get("operation")),
        (query.trigger_type, action.trigger.get("type")),
        (query.event, known.get("type")),
        (query.event_action, known.get("actionIdentifier")),
    )
    is_right = query.is_published is None or action.is_published is query.is_published
    return is_right and all(not asked or asked == found for asked, found in wanted)
