"""Blueprints: what is accepted, what a change does to entities, what may be deleted."""

import time

import pytest

from catalog.kernel.errors import (
    AlreadyExists,
    BreakingChange,
    Conflict,
    HasDependents,
    InvalidBlueprint,
    NotFound,
)
from catalog.models import Blueprint, Change, Entity, Relation
from catalog.services import entities
from catalog.services.blueprints import (
    blueprint_document,
    create_blueprint,
    delete_all_entities,
    delete_blueprint,
    ensure_blueprints,
    patch_blueprint,
    preview_change,
    rename_property,
    rename_relation,
    replace_blueprint,
)
from catalog.services.entities import EntityDraft, Mode
from tests.factories import ACTOR, make_blueprint, make_entity

pytestmark = pytest.mark.django_db


def effects(blueprint, /, **changes):
    document = {**blueprint_document(Blueprint.objects.get(identifier=blueprint)), **changes}
    impact = preview_change(blueprint, document)
    return {(e.kind, e.path): (e.count, e.examples, e.is_breaking) for e in impact.effects}


def schema(*required, **properties):
    return {"properties": properties, "required": list(required)}


TEXT, NUMBER = {"type": "string"}, {"type": "number"}


def test_what_went_in_comes_out():
    make_blueprint("team")
    document = {
        "identifier": "service",
        "title": "Service",
        "icon": "Box",
        "description": "What we run.",
        "schema": schema("z", z={"type": "string", "title": "Zed", "x-own": [1]}, a=NUMBER),
        "relations": {
            "b": {"title": None, "target": "team", "required": True, "many": False},
            "a": {"title": "A", "target": "*", "required": False, "many": True, "description": "d"},
            "self": {"title": None, "target": "service", "required": False, "many": False},
        },
        "mirrorProperties": {"m": {"path": "b.email"}},
        "calculationProperties": {"c": {"calculation": ".title", "type": "string"}},
        "aggregationProperties": {"n": {"target": "team", "calculationSpec": {"func": "count"}}},
        "changelogDestination": {"type": "KAFKA"},
        "ownership": {"type": "Inherited", "path": "b"},
    }
    create_blueprint(document, actor=ACTOR)
    stored = blueprint_document(Blueprint.objects.get(identifier="service"))
    assert stored == document
    assert list(stored["schema"]["properties"]) == ["z", "a"]
    assert list(stored["relations"]) == ["b", "a", "self"]
    with pytest.raises(AlreadyExists, match='Blueprint "service" exists already'):
        create_blueprint(document, actor=ACTOR)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"identifier": "a b"}, "identifier"),
        ({"identifier": "b" * 101}, "identifier"),
        ({"identifier": None}, "identifier"),
        ({"title": 5}, "title"),
        ({"schema": []}, "schema"),
        ({"schema": {"properties": []}}, "schema.properties"),
        ({"schema": {"properties": {"a b": TEXT}}}, "schema.properties"),
        ({"schema": {"properties": {"a": []}}}, "schema.properties.a"),
        ({"schema": {"properties": {"a": {"type": "text"}}}}, "schema.properties.a.type"),
        ({"schema": {"properties": {"a": {"type": ["string"]}}}}, "schema.properties.a.type"),
        ({"schema": {"properties": {"a": {}}}}, "schema.properties.a.type"),
        ({"schema": schema("b", a=TEXT)}, "schema.required"),
        ({"schema": schema(a={**TEXT, "pattern": "("})}, "schema.properties.a.pattern"),
        ({"schema": schema(a={**TEXT, "pattern": "(?=a)b"})}, "schema.properties.a.pattern"),
        ({"schema": schema(a={**TEXT, "pattern": r"(a)\1"})}, "schema.properties.a.pattern"),
        ({"schema": schema(a={**TEXT, "minLength": "x"})}, "schema.properties.a.minLength"),
        (
            {"schema": schema(a={**TEXT, "$ref": "https://example.com/s.json"})},
            "schema.properties.a.$ref",
        ),
        ({"schema": schema(a={**TEXT, "$ref": "file:///etc/passwd"})}, "schema.properties.a.$ref"),
        ({"schema": schema(a={**TEXT, "enum": []})}, "schema.properties.a.enum"),
        ({"schema": schema(a={**NUMBER, "default": "x"})}, "schema.properties.a.default"),
        (
            {
                "schema": schema(
                    a={**TEXT, "enum": ["b"], "default": "c"}, b={**TEXT, "default": "c"}
                )
            },
            "schema.properties.a.default",
        ),
        ({"relations": {"a": {"target": ""}}}, "relations.a.target"),
        ({"relations": {"a": {"target": "x", "many": "yes"}}}, "relations.a.many"),
        (
            {"relations": {"a": {"target": "*", "many": True, "required": True}}},
            "relations.a.required",
        ),
        ({"mirrorProperties": {"m": {"path": "nothing.x"}}}, "mirrorProperties.m.path"),
        ({"mirrorProperties": {"m": {"path": 5}}}, "mirrorProperties.m.path"),
        (
            {"calculationProperties": {"c": {"type": "string"}}},
            "calculationProperties.c.calculation",
        ),
        ({"ownership": {"type": "Inherited", "path": "x"}}, "ownership.path"),
    ],
)
def test_a_wrong_document_is_refused_by_field(document, field):
    before = Blueprint.objects.count()
    with pytest.raises(InvalidBlueprint) as error:
        create_blueprint({"identifier": "thing", **document}, actor=ACTOR)
    assert error.value.details["field"] == field
    assert error.value.details["expected"]
    assert field.split(".")[-1] in error.value.message
    assert Blueprint.objects.count() == before


