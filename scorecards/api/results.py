"""/v1/scorecards/{scorecard}/results and the like: how entities do, and why."""

from __future__ import annotations

from typing import Any, Final

from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import Schema, documented, envelope, list_of, query
from catalog.selectors.documents import timestamp
from scorecards.api.asked import OF_BLUEPRINT, asked_entity, asked_scorecard
from scorecards.definition import percentage_of
from scorecards.models import Score, Scorecard
from scorecards.portal.badges import badge_of, svg_response
from scorecards.selectors.results import (
    Explained,
    ExplainedRule,
    Ladder,
    Narrowing,
    explain_all,
    ladder_of,
    narrowed,
    scores_in_order,
    scores_of,
    seen_at,
    visible_scores,
)
from scorecards.selectors.results.lists import BY_KEY, OPEN
from scorecards.services import access, evaluating
from scorecards.statuses import STATUSES

TAG: Final = "Scorecards"
PAGE, MAX_PAGE = 100, 1000

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_NUMBER: Schema = {"type": "number"}
_NUMBER_OR_NULL: Schema = {"type": ["number", "null"]}
_WHOLE: Schema = {"type": "integer"}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_NAMES: Final = (OPEN, *(one.name for one in STATUSES.values() if one.name != "absent"))
_COUNTS: Final = ("entities", "changed", "raised", "lowered", "entered", "left")
_STATUS: Schema = {"type": "string", "enum": [*_NAMES[1:], "absent"]}

_STANDING: dict[str, Schema] = {
    "level": {**_TEXT_OR_NULL, "description": "Null for no level yet."},
    "points": _NUMBER,
    "total": {**_NUMBER, "description": "Points of the rules that count."},
    "percentage": {**_NUMBER_OR_NULL, "description": "Null where nothing counts."},
    "since": {**_MOMENT, "description": "When its statuses or its level last changed."},
    "evaluatedAt": _MOMENT,
    "dataAsOf": _MOMENT,
}
_RESULT: Schema = {
    "type": "object",
    "properties": {
        "entity": {
            "type": "object",
            "properties": {
                "identifier": _TEXT,
                "title": _TEXT_OR_NULL,
                "blueprint": _TEXT,
                "team": list_of(_TEXT),
            },
        },
        **_STANDING,
        "rules": {
            "type": "object",
            "additionalProperties": _STATUS,
            "description": "The status of each rule by its identifier.",
        },
    },
}
EXPLAINED: Schema = {
    "type": "object",
    "properties": {
        "identifier": _TEXT,
        "title": _TEXT,
        "blueprint": _TEXT_OR_NULL,
        **_STANDING,
        "nextLevel": _TEXT_OR_NULL,
        "missing": list_of(_TEXT, description="Rules in the way of the next level."),
        "exemptions": _WHOLE,
        "isStale": {"type": "boolean"},
        "rules": list_of(
            {
                "type": "object",
                "properties": {
                    "identifier": _TEXT,
                    "title": _TEXT,
                    "level": _TEXT_OR_NULL,
                    "weight": _NUMBER,
                    "status": _STATUS,
                    "message": _TEXT,
                    "fixUrl": _TEXT,
                    "since": {**_MOMENT, "type": ["string", "null"]},
                    "announcedFrom": _TEXT_OR_NULL,
                    "exemptUntil": {**_MOMENT, "type": ["string", "null"]},
                    "problem": _TEXT,
                    "tree": {
                        "description": "How the parts hang together: the place of one, or "
                        '`["and" | "or" | "not", [parts]]`; null where that is not known.'
                    },
                    "parts": list_of(
                        {
                            "type": "object",
                            "properties": {
                                "text": _TEXT,
                                "actual": {"description": "What was found; long values are cut."},
                                "verdict": {"type": ["boolean", "null"]},
                            },
                        }
                    ),
                },
            }
        ),
    },
}
_EVALUATION: Schema = {
    "type": "object",
    "properties": dict.fromkeys(_COUNTS, _WHOLE),
}


class ResultList(ApiView):
    @documented(
        "list_scorecard_results",
        "List how the entities of a scorecard do",
        tag=TAG,
        path=["scorecard"],
        params=[
            OF_BLUEPRINT,
            query("level", "Only at the level of this title; `null` for no level yet."),
            query("rule", "With `status`, its status on this rule; alone, where it is open."),
            query("status", f"One of {', '.join(f'`{name}`' for name in _NAMES)}, on any rule."),
            query("team", "Only what this team owns, by identifier."),
            query("entity", "Only entities of this identifier."),
            query("limit", f"How many, 1 to {MAX_PAGE}; {PAGE} if not given.", kind=int),
            query("from", "`next` of the page before."),
        ],
        answers={200: envelope(results=list_of(_RESULT), next=_TEXT_OR_NULL)},
        errors=[400, 404],
    )
    def get(self, request: Request, scorecard: str) -> Response:
        ladder = ladder_of(asked_scorecard(self, scorecard))
        scores = visible_scores(ladder.scorecard, self.principal)
        if entity := params.text(request, "entity", limit=1000):
            scores = scores.filter(entity__identifier=entity)
        found = BY_KEY.page(
            scores_in_order(narrowed(scores, _narrowing(request, ladder))),
            {"after": params.text(request, "from", limit=2000)},
            size=params.whole(request, "limit", default=PAGE, high=MAX_PAGE),
        )
        return ok(results=[_result(ladder, one) for one in found.rows], next=found.after)


