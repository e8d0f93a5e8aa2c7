"""Initiatives in Cortex's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from django.db.models import Q
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.openapi import OBJECT, Schema, flag, list_of
from catalog.kernel.errors import InvalidInput
from scorecards.api.cortex.base import PAGING, call, page_of
from scorecards.api.cortex.documents import expression_of, numbers_of
from scorecards.api.cortex.scorecards import ScorecardView
from scorecards.models import Initiative, Scorecard
from scorecards.selectors.initiatives import OVER, visible_initiatives
from scorecards.selectors.results import Ladder, ladder_of, ladders_of
from scorecards.services import initiatives as services

State = Initiative.State
_Result = TypeVar("_Result")

# What services call the keys of a body.
_NAMES: Final = {
    "title": "name",
    "targetOn": "targetDate",
    "scorecard": "scorecardTag",
    "level": "emphasizedLevels",
    "rules": "emphasizedRules",
    "reminders": "notificationSchedule",
}
_BODY: Final[Schema] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "description": {"type": "string"},
        "scorecardTag": {"type": "string"},
        "targetDate": {"type": "string", "format": "date"},
        "isDraft": {"type": "boolean"},
        "emphasizedLevels": list_of(
            {"type": "object", "properties": {"rank": {"type": "integer"}}, "required": ["rank"]}
        ),
        "emphasizedRules": list_of(
            {
                "type": "object",
                "properties": {"expression": {"type": "string"}},
                "required": ["expression"],
            }
        ),
        "filter": OBJECT,
        "notificationSchedule": OBJECT,
    },
    "required": ["name", "scorecardTag", "targetDate"],
}
_PATH: Final = ("initiative",)


class InitiativeView(ScorecardView):
    def body(self, request: Request) -> dict[str, Any]:
        """The initiative that was sent, in the words of `services.save`. Raises InvalidInput."""
        sent = params.body_object(request)
        scorecard = self.scorecard(params.body_text(sent, "scorecardTag"))
        ladder = ladder_of(scorecard)
        return {
            "title": sent.get("name"),
            "description": sent.get("description"),
            "scorecard": scorecard.identifier,
            "blueprint": scorecard.blueprint.identifier if scorecard.blueprint else "",
            "targetOn": sent.get("targetDate"),
            "isDraft": sent.get("isDraft") or False,
            "level": _level(_listed(sent, "emphasizedLevels"), scorecard, ladder),
            "rules": _rules(_listed(sent, "emphasizedRules"), ladder),
            "filter": sent.get("filter"),
            "reminders": sent.get("notificationSchedule"),
        }


class InitiativeList(InitiativeView):
    @call(
        "list_initiatives",
        "List initiatives",
        params=[
            flag("includeDrafts", "Drafts, too."),
            flag("includeExpired", "Those that are over, too."),
            *PAGING,
        ],
        answers={200: page_of("initiatives")},
    )
    def get(self, request: Request) -> Response:
        found = visible_initiatives(self.principal)
        if not params.flag(request, "includeDrafts"):
            found = found.exclude(state=State.DRAFT)
        if not params.flag(request, "includeExpired"):
            today = timezone.now().date()
            found = found.exclude(Q(state__in=OVER) | Q(target_on__lt=today))
        return self.paged("initiatives", found.order_by("target_on", "pk"), _documents)

    @call(
        "create_initiative",
        "Create an initiative",
        body=_BODY,
        answers={200: OBJECT},
        errors=[403],
        description="A level is named by its rank, a rule by its expression.",
    )
    def post(self, request: Request) -> Response:
        body = self.body(request)
        made = _named(lambda: services.save(body, principal=self.principal, actor=self.actor))
        return Response(_documents([made])[0])


class InitiativeDetail(InitiativeView):
    @call("get_initiative", "Get an initiative", path=_PATH, answers={200: OBJECT})
    def get(self, request: Request, initiative: str) -> Response:
        found = services.get_initiative(initiative, principal=self.principal)
        return Response(_documents([found])[0])

    @call(
        "replace_initiative",
        "Replace an initiative",
        path=_PATH,
        body=_BODY,
        answers={200: OBJECT},
        errors=[403, 409],
        description="What Cortex has no word for (owner, milestones, its first day) stays.",
    )
    def put(self, request: Request, initiative: str) -> Response:
        known = services.get_initiative(initiative, principal=self.principal)
        kept = {
            "startsOn": known.starts_on.isoformat(),
            "milestones": known.milestones,
            "owner": known.owner,
            "isFixed": known.is_fixed,
        }
        body = {**self.body(request), **kept}
        made = _named(
            lambda: services.save(
                body, identifier=initiative, principal=self.principal, actor=self.actor
            )
        )
        return Response(_documents([made])[0])

    @call("delete_initiative", "Delete an initiative", path=_PATH, answers={204: {}}, errors=[403])
    def delete(self, request: Request, initiative: str) -> Response:
        found = services.get_initiative(initiative, principal=self.principal)
        services.delete(found, principal=self.principal, actor=self.actor)
        return Response(status=204)


def _named(save: Callable[[], _Result]) -> _Result:
    """Do it; what is wrong is told of the keys that were sent."""
    try:
        return save()
    except InvalidInput as error:
        head, dot, rest = str(error.details.get("field", "")).partition(".")
        if head not in _NAMES:
            raise
        raise InvalidInput(
            error.message.replace(head, _NAMES[head], 1),
            hint=error.hint,
            details={**error.details, "field": f"{_NAMES[head]}{dot}{rest}"},
        ) from None


def _listed(sent: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = sent.get(key) or []
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise InvalidInput.of(key, found, "a list of objects")
    return found


def _level(sent: list[Mapping[str, Any]], scorecard: Scorecard, ladder: Ladder) -> str | None:
    """The highest of the levels: it is reached by way of the others."""
    if not sent:
        return None
    numbers = numbers_of(scorecard)
    by_number = {numbers[one.title]: one.title for one in ladder.definition.levels[1:]}
    ranks = [one.get("rank") for one in sent]
    for place, rank in enumerate(ranks):
        if isinstance(rank, bool) or not isinstance(rank, int) or rank not in by_number:
            known = ", ".join(map(str, by_number)) or "none: the scorecard has no levels"
            raise InvalidInput.of(f"emphasizedLevels.{place}.rank", rank, f"one of {known}")
    return by_number[max(rank for rank in ranks if isinstance(rank, int))]


def _rules(sent: list[Mapping[str, Any]], ladder: Ladder) -> list[str]:
    found = []
    for place, one in enumerate(sent):
        expression = one.get("expression")
        same = [
            rung.spec.identifier for rung in ladder.rungs if expression_of(rung.spec) == expression
        ]
        if not same:
            raise InvalidInput.of(
                f"emphasizedRules.{place}.expression",
                expression,
                "the expression of a rule of the scorecard",
            )
        found += same
    return found


def _documents(initiatives: Sequence[Initiative]) -> list[dict[str, Any]]:
    scorecards = {one.scorecard_id: one.scorecard for one in initiatives}
    ladders = ladders_of(scorecards.values())
    return [_document(one, ladders[one.scorecard_id]) for one in initiatives]


def _document(one: Initiative, ladder: Ladder) -> dict[str, Any]:
    """I"""
    levels = ladder.definition.levels
    made: dict[str, Any] = {
        "cid": one.identifier,
        "name": one.title,
        "description": one.description,
        "scorecardTag": ladder.scorecard.identifier,
        "scorecardName": ladder.definition.title,
        "targetDate": one.target_on.isoformat(),
        "isDraft": one.state == State.DRAFT,
        "emphasizedLevels": [],
        "emphasizedRules": [
            {
                "expression": expression_of(rung.spec),
                "title": rung.spec.title,
                "description": rung.spec.description,
            }
            for identifier in one.rules
            if (rung := ladder.rung(identifier))
        ],
    }
    if one.rank is not None and one.rank < len(levels):
        level = levels[one.rank]
        number = numbers_of(ladder.scorecard)[level.title]
        made["emphasizedLevels"] = [{"rank": number, "name": level.title, "color": level.color}]
    if one.filter:
        made["filter"] = one.filter
    if one.reminders:
        made["notificationSchedule"] = one.reminders
    return made