def test_an_unknown_target_is_named_and_nothing_is_stored():
    with pytest.raises(NotFound) as error:
        make_blueprint("service", relations={"owner": {"target": "nobody"}})
    assert error.value.details["field"] == "relations.owner.target"
    assert not Blueprint.objects.filter(identifier="service").exists()


def test_ten_thousand_properties_are_accepted_or_refused_quickly():
    started = time.monotonic()
    small = {f"p{i}": {"type": "string", "default": "x"} for i in range(10_000)}
    make_blueprint("wide", properties=small)
    assert len(make_entity("wide", "x").properties) == 10_000
    large = {f"p{i}": {"type": "string", "description": "d" * 60} for i in range(10_000)}
    with pytest.raises(InvalidBlueprint, match=r"bytes; expected at most 524288"):
        make_blueprint("wider", properties=large)
    assert time.monotonic() - started < 5


def test_a_schema_that_refers_to_itself_ends():
    loop = {"type": "object", "$ref": "#/properties/a", "properties": {"b": {"$ref": "#"}}}
    make_blueprint("loop", properties={"a": loop})
    assert make_entity("loop", "x", properties={"a": {"b": {}}}).properties == {"a": {"b": {}}}


@pytest.mark.parametrize("depth", [100, 225, 300, 5000])
def test_a_deep_schema_is_accepted_or_refused(depth):
    deep: dict = {"type": "string"}
    for _ in range(depth // 2):
        deep = {"type": "object", "properties": {"a": deep}}
    if depth < 300:
        make_blueprint("deep", properties={"a": deep})
        assert make_entity("deep", "x", properties={"a": {"a": {}}}).properties["a"] == {"a": {}}
    else:
        with pytest.raises(InvalidBlueprint):
            make_blueprint("deep", properties={"a": deep})


def test_the_order_of_properties_is_kept_and_a_new_order_is_a_change():
    make_blueprint("service", properties={"b": TEXT, "a": NUMBER})
    patch_blueprint("service", {"schema": schema(a=NUMBER, b=TEXT)}, actor=ACTOR)
    blueprint = Blueprint.objects.get(identifier="service")
    assert (list(blueprint.properties), blueprint.version) == (["a", "b"], 2)


def test_the_same_document_again_changes_nothing():
    blueprint = make_blueprint("service", properties={"a": TEXT}, ownership={"type": "Direct"})
    document = blueprint_document(blueprint)
    changes = Change.objects.count()
    assert replace_blueprint("service", document, actor=ACTOR).version == 1
    assert Change.objects.count() == changes
    del document["ownership"]
    assert replace_blueprint("service", document, actor=ACTOR).ownership is None


def test_a_stale_version_is_refused():
    document = blueprint_document(make_blueprint("service"))
    replace_blueprint("service", {**document, "title": "A"}, actor=ACTOR, if_version=1)
    with pytest.raises(Conflict):
        replace_blueprint("service", {**document, "title": "B"}, actor=ACTOR, if_version=1)


@pytest.fixture
def services():
    """Seven services: tier gold (0-3), silver (4-5), none (6); replicas i; core owns the evens."""
    make_blueprint("team")
    make_blueprint("host")
    make_blueprint(
        "service",
        properties={"tier": TEXT, "replicas": NUMBER, "links": {"type": "array"}},
        relations={
            "owner": {"target": "team"},
            "uses__all": {"target": "service", "many": True},
            "near": {"target": "*"},
        },
    )
    for i in range(7):
        make_entity(
            "service",
            f"s{i}",
            properties={
                "tier": None if i == 6 else "gold" if i < 4 else "silver",
                "replicas": i,
                "links": ["x", i],
            },
            relations={
                "owner": None if i % 2 else "core",
                "uses__all": [f"s{j}" for j in range(i % 3)],
                "near": f"{'team' if i % 2 else 'host'}:n{i}",
            },
        )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"title": "New", "icon": "X"}, {}),
        ({"schema": schema(tier=TEXT, replicas=NUMBER, links={"type": "array"}, new=TEXT)}, {}),
        (
            {"schema": schema("tier", "replicas", tier=TEXT, replicas=NUMBER)},
            {
                ("missing_values", "tier"): (1, ("s6",), True),
                ("hidden_values", "links"): (7, ("s0", "s1", "s2", "s3", "s4"), False),
            },
        ),
        (
            {
                "schema": schema(
                    tier={**TEXT, "enum": ["silver"]},
                    replicas={**NUMBER, "minimum": 5},
                    links={"type": "array", "items": TEXT},
                )
            },
            {
                ("invalid_values", "tier"): (4, ("s0", "s1", "s2", "s3"), True),
                ("invalid_values", "replicas"): (5, ("s0", "s1", "s2", "s3", "s4"), True),
                ("invalid_values", "links"): (7, ("s0", "s1", "s2", "s3", "s4"), True),
            },
        ),
        (
            {"relations": {}},
            {
                ("lost_relations", "owner"): (4, ("s0", "s2", "s4", "s6"), True),
                ("lost_relations", "uses__all"): (4, ("s1", "s2", "s4", "s5"), True),
                ("lost_relations", "near"): (7, ("s0", "s1", "s2", "s3", "s4"), True),
            },
        ),
        (
            {
                "relations": {
                    "owner": {"target": "host", "required": True},
                    "uses__all": {"target": "service"},
                    "near": {"target": "host"},
                    "new": {"target": "team"},
                }
            },
            {
                ("retargeted", "owner"): (4, ("s0", "s2", "s4", "s6"), True),
                ("required", "owner"): (3, ("s1", "s3", "s5"), True),
                ("too_many", "uses__all"): (2, ("s2", "s5"), True),
                ("lost_relations", "near"): (3, ("s1", "s3", "s5"), True),
            },
        ),
        (
            {
                "identifier": "app",
                "relations": {
                    "owner": {"target": "*", "many": True},
                    "uses__all": {"target": "app", "many": True},
                    "near": {"target": "*", "many": True},
                },
            },
            {},
        ),
    ],
)
def test_the_impact_of_a_change_is_exact(services, changes, expected):
    assert effects("service", **changes) == expected
    before = list(Entity.objects.order_by("pk").values())
    is_breaking = any(breaking for *_, breaking in expected.values())
    if not is_breaking:
        patch_blueprint("service", changes, actor=ACTOR)
        return
    with pytest.raises(BreakingChange) as error:
        patch_blueprint("service", changes, actor=ACTOR)
    assert len(error.value.details["impact"]["effects"]) == len(expected)
    assert Blueprint.objects.get(identifier="service").version == 1
    assert list(Entity.objects.order_by("pk").values()) == before


