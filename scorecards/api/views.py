"""/v1/scorecards and /v1/blueprints/{blueprint}/scorecards."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, get_blueprint, ok, signed
from catalog.api.openapi import OBJECT, documented, envelope, list_of
from catalog.kernel.errors import InvalidRequest
from catalog.services import permissions
from scorecards.models import Scorecard
from scorecards.services import definitions as services

TAG = "Scorecards"
_ONE = envelope(scorecard=OBJECT)
_LIST = {200: envelope(scorecards=list_of(OBJECT))}
_WRITING = [403, 404, 409, 422]


class ScorecardList(ApiView):
    @documented("list_scorecards", "List all scorecards", tag=TAG, answers=_LIST)
    def get(self, request: Request) -> Response:
        found = Scorecard.objects.select_related("blueprint")
        return ok(scorecards=[_document(one) for one in found])


class BlueprintScorecards(ApiView):
    @documented(
        "list_blueprint_scorecards",
        "List the scorecards of a blueprint",
        tag=TAG,
        path=["blueprint"],
        answers=_LIST,
        errors=[404],
    )
    def get(self, request: Request, blueprint: str) -> Response:
        found = get_blueprint(blueprint)
        scorecards = Scorecard.objects.select_related("blueprint").filter(blueprint=found)
        return ok(scorecards=[_document(one) for one in scorecards])

    @documented(
        "create_scorecard",
        "Create a scorecard",
        tag=TAG,
        path=["blueprint"],
        body=OBJECT,
        answers={201: _ONE},
        errors=_WRITING,
    )
    def post(self, request: Request, blueprint: str) -> Response:
        permissions.require_admin(self.principal, "create scorecards")
        made = services.create_scorecard(blueprint, params.body_object(request), actor=self.actor)
        return ok(201, scorecard=_document(made))

    @documented(
        "replace_scorecards",
        "Replace all scorecards of a blueprint",
        tag=TAG,
        path=["blueprint"],
        body=list_of(OBJECT),
        answers=_LIST,
        errors=_WRITING,
        description="Those that are not in the body are deleted. All or nothing.",
    )
    def put(self, request: Request, blueprint: str) -> Response:
        permissions.require_admin(self.principal, "change scorecards")
        if not isinstance(request.data, list):
            raise InvalidRequest(
                "The body is no list; expected a JSON array of scorecards",
                details={"field": "body", "expected": "a list"},
            )
        changed = services.replace_scorecards(blueprint, request.data, actor=self.actor)
        return ok(scorecards=[_document(one) for one in changed])


class ScorecardDetail(ApiView):
    @documented(
        "get_scorecard",
        "Get a scorecard",
        tag=TAG,
        path=["blueprint", "scorecard"],
        answers={200: _ONE},
        errors=[404],
    )
    def get(self, request: Request, blueprint: str, scorecard: str) -> Response:
        return ok(scorecard=_document(services.get_scorecard(blueprint, scorecard)))

    @documented(
        "replace_scorecard",
        "Replace a scorecard",
        tag=TAG,
        path=["blueprint", "scorecard"],
        body=OBJECT,
        answers={200: _ONE},
        errors=_WRITING,
    )
    def put(self, request: Request, blueprint: str, scorecard: str) -> Response:
        permissions.require_admin(self.principal, "change scorecards")
        changed = services.replace_scorecard(
            blueprint, scorecard, params.body_object(request), actor=self.actor
        )
        return ok(scorecard=_document(changed))

    @documented(
        "delete_scorecard",
        "Delete a scorecard",
        tag=TAG,
        path=["blueprint", "scorecard"],
        answers={200: envelope()},
        errors=[403, 404],
    )
    def delete(self, request: Request, blueprint: str, scorecard: str) -> Response:
        permissions.require_admin(self.principal, "delete scorecards")
        services.delete_scorecard(blueprint, scorecard, actor=self.actor)
        return ok()


def _document(scorecard: Scorecard) -> dict[str, Any]:
    return {
        "id": f"sc_{scorecard.pk}",
        "identifier": scorecard.identifier,
        "blueprint": scorecard.blueprint.identifier,
        **scorecard.document,
        "levels": services.levels_of(scorecard.document),
        **signed(scorecard),
    }
