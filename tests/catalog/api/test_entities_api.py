"""One entity over the wire: the documented shapes, statuses and query parameters."""

import re
from urllib.parse import quote

import orjson
import pytest

from catalog.models import Change, Entity
from tests.factories import Caller, make_blueprint, make_entity

ENTITIES = "/v1/blueprints/service/entities"
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

pytestmark = pytest.mark.usefixtures("service")


def test_what_is_created_comes_back_whole(api):
    answer = api.post(
        ENTITIES,
        {"identifier": "pay", "blueprint": "ignored", "properties": {"language": "go", "x": 1}},
    )
    entity = answer.json()["entity"]
    assert (answer.status_code, answer.json()["ok"]) == (201, True)
    assert api.get(f"{ENTITIES}/pay").json()["entity"] == entity
    for key in ("createdAt", "updatedAt"):
        assert re.fullmatch(MOMENT, entity.pop(key))
    assert entity.pop("createdBy") == entity.pop("updatedBy") == Entity.objects.get().created_by
    assert entity == {
        "identifier": "pay",
        "title": None,
        "icon": None,
        "blueprint": "service",
        "team": [],
        "properties": {"language": "go", "x": 1},
        "relations": {"domain": None, "needs": []},
        "scorecards": {},
    }


def test_an_entity_without_identifier_gets_one(api):
    entity = api.post(ENTITIES, {"title": "No name"}).json()["entity"]
    assert re.fullmatch(r"e_[A-Za-z0-9]{16}", entity["identifier"])


@pytest.mark.parametrize(
    ("query", "exists", "status", "properties"),
    [
        ("", False, 201, {"stars": 5}),
        ("", True, 409, {"language": "go", "stars": 1}),
        ("?upsert=false&merge=true", True, 409, {"language": "go", "stars": 1}),
        ("?upsert=true", False, 201, {"stars": 5}),
        ("?upsert=true", True, 201, {"stars": 5}),
        ("?upsert=true&merge=true", True, 201, {"language": "go", "stars": 5}),
        ("?upsert=true&merge=true", False, 201, {"stars": 5}),
        ("?upsert=0xc0001&merge=0xc0002", True, 201, {"language": "go", "stars": 5}),
    ],
)
def test_upsert_and_merge(api, query, exists, status, properties):
    if exists:
        make_entity("service", "pay", properties={"language": "go", "stars": 1})
    answer = api.post(ENTITIES + query, {"identifier": "pay", "properties": {"stars": 5}})
    assert answer.status_code == status
    assert Entity.objects.get(identifier="pay").properties == properties


def test_a_merge_clears_what_is_null(api):
    make_entity("domain", "money")
    make_entity(
        "service",
        "pay",
        title="Pay",
        team=["core"],
        properties={"stars": 1, "language": "go"},
        relations={"domain": "money"},
    )
    entity = api.patch(
        f"{ENTITIES}/pay",
        {"title": None, "team": None, "properties": {"stars": None}, "relations": {"domain": None}},
    ).json()["entity"]
    assert (entity["title"], entity["team"], entity["properties"]) == (None, [], {"language": "go"})
    assert entity["relations"] == {"domain": None, "needs": []}


def test_put_resets_what_it_does_not_say(api):
    make_entity("service", "pay", title="Pay", properties={"stars": 1, "language": "go"})
    entity = api.put(f"{ENTITIES}/pay", {"properties": {"stars": 2}}).json()["entity"]
    assert (entity["title"], entity["properties"]) == (None, {"stars": 2})
    assert api.put(f"{ENTITIES}/gone", {}, format="json").status_code == 404


def test_an_empty_patch_changes_nothing(api):
    before = make_entity("service", "pay", properties={"stars": 1}).updated_at
    answer = api.patch(f"{ENTITIES}/pay")
    assert (answer.status_code, answer.json()["entity"]["properties"]) == (200, {"stars": 1})
    assert Entity.objects.get().updated_at == before


