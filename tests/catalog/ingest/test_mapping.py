"""Port's mappings: read, refused with reasons, applied to raw objects."""

import pytest

from catalog.ingest.mapping import (
    ItemProblem,
    identify,
    map_items,
    parse_mapping,
    static_fields,
)
from catalog.ingest.mapping.expressions import leading_path, with_double_quotes
from catalog.kernel.errors import InvalidMapping

REPOSITORY = {"identifier": ".name", "blueprint": '"repository"'}


def resource(mappings=REPOSITORY, *, query="true", kind="repository", **port):
    return {
        "kind": kind,
        "selector": {"query": query},
        "port": {"entity": {"mappings": mappings}, **port},
    }


def read_one(*args, **kwargs):
    [one] = parse_mapping({"resources": [resource(*args, **kwargs)]}).resources
    return one


def faults(document, **options):
    with pytest.raises(InvalidMapping) as caught:
        parse_mapping(document, **options)
    return [(one["path"], one["message"]) for one in caught.value.details["errors"]]


# --- reading


def test_the_switches_and_their_defaults():
    mapping = parse_mapping({"resources": []})
    assert mapping.create_missing
    assert mapping.delete_dependents
    assert mapping.merge
    assert mapping.deletion_threshold == 0.5
    mapping = parse_mapping(
        {
            "resources": [],
            "createMissingRelatedEntities": False,
            "deleteDependentEntities": False,
            "enableMergeEntity": False,
            "entityDeletionThreshold": 1,
        }
    )
    assert (mapping.create_missing, mapping.delete_dependents, mapping.merge) == (False,) * 3
    assert mapping.deletion_threshold == 1.0


def test_a_resource_is_read():
    one = read_one(
        {
            **REPOSITORY,
            "title": ".name",
            "icon": '"Github"',
            "team": None,
            "properties": {"url": ".url", "meta": {"a": ".a", "b": 1}},
            "relations": {"owner": ".owner"},
        },
        kind="repository",
        itemsToParse=".tags",
        itemsToParseName="tag",
    )
    assert (one.index, one.kind, one.blueprint) == (0, "repository", "repository")
    assert (one.each.expression, one.each_name, one.drop) == (".tags", "tag", ".tags")
    assert one.selector == {}
    assert static_fields(one) == [
        "identifier",
        "title",
        "icon",
        "properties.url",
        "properties.meta",
        "relations.owner",
    ]


def test_selectors_keep_all_but_the_query():
    document = resource(query=".archived | not")
    document["selector"]["states"] = ["open"]
    [one] = parse_mapping({"resources": [document]}).resources
    assert one.selector == {"states": ["open"]}
    assert one.query.expression == ".archived | not"


def test_a_blueprint_that_jq_works_out_is_not_known_before():
    assert read_one({"identifier": ".id", "blueprint": ".type"}).blueprint is None


def test_old_exporters_write_the_blueprint_without_quotes():
    mapping = parse_mapping({"resources": [resource({**REPOSITORY, "blueprint": "s3_bucket"})]})
    assert mapping.resources[0].blueprint == "s3_bucket"
    assert [one.message for one in mapping.findings] == [
        "taken for the blueprint's name; in JQ it is written '\"s3_bucket\"'"
    ]


def test_files_named_the_old_way_are_asked_of_the_source():
    one = read_one({**REPOSITORY, "properties": {"readme": "file://./docs/README.md"}})
    assert one.selector == {"includedFiles": ["docs/README.md"]}
    item = {"name": "a", "__includedFiles": {"docs/README.md": "# A"}}
    assert map_items(one, [item]).entities[0].body["properties"] == {"readme": "# A"}


def test_every_fault_is_told_with_its_path():
    document = {
        "createMissingRelatedEntities": "yes",
        "entityDeletionThreshold": 90,
        "resources": [
            "repository",
            {"kind": "a"},
            resource({"title": ".x", "properties": ["a"]}),
            resource([]),
            resource({**REPOSITORY, "relations": {"owner": {"name": ".x"}}}, itemsToParse=1),
            {"kind": "b", "selector": "true", "port": {"entity": {"mappings": REPOSITORY}}},
        ],
    }
    assert faults(document) == [
        ("resources[0]", 'is text ("repository"); expected an object with kind and port'),
        ("resources[1].port.entity", "is missing; expected an object"),
        (
            "resources[2].port.entity.mappings.blueprint",
            "is missing; every entity needs one",
        ),
        (
            "resources[2].port.entity.mappings.identifier",
            "is missing; every entity needs one",
        ),
        ("resources[3].port.entity.mappings", "is an array ([]); expected an object, "
         "or a list of them"),
        (
            "resources[4].port.entity.mappings.relations.owner",
            'is an object ({"name": ".x"}); expected JQ, or a search with combinator and rules',
        ),
        ("resources[4].port.itemsToParse", "is a number (1); expected a JQ expression"),
        ("resources[5].selector", 'is text ("true"); expected an object with query'),
        ("createMissingRelatedEntities", 'is text ("yes"); expected true or false'),
        ("entityDeletionThreshold", "is a number (90); expected a share from 0 to 1"),
    ]  # fmt: skip


