"""The rule language, read and checked: JSON from outside becomes a tree of frozen dataclasses.

    {"combinator": "and" | "or", "rules": [rule | query, …]}

Every error is an InvalidQuery that names the place ("query.rules[2].value"), what stands there
and what was expected. docs/search.md lists the operators.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import Enum, auto
from typing import Any, Final

from catalog.kernel.errors import InvalidQuery, LimitExceeded, shorten
from catalog.selectors.search.moments import PRESETS, Range, parse_moment, parse_range

MAX_DEPTH: Final = 20
MAX_RULES: Final = 1000
MAX_WALKS: Final = 50  # rules with relatedTo: each may walk through a large part of the graph
MAX_VALUES: Final = 10_000
MAX_HOPS: Final = 15
MAX_PATH: Final = 15
_MAX_BITS: Final = 3000  # some 900 digits: more than any number that means something

META_PROPERTIES: Final = (
    "$identifier",
    "$title",
    "$blueprint",
    "$team",
    "$icon",
    "$createdAt",
    "$updatedAt",
    "$createdBy",
    "$updatedBy",
    "$datasource",
)

Scalar = str | int | float | bool | None


class Takes(Enum):
    """What an operator wants to its right."""

    NOTHING = auto()
    EQUAL = auto()  # null, a scalar or a list of them; a range of dates
    SCALAR = auto()  # text, a number, true or false
    TEXT = auto()
    LIST = auto()
    ORDERED = auto()  # a number or a date
    RANGE = auto()


@dataclass(frozen=True, slots=True)
class Operator:
    """`method` is the question asked of an operand; a negative one is true where it is not."""

    name: str
    takes: Takes
    method: str
    is_negative: bool = False


_LIST: Final = [
    Operator("=", Takes.EQUAL, "equals"),
    Operator("!=", Takes.EQUAL, "equals", is_negative=True),
    Operator(">", Takes.ORDERED, "compares"),
    Operator(">=", Takes.ORDERED, "compares"),
    Operator("<", Takes.ORDERED, "compares"),
    Operator("<=", Takes.ORDERED, "compares"),
    Operator("contains", Takes.SCALAR, "contains"),
    Operator("doesNotContains", Takes.SCALAR, "contains", is_negative=True),
    Operator("containsAny", Takes.LIST, "contains_any"),
    Operator("beginsWith", Takes.TEXT, "begins_with"),
    Operator("doesNotBeginsWith", Takes.TEXT, "begins_with", is_negative=True),
    Operator("endsWith", Takes.TEXT, "ends_with"),
    Operator("doesNotEndsWith", Takes.TEXT, "ends_with", is_negative=True),
    Operator("in", Takes.LIST, "is_in"),
    Operator("notIn", Takes.LIST, "is_in", is_negative=True),
    Operator("isEmpty", Takes.NOTHING, "is_empty"),
    Operator("isNotEmpty", Takes.NOTHING, "is_empty", is_negative=True),
    Operator("between", Takes.RANGE, "is_within"),
    Operator("notBetween", Takes.RANGE, "is_within", is_negative=True),
    Operator("isExpired", Takes.NOTHING, "is_expired"),
    Operator("isNotExpired", Takes.NOTHING, "is_running"),
]
OPERATORS: Final[Mapping[str, Operator]] = {one.name: one for one in _LIST}
RELATED_TO, MATCH_ANY = "relatedTo", "matchAny"


@dataclass(frozen=True, slots=True)
class ContextValue:
    """A property of the calling user's `_user` entity, or of the entities of their teams."""

    context: str  # "user" or "userTeams"
    property: str


@dataclass(frozen=True, slots=True)
class DateRange:
    """A span of dates, or the name of one that depends on when it is asked."""

    preset: str = ""
    span: Range | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Rules joined by "and" or "or". Without rules, "and" says nothing and "or", inside another
    group, finds nothing."""

    path: str
    combinator: str
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class NestedSearch:
    """A search in place of an identifier. It is read when it is used, since a broken one must
    find nothing instead of failing the whole query: exporters send what their mapping made."""

    document: Mapping[str, Any]


Value = Scalar | tuple[Scalar, ...] | ContextValue | DateRange | NestedSearch


@dataclass(frozen=True, slots=True)
class Named:
    """An operand: a property (its own, a computed one, or a meta one with $)."""

    name: str


@dataclass(frozen=True, slots=True)
class OfRelation:
    name: str


@dataclass(frozen=True, slots=True)
class OfSchema:
    """Every property of a schema like this: {"type", "format"?, "items"?}."""

    schema: Mapping[str, Any]


Operand = Named | ContextValue | OfRelation | OfSchema


@dataclass(frozen=True, slots=True)
class Comparison:
    path: str
    operand: Operand
    operator: Operator
    value: Value = None


@dataclass(frozen=True, slots=True)
class RelatedTo:
    """Things tied to one of the given entities by any chain of relations.

    direction: "upstream" (what they depend on), "downstream" (what depends on them), "" both.
    required: only relations that are (or are not) required; None any.
    """

    path: str
    blueprint: str
    value: tuple[str, ...] | ContextValue
    direction: str = ""
    required: bool | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One relation of a path, followed up to `hops` times in a row."""

    relation: str
    hops: int = 1


