"""The builder's bench: computed properties tried on an entity before they are saved."""

import json
from typing import Any

import pytest
from django.test import Client

from catalog.models import Blueprint, Change, Entity
from catalog.services.blueprints import blueprint_document
from tests.catalog.following import refresh_all
from tests.factories import make_blueprint, make_entity

TRY = "/admin/catalog/blueprint/try/"
COUNT = {"calculationBy": "entities", "func": "count"}


@pytest.fixture
def service(db: None) -> Blueprint:
    make_blueprint(
        "domain",
        properties={
            "area": {"type": "string"},
            "links": {"type": "array", "items": {"type": "string"}},
        },
    )
    make_blueprint(
        "system",
        relations={"domain": {"target": "domain"}},
        mirrorProperties={"area": {"path": "domain.area"}},
    )
    service = make_blueprint(
        "service",
        properties={"stars": {"type": "number"}},
        relations={"system": {"target": "system"}, "uses": {"target": "service", "many": True}},
    )
    make_blueprint(
        "incident",
        properties={"cost": {"type": "number"}, "open": {"type": "boolean"}},
        relations={"service": {"target": "service"}},
    )
    make_entity("domain", "shop", properties={"area": "sales"})
    make_entity("system", "web", relations={"domain": "shop"})
    make_entity(
        "service", "cart", title="Cart", properties={"stars": 4}, relations={"system": "web"}
    )
    make_entity("service", "pay", properties={"stars": 9}, relations={"uses": ["cart"]})
    for number in range(3):
        make_entity(
            "incident",
            f"i{number}",
            properties={"cost": 10 * number, "open": number > 0},
            relations={"service": "cart"},
        )
    refresh_all()
    return service


def tried(client: Client, blueprint: Blueprint | None, sample: str = "", **parts: Any) -> Any:
    """The answer to a try: of a stored blueprint with some parts replaced, or of a new one."""
    document = {"identifier": "new", "title": "New"}
    if blueprint:
        document = blueprint_document(blueprint)
    return client.post(
        f"{TRY}?blueprint={blueprint.pk}" if blueprint else TRY,
        {"document": json.dumps({**document, **parts}), "sample": sample},
    )


def results(answer: Any) -> dict[str, Any]:
    """By name; the groups do not share names here."""
    assert answer.status_code == 200
    groups = answer.context["trial"]["results"].values()
    return {name: one for group in groups for name, one in group.items()}


def test_definitions_that_are_not_saved_are_tried_on_an_entity(
    admin_client: Client, service: Blueprint
) -> None:
    changes = Change.objects.count()
    answer = tried(
        admin_client,
        service,
        mirrorProperties={
            "area": {"path": "system.domain.area"},
            "mirrored": {"path": "system.area"},
            "links": {"path": "uses.system.domain.links"},
            "when": {"path": "system.$createdAt"},
        },
        calculationProperties={
            "double": {"type": "number", "calculation": ".properties.stars * 2"},
            "told": {
                "type": "string",
                "calculation": '"\\(.properties.area): \\(.properties.cost)"',
            },
        },
        aggregationProperties={
            "cost": {
                "type": "number",
                "target": "incident",
                "calculationSpec": {"calculationBy": "property", "func": "sum", "property": "cost"},
                "query": {
                    "combinator": "and",
                    "rules": [{"property": "open", "operator": "=", "value": True}],
                },
            },
        },
    )
    found = results(answer)
    assert {name: one["text"] for name, one in found.items() if name != "when"} == {
        "area": '"sales"',
        "mirrored": '"sales"',
        "links": "[]",
        "double": "8",
        "told": '"sales: 30"',
        "cost": "30",
    }
    assert {name: one["schema"] for name, one in found.items()} == {
        "area": {"type": "string"},
        "mirrored": {"type": "string"},
        "links": {"type": "array", "items": {"type": "string"}},
        "when": {"type": "string", "format": "date-time"},
        "double": {"type": "number"},
        "told": {"type": "string"},
        "cost": {"type": "number"},
    }
    assert [one["error"] + one["remark"] for one in found.values()] == [""] * 7
    assert (answer.context["trial"]["sample"], answer.context["given"]["properties"]) == (
        "Cart",
        {"stars": 4, "area": "sales", "cost": 30},
    )
    assert Change.objects.count() == changes
    assert Entity.objects.get(identifier="cart").computed == {}


