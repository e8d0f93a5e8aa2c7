"""The two languages that entities are asked for in: filter texts and predicates.

A filter becomes a predicate; a predicate is JSON and becomes a condition. So a cursor can hold
either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from catalog.dialects.backstage.queries import conditions
from catalog.dialects.backstage.queries.conditions import Sql
from catalog.dialects.backstage.queries.pairs import value_text
from catalog.kernel.errors import InvalidRequest, shorten

Predicate = dict[str, Any]

MAX_DEPTH: Final = 40
MAX_PARTS: Final = 2000  # of a predicate, all together; each value of a list is one
MAX_SCANS: Final = 50  # conditions that no index answers: each looks at the values of every entity

_OPERATORS = ("$exists", "$in", "$contains", "$hasPrefix")  # the first of them counts
_LOGIC = ("$all", "$any", "$not")
_RELATIONS = "relations"


def parse_filters(filters: Sequence[str]) -> Predicate | None:
    """The predicate of `filter` parameters; None where they ask for nothing.

    One parameter: statements with commas between them, all of which must hold; several of one key
    offer several values. Several parameters: one of them must hold. Raises InvalidRequest.
    """
    sets = [made for one in filters if (made := _parse_filter(one))]
    if len(sets) < 2:
        return sets[0] if sets else None
    return {"$any": sets}


def _parse_filter(text: str) -> Predicate | None:
    wanted: dict[str, list[str]] = {}
    for statement in (part.strip() for part in text.split(",")):
        if not statement:
            continue
        key, sign, value = statement.partition("=")
        key = key.strip()
        if not key:
            raise InvalidRequest(
                f"Invalid filter, '{shorten(statement)}' is not a valid statement "
                "(expected a string on the form a=b or a= or a)"
            )
        values = wanted.setdefault(key, [])
        if sign:
            values.append(value.strip())
    parts = [
        {key: {"$in": values} if values else {"$exists": True}} for key, values in wanted.items()
    ]
    if len(parts) < 2:
        return parts[0] if parts else None
    return {"$all": parts}


def both(one: Any, other: Any) -> Any:
    """The predicate for what both ask for; None asks for nothing."""
    if one is None or other is None:
        return other if one is None else one
    return {"$all": [one, other]}


def compile_predicate(predicate: Any) -> Sql:
    """What a predicate selects; None is everything. Raises InvalidRequest."""
    if predicate is None:
        return conditions.ALL
    if not isinstance(predicate, Mapping):
        raise _invalid("top-level primitive values are not supported; expected an object")
    return _Compiler().part(predicate, depth=0)


class _Compiler:
    """One predicate; counts its parts, so that none can take the database to its limits."""

    def __init__(self) -> None:
        self.parts = 0
        self.scans = 0

    def part(self, predicate: Any, *, depth: int) -> Sql:
        self._count(depth)
        if not isinstance(predicate, Mapping):
            raise _invalid("top-level primitive values are not supported; expected an object")
        operator = next((key for key in predicate if key.startswith("$")), None)
        if operator is None:
            return conditions.every(
                self._field(key, value, depth) for key, value in predicate.items()
            )
        if operator not in _LOGIC or len(predicate) > 1:
            raise _wrong_at(operator)
        value = predicate[operator]
        if operator == "$not":
            return conditions.negated(self.part(value, depth=depth + 1))
        if not isinstance(value, list):
            raise _wrong_at(operator)
        made = [self.part(one, depth=depth + 1) for one in value]
        return conditions.every(made) if operator == "$all" else conditions.some(made)

    def _field(self, key: str, value: Any, depth: int) -> Sql:
        self._count(depth)
        if not isinstance(value, Mapping):
            return conditions.has_value(key, [_scalar(value, key)])
        operator = next((one for one in _OPERATORS if one in value), None)
        if operator is None:
            raise _wrong_at(".".join([key, *list(value)[:1]]))
        operand = value[operator]
        where = f"{key}.{operator}"
        match operator:
            case "$exists":
                if not isinstance(operand, bool):
                    raise _wrong_at(where)
                if key.lower().startswith(f"{_RELATIONS}."):
                    self._count_scan()
                found = conditions.has_key(key)
                return found if operand else conditions.negated(found)
            case "$in":
                values = _scalars(operand, where)
                self._count(depth, max(len(values) - 1, 0))
                return conditions.has_value(key, values)
            case "$hasPrefix":
                if not isinstance(operand, str):
                    raise _wrong_at(where)
                self._count_scan()
                return conditions.has_prefix(key, operand)
        if isinstance(operand, Mapping):
            if "targetRef" not in operand:
                self._count_scan()
            elif isinstance(target := operand["targetRef"], Mapping):
                wanted = target.get("$in")
                self._count(depth, len(wanted) if isinstance(wanted, list) else 0)
            return _contained(key, operand)
        return conditions.has_value(key, [_scalar(operand, where)])

    def _count(self, depth: int, parts: int = 1) -> None:
        self.parts += parts
        if depth > MAX_DEPTH:
            raise _invalid(f"it is nested more than {MAX_DEPTH} levels deep")
        if self.parts > MAX_PARTS:
            raise _invalid(f"it has more than {MAX_PARTS} parts")

    def _count_scan(self) -> None:
        self.scans += 1
        if self.scans > MAX_SCANS:
            raise _invalid(
                f"it has more than {MAX_SCANS} conditions on prefixes or on relations to anything"
            )


def _contained(key: str, operand: Mapping[str, Any]) -> Sql:
    if key.lower() != _RELATIONS:
        raise InvalidRequest(
            f'Object form of $contains is not supported for field "{shorten(key)}"'
        )
    where = f"{key}.$contains"
    relation, target = operand.get("type"), operand.get("targetRef")
    if not isinstance(relation, str):
        raise _wrong_at(f"{where}.type")
    if extra := set(operand) - {"type", "targetRef"}:
        raise _wrong_at(f"{where}.{sorted(extra)[0]}")
    if "targetRef" not in operand:
        return conditions.related(relation)
    if isinstance(target, Mapping):
        if set(target) != {"$in"}:
            raise _wrong_at(f"{where}.targetRef")
        return conditions.related(relation, _scalars(target["$in"], f"{where}.targetRef.$in"))
    return conditions.related(relation, [_scalar(target, f"{where}.targetRef")])


def _scalars(values: Any, where: str) -> list[str]:
    if not isinstance(values, list):
        raise _wrong_at(where)
    return [_scalar(value, where) for value in values]


def _scalar(value: Any, where: str) -> str:
    text = None if isinstance(value, list | Mapping) else value_text(value)
    if text is None:
        raise _wrong_at(where)
    return text


def _wrong_at(where: str) -> InvalidRequest:
    return _invalid(f'Validation error: Invalid at "{shorten(where)}"')


def _invalid(reason: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid query: {reason}")
