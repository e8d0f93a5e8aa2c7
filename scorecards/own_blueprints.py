"""The blueprints of what stands for scorecards, rules and results as entities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from catalog.kernel.actors import Actor
from catalog.registry import OwnBlueprint

ACTOR: Final = Actor.system("scorecards")
SCORECARD, RULE, RESULT = "_scorecard", "_rule", "_rule_result"
PASSED, NOT_PASSED = "Passed", "Not passed"

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}


def _property(title: str, schema: Mapping[str, Any] = _TEXT, **more: Any) -> dict[str, Any]:
    return {**schema, "title": title, **more}


BLUEPRINTS: Final[Mapping[str, Mapping[str, Any]]] = {
    SCORECARD: {
        "identifier": SCORECARD,
        "title": "Scorecard",
        "icon": "Scorecards",
        "description": "A scorecard, and how many of its rules are passed.",
        "includeInGlobalSearch": False,
        "schema": {
            "properties": {
                "scorecard_identifier": _property("Identifier"),
                "blueprint": _property("Blueprint"),
                "levels": _property("Levels", {"type": "array"}),
                "filter": _property("Filter", {"type": "object"}),
                "rules_tested": _property("Rules tested", _NUMBER),
                "rules_passed": _property("Rules passed", _NUMBER),
                "percent": _property("Rules passed, in percent", _NUMBER),
                "version": _property("Version", _NUMBER),
                "has_rule_results": _property("Has rule results", {"type": "boolean"}),
                "results_as_of": _property("Results as of", format="date-time"),
            },
            "required": [],
        },
        "relations": {},
    },
    RULE: {
        "identifier": RULE,
        "title": "Rule",
        "icon": "Scorecards",
        "description": "A rule of a scorecard, and how many entities pass it.",
        "includeInGlobalSearch": False,
        "schema": {
            "properties": {
                "rule_identifier": _property("Identifier"),
                "level": _property("Level"),
                "query": _property("Query", {"type": "object"}),
                "expression": _property("Expression"),
                "rule_description": _property("Rule description"),
                "entities_tested": _property("Entities tested", _NUMBER),
                "entities_passed": _property("Entities passed", _NUMBER),
                "percent": _property("Entities passed, in percent", _NUMBER),
            },
            "required": [],
        },
        "relations": {
            "scorecard": {
                "title": "Scorecard",
                "target": SCORECARD,
                "many": False,
                "required": True,
            },
        },
    },
    RESULT: {
        "identifier": RESULT,
        "title": "Rule result",
        "icon": "Scorecards",
        "description": "How an entity does on a rule of a scorecard.",
        "includeInGlobalSearch": False,
        "schema": {
            "properties": {
                "result": _property(
                    "Result",
                    enum=[PASSED, NOT_PASSED],
                    enumColors={PASSED: "green", NOT_PASSED: "red"},
                ),
                "status": _property("Status"),
                "entity": _property("Entity"),
                "entity_link": _property("Link to the entity", format="url"),
                "result_last_change": _property("Last change", format="date-time"),
                "scorecard": _property("Scorecard"),
                "rule_identifier": _property("Rule"),
                "blueprint": _property("Blueprint"),
                "level": _property("Level"),
            },
            "required": [],
        },
        "relations": {
            "rule": {"title": "Rule", "target": RULE, "many": False, "required": True},
        },
    },
}

OWN_BLUEPRINTS: Final = tuple(
    OwnBlueprint(document, ACTOR.name, is_closed=identifier == RESULT)
    for identifier, document in BLUEPRINTS.items()
)
