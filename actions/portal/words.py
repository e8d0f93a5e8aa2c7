"""Actions and the states of runs in words, tones and icons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actions.models import Action, Delivery, Run, RunLog
from catalog.portal.sources import Badge
from catalog.services.permissions import Role

STATUSES: Final[Mapping[str, Badge]] = {
    Run.Status.WAITING_FOR_APPROVAL: Badge("Waits for approval", "yellow", "approval"),
    Run.Status.IN_PROGRESS: Badge("In progress", "blue", "progress_activity"),
    Run.Status.SUCCESS: Badge("Succeeded", "green", "check_circle"),
    Run.Status.FAILURE: Badge("Failed", "red", "error"),
    Run.Status.DECLINED: Badge("Declined", "orange", "block"),
    Run.Status.CANCELLED: Badge("Cancelled", "lightGray", "cancel"),
    Run.Status.TIMED_OUT: Badge("Timed out", "red", "timer_off"),
}
OPERATIONS: Final[Mapping[str, Badge]] = {
    "CREATE": Badge("Create", "green", "add"),
    "DAY-2": Badge("Day-2", "blue", "build"),
    "DELETE": Badge("Delete", "red", "delete"),
}
DELIVERIES: Final[Mapping[str, Badge]] = {
    Delivery.State.SENDING: Badge("On its way", "blue", "progress_activity"),
    Delivery.State.DELIVERED: Badge("Delivered", "green", "check_circle"),
    Delivery.State.FAILED: Badge("Failed", "red", "error"),
    Delivery.State.UNKNOWN: Badge("Unknown", "yellow", "help"),
}
LEVELS: Final[Mapping[str, str]] = {  # tones of lines of a log; "" for what is as expected
    RunLog.Level.ERROR: "red",
    RunLog.Level.WARNING: "yellow",
    RunLog.Level.DEBUG: "lightGray",
    RunLog.Level.INFO: "",
}
ACTION_TILE, TEMPLATE_TILE = "actions", "template"
_BUTTONS: Final = {"CREATE": "Create", "DAY-2": "Run", "DELETE": "Delete"}


def tile_of(run: Run) -> str:
    """What gives a run's tile its colour, and an icon where the action names none."""
    if run.blueprint:
        return str(run.blueprint["identifier"])
    return TEMPLATE_TILE if ":" in str(run.about.get("identifier", "")) else ACTION_TILE


def badge_of(run: Run) -> Badge:
    """Its state, in the words of whoever reported it where these are short."""
    badge = STATUSES[Run.Status(run.status)]
    if run.status_label and run.is_open and len(run.status_label) <= 40:
        return Badge(run.status_label, badge.tone, badge.icon)
    return badge


def button_of(action: Action, *, key: str = "executeActionButtonText") -> str:
    """What stands on its button. key: "actionCardButtonText" for the one on its card."""
    return str(action.trigger.get(key) or _BUTTONS.get(action.operation, "Run"))


def approval_words(action: Action, grant: Mapping[str, Any]) -> str:
    """Who has to approve a run before it starts ("Admins or the team Platform"); "" for nobody."""
    required = action.document.get("requiredApproval")
    if not required:
        return ""
    if grant.get("policy"):
        return "whoever its policy names for what you ask"
    people = [*(grant.get("users") or ())]
    if isinstance(required, Mapping) and required.get("type") == "ALL" and people:
        return " and ".join(_shortened(people)) + (" together" if len(people) > 1 else "")
    names = [f"{role}s" for role in grant.get("roles") or ()] or [f"{Role.ADMIN}s"]
    names += [f"the team {team}" for team in grant.get("teams") or ()]
    names += ["the team that owns it"] if grant.get("ownedByTeam") else []
    return " or ".join(_shortened([*names, *people]))


def _shortened(names: list[str], most: int = 5) -> list[str]:
    rest = len(names) - most
    return [*names[:most], f"{rest} more"] if rest > 0 else names
