"""The simple dialect: kind, metadata and spec."""

import pytest

from catalog.ingest.mapping import Shape, map_items, parse_mapping, shape_of
from catalog.kernel.errors import InvalidMapping
from tests.factories import make_blueprint


class Kind:
    """As much of a source kind as a mapping asks of it."""

    title = "Test"

    def __init__(self, **identifiers):
        from catalog.kernel.source import ResourceKind

        self.resources = [ResourceKind(n, n, jq) for n, jq in identifiers.items()]

    def resource(self, name):
        return next((one for one in self.resources if one.name == name), None)


def document(kind="Service", metadata=None, spec=None, **more):
    entity = {"apiVersion": "port.io/v1alpha", "kind": kind, "metadata": metadata or {}, **more}
    if spec is not None:
        entity["spec"] = spec
    return {"resources": [{"kind": "thing", "port": {"entity": entity}}]}


def known(**shapes):
    return lambda name: shapes.get(name)


def read_one(*args, shapes=None, kind=None, **kwargs):
    return parse_mapping(
        document(*args, **kwargs), kind=kind, shapes=known(**(shapes or {}))
    ).resources[0]


@pytest.mark.parametrize(
    ("metadata", "natural_key", "identifier"),
    [
        ({"identifier": ".id", "name": ".name", "title": ".title"}, ".key", "i"),
        ({"name": ".name", "title": ".title"}, ".key", "n"),
        ({"title": ".title"}, ".key", "k"),
        ({"title": ".title"}, None, "t"),
    ],
)
def test_what_names_an_entity(metadata, natural_key, identifier):
    kind = Kind(thing=natural_key) if natural_key else None
    [entity] = map_items(
        read_one(metadata=metadata, kind=kind), [{"id": "i", "name": "n", "title": "t", "key": "k"}]
    ).entities
    assert entity.body["identifier"] == identifier
    assert entity.blueprint == "service"
    assert entity.body["title"] == "t"


def test_spec_becomes_relations_where_the_blueprint_has_them_and_properties_elsewhere():
    shape = Shape("service", frozenset({"tier"}), frozenset({"system", "owner"}))
    one = read_one(
        metadata={"name": ".n", "labels": ".labels", "description": '"d"', "icon": '"Box"'},
        spec={"system": ".sys", "owner": ".own", "tier": ".tier", "nested": {"a": ".n"}, "x": 1},
        shapes={"service": shape},
    )
    [entity] = map_items(
        one, [{"n": "a", "labels": {"x": "y"}, "sys": "s", "own": "team-a", "tier": 1}]
    ).entities
    assert entity.body == {
        "identifier": "a",
        "title": "a",
        "icon": "Box",
        "team": "team-a",
        "properties": {
            "labels": {"x": "y"},
            "description": "d",
            "tier": 1,
            "nested": {"a": "a"},
            "x": 1,
        },
        "relations": {"system": "s", "owner": "team-a"},
    }


@pytest.mark.parametrize("owner", [None, ["a", "b"], {"name": "a"}, "", 3])
def test_an_owner_that_is_no_text_is_no_team(owner):
    one = read_one(metadata={"name": ".n"}, spec={"owner": ".owner"})
    batch = map_items(one, [{"n": "a", "owner": owner}])
    assert batch.entities[0].body == {
        "identifier": "a",
        "title": "a",
        "properties": {"owner": owner},
    }
    assert batch.problems == []


