"""A slow, plain evaluator: what a scorecard means, rule by rule and entity by entity.

It knows Port's conditions over JSON values and the arithmetic of levels and points; the SQL must
say the same.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from scorecards.definition import Missing

MOMENT = re.compile(r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?$")
NEGATIVE = {
    "!=": "=",
    "doesNotContains": "contains",
    "doesNotBeginsWith": "beginsWith",
    "doesNotEndsWith": "endsWith",
    "notIn": "in",
    "isNotEmpty": "isEmpty",
}


def same(one, other):
    """JSON equality: true is not 1, 1.0 is 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return (type(one) is type(other) and one == other) or (
        isinstance(one, int | float) and isinstance(other, int | float) and one == other
    )


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def moment(text):
    if not isinstance(text, str) or not MOMENT.match(text):
        return None
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=UTC)
    except ValueError:
        return None


def holds(value, operator, wanted):
    """One positive question about a value that is there."""
    if operator == "isEmpty":
        return value in (None, "", [], {}) and value is not False
    if operator == "=":
        return same(value, wanted)
    if operator == "in":
        return any(same(value, one) for one in wanted)
    if operator == "contains":
        if isinstance(value, list):
            return any(same(one, wanted) for one in value)
        return isinstance(value, str) and isinstance(wanted, str) and wanted in value
    if operator == "containsAny":
        return isinstance(value, list) and any(same(a, b) for a in value for b in wanted)
    if operator in ("beginsWith", "endsWith"):
        if not isinstance(value, str):
            return False
        return value.startswith(wanted) if operator == "beginsWith" else value.endswith(wanted)
    if isinstance(wanted, str):
        value, wanted = moment(value), moment(wanted)
        if value is None or wanted is None:
            return False
    elif not is_number(value):
        return False
    return {
        ">": value > wanted,
        ">=": value >= wanted,
        "<": value < wanted,
        "<=": value <= wanted,
    }[operator]


def condition(entity, one):
    """True, False, or None for no data."""
    value = entity.get(one["property"])
    operator, wanted = one["operator"], one.get("value")
    if operator in NEGATIVE:
        answer = not (
            holds(value, NEGATIVE[operator], wanted)
            if value is not None or operator == "isNotEmpty" or wanted is None
            else False
        )
    elif operator == "isEmpty":
        answer = holds(value, operator, wanted)
    elif operator == "=" and wanted is None:
        answer = value is None
    elif value is None:
        answer = None
    else:
        answer = holds(value, operator, wanted)
    if one.get("not"):
        return None if answer is None else not answer
    return answer


def query(entity, stated):
    answers = [condition(entity, one) for one in stated["conditions"]]
    if stated["combinator"] == "or":
        return True if True in answers else None if None in answers else False
    return False if False in answers else None if None in answers else True


def letter(entity, rule, today, exempt):
    if rule.effective_until and today > rule.effective_until:
        return "-"
    if rule.filter and query(entity, rule.filter.conditions) is not True:
        return "-"
    answer = query(entity, rule.expression)
    if rule.effective_from and today < rule.effective_from:
        return {True: "p", False: "f", None: "a"}[answer]
    if rule.identifier in exempt:
        return "X"
    if answer is None:
        return {Missing.FAIL: "N", Missing.IGNORE: "n", Missing.PASS: "P"}[rule.missing]
    return "P" if answer else "F"


def counts(rule, today):
    is_announced = rule.effective_from and today < rule.effective_from
    return not is_announced and not (rule.effective_until and today > rule.effective_until)


def judge(entity, definition, slots, today, exempt=()):
    """(statuses, rank, points, total), or None for an entity it is not about."""
    if definition.filter.conditions and query(entity, definition.filter.conditions) is not True:
        return None
    letters = {one.identifier: letter(entity, one, today, exempt) for one in definition.rules}
    weighty = [one for one in definition.rules if one.weight > 0]
    counted = [one for one in weighty if letters[one.identifier] in "PFNE"]
    points = sum((one.weight for one in counted if letters[one.identifier] == "P"), Decimal(0))
    total = sum((one.weight for one in counted), Decimal(0))
    rank = 0
    if counted:
        for level in definition.levels[1:]:
            rules = [one for one in weighty if one.level == level.title]
            if not rules and not definition.is_lenient:
                break
            if rules and not any(counts(one, today) for one in rules):
                break
            if any(letters[one.identifier] in "FNE" for one in rules):
                break
            rank += 1
    by_slot = {slot: letters.get(identifier, ".") for identifier, slot in slots.items()}
    width = max((slots[one] for one in letters), default=-1) + 1
    return "".join(by_slot.get(slot, ".") for slot in range(width)), rank, points, total
