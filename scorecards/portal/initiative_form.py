"""The form of an initiative: what somebody typed becomes the body that the service checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from django.http import QueryDict

from catalog.kernel.errors import InvalidInput
from catalog.kernel.json_text import write_json
from scorecards.models import Initiative, Scorecard
from scorecards.portal.links import scorecard_url
from scorecards.selectors.initiatives import level_title
from scorecards.selectors.results import Ladder
from scorecards.services.initiatives import MAX_INTERVAL, UNITS

MILESTONES: Final = 4  # rows of the form; there may be more
UNIT_WORDS: Final = {"DAY": "days", "WEEK": "weeks"}
MAX_TEXT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    title: str
    is_chosen: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """A form as it is shown: values as typed, choices of levels and rules."""

    scorecard: Scorecard
    scorecard_url: str
    values: Mapping[str, Any]
    levels: list[Choice]
    rules: list[Choice]
    units: list[Choice]
    milestones: list[dict[str, Any]]
    is_begun: bool
    max_interval: int = MAX_INTERVAL


def form_of(
    ladder: Ladder, initiative: Initiative | None = None, sent: QueryDict | None = None
) -> Form:
    """sent: what was typed and refused; else what the initiative says, else an empty one."""
    definition = ladder.definition
    if sent is not None:
        values: dict[str, Any] = {key: sent.get(key, "") for key in sent}
        level, rules = sent.get("level", ""), set(sent.getlist("rules"))
        milestones = _typed_milestones(sent)
    elif initiative is not None:
        values = _values(initiative)
        level, rules = level_title(initiative, definition.levels), set(initiative.rules)
        milestones = list(initiative.milestones)
    else:
        values = {"interval": "1", "unit": "WEEK", "reminders": "on"}
        level, rules, milestones = "", set(), []
    return Form(
        scorecard=ladder.scorecard,
        scorecard_url=scorecard_url(ladder.scorecard),
        values=values,
        levels=[Choice(one.title, one.title, one.title == level) for one in definition.levels[1:]],
        rules=[
            Choice(
                rung.spec.identifier,
                rung.spec.title or rung.spec.identifier,
                rung.spec.identifier in rules,
                rung.spec.level,
            )
            for rung in ladder.rungs
        ],
        units=[Choice(key, UNIT_WORDS[key], key == values.get("unit")) for key in UNITS],
        milestones=[*milestones, *({} for _ in range(max(0, MILESTONES - len(milestones))))],
        is_begun=initiative is not None and initiative.started_at is not None,
    )


def body_of(scorecard: Scorecard, sent: QueryDict) -> dict[str, Any]:
    """The body for `services.initiatives.save`. Raises InvalidInput naming the field."""
    body: dict[str, Any] = {
        "title": sent.get("title", "").strip(),
        "description": sent.get("description", "").replace("\r\n", "\n").strip(),
        "scorecard": scorecard.identifier,
        "blueprint": scorecard.blueprint.identifier if scorecard.blueprint else "",
        "rules": sent.getlist("rules"),
        "level": sent.get("level") or None,
        "filter": _filter(sent),
        "isFixed": sent.get("isFixed") == "on",
        "isDraft": sent.get("isDraft") == "on",
        "startsOn": sent.get("startsOn") or None,
        "targetOn": sent.get("targetOn", ""),
        "milestones": [
            {**one, "percent": _whole(one["percent"], f"milestones.{index}.percent")}
            for index, one in enumerate(_typed_milestones(sent))
        ],
        "owner": sent.get("owner", "").strip() or None,
    }
    reminders: dict[str, Any] = {
        "timeInterval": _whole(sent.get("interval") or "1", "reminders.timeInterval"),
        "timeUnit": sent.get("unit") or "WEEK",
    }
    if sent.get("reminders") != "on":
        reminders["isDisabled"] = True
    if reply_to := sent.get("replyTo", "").replace(",", " ").split():
        reminders["replyToEmails"] = reply_to
    return {**body, "reminders": reminders}


def _values(one: Initiative) -> dict[str, Any]:
    told = one.reminders
    return {
        "title": one.title,
        "description": one.description,
        "filter": write_json(one.filter) if one.filter else "",
        "isFixed": "on" if one.is_fixed else "",
        "isDraft": "on" if one.state == Initiative.State.DRAFT else "",
        "startsOn": one.starts_on.isoformat(),
        "targetOn": one.target_on.isoformat(),
        "owner": one.owner,
        "interval": str(told.get("timeInterval", 1)),
        "unit": told.get("timeUnit", "WEEK"),
        "reminders": "" if told.get("isDisabled") else "on",
        "replyTo": ", ".join(told.get("replyToEmails") or ()),
    }


def _filter(sent: QueryDict) -> dict[str, Any] | None:
    """The JSON of the field, narrowed down to a team where one was chosen."""
    text, team = sent.get("filter", "").strip(), sent.get("team", "").strip()
    found: Any = {}
    if text:
        if len(text) > MAX_TEXT:
            raise InvalidInput.of("filter", text, f"at most {MAX_TEXT:,} characters")
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise InvalidInput.of("filter", text, f"JSON ({error})") from None
        if not isinstance(found, dict):
            raise InvalidInput.of("filter", text, "a JSON object")
        if "combinator" in found:  # a search by itself
            found = {"query": found}
    if team:
        rule = {"property": "$team", "operator": "containsAny", "value": [team]}
        query = found.get("query")
        if isinstance(query, str):
            raise InvalidInput.of("team", team, "none beside CQL: say it there")
        rules = [rule, query] if query else [rule]
        found["query"] = {"combinator": "and", "rules": rules}
    return found or None


def _typed_milestones(sent: QueryDict) -> list[dict[str, Any]]:
    """The rows in which something was typed."""
    rows = zip(
        sent.getlist("milestone-title"),
        sent.getlist("milestone-on"),
        sent.getlist("milestone-percent"),
        strict=False,
    )
    return [
        {"title": title.strip(), "on": on.strip(), "percent": percent.strip()}
        for title, on, percent in rows
        if title.strip() or on.strip() or percent.strip()
    ]


def _whole(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidInput.of(field, text, "a whole number")
    return int(text)
