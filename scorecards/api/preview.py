"""/v1/scorecards/preview: what would come of a scorecard, or of a rule, that is not saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import OBJECT, Schema, documented, envelope, list_of
from catalog.kernel.errors import InvalidInput
from catalog.kernel.identifiers import is_storable
from catalog.models import Entity
from catalog.services import permissions
from scorecards.api.asked import asked_entity
from scorecards.api.results import EXPLAINED, explained_document
from scorecards.models import Scorecard
from scorecards.selectors.results import find_scorecard
from scorecards.services import access
from scorecards.services.definitions import is_cortex
from scorecards.services.drafting import Draft, document_of, read_whole
from scorecards.services.previewing import Movement, Named, Preview, RulePreview, preview
from scorecards.services.trying import explain_draft

TAG = "Scorecards"
_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_WHOLE: Schema = {"type": "integer"}
_COUNTS: Schema = {
    "type": "object",
    "additionalProperties": _WHOLE,
    "description": "Entities by status.",
}
_NAMED: Schema = {
    "type": "object",
    "properties": {
        "blueprint": _TEXT,
        "identifier": _TEXT,
        "title": _TEXT,
        "wasLevel": {**_TEXT_OR_NULL, "description": "`null`: it was not in it."},
        "level": {**_TEXT_OR_NULL, "description": "`null`: it would not be in it."},
    },
}
_MOVEMENT: Schema = {
    "type": "object",
    "properties": {"count": _WHOLE, "entities": list_of(_NAMED, description="The first of them.")},
}
_REMARK: Schema = {"type": "object", "properties": {"field": _TEXT, "message": _TEXT}}
_PREVIEW: Schema = {
    "type": "object",
    "properties": {
        "entities": {**_WHOLE, "description": "That it would be about."},
        "wasEntities": _WHOLE,
        "levels": list_of(
            {
                "type": "object",
                "properties": {"title": _TEXT, "color": _TEXT, "was": _WHOLE, "now": _WHOLE},
            }
        ),
        "rules": list_of(
            {
                "type": "object",
                "properties": {
                    "identifier": _TEXT,
                    "title": _TEXT,
                    "announced": {"type": "boolean"},
                    "problem": {**_TEXT, "description": "Why it can only have no data."},
                    "was": _COUNTS,
                    "now": _COUNTS,
                    "passing": list_of(_NAMED),
                    "missing": list_of(_NAMED),
                },
            }
        ),
        "raised": _MOVEMENT,
        "lowered": _MOVEMENT,
        "entered": _MOVEMENT,
        "left": _MOVEMENT,
        "teams": list_of(
            {
                "type": "object",
                "properties": {
                    "team": {**_TEXT, "description": "Empty: nobody's."},
                    "entities": _WHOLE,
                    "raised": _WHOLE,
                    "lowered": _WHOLE,
                },
            }
        ),
        "warnings": list_of(_REMARK),
        "durationMs": _WHOLE,
    },
}
_ASKED: Schema = {
    "scorecard": {
        "description": "A scorecard as it is written, or the identifier of a saved one.",
        "oneOf": [OBJECT, _TEXT],
    },
    "blueprint": {**_TEXT, "description": "Of the saved one, where several have its name."},
    "rule": {
        **OBJECT,
        "description": "A rule to put into it, in place of the one of its identifier.",
    },
}
_WHO = "For admins, and for the owner of a saved scorecard that it would replace."


class ScorecardPreview(ApiView):
    @documented(
        "preview_scorecard",
        "See what would come of a scorecard",
        tag=TAG,
        body={"type": "object", "properties": _ASKED, "additionalProperties": True},
        answers={200: envelope(preview=_PREVIEW)},
        errors=[403, 404, 422],
        description="How all its entities would come out, beside how they do on the saved one of "
        f"its identifier and blueprint. The scorecard may also be the body itself. {_WHO} Nothing "
        "is stored.",
    )
    def post(self, request: Request) -> Response:
        draft, stored = _draft(self, params.body_object(request))
        found = preview(draft.definition, current=stored, principal=self.principal)
        return ok(preview=_preview(found, draft))


class EntityPreview(ApiView):
    @documented(
        "preview_entity",
        "See how one entity would do on a scorecard",
        tag=TAG,
        body={
            "type": "object",
            "properties": {
                **_ASKED,
                "entity": _TEXT,
                "kind": {
                    **_TEXT,
                    "description": "The blueprint of the entity, for a scorecard of several.",
                },
                "properties": {**OBJECT, "description": "If these were different."},
                "facts": {**OBJECT, "description": "If these were different."},
            },
            "required": ["scorecard", "entity"],
        },
        answers={
            200: envelope(
                result={
                    "oneOf": [EXPLAINED, {"type": "null"}],
                    "description": "`null`: the scorecard is not about it.",
                }
            )
        },
        errors=[403, 404, 422],
        description=f"{_WHO} Nothing is stored.",
    )
    def post(self, request: Request) -> Response:
        body = params.body_object(request)
        draft, stored = _draft(self, body)
        explained = explain_draft(
            draft,
            _entity(self, body, draft),
            stored=stored,
            properties=_edits(body, "properties"),
            facts=_edits(body, "facts"),
        )
        return ok(result=explained_document(explained) if explained else None)


def _draft(view: ApiView, body: dict[str, Any]) -> tuple[Draft, Scorecard | None]:
    """The scorecard that is asked about, and the saved one that it would replace."""
    document, stored = _given(view, body)
    if stored is None:
        permissions.require_admin(view.principal, "preview scorecards")
    else:
        access.require_edit(view.principal, stored)
    if (rule := body.get("rule")) is not None:
        document = _with_rule(document, rule)
    dialect = Scorecard.Dialect.CORTEX if is_cortex(document) else Scorecard.Dialect.NATIVE
    return read_whole(document, dialect, stored=stored), stored


def _given(view: ApiView, body: dict[str, Any]) -> tuple[Mapping[str, Any], Scorecard | None]:
    given = body.get("scorecard", body if "rules" in body else None)
    if isinstance(given, Mapping):
        return given, _saved(given)
    if not isinstance(given, str):
        raise InvalidInput.of("scorecard", given, "a scorecard, or the identifier of one")
    own = body.get("blueprint")
    if own is not None and not isinstance(own, str):
        raise InvalidInput.of("blueprint", own, "the identifier of a blueprint")
    stored = find_scorecard(view.principal, given, own)
    return document_of(stored), stored


def _saved(document: Mapping[str, Any]) -> Scorecard | None:
    own = None if is_cortex(document) else document.get("blueprint")
    name = document.get("tag" if is_cortex(document) else "identifier")
    if not (isinstance(name, str) and is_storable(name)):
        return None
    if own and not (isinstance(own, str) and is_storable(own)):
        return None
    found = Scorecard.objects.select_related("blueprint")
    return found.filter(identifier=name, blueprint__identifier=own or None).first()


def _with_rule(document: Mapping[str, Any], rule: Any) -> dict[str, Any]:
    if not isinstance(rule, Mapping):
        raise InvalidInput.of("rule", rule, "a rule: an object")
    rules = document.get("rules")
    kept = rules if isinstance(rules, list) else []
    name = rule.get("identifier")
    places = [
        at
        for at, one in enumerate(kept)
        if isinstance(one, Mapping) and one.get("identifier") == name
    ]
    if name is None or not places:
        return {**document, "rules": [*kept, rule]}
    return {**document, "rules": [rule if at in places else one for at, one in enumerate(kept)]}


def _entity(view: ApiView, body: dict[str, Any], draft: Draft) -> Entity:
    kind = draft.definition.blueprint or params.body_text(body, "kind")
    identifier = params.body_text(body, "entity")
    return asked_entity(view, kind, identifier)


def _edits(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise InvalidInput.of(name, value, "an object")
    return value or {}


def _preview(found: Preview, draft: Draft) -> dict[str, Any]:
    return {
        "entities": found.entities,
        "wasEntities": found.was_entities,
        "levels": [
            {"title": one.level.title, "color": one.level.color, "was": one.was, "now": one.now}
            for one in found.levels
        ],
        "rules": [_rule(one) for one in found.rules],
        "raised": _movement(found.raised),
        "lowered": _movement(found.lowered),
        "entered": _movement(found.entered),
        "left": _movement(found.left),
        "teams": [
            {
                "team": one.team,
                "entities": one.entities,
                "raised": one.raised,
                "lowered": one.lowered,
            }
            for one in found.teams
        ],
        "warnings": [{"field": one.field, "message": one.message} for one in draft.remarks],
        "durationMs": found.duration_ms,
    }


def _rule(one: RulePreview) -> dict[str, Any]:
    return {
        "identifier": one.identifier,
        "title": one.title,
        "announced": one.is_announced,
        "problem": one.problem,
        "was": dict(one.was),
        "now": dict(one.now),
        "passing": [_named(entity) for entity in one.passing],
        "missing": [_named(entity) for entity in one.missing],
    }


def _movement(movement: Movement) -> dict[str, Any]:
    return {"count": movement.count, "entities": [_named(one) for one in movement.names]}


def _named(entity: Named) -> dict[str, Any]:
    return {
        "blueprint": entity.blueprint,
        "identifier": entity.identifier,
        "title": entity.title,
        "wasLevel": entity.was_level,
        "level": entity.level,
    }
