"""Scorecards as JSON of the API: Port's shape, and keys of our own beside it.

A rule asks by `query` (Port's conditions), `expression` (CQL) or `jq`; docs/scorecards-format.md
lists all keys. The order of keys, levels and rules stays as it was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from catalog.kernel.errors import InvalidInput
from catalog.kernel.identifiers import check_property_identifier
from catalog.selectors.search.rules import OPERATORS
from catalog.services import documents
from scorecards.definition import Definition, Filter, Language, Level, RuleSpec
from scorecards.formats import parts

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
STATES: Final = ("active", "draft", "archived")
LANGUAGES: Final = {
    "query": Language.CONDITIONS,
    "expression": Language.CQL,
    "jq": Language.JQ,
}
# What answers have beside the document; `state` is kept beside it, too.
ANSWERED: Final = ("identifier", "blueprint", "dialect", "version", "evaluatedAt")

_CONDITION: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "property": {"type": "string"},
        "relation": {"type": "string"},
        "operator": {"enum": list(OPERATORS)},
        "not": {"type": "boolean"},
    },
    "required": ["operator"],
    "oneOf": [{"required": ["property"]}, {"required": ["relation"]}],
}
_CONDITIONS: Final = {
    "combinator": {"enum": ["and", "or"]},
    "conditions": {"type": "array", "minItems": 1, "items": _CONDITION},
}
_FILTER: Final = {
    "type": ["object", "null"],
    "properties": {**_CONDITIONS, **parts.FILTER_KEYS},
    "dependentRequired": {"combinator": ["conditions"], "conditions": ["combinator"]},
    "minProperties": 1,
}
_LEVEL: Final = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": parts.MAX_TITLE},
        "description": parts.TEXT,
        "color": {
            "anyOf": [
                {"enum": [*COLOURS, None]},
                {"type": "string", "pattern": f"^#{parts.COLOR_PATTERN}$"},
            ]
        },
    },
    "required": ["title"],
}
_RULE: Final = {
    "identifier": {"type": "string"},
    "title": parts.TEXT,
    "level": parts.TEXT,
    "query": {
        "type": "object",
        "properties": _CONDITIONS,
        "required": ["combinator", "conditions"],
    },
    "expression": {"type": "string", "minLength": 1},
    "jq": {"type": "string", "minLength": 1},
    "filter": _FILTER,
}
_SCHEMA: Final = parts.scorecard_schema(
    {
        "title": {"type": "string", "minLength": 1},
        "state": {"enum": [*STATES, None]},
        "filter": _FILTER,
        "levels": {
            "type": ["array", "null"],
            "minItems": 1,
            "maxItems": parts.MAX_LEVELS,
            "items": _LEVEL,
        },
        "rules": parts.rules_schema(_RULE, ["identifier"]),
        "properties": {"type": ["object", "null"]},
    },
    ["title", "rules"],
)


def check(body: Mapping[str, Any]) -> dict[str, Any]:
    """The document that is kept of a body: without identifier, blueprint and state.

    Raises InvalidInput naming field, value and what was expected; PayloadTooLarge.
    """
    document = documents.checked_document(body, _SCHEMA, without=ANSWERED)
    levels = _checked_levels(document)
    seen: set[str] = set()
    for index, rule in enumerate(document["rules"]):
        _check_rule(rule, f"rules.{index}", levels, seen)
    document.pop("state", None)
    return document


def levels_of(document: Mapping[str, Any]) -> list[Any]:
    """The levels, lowest first; the usual four where nobody named any."""
    return document.get("levels") or DEFAULT_LEVELS


def read(identifier: str, blueprint: str | None, document: Mapping[str, Any]) -> Definition:
    """What a stored document says."""
    levels = tuple(
        Level(one["title"], parts.text(one, "color"), parts.text(one, "description"))
        for one in levels_of(document)
    )
    state = document.get("state")
    return Definition(
        identifier=identifier,
        title=parts.text(document, "title") or identifier,
        blueprint=blueprint,
        state=state if state in STATES else "active",
        levels=levels,
        rules=tuple(_rule(one) for one in document["rules"]),
        filter=_filter(document.get("filter")) or Filter(),
        **parts.scorecard_parts(document),
    )


def write(definition: Definition, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A scorecard in this format. document: what was sent, where it was sent in this format."""
    if document is not None:
        return {**document, "levels": levels_of(document)}
    written: dict[str, Any] = {"title": definition.title}
    if definition.description:
        written["description"] = definition.description
    if filter := _written_filter(definition.filter):
        written["filter"] = filter
    written["levels"] = [_written_level(one) for one in definition.levels]
    written["rules"] = [_written_rule(one) for one in definition.rules]
    return {**written, **dict(parts.written_parts(definition))}


