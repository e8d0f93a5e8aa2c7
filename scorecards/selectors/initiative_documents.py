"""Initiatives as the API says them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from catalog.selectors.documents import timestamp
from scorecards.models import Initiative
from scorecards.selectors.initiatives import (
    ItemRow,
    Numbers,
    Part,
    by_team,
    is_complete,
    level_title,
    numbers_of,
    state_of,
)
from scorecards.selectors.results import ladders_of


def initiative_document(initiative: Initiative, today: date) -> dict[str, Any]:
    """One, with its closing report where it has ended."""
    [document] = initiative_documents([initiative], today)
    if initiative.ended_at is not None and initiative.started_at is not None:
        document["report"] = report_of(initiative)
    return document


def initiative_documents(initiatives: Sequence[Initiative], today: date) -> list[dict[str, Any]]:
    """Many; two statements. `scorecard__blueprint` loaded."""
    numbers = numbers_of([one.pk for one in initiatives])
    ladders = ladders_of({one.scorecard_id: one.scorecard for one in initiatives}.values())
    return [
        _document(one, numbers[one.pk], ladders[one.scorecard_id].definition.levels, today)
        for one in initiatives
    ]


def item_document(row: ItemRow) -> dict[str, Any]:
    one = row.item
    return {
        "blueprint": one.blueprint,
        "entity": one.identifier,
        "title": row.entity.title if row.entity else None,
        "team": row.entity.team if row.entity else [],
        "state": row.state,
        "open": one.open,
        "openRules": [rung.spec.identifier for rung in row.open_rules],
        "joinedAt": timestamp(one.joined_at),
        "doneAt": timestamp(one.done_at) if one.done_at else None,
        "leftAt": timestamp(one.left_at) if one.left_at else None,
    }


def report_of(initiative: Initiative) -> dict[str, Any]:
    """What came of one that is over: how it began and ended, and each team's part."""
    numbers = numbers_of([initiative.pk])[initiative.pk]
    return {
        "began": initiative.baseline,
        "ended": _progress(numbers),
        "isReached": is_complete(numbers),
        "teams": [_part(one) for one in by_team(initiative)],
    }


def _document(
    one: Initiative, numbers: Numbers, levels: Sequence[Any], today: date
) -> dict[str, Any]:
    is_over = one.ended_at is not None
    return {
        "identifier": one.identifier,
        "title": one.title,
        "description": one.description,
        "scorecard": one.scorecard.identifier,
        "blueprint": one.scorecard.blueprint.identifier if one.scorecard.blueprint else None,
        "rules": one.rules,
        "level": level_title(one, levels) or None,
        "filter": one.filter,
        "isFixed": one.is_fixed,
        "isDraft": one.state == Initiative.State.DRAFT,
        "startsOn": one.starts_on.isoformat(),
        "targetOn": one.target_on.isoformat(),
        "milestones": one.milestones,
        "reminders": one.reminders,
        "owner": one.owner,
        "state": state_of(one, numbers, today),
        "progress": _progress(numbers),
        "baseline": one.baseline,
        "daysLeft": None if is_over else (one.target_on - today).days,
        "startedAt": timestamp(one.started_at) if one.started_at else None,
        "endedAt": timestamp(one.ended_at) if one.ended_at else None,
        "createdAt": timestamp(one.created_at),
        "createdBy": one.created_by,
        "updatedAt": timestamp(one.updated_at),
        "updatedBy": one.updated_by,
    }


def _progress(numbers: Numbers) -> dict[str, Any]:
    percentage = numbers.percentage
    return {
        "entities": numbers.entities,
        "done": numbers.done,
        "open": numbers.open,
        "exempt": numbers.exempt,
        "regressed": numbers.regressed,
        "joined": numbers.joined,
        "left": numbers.left,
        "percentage": None if percentage is None else round(percentage, 2),
    }


def _part(one: Part) -> dict[str, Any]:
    return {"team": one.name, "entities": one.entities, "done": one.done, "open": one.open}