def test_validation_only_answers_as_if_and_stores_nothing(api):
    answer = api.post(
        f"{ENTITIES}?validation_only=true&create_missing_related_entities=true",
        {"identifier": "pay", "relations": {"domain": "new"}},
    )
    assert (answer.status_code, answer.json()["entity"]["relations"]["domain"]) == (201, "new")
    assert not Entity.objects.exists()
    assert not Change.objects.filter(model=Change.ENTITY).exists()
    refused = api.post(f"{ENTITIES}?validation_only=true", {"properties": {"stars": -1}})
    assert (refused.status_code, refused.json()["error"]) == (422, "invalid_entity")


def test_a_missing_target_is_404_unless_it_may_be_created(api):
    body = {"identifier": "pay", "relations": {"domain": "new", "needs": ["pay", "ship"]}}
    refused = api.post(ENTITIES, body)
    assert (refused.status_code, refused.json()["error"]) == (404, "not_found")
    assert not Entity.objects.exists()
    made = api.post(f"{ENTITIES}?create_missing_related_entities=true", body)
    assert made.json()["entity"]["relations"] == {"domain": "new", "needs": ["pay", "ship"]}
    assert Entity.objects.get(identifier="ship").title == "ship"


def test_the_run_is_noted(api):
    assert api.post(f"{ENTITIES}?run_id=r_1", {"identifier": "a"}).status_code == 201
    assert api.post(f"{ENTITIES}?run_id=", {"identifier": "b"}).status_code == 201
    runs = Change.objects.filter(model=Change.ENTITY).order_by("id").values_list("run", flat=True)
    assert list(runs) == ["r_1", ""]


@pytest.mark.parametrize(
    "identifier",
    ["a/b", "a+b", "x:y@z=1", "a\\b", "Größe", "日本", "history", "search", "bulk",
     "a/history", "/lead", "é" * 1000],
)  # fmt: skip
def test_any_identifier_works_in_a_path(api, identifier):
    path = f"{ENTITIES}/{quote(identifier, safe='')}"
    assert api.post(ENTITIES, {"identifier": identifier}).status_code == 201
    assert api.get(path).json()["entity"]["identifier"] == identifier
    assert api.patch(path, {"title": "T"}).json()["entity"]["title"] == "T"
    assert api.put(path, {"title": "U"}).json()["entity"]["title"] == "U"
    assert len(api.get(f"{path}/history").json()["history"]) == 3
    assert api.delete(path).json() == {"ok": True}
    assert api.get(path).status_code == 404


def test_numbers_and_text_come_back_as_they_went_in(api):
    properties = {
        "whole": 1,
        "big": 9007199254740993,
        "float": 0.1,
        "long": 1234567890123456789,
        "when": "2026-01-02T03:04:05+02:00",
        "emoji": "👩‍👩‍👧",
        "escaped": 'a"b\\c\n\t',
    }
    api.post(ENTITIES, {"identifier": "pay", "properties": properties})
    content = api.get(f"{ENTITIES}/pay").content
    assert orjson.loads(content)["entity"]["properties"] == properties
    assert b'"whole": 1,' in content


def test_a_rename_moves_the_edges_with_it(api):
    make_entity("domain", "money")
    make_entity("service", "pay", relations={"domain": "money"})
    answer = api.patch("/v1/blueprints/domain/entities/money", {"identifier": "a/b", "title": "M"})
    assert (answer.status_code, answer.json()["entity"]["title"]) == (200, "M")
    assert api.get(f"{ENTITIES}/pay").json()["entity"]["relations"]["domain"] == "a/b"
    make_entity("domain", "taken")
    clash = api.patch("/v1/blueprints/domain/entities/a%2Fb", {"identifier": "taken", "title": "N"})
    assert (clash.status_code, clash.json()["error"]) == (409, "already_exists")
    assert Entity.objects.get(identifier="a/b").title == "M"


def test_a_refused_change_undoes_its_rename(api):
    make_entity("service", "pay")
    answer = api.patch(f"{ENTITIES}/pay", {"identifier": "new", "properties": {"stars": "many"}})
    assert answer.status_code == 422
    assert list(Entity.objects.values_list("identifier", flat=True)) == ["pay"]


