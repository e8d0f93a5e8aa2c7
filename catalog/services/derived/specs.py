"""What blueprints say about computed properties, read and checked one by one.

No database and no other blueprint here: whether a path leads anywhere is seen in `plan`. Every
error is an InvalidInput that names the field, what stands there and what was expected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import regex

from catalog.kernel.errors import InvalidInput
from catalog.kernel.schema import PROPERTY_TYPES
from catalog.selectors.aggregate import FUNCTIONS, PERIODS
from catalog.selectors.search.rules import (
    META_PROPERTIES,
    Comparison,
    ContextValue,
    DateRange,
    Group,
    Named,
    NestedSearch,
    OfRelation,
    OfSchema,
    OfScorecard,
    Rule,
    parse,
)

TEAM_NAME: Final = "$team"

# What a mirror may end in. `$datasource` is no part of it: it moves without a change of the entity.
MIRRORED_META: Final = tuple(name for name in META_PROPERTIES if name != "$datasource")
MOMENTS: Final = ("$createdAt", "$updatedAt")
TOTAL: Final = "total"
EVERYTHING: Final = "*"  # in a set of names: all of them


@dataclass(frozen=True, slots=True)
class MirrorSpec:
    """The value of `last` (a property or a meta one) of what is reached along relations."""

    steps: tuple[str, ...]
    last: str


@dataclass(frozen=True, slots=True)
class CalculationSpec:
    """words: what the expression may be reading; EVERYTHING where that cannot be told."""

    expression: str
    words: frozenset[str]
    is_timed: bool


@dataclass(frozen=True, slots=True)
class AggregationSpec:
    """One number of the entities of `target` that are related to an entity.

    property: None counts entities. period: an average per period of time, measured by `moment`.
    path: the relations that count, from `start` on (None: from whichever end they fit).
    reads: names that the answer depends on. is_loose: it depends on more than the target's own
    state, or on the time of day, so that it is refreshed on a schedule.
    """

    target: str
    function: str
    property: str | None
    period: timedelta | None
    moment: str
    path: tuple[str, ...] | None
    start: str | None
    query: Group
    reads: frozenset[str]
    is_loose: bool


def read_mirror(document: Any, where: str) -> MirrorSpec:
    path = document.get("path")
    steps = path.split(".") if isinstance(path, str) else []
    if len(steps) < 2 or not all(steps):
        raise InvalidInput.of(
            f"{where}.path", path, "relation.property, or relation.relation.$title"
        )
    *relations, last = steps
    if last.startswith("$") and last not in MIRRORED_META:
        raise InvalidInput.of(
            f"{where}.path", path, f"a property, or one of {' '.join(MIRRORED_META)}"
        )
    return MirrorSpec(tuple(relations), last)


def read_team_path(path: object, where: str) -> tuple[str, ...]:
    steps = path.split(".") if isinstance(path, str) else []
    if not steps or not all(steps):
        raise InvalidInput.of(where, path, "relations joined by dots")
    return tuple(steps)


def read_calculation(document: Any, where: str) -> CalculationSpec:
    expression = document.get("calculation")
    if not isinstance(expression, str) or not expression.strip():
        raise InvalidInput.of(f"{where}.calculation", expression, "a JQ expression")
    if document.get("type") not in PROPERTY_TYPES:
        raise InvalidInput.of(
            f"{where}.type", document.get("type"), f"one of {', '.join(PROPERTY_TYPES)}"
        )
    return CalculationSpec(
        expression=expression,
        words=_words(expression),
        is_timed=_NOW.search(expression) is not None,
    )


def read_aggregation(document: Any, where: str) -> AggregationSpec:
    target = document.get("target")
    if not isinstance(target, str) or not target:
        raise InvalidInput.of(f"{where}.target", target, "a blueprint")
    spec = document.get("calculationSpec")
    inside = f"{where}.calculationSpec"
    if not isinstance(spec, Mapping):
        raise InvalidInput.of(inside, spec, "an object with calculationBy and func")
    name = _measured(spec, inside)
    period = _period(spec, inside)
    moment = spec.get("measureTimeBy") or "$createdAt"
    if not isinstance(moment, str) or (moment.startswith("$") and moment not in MOMENTS):
        raise InvalidInput.of(
            f"{inside}.measureTimeBy",
            moment,
            f"{' or '.join(MOMENTS)}, or a property that is a date",
        )
    query = _query(document.get("query"), f"{where}.query")
    path, start = _path_filter(document.get("pathFilter"), f"{where}.pathFilter")
    reading = _Reading()
    reading.rule(query)
    reads = reading.names | ({name} if name else set()) | ({moment} if period else set())
    return AggregationSpec(
        target=target,
        function=str(spec["func"]),
        property=name,
        period=period,
        moment=moment,
        path=path,
        start=start,
        query=query,
        reads=frozenset(reads),
        is_loose=reading.is_loose or period is not None,
    )


def _measured(spec: Mapping[str, Any], where: str) -> str | None:
    """The property that is summed up; None where entities are counted."""
    by = spec.get("calculationBy", "property" if spec.get("property") else "entities")
    if by not in ("entities", "property"):
        raise InvalidInput.of(f"{where}.calculationBy", by, "entities or property")
    function = spec.get("func")
    if by == "entities":
        if function not in ("count", "average"):
            raise InvalidInput.of(
                f"{where}.func", function, "count or average, for calculationBy entities"
            )
        return None
    if not isinstance(function, str) or function not in FUNCTIONS:
        raise InvalidInput.of(
            f"{where}.func", function, f"one of {' '.join(FUNCTIONS)}, for calculationBy property"
        )
    name = spec.get("property")
    if not isinstance(name, str) or not name or name.startswith("$"):
        raise InvalidInput.of(f"{where}.property", name, "a property of the target")
    return name


def _period(spec: Mapping[str, Any], where: str) -> timedelta | None:
    asked = spec.get("averageOf")
    if asked in (None, TOTAL) or spec["func"] != "average":
        return None
    if not isinstance(asked, str) or asked not in PERIODS:
        raise InvalidInput.of(f"{where}.averageOf", asked, f"one of {' '.join([*PERIODS, TOTAL])}")
    return PERIODS[asked]


def _path_filter(value: object, where: str) -> tuple[tuple[str, ...] | None, str | None]:
    if value is None or value == []:
        return None, None
    if not isinstance(value, list) or len(value) > 1 or not isinstance(value[0], Mapping):
        raise InvalidInput.of(where, value, 'a list of at most one {"path": [relations]}')
    path, start = value[0].get("path"), value[0].get("fromBlueprint")
    if not isinstance(path, list) or not path or not all(isinstance(p, str) and p for p in path):
        raise InvalidInput.of(f"{where}[0].path", path, "a list of relations")
    if start is not None and not isinstance(start, str):
        raise InvalidInput.of(f"{where}[0].fromBlueprint", start, "a blueprint")
    return tuple(path), start


def _query(value: object, where: str) -> Group:
    if value is not None and not isinstance(value, Mapping):
        raise InvalidInput.of(where, value, 'an object with "combinator" and "rules"')
    group = parse(value or None, path=where)
    for rule in _leaves(group):
        if isinstance(rule, Comparison | OfScorecard):
            asked = [getattr(rule, "operand", None), rule.value]
        else:
            asked = [rule.value]
        if any(isinstance(one, ContextValue) for one in asked):
            raise InvalidInput.of(
                rule.path, "context", "a rule that does not ask for the calling user"
            )
    return group


def _leaves(group: Group) -> Iterator[Any]:
    for rule in group.rules:
        if isinstance(rule, Group):
            yield from _leaves(rule)
        else:
            yield rule


class _Reading:
    """What a query depends on, besides which entities there are."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.is_loose = False

    def rule(self, rule: Rule) -> None:
        if isinstance(rule, Group):
            for one in rule.rules:
                self.rule(one)
        elif isinstance(rule, Comparison):
            self._comparison(rule)
        else:
            self.is_loose = True  # it looks at other entities

    def _comparison(self, rule: Comparison) -> None:
        operand, value = rule.operand, rule.value
        if isinstance(operand, Named):
            self.names.add(operand.name)
            self.is_loose |= operand.name == "$datasource"
        elif isinstance(operand, OfRelation):
            self.names.add(f"relations.{operand.name}")
        elif isinstance(operand, OfSchema):
            self.names.add(EVERYTHING)
        self.is_loose |= (
            isinstance(value, NestedSearch)
            or (isinstance(value, DateRange) and value.span is None)
            or rule.operator.name in ("isExpired", "isNotExpired")
        )


# Of a JQ expression: its words, whether it reads the clock, and signs that it goes through
# whatever is there: the document as a whole, or `properties` without a name behind it.
_WORD = regex.compile(r"[A-Za-z0-9@_=\\$-]+")
_NOW = regex.compile(r"(?<![.\w$\"])now\b")
_WHOLE = regex.compile(
    r"\.\.|@json|@text"
    r"|(?<![\w\])}\"?.])\.(?!\[?[A-Za-z_\"])"
    r"|\b(recurse|walk|tojson|tostring|paths|leaf_paths|tostream|getpath|to_entries|with_entries"
    r"|map_values|keys|keys_unsorted)\b"
    r"|\bproperties\b(?!\"?\]?\??\s*(\.\s*[\"A-Za-z_]|\.?\[\s*\"))"
)


def _words(expression: str) -> frozenset[str]:
    words = {part for found in _WORD.findall(expression) for part in (found, *_parts(found))}
    return frozenset(words | ({EVERYTHING} if _WHOLE.search(expression) else set()))


def _parts(word: str) -> list[str]:
    """`a-b` is a difference to JQ, though in quotes it may be the name of a property."""
    return [part for part in regex.split(r"[@=\\$-]", word) if part]
