from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import AnonymousUser

from catalog.selectors.search import search
from catalog.selectors.search.moments import PRESETS
from catalog.selectors.search.rules import OPERATORS, parse
from tests.catalog.search.shop import Shop
from tests.factories import make_client, make_entity

pytestmark = pytest.mark.django_db

SERVICES = "cart lone mail pay"


def _found(shop: Shop, query: Any, *, own: bool = True) -> str:
    found = search(query, principal=shop.ann, blueprint=shop.service if own else None)
    return " ".join(sorted(found.values_list("identifier", flat=True)))


def _rule(property: Any, operator: str, *value: Any, **more: Any) -> dict[str, Any]:
    given = {"value": value[0]} if value else {}
    return {"property": property, "operator": operator, **given, **more}


def _and(*rules: Any) -> dict[str, Any]:
    return {"combinator": "and", "rules": [*rules]}


def _or(*rules: Any) -> dict[str, Any]:
    return {"combinator": "or", "rules": [*rules]}


@pytest.mark.parametrize(
    ("property", "operator", "value", "expected"),
    [
        # equality: strict about types and case; what is absent differs from everything
        ("language", "=", "go", "pay"),
        ("language", "!=", "go", "cart lone mail"),
        ("tier", "=", 1, "pay"),
        ("tier", "=", 1.0, "pay"),
        ("tier", "=", "1", ""),
        ("tier", "!=", 1, "cart lone mail"),
        ("live", "=", False, "cart lone"),
        ("live", "=", 0, ""),
        ("tier", "=", True, ""),
        ("tier", "=", None, "lone"),
        ("tier", "!=", None, "cart mail pay"),
        ("tags", "=", ["pci", "java"], "pay"),
        ("tags", "=", ["java", "pci"], ""),
        ("tags", "=", [], "mail"),
        ("tags", "=", "pci", ""),
        ("absent", "=", "x", ""),
        ("absent", "!=", "x", SERVICES),
        ("unknown", "=", "kept", "pay"),
        # computed ones, behind those of the entity itself
        ("grade", "=", "A", "pay"),
        ("grade", "!=", "A", "cart lone mail"),
        ("grade", "in", ["A", "B"], "cart pay"),
        ("grade", "beginsWith", "B", "cart"),
        ("stray", "=", "x", ""),
        # order, of numbers and of dates
        ("tier", ">", 1, "cart mail"),
        ("tier", ">=", 2, "cart mail"),
        ("tier", "<", 2, "pay"),
        ("tier", "<=", 2, "cart pay"),
        ("language", ">", 1, ""),
        ("since", ">", "2024-03-01", "cart"),
        ("since", "<=", "2024-02-29T13:00:00.5+01:00", "pay"),
        ("since", "<", "2024-02-29T12:00:00.5Z", ""),
        # text
        ("language", "contains", "go", "lone pay"),
        ("language", "doesNotContains", "go", "cart mail"),
        ("language", "beginsWith", "go", "lone pay"),
        ("language", "doesNotBeginsWith", "go", "cart mail"),
        ("language", "endsWith", "o", "mail pay"),
        ("language", "doesNotEndsWith", "o", "cart lone"),
        ("tier", "beginsWith", "1", ""),
        ("repo", "contains", "git.example", "pay"),
        # lists
        ("tags", "contains", "java", "cart pay"),
        ("tags", "contains", "jav", ""),
        ("tags", "doesNotContains", "java", "lone mail"),
        ("tags", "containsAny", ["pci", "50%_off"], "cart pay"),
        ("tags", "containsAny", [], ""),
        ("ports", "contains", 443, "pay"),
        ("ports", "contains", "443", ""),
        ("ports", "containsAny", [1, 80], "pay"),
        ("language", "in", ["go", "python"], "cart pay"),
        ("language", "in", [], ""),
        ("language", "notIn", ["go", "python"], "lone mail"),
        ("tier", "in", [1, 2.5, None], "lone mail pay"),
        ("tags", "in", ["java"], ""),
        # emptiness
        ("tags", "isEmpty", ..., "lone mail"),
        ("tags", "isNotEmpty", ..., "cart pay"),
        ("meta", "isNotEmpty", ..., "cart"),
        # dates
        ("since", "between", {"from": "2024-02-29", "to": "2024-02-29"}, "pay"),
        ("since", "between", {"from": "2024-02-29", "to": "2024-06-01T00:00Z"}, "cart pay"),
        ("since", "=", {"from": "2024-06-01", "to": "2024-06-02"}, "cart"),
        ("since", "notBetween", {"from": "2024-06-01", "to": "2024-06-02"}, "lone mail pay"),
        ("since", "=", "soon", "mail"),
        ("lease", "isExpired", ..., "pay"),
        ("lease", "isNotExpired", ..., "cart"),
        # meta properties
        ("$identifier", "=", "pay", "pay"),
        ("$identifier", "=", 1, ""),
        ("$identifier", "!=", "pay", "cart lone mail"),
        ("$identifier", "in", ["pay", "mail", "money", 3], "mail pay"),
        ("$identifier", "notIn", ["pay", "mail"], "cart lone"),
        ("$identifier", "contains", "a", "cart mail pay"),
        ("$identifier", "contains", "art", "cart"),
        ("$identifier", "contains", "ART", ""),
        ("$identifier", "beginsWith", "mai", "mail"),
        ("$identifier", "doesNotEndsWith", "art", "lone mail pay"),
        ("$title", "contains", "cart", "cart"),
        ("$title", "=", "Payments", "pay"),
        ("$title", "=", None, "lone mail"),
        ("$title", "isEmpty", ..., "lone mail"),
        ("$icon", "=", "Service", "pay"),
        ("$blueprint", "=", "service", SERVICES),
        ("$blueprint", "!=", "service", ""),
        ("$blueprint", "contains", "serv", SERVICES),
        ("$team", "=", "core", "cart pay"),
        ("$team", "!=", "core", "lone mail"),
        ("$team", "=", ["core"], "pay"),
        ("$team", "contains", "web", "cart"),
        ("$team", "containsAny", ["web", "x"], "cart"),
        ("$team", "in", ["web"], "cart"),
        ("$team", "in", ["My Teams"], "cart pay"),
        ("$team", "notIn", ["My Teams"], "lone mail"),
        ("$team", "isEmpty", ..., "lone mail"),
        ("$team", "=", None, "lone mail"),
        ("$createdBy", "=", "ocean", "cart pay"),
        ("$updatedBy", "endsWith", "@example.com", "lone mail"),
        ("$datasource", "contains", "port-ocean/github/", "pay"),
        ("$datasource", "beginsWith", "port-ocean/", "cart pay"),
        ("$datasource", "endsWith", "/my-gitlab/exporter", "cart"),
        ("$datasource", "doesNotContains", "github", "cart lone mail"),
        ("$createdAt", ">", "2020-01-01", SERVICES),
        ("$createdAt", "between", {"preset": "lastDay"}, SERVICES),
        ("$updatedAt", "=", "2020-01-01", ""),
        ("$updatedAt", "isEmpty", ..., ""),
    ],
)
def test_a_comparison_finds_exactly_these(shop, property, operator, value, expected):
    rule = _rule(property, operator) if value is ... else _rule(property, operator, value)
    assert _found(shop, _and(rule)) == expected
    # the same without knowing the blueprint, thus its schema
    assert _found(shop, _and(_rule("$blueprint", "in", ["service"]), rule), own=False) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (None, SERVICES),
        ({}, SERVICES),
        ({"combinator": "and", "rules": []}, SERVICES),
        ({"combinator": "or", "rules": [{"combinator": "and", "rules": []}]}, SERVICES),
        ({"combinator": "or", "rules": []}, SERVICES),
        # a group without rules says nothing, instead of letting everything through
        (_or(_rule("tier", "=", 1), _and()), "pay"),
        # but one of no rules holds for nothing: exporters delete what such a query finds
        (_and(_rule("tier", "=", 1), _or()), ""),
        (_and(_or()), ""),
        (_and(_and(_or())), ""),
        (_or(_rule("tier", "=", 1), _or()), "pay"),
        (_or(_rule("tier", "=", 1), _rule("tier", "=", 2)), "cart pay"),
        (_and(_rule("tier", ">", 1), _rule("live", "=", False)), "cart"),
        (
            _or(_and(_rule("tier", "=", 1), _rule("live", "=", True)), _rule("tags", "=", [])),
            "mail pay",
        ),
    ],
)
def test_groups_nest(shop, query, expected):
    assert _found(shop, query) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"relation": "system", "operator": "=", "value": "billing"}, "pay"),
        ({"relation": "system", "operator": "!=", "value": "billing"}, "cart lone mail"),
        ({"relation": "system", "operator": "=", "value": None}, "lone mail"),
        ({"relation": "system", "operator": "isNotEmpty"}, "cart pay"),
        ({"relation": "system", "operator": "in", "value": ["billing", "stock"]}, "cart pay"),
        ({"relation": "system", "operator": "contains", "value": "ill"}, "pay"),
        ({"relation": "system", "operator": "beginsWith", "value": "st"}, "cart"),
        ({"relation": "dependsOn", "operator": "=", "value": "pay"}, "mail"),
        ({"relation": "dependsOn", "operator": "contains", "value": "mail"}, "cart"),
        ({"relation": "dependsOn", "operator": "contains", "value": "mai"}, ""),
        (
            {"relation": "dependsOn", "operator": "containsAny", "value": ["cart", "pay"]},
            "mail pay",
        ),
        ({"relation": "dependsOn", "operator": "=", "value": ["mail", "ghost"]}, "cart"),
        # one that leads nowhere yet
        ({"relation": "dependsOn", "operator": "=", "value": "ghost"}, "cart"),
        ({"relation": "uses", "operator": "=", "value": "domain:money"}, "pay"),
        ({"relation": "uses", "operator": "=", "value": "money"}, ""),
        (
            {"propertySchema": {"type": "string"}, "operator": "=", "value": "ann@example.com"},
            "pay",
        ),
        ({"propertySchema": {"type": "string", "format": "url"}, "operator": "isNotEmpty"}, "pay"),
        ({"propertySchema": {"type": "string"}, "operator": "=", "value": "A"}, "pay"),
        ({"propertySchema": {"type": "number"}, "operator": "!=", "value": 2}, "lone mail pay"),
        (
            {
                "propertySchema": {"type": "array", "items": {"type": "number"}},
                "operator": "contains",
                "value": 80,
            },
            "pay",
        ),
        ({"propertySchema": {"type": "string", "format": "x"}, "operator": "=", "value": "A"}, ""),
    ],
)
def test_relations_and_property_schemas(shop, rule, expected):
    assert _found(shop, _and(rule)) == expected
    for only in (_rule("$blueprint", "=", "service"), _rule("$blueprint", "in", ["service"])):
        assert _found(shop, _and(only, rule), own=False) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # pay -> cart -> mail -> pay is a circle
        ({"blueprint": "service", "value": "pay"}, "billing cart goods mail money stock"),
        (
            {"blueprint": "service", "value": "pay", "direction": "upstream"},
            "billing cart goods mail money stock",
        ),
        ({"blueprint": "service", "value": "pay", "direction": "downstream"}, "cart mail"),
        ({"blueprint": "domain", "value": "goods"}, "cart mail pay stock"),
        ({"blueprint": "domain", "value": "goods", "direction": "upstream"}, ""),
        ({"blueprint": "domain", "value": "goods", "required": True}, "stock"),
        ({"blueprint": "domain", "value": "goods", "required": False}, ""),
        (
            {"blueprint": "system", "value": ["stock", "billing"], "direction": "upstream"},
            "goods money",
        ),
        ({"blueprint": "service", "value": "lone"}, ""),
        ({"blueprint": "service", "value": ["nobody", "ghost"]}, ""),
        (
            {"blueprint": "_user", "value": {"context": "user", "property": "$identifier"}},
            "core org",
        ),
    ],
)
def test_related_to_walks_any_graph_to_its_end(shop, rule, expected):
    assert _found(shop, _and({"operator": "relatedTo", **rule}), own=False) == expected


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ({"path": ["system", "domain"]}, "money", "pay"),
        ({"path": ["system", "domain"]}, ["money", "goods"], "cart pay"),
        ({"path": "system"}, "stock", "cart"),
        ({"path": ["dependsOn", "system"]}, "stock", "pay"),
        ({"path": ["dependsOn"]}, "mail", "cart"),
        ({"path": [{"relation": "dependsOn", "maxHops": 2}]}, "mail", "cart pay"),
        ({"path": [{"relation": "dependsOn", "maxHops": 15}]}, "mail", "cart mail pay"),
        ({"path": [{"relation": "dependsOn", "maxHops": 2}, "system"]}, "stock", "mail pay"),
        ({"path": ["uses"]}, "domain:money", "pay"),
        ({"path": ["uses"]}, "money", "pay"),
        # from the given entities to those looked for
        ({"path": ["dependsOn"], "fromBlueprint": "service"}, "pay", "cart"),
        (
            {"path": [{"relation": "dependsOn", "maxHops": 2}], "fromBlueprint": "service"},
            "pay",
            "cart mail",
        ),
    ],
)
def test_match_any_follows_a_path(shop, path, value, expected):
    assert _found(shop, _and(_rule(path, "matchAny", value))) == expected