def test_the_entity_is_chosen_or_the_first(admin_client: Client, service: Blueprint) -> None:
    part = {"c": {"type": "string", "calculation": ".identifier"}}
    for sample, text in (("", '"cart"'), ("pay", '"pay"')):
        answer = tried(admin_client, service, sample, calculationProperties=part)
        assert results(answer)["c"]["text"] == text
    for sample in ("gone", "\x00"):
        answer = tried(admin_client, service, sample, calculationProperties=part)
        assert "has no entity" in answer.context["error"].message


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"mirrorProperties": {"x": {"path": "nothing.area"}}}, 'a path in which "nothing" is'),
        ({"mirrorProperties": {"x": {"path": "system."}}}, "expected relation.property"),
        ({"mirrorProperties": {"x": {"path": "system.x"}}}, ""),
        ({"mirrorProperties": {"x": {"path": "uses.x"}}}, "service.x → service.x"),
        ({"mirrorProperties": {"x": {}}}, "expected relation.property"),
        ({"mirrorProperties": {"a b": {"path": "system.area"}}}, "a b"),
        ({"calculationProperties": {"x": {"type": "string", "calculation": ".a |"}}}, "line 1"),
        ({"calculationProperties": {"x": {"type": "string", "calculation": "nope"}}}, "nope/0"),
        (
            {"calculationProperties": {"x": {"type": "string", "calculation": ".title | .a"}}},
            "Cannot index string",
        ),
        ({"calculationProperties": {"x": {"calculation": "1"}}}, "x.type"),
        (
            {"aggregationProperties": {"x": {"target": "gone", "calculationSpec": COUNT}}},
            "an existing blueprint",
        ),
        ({"aggregationProperties": {"x": {"target": "incident"}}}, "calculationSpec"),
        (
            {
                "aggregationProperties": {
                    "x": {
                        "target": "incident",
                        "calculationSpec": COUNT,
                        "query": {"combinator": "and", "rules": [{"property": "cost"}]},
                    }
                }
            },
            "query.rules[0]",
        ),
        (
            {
                "aggregationProperties": {
                    "x": {
                        "target": "incident",
                        "calculationSpec": COUNT,
                        "pathFilter": [{"path": ["nothing"]}],
                    }
                }
            },
            "pathFilter[0].path",
        ),
    ],
)
def test_what_is_wrong_with_one_is_said_of_it_and_spares_the_others(
    admin_client: Client, service: Blueprint, part: dict[str, Any], said: str
) -> None:
    fine = {"fine": {"type": "number", "calculation": ".properties.stars"}}
    part = {**part, "calculationProperties": {**part.get("calculationProperties", {}), **fine}}
    found = results(tried(admin_client, service, **part))
    assert (found.pop("fine")["text"], len(found)) == ("4", 1)
    [one] = found.values()
    assert said in one["error"] if said else one["error"] == ""
    assert one["text"] == ""


def test_what_may_be_a_mistake_is_remarked(admin_client: Client, service: Blueprint) -> None:
    total = {"calculationBy": "property", "func": "sum", "property": "cots"}
    found = results(
        tried(
            admin_client,
            service,
            mirrorProperties={"m": {"path": "system.arae"}},
            calculationProperties={"c": {"type": "number", "calculation": ".title"}},
            aggregationProperties={"a": {"target": "incident", "calculationSpec": total}},
        )
    )
    assert {name: one["remark"] for name, one in found.items()} == {
        "m": 'Blueprint "system" has no property "arae"',
        "c": 'It gives text ("Cart"); expected type: number',
        "a": 'Blueprint "incident" has no property "cots"',
    }


def test_a_circle_through_another_blueprint_is_told(
    admin_client: Client, service: Blueprint
) -> None:
    spec = {"calculationBy": "property", "func": "sum", "property": "up"}
    make_blueprint("team", aggregationProperties={}, relations={"owns": {"target": "service"}})
    team = Blueprint.objects.get(identifier="team")
    admin_client.post(
        f"/admin/catalog/blueprint/{team.pk}/change/",
        {
            "document": json.dumps(
                {
                    **blueprint_document(team),
                    "aggregationProperties": {
                        "sum": {"target": "service", "calculationSpec": spec}
                    },
                }
            )
        },
    )
    part = {
        "relations": {"team": {"target": "team"}},
        "mirrorProperties": {"up": {"path": "team.sum"}},
    }
    error = results(tried(admin_client, service, **part))["up"]["error"]
    assert "in a circle" in error
    assert {"service.up", "team.sum"} <= set(error.partition(": ")[2].split(" → "))


def test_a_new_blueprint_is_checked_without_anything_to_try_on(
    admin_client: Client, service: Blueprint
) -> None:
    answer = tried(
        admin_client,
        None,
        relations={"of": {"target": "service"}, "next": {"target": "new", "many": True}},
        mirrorProperties={"stars": {"path": "of.stars"}, "all": {"path": "next.of.stars"}},
        calculationProperties={"c": {"type": "number", "calculation": "1 +"}},
        aggregationProperties={"n": {"target": "new", "calculationSpec": COUNT}},
    )
    assert b"nothing to try on" in answer.content
    found = results(answer)
    assert [found[name]["schema"] for name in ("stars", "all", "n")] == [
        {"type": "number"},
        {"type": "array", "items": {"type": "number"}},
        {"type": "number"},
    ]
    assert [one["tried"] for one in found.values()] == [False] * 4
    assert "syntax error" in found["c"]["error"]


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "{}", '{"identifier": 1, "relations": [1]}'])
def test_any_text_gets_an_answer(admin_client: Client, text: str) -> None:
    assert admin_client.post(TRY, {"document": text}).status_code == 200


def test_only_people_who_build_may_try(service: Blueprint) -> None:
    assert Client().post(TRY, {"document": "{}"}).status_code == 302
    assert Client().get(TRY).status_code == 302
