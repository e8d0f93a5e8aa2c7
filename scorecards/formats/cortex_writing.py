"""A scorecard of the JSON format in Cortex's words.

Conditions become CQL where that says the same of every entity. A rule for which there is no such
CQL becomes a comment, which Cortex takes for a rule without data: it never passes where the rule
would not. Levels that no rule leads to are left out, since Cortex's cannot be reached then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import regex

from catalog.kernel.errors import Conflict
from scorecards.definition import Definition, Filter, Language, RuleSpec
from scorecards.formats import parts

_COLOURS: Final = {
    "blue": "#3b82f6", "turquoise": "#14b8a6", "orange": "#f97316", "purple": "#a855f7",
    "pink": "#ec4899", "yellow": "#eab308", "green": "#22c55e", "red": "#ef4444",
    "gold": "#d7ac58", "silver": "#c0c0c0", "paleBlue": "#bfdbfe", "darkGray": "#4b5563",
    "lightGray": "#d1d5db", "bronze": "#cd7f32", "lime": "#84cc16", "olive": "#808000",
    "brown": "#92400e",
}  # fmt: skip
_META: Final = {"$identifier": "entity.tag()"}
_ORDER: Final = (">", ">=", "<", "<=")
_TYPES: Final = {"string": str, "number": int | float, "boolean": bool}


class _Unsayable(Exception):
    """There is no CQL that says the same; its text says of what."""


def as_cortex(definition: Definition, properties: Mapping[str, Any]) -> dict[str, Any]:
    """properties: schema of each property of its blueprint. Raises Conflict for a filter that
    cannot be said: without it the scorecard would be about other entities.
    """
    written: dict[str, Any] = {"tag": definition.identifier, "name": definition.title}
    if definition.description:
        written["description"] = definition.description
    written["draft"] = definition.state == "draft"
    written.update(dict(parts.written_parts(definition)))
    led_to = {rule.level for rule in definition.rules}
    levels = [one for one in definition.levels if one.title in led_to and one.title]
    if levels:
        written["ladder"] = {
            "name": "Default",
            "levels": [
                {
                    "name": one.title,
                    "rank": rank,
                    **({"description": one.description} if one.description else {}),
                    "color": _COLOURS.get(one.color, one.color) or _COLOURS["lightGray"],
                }
                for rank, one in enumerate(levels, 1)
            ],
        }
    try:
        filter = _filter(definition.filter, definition.blueprint, properties)
    except _Unsayable as unsayable:
        raise Conflict(
            f"The filter cannot be written for Cortex: there is no CQL for {unsayable}",
            hint="GET the scorecard as JSON instead.",
            details={"field": "filter", "value": str(unsayable)},
        ) from None
    if filter:
        written["filter"] = filter
    written["rules"] = [_rule(rule, properties) for rule in definition.rules]
    return written


def _rule(spec: RuleSpec, properties: Mapping[str, Any]) -> dict[str, Any]:
    filter: dict[str, Any] = {}
    try:
        if spec.filter:
            filter = _filter(spec.filter, None, properties)
        expression = _expression(spec, properties)
    except _Unsayable as unsayable:
        comment = f"there is no CQL for {unsayable}".replace("*/", "* /")
        filter, expression = {}, f"/* {comment} */"
    written: dict[str, Any] = {"title": spec.title, "identifier": spec.identifier}
    if spec.description:
        written["description"] = spec.description
    written["expression"] = expression
    if spec.level:
        written["level"] = spec.level
    written.update(dict(parts.written_rule_parts(spec)))
    if filter:
        written["filter"] = filter
    return written


def _expression(spec: RuleSpec, properties: Mapping[str, Any]) -> str:
    if isinstance(spec.expression, Mapping):
        return _conditions(spec.expression, properties)
    if spec.language is Language.JQ:  # what it sees is not what jq() of CQL sees
        raise _Unsayable(f"the program {spec.expression}")
    return spec.expression


def _filter(filter: Filter, blueprint: str | None, properties: Mapping[str, Any]) -> dict[str, Any]:
    stated = parts.written_filter(filter)
    if blueprint:
        types = stated.get("types", {})
        excluded = [one for one in types.get("exclude", ()) if one != blueprint]
        if types and (len(excluded) < len(types.get("exclude", ())) or "include" in types):
            raise _Unsayable(f"types beside the blueprint {blueprint}")
        stated["types"] = {"include": [blueprint.removeprefix("_")]}
    if filter.conditions:
        query = _conditions(filter.conditions, properties)
        stated["query"] = f"({query}) and ({filter.query})" if filter.query else query
    return {"kind": "GENERIC", **stated} if stated else {}


def _conditions(query: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    said = [_condition(one, properties) for one in query["conditions"]]
    if len(said) == 1:
        return said[0]
    joined = " or " if query.get("combinator") == "or" else " and "
    return joined.join(f"({one})" for one in said)


def _condition(condition: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    if "relation" in condition:
        said = _of_relation(condition)
    else:
        said = _of_property(condition, properties)
    return f"!({said})" if condition.get("not") is True else said


def _of_relation(condition: Mapping[str, Any]) -> str:
    counted = f"entity.destinations(relationshipType = {_literal(condition['relation'])}).length"
    match condition["operator"]:
        case "isEmpty":
            return f"{counted} == 0"
        case "isNotEmpty":
            return f"{counted} > 0"
    raise _unsayable(condition)


def _of_property(condition: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """Only of what is known to be one text, number or truth: conditions look into lists."""
    name, operator, value = condition["property"], condition["operator"], condition.get("value")
    if name == "$team" and operator in ("isEmpty", "isNotEmpty"):
        return f"ownership.teams().length {'==' if operator == 'isEmpty' else '>'} 0"
    type = "string" if name in _META else (properties.get(name) or {}).get("type")
    if type not in _TYPES:
        raise _unsayable(condition)
    actual = _META.get(name) or f"custom({_literal(name)})"
    if operator in ("isEmpty", "isNotEmpty"):
        sign, joined = ("==", "or") if operator == "isEmpty" else ("!=", "and")
        null = f"{actual} {sign} null"
        return f'{null} {joined} {actual} {sign} ""' if type == "string" else null
    values = value if operator == "in" and isinstance(value, list) else [value]
    if not values or not all(_fits(one, type) for one in values):
        raise _unsayable(condition)
    if operator in ("=", "in"):
        return " or ".join(f"{actual} == {_literal(one)}" for one in values)
    if operator == "!=":  # true, too, where there is nothing
        return f"{actual} == null or {actual} != {_literal(value)}"
    if operator in _ORDER and type == "number":
        return f"{actual} {operator} {_literal(value)}"
    if type == "string" and operator in _PATTERNS:
        # an empty text is part of every text
        pattern = _PATTERNS[operator].format(regex.escape(str(value), literal_spaces=True))
        return f"{actual}.matchesIn({_literal(pattern)})"
    raise _unsayable(condition)


_PATTERNS: Final = {"contains": "{}", "beginsWith": "^{}", "endsWith": "{}$"}


def _fits(value: object, type: str) -> bool:
    if isinstance(value, bool):
        return type == "boolean"
    return isinstance(value, _TYPES[type])


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _unsayable(condition: Mapping[str, Any]) -> _Unsayable:
    return _Unsayable(json.dumps(condition, ensure_ascii=False))
