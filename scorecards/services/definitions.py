"""Scorecards: checked in shape and kept as they were sent. Rules are not evaluated yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db import transaction

from catalog.kernel.actors import Actor
from catalog.kernel.errors import InvalidInput, NotFound, shorten
from catalog.kernel.identifiers import (
    check_entity_identifier,
    check_length,
    check_property_identifier,
    is_storable,
)
from catalog.models import Blueprint
from catalog.services import documents
from scorecards.models import Scorecard

MAX_IDENTIFIER: Final = 100
MAX_SCORECARDS: Final = 500  # of a blueprint, in one request
DEFAULT_LEVELS: Final = [
    {"title": "Basic", "color": "paleBlue"},
    {"title": "Bronze", "color": "bronze"},
    {"title": "Silver", "color": "silver"},
    {"title": "Gold", "color": "gold"},
]
COLOURS: Final = (
    "blue", "turquoise", "orange", "purple", "pink", "yellow", "green", "red", "gold", "silver",
    "paleBlue", "darkGray", "lightGray", "bronze", "lime", "olive", "brown",
)  # fmt: skip
OPERATORS: Final = (
    "=", "!=", ">", "<", ">=", "<=", "contains", "doesNotContains", "beginsWith",
    "doesNotBeginsWith", "endsWith", "doesNotEndsWith", "containsAny", "in", "isEmpty",
    "isNotEmpty", "between", "notBetween",
)  # fmt: skip

_TEXT: Final = {"type": ["string", "null"]}
_TITLE: Final = {"type": "string", "minLength": 1}
_CONDITION: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "property": {"type": "string"},
        "relation": {"type": "string"},
        "operator": {"enum": list(OPERATORS)},
    },
    "required": ["operator"],
    "oneOf": [{"required": ["property"]}, {"required": ["relation"]}],
}
_CONDITIONS: Final = {
    "type": "object",
    "properties": {
        "combinator": {"enum": ["and", "or"]},
        "conditions": {"type": "array", "minItems": 1, "items": _CONDITION},
    },
    "required": ["combinator", "conditions"],
}
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "title": _TITLE,
        "filter": {"anyOf": [{"type": "null"}, _CONDITIONS]},
        "levels": {
            "type": ["array", "null"],
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {"title": _TITLE, "color": {"enum": [*COLOURS, None]}},
                "required": ["title"],
            },
        },
        "rules": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "identifier": {"type": "string"},
                    "title": _TEXT,
                    "description": _TEXT,
                    "level": {"type": "string"},
                    "query": _CONDITIONS,
                },
                "required": ["identifier", "level", "query"],
            },
        },
        "properties": {"type": ["object", "null"]},
    },
    "required": ["title", "rules"],
}


def levels_of(document: Mapping[str, Any]) -> list[Any]:
    """The levels, lowest first; the usual four where nobody named any."""
    return document.get("levels") or DEFAULT_LEVELS


def get_scorecard(blueprint: str, identifier: str, *, is_locked: bool = False) -> Scorecard:
    """is_locked: to be changed. Raises NotFound."""
    found = Scorecard.objects.select_related("blueprint").filter(
        blueprint__identifier=blueprint, identifier=identifier
    )
    if is_locked:
        found = found.select_for_update(of=("self",))
    scorecard = found.first() if is_storable(blueprint) and is_storable(identifier) else None
    if scorecard is None:
        raise NotFound.of("Scorecard", identifier)
    return scorecard


def create_scorecard(blueprint: str, body: Mapping[str, Any], *, actor: Actor) -> Scorecard:
    """Raises NotFound, AlreadyExists, InvalidInput."""
    identifier = _checked_identifier(body.get("identifier"))
    document = _document(body)
    scorecard = Scorecard(blueprint=_blueprint(blueprint), identifier=identifier, document=document)
    return documents.create(scorecard, actor=actor, blueprint=blueprint)


def replace_scorecard(
    blueprint: str, identifier: str, body: Mapping[str, Any], *, actor: Actor
) -> Scorecard:
    """Another `identifier` in the body renames it. Raises NotFound, AlreadyExists, InvalidInput."""
    with transaction.atomic():
        scorecard = get_scorecard(blueprint, identifier, is_locked=True)
        new = _checked_identifier(body.get("identifier") or identifier)
        return documents.change(scorecard, new, _document(body), actor=actor, blueprint=blueprint)


def replace_scorecards(blueprint: str, bodies: Sequence[Any], *, actor: Actor) -> list[Scorecard]:
    """Make these all scorecards of the blueprint: others go. All or nothing.

    Raises NotFound, InvalidInput naming the index.
    """
    if len(bodies) > MAX_SCORECARDS:
        raise InvalidInput(
            f"There are {len(bodies)} scorecards; expected at most {MAX_SCORECARDS}",
            details={"value": len(bodies), "expected": f"<= {MAX_SCORECARDS}"},
        )
    with transaction.atomic():
        found = _blueprint(blueprint)
        Blueprint.objects.select_for_update().get(pk=found.pk)
        known = set(Scorecard.objects.filter(blueprint=found).values_list("identifier", flat=True))
        kept: list[Scorecard] = []
        for index, body in enumerate(bodies):
            try:
                if not isinstance(body, Mapping):
                    raise InvalidInput(f"{shorten(body)} is no object")
                identifier = _checked_identifier(body.get("identifier"))
                if identifier in [one.identifier for one in kept]:
                    raise InvalidInput(f'"{shorten(identifier)}" is there twice')
                if identifier in known:
                    kept.append(replace_scorecard(blueprint, identifier, body, actor=actor))
                else:
                    kept.append(create_scorecard(blueprint, body, actor=actor))
            except InvalidInput as error:
                raise InvalidInput(
                    f"scorecard {index}: {error.message}", details={**error.details, "index": index}
                ) from None
        for identifier in known - {one.identifier for one in kept}:
            delete_scorecard(blueprint, identifier, actor=actor)
    return kept


def delete_scorecard(blueprint: str, identifier: str, *, actor: Actor) -> None:
    """Raises NotFound."""
    with transaction.atomic():
        scorecard = get_scorecard(blueprint, identifier, is_locked=True)
        documents.delete(scorecard, actor=actor, blueprint=blueprint)


def _document(body: Mapping[str, Any]) -> dict[str, Any]:
    document = documents.checked_document(body, _SCHEMA, without=("identifier", "blueprint"))
    levels = [one["title"] for one in levels_of(document)]
    if len(set(levels)) < len(levels):
        raise InvalidInput.of("levels", levels, "different titles")
    seen: set[str] = set()
    for index, rule in enumerate(document["rules"]):
        field = f"rules.{index}"
        check_property_identifier(rule["identifier"], field=f"{field}.identifier")
        if rule["identifier"] in seen:
            raise InvalidInput.of(
                f"{field}.identifier", rule["identifier"], "another one for each rule"
            )
        seen.add(rule["identifier"])
        if rule["level"] not in levels[1:]:
            raise InvalidInput.of(
                f"{field}.level",
                rule["level"],
                f"one of {', '.join(levels[1:]) or 'none'}"
                + ("; everybody starts at the first level" if rule["level"] in levels else ""),
            )
    return document


def _blueprint(identifier: str) -> Blueprint:
    found = Blueprint.objects.filter(identifier=identifier).first()
    if found is None:
        raise NotFound.of("Blueprint", identifier)
    return found


def _checked_identifier(value: object) -> str:
    return check_length(check_entity_identifier(value), "identifier", MAX_IDENTIFIER)