def test_expressions_that_do_not_compile_are_refused_all_at_once():
    document = {
        "resources": [
            resource(query=".a ="),
            resource([REPOSITORY, {**REPOSITORY, "properties": {"url": ".a |", "ok": ".b"}}]),
        ]
    }
    with pytest.raises(InvalidMapping) as caught:
        parse_mapping(document)
    assert caught.value.message == (
        'resources[0].selector.query: the JQ expression ".a =" does not compile: syntax error, '
        "unexpected end of file (line 1, column 4) (and 1 more)"
    )
    paths = [one["path"] for one in caught.value.details["errors"]]
    assert paths[1:] == ["resources[1].port.entity.mappings[1].properties.url"]
    one = parse_mapping(document, compile_all=False).resources[1]
    batch = map_items(one, [{"name": "a", "b": 1}])
    assert batch.entities[1].body["properties"] == {"url": None, "ok": 1}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "A mapping is an object with resources, not null"),
        ("nonsense", 'A mapping is an object with resources, not text ("nonsense")'),
        ({}, "resources: is missing; expected a list"),
        ({"resources": None}, "resources: is null; expected a list"),
        ({"identifier": "a", "schema": {}}, "This describes a blueprint; a mapping is an object "
         "with resources"),
        ({"identifier": "a", "blueprint": "b"}, "This describes an entity; a mapping is an object "
         "with resources"),
    ],
)  # fmt: skip
def test_what_is_no_mapping_at_all(document, message):
    with pytest.raises(InvalidMapping) as caught:
        parse_mapping(document)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (".a", ".a"),
        ("'connectors'", '"connectors"'),
        (".topics[0] == 'connectors'", '.topics[0] == "connectors"'),
        (".name | contains('-x')", '.name | contains("-x")'),
        ("'it's'", '"it\'s"'),
        ("\"it's 'quoted' here\"", "\"it's 'quoted' here\""),
        ("'say \"hi\"'", '"say \\"hi\\""'),
        ("'a \\(.b | join(\",\"))'", '"a \\(.b | join(","))"'),
        ('"\\(.a | map("\'"))" + \'b\'', '"\\(.a | map("\'"))" + "b"'),
        (".a # don't\n | .b", ".a # don't\n | .b"),
        ("'", "'"),
    ],
)
def test_single_quotes_are_read_as_double_ones(written, read):
    assert with_double_quotes(written) == read


@pytest.mark.parametrize(
    ("expression", "path"),
    [
        (".tags", ".tags"),
        (" .spec.items | map(.x)", ".spec.items"),
        ("(.a.b // [])", ".a.b"),
        ('."odd name"["x"][0].y[]', '."odd name"["x"][0].y'),
        (". as $root | .a", ".a"),
        (".a[]", ".a"),
        (".", None),
        ("[.a[] | select(.b)]", None),
        ("to_entries", None),
        ("$x.a", None),
    ],
)
def test_the_path_an_items_to_parse_begins_with(expression, path):
    assert leading_path(expression) == path


# --- applying


def test_objects_become_entities():
    one = read_one(
        {
            "identifier": ".id",
            "title": ".name",
            "team": "[.team]",
            "blueprint": '"repository"',
            "properties": {
                "url": ".url",
                "size": 3,
                "public": True,
                "meta": {"lang": ".lang", "list": [".lang", {"deep": ".id"}]},
            },
            "relations": {"owner": ".owner", "readers": ".readers"},
        },
        query=".archived | not",
    )
    batch = map_items(
        one,
        [
            {"id": 7, "name": "a", "team": "t", "lang": "Go", "owner": 5, "readers": [1, "x"]},
            {"id": 8, "archived": True},
        ],
    )
    assert batch.filtered == 1
    assert batch.problems == []
    [entity] = batch.entities
    assert (entity.item_index, entity.blueprint) == (0, "repository")
    assert entity.body == {
        "identifier": "7",
        "title": "a",
        "team": ["t"],
        "properties": {
            "url": None,
            "size": 3,
            "public": True,
            "meta": {"lang": "Go", "list": ["Go", {"deep": 7}]},
        },
        "relations": {"owner": "5", "readers": ["1", "x"]},
    }


