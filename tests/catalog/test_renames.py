"""Whatever is renamed, everything that speaks of it follows."""

import pytest

from catalog.kernel.errors import AlreadyExists, BreakingChange, InvalidInput, NotFound
from catalog.models import Blueprint, Change, Entity, Relation
from catalog.services import entities
from catalog.services.blueprints import (
    blueprint_document,
    patch_blueprint,
    rename_mirror,
    rename_property,
    rename_relation,
)
from tests.factories import ACTOR, make_blueprint, make_entity

pytestmark = pytest.mark.django_db


def edges():
    """{source: [(relation, target, the pk it leads to is that of the target)]}"""
    found: dict[str, list] = {}
    rows = Relation.objects.select_related("source", "definition", "target__blueprint")
    for r in rows.order_by("source_id", "definition__position", "position"):
        name = f"{r.target_blueprint}:{r.target_identifier}"
        is_right = r.target is not None and r.target.ref == name
        found.setdefault(r.source.identifier, []).append((r.definition.identifier, name, is_right))
    return found


def stated(identifier):
    return Entity.objects.get(identifier=identifier).relations


@pytest.fixture
def world():
    make_blueprint("domain", properties={"area": {"type": "string"}})
    make_blueprint("system", relations={"domain": {"target": "domain"}})
    make_blueprint(
        "service",
        properties={"tier": {"type": "string"}, "cost": {"type": "number"}},
        required=["tier"],
        relations={
            "system": {"target": "system"},
            "uses": {"target": "service", "many": True},
            "near": {"target": "*", "many": True},
        },
        mirrorProperties={
            "area": {"path": "system.domain.area"},
            "used_tier": {"path": "uses.tier"},
        },
        aggregationProperties={
            "total": {
                "target": "service",
                "calculationSpec": {"func": "sum", "calculationBy": "property", "property": "cost"},
            }
        },
        ownership={"type": "Inherited", "path": "system.domain"},
    )
    make_blueprint(
        "app",
        relations={"main": {"target": "service"}},
        mirrorProperties={
            "tier": {"path": "main.tier"},
            "area": {"path": "main.system.domain.area"},
        },
        aggregationProperties={
            "spent": {
                "target": "service",
                "calculationSpec": {"func": "sum", "calculationBy": "property", "property": "cost"},
            }
        },
    )
    make_entity("domain", "money")
    make_entity("system", "bank", relations={"domain": "money"})
    make_entity(
        "service",
        "pay",
        properties={"tier": "gold", "cost": 5},
        relations={
            "system": "bank",
            "uses": ["pay", "auth"],
            "near": ["service:pay", "system:bank", "bank:pay"],
        },
    )
    make_entity("app", "shop", relations={"main": "pay"})


def documents():
    return {b.identifier: blueprint_document(b) for b in Blueprint.objects.all()}


def test_an_entity(world):
    make_entity("app", "web", relations={"main": "payments"})  # the coming name, dangling
    make_entity(
        "service", "auth", properties={"tier": "x"}, relations={"uses": ["pay", "payments"]}
    )
    pk = Entity.objects.get(identifier="pay").pk
    assert entities.rename("service", "pay", "payments", actor=ACTOR) == pk
    assert stated("payments") == {
        "system": "bank",
        "uses": ["payments", "auth"],
        "near": ["service:payments", "system:bank", "bank:pay"],
    }
    assert stated("shop") == stated("web") == {"main": "payments"}
    assert stated("auth") == {"uses": ["payments"]}
    assert edges() == {
        "bank": [("domain", "domain:money", True)],
        "payments": [
            ("system", "system:bank", True),
            ("uses", "service:payments", True),
            ("uses", "service:auth", True),
            ("near", "service:payments", True),
            ("near", "system:bank", True),
            ("near", "bank:pay", False),
        ],
        "shop": [("main", "service:payments", True)],
        "web": [("main", "service:payments", True)],
        "auth": [("uses", "service:payments", True)],
    }
    change = Change.objects.get(action="rename")
    assert (change.before, change.after) == ({"identifier": "pay"}, {"identifier": "payments"})


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [("nobody", "x", NotFound), ("pay", "auth", AlreadyExists), ("pay", "a b", InvalidInput)],
)
def test_an_entity_that_cannot_be_renamed(world, old, new, error):
    make_entity("service", "auth", properties={"tier": "x"})
    changes = Change.objects.count()
    with pytest.raises(error):
        entities.rename("service", old, new, actor=ACTOR)
    entities.rename("service", "pay", "pay", actor=ACTOR)
    assert Change.objects.count() == changes


