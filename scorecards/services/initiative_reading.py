"""What may be said of an initiative, and what it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from secrets import token_hex
from typing import Any, Final

from catalog.kernel.actors import Principal
from catalog.kernel.errors import InvalidInput, PermissionDenied
from catalog.selectors.memberships import team_called
from catalog.services import documents
from scorecards.models import Initiative, Scorecard
from scorecards.selectors.initiative_scope import entities_of
from scorecards.selectors.results import Ladder, find_scorecard, ladder_of
from scorecards.selectors.results.visibility import may_edit

State = Initiative.State

MAX_RULES: Final = 500
MAX_MILESTONES: Final = 20
MAX_REPLY_TO: Final = 20
MAX_INTERVAL: Final = 365
UNITS: Final[Mapping[str, int]] = {"DAY": 1, "WEEK": 7}  # days

_TEXT: Final = {"type": ["string", "null"], "maxLength": 10_000}
_NAME: Final = {"type": ["string", "null"], "maxLength": 300}
_DAY: Final = {"type": "string", "minLength": 10, "maxLength": 10}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1, "maxLength": 300},
        "description": _TEXT,
        "scorecard": {"type": "string", "minLength": 1, "maxLength": 100},
        "blueprint": {"type": ["string", "null"], "maxLength": 100},
        "rules": {
            "type": ["array", "null"],
            "maxItems": MAX_RULES,
            "items": {"type": "string", "maxLength": 100},
        },
        "level": _NAME,
        "filter": {"type": ["object", "null"]},
        "isFixed": {"type": "boolean"},
        "isDraft": {"type": "boolean"},
        "startsOn": {**_DAY, "type": ["string", "null"]},
        "targetOn": _DAY,
        "milestones": {
            "type": ["array", "null"],
            "maxItems": MAX_MILESTONES,
            "items": {
                "type": "object",
                "properties": {
                    "title": {"type": "string", "minLength": 1, "maxLength": 300},
                    "on": _DAY,
                    "percent": {"type": "integer", "minimum": 1, "maximum": 100},
                },
                "required": ["title", "on", "percent"],
                "additionalProperties": False,
            },
        },
        "reminders": {
            "type": ["object", "null"],
            "properties": {
                "isDisabled": {"type": "boolean"},
                "timeInterval": {"type": "integer", "minimum": 1, "maximum": MAX_INTERVAL},
                "timeUnit": {"enum": list(UNITS)},
                "replyToEmails": {
                    "type": ["array", "null"],
                    "maxItems": MAX_REPLY_TO,
                    "items": {"type": "string", "maxLength": 300, "pattern": "^[^@\\s]+@[^@\\s]+$"},
                },
            },
            "additionalProperties": False,
        },
        "owner": _NAME,
    },
    "required": ["title", "scorecard", "targetOn"],
    "additionalProperties": False,
}
# What an answer of ours has beside that, so that it can be sent back as it came.
ANSWERED: Final = (
    "identifier",
    "state",
    "progress",
    "baseline",
    "report",
    "daysLeft",
    "startedAt",
    "endedAt",
)


def may_manage(principal: Principal, scorecard: Scorecard) -> bool:
    """Admins and the scorecard's owner; `blueprint` loaded."""
    return may_edit(principal, scorecard)