def test_match_any_without_a_blueprint_may_end_anywhere(shop):
    rule = _rule({"path": ["system", "domain"], "fromBlueprint": "service"}, "matchAny", "pay")
    assert _found(shop, _and(rule), own=False) == "money"
    assert _found(shop, _and(_rule({"path": ["parent"]}, "matchAny", "org")), own=False) == (
        "core web"
    )


ME = {"context": "user", "property": "$identifier"}
MY_TEAMS = {"context": "userTeams", "property": "$identifier"}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (_rule("owner", "=", ME), "pay"),
        (_rule("owner", "!=", ME), "cart lone mail"),
        (_rule("owner", "in", ME), "pay"),
        (_rule("owner", "=", {"context": "user", "property": "nothing"}), ""),
        (_rule("owner", "!=", {"context": "user", "property": "nothing"}), ""),
        (_rule("$team", "=", MY_TEAMS), "cart pay"),
        (_rule("$team", "containsAny", MY_TEAMS), "cart pay"),
        (_rule({"context": "user", "property": "status"}, "=", "Active"), SERVICES),
        (_rule({"context": "user", "property": "status"}, "!=", "Active"), ""),
        (_rule({"context": "user", "property": "level"}, "=", 3), SERVICES),
        (_rule({"context": "user", "property": "level"}, "in", ["3", True]), ""),
        (_rule(MY_TEAMS, "contains", "core"), SERVICES),
        (_rule(MY_TEAMS, "contains", "web"), ""),
    ],
)
def test_the_calling_user_on_either_side(shop, rule, expected):
    assert _found(shop, _and(rule)) == expected


