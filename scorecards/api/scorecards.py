"""/v1/scorecards and /v1/blueprints/{blueprint}/scorecards."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, get_blueprint, ok, signed
from catalog.api.openapi import OBJECT, documented, envelope, flag, list_of, query
from catalog.api.parsers import JSONParser
from catalog.kernel.errors import InvalidInput, InvalidRequest
from catalog.selectors.documents import timestamp
from catalog.services import permissions
from scorecards.api.yaml_text import YamlText
from scorecards.formats import definition_of, descriptor_of, document_of
from scorecards.models import Scorecard
from scorecards.selectors.named import find_scorecard, get_scorecard
from scorecards.services import access, validating
from scorecards.services import definitions as services
from scorecards.services.checking import warnings_of

TAG = "Scorecards"
_TEXT = {"type": "string"}
_WARNINGS = list_of(
    {
        "type": "object",
        "properties": {"field": _TEXT, "message": _TEXT, "rule": _TEXT},
        "required": ["field", "message"],
    }
)
_ONE = envelope(scorecard=OBJECT)
WRITTEN = envelope(scorecard=OBJECT, warnings=_WARNINGS)
_LIST = {200: envelope(scorecards=list_of(OBJECT))}
WRITING = [403, 404, 409, 422]
_YAML = "As YAML of Cortex with the content type `application/yaml`; its `tag` is the identifier."
_REVERSED = flag(
    "reverse_ranks", "Of YAML: the smallest rank is the best level; ranks are turned round."
)
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "field": _TEXT,
        "message": _TEXT,
        "expected": _TEXT,
        "hint": _TEXT,
        "rule": _TEXT,
        "line": {"type": "integer"},
        "column": {"type": "integer"},
    },
    "required": ["field", "message"],
}


class ScorecardView(ApiView):
    parser_classes = [JSONParser, YamlText]

    def seen(self, identifier: str, blueprint: str | None = None) -> Scorecard:
        if blueprint is None:
            found = find_scorecard(identifier)
        else:
            found = get_scorecard(blueprint, identifier)
        access.require_see(self.principal, found)
        return found

    def permit(self, scorecard: Scorecard | None) -> None:
        access.require_save(self.principal, scorecard)

    def given(self) -> bytes | dict[str, Any]:
        """YAML as it was sent, or a JSON object."""
        body = self.request.data
        return body if isinstance(body, bytes) else params.body_object(self.request)


class ScorecardList(ScorecardView):
    @documented(
        "list_scorecards",
        "List all scorecards",
        tag=TAG,
        params=[query("page", "Clients of Port send it; it leaves out those without a blueprint.")],
        answers=_LIST,
        description="Drafts are shown to admins and to who owns them, archived ones to admins.",
    )
    def get(self, request: Request) -> Response:
        found = Scorecard.objects.select_related("blueprint")
        if params.text(request, "page"):
            found = found.filter(blueprint__isnull=False)
        return ok(scorecards=[_document(one) for one in access.visible_to(self.principal, found)])

    @documented(
        "save_scorecard",
        "Create a scorecard about entities of several blueprints",
        tag=TAG,
        params=[_REVERSED],
        body=OBJECT,
        answers={201: WRITTEN, 200: WRITTEN},
        errors=WRITING,
        description=f"{_YAML} A scorecard of Cortex that is there already is changed (200). JSON "
        "that names a `blueprint` is about that one alone.",
    )
    def post(self, request: Request) -> Response:
        given = self.given()
        if isinstance(given, bytes) or services.is_cortex(given):
            return self._save_cortex(given)
        self.permit(None)
        blueprint = given.get("blueprint")
        if blueprint is not None and not isinstance(blueprint, str):
            raise InvalidInput.of("blueprint", blueprint, "the identifier of a blueprint, or none")
        return written(services.create_scorecard(blueprint, given, actor=self.actor), 201)

    def _save_cortex(self, given: bytes | dict[str, Any]) -> Response:
        statuses = []

        def permit(scorecard: Scorecard | None) -> None:
            self.permit(scorecard)
            statuses.append(201 if scorecard is None else 200)

        saved, _ = services.save_cortex(
            given,
            actor=self.actor,
            reverse_ranks=params.flag(self.request, "reverse_ranks"),
            permit=permit,
        )
        assert saved is not None  # noqa: S101 - it was no dry run
        return written(saved, *statuses)


class ScorecardValidation(ScorecardView):
    @documented(
        "validate_scorecard",
        "Check a scorecard without storing it",
        tag=TAG,
        body=OBJECT,
        answers={
            200: envelope(valid={"type": "boolean"}, problems=list_of(_PROBLEM), warnings=_WARNINGS)
        },
        description=f"{_YAML} `problems` are what would be refused, `warnings` what is likely not "
        "meant, such as a property that the blueprint does not have. `line` is a line of the YAML, "
        "else of the rule's expression; `column` one of the expression.",
    )
    def post(self, request: Request) -> Response:
        given = self.given()
        blueprint = None if isinstance(given, bytes) else given.get("blueprint")
        found = validating.validate(
            given, blueprint=blueprint if isinstance(blueprint, str) else None
        )
        return ok(
            valid=not found.errors,
            problems=found.problems(),
            warnings=[one.as_dict() for one in found.remarks],
        )


class ScorecardDetail(ScorecardView):
    """The one of this identifier, whichever blueprint it is of."""

    @documented(
        "get_any_scorecard",
        "Get a scorecard by its identifier alone",
        tag=TAG,
        path=["scorecard"],
        answers={200: _ONE},
        errors=[404, 409],
        description="409 where several blueprints have one of this identifier.",
    )
    def get(self, request: Request, scorecard: str) -> Response:
        return ok(scorecard=_document(self.seen(scorecard)))

    @documented(
        "replace_any_scorecard",
        "Replace a scorecard by its identifier alone",
        tag=TAG,
        path=["scorecard"],
        params=[_REVERSED],
        body=OBJECT,
        answers={200: WRITTEN},
        errors=WRITING,
        description=f"{_YAML} Without a blueprint, it takes the format it is sent in.",
    )
    def put(self, request: Request, scorecard: str) -> Response:
        changed = services.replace_found(
            scorecard,
            self.given(),
            actor=self.actor,
            reverse_ranks=params.flag(request, "reverse_ranks"),
            permit=self.permit,
        )
        return written(changed)

    @documented(
        "delete_any_scorecard",
        "Delete a scorecard by its identifier alone",
        tag=TAG,
        path=["scorecard"],
        answers={200: envelope()},
        errors=[403, 404, 409],
        description="With its results and their history.",
    )
    def delete(self, request: Request, scorecard: str) -> Response:
        permissions.require_admin(self.principal, "delete scorecards")
        services.delete_scorecard(None, scorecard, actor=self.actor)
        return ok()


class ScorecardDescriptor(ScorecardView):
    @documented(
        "get_scorecard_descriptor",
        "Get a scorecard as YAML of Cortex",
        tag=TAG,
        path=["scorecard"],
        answers={200: {}},
        errors=[404, 409],
        description="As it was sent, or translated: a rule that CQL cannot say becomes a comment. "
        "409 where its filter cannot be said.",
    )
    def get(self, request: Request, scorecard: str) -> HttpResponse:
        text = descriptor_of(self.seen(scorecard))
        return HttpResponse(text, content_type="application/yaml")


class BlueprintScorecards(ScorecardView):
    @documented(
        "list_blueprint_scorecards",
        "List the scorecards of a blueprint",
        tag=TAG,
        path=["blueprint"],
        answers=_LIST,
        errors=[404],
    )
    def get(self, request: Request, blueprint: str) -> Response:
        found = Scorecard.objects.select_related("blueprint").filter(
            blueprint=get_blueprint(blueprint)
        )
        return ok(scorecards=[_document(one) for one in access.visible_to(self.principal, found)])

    @documented(
        "create_scorecard",
        "Create a scorecard",
        tag=TAG,
        path=["blueprint"],
        body=OBJECT,
        answers={201: WRITTEN},
        errors=WRITING,
    )
    def post(self, request: Request, blueprint: str) -> Response:
        self.permit(None)
        made = services.create_scorecard(blueprint, params.body_object(request), actor=self.actor)
        return written(made, 201)

    @documented(
        "replace_scorecards",
        "Replace all scorecards of a blueprint",
        tag=TAG,
        path=["blueprint"],
        body=list_of(OBJECT),
        answers=_LIST,
        errors=WRITING,
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


class BlueprintScorecardDetail(ScorecardView):
    @documented(
        "get_scorecard",
        "Get a scorecard",
        tag=TAG,
        path=["blueprint", "scorecard"],
        answers={200: _ONE},
        errors=[404],
    )
    def get(self, request: Request, blueprint: str, scorecard: str) -> Response:
        return ok(scorecard=_document(self.seen(scorecard, blueprint)))

    @documented(
        "replace_scorecard",
        "Replace a scorecard",
        tag=TAG,
        path=["blueprint", "scorecard"],
        body=OBJECT,
        answers={200: WRITTEN},
        errors=WRITING,
    )
    def put(self, request: Request, blueprint: str, scorecard: str) -> Response:
        body = params.body_object(request)
        self.permit(get_scorecard(blueprint, scorecard))
        return written(services.replace_scorecard(blueprint, scorecard, body, actor=self.actor))

    @documented(
        "delete_scorecard",
        "Delete a scorecard",
        tag=TAG,
        path=["blueprint", "scorecard"],
        answers={200: envelope()},
        errors=[403, 404],
        description="With its results and their history.",
    )
    def delete(self, request: Request, blueprint: str, scorecard: str) -> Response:
        permissions.require_admin(self.principal, "delete scorecards")
        services.delete_scorecard(blueprint, scorecard, actor=self.actor)
        return ok()


def _document(scorecard: Scorecard) -> dict[str, Any]:
    evaluated_at = scorecard.evaluated_at
    return {
        "id": f"sc_{scorecard.pk}",
        "identifier": scorecard.identifier,
        "blueprint": scorecard.blueprint.identifier if scorecard.blueprint else None,
        **document_of(scorecard),
        "state": scorecard.state,
        "dialect": scorecard.dialect,
        "version": scorecard.version,
        "evaluatedAt": timestamp(evaluated_at) if evaluated_at else None,
        **signed(scorecard),
    }


def written(scorecard: Scorecard, status: int = 200) -> Response:
    warnings = warnings_of(definition_of(scorecard))
    return ok(
        status,
        scorecard=_document(scorecard),
        warnings=[one.as_dict() for one in warnings],
    )
