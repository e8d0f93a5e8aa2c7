from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.kernel.errors import InvalidQuery, LimitExceeded
from catalog.selectors.search import search
from tests.factories import make_entity

pytestmark = pytest.mark.django_db


def _search(shop: Any, rule: Any, **more: Any) -> list[str]:
    query = {"combinator": "and", "rules": [rule]}
    found = search(query, principal=shop.ann, blueprint=shop.service)
    return list(found.values_list("identifier", flat=True))


def _rule(operator: Any, *value: Any, property: Any = "language") -> dict[str, Any]:
    given = {"value": value[0]} if value else {}
    return {"property": property, "operator": operator, **given}


@pytest.mark.parametrize(
    ("rule", "field", "message"),
    [
        ("x", "query.rules[0]", "must be a rule or a group of rules, not x"),
        ({}, "query.rules[0].operator", "must be one of = !="),
        (_rule("=="), "query.rules[0].operator", "Did you mean =?"),
        (_rule("contain", "x"), "query.rules[0].operator", "Did you mean contains?"),
        (_rule("="), "query.rules[0].value", "must be given, for the operator ="),
        (_rule("in", "go"), "query.rules[0].value", "must be a list of values, not go"),
        (_rule("contains", ["a"]), "query.rules[0].value", "For several values use containsAny."),
        (_rule("contains", None), "query.rules[0].value", "must be text, a number, true or false"),
        (_rule("beginsWith", 1), "query.rules[0].value", "must be text, not 1"),
        (_rule("=", {"a": 1}), "query.rules[0].value", 'must be dates like {"from"'),
        (_rule("!=", {"from": 1}), "query.rules[0].value", "must be no object"),
        (_rule("in", [["a"]]), "query.rules[0].value[0]", "must be text, a number, true, false"),
        (_rule(">", "soon"), "query.rules[0].value", "must be a number or an ISO 8601 date"),
        (_rule(">", "2024-02-30"), "query.rules[0].value", "must be a number or an ISO 8601 date"),
        (_rule(">", True), "query.rules[0].value", "must be a number or an ISO 8601 date"),
        (_rule("between", "today"), "query.rules[0].value", "must be dates like"),
        (
            _rule("between", {"from": "2024-01-01"}),
            "query.rules[0].value.to",
            "must be an ISO 8601 date, not None",
        ),
        (
            _rule("between", {"from": "2024-01-02", "to": "2024-01-01"}),
            "query.rules[0].value",
            "must be dates with from before to",
        ),
        (
            _rule("between", {"preset": "lastCentury"}),
            "query.rules[0].value.preset",
            "must be one of yesterday today",
        ),
        (_rule("=", 1, property="$nothing"), "query.rules[0].property", "must be one of $ident"),
        (_rule("=", 1, property=""), "query.rules[0].property", "must be a name"),
        (_rule("=", 1, property=7), "query.rules[0].property", "must be a name, not 7"),
        (_rule("=", "x\0y"), "query.rules[0].value", "must be text without NUL characters"),
        (_rule("=", 1, property="x\0y"), "query.rules[0].property", "without NUL characters"),
        (_rule("=", "\ud800"), "query.rules[0].value", "no lone surrogates"),
        (_rule("=", 10**1000), "query.rules[0].value", "a number of at most 900 digits"),
        (_rule("=", float("nan")), "query.rules[0].value", "must be a finite number, not nan"),
        (_rule(">", float("inf")), "query.rules[0].value", "must be a finite number, not inf"),
        (_rule(">", 1, property="$identifier"), "query.rules[0].operator", "suits $identifier"),
        (_rule("contains", "x", property="$createdAt"), "query.rules[0].operator", "$createdAt"),
        (_rule("=", "soon", property="$createdAt"), "query.rules[0].value", "an ISO 8601 date"),
        (_rule(">", 5, property="$createdAt"), "query.rules[0].value", "an ISO 8601 date, not 5"),
        (_rule("beginsWith", "x", property="$team"), "query.rules[0].operator", "suits $team"),
        (
            _rule("=", {"context": "me", "property": "x"}),
            "query.rules[0].value.context",
            'must be "user" or "userTeams"',
        ),
        (
            {"relation": "nothing", "operator": "isEmpty"},
            "query.rules[0].relation",
            'a relation of blueprint "service" (system, dependsOn, uses)',
        ),
        (
            {"propertySchema": {}, "operator": "=", "value": 1},
            "query.rules[0].propertySchema",
            "must be a schema like",
        ),
        (
            {"property": "a", "relation": "b", "operator": "="},
            "query.rules[0]",
            "one of property, relation, propertySchema",
        ),
        (
            {"scorecard": "gold", "operator": "=", "value": "Gold"},
            "query.rules[0].scorecard",
            'no scorecard "gold"',
        ),
        (
            {"operator": "relatedTo", "blueprint": "nothing", "value": "x"},
            "query.rules[0].blueprint",
            "must be an existing blueprint, not nothing",
        ),
        (
            {"operator": "relatedTo", "blueprint": "service", "value": 1},
            "query.rules[0].value",
            "an identifier or a list of identifiers",
        ),
        (
            {"operator": "relatedTo", "blueprint": "service", "value": "x", "direction": "up"},
            "query.rules[0].direction",
            '"upstream", "downstream" or nothing',
        ),
        (
            {"operator": "relatedTo", "blueprint": "service", "value": "x", "required": "yes"},
            "query.rules[0].required",
            "must be true, false or nothing",
        ),
        (
            _rule("matchAny", "x", property={"path": ["system", "nothing"]}),
            "query.rules[0].property.path[1]",
            'a relation of blueprint "system" (domain)',
        ),
        (
            _rule("matchAny", "x", property={"path": [{"relation": "system", "maxHops": 16}]}),
            "query.rules[0].property.path[0].maxHops",
            "a whole number from 1 to 15",
        ),
        (_rule("matchAny", "x"), "query.rules[0].property", "must be a path like"),
        (_rule("=", 1, property={"path": ["a"]}), "query.rules[0].operator", "matchAny"),
        ({"rules": [_rule("=", 1)]}, "query.rules[0].combinator", 'must be "and" or "or"'),
        ({"combinator": "xor", "rules": [{}]}, "query.rules[0].combinator", "not xor"),
        ({"combinator": "and", "rules": {}}, "query.rules[0].rules", "must be a list of rules"),
    ],
)
def test_a_wrong_rule_is_refused_by_its_place(shop, rule, field, message):
    with pytest.raises(InvalidQuery) as caught:
        _search(shop, rule)
    assert caught.value.details["field"] == field
    assert message in str(caught.value)
    str(caught.value).encode()  # fit for an answer


