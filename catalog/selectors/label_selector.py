"""Label selectors of Kubernetes: `app=web,tier in (a, b),!canary`, understood and put into SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from catalog.kernel.errors import InvalidInput, shorten

MAX_LENGTH: Final = 2000  # characters
MAX_REQUIREMENTS: Final = 50

_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)?"
_EQUALITY = re.compile(rf"(?P<key>{_KEY})\s*(?P<operator>==|=|!=)\s*(?P<value>{_VALUE})")
_SET = re.compile(rf"(?P<key>{_KEY})\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_EXISTENCE = re.compile(rf"(?P<operator>!?)\s*(?P<key>{_KEY})")
_WHOLE_VALUE = re.compile(_VALUE)

Operator = Literal["in", "notin", "exists", "absent"]


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a selector asks of one label. A label that is not there is `notin` whatever it be."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "absent":
                return f"!{self.key}"
        if len(self.values) == 1:
            return f"{self.key}{'=' if self.operator == 'in' else '!='}{self.values[0]}"
        return f"{self.key} {self.operator} ({', '.join(self.values)})"

    def holds(self, labels: Mapping[str, Any]) -> bool:
        is_there = self.key in labels
        match self.operator:
            case "in":
                return is_there and labels[self.key] in self.values
            case "notin":
                return not is_there or labels[self.key] not in self.values
            case "exists":
                return is_there
        return not is_there


def parse_selector(text: str) -> list[Requirement]:
    """The requirements of a selector, all of which must hold. Raises InvalidInput, naming the
    part that cannot be understood."""
    if len(text) > MAX_LENGTH:
        raise _wrong(text, f"at most {MAX_LENGTH:,} characters")
    parts = [one.strip() for one in re.split(r",(?![^()]*\))", text)]
    if not any(parts):
        raise _wrong(text, "at least one requirement, like app=web")
    if len(parts) > MAX_REQUIREMENTS:
        raise _wrong(text, f"at most {MAX_REQUIREMENTS} requirements")
    return [_requirement(one) for one in parts]


def _requirement(part: str) -> Requirement:
    if found := _SET.fullmatch(part):
        values = tuple(dict.fromkeys(one.strip() for one in found["values"].split(",")))
        if not all(_WHOLE_VALUE.fullmatch(one) for one in values):
            raise _wrong(part, "values of letters, digits, -, _ and .")
        return Requirement(found["key"], "in" if found["operator"] == "in" else "notin", values)
    if found := _EQUALITY.fullmatch(part):
        is_not = found["operator"] == "!="
        return Requirement(found["key"], "notin" if is_not else "in", (found["value"],))
    if found := _EXISTENCE.fullmatch(part):
        return Requirement(found["key"], "absent" if found["operator"] else "exists")
    raise _wrong(part, "key=value, key!=value, key in (a, b), key notin (a, b), key or !key")


def _wrong(text: str, expected: str) -> InvalidInput:
    return InvalidInput(
        f'"{shorten(text)}" in the label selector is not understood; expected {expected}',
        details={"field": "labelSelector", "value": shorten(text), "expected": expected},
    )


def selector_sql(
    requirements: Sequence[Requirement], properties: str
) -> tuple[str, list[str | list[str]]]:
    """A condition on the column `properties`, whose `labels` are the object's, and its parameters.

    What must be there is asked by containment, which the index of properties answers.
    """
    conditions: list[str] = []
    parameters: list[str | list[str]] = []
    for one in requirements:
        labels = f"({properties} -> 'labels')"
        if one.operator == "in":
            conditions.append(
                "(" + " OR ".join([f"{properties} @> %s::jsonb"] * len(one.values)) + ")"
            )
            parameters += [
                orjson.dumps({"labels": {one.key: value}}).decode() for value in one.values
            ]
        elif one.operator == "notin":
            conditions.append(f"NOT coalesce({labels} ->> %s = ANY(%s), false)")
            parameters += [one.key, list(one.values)]
        else:
            has = f"coalesce({labels} ? %s, false)"
            conditions.append(has if one.operator == "exists" else f"NOT {has}")
            parameters.append(one.key)
    return " AND ".join(conditions), parameters