def test_delete_asks_about_those_that_need_it(api):
    make_blueprint("pod", relations={"of": {"target": "service", "required": True}})
    make_entity("service", "pay")
    make_entity("pod", "p1", relations={"of": "pay"})
    refused = api.delete(f"{ENTITIES}/pay")
    assert (refused.status_code, refused.json()["error"]) == (409, "has_dependents")
    assert refused.json()["details"]["dependents"] == ["pod:p1"]
    assert Entity.objects.count() == 2
    assert api.delete(f"{ENTITIES}/pay?delete_dependents=true").status_code == 200
    assert not Entity.objects.exists()
    assert api.delete(f"{ENTITIES}/pay").status_code == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("include=title", {"identifier", "blueprint", "title"}),
        ("include=$title&include=$identifier", {"identifier", "blueprint", "title"}),
        ("include=title,icon", {"identifier", "blueprint", "title", "icon"}),
        ("include=nothing.here", {"identifier", "blueprint", "properties"}),
        ("exclude=identifier,scorecards,createdAt,createdBy,updatedAt,updatedBy,relations,team",
         {"identifier", "blueprint", "title", "icon", "properties"}),
    ],
)  # fmt: skip
def test_include_and_exclude_choose_the_keys(api, query, expected):
    make_entity("service", "pay")
    assert set(api.get(f"{ENTITIES}/pay?{query}").json()["entity"]) == expected


@pytest.mark.parametrize(
    ("query", "properties", "relations"),
    [
        ("include=properties.stars", {"stars": 3}, None),
        ("include=stars", {"stars": 3}, None),
        ("include=properties.no", {}, None),
        ("include=properties.stars&include=relations.needs", {"stars": 3}, {"needs": ["ship"]}),
        ("include=properties&include=properties.stars", {"stars": 3, "language": "go"}, None),
        ("include=properties&exclude=properties.stars", {"language": "go"}, None),
        ("include=relations&exclude=relations.needs", None, {"domain": None}),
    ],
)
def test_include_and_exclude_reach_into_properties_and_relations(api, query, properties, relations):
    make_entity(
        "service",
        "pay",
        properties={"stars": 3, "language": "go"},
        relations={"needs": ["ship"]},
    )
    for path in (f"{ENTITIES}/pay?{query}", f"{ENTITIES}/pay?{query}&as_of=2100-01-01"):
        entity = api.get(path).json()["entity"]
        assert (entity.get("properties"), entity.get("relations")) == (properties, relations)


def test_titles_of_relations(api):
    make_entity("domain", "money", title="Money")
    make_entity("service", "pay", relations={"domain": "money", "needs": ["z", "a"]})
    make_entity("service", "a", title="A")
    entity = api.get(f"{ENTITIES}/pay?attach_title_to_relation=true").json()["entity"]
    assert entity["relations"] == {
        "domain": {"identifier": "money", "title": "Money"},
        "needs": [{"identifier": "z", "title": None}, {"identifier": "a", "title": "A"}],
    }


def test_calculated_properties_can_be_left_out(api):
    entity = make_entity("service", "pay", properties={"stars": 3})
    Entity.objects.filter(pk=entity.pk).update(computed={"total": 9})
    shown = [
        api.get(f"{ENTITIES}/pay{query}").json()["entity"]["properties"]
        for query in ("", "?exclude_calculated_properties=true")
    ]
    assert shown == [{"stars": 3, "total": 9}, {"stars": 3}]


def test_all_entities_come_in_one_list(api):
    for name in ("b", "a"):
        make_entity("service", name)
    make_entity("domain", "other")
    answer = api.get(f"{ENTITIES}?include=title")
    assert answer.json()["entities"] == [
        {"identifier": name, "title": None, "blueprint": "service"} for name in ("b", "a")
    ]
    assert api.get("/v1/blueprints/service/entities-count").json() == {"ok": True, "count": 2}