@pytest.mark.parametrize("query", ["x", 7, [], {"property": "x", "operator": "isEmpty"}])
def test_what_is_no_query_is_refused(shop, query):
    with pytest.raises(InvalidQuery, match=r"^query"):
        search(query, principal=shop.ann)


def test_a_query_that_is_too_big_is_refused(shop):
    deep: dict[str, Any] = {"combinator": "and", "rules": []}
    for _ in range(30):
        deep = {"combinator": "and", "rules": [deep]}
    nested: dict[str, Any] = _rule("=", "x")
    for _ in range(30):
        search_object = {"combinator": "and", "rules": [nested]}
        nested = _rule("=", search_object, property="$identifier")
    walk = {"operator": "relatedTo", "blueprint": "service", "value": "x"}
    for rule in (
        deep,
        nested,
        {"combinator": "or", "rules": [_rule("=", "x")] * 1001},
        {"combinator": "or", "rules": [walk] * 51},
        _rule("in", ["x"] * 10_001),
        {"operator": "relatedTo", "blueprint": "service", "value": ["x"] * 10_001},
    ):
        with pytest.raises(LimitExceeded):
            _search(shop, rule)


HOSTILE = [
    "'; DROP TABLE catalog_entity; --",
    '"',
    "\\",
    "\\'",
    "%",
    "_",
    "%s",
    "{}",
    "{0}",
    "$$",
    "(?)[*",
    ".*",
    "\x01\x1b",
    "\u2028",
    "😀" * 100,
    "x" * 100_000,
]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_text_is_just_text(shop, value):
    """None of it is in the catalogue; "50%_off" is, which wildcards would find."""
    for name in ("language", "tags", "grade", "$identifier", "$title", "$datasource", "$team"):
        for operator in ("=", "contains", "beginsWith", "endsWith"):
            if name != "$team" or operator in ("=", "contains"):
                assert _search(shop, _rule(operator, value, property=name)) == []
        assert _search(shop, _rule("in", [value], property=name)) == []
        assert len(_search(shop, _rule("!=", value, property=name))) == 4
    assert _search(shop, _rule("containsAny", [value], property="tags")) == []
    assert _search(shop, {"relation": "dependsOn", "operator": "=", "value": value}) == []
    assert _search(shop, _rule("=", "go", property=f"x{value}")) == []
    related = {"operator": "relatedTo", "blueprint": "service", "value": value}
    assert _search(shop, related) == []
    assert _search(shop, _rule("matchAny", value, property={"path": ["dependsOn"]})) == []


