"""Random CQL over random facts: what the SQL says, beside a plain reading of docs/cql.md.

An expression is made together with a function that says what it comes to for the values of an
entity: True, False, or None for no data.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from random import Random

import pytest
from django.db import transaction
from django.db.models import JSONField, Value
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.models import Blueprint, Entity, Fact
from catalog.selectors.kinds import load_kinds
from scorecards import cql
from scorecards.rules.compiled import Compilation
from tests.factories import make_blueprint
from tests.scorecards.oracle import is_number, same

pytestmark = pytest.mark.django_db

Values = dict[str, object]
Expression = tuple[str, Callable[[Values], object]]

KEYS = ["a", "b", "l"]
TEXTS = ["", "x", "xy", "X", "10", "9", "ü", 'q"\\', "2026-02-01"]
NUMBERS = [-3, -1, 0, 1, 2, 0.5, -2.5, 100]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_sql_says_what_the_language_means(seed: int) -> None:
    """Some 7,000 pairs of an expression and an entity."""
    random = Random(seed)
    with transaction.atomic():
        make_blueprint("thing")
        catalogue = {f"e{n}": _values(random) for n in range(30)}
        _store(catalogue)
        expressions = [_boolean(random, 3) for _ in range(30)]
        compilation = Compilation(load_kinds(), timezone.now())
        columns = {
            f"v{n}": cql.compile(text, compilation).verdict
            for n, (text, _) in enumerate(expressions)
        }
        found = Entity.objects.filter(blueprint__identifier="thing").annotate(**columns)
        for row in found.values("identifier", *columns):
            values = catalogue[row["identifier"]]
            for n, (text, meant) in enumerate(expressions):
                assert row[f"v{n}"] is meant(values), (text, values)
        transaction.set_rollback(True)


def _scalar(random: Random) -> object:
    return random.choice([None, True, False, random.choice(NUMBERS), random.choice(TEXTS)])


def _values(random: Random) -> Values:
    values: Values = {key: _scalar(random) for key in KEYS if random.random() < 0.8}
    if random.random() < 0.7:
        values["l"] = [_scalar(random) for _ in range(random.randint(0, 3))]
    return values


def _store(catalogue: dict[str, Values]) -> None:
    now = timezone.now()
    blueprint = Blueprint.objects.get(identifier="thing")
    at = {"created_at": now, "updated_at": now}
    entities = Entity.objects.bulk_create(
        Entity(blueprint=blueprint, identifier=name, content_hash=b"", **at) for name in catalogue
    )
    null = Value(None, JSONField())  # JSON's, which is a value
    Fact.objects.bulk_create(
        Fact(
            entity=entity,
            key=key,
            value=null if value is None else value,
            collected_at=now,
            updated_at=now,
        )
        for entity in entities
        for key, value in catalogue[entity.identifier].items()
    )


# expressions that are true, false or no data


def _boolean(random: Random, depth: int) -> Expression:
    if depth == 0 or random.random() < 0.3:
        return random.choice([_compared, _against_null, _counted, _of_list])(random)
    if random.random() < 0.3:
        text, of = _boolean(random, depth - 1)
        return f"!({text})", lambda values: _not(of(values))
    word = random.choice(["and", "or", "AND", "OR"])
    parts = [_boolean(random, depth - 1) for _ in range(random.randint(2, 3))]
    decides = word.lower() == "or"
    text = f" {word} ".join(f"({text})" for text, _ in parts)
    return text, lambda values: _joined([meant(values) for _, meant in parts], decides)


def _not(value: object) -> object:
    return None if value is None else not value


def _joined(values: list[object], decides: bool) -> object:
    return decides if decides in values else None if None in values else not decides


def _compared(random: Random) -> Expression:
    (left, of_left), (right, of_right) = random.choice(
        [
            (_custom(random), _literal(random)),
            (_custom(random), _custom(random)),
            (_sum(random), _number(random)),
            (_sum(random), _sum(random)),
        ]
    )
    # certain mistakes, such as an order of true and false, are refused when a rule is saved
    is_flag = right in ("true", "false")
    sign = random.choice(["==", "!="] if is_flag else ["==", "!=", "<", "<=", ">", ">="])
    return f"{left} {sign} {right}", lambda values: _order(of_left(values), sign, of_right(values))


def _order(left: object, sign: str, right: object) -> object:
    if left is None or right is None:
        return None
    if sign in ("==", "!="):
        return same(left, right) is (sign == "==")
    numbers = is_number(left) and is_number(right)
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        return None
    if sign in ("<", ">="):
        return (left < right) is (sign == "<")
    return (left > right) is (sign == ">")


def _against_null(random: Random) -> Expression:
    text, of = _custom(random)
    sign = random.choice(["==", "!="])
    return f"{text} {sign} null", lambda values: (of(values) is None) is (sign == "==")


def _counted(random: Random) -> Expression:
    text, of = _custom(random)
    number, at_least = _number(random)

    def meant(values: Values) -> object:
        value = of(values)
        if not isinstance(value, list | str):
            return None
        return _order(len(value), ">=", at_least(values))

    return f"{text}.length >= {number}", meant


def _of_list(random: Random) -> Expression:
    literal, of_literal = _literal(random)
    is_flag = literal in ("true", "false")
    sign = random.choice(["==", "!="] if is_flag else ["==", "!=", "<", ">="])
    name = random.choice(["any", "all", "filter"])
    condition = f'custom("l").{name}((x) => x {sign} {literal})'

    def answers(values: Values) -> list[object] | None:
        elements = values.get("l")
        if not isinstance(elements, list):
            return None
        return [_order(one, sign, of_literal(values)) for one in elements]

    if name == "filter":

        def length(values: Values) -> object:
            found = answers(values)
            return None if found is None else found.count(True) > 0

        return f"{condition}.length > 0", length

    def meant(values: Values) -> object:
        found = answers(values)
        return None if found is None else _joined(found, name == "any")

    return condition, meant


# values


def _custom(random: Random) -> Expression:
    key = random.choice(KEYS)
    return f'custom("{key}")', lambda values: values.get(key)


def _literal(random: Random) -> Expression:
    value = random.choice([True, False, random.choice(NUMBERS), random.choice(TEXTS)])
    text = json.dumps(value, ensure_ascii=False)
    return text, lambda _: value


def _number(random: Random) -> Expression:
    value = random.choice(NUMBERS)
    return json.dumps(value), lambda _: value


def _sum(random: Random) -> Expression:
    left, of_left = _custom(random)
    right, of_right = random.choice([_custom, _number])(random)
    sign = random.choice(["+", "-", "*", "/"])
    if sign == "/":  # by what divides without a rest, or cannot be divided by
        divisor = random.choice([0, 2, -0.5])
        right, of_right = json.dumps(divisor), lambda _: divisor

    def meant(values: Values) -> object:
        one, other = of_left(values), of_right(values)
        if not is_number(one) or not is_number(other):
            return None
        one, other = Decimal(str(one)), Decimal(str(other))
        if sign == "/":
            return None if other == 0 else float(one / other)
        result = {"+": one + other, "-": one - other, "*": one * other}[sign]
        return float(result)

    return f"({left} {sign} {right})", meant