@dataclass(frozen=True, slots=True)
class MatchAny:
    """Things tied to one of the given entities by a given path of relations.

    The path leads from the things looked for to the given entities, or, with `start`, from the
    given entities, which are then of the blueprint `start`, to the things looked for.
    """

    path: str
    steps: tuple[Step, ...]
    value: tuple[str, ...] | ContextValue
    start: str | None = None


@dataclass(frozen=True, slots=True)
class OfScorecard:
    path: str
    scorecard: str
    rule: str | None
    operator: str
    value: str


Rule = Group | Comparison | RelatedTo | MatchAny | OfScorecard


def parse(query: Mapping[str, Any] | None, *, path: str = "query") -> Group:
    """Raises InvalidQuery for what is not a query, LimitExceeded for one that is too big."""
    if query is None:
        return Group(path, "and")
    return _Parser().group(query, path, depth=1)


def wrong(path: str, value: object, expected: str, *, hint: str = "") -> InvalidQuery:
    # an answer could not carry a lone surrogate either
    shown = shorten(value).encode(errors="backslashreplace").decode()
    return InvalidQuery(
        f"{path} must be {expected}, not {shown}",
        hint=hint,
        details={"field": path, "value": shown, "expected": expected},
    )


def no_scorecard(path: str, scorecard: object) -> InvalidQuery:
    return InvalidQuery(
        f'{path}: no scorecard "{shorten(scorecard)}"',
        details={
            "field": path,
            "value": shorten(scorecard),
            "expected": "an existing scorecard",
        },
    )


@dataclass(slots=True)
class _Parser:
    count: int = field(default=0)
    walks: int = field(default=0)

    def group(self, query: object, path: str, *, depth: int) -> Group:
        if not isinstance(query, Mapping):
            raise wrong(path, query, "an object with combinator and rules")
        if depth > MAX_DEPTH:
            raise _too_much(path, depth, f"at most {MAX_DEPTH} levels of nested rules")
        rules = query.get("rules")
        if rules is not None and not isinstance(rules, list | tuple):
            raise wrong(f"{path}.rules", rules, "a list of rules")
        combinator = query.get("combinator")
        if not rules and not query.keys() & {"property", "operator", "relation", "scorecard"}:
            return Group(path, combinator if combinator == "or" else "and")
        if combinator not in ("and", "or"):
            raise wrong(f"{path}.combinator", combinator, '"and" or "or"')
        self.count += len(rules or ())
        if self.count > MAX_RULES:
            raise _too_much(path, self.count, f"at most {MAX_RULES} rules in all")
        return Group(
            path,
            combinator,
            tuple(
                self.rule(rule, f"{path}.rules[{index}]", depth=depth)
                for index, rule in enumerate(rules or ())
            ),
        )

    def rule(self, rule: object, path: str, *, depth: int) -> Rule:
        if not isinstance(rule, Mapping):
            raise wrong(path, rule, "a rule or a group of rules")
        if "rules" in rule or "combinator" in rule:
            return self.group(rule, path, depth=depth + 1)
        operator = rule.get("operator")
        if operator == RELATED_TO:
            self.walks += 1
            if self.walks > MAX_WALKS:
                raise _too_much(path, self.walks, f"at most {MAX_WALKS} rules with {RELATED_TO}")
            return _related_to(rule, path)
        if operator == MATCH_ANY:
            return _match_any(rule, path)
        if "scorecard" in rule:
            return _of_scorecard(rule, path)
        known = OPERATORS.get(operator) if isinstance(operator, str) else None
        if known is None:
            names = [*OPERATORS, RELATED_TO, MATCH_ANY]
            close = get_close_matches(str(operator)[:50], names, n=1)
            raise wrong(
                f"{path}.operator",
                operator,
                f"one of {' '.join(names)}",
                hint=f"Did you mean {close[0]}?" if close else "",
            )
        operand = _operand(rule, path)
        value = _value(rule, known, path, operand)
        return Comparison(path, operand, known, value)