def test_what_was_wrong_before_is_no_effect_of_the_next_change(services):
    required = {"owner": {"target": "team", "required": True}}
    strict = schema("tier", tier={**TEXT, "enum": ["silver"]}, replicas=TEXT)
    patch_blueprint("service", {"schema": strict, "relations": required}, actor=ACTOR, force=True)
    assert effects("service", title="New") == {}
    other = schema("tier", tier={**TEXT, "enum": ["bronze"]}, replicas={"type": "boolean"})
    assert effects("service", schema=other, relations=required) == {
        ("invalid_values", "tier"): (2, ("s4", "s5"), True),
    }


def test_a_forced_change_keeps_values(services):
    before = dict(Entity.objects.values_list("identifier", "properties"))
    patch_blueprint(
        "service", {"schema": schema(tier={**TEXT, "enum": ["new"]})}, actor=ACTOR, force=True
    )
    assert dict(Entity.objects.values_list("identifier", "properties")) == before
    draft = EntityDraft("service", "s0", title="Zero")
    [item] = entities.apply([draft], mode=Mode.MERGE, actor=ACTOR).items
    assert item.status == "updated"
    patch_blueprint("service", {"schema": schema(replicas=NUMBER)}, actor=ACTOR)
    assert dict(Entity.objects.values_list("identifier", "properties")) == before


def test_a_forced_change_brings_relations_into_their_new_form(services):
    make_entity("host", "core")
    make_entity("host", "n2")
    relations = {
        "owner": {"target": "host", "many": True},
        "uses__all": {"target": "service"},
        "near": {"target": "host"},
    }
    patch_blueprint("service", {"relations": relations}, actor=ACTOR, force=True)
    stated = dict(
        Entity.objects.filter(blueprint__identifier="service").values_list(
            "identifier", "relations"
        )
    )
    assert stated["s2"] == {"owner": ["core"], "uses__all": "s0", "near": "n2"}
    assert stated["s3"] == {}
    rows = Relation.objects.filter(source__identifier="s2").order_by("definition__position")
    assert [(r.target_blueprint, r.target_identifier, bool(r.target_id)) for r in rows] == [
        ("host", "core", True),
        ("service", "s0", True),
        ("host", "n2", True),
    ]
    relations["owner"] = {"target": "*"}
    patch_blueprint("service", {"relations": relations}, actor=ACTOR)
    assert Entity.objects.get(identifier="s2").relations["owner"] == "host:core"