class EvaluateNow(ApiView):
    @documented(
        "evaluate_scorecard",
        "Evaluate a scorecard now",
        tag=TAG,
        path=["scorecard"],
        params=[OF_BLUEPRINT],
        answers={200: envelope(evaluation=_EVALUATION)},
        errors=[400, 403, 404, 409],
        description="For admins and its owner. 409 while it is being evaluated.",
    )
    def post(self, request: Request, scorecard: str) -> Response:
        found = asked_scorecard(self, scorecard)
        access.require_evaluate(self.principal, found)
        done = evaluating.evaluate_now(found, actor=self.actor)
        return ok(evaluation={name: getattr(done, name) for name in _COUNTS})


class EntityScorecards(ApiView):
    @documented(
        "list_entity_scorecards",
        "Explain how an entity does on its scorecards",
        tag=TAG,
        path=["blueprint", "entity"],
        answers={200: envelope(scorecards=list_of(EXPLAINED))},
        errors=[404],
    )
    def get(self, request: Request, blueprint: str, entity: str) -> Response:
        found = asked_entity(self, blueprint, entity)
        explained = explain_all(scores_of(found, self.principal))
        return ok(scorecards=[explained_document(one) for one in explained])


class EntityBadge(ApiView):
    @documented(
        "get_scorecard_badge",
        "Get the level of an entity as a picture",
        tag=TAG,
        path=["scorecard", "blueprint", "entity"],
        answers={200: {**_TEXT, "description": "SVG."}},
        errors=[404],
        answer_type="image/svg+xml",
    )
    def get(
        self, request: Request, scorecard: str, blueprint: str, entity: str
    ) -> HttpResponseBase:
        return svg_response(request, badge_of(self.principal, scorecard, blueprint, entity)[2])


def _narrowing(request: Request, ladder: Ladder) -> Narrowing:
    rank = slot = None
    titles = [one.title or "null" for one in ladder.definition.levels]
    if level := params.choice(request, "level", titles):
        rank = titles.index(level)
    if name := params.choice(request, "rule", [one.spec.identifier for one in ladder.rungs]):
        rung = ladder.rung(name)
        slot = rung.slot if rung else None
    status = params.choice(request, "status", _NAMES)
    team = params.text(request, "team", limit=1000)
    return Narrowing(rank=rank, slot=slot, status=status, team=team)


def _standing(standing: Score | Explained, scorecard: Scorecard) -> dict[str, Any]:
    percentage = percentage_of(standing.points, standing.total)
    return {
        "points": float(standing.points),
        "total": float(standing.total),
        "percentage": None if percentage is None else round(percentage, 3),
        "since": timestamp(standing.since),
        "evaluatedAt": timestamp(seen_at(standing, scorecard)),
        "dataAsOf": timestamp(standing.data_as_of),
    }


def _result(ladder: Ladder, score: Score) -> dict[str, Any]:
    entity = score.entity
    return {
        "entity": {
            "identifier": entity.identifier,
            "title": entity.title,
            "blueprint": entity.blueprint.identifier,
            "team": entity.team,
        },
        "level": ladder.definition.level(score.rank).title or None,
        **_standing(score, ladder.scorecard),
        "rules": {
            rung.spec.identifier: status.name for rung, status in ladder.statuses(score.statuses)
        },
    }


def explained_document(one: Explained) -> dict[str, Any]:
    scorecard = one.scorecard
    return {
        "identifier": scorecard.identifier,
        "title": str(scorecard),
        "blueprint": scorecard.blueprint.identifier if scorecard.blueprint else None,
        "level": one.level.title or None,
        "nextLevel": one.next_level.title if one.next_level else None,
        **_standing(one, scorecard),
        "missing": [rule.spec.identifier for rule in one.missing],
        "exemptions": one.exemptions,
        "isStale": one.is_stale,
        "rules": [_rule(rule) for rule in one.rules],
    }


def _rule(rule: ExplainedRule) -> dict[str, Any]:
    return {
        "identifier": rule.spec.identifier,
        "title": rule.spec.title,
        "level": rule.spec.level or None,
        "weight": float(rule.spec.weight),
        "status": rule.status.name,
        "message": rule.message,
        "fixUrl": rule.fix_url,
        "since": timestamp(rule.since) if rule.since else None,
        "announcedFrom": rule.announced_from.isoformat() if rule.announced_from else None,
        "exemptUntil": timestamp(rule.exempt_until) if rule.exempt_until else None,
        "problem": rule.problem,
        "tree": rule.tree,
        "parts": [
            {"text": part.text, "actual": part.actual, "verdict": part.verdict}
            for part in rule.parts
        ],
    }