def _operand(rule: Mapping[str, Any], path: str) -> Operand:
    named = [key for key in ("property", "relation", "propertySchema") if key in rule]
    if len(named) != 1:
        raise wrong(path, dict(rule), "a rule with one of property, relation, propertySchema")
    key = named[0]
    value, where = rule[key], f"{path}.{key}"
    if key == "relation":
        return OfRelation(checked_name(value, where))
    if key == "propertySchema":
        if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
            raise wrong(where, value, 'a schema like {"type": "string", "format": "url"}')
        return OfSchema(value)
    if isinstance(value, Mapping):
        if "path" in value:
            raise wrong(f"{path}.operator", rule.get("operator"), f"{MATCH_ANY}, for a path")
        return _context(value, where)
    name = checked_name(value, where)
    if name.startswith("$") and name not in META_PROPERTIES:
        raise wrong(where, name, f"one of {' '.join(META_PROPERTIES)}, or a property without $")
    return Named(name)


def _value(rule: Mapping[str, Any], operator: Operator, path: str, operand: Operand) -> Value:
    where = f"{path}.value"
    if operator.takes is Takes.NOTHING:
        return None
    if "value" not in rule:
        raise wrong(where, None, f"given, for the operator {operator.name}")
    value = rule["value"]
    if isinstance(value, Mapping):
        return _object_value(value, operator, where, operand)
    check = {
        Takes.EQUAL: _equal_value,
        Takes.SCALAR: _scalar_value,
        Takes.TEXT: _text_value,
        Takes.LIST: _list_value,
        Takes.ORDERED: _ordered_value,
        Takes.RANGE: _range_value,
    }[operator.takes]
    return check(value, where)


def _object_value(
    value: Mapping[str, Any], operator: Operator, where: str, operand: Operand
) -> Value:
    if "context" in value:
        return _context(value, where)
    is_about_identifier = isinstance(operand, Named) and operand.name == "$identifier"
    if is_about_identifier and operator.takes in (Takes.EQUAL, Takes.LIST):
        return NestedSearch(value)
    takes_range = operator.takes is Takes.RANGE or operator.name == "="
    if takes_range and value.keys() & {"preset", "from", "to"}:
        return _range(value, where)
    if takes_range:
        raise wrong(where, dict(value), 'dates like {"from": …, "to": …} or {"preset": …}')
    raise wrong(where, dict(value), f"no object, for the operator {operator.name}")


def _equal_value(value: object, where: str) -> Value:
    if isinstance(value, list | tuple):
        return _list_value(value, where)
    return _scalar(value, where)


def _scalar_value(value: object, where: str) -> Value:
    if value is None or isinstance(value, list | tuple):
        hint = "For several values use containsAny." if value else ""
        raise wrong(where, value, "text, a number, true or false", hint=hint)
    return _scalar(value, where)


def _text_value(value: object, where: str) -> Value:
    if not isinstance(value, str):
        raise wrong(where, value, "text")
    return _text(value, where)


def _list_value(value: object, where: str) -> tuple[Scalar, ...]:
    if not isinstance(value, list | tuple):
        raise wrong(where, value, "a list of values")
    if len(value) > MAX_VALUES:
        raise _too_much(where, len(value), f"at most {MAX_VALUES} values")
    return tuple(_scalar(one, f"{where}[{index}]") for index, one in enumerate(value))


def _ordered_value(value: object, where: str) -> Value:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _scalar(value, where)
    if parse_moment(value) is None:
        raise wrong(where, value, "a number or an ISO 8601 date")
    return str(value)


def _range_value(value: object, where: str) -> Value:
    raise wrong(where, value, 'dates like {"from": …, "to": …} or {"preset": …}')


def _range(value: Mapping[str, Any], where: str) -> DateRange:
    if "preset" in value:
        if value["preset"] not in PRESETS:
            raise wrong(f"{where}.preset", value["preset"], f"one of {' '.join(PRESETS)}")
        return DateRange(preset=value["preset"])
    for key in ("from", "to"):
        if parse_moment(value.get(key)) is None:
            raise wrong(f"{where}.{key}", value.get(key), "an ISO 8601 date")
    span = parse_range(value["from"], value["to"])
    if span is None:
        raise wrong(where, dict(value), "dates with from before to")
    return DateRange(span=span)


