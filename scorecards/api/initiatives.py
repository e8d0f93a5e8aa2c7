"""/v1/initiatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import OBJECT, documented, envelope, flag, list_of, query
from catalog.kernel.pagination import encode_cursor
from scorecards.models import Initiative
from scorecards.selectors.burndowns import burndown_of, document_of
from scorecards.selectors.initiative_documents import (
    initiative_document,
    initiative_documents,
    item_document,
)
from scorecards.selectors.initiative_scope import targets_of
from scorecards.selectors.initiatives import (
    ITEM_STATES,
    OVER,
    Asked,
    items_of,
    numbers_of,
    rows_of,
    visible_initiatives,
)
from scorecards.selectors.results import ladder_of
from scorecards.services import initiatives as services

TAG: Final = "Scorecards"
MAX_ROWS: Final = 1000

_ONE = envelope(initiative=OBJECT)
_TEXT = {"type": "string"}
_DAY = {"type": "string", "format": "date"}
_BODY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {**_TEXT, "minLength": 1, "maxLength": 300},
        "description": {"type": ["string", "null"]},
        "scorecard": {**_TEXT, "description": "Identifier of the scorecard."},
        "blueprint": {
            "type": ["string", "null"],
            "description": "Of the scorecard, where several have one of this name.",
        },
        "rules": {**list_of(_TEXT), "description": "Identifiers of the rules to pass."},
        "level": {"type": ["string", "null"], "description": "Title of the level to reach."},
        "filter": {
            "type": ["object", "null"],
            "description": "Which entities: `query` is a search, or CQL as text; `types` and "
            "`groups` have `include` and `exclude`. All that the scorecard is about if not given.",
        },
        "isFixed": {
            "type": "boolean",
            "description": "The entities of its start, whoever fits later.",
        },
        "isDraft": {"type": "boolean"},
        "startsOn": {**_DAY, "type": ["string", "null"], "description": "Today if not given."},
        "targetOn": _DAY,
        "milestones": list_of(
            {
                "type": "object",
                "properties": {
                    "title": _TEXT,
                    "on": _DAY,
                    "percent": {"type": "integer", "minimum": 1, "maximum": 100},
                },
                "required": ["title", "on", "percent"],
            }
        ),
        "reminders": {
            "type": ["object", "null"],
            "description": "Once a week if not given.",
            "properties": {
                "isDisabled": {"type": "boolean"},
                "timeInterval": {"type": "integer", "minimum": 1},
                "timeUnit": {"enum": list(services.UNITS)},
                "replyToEmails": list_of(_TEXT),
            },
        },
        "owner": {
            "type": ["string", "null"],
            "description": "An e-mail address, or the identifier of a team.",
        },
    },
    "required": ["title", "scorecard", "targetOn"],
}
_CHANGING = [403, 404, 409, 422]


class InitiativeList(ApiView):
    @documented(
        "list_initiatives",
        "List initiatives, by their target dates",
        tag=TAG,
        params=[
            query("scorecard", "Of the scorecards of this name."),
            flag("include_drafts", "Drafts, too."),
            flag("include_ended", "Those, too, that have ended or were cancelled."),
        ],
        answers={200: envelope(initiatives=list_of(OBJECT))},
        errors=[400],
        description=f"The first {MAX_ROWS}.",
    )
    def get(self, request: Request) -> Response:
        found = visible_initiatives(self.principal)
        if name := params.text(request, "scorecard"):
            found = found.filter(scorecard__identifier=name)
        if not params.flag(request, "include_drafts"):
            found = found.exclude(state=Initiative.State.DRAFT)
        if not params.flag(request, "include_ended"):
            found = found.exclude(state__in=OVER)
        rows = list(found.order_by("target_on", "pk")[:MAX_ROWS])
        return ok(initiatives=initiative_documents(rows, timezone.now().date()))

    @documented(
        "create_initiative",
        "Create an initiative",
        tag=TAG,
        body=_BODY,
        answers={201: _ONE},
        errors=_CHANGING,
        description="For admins and the owner of the scorecard. It begins at once unless it is a "
        "draft or its start lies ahead.",
    )
    def post(self, request: Request) -> Response:
        made = services.save(
            params.body_object(request), principal=self.principal, actor=self.actor
        )
        return ok(201, initiative=initiative_document(made, timezone.now().date()))


class InitiativeDetail(ApiView):
    @documented(
        "get_initiative",
        "Get an initiative",
        tag=TAG,
        path=["initiative"],
        answers={200: _ONE},
        errors=[404],
        description="With `report` when it is over.",
    )
    def get(self, request: Request, initiative: str) -> Response:
        found = services.get_initiative(initiative, principal=self.principal)
        return ok(initiative=initiative_document(found, timezone.now().date()))

    @documented(
        "replace_initiative",
        "Replace an initiative",
        tag=TAG,
        path=["initiative"],
        body=_BODY,
        answers={200: _ONE},
        errors=_CHANGING,
        description="How it began stays as it was.",
    )
    def put(self, request: Request, initiative: str) -> Response:
        changed = services.save(
            params.body_object(request),
            identifier=initiative,
            principal=self.principal,
            actor=self.actor,
        )
        return ok(initiative=initiative_document(changed, timezone.now().date()))

    @documented(
        "delete_initiative",
        "Delete an initiative",
        tag=TAG,
        path=["initiative"],
        answers={200: envelope()},
        errors=[403, 404],
    )
    def delete(self, request: Request, initiative: str) -> Response:
        found = services.get_initiative(initiative, principal=self.principal)
        services.delete(found, principal=self.principal, actor=self.actor)
        return ok()


class _Step(ApiView):
    """From one state to another."""

    def moved(self, initiative: str, move: Callable[..., Initiative]) -> Response:
        found = services.get_initiative(initiative, principal=self.principal)
        moved = move(found, principal=self.principal, actor=self.actor)
        return ok(initiative=initiative_document(moved, timezone.now().date()))


class InitiativeStart(_Step):
    @documented(
        "start_initiative",
        "Begin an initiative now",
        tag=TAG,
        path=["initiative"],
        answers={200: _ONE},
        errors=_CHANGING,
    )
    def post(self, request: Request, initiative: str) -> Response:
        return self.moved(initiative, services.start)


class InitiativeEnd(_Step):
    @documented(
        "end_initiative",
        "End an initiative",
        tag=TAG,
        path=["initiative"],
        answers={200: _ONE},
        errors=[403, 404, 409],
        description="One whose date is over ends by itself when nothing is open any more.",
    )
    def post(self, request: Request, initiative: str) -> Response:
        return self.moved(initiative, services.end)


class InitiativeCancellation(_Step):
    @documented(
        "cancel_initiative",
        "Give an initiative up",
        tag=TAG,
        path=["initiative"],
        answers={200: _ONE},
        errors=[403, 404, 409],
    )
    def post(self, request: Request, initiative: str) -> Response:
        return self.moved(initiative, services.cancel)


class InitiativeItems(ApiView):
    @documented(
        "list_initiative_items",
        "List the entities of an initiative",
        tag=TAG,
        path=["initiative"],
        params=[
            query("state", f"One of {', '.join(ITEM_STATES)}."),
            query("team", "Owned by this team."),
            query("rule", "That miss this rule."),
            query("limit", f"How many, 1 to {MAX_ROWS}; 100 if not given.", kind=int),
            query("from", "`next` of the page before."),
        ],
        answers={200: envelope(items=list_of(OBJECT))},
        errors=[400, 404],
        description="`openRules` has the easiest first. `next` is there where there are more.",
    )
    def get(self, request: Request, initiative: str) -> Response:
        found = services.get_initiative(initiative, principal=self.principal)
        asked = Asked(
            state=params.choice(request, "state", ITEM_STATES),
            team=params.text(request, "team", limit=1000),
            rule=params.text(request, "rule"),
        )
        limit = params.whole(request, "limit", default=100, high=MAX_ROWS)
        targets = targets_of(found, ladder_of(found.scorecard))
        items = items_of(found, targets, asked)
        if after := params.text(request, "from", limit=200):
            items = items.filter(pk__gt=params.cursor_value(after, int))
        rows = list(items.order_by("pk")[: limit + 1])
        more = {"next": encode_cursor([rows[limit - 1].pk])} if len(rows) > limit else {}
        return ok(
            items=[item_document(one) for one in rows_of(found, targets, rows[:limit])], **more
        )


class InitiativeBurndown(ApiView):
    @documented(
        "get_initiative_burndown",
        "Get how an initiative went day by day",
        tag=TAG,
        path=["initiative"],
        answers={200: envelope(burndown=OBJECT)},
        errors=[404],
        description="`open` counts missing targets of all entities together. The forecast goes by "
        "the last four weeks; there is none while there is no progress.",
    )
    def get(self, request: Request, initiative: str) -> Response:
        found = services.get_initiative(initiative, principal=self.principal)
        numbers = numbers_of([found.pk])[found.pk]
        burndown = burndown_of(found, numbers, timezone.now().date())
        return ok(burndown=document_of(burndown))