def read(
    body: Mapping[str, Any], known: Initiative | None, principal: Principal, today: date
) -> Initiative:
    sent = documents.checked_document(body, _SCHEMA, without=ANSWERED)
    scorecard = find_scorecard(principal, sent["scorecard"], sent.get("blueprint"))
    if not may_manage(principal, scorecard):
        raise refused()
    if known is not None and known.scorecard_id != scorecard.pk:
        raise InvalidInput.of("scorecard", sent["scorecard"], "the same scorecard as before")
    starts_on = known.starts_on if known else today
    if told := sent.get("startsOn"):
        starts_on = _date(told, "startsOn")
    target_on = _date(sent["targetOn"], "targetOn")
    is_begun = known is not None and known.started_at is not None
    if known is not None and is_begun and starts_on != known.starts_on:
        raise InvalidInput.of("startsOn", starts_on.isoformat(), "as it is: it has begun")
    if target_on < starts_on:
        raise InvalidInput.of(
            "targetOn", sent["targetOn"], f"a day from {starts_on.isoformat()} on"
        )
    if known is None and target_on < today:
        raise InvalidInput.of("targetOn", sent["targetOn"], "a day that is to come")
    ladder = ladder_of(scorecard)
    rank = _rank(sent.get("level"), ladder)
    rules = _rules(sent.get("rules") or [], ladder)
    if not rules and rank is None:
        raise InvalidInput.of("rules", [], "at least a rule, or a level to reach")
    filter = sent.get("filter") or None
    entities_of(filter)
    is_fixed = bool(sent.get("isFixed", False))
    is_list_kept = is_fixed and (known is None or documents.is_same(filter, known.filter))
    if known is not None and is_begun and known.is_fixed and not is_list_kept:
        field = "filter" if is_fixed else "isFixed"
        raise InvalidInput.of(field, sent.get(field), "as it is: the list is fixed since then")
    one = known or Initiative(scorecard=scorecard, identifier=f"in{token_hex(8)}")
    one.title = sent["title"]
    one.description = sent.get("description") or ""
    if not is_begun:
        one.state = State.DRAFT if sent.get("isDraft") else State.RUNNING
    elif sent.get("isDraft"):
        raise InvalidInput.of("isDraft", True, "false: it has begun")
    one.rules, one.rank, one.filter, one.is_fixed = rules, rank, filter, is_fixed
    one.starts_on, one.target_on = starts_on, target_on
    one.milestones = _milestones(sent.get("milestones") or [], starts_on, target_on)
    one.reminders = sent.get("reminders") or {}
    one.owner = _owner(sent.get("owner") or "")
    return one


def _rank(level: str | None, ladder: Ladder) -> int | None:
    if not level:
        return None
    rank = ladder.definition.rank_of(level)
    if not rank:  # everybody is at the first one
        titles = ", ".join(one.title for one in ladder.definition.levels[1:]) or "none: it has none"
        raise InvalidInput.of("level", level, f"one of {titles}")
    return rank


def _rules(wanted: Sequence[str], ladder: Ladder) -> list[str]:
    known = ladder.slots
    for index, one in enumerate(wanted):
        if one not in known:
            names = ", ".join(list(known)[:20]) or "none: it has none"
            raise InvalidInput.of(f"rules.{index}", one, f"a rule of the scorecard ({names})")
    return list(dict.fromkeys(wanted))


def _milestones(
    sent: Sequence[Mapping[str, Any]], starts_on: date, target_on: date
) -> list[dict[str, Any]]:
    found = []
    for index, one in enumerate(sent):
        day = _date(one["on"], f"milestones.{index}.on")
        if not starts_on <= day <= target_on:
            raise InvalidInput.of(
                f"milestones.{index}.on",
                one["on"],
                f"a day from {starts_on.isoformat()} to {target_on.isoformat()}",
            )
        found.append({"title": one["title"], "on": day.isoformat(), "percent": one["percent"]})
    return sorted(found, key=lambda one: str(one["on"]))


def _owner(name: str) -> str:
    if not name or "@" in name:
        return name
    team = team_called(name)
    if team is None:
        raise InvalidInput.of("owner", name, "an e-mail address, or the identifier of a team")
    return team.identifier


def _date(value: str, field: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise InvalidInput.of(field, value, "a day like 2026-03-31") from None


def refused() -> PermissionDenied:
    return PermissionDenied(
        "You may not change initiatives of this scorecard",
        hint="That is for admins and the owner of the scorecard.",
        details={"resource": "Initiative"},
    )