def test_deletion_is_refused_while_something_depends():
    make_blueprint("team", relations={"parent": {"target": "team"}})
    make_blueprint("service", relations={"owner": {"target": "team"}})
    make_entity("team", "core")
    with pytest.raises(HasDependents, match='"team" still has 1 entities'):
        delete_blueprint("team", actor=ACTOR)
    entities.delete([("team", "core")], actor=ACTOR)
    with pytest.raises(HasDependents, match=r"Relations point to blueprint .*service\.owner"):
        delete_blueprint("team", actor=ACTOR)
    delete_blueprint("service", actor=ACTOR)
    delete_blueprint("team", actor=ACTOR)
    assert not Blueprint.objects.filter(is_system=False).exists()
    assert Change.objects.filter(model="blueprint", action="delete").count() == 2
    with pytest.raises(NotFound):
        delete_blueprint("team", actor=ACTOR)


def test_emptying_a_blueprint_does_not_take_others_with_it():
    make_blueprint("host", relations={"on": {"target": "host", "required": True}})
    make_blueprint("service", relations={"host": {"target": "host"}})
    make_blueprint("task", relations={"host": {"target": "host", "required": True}})
    loop = [EntityDraft("host", "a", relations={"on": "b"})]
    loop += [EntityDraft("host", "b", relations={"on": "a"})]
    entities.apply(loop, mode=Mode.CREATE, actor=ACTOR)
    make_entity("service", "s", relations={"host": "a"})
    make_entity("task", "t", relations={"host": "a"})
    with pytest.raises(HasDependents) as error:
        delete_all_entities("host", actor=ACTOR)
    assert error.value.details == {"count": 1, "dependents": ["task:t"]}
    assert Entity.objects.count() == 4
    entities.delete([("task", "t")], actor=ACTOR)
    assert delete_all_entities("host", actor=ACTOR) == 2
    assert list(Entity.objects.values_list("identifier", flat=True)) == ["s"]


@pytest.mark.parametrize(
    "document",
    [
        {"identifier": "person"},
        {"schema": schema()},
        {"relations": {}},
        {"relations": {"team": {"target": "_user", "many": True}}},
        {"relations": {"team": {"target": "_team", "many": False}}},
    ],
)
def test_system_blueprints_are_protected(document):
    before = blueprint_document(Blueprint.objects.get(identifier="_user"))
    with pytest.raises(InvalidBlueprint, match="is part of the system"):
        patch_blueprint("_user", document, actor=ACTOR, force=True)
    with pytest.raises(InvalidBlueprint, match="is part of the system"):
        rename_property("_user", "email", "mail", actor=ACTOR)
    with pytest.raises(InvalidBlueprint, match="is part of the system"):
        rename_relation("_user", "team", "teams", actor=ACTOR)
    with pytest.raises(HasDependents, match="is part of the system"):
        delete_blueprint("_user", actor=ACTOR)
    assert blueprint_document(Blueprint.objects.get(identifier="_user")) == before


def test_system_blueprints_may_be_extended():
    document = blueprint_document(Blueprint.objects.get(identifier="_user"))
    document["schema"]["properties"]["phone"] = TEXT
    document["relations"]["boss"] = {"target": "_user"}
    replace_blueprint("_user", document, actor=ACTOR)
    blueprint = Blueprint.objects.get(identifier="_user")
    assert blueprint.is_system
    assert "phone" in blueprint.properties


def test_ensure_creates_what_is_missing_even_in_a_circle():
    make_blueprint("b", title="Mine")
    documents = {
        "a": {
            "identifier": "a",
            "relations": {"to": {"target": "c"}},
            "mirrorProperties": {"m": {"path": "to.x"}},
            "ownership": {"type": "Inherited", "path": "to"},
        },
        "b": {"identifier": "b", "title": "Theirs"},
        "c": {"identifier": "c", "relations": {"to": {"target": "a"}}},
    }
    assert ensure_blueprints(documents, actor=ACTOR) == ["a", "c"]
    assert ensure_blueprints(documents, actor=ACTOR) == []
    assert Blueprint.objects.get(identifier="b").title == "Mine"
    a = blueprint_document(Blueprint.objects.get(identifier="a"))
    assert (a["relations"]["to"]["target"], a["ownership"]["path"]) == ("c", "to")