def test_searches_are_filled_in():
    search = {
        "combinator": '"and"',
        "rules": [
            {"property": "'email'", "operator": "'='", "value": ".mail"},
            {"combinator": '"or"', "rules": [{"property": '"$title"', "value": ".name"}]},
        ],
    }
    one = read_one({**REPOSITORY, "identifier": search, "team": search, "relations": {"x": search}})
    filled = {
        "combinator": "and",
        "rules": [
            {"property": "email", "operator": "=", "value": "a@b"},
            {"combinator": "or", "rules": [{"property": "$title", "value": "n"}]},
        ],
    }
    [entity] = map_items(one, [{"mail": "a@b", "name": "n"}]).entities
    assert entity.body == {"identifier": filled, "team": filled, "relations": {"x": filled}}


def test_a_list_of_mappings_makes_several_entities_of_one_object():
    one = read_one([REPOSITORY, {"identifier": ".owner", "blueprint": '"team"', "title": ".o.p"}])
    batch = map_items(one, [{"name": "a", "owner": "b", "o": 1}])
    assert [(e.blueprint, e.body["identifier"]) for e in batch.entities] == [
        ("repository", "a"),
        ("team", "b"),
    ]
    assert batch.problems == [
        ItemProblem(0, "mappings[1].title", 'Cannot index number with string ("p")', ".o.p")
    ]
    assert one.blueprint is None
    assert one.blueprints == ("repository", "team")


@pytest.mark.parametrize(
    ("mappings", "problem"),
    [
        ({}, ("identifier", "gave null; an entity needs an identifier, as text", "")),
        ({"identifier": '""'}, ("identifier", 'gave text (""); an entity needs an identifier, '
          "as text", "")),
        ({"identifier": ".ok"}, ("identifier", "gave a boolean (true); an entity needs an "
          "identifier, as text", "True")),
        ({"identifier": ".ok.x"}, ("identifier", 'Cannot index boolean with string ("x"); an '
          "entity needs an identifier, as text", "")),
        ({"identifier": '"x"', "blueprint": ".type"}, ("blueprint", "gave null; an entity needs a "
          "blueprint, as text", "")),
    ],
)  # fmt: skip
def test_an_entity_without_a_name_is_a_problem(mappings, problem):
    batch = map_items(read_one({**REPOSITORY, **mappings}), [{"ok": True}, {"ok": True, "name": 0}])
    first = batch.problems[0]
    assert (first.field, first.message, first.value) == problem
    assert first.item_index == 0
    assert not [one for one in batch.entities if one.item_index == 0]


def test_a_query_that_gives_no_boolean_is_a_problem():
    batch = map_items(read_one(query=".private"), [{"name": "a"}, {"name": "b", "private": True}])
    assert [one.body["identifier"] for one in batch.entities] == ["b"]
    assert batch.filtered == 0
    assert batch.problems == [
        ItemProblem(0, "query", "gave null, not true or false", ".private"),
    ]


def test_items_to_parse():
    one = read_one(
        {
            **REPOSITORY,
            "identifier": '.name + "-" + .tag.id',
            "properties": {"all": ".tags", "v": ".tag.v.w"},
        },
        query=".tag.id != 'b'",
        itemsToParse=".tags",
        itemsToParseName="tag",
    )
    item = {"name": "n", "tags": [{"id": "a"}, {"id": "b"}, {"id": "c", "v": 1}]}
    batch = map_items(one, [item, {"name": "none"}, {"name": "odd", "tags": 1}])
    assert [(e.element, e.body) for e in batch.entities] == [
        (0, {"identifier": "n-a", "properties": {"all": None, "v": None}}),
        (2, {"identifier": "n-c", "properties": {"all": None, "v": None}}),
    ]
    assert batch.filtered == 1
    assert batch.problems == [
        ItemProblem(
            0, "properties.v", 'Cannot index number with string ("w")', ".tag.v.w", element=2
        ),
        ItemProblem(2, "itemsToParse", "gave a number (1), not an array", ".tags"),
    ]


def test_items_to_parse_can_leave_the_array_in_its_place():
    one = read_one(
        {**REPOSITORY, "properties": {"count": ".tags | length"}},
        itemsToParse=".tags",
        itemsToParseTopLevelTransform=False,
    )
    batch = map_items(one, [{"name": "n", "tags": [1, 2]}])
    assert [e.body["properties"]["count"] for e in batch.entities] == [2, 2]


