"""What may be said about computed properties; circles and dead ends are refused on saving."""

import pytest

from catalog.kernel.errors import InvalidBlueprint
from catalog.models import Blueprint
from catalog.services.blueprints import (
    create_blueprint,
    ensure_blueprints,
    patch_blueprint,
    rename_mirror,
    rename_property,
    rename_relation,
    replace_blueprint,
)
from catalog.services.derived import load_plan
from catalog.services.derived.specs import EVERYTHING, read_calculation
from tests.factories import ACTOR, make_blueprint

pytestmark = pytest.mark.django_db

COUNT = {"calculationBy": "entities", "func": "count"}
TEXT = {"type": "string"}


def total(name, target, **more):
    spec = {"calculationBy": "property", "func": "sum", "property": name}
    return {"target": target, "calculationSpec": spec, **more}


def stored(identifier):
    return Blueprint.objects.get(identifier=identifier)


@pytest.fixture
def kinds():
    make_blueprint("domain", properties={"area": TEXT})
    make_blueprint("system", relations={"domain": {"target": "domain"}})
    make_blueprint("service", properties={"cost": {"type": "number"}})
    make_blueprint("host")


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"mirrorProperties": {"m": {"path": "system"}}}, "mirrorProperties.m.path"),
        ({"mirrorProperties": {"m": {"path": "system..x"}}}, "mirrorProperties.m.path"),
        ({"mirrorProperties": {"m": {"path": "system.$datasource"}}}, "mirrorProperties.m.path"),
        ({"mirrorProperties": {"m": {"path": "system.$nothing"}}}, "mirrorProperties.m.path"),
        ({"mirrorProperties": {"m": {"path": "other.x"}}}, "mirrorProperties.m.path"),
        ({"mirrorProperties": {"m": {"path": "system.nothing.x"}}}, "mirrorProperties.m.path"),
        (
            {"calculationProperties": {"c": {"calculation": "1", "type": "int"}}},
            "calculationProperties.c.type",
        ),
        (
            {"calculationProperties": {"c": {"calculation": ".a | nothing", "type": "string"}}},
            "calculationProperties.c.calculation",
        ),
        (
            {"aggregationProperties": {"a": {"target": "nobody", "calculationSpec": COUNT}}},
            "aggregationProperties.a.target",
        ),
        (
            {"aggregationProperties": {"a": {"target": "host", "calculationSpec": COUNT}}},
            "aggregationProperties.a.target",
        ),
        (
            {"aggregationProperties": {"a": {"target": "service", "calculationSpec": "count"}}},
            "aggregationProperties.a.calculationSpec",
        ),
        (
            {"aggregationProperties": {"a": total("$title", "service")}},
            "aggregationProperties.a.calculationSpec.property",
        ),
        (
            {
                "aggregationProperties": {
                    "a": {"target": "service", "calculationSpec": {**COUNT, "func": "sum"}}
                }
            },
            "aggregationProperties.a.calculationSpec.func",
        ),
        (
            {
                "aggregationProperties": {
                    "a": {
                        "target": "service",
                        "calculationSpec": {
                            **COUNT,
                            "func": "average",
                            "averageOf": "year",
                        },
                    }
                }
            },
            "aggregationProperties.a.calculationSpec.averageOf",
        ),
        (
            {"aggregationProperties": {"a": total("cost", "service", query={"rules": 1})}},
            "aggregationProperties.a.query.rules",
        ),
        (
            {
                "aggregationProperties": {
                    "a": total(
                        "cost",
                        "system",
                        query={
                            "combinator": "and",
                            "rules": [{"relation": "nothing", "operator": "=", "value": "x"}],
                        },
                    )
                }
            },
            "aggregationProperties.a.query.rules[0].relation",
        ),
        (
            {
                "aggregationProperties": {
                    "a": total(
                        "cost",
                        "service",
                        query={
                            "combinator": "and",
                            "rules": [
                                {
                                    "property": {"context": "user", "property": "x"},
                                    "operator": "=",
                                    "value": "x",
                                }
                            ],
                        },
                    )
                }
            },
            "aggregationProperties.a.query.rules[0]",
        ),
        (
            {"aggregationProperties": {"a": total("cost", "service", pathFilter=[{"path": []}])}},
            "aggregationProperties.a.pathFilter[0].path",
        ),
        (
            {
                "aggregationProperties": {
                    "a": total("cost", "service", pathFilter=[{"path": ["host"]}])
                }
            },
            "aggregationProperties.a.pathFilter[0].path",
        ),
        (
            {
                "aggregationProperties": {
                    "a": total(
                        "cost",
                        "service",
                        pathFilter=[{"path": ["system"], "fromBlueprint": "host"}],
                    )
                }
            },
            "aggregationProperties.a.pathFilter[0].fromBlueprint",
        ),
        ({"teamInheritance": {"path": "other"}}, "teamInheritance.path"),
        ({"teamInheritance": "system"}, "teamInheritance"),
        ({"ownership": {"type": "Inherited", "path": "system.nothing"}}, "ownership.path"),
    ],
)
def test_a_definition_that_means_nothing_is_refused_by_field(kinds, part, field):
    relations = {"system": {"target": "system"}}
    with pytest.raises(InvalidBlueprint) as error:
        patch_blueprint("service", {"relations": relations, **part}, actor=ACTOR)
    assert error.value.details["field"] == field
    assert field.split(".")[-1].partition("[")[0] in error.value.message
    assert stored("service").version == 1


