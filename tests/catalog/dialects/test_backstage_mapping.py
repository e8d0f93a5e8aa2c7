from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.dialects.backstage.blueprints import (
    custom_blueprint,
    default_blueprints,
    system_properties,
)
from catalog.dialects.backstage.kinds import KINDS as BUILT_IN
from catalog.dialects.backstage.mapping import RelationShape, map_entity, source_path
from catalog.dialects.backstage.validate import check_entity, check_envelope

KINDS = {"Component", "API", "Location", "Template", "AiResource"}


def shapes(document):
    return {
        name: RelationShape(None if one["target"] == "*" else one["target"], one.get("many", False))
        for name, one in document["relations"].items()
    }


SHAPES = {name: shapes(document) for name, document in default_blueprints(KINDS).items()} | {
    "_user": {"team": RelationShape("_team", True)},
    "_team": {
        "parent": RelationShape("_team", False),
        "children": RelationShape("_team", True),
        "members": RelationShape("_user", True),
    },
}


def entity(kind, spec=None, **metadata):
    document = {"apiVersion": "x/v1", "kind": kind, "metadata": {"name": "Orders", **metadata}}
    return document if spec is None else {**document, "spec": spec}


def mapped(document, relations=None):
    return map_entity(document, SHAPES[_blueprint(document)] if relations is None else relations)


def _blueprint(document):
    return {"Group": "_team", "User": "_user"}.get(document["kind"], document["kind"].lower())


def test_a_component_with_everything():
    result = mapped(
        entity(
            "Component",
            {
                "type": "service",
                "lifecycle": "production",
                "owner": "team-a",
                "system": "other/Checkout",
                "subcomponentOf": "Shop",
                "providesApis": ["v1", "public/v2", "V1"],
                "dependsOn": ["resource:db", "component:default/billing", "user:jane"],
                "tier": 1,
                "regions": ["eu"],
                "build": {"tool": "make"},
                "bad key": 1,
                "nothing": None,
            },
            namespace="shop",
            title="Orders of the shop",
            tags=["java"],
            labels={"tier": "1"},
            annotations={"a/b": "c"},
            links=[{"url": "https://x"}],
            description="Takes orders",
        )
    )
    assert (result.blueprint, result.identifier) == ("component", "shop/orders")
    assert result.title == "Orders of the shop"
    assert result.team == ["shop/team-a"]
    assert result.properties == {
        "description": "Takes orders",
        "tags": ["java"],
        "links": [{"url": "https://x"}],
        "labels": {"tier": "1"},
        "annotations": {"a/b": "c"},
        "namespace": "shop",
        "type": "service",
        "lifecycle": "production",
        "tier": 1,
        "regions": ["eu"],
    }
    assert result.relations == {
        "owner": "_team:shop/team-a",
        "system": "other/checkout",
        "subcomponentOf": "shop/shop",
        "providesApis": ["shop/v1", "public/v2"],
        "dependsOn": ["resource:shop/db", "component:billing", "_user:shop/jane"],
    }
    assert result.warnings == []


def test_a_user_and_a_group():
    user = mapped(
        entity(
            "User",
            {
                "memberOf": ["team-a", "Platform/SRE"],
                "profile": {"displayName": "Jane", "email": "jane@x.io", "picture": "none"},
            },
        )
    )
    assert (user.blueprint, user.identifier, user.title, user.team) == (
        "_user",
        "orders",
        "Jane",
        [],
    )
    assert user.properties == {
        "namespace": "default",
        "displayName": "Jane",
        "email": "jane@x.io",
    }
    assert user.relations == {"team": ["team-a", "platform/sre"]}
    assert [warning.message for warning in user.warnings] == [
        'spec.profile.picture: "none" is kept in the descriptor only: it is not a URL'
    ]
    group = mapped(
        entity("Group", {"type": "team", "parent": "a", "children": [], "members": ["jane"]})
    )
    assert group.properties == {"namespace": "default", "type": "team"}
    assert group.relations == {"parent": "a", "members": ["jane"]}


@pytest.mark.parametrize(
    ("owner", "relation", "team"),
    [
        ("team-a", "_team:team-a", ["team-a"]),
        ("group:ns/Team-B", "_team:ns/team-b", ["ns/team-b"]),
        ("user:jane", "_user:jane", []),
        ("service@example.com", "_team:service@example.com", ["service@example.com"]),
        ("Gai Ashkenazy", "_team:gai ashkenazy", ["gai ashkenazy"]),
    ],
)
def test_owners(owner, relation, team):
    result = mapped(entity("Component", {"type": "a", "lifecycle": "b", "owner": owner}))
    assert result.relations == {"owner": relation}
    assert result.team == team


def test_a_reference_that_a_relation_cannot_hold_stays_in_the_descriptor():
    spec = {"consumesApis": ["component:x", "api:y", "api:n/x/y"], "owner": "a"}
    result = mapped(entity("Component", spec))
    assert result.relations == {"owner": "_team:a", "consumesApis": ["y"]}
    assert [warning.message for warning in result.warnings] == [
        'spec.consumesApis[0]: "component:x" is kept in the descriptor only: '
        "this relation leads to entities of kind api only",
        'spec.consumesApis[2]: "api:n/x/y" is kept in the descriptor only: '
        "no entity can have such a name",
    ]