def test_an_item_that_stops_the_program_is_a_problem_of_its_own(monkeypatch):
    monkeypatch.setattr("catalog.kernel.jq_pool.CPU_S", 0.2)
    title = "if .bad then last(range(infinite)) else .name end"
    one = read_one({**REPOSITORY, "title": title})
    batch = map_items(one, [{"name": "a"}, {"name": "b", "bad": True}, {"name": "c"}])
    assert [e.body["title"] for e in batch.entities] == ["a", "c"]
    [problem] = batch.problems
    assert (problem.item_index, problem.field) == (1, "")
    assert problem.message.startswith("It ran longer than an item may")


def test_env_holds_what_the_source_gives():
    one = read_one({**REPOSITORY, "identifier": '.name + "-" + env.CLUSTER_NAME'})
    item = {"name": "a"}
    [entity] = map_items(one, [item], env={"CLUSTER_NAME": "c"}).entities
    assert entity.body["identifier"] == "a-c"
    [problem] = map_items(read_one({**REPOSITORY, "identifier": "env.HOME"}), [item]).problems
    assert problem.message == "gave null; an entity needs an identifier, as text"


def test_what_the_query_leaves_out_can_be_named():
    one = read_one({**REPOSITORY, "title": ".x.y.z"}, query=".keep")
    items = [{"name": "a", "keep": True}, {"name": "b", "keep": False}, {"keep": False}]
    batch = map_items(one, items, with_unselected=True)
    assert [e.body["identifier"] for e in batch.entities] == ["a"]
    assert [(e.item_index, e.body) for e in batch.unselected] == [(1, {"identifier": "b"})]
    assert batch.filtered == 2
    assert batch.problems == []


def test_things_that_are_gone_need_only_their_name():
    one = read_one({**REPOSITORY, "title": ".a | error"}, query=".state == 'open'")
    batch = identify(one, [{"name": "a"}, {}])
    assert [(e.blueprint, e.body) for e in batch.entities] == [("repository", {"identifier": "a"})]
    assert [(p.item_index, p.field) for p in batch.problems] == [(1, "identifier")]


# --- webhooks


WEBHOOK = {
    "mappings": [
        {
            "blueprint": "pullRequest",
            "filter": ".headers.\"x-event\" == 'pull'",
            "itemsToParse": ".body.pulls",
            "entity": {
                "identifier": ".item.id",
                "properties": {"by": ".body.sender", "q": ".queryParams.q"},
            },
        },
        {
            "blueprint": "pullRequest",
            "operation": {"type": "delete", "deleteDependents": False},
            "entity": {"identifier": ".body.gone"},
        },
    ]
}
EVENT = {
    "headers": {"x-event": "pull"},
    "queryParams": {"q": "1"},
    "body": {"sender": "ada", "pulls": [{"id": 1}, {"id": 2}], "gone": "3"},
}


def test_webhook_mappings():
    upsert, delete = parse_mapping(WEBHOOK).resources
    assert (upsert.operation, upsert.kind, upsert.blueprint) == ("upsert", "webhook", "pullRequest")
    batch = map_items(upsert, [EVENT])
    assert [e.body for e in batch.entities] == [
        {"identifier": "1", "properties": {"by": "ada", "q": "1"}},
        {"identifier": "2", "properties": {"by": "ada", "q": "1"}},
    ]
    assert (delete.operation, delete.delete_dependents) == ("delete", False)
    assert map_items(delete, [EVENT]).entities[0].body == {"identifier": "3"}


def test_an_event_brings_at_most_five_hundred_things():
    upsert = parse_mapping(WEBHOOK).resources[0]
    event = {**EVENT, "body": {"pulls": [{"id": n} for n in range(501)]}}
    batch = map_items(upsert, [event])
    assert len(batch.entities) == 500
    [problem] = batch.problems
    assert problem.message == "gave 501 elements; only the first 500 were taken"


def test_faults_of_webhook_mappings():
    document = [
        {"entity": {"identifier": ".x"}},
        {"blueprint": "a", "operation": "drop", "entity": {"identifier": ".["}},
        {"blueprint": "a", "identifier": "x"},
    ]
    assert faults(document) == [
        ("mappings[0].blueprint", "is missing; expected a blueprint's identifier"),
        ("mappings[1].operation", 'is text ("drop"); expected "create" or "delete"'),
        ("mappings[2]", "describes an entity; expected a mapping with blueprint and entity"),
    ]