def test_a_program_has_no_teams_and_no_user(shop):
    client, _ = make_client()
    for rule in (
        _rule("$team", "in", ["My Teams"]),
        _rule("$team", "=", MY_TEAMS),
        _rule("owner", "!=", ME),
        _rule("$team", "notIn", MY_TEAMS),
    ):
        assert not search(_and(rule), principal=client).exists()
    assert not search(None, principal=AnonymousUser()).exists()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (_and(_rule("repo", "=", "https://git.example.com/pay")), "pay"),
        (_and(_rule("repo", "=", "https://nowhere")), ""),
        # several, none asked for, or nonsense: an exporter deletes what it is answered
        (_and(_rule("live", "=", False)), ""),
        ({}, ""),
        (_and(), ""),
        ({"what": 1}, ""),
        (_and({"operator": "?"}), ""),
    ],
)
def test_a_search_for_an_identifier_stands_for_the_one_entity_it_finds(shop, value, expected):
    rules = [_rule("$identifier", "=", value), _rule("$blueprint", "=", "service")]
    assert _found(shop, _and(*rules), own=False) == expected
    assert _found(shop, _and(rules[0])) == expected


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("today", "t-noon t-zero"),
        ("yesterday", "y-late y-zero"),
        ("tomorrow", "n-zero"),
        ("lastDay", "t-noon t-zero y-late"),
        ("lastWeek", "t-noon t-zero w-six y-late y-zero"),
        ("last3Months", "m-two t-noon t-zero w-six y-late y-zero"),
        ("nextDay", "n-zero t-noon"),
    ],
)
def test_presets_count_from_now_in_utc(shop, preset, expected):
    moments = {
        "m-two": "2026-01-10T00:00:00Z",
        "w-six": "2026-03-04T12:00:00+00:00",
        "y-zero": "2026-03-09",
        "y-late": "2026-03-09T23:59:59.999Z",
        "t-zero": "2026-03-10T00:00:00Z",
        "t-noon": "2026-03-10T13:00:00+01:00",
        "n-zero": "2026-03-11T01:00:00+01:00",
    }
    for name, since in moments.items():
        make_entity("service", name, properties={"since": since})
    with time_machine.travel(datetime(2026, 3, 10, 12, tzinfo=UTC), tick=False):
        assert _found(shop, _and(_rule("since", "between", {"preset": preset}))) == expected


def test_the_documentation_shows_every_operator():
    text = (Path(__file__).parents[3] / "docs" / "search.md").read_text()
    examples = [json.loads(one) for one in re.findall(r"\| `(\{.*\})` \|$", text, re.MULTILINE)]
    shown = set()
    for example in examples:
        parse({"combinator": "and", "rules": [example]})
        shown.add(example["operator"])
    # these four share a line
    assert shown | {">=", "<", "<="} == {*OPERATORS, "relatedTo", "matchAny"}
    assert {*re.findall(r"\w+", text)} >= {*PRESETS}


def test_a_property_that_one_blueprint_computes_is_another_ones_own(shop):
    assert _found(shop, _and(_rule("grade", "=", "A")), own=False) == "money pay"
    assert _found(shop, _and(_rule("grade", "in", ["A", "B"])), own=False) == "cart money pay"