def test_what_is_broken_by_others_stands_in_no_other_changes_way(kinds):
    patch_blueprint(
        "service",
        {
            "relations": {"system": {"target": "system"}},
            "mirrorProperties": {"area": {"path": "system.domain.area"}},
        },
        actor=ACTOR,
    )
    patch_blueprint("system", {"relations": {}}, actor=ACTOR)
    patch_blueprint("service", {"title": "Service"}, actor=ACTOR)
    assert list(load_plan().of("service").problems) == ["area"]
    with pytest.raises(InvalidBlueprint):
        patch_blueprint(
            "service", {"mirrorProperties": {"more": {"path": "system.domain.area"}}}, actor=ACTOR
        )


@pytest.mark.parametrize(
    ("last", "circle"),
    [
        (
            ("domain", {"aggregationProperties": {"a": total("up", "service")}}),
            "service.up → domain.a → service.up",
        ),
        (
            ("domain", {"aggregationProperties": {"a": total("calc", "service")}}),
            "domain.a → service.calc → service.up → domain.a",
        ),
        (
            (
                "domain",
                {
                    "aggregationProperties": {
                        "a": {
                            "target": "service",
                            "calculationSpec": COUNT,
                            "query": {
                                "combinator": "or",
                                "rules": [
                                    {
                                        "combinator": "and",
                                        "rules": [{"property": "up", "operator": ">", "value": 1}],
                                    }
                                ],
                            },
                        }
                    }
                },
            ),
            "service.up → domain.a → service.up",
        ),
        (
            ("service", {"mirrorProperties": {"up": {"path": "peer.up"}}}),
            "service.up → service.up",
        ),
        (
            ("service", {"ownership": {"type": "Inherited", "path": "peer"}}),
            "service.$team → service.$team",
        ),
    ],
)
def test_a_circle_is_refused_and_named(last, circle):
    make_blueprint("domain")
    make_blueprint(
        "service",
        relations={"domain": {"target": "domain"}},
        mirrorProperties={"up": {"path": "domain.a"}},
        calculationProperties={"calc": {"calculation": ".properties.up + 1", "type": "number"}},
    )
    relations = {"domain": {"target": "domain"}, "peer": {"target": "service"}}
    patch_blueprint("service", {"relations": relations}, actor=ACTOR)
    with pytest.raises(InvalidBlueprint, match="in a circle") as error:
        patch_blueprint(*last, actor=ACTOR)
    nodes = circle.split(" → ")[:-1]
    told = error.value.details["value"].split(" → ")
    assert sorted(told[:-1]) == sorted(nodes)
    assert told[0] == told[-1] == error.value.details["field"]
    turned = nodes[nodes.index(told[0]) :] + nodes[: nodes.index(told[0])]
    assert told[:-1] == turned
    assert load_plan().cycles == []