@pytest.mark.parametrize("value", [0, -1, 2**63, -(10**300), 1.5e300, 5e-324, 10**899])
def test_numbers_of_any_size_compare(shop, value):
    assert _search(shop, _rule("=", value, property="tier")) == []
    above = {"pay", "cart", "mail"} if value < 1 else set()
    assert set(_search(shop, _rule(">", value, property="tier"))) == above


@pytest.mark.parametrize(
    "text",
    [
        "0000-01-01",
        "2023-02-29",
        "2024-02-30T00:00:00Z",
        "2024-04-31",
        "2024-13-01",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:00:00+15:00",
        "12024-01-01",
        "-2024-01-01",
        "2024-01-01T00:00:00 UTC",
        "now",
        "infinity",
        "epoch",
        "2024-01-01\n",
        "٢٠٢٤-01-01",
    ],
)
def test_stored_text_that_is_no_date_is_never_cast(shop, text):
    make_entity("service", "odd", properties={"since": text, "lease": "2024-01-01T00:00:00Z"})
    for rule in (
        _rule(">", "0001-01-01", property="since"),
        _rule("between", {"from": "0001-01-01", "to": "9999-12-31"}, property="since"),
        _rule("isExpired", property="since"),
    ):
        assert "odd" not in _search(shop, rule)


def test_the_number_of_statements_is_constant(shop):
    def statements(*rules: Any, blueprint: Any = None) -> int:
        with CaptureQueriesContext(connection) as captured:
            query = {"combinator": "and", "rules": [*rules]}
            list(search(query, principal=shop.ann, blueprint=blueprint)[:10])
        return len(captured)

    name = _rule("in", ["pay", "cart"], property="$identifier")
    assert statements(name) == 1
    every = [
        _rule("=", "go"),
        _rule("=", "service", property="$blueprint"),
        _rule("contains", "x", property="$datasource"),
        {"operator": "relatedTo", "blueprint": "service", "value": ["pay", "cart"]},
        _rule("matchAny", ["money"], property={"path": ["system", "domain"]}),
        {"relation": "system", "operator": "=", "value": "billing"},
        {"propertySchema": {"type": "string"}, "operator": "=", "value": "x"},
    ]
    assert statements(*every) == statements(*every * 20) == 3
    mine = _rule("=", {"context": "userTeams", "property": "$title"})
    assert statements(_rule("in", ["My Teams"], property="$team")) == 2
    assert statements(mine) == statements(*[mine] * 20) == 4