def _checked_levels(document: Mapping[str, Any]) -> list[str]:
    titles = [one["title"] for one in levels_of(document)]
    if len(set(titles)) < len(titles):
        raise InvalidInput.of("levels", titles, "different titles")
    if "" in titles[1:]:
        raise InvalidInput.of(
            f"levels.{titles.index('', 1)}.title",
            '""',
            "a title; only the first level, at which everybody starts, may have none",
        )
    return titles


def _check_rule(rule: Mapping[str, Any], field: str, levels: list[str], seen: set[str]) -> None:
    check_property_identifier(rule["identifier"], field=f"{field}.identifier")
    if rule["identifier"] in seen:
        raise InvalidInput.of(
            f"{field}.identifier", rule["identifier"], "another one for each rule"
        )
    seen.add(rule["identifier"])
    asked = [key for key in LANGUAGES if key in rule]
    if len(asked) != 1:
        given = f"a rule with {' and '.join(asked)}" if asked else "a rule that asks nothing"
        raise InvalidInput.of(field, given, f"exactly one of {', '.join(LANGUAGES)}")
    level = rule.get("level")
    is_free = level is None and (asked != ["query"] or rule.get("weight") is not None)
    if level not in levels[1:] and not is_free:
        raise InvalidInput.of(
            f"{field}.level",
            "missing" if level is None else level,
            f"one of {', '.join(levels[1:]) or 'none'}"
            + ("; everybody starts at the first level" if level in levels else ""),
        )
    parts.check_rule_parts(rule, field)


def _rule(rule: Mapping[str, Any]) -> RuleSpec:
    key = next(key for key in LANGUAGES if key in rule)
    return RuleSpec(
        identifier=rule["identifier"],
        title=parts.text(rule, "title") or rule["identifier"],
        language=LANGUAGES[key],
        expression=rule[key],
        level=parts.text(rule, "level"),
        filter=_filter(rule.get("filter")),
        **parts.rule_parts(rule),
    )


def _filter(stated: object) -> Filter | None:
    if not isinstance(stated, Mapping):
        return None
    conditions = None
    if stated.get("conditions"):
        conditions = {key: stated[key] for key in ("combinator", "conditions") if key in stated}
    return parts.filter_of(stated, conditions=conditions)


def _written_filter(filter: Filter) -> dict[str, Any]:
    return {**(filter.conditions or {}), **parts.written_filter(filter)}


def _written_level(level: Level) -> dict[str, Any]:
    written = {"title": level.title, "color": level.color or "lightGray"}
    return {**written, "description": level.description} if level.description else written


def _written_rule(spec: RuleSpec) -> dict[str, Any]:
    key = next(key for key, language in LANGUAGES.items() if language is spec.language)
    written: dict[str, Any] = {
        "identifier": spec.identifier,
        "title": spec.title,
        "description": spec.description,
    }
    if spec.level:
        written["level"] = spec.level
    written[key] = spec.expression
    written.update(dict(parts.written_rule_parts(spec)))
    if spec.filter and (filter := _written_filter(spec.filter)):
        written["filter"] = filter
    return written