def test_a_long_list_is_streamed(api, monkeypatch):
    monkeypatch.setattr("catalog.api.base.CHUNK", 2)
    monkeypatch.setattr("catalog.selectors.documents.CHUNK", 2)
    for n in range(5):
        make_entity("service", f"s{n}")
    answer = api.get(f"{ENTITIES}?include=identifier")
    assert answer.streaming
    found = orjson.loads(b"".join(answer.streaming_content))["entities"]
    assert [one["identifier"] for one in found] == [f"s{n}" for n in range(5)]


def test_history_tells_each_change_and_as_of_goes_back(api):
    api.post(ENTITIES, {"identifier": "pay", "properties": {"stars": 1}})
    created_at = api.get(f"{ENTITIES}/pay").json()["entity"]["createdAt"]
    moment = Entity.objects.get().updated_at.isoformat()
    api.patch(f"{ENTITIES}/pay?run_id=r_9", {"properties": {"stars": 2}, "title": "Pay"})
    newest, oldest = api.get(f"{ENTITIES}/pay/history").json()["history"]
    assert newest["changes"] == [
        {"path": "title", "before": None, "after": "Pay"},
        {"path": "properties.stars", "before": 1, "after": 2},
    ]
    assert (newest["action"], newest["runId"], newest["actorKind"]) == ("update", "r_9", "client")
    assert (oldest["action"], oldest["at"], oldest["changes"]) == ("create", created_at, [])
    then = api.get(f"{ENTITIES}/pay?as_of={quote(moment)}").json()["entity"]
    assert (then["title"], then["properties"]) == (None, {"stars": 1})
    assert then["relations"] == {"domain": None, "needs": []}
    assert api.get(f"{ENTITIES}/pay?as_of=2001-01-01").status_code == 404
    api.delete(f"{ENTITIES}/pay")
    assert api.get(f"{ENTITIES}/pay?as_of={quote(moment)}").json()["entity"] == then
    assert api.get(f"{ENTITIES}/pay?as_of=2100-01-01").status_code == 404


def test_history_is_paged(api):
    make_entity("service", "pay")
    for stars in range(1, 5):
        api.patch(f"{ENTITIES}/pay", {"properties": {"stars": stars}})
    seen, cursor = [], ""
    while cursor is not None:
        page = api.get(f"{ENTITIES}/pay/history?limit=2&from={cursor}").json()
        seen += [entry["action"] for entry in page["history"]]
        cursor = page["next"]
    assert seen == ["update"] * 4 + ["create"]


@pytest.mark.parametrize("path", [f"{ENTITIES}/no", f"{ENTITIES}/no/history"])
def test_what_is_missing_is_named(api: Caller, path):
    answer = api.get(path)
    assert (answer.status_code, answer.json()) == (
        404,
        {
            "ok": False,
            "error": "not_found",
            "message": 'Entity with identifier "no" was not found',
            "details": {"resource": "Entity", "with": "identifier", "value": "no"},
        },
    )
    answer = api.get(path.replace("service", "nope"))
    assert answer.json()["details"]["resource"] == "Blueprint"


def test_identifiers_teams_and_relations_may_be_searches(api):
    make_entity("domain", "money", properties={"budget": 7})
    make_entity("service", "pay", properties={"language": "go"})

    def found_by(name, value):
        return {
            "combinator": "and",
            "rules": [{"property": name, "operator": "=", "value": value}],
        }

    answer = api.post(
        f"{ENTITIES}?upsert=true&merge=true",
        {
            "identifier": found_by("language", "go"),
            "title": "Found",
            "relations": {"domain": found_by("budget", 7), "needs": found_by("language", "none")},
        },
    )
    entity = answer.json()["entity"]
    assert (entity["identifier"], entity["title"]) == ("pay", "Found")
    assert entity["relations"] == {"domain": "money", "needs": []}
    refused = api.post(
        f"{ENTITIES}?upsert=true", {"identifier": found_by("language", "cobol"), "title": "X"}
    )
    assert (refused.status_code, Entity.objects.count()) == (422, 2)
