"""Scorecards in searches, counts and documents of entities."""

from __future__ import annotations

import json

import pytest

from catalog.kernel.actors import Insider
from catalog.kernel.errors import InvalidQuery
from catalog.models import Entity
from catalog.selectors.aggregate import aggregate
from catalog.selectors.documents import document
from catalog.selectors.search import search
from tests.factories import make_blueprint, make_entity
from tests.scorecards.stored import make_score, make_scorecard

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    service, api = make_blueprint("service"), make_blueprint("api")
    production = make_scorecard(blueprint=service)
    # of the same name, with other levels
    other = make_scorecard(blueprint=api, levels=("None", "Gold"), rules={"spec": "Gold"})
    draft = make_scorecard("draft", state="draft")
    plain = make_scorecard("plain", levels=("", "Good"), rules={})
    for name, statuses, rank in (
        ("a", "PP", 2),
        ("b", "PN", 1),
        ("c", "F-", 0),
        ("d", "XE", 0),
        ("e", "p.", 0),
    ):
        make_score(production, make_entity("service", name), statuses, rank)
    contract = make_entity("api", "contract")
    make_score(other, contract, "P", 1)
    make_score(draft, contract, "PP", 2)
    make_score(plain, contract, "", 0)
    make_entity("service", "unjudged")


def ask(operator, value, rule=None, scorecard="production"):
    asked = {"scorecard": scorecard, "operator": operator, "value": value}
    if rule:
        asked["scorecardRule"] = rule
    found = search({"combinator": "and", "rules": [asked]}, principal=Insider())
    return "".join(sorted(one[0] for one in found.values_list("identifier", flat=True)))


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("=", "Gold", "ac"),  # the service a and the contract, each of its own scorecard
        ("!=", "Gold", "bcde"),
        ("<", "Gold", "bcde"),
        ("<=", "Bronze", "bcde"),
        (">", "Basic", "ab"),
        (">=", "Bronze", "ab"),
        ("=", "None", ""),
    ],
)
def test_levels_compare_by_rank(shop, operator, value, expected) -> None:
    assert ask(operator, value) == expected


@pytest.mark.parametrize(
    ("rule", "operator", "value", "expected"),
    [
        ("owner", "=", "SUCCESS", "ab"),
        ("owner", "=", "FAILURE", "c"),
        ("owner", "!=", "SUCCESS", "c"),
        ("docs", "=", "FAILURE", "bd"),  # no data and an error are none; others do not count
        ("docs", "!=", "FAILURE", "a"),
        ("spec", "=", "SUCCESS", "c"),
    ],
)
def test_rules_are_passed_or_not(shop, rule, operator, value, expected) -> None:
    assert ask(operator, value, rule) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"scorecard": "draft", "value": "Gold"}, 'scorecard: no scorecard "draft"'),
        ({"value": "Tin"}, "value must be a level of production: Basic, Bronze, Gold, None"),
        ({"value": "Gold", "operator": "contains"}, "operator must be one of ="),
        ({"scorecardRule": "x", "value": "SUCCESS"}, "Rule must be a rule of production: owner"),
        ({"scorecardRule": "docs", "value": "PASS"}, "value must be SUCCESS or FAILURE"),
        ({"scorecardRule": "docs", "value": "SUCCESS", "operator": "<"}, "= or != for a rule"),
        ({"scorecardRule": "docs", "value": 3}, "value"),
    ],
)
def test_what_there_is_not_is_said(shop, asked, expected) -> None:
    rule = {"scorecard": "production", "operator": "=", **asked}
    with pytest.raises(InvalidQuery, match=expected) as caught:
        list(search({"combinator": "and", "rules": [rule]}, principal=Insider()))
    assert caught.value.details["field"].startswith("query.rules[0].")


def test_entities_are_counted_by_level_and_by_rule(shop) -> None:
    def count(**of):
        return aggregate({"func": "countValues", **of}, principal=Insider())

    assert count(scorecard="production") == {"Basic": 3, "Gold": 2, "Bronze": 1}
    assert count(scorecard="production", rule="docs") == {"FAILURE": 2, "SUCCESS": 1}
    assert count(scorecard="plain") == {}  # no level yet
    with pytest.raises(InvalidQuery, match=r"^rule must be a rule of production") as caught:
        count(scorecard="production", rule="x")
    assert caught.value.details["field"] == "rule"


def test_the_document_of_an_entity_says_how_it_does(shop, django_assert_num_queries) -> None:
    with django_assert_num_queries(1):
        told = [
            json.loads(document(Entity.objects.filter(identifier=name)))["scorecards"]
            for name in ("b",)
        ]
    assert told == [
        {
            "production": {
                "level": "Bronze",
                "rules": [
                    {"identifier": "owner", "status": "SUCCESS", "level": "Bronze"},
                    {"identifier": "docs", "status": "FAILURE", "level": "Gold"},
                ],
            }
        }
    ]

    def of(name):
        return json.loads(document(Entity.objects.filter(identifier=name)))["scorecards"]

    assert of("e") == {"production": {"level": "Basic", "rules": []}}
    assert of("contract") == {
        "production": {
            "level": "Gold",
            "rules": [{"identifier": "spec", "status": "SUCCESS", "level": "Gold"}],
        },
        "plain": {"level": None, "rules": []},
    }
    assert of("unjudged") == {}