def test_a_team(world):
    make_entity("_team", "core")
    make_entity("app", "owned", team=["ops", "core"])
    make_entity("_user", "ann", relations={"team": ["core"]})
    entities.rename("_team", "core", "kernel", actor=ACTOR)
    assert Entity.objects.get(identifier="owned").team == ["ops", "kernel"]
    assert stated("ann") == {"team": ["kernel"]}


def test_a_property(world):
    rename_property("service", "tier", "level", actor=ACTOR)
    rename_property("service", "cost", "price", actor=ACTOR)
    assert Entity.objects.get(identifier="pay").properties == {"level": "gold", "price": 5}
    now = documents()
    assert list(now["service"]["schema"]["properties"]) == ["level", "price"]
    assert now["service"]["schema"]["required"] == ["level"]
    assert now["service"]["mirrorProperties"] == {
        "area": {"path": "system.domain.area"},
        "used_tier": {"path": "uses.level"},
    }
    assert now["app"]["mirrorProperties"]["tier"] == {"path": "main.level"}
    for blueprint, name in (("service", "total"), ("app", "spent")):
        spec = now[blueprint]["aggregationProperties"][name]["calculationSpec"]
        assert spec["property"] == "price"
    with pytest.raises(NotFound):
        rename_property("service", "tier", "x", actor=ACTOR)
    with pytest.raises(AlreadyExists):
        rename_property("service", "level", "price", actor=ACTOR)


def test_a_property_with_a_value_that_cannot_move_is_left_alone(world):
    strict = {"properties": {"tier": {"type": "string", "enum": ["tin"]}}}
    patch_blueprint("service", {"schema": strict}, actor=ACTOR, force=True)
    before = documents()
    with pytest.raises(BreakingChange, match='cannot follow, first "pay"'):
        rename_property("service", "tier", "level", actor=ACTOR)
    assert documents() == before
    assert Entity.objects.get(identifier="pay").properties["tier"] == "gold"


def test_a_relation(world):
    rename_relation("service", "uses", "calls", actor=ACTOR)
    rename_relation("service", "system", "part_of", actor=ACTOR)
    rename_relation("system", "domain", "area", actor=ACTOR)
    assert list(stated("pay").items()) == [
        ("near", ["service:pay", "system:bank", "bank:pay"]),
        ("calls", ["pay", "auth"]),
        ("part_of", "bank"),
    ]
    now = documents()
    assert list(now["service"]["relations"]) == ["part_of", "calls", "near"]
    assert now["service"]["mirrorProperties"] == {
        "area": {"path": "part_of.area.area"},
        "used_tier": {"path": "calls.tier"},
    }
    assert now["service"]["ownership"]["path"] == "part_of.area"
    assert now["app"]["mirrorProperties"]["area"] == {"path": "main.part_of.area.area"}
    assert ("calls", "service:pay", True) in edges()["pay"]
    with pytest.raises(AlreadyExists):
        rename_relation("service", "calls", "near", actor=ACTOR)


def test_a_mirror_property(world):
    rename_mirror("app", "tier", "main_tier", actor=ACTOR)
    assert list(documents()["app"]["mirrorProperties"]) == ["main_tier", "area"]


def test_a_blueprint(world):
    make_entity("system", "later", relations={})
    make_blueprint("note", relations={"of": {"target": "*", "many": True}})
    # The coming name is spoken of already: for the same entity, and for one that is not there.
    make_entity("note", "n", relations={"of": ["component:pay", "service:pay", "component:no"]})
    patch_blueprint("service", {"identifier": "component", "title": "C"}, actor=ACTOR)
    assert Entity.objects.get(identifier="pay").ref == "component:pay"
    assert stated("pay")["near"] == ["component:pay", "system:bank", "bank:pay"]
    assert stated("n") == {"of": ["component:pay", "component:no"]}
    now = documents()
    assert "service" not in now
    assert now["component"]["title"] == "C"
    assert now["component"]["relations"]["uses"]["target"] == "component"
    assert now["component"]["aggregationProperties"]["total"]["target"] == "component"
    assert now["app"]["relations"]["main"]["target"] == "component"
    assert now["app"]["aggregationProperties"]["spent"]["target"] == "component"
    found = edges()
    assert found["n"] == [("of", "component:pay", True), ("of", "component:no", False)]
    assert found["shop"] == [("main", "component:pay", True)]
    assert ("uses", "component:pay", True) in found["pay"]
    assert ("uses", "component:auth", False) in found["pay"]
    make_entity("component", "auth", properties={"tier": "x"})
    assert ("uses", "component:auth", True) in edges()["pay"]
    with pytest.raises(AlreadyExists):
        patch_blueprint("component", {"identifier": "app"}, actor=ACTOR)
