"""What the SQL says of random catalogues and rules, beside a slow and plain evaluator."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.models import Blueprint, Entity
from catalog.selectors.kinds import load_kinds
from scorecards.definition import Definition, Filter, Language, Level, Missing, RuleSpec
from scorecards.rules.compiling import compile_scorecard
from scorecards.rules.judging import judging, run_calls
from tests.factories import make_blueprint
from tests.scorecards import oracle

pytestmark = pytest.mark.django_db

NAMES = ["a", "b", "c"]
TODAY = date(2026, 3, 1)
TEXTS = [
    *("", "x", "xy", "yx", "X", "%", "_", "1", "true", "ü"),
    *("2026-02-01", "2026-03-01T12:00:00Z", "2026-13-45", "yesterday"),
]
NUMBERS = [-3, -1, 0, 1, 1.0, 2, 3, 0.5, -2.5, 1e308]
LADDERS = [["Basic", "Bronze", "Silver", "Gold"], ["", "Bronze", "Silver", "Gold"], [""]]


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_sql_says_what_the_plain_evaluator_says(seed: int) -> None:
    """Some 10,000 pairs of an entity and a scorecard, each of up to six rules."""
    random = Random(seed)
    with transaction.atomic():
        make_blueprint("thing", schema={"properties": {}, "required": []})
        catalogue = [_properties(random) for _ in range(80)]
        _store(catalogue)
        now = timezone.now().replace(year=TODAY.year, month=TODAY.month, day=TODAY.day)
        for definition in [_definition(random) for _ in range(10)]:
            step, shift = random.choice([1, 2]), random.choice([0, 3])
            slots = {one.identifier: n * step + shift for n, one in enumerate(definition.rules)}
            found = _judged(compile_scorecard(definition, slots, load_kinds(), now))
            expected = {
                f"e{n}": verdict
                for n, properties in enumerate(catalogue)
                if (verdict := oracle.judge(properties, definition, slots, TODAY)) is not None
            }
            assert found.keys() == expected.keys(), definition.filter
            wrong = [name for name in found if found[name] != expected[name]]
            assert not wrong, [
                (catalogue[int(name[1:])], found[name], expected[name], definition)
                for name in wrong[:1]
            ]
        transaction.set_rollback(True)


def _scalar(random: Random) -> object:
    return random.choice([None, True, False, random.choice(NUMBERS), random.choice(TEXTS)])


def _value(random: Random) -> object:
    if random.random() < 0.7:
        return _scalar(random)
    return random.choice([{}, {"x": 1}, [_scalar(random) for _ in range(random.randint(0, 3))]])


def _properties(random: Random) -> dict[str, object]:
    return {name: _value(random) for name in NAMES if random.random() < 0.8}


def _condition(random: Random) -> dict[str, object]:
    one: dict[str, object] = {"property": random.choice(NAMES)}
    sort = random.randrange(6)
    if sort == 0:
        return {**one, "operator": random.choice(["=", "!="]), "value": _scalar(random)}
    if sort == 1:
        wanted = random.choice([*NUMBERS, "2026-02-01", "2026-03-01T12:00:00Z"])
        return {**one, "operator": random.choice([">", ">=", "<", "<="]), "value": wanted}
    if sort == 2:
        operators = ["beginsWith", "endsWith", "doesNotBeginsWith", "doesNotEndsWith"]
        return {**one, "operator": random.choice(operators), "value": random.choice(TEXTS)}
    given = [value for _ in range(3) if (value := _scalar(random)) is not None] or ["x"]
    if sort == 3:
        operator = random.choice(["contains", "doesNotContains"])
        return {**one, "operator": operator, "value": given[0]}
    if sort == 4:
        return {**one, "operator": random.choice(["containsAny", "in", "notIn"]), "value": given}
    negation = random.choice([{}, {"not": True}, {"not": False}])
    return {**one, "operator": random.choice(["isEmpty", "isNotEmpty"]), **negation}


def _query(random: Random) -> dict[str, object]:
    return {
        "combinator": random.choice(["and", "or"]),
        "conditions": [_condition(random) for _ in range(random.randint(1, 3))],
    }


def _definition(random: Random) -> Definition:
    base, *ladder = random.choice(LADDERS)
    day = timedelta(days=1)
    rules = [
        RuleSpec(
            identifier=f"r{n}",
            title="T",
            language=Language.CONDITIONS,
            expression=_query(random),
            level=random.choice(["", *ladder]),
            weight=random.choice([Decimal(0), Decimal(1), Decimal(2), Decimal("0.5")]),
            filter=random.choice([None, None, Filter(conditions=_query(random))]),
            missing=random.choice([*Missing]),
            effective_from=random.choice([None, None, None, TODAY, TODAY + day]),
            effective_until=random.choice([None, None, None, TODAY, TODAY - day]),
        )
        for n in range(random.randint(0, 6))
    ]
    return Definition(
        identifier="production",
        title="Production",
        blueprint="thing",
        levels=(Level(base), *map(Level, ladder)),
        rules=tuple(rules),
        filter=random.choice([Filter(), Filter(), Filter(conditions=_query(random))]),
        is_lenient=random.choice([True, False]),
    )


def _store(catalogue: list[dict[str, object]]) -> None:
    """Values of any type under any name: what a schema allows is not what this is about."""
    now = timezone.now()
    blueprint = Blueprint.objects.get(identifier="thing")
    Entity.objects.bulk_create(
        Entity(
            blueprint=blueprint,
            identifier=f"e{n}",
            properties=properties,
            content_hash=b"",
            created_at=now,
            updated_at=now,
        )
        for n, properties in enumerate(catalogue)
    )


def _judged(compiled) -> dict[str, tuple[object, ...]]:
    run_calls(compiled)
    asked = judging(compiled, scorecard=None)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH {asked.sql} SELECT e.identifier, j.statuses, j.rank, j.points, j.total "
            "FROM judged j JOIN catalog_entity e ON e.id = j.id",
            asked.params,
        )
        return {row[0]: tuple(row[1:]) for row in cursor.fetchall()}