def _related_to(rule: Mapping[str, Any], path: str) -> RelatedTo:
    direction = rule.get("direction") or ""
    if direction not in ("", "upstream", "downstream"):
        raise wrong(f"{path}.direction", direction, '"upstream", "downstream" or nothing')
    required = rule.get("required")
    if required is not None and not isinstance(required, bool):
        raise wrong(f"{path}.required", required, "true, false or nothing")
    return RelatedTo(
        path=path,
        blueprint=checked_name(rule.get("blueprint"), f"{path}.blueprint"),
        value=_identifiers(rule, path),
        direction=direction,
        required=required,
    )


def _match_any(rule: Mapping[str, Any], path: str) -> MatchAny:
    where = f"{path}.property"
    value = rule.get("property")
    if not isinstance(value, Mapping):
        raise wrong(where, value, 'a path like {"path": ["relation", …]}')
    steps = value.get("path")
    if isinstance(steps, str):
        steps = [steps]
    if not isinstance(steps, list | tuple) or not 1 <= len(steps) <= MAX_PATH:
        raise wrong(f"{where}.path", steps, f"a list of 1 to {MAX_PATH} relations")
    start = value.get("fromBlueprint")
    return MatchAny(
        path=path,
        steps=tuple(_step(one, f"{where}.path[{index}]") for index, one in enumerate(steps)),
        value=_identifiers(rule, path),
        start=None if start is None else checked_name(start, f"{where}.fromBlueprint"),
    )


def _step(step: object, where: str) -> Step:
    if not isinstance(step, Mapping):
        return Step(checked_name(step, where))
    hops = step.get("maxHops", 1)
    if not isinstance(hops, int) or isinstance(hops, bool) or not 1 <= hops <= MAX_HOPS:
        raise wrong(f"{where}.maxHops", hops, f"a whole number from 1 to {MAX_HOPS}")
    return Step(checked_name(step.get("relation"), f"{where}.relation"), hops)


def _of_scorecard(rule: Mapping[str, Any], path: str) -> OfScorecard:
    checked = rule.get("scorecardRule")
    return OfScorecard(
        path=path,
        scorecard=checked_name(rule["scorecard"], f"{path}.scorecard"),
        rule=None if checked is None else checked_name(checked, f"{path}.scorecardRule"),
        operator=checked_name(rule.get("operator"), f"{path}.operator"),
        value=checked_name(rule.get("value"), f"{path}.value"),
    )


def _identifiers(rule: Mapping[str, Any], path: str) -> tuple[str, ...] | ContextValue:
    """An identifier, a list of them, or the calling user's."""
    value, where = rule.get("value"), f"{path}.value"
    if isinstance(value, Mapping) and "context" in value:
        return _context(value, where)
    if isinstance(value, str):
        return (_text(value, where),)
    if not isinstance(value, list | tuple):
        raise wrong(where, value, "an identifier or a list of identifiers")
    if len(value) > MAX_VALUES:
        raise _too_much(where, len(value), f"at most {MAX_VALUES} values")
    return tuple(checked_name(one, f"{where}[{index}]") for index, one in enumerate(value))


def _context(value: Mapping[str, Any], where: str) -> ContextValue:
    if value.get("context") not in ("user", "userTeams"):
        raise wrong(f"{where}.context", value.get("context"), '"user" or "userTeams"')
    return ContextValue(value["context"], checked_name(value.get("property"), f"{where}.property"))


def checked_name(value: object, where: str) -> str:
    """Text that is not empty and that PostgreSQL can hold."""
    if not isinstance(value, str) or not value:
        raise wrong(where, value, "a name")
    return _text(value, where)


def _scalar(value: object, where: str) -> Scalar:
    if isinstance(value, str):
        return _text(value, where)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value.bit_length() > _MAX_BITS:
            raise wrong(where, "a longer one", "a number of at most 900 digits")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise wrong(where, value, "a finite number")
        return value
    raise wrong(where, value, "text, a number, true, false or null")


def _text(value: str, where: str) -> str:
    """Refuse what PostgreSQL has no text for."""
    if "\0" in value:
        raise wrong(where, value, "text without NUL characters")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise wrong(where, value, "text of whole characters (no lone surrogates)") from error
    return value


def _too_much(where: str, value: int, expected: str) -> LimitExceeded:
    return LimitExceeded(
        f"{where} has {value}; expected {expected}",
        details={"field": where, "value": str(value), "expected": expected},
    )
