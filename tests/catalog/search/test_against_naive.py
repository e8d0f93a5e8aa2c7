"""The compiler against an evaluator so plain that it can be believed."""

from __future__ import annotations

import operator
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import Blueprint, Entity
from catalog.selectors.search import search
from idp.models import User
from tests.factories import make_blueprint, make_entity, make_user

pytestmark = pytest.mark.django_db

World = tuple[User, Blueprint, list[Entity]]

NAMES = ["text", "other", "number", "flag", "words", "when", "free", "made"]
WORDS = ["a", "A", "ab", "abc", "b%", "_", "2024-01-01", "2024-01-01T12:00:00Z", "7", "", "é"]
NUMBERS = [0, 1, 1.0, 2, -1, 0.5, 2**53]
DATES = ["2024-01-01", "2024-01-01T12:00:00Z", "2024-01-01T12:00:00+02:00", "2024-06-01"]
SCALARS = st.sampled_from([*WORDS, *NUMBERS, True, False])
SIGNS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def _random_value(rng: random.Random) -> Any:
    kind = rng.randrange(8)
    if kind < 3:
        return rng.choice(WORDS)
    if kind < 5:
        return rng.choice(NUMBERS)
    if kind == 5:
        return rng.choice([True, False])
    if kind == 6:
        return [rng.choice([*WORDS, *NUMBERS, True]) for _ in range(rng.randrange(3))]
    return {"a": rng.choice(WORDS)} if rng.random() < 0.5 else {}


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Sixty entities with anything in anything: no schema says what a property holds."""
    rng = random.Random(7)
    with django_db_blocker.unblock(), transaction.atomic():
        blueprint = make_blueprint(
            "thing", calculationProperties={"made": {"calculation": "1", "type": "string"}}
        )
        for index in range(60):
            entity = make_entity(
                blueprint,
                f"thing-{index}",
                team=rng.sample(["a", "b", "ab"], rng.randrange(3)),
                title=rng.choice([None, *WORDS]),
                properties={n: _random_value(rng) for n in NAMES[:-1] if rng.random() < 0.7},
            )
            if rng.random() < 0.7:
                Entity.objects.filter(pk=entity.pk).update(computed={"made": _random_value(rng)})
        yield make_user(), blueprint, list(blueprint.entities.all())
        transaction.set_rollback(True)


def _moment(value: Any) -> datetime | None:
    if value not in DATES:
        return None
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, bool) or isinstance(other, bool):
        return value is other
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(_same, value, other))
    return type(value) in _LIKE[type(other)] and value == other


_LIKE = {str: {str}, int: {int, float}, float: {int, float}, list: {list}, type(None): set()}


def _holds(value: Any, name: str, wanted: Any) -> bool:
    text, members = isinstance(value, str), value if isinstance(value, list) else []
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match name:
        case "=":
            return value is None if wanted is None else _same(value, wanted)
        case ">" | ">=" | "<" | "<=" if isinstance(wanted, str):
            moment = _moment(value) if text else None
            return moment is not None and SIGNS[name](moment, _moment(wanted))
        case ">" | ">=" | "<" | "<=":
            return is_number and SIGNS[name](value, wanted)
        case "contains" if text and isinstance(wanted, str):
            return wanted in value
        case "contains":
            return any(_same(member, wanted) for member in members)
        case "containsAny":
            return any(_same(member, one) for member in members for one in wanted)
        case "beginsWith":
            return text and value.startswith(wanted)
        case "endsWith":
            return text and value.endswith(wanted)
        case "in":
            return any(value is None if one is None else _same(value, one) for one in wanted)
        case "isEmpty":
            return value is None or value in ("", [], {})
        case "between":
            moment = _moment(value) if text else None
            return moment is not None and _moment(wanted["from"]) <= moment <= _moment(wanted["to"])
    raise AssertionError(name)


NEGATIVE = {
    "!=": "=",
    "doesNotContains": "contains",
    "doesNotBeginsWith": "beginsWith",
    "doesNotEndsWith": "endsWith",
    "notIn": "in",
    "isNotEmpty": "isEmpty",
    "notBetween": "between",
}


def _says(query: dict[str, Any]) -> bool:
    return "rules" not in query or _is_one_of_none(query) or any(map(_says, query["rules"]))


def _is_one_of_none(query: dict[str, Any]) -> bool:
    return query.get("combinator") == "or" and query["rules"] == []


def _evaluated(query: dict[str, Any], entity: Entity) -> bool:
    if "rules" in query:
        answers = [
            not _is_one_of_none(rule) and _evaluated(rule, entity)
            for rule in query["rules"]
            if _says(rule)
        ]
        return (all if query["combinator"] == "and" else any)(answers) if answers else True
    values = {**entity.computed, **entity.properties, "$team": entity.team, "$title": entity.title}
    name, value = query["operator"], values.get(query["property"])
    wanted = query.get("value")
    if name in NEGATIVE:
        return not _holds(value, NEGATIVE[name], wanted)
    return _holds(value, name, wanted)


def _with_negative(name: str) -> list[str]:
    return [name, *(negative for negative, of in NEGATIVE.items() if of == name)]


LISTS = st.lists(SCALARS | st.none(), max_size=3)
SPANS = st.sampled_from(
    [{"from": a, "to": b} for a in DATES for b in DATES[1:3] if _moment(a) <= _moment(b)]
)
QUESTIONS = [
    ("=", SCALARS | st.none() | st.lists(SCALARS, max_size=2)),
    *((sign, st.sampled_from([*NUMBERS, *DATES])) for sign in SIGNS),
    ("contains", SCALARS),
    ("containsAny", st.lists(SCALARS, max_size=3)),
    ("beginsWith", st.sampled_from(WORDS)),
    ("endsWith", st.sampled_from(WORDS)),
    ("in", LISTS | st.lists(SCALARS, min_size=51, max_size=60)),
    ("isEmpty", None),
    ("between", SPANS),
]
RULES = st.one_of(
    [
        st.fixed_dictionaries(
            {
                "property": st.sampled_from([*NAMES, "nowhere"]),
                "operator": st.sampled_from(_with_negative(name)),
                **({"value": values} if values is not None else {}),
            }
        )
        for name, values in QUESTIONS
    ]
)
QUERIES = st.recursive(
    RULES,
    lambda rules: st.fixed_dictionaries(
        {"combinator": st.sampled_from(["and", "or"]), "rules": st.lists(rules, max_size=4)}
    ),
    max_leaves=6,
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(query=QUERIES)
def test_the_database_answers_as_plain_python_does(world, query):
    user, blueprint, entities = world
    if "rules" not in query:
        query = {"combinator": "and", "rules": [query]}
    expected = {entity.pk for entity in entities if _evaluated(query, entity)}
    for own in (blueprint, None):
        found = search(query, principal=user, blueprint=own).filter(blueprint=blueprint)
        assert set(found.values_list("pk", flat=True)) == expected