def test_what_the_catalogue_must_have_for_it():
    mapping = parse_mapping(
        {
            "resources": [
                *document("GithubWorkflow", {"title": ".n"}, {"path": ".p"})["resources"],
                *document("Service", {"name": ".n", "labels": ".l"}, {"tier": ".t"})["resources"],
                *document("Service", {"name": ".n"}, {"tier": ".t", "more": ".m"})["resources"],
            ]
        },
        shapes=known(service=Shape("service", frozenset({"tier"}), frozenset())),
    )
    workflow, service = mapping.needs
    assert (workflow.identifier, workflow.exists, workflow.missing) == ("githubWorkflow", False, {})
    assert workflow.document == {
        "identifier": "githubWorkflow",
        "title": "Github workflow",
        "schema": {"properties": {"path": {"title": "Path", "type": "string"}}, "required": []},
    }
    assert (service.identifier, service.exists) == ("service", True)
    assert service.missing == {
        "labels": {"title": "Labels", "type": "object"},
        "more": {"title": "More", "type": "string"},
    }
    assert list(service.document["schema"]["properties"]) == ["labels", "tier", "more"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("existing", "kind", "expected"),
    [
        (["github-workflow"], "GithubWorkflow", "github-workflow"),
        (["github_Workflow"], "github-workflow", "github_Workflow"),
        (["githubworkflow", "githubWorkflow"], "GithubWorkflow", "githubWorkflow"),
        ([], "GithubWorkflow", "githubWorkflow"),
    ],
)
def test_a_blueprint_is_found_however_it_is_written(existing, kind, expected):
    for identifier in existing:
        make_blueprint(identifier, properties={"path": {"type": "string"}})
    mapping = parse_mapping(document(kind, {"name": ".n"}, {"path": ".p"}))
    assert mapping.resources[0].blueprint == expected
    assert mapping.needs[0].exists is bool(existing)


@pytest.mark.django_db
def test_the_shape_of_a_blueprint():
    make_blueprint("team2")
    make_blueprint(
        "service",
        properties={"tier": {"type": "string"}},
        relations={"owner": {"target": "team2", "many": False, "required": False}},
    )
    assert shape_of("Service") == Shape("service", frozenset({"tier"}), frozenset({"owner"}))
    assert shape_of("nothing") is None


@pytest.mark.parametrize(
    ("entity", "path", "message"),
    [
        ({}, "kind", 'is missing; expected the name of a blueprint, or "mappings" instead'),
        ({"kind": "A"}, "metadata", "has neither identifier, name nor title; "
         "every entity needs one of them"),
        ({"kind": "A", "metadata": [1]}, "metadata", "is an array ([1]); expected an object of "
         "JQ expressions"),
        ({"kind": "A", "metadata": {"name": ".["}}, "metadata.name", 'the JQ expression ".[" does '
         "not compile: syntax error, unexpected end of file (line 1, column 2)"),
    ],
)  # fmt: skip
def test_faults_are_told_where_they_stand(entity, path, message):
    with pytest.raises(InvalidMapping) as caught:
        parse_mapping(
            {"resources": [{"kind": "thing", "port": {"entity": entity}}]}, shapes=known()
        )
    assert caught.value.details["errors"] == [
        {"path": f"resources[0].port.entity.{path}", "message": message}
    ]


def test_the_seed_of_the_dialect(test_data):
    from catalog.kernel.yaml_reader import load_document

    path = test_data.parent / "seed" / "port-config.yaml"
    mapping = parse_mapping(
        load_document(path.read_text(), name=path.name),
        kind=Kind(**{"service": ".metadata.uid", "github-workflow": ".id"}),
        shapes=known(),
    )
    service, workflow = mapping.resources
    batch = map_items(
        service,
        [
            {
                "metadata": {
                    "uid": "u-1",
                    "name": "orders",
                    "annotations": {"port.io/derive": "true"},
                    "labels": {"tier": "gold"},
                },
                "spec": {"type": "ClusterIP", "owner": "shop"},
            },
            {"metadata": {"uid": "u-2", "name": "other", "annotations": {}}, "spec": {}},
        ],
    )
    assert batch.filtered == 1
    assert [(e.blueprint, e.body) for e in batch.entities] == [
        (
            "service",
            {
                "identifier": "u-1",
                "title": "orders",
                "team": "shop",
                "properties": {"owner": "shop", "tier": "gold", "type": "ClusterIP"},
            },
        )
    ]
    [entity] = map_items(
        workflow,
        [{"type": "workflow", "id": 5, "name": "CI", "repo": {"name": "r"}, "path": "ci.yml"}],
    ).entities
    assert (entity.blueprint, entity.body) == (
        "githubWorkflow",
        {"identifier": "5", "title": "CI", "properties": {"repository": "r", "path": "ci.yml"}},
    )