def test_a_relation_that_closes_a_circle_is_refused():
    for name in ("a", "b", "c"):
        make_blueprint(name)
    patch_blueprint(
        "a",
        {"relations": {"to": {"target": "b"}}, "mirrorProperties": {"x": {"path": "to.y"}}},
        actor=ACTOR,
    )
    patch_blueprint(
        "b",
        {"relations": {"to": {"target": "c"}}, "mirrorProperties": {"y": {"path": "to.x"}}},
        actor=ACTOR,
    )
    with pytest.raises(InvalidBlueprint, match=r"a\.x → b\.y → a\.x|b\.y → a\.x → b\.y"):
        patch_blueprint("b", {"relations": {"to": {"target": "a"}}}, actor=ACTOR)
    with pytest.raises(InvalidBlueprint, match="in a circle"):
        replace_blueprint(
            "c",
            {
                "relations": {"to": {"target": "a"}},
                "mirrorProperties": {"x": {"path": "to.x"}},
            },
            actor=ACTOR,
        )
    with pytest.raises(InvalidBlueprint, match="in a circle"):
        create_blueprint(
            {
                "identifier": "d",
                "relations": {"self": {"target": "*"}},
                "mirrorProperties": {"x": {"path": "self.x"}},
            },
            actor=ACTOR,
        )


@pytest.mark.parametrize(
    ("expression", "reads"),
    [
        (".properties.up", {"up"}),
        ('.properties["up"] // .properties.down', {"up", "down"}),
        ('.properties | ."up"', {EVERYTHING}),
        (". as $e | $e.properties.up", {EVERYTHING}),
        (".identifier", set()),
        ('.properties.tags | map(.name) | join(",")', set()),
        ("[.. | numbers] | add", {EVERYTHING}),
        (".properties | keys | length", {EVERYTHING}),
        (".properties.own - .properties.up", {"up"}),
        ("tojson", {EVERYTHING}),
    ],
)
def test_what_a_calculation_reads_is_seen_in_its_text(expression, reads):
    words = read_calculation({"calculation": expression, "type": "string"}, "").words
    assert words & {EVERYTHING, "up", "down"} >= reads
    assert (EVERYTHING in words) is (EVERYTHING in reads)


def test_what_is_renamed_is_followed():
    make_blueprint("domain", properties={"area": TEXT})
    make_blueprint("system", relations={"domain": {"target": "domain"}})
    make_blueprint(
        "service",
        properties={"cost": {"type": "number"}, "state": TEXT},
        relations={"system": {"target": "system"}},
        mirrorProperties={"area": {"path": "system.domain.area"}},
        teamInheritance={"path": "system.domain"},
    )
    make_blueprint(
        "host",
        relations={"of": {"target": "service"}},
        mirrorProperties={"area": {"path": "of.area"}},
    )
    asked = {"combinator": "and", "rules": [{"property": "state", "operator": "=", "value": "x"}]}
    path = [{"path": ["system", "domain"], "fromBlueprint": "service"}]
    patch_blueprint(
        "domain",
        {"aggregationProperties": {"a": total("cost", "service", query=asked, pathFilter=path)}},
        actor=ACTOR,
    )
    rename_property("domain", "area", "region", actor=ACTOR)
    rename_property("service", "state", "status", actor=ACTOR)
    rename_relation("system", "domain", "part_of", actor=ACTOR)
    rename_mirror("service", "area", "place", actor=ACTOR)
    patch_blueprint("service", {"identifier": "svc"}, actor=ACTOR)
    assert stored("svc").mirror_properties == {"place": {"path": "system.part_of.region"}}
    assert stored("svc").extra["teamInheritance"] == {"path": "system.part_of"}
    assert stored("host").mirror_properties == {"area": {"path": "of.place"}}
    aggregation = stored("domain").aggregation_properties["a"]
    assert aggregation["target"] == "svc"
    assert aggregation["pathFilter"] == [{"path": ["system", "part_of"], "fromBlueprint": "svc"}]
    assert aggregation["query"]["rules"][0]["property"] == "status"
    assert [one.problems for one in load_plan().by_pk.values() if one.problems] == []


def test_blueprints_that_need_each_other_come_together():
    documents = {
        "a": {
            "identifier": "a",
            "relations": {"b": {"target": "b"}},
            "mirrorProperties": {"x": {"path": "b.c.$title"}},
        },
        "b": {
            "identifier": "b",
            "relations": {"c": {"target": "c"}},
            "aggregationProperties": {"n": {"target": "a", "calculationSpec": COUNT}},
        },
        "c": {"identifier": "c", "ownership": {"type": "Inherited", "path": "b"}},
    }
    documents["c"]["relations"] = {"b": {"target": "b"}}
    assert ensure_blueprints(documents, actor=ACTOR) == ["a", "b", "c"]
    assert all(not one.problems for one in load_plan().by_pk.values())
