from __future__ import annotations

from typing import Any

import pytest

from catalog.kernel.errors import InvalidEntity
from catalog.services.entities import EntityDraft, MissingTargets, Mode, apply
from catalog.services.references import (
    MAX_HITS,
    UnresolvedIdentifier,
    resolve_references,
)
from tests.factories import ACTOR, make_blueprint, make_user

pytestmark = pytest.mark.django_db


def _search(property: str, operator: str, value: Any) -> dict[str, Any]:
    rule = {"property": property, "operator": operator, "value": value}
    return {"combinator": "and", "rules": [rule]}


def _resolved(shop: Any, *bodies: dict[str, Any]) -> list[Any]:
    found = resolve_references(list(bodies), blueprint="service", principal=shop.ann)
    return [one.error or one.body for one in found]


@pytest.mark.parametrize(
    ("relation", "search", "expected"),
    [
        ("system", _search("$identifier", "=", "billing"), "billing"),
        ("system", _search("$identifier", "contains", "i"), "billing"),  # the first of one
        ("system", _search("$identifier", "=", "nothing"), None),
        ("dependsOn", _search("language", "in", ["go", "python"]), ["cart", "pay"]),
        ("dependsOn", _search("tags", "containsAny", ["java"]), ["cart", "pay"]),
        ("dependsOn", _search("language", "=", "nothing"), []),
        ("dependsOn", _search("language", "=", None), []),  # a mapping had no value there
        ("dependsOn", _search("language", "in", [None, "go"]), ["pay"]),
        ("uses", _search("tier", "=", 1), ["domain:money", "service:pay"]),
        (
            "dependsOn",
            {"combinator": "or", "rules": [_search("tier", "=", 1), _search("tier", "=", 2)]},
            ["cart", "pay"],
        ),
    ],
)
def test_a_relation_gets_what_a_search_finds(shop, relation, search, expected):
    body = {"identifier": "new", "relations": {relation: search, "other": "kept"}}
    [found] = _resolved(shop, body)
    assert found == {"identifier": "new", "relations": {relation: expected, "other": "kept"}}
    assert body["relations"][relation] is search


def test_teams_and_identifiers_are_searched_for_too(shop):
    assert _resolved(
        shop,
        {"identifier": "a", "team": _search("$identifier", "in", ["web", "core", "x"])},
        {"identifier": _search("repo", "=", "https://git.example.com/pay"), "title": "T"},
    ) == [
        {"identifier": "a", "team": ["core", "web"]},
        {"identifier": "pay", "title": "T"},
    ]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (_search("language", "=", "nothing"), "it found none"),
        (_search("tier", "in", [1, 2]), "it found 2 (cart, pay)"),
    ],
)
def test_an_identifier_must_be_found_once(shop, search, message):
    [error] = _resolved(shop, {"identifier": search})
    assert isinstance(error, UnresolvedIdentifier)
    assert message in str(error)


@pytest.mark.parametrize(
    ("search", "field"),
    [
        (_search("language", "!=", "go"), "relations.system.rules[0].operator"),
        (_search("$nothing", "=", "go"), "relations.system.rules[0].property"),
        (_search("language", "=", "\0"), "relations.system.rules[0].value"),
        (_search("$identifier", "=", _search("a", "=", 1)), "relations.system.rules[0].value"),
        ({"combinator": "and", "rules": []}, "relations.system.rules"),
        ({"combinator": "and"}, "relations.system.rules"),
        ({"rules": [_search("a", "=", 1)]}, "relations.system.combinator"),
        (
            {"combinator": "and", "rules": [{"relation": "x", "operator": "=", "value": "y"}]},
            "relations.system.rules[0]",
        ),
        (
            {
                "combinator": "and",
                "rules": [{"operator": "relatedTo", "blueprint": "system", "value": "x"}],
            },
            "relations.system.rules[0]",
        ),
    ],
)
def test_a_search_that_is_not_allowed_fails_its_entity_alone(shop, search, field):
    error, good = _resolved(
        shop,
        {"identifier": "a", "relations": {"system": search}},
        {"identifier": "b", "relations": {"system": _search("$identifier", "=", "stock")}},
    )
    assert type(error) is InvalidEntity
    assert error.details["field"] == field
    assert good["relations"] == {"system": "stock"}


def test_what_is_no_search_is_left_to_the_door(shop, django_assert_num_queries):
    bodies: list[dict[str, Any]] = [
        {},
        {"identifier": {"a": 1}, "team": None, "relations": None},
        {"identifier": "x", "relations": ["a"]},
        {"identifier": "x", "relations": {"system": {"a": 1}, "nothing": "y"}},
    ]
    with django_assert_num_queries(0):
        assert _resolved(shop, *bodies) == bodies
    unknown = {"relations": {"nothing": _search("a", "=", 1)}}
    assert _resolved(shop, unknown) == [unknown]
    found = resolve_references([unknown], blueprint="nothing", principal=shop.ann)
    assert [one.body for one in found] == [unknown]


def test_a_batch_takes_few_statements(shop, django_assert_max_num_queries):
    def bodies(count: int) -> list[dict[str, Any]]:
        return [
            {
                "identifier": f"new-{index}",
                "team": _search("$identifier", "=", "core"),
                "relations": {
                    "system": _search("$title", "=", f"System {index}"),
                    "dependsOn": _search("language", "=", "go"),
                },
            }
            for index in range(count)
        ]

    _resolved(shop, *bodies(1))
    with django_assert_max_num_queries(2):
        found = _resolved(shop, *bodies(150))
    assert found[149]["relations"] == {"system": None, "dependsOn": ["pay"]}


def test_at_most_a_hundred_are_taken(db):
    make_blueprint("leaf", relations={"others": {"target": "leaf", "many": True}})
    drafts = [EntityDraft("leaf", f"leaf-{index:03}", title="same") for index in range(120)]
    apply(drafts, mode=Mode.CREATE, actor=ACTOR, missing_targets=MissingTargets.REJECT)
    user = make_user()
    body = {"relations": {"others": _search("$title", "=", "same")}}
    [found] = resolve_references([body], blueprint="leaf", principal=user)
    assert len(found.body["relations"]["others"]) == MAX_HITS
    body = {"identifier": _search("$title", "=", "same")}
    [found] = resolve_references([body], blueprint="leaf", principal=user)
    assert "found 100 or more (leaf-000, leaf-001, leaf-002 …)" in str(found.error)
