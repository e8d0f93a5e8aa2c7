"""Scorecards, scores and exemptions in Cortex's shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from catalog.models import Entity
from catalog.selectors.documents import timestamp
from scorecards import cql
from scorecards.api.cortex.tags import id_of, type_of
from scorecards.definition import Definition, Filter, Level, RuleSpec
from scorecards.formats import definition_of
from scorecards.formats.parts import number, written_filter
from scorecards.models import Exemption, Score, Scorecard
from scorecards.selectors.results import Ladder, Rung, seen_at
from scorecards.statuses import ERROR, NO_DATA, Status

_SHIELD: Final = "https://img.shields.io/static/v1"
# Colours of native scorecards whose names are none in CSS.
_COLOURS: Final = {"bronze": "cd7f32", "paleBlue": "afdbf5"}
_UNKNOWN_COLOUR: Final = "lightgrey"
_APPROVAL: Final[Mapping[str, str]] = {
    Exemption.Status.PENDING: "PENDING",
    Exemption.Status.APPROVED: "APPROVED",
}
_REJECTED: Final = "REJECTED"  # whatever else became of it
_ERRORS: Final = {NO_DATA: "There is no data", ERROR: "It could not be evaluated"}


def scorecard_document(scorecard: Scorecard) -> dict[str, Any]:
    """S; its `blueprint` loaded."""
    definition = definition_of(scorecard)
    made: dict[str, Any] = {
        "tag": scorecard.identifier,
        "name": definition.title,
        "description": definition.description,
        "isDraft": scorecard.state == Scorecard.State.DRAFT,
        "lastUpdated": timestamp(scorecard.updated_at),
        "notifications": {
            "enabled": definition.is_notifying,
            "scoreDropNotificationsEnabled": definition.is_notifying_drops,
        },
        "exemptions": {
            "enabled": definition.exemptions_enabled,
            "autoApprove": definition.exemptions_auto_approved,
        },
        "evaluation": {"window": definition.window_h},
        "filter": _filter(scope_of(definition)),
        "rules": [_rule(rule) for rule in definition.rules],
    }
    if definition.has_levels:
        numbers = numbers_of(scorecard)
        made["levels"] = [level_document(level, numbers) for level in definition.levels[1:]]
    return made


def scope_of(definition: Definition) -> Filter:
    """What the scorecard is about; its blueprint is a type."""
    found = definition.filter
    if definition.blueprint and not found.types:
        return replace(found, types=(definition.blueprint,), types_excluded=())
    return found


def numbers_of(scorecard: Scorecard) -> Mapping[str, int]:
    """The number of each level: as its file ranks it, else as it is counted from the first on."""
    definition = definition_of(scorecard)
    counted = {level.title: rank for rank, level in enumerate(definition.levels)}
    if scorecard.dialect != Scorecard.Dialect.CORTEX:
        return counted
    ladder = scorecard.document.get("ladder") or {}
    ranked = {one["name"]: one["rank"] for one in ladder.get("levels") or ()}
    return {**counted, **ranked}


def level_document(level: Level, numbers: Mapping[str, int]) -> dict[str, Any]:
    return {"level": {"name": level.title, "number": numbers[level.title]}}


def score_document(
    score: Score,
    ladder: Ladder,
    groups: Sequence[str],
    exemptions: Sequence[Exemption],
    numbers: Mapping[str, int],
) -> dict[str, Any]:
    """A service score. score: its `entity` and that one's blueprint loaded. exemptions: those of
    the entity that wait or hold, `rule` loaded."""
    entity = score.entity
    return {
        "service": {
            "tag": entity.identifier,
            "name": str(entity),
            "id": id_of(entity),
            "type": type_of(entity),
            "groups": list(groups),
            "owners": {"groups": list(entity.team), "individuals": []},
        },
        "lastEvaluated": timestamp(seen_at(score, ladder.scorecard)),
        "score": {
            "ladderLevels": ladder_levels(score, ladder, numbers),
            "rules": [
                _rule_score(rung, status)
                for rung, status in ladder.statuses(score.statuses)
                if status.counts
            ],
            "summary": {
                "score": number(score.points),
                "totalPossibleScore": number(score.total),
                "percentage": share(score),
            },
        },
        "ruleExemptions": [_rule_exemption(one, ladder) for one in exemptions],
    }


def entity_score_document(
    score: Score, ladder: Ladder, numbers: Mapping[str, int]
) -> dict[str, Any]:
    """How an entity does on one of its scorecards."""
    return {
        "scorecardId": ladder.scorecard.pk,
        "scorecardTag": ladder.scorecard.identifier,
        "scorecardName": ladder.definition.title,
        "score": number(score.points),
        "totalPossibleScore": number(score.total),
        "scorePercentage": share(score),
        "ladderLevels": ladder_levels(score, ladder, numbers),
    }


def next_steps_document(score: Score, ladder: Ladder, numbers: Mapping[str, int]) -> dict[str, Any]:
    """What is in the way of the next level; without levels, all that is not passed."""
    made: dict[str, Any] = {}
    if levels := ladder_levels(score, ladder, numbers):
        [made["currentLevel"]] = levels
    if (level := ladder.definition.next_level(score.rank)) is not None:
        made["nextLevel"] = level_document(level, numbers)
    made["rulesToComplete"] = [
        _described(rung.spec) for rung in ladder.missing(score.rank, score.statuses)
    ]
    return made


def ladder_levels(score: Score, ladder: Ladder, numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    """The level reached; none for who is where everybody starts."""
    if not ladder.definition.has_levels or not score.rank:
        return []
    return [level_document(ladder.definition.level(score.rank), numbers)]


def badge(score: Score, ladder: Ladder) -> str:
    """A picture in Markdown: the level, or the points where there are no levels."""
    title = ladder.definition.title
    if ladder.definition.has_levels:
        level = ladder.definition.level(score.rank)
        said, colour = level.title or "No level", level.color
    else:
        said = f"{number(score.points)}/{number(score.total)}"
        colour = ""
    asked = {
        "label": title,
        "message": said,
        "color": _COLOURS.get(colour, colour.lstrip("#")) or _UNKNOWN_COLOUR,
    }
    words = "".join(f"\\{letter}" if letter in "\\[]" else letter for letter in title)
    return f"![{' '.join(words.split())}]({_SHIELD}?{urlencode(asked)})"


def exemption_document(exemption: Exemption) -> dict[str, Any]:
    """X"""
    status: dict[str, Any] = {"status": _APPROVAL.get(exemption.status, _REJECTED)}
    if exemption.decided_at:
        status["date"] = timestamp(exemption.decided_at)
        status["handledBy"] = _person(exemption.decided_by, exemption.decided_by_kind)
    made = {
        "requestedBy": _person(exemption.requested_by, exemption.requested_by_kind),
        "requestedDate": timestamp(exemption.requested_at),
        "requestingReason": exemption.reason,
        "exemptionStatus": status,
    }
    return {**made, "endDate": timestamp(exemption.ends_at)} if exemption.ends_at else made


def entity_document(entity: Entity) -> dict[str, Any]:
    """As queries answer it; `blueprint` loaded."""
    made = {"tag": entity.identifier, "name": str(entity), "type": type_of(entity)}
    description = entity.properties.get("description")
    return {**made, "description": description} if isinstance(description, str) else made


def share(score: Score) -> float:
    """Of the points, from 0 to 1; 0 where nothing counts."""
    return round(float(score.points / score.total), 4) if score.total else 0.0


def _rule(rule: RuleSpec) -> dict[str, Any]:
    made = {**_described(rule), "weight": number(rule.weight)}
    if rule.level:
        made["levelName"] = rule.level
    if rule.failure_message:
        made["failureMessage"] = rule.failure_message
    if rule.effective_from:
        made["effectiveFrom"] = rule.effective_from.isoformat()
    if rule.filter:
        made["filter"] = _filter(rule.filter)
    return made


def _described(rule: RuleSpec) -> dict[str, Any]:
    made = {"identifier": rule.identifier, "title": rule.title, "expression": expression_of(rule)}
    return {**made, "description": rule.description} if rule.description else made


def expression_of(rule: RuleSpec) -> str:
    """Conditions, which Cortex has not, as JSON."""
    if isinstance(rule.expression, str):
        return rule.expression
    return orjson.dumps(rule.expression).decode()


def _filter(found: Filter) -> dict[str, Any] | None:
    made = written_filter(found)
    if found.conditions:
        made["conditions"] = found.conditions
    return made or None


def _rule_score(rung: Rung, status: Status) -> dict[str, Any]:
    """Exempt rules and those that do not apply, or not yet, are left out."""
    return {
        "identifier": rung.spec.identifier,
        "expression": expression_of(rung.spec),
        "score": number(rung.spec.weight) if status.is_passed else 0,
        "error": (rung.problem or _ERRORS[status]) if status in _ERRORS else None,
    }


def _rule_exemption(exemption: Exemption, ladder: Ladder) -> dict[str, Any]:
    rung = ladder.rung(exemption.rule.identifier)
    return {
        **exemption_document(exemption),
        "ruleIdentifier": exemption.rule.identifier,
        "ruleExpression": expression_of(rung.spec) if rung else "",
    }


def _person(name: str, kind: str) -> dict[str, Any]:
    if kind == "user":
        return {"type": "USER", "email": name}
    return {"type": "API_KEY" if kind == "client" else "SYSTEM", "name": name}


def groups_by_entity(pks: Sequence[int]) -> dict[int, Sequence[str]]:
    """The groups of entities, as `hasGroup` of CQL sees them; one statement."""
    found = Entity.objects.filter(pk__in=pks).annotate(its_groups=cql.GROUPS)
    return {pk: groups or () for pk, groups in found.values_list("pk", "its_groups")}