@pytest.mark.parametrize(
    "definition", ["https://x/spec.yaml", {"type": "url", "url": "https://x/spec.yaml"}]
)
def test_a_definition_elsewhere_is_its_address(definition):
    api = mapped(entity("API", {"type": "openapi", "definition": definition}))
    assert api.properties["definition"] == "https://x/spec.yaml"


def test_the_program_of_a_template_stays_in_the_descriptor():
    spec = {"type": "service", "steps": [{"action": "a"}], "parameters": [{}], "output": {}}
    assert mapped(entity("Template", spec)).properties == {
        "namespace": "default",
        "type": "service",
    }


def test_unknown_keys_of_spec_do_not_hide_metadata():
    spec = {"description": "of spec", "tags": "x", "status": "odd", "owner": "a"}
    result = mapped(entity("Component", spec, description="of metadata"))
    assert result.properties == {"namespace": "default", "description": "of metadata"}


def test_a_custom_kind_uses_the_relations_of_its_blueprint():
    widget = entity(
        "BigWidget",
        {"owner": "team-a", "dependsOn": ["x", "component:y"], "parts": ["p"], "system": "s"},
    )
    blueprint = custom_blueprint("BigWidget")
    assert (blueprint["identifier"], blueprint["title"]) == ("bigwidget", "Big Widget")
    relations = shapes(blueprint) | {"parts": RelationShape("part", True)}
    result = map_entity(widget, relations)
    assert result.relations == {
        "owner": "_team:team-a",
        "system": "s",
        "dependsOn": ["component:y"],
        "parts": ["p"],
    }
    assert [warning.field for warning in result.warnings] == ["spec.dependsOn[0]"]
    without = map_entity(widget, {})
    assert without.relations == {}
    assert without.team == ["team-a"]
    assert without.properties["owner"] == "team-a"


def test_a_built_in_kind_on_a_blueprint_without_its_relations():
    spec = {"owner": "a", "system": "s", "onCall": "user:jane"}
    result = mapped(entity("Component", spec), {"onCall": RelationShape("_user", False)})
    assert result.relations == {"onCall": "jane"}
    assert result.team == ["a"]
    assert [warning.message for warning in result.warnings] == [
        'spec.owner: "a" is kept in the descriptor only: blueprint "component" has no relation '
        '"owner"',
        'spec.system: "s" is kept in the descriptor only: blueprint "component" has no relation '
        '"system"',
    ]


@pytest.mark.parametrize(
    ("kind", "field", "path"),
    [
        ("Component", "properties.tier", ("spec", "tier")),
        ("Component", "properties.links.0.url", ("metadata", "links")),
        ("User", "properties.email", ("spec", "profile", "email")),
        ("User", "relations.team", ("spec", "memberOf")),
        ("Component", "relations.system", ("spec", "system")),
        ("Component", "identifier", ("metadata", "name")),
    ],
)
def test_where_the_author_finds_a_field(kind, field, path):
    assert source_path(entity(kind), field) == path


def test_default_blueprints_come_with_all_they_lead_to():
    assert list(default_blueprints({"Component"})) == ["component", "api", "system", "domain"]
    assert list(default_blueprints({"Group", "User"})) == []
    assert list(default_blueprints({"Widget"})) == ["widget", "domain", "system"]
    for document in default_blueprints(KINDS).values():
        assert all(document[key] for key in ("title", "icon", "description"))
        assert {"description", "tags", "links", "namespace"} <= set(
            document["schema"]["properties"]
        )
    assert set(system_properties()["_user"]) == {
        "tags",
        "links",
        "labels",
        "annotations",
        "namespace",
    }


WORDS = st.sampled_from(["a", "A.b", "group:a", "component:n/b", "", "https://x", "x y", "url"])
ANYTHING = st.recursive(
    WORDS | st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
SPEC_KEYS = st.sampled_from(
    sorted({"definition", "profile", "steps", "target", "presence", "x", "Type"}
           | {ref_field.name for kind in BUILT_IN.values() for ref_field in kind.refs})
)  # fmt: skip
USUAL = {"type": "service", "lifecycle": "l", "owner": "a", "children": [], "memberOf": []}
DOCUMENTS = st.fixed_dictionaries(
    {
        "apiVersion": st.sampled_from(["backstage.io/v1alpha1", "scaffolder.backstage.io/v1beta3"]),
        "kind": st.sampled_from([*BUILT_IN, "Widget"]),
        "metadata": st.dictionaries(
            st.sampled_from(["labels", "links", "tags", "title", "namespace", "other"]),
            ANYTHING,
            max_size=2,
        ).map(lambda metadata: {"name": "Orders", **metadata}),
        "spec": st.dictionaries(SPEC_KEYS, ANYTHING, max_size=4).map(
            lambda spec: {**USUAL, **spec}
        ),
    }
)


@given(DOCUMENTS | ANYTHING)
def test_whatever_comes_is_refused_or_mapped(document):
    problems = check_envelope(document) or check_entity(document, is_custom_kind=lambda kind: True)
    if problems:
        assert all(problem.message for problem in problems)
        return
    result = map_entity(document, SHAPES.get(_blueprint(document), SHAPES["component"]))
    assert result.title == "Orders" or result.title == document["metadata"].get("title")
    for value in result.relations.values():
        assert all(value if isinstance(value, list) else [value])
