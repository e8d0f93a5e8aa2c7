"""Whatever comes in, a clear 4xx goes out, as JSON, and nothing is half-written."""

import pytest

from catalog.models import Blueprint, Change, Entity
from tests.factories import make_entity

ENTITIES = "/v1/blueprints/service/entities"
JSON = "application/json"

DEEP_LIST = "[" * 300 + "]" * 300
TOO_DEEP = "[" * 2000 + "]" * 2000


@pytest.fixture(autouse=True)
def _nothing_is_written(api, service):
    make_entity("service", "there", properties={"stars": 1})
    before = state()
    yield
    assert state() == before


def state():
    return (
        list(Entity.objects.values_list("pk", "content_hash", "updated_at")),
        list(Blueprint.objects.values_list("pk", "version")),
        Change.objects.count(),
    )


def one_property(**schema):
    return {"identifier": "x", "schema": {"properties": {"a": schema}}}


def check(answer, status, *words):
    body = answer.json()
    assert answer.headers["Content-Type"] == JSON
    assert (answer.status_code, body["ok"]) == (status, False), body
    assert {"error", "message"} <= body.keys()
    for word in words:
        assert word in body["message"], body


@pytest.mark.parametrize(
    ("sent", "status", "word"),
    [
        ("", 400, "no body"),
        ("{", 400, "line 1 column 2"),
        ('{"a": 1,\n "b" 2}', 400, "line 2 column 6"),
        ('{"identifier": NaN}', 400, "line 1 column 16"),
        ('{"identifier": Infinity}', 400, "line 1 column 16"),
        ('{"identifier": "\\ud800"}', 400, "surrogate"),
        (b'{"identifier": "\xff"}', 400, "UTF-8"),
        ("\ufeff{}", 400, "line 1 column 1"),
        ("[]", 400, "a list"),
        ("null", 400, "null"),
        ("7", 400, "a number"),
        ("true", 400, "a boolean"),
        ('"text"', 400, "text"),
        (TOO_DEEP, 400, "not valid JSON"),
        ('{"properties": {"x": ' + DEEP_LIST + "}}", 422, "JSON"),
        ('{"properties": {"x": ' + "9" * 30 + "}}", 422, "64"),
        ('{"properties": {"stars": ' + "9" * 5000 + "}}", 400, "number"),
        ('{"properties": {"x": "\\u0000"}}', 422, "NUL"),
        ('{"properties": {"\\u0000": 1}}', 422, "NUL"),
    ],
)
def test_bodies_that_are_no_entity(api, sent, status, word):
    answer = api.generic("POST", ENTITIES, sent, content_type=JSON)
    check(answer, status, word)
    answer = api.generic("PATCH", f"{ENTITIES}/there", sent or "{", content_type=JSON)
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"identifier": 5}, "text"),
        ({"identifier": True}, "text"),
        ({"identifier": ["a"]}, "text"),
        ({"identifier": {}}, "identifier"),
        ({"identifier": {"combinator": "and", "rules": "x"}}, "rules"),
        ({"identifier": ""}, "1 to 1000"),
        ({"identifier": "."}, "not allowed"),
        ({"identifier": ".."}, "not allowed"),
        ({"identifier": "a b"}, "not allowed"),
        ({"identifier": "😀"}, "not allowed"),
        ({"identifier": "a\x00"}, "not allowed"),
        ({"identifier": "a\n"}, "not allowed"),
        ({"identifier": "a%2Fb"}, "not allowed"),
        ({"identifier": "a" * 1001}, "1001 characters"),
        ({"identifier": "日" * 1000}, "bytes"),
        ({"title": 5}, "title"),
        ({"title": ["a"]}, "title"),
        ({"title": "a" * 1001}, "title"),
        ({"title": "a\x00"}, "NUL"),
        ({"icon": {}}, "icon"),
        ({"icon": "a" * 101}, "icon"),
        ({"team": 5}, "team"),
        ({"team": [5]}, "team"),
        ({"team": [""]}, "team"),
        ({"team": {"a": 1}}, "team"),
        ({"team": ["\x00"]}, "NUL"),
        ({"properties": []}, "properties"),
        ({"properties": "x"}, "properties"),
        ({"properties": {"stars": "3"}}, 'property "stars"'),
        ({"properties": {"stars": -1}}, "minimum"),
        ({"properties": {"stars": True}}, 'property "stars"'),
        ({"properties": {"language": "cobol"}}, '"go"'),
        ({"properties": {"language": ["go"]}}, 'property "language"'),
        ({"properties": {"url": "not a url"}}, 'property "url"'),
        ({"relations": []}, "relations"),
        ({"relations": {"nope": "x"}}, "domain, needs"),
        ({"relations": {"domain": 5}}, "domain"),
        ({"relations": {"domain": ["a", "b"]}}, "domain"),
        ({"relations": {"domain": {"combinator": "and"}}}, "domain"),
        ({"relations": {"needs": "there" * 1000}}, "needs"),
        ({"relations": {"needs": [5]}}, "needs"),
        ({"relations": {"needs": [["there"]]}}, "needs"),
        ({"relations": {"needs": ["a\x00"]}}, ""),
        ({"relations": {"needs": {"rules": []}}}, "needs"),
    ],
)
def test_values_that_break_a_rule(api, body, word):
    """The door refuses them in every way that a body comes in."""
    ways = [
        api.post(ENTITIES, body),
        api.post(f"{ENTITIES}?upsert=true&merge=true&create_missing_related_entities=true", body),
        api.put(f"{ENTITIES}/there", body),
        api.patch(f"{ENTITIES}/there", body),
    ]
    for answer in ways:
        check(answer, answer.status_code, word)
        assert answer.status_code in (404, 422)
    bulk = api.post(f"{ENTITIES}/bulk", {"entities": [body]})
    assert (bulk.status_code, len(bulk.json()["errors"])) == (207, 1)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "identifier"),
        ({"identifier": 5}, "text"),
        ({"identifier": "a b"}, "not allowed"),
        ({"identifier": "a" * 101}, "101 characters"),
        ({"identifier": "x", "title": 5}, "title"),
        ({"identifier": "x", "title": "a" * 101}, "title"),
        ({"identifier": "x", "description": []}, "description"),
        ({"identifier": "x", "icon": 5}, "icon"),
        ({"identifier": "x", "schema": []}, "schema"),
        ({"identifier": "x", "schema": {"properties": []}}, "schema"),
        ({"identifier": "x", "schema": {"required": "a"}}, "required"),
        ({"identifier": "x", "schema": {"required": ["a"]}}, "required"),
        ({"identifier": "x", "schema": {"properties": {"a": 5}}}, "schema.properties.a"),
        (one_property(type="date"), "type"),
        (one_property(type=["string"]), "type"),
        (one_property(type="string", pattern="("), "regex"),
        (one_property(type="string", pattern="(?=a)b"), ""),
        (one_property(**{"type": "object", "$ref": "http://x.io/y"}), "$ref"),
        (one_property(type="string", enum=5), "enum"),
        ({"identifier": "x", "schema": {"properties": {"a b": {"type": "string"}}}}, "a b"),
        ({"identifier": "x", "relations": []}, "relations"),
        ({"identifier": "x", "relations": {"r": "service"}}, "relations.r"),
        ({"identifier": "x", "relations": {"r": {"target": 5}}}, "target"),
        (
            {"identifier": "x", "relations": {"r": {"target": "x", "many": 1, "required": True}}},
            "many",
        ),
        (
            {
                "identifier": "x",
                "relations": {"r": {"target": "x", "many": True, "required": True}},
            },
            "required",
        ),
        ({"identifier": "x", "mirrorProperties": {"m": {"path": "nope.x"}}}, "mirrorProperties"),
        ({"identifier": "x", "mirrorProperties": []}, "mirrorProperties"),
        ({"identifier": "x", "calculationProperties": {"c": {}}}, "calculationProperties"),
        ({"identifier": "x", "aggregationProperties": {"c": 1}}, "aggregationProperties"),
        ({"identifier": "x", "ownership": {"type": "Other"}}, "ownership"),
        ({"identifier": "x", "more": "\x00"}, "NUL"),
    ],
)
def test_blueprints_that_break_a_rule(api, body, word):
    check(api.post("/v1/blueprints", body), 422, word)
    if "identifier" in body:
        same = {**body, "identifier": body["identifier"] if word else "service"}
        answer = api.put("/v1/blueprints/service", same)
        assert answer.status_code == 422
        assert api.post("/v1/blueprints/service/preview", same).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/", 404),
        ("POST", "/v1/blueprints/", 404),
        ("GET", "/v1/blueprints//entities", 404),
        ("GET", f"{ENTITIES}/", 404),
        ("GET", f"{ENTITIES}/%00", 404),
        ("GET", f"{ENTITIES}/%ff", 404),
        ("GET", f"{ENTITIES}/😀", 404),
        ("GET", f"{ENTITIES}/" + "a" * 3000, 404),
        ("GET", "/v1/blueprints/" + "a/" * 500 + "x", 404),
        ("GET", "/v1/blueprints/" + "entities/" * 300 + "x", 404),
        ("DELETE", "/v1/blueprints", 405),
        ("POST", "/v1/blueprints/service", 405),
        ("OPTIONS", ENTITIES, 405),
        ("TRACE", ENTITIES, 405),
        ("GET", f"{ENTITIES}/there?as_of=yesterday", 400),
        ("GET", f"{ENTITIES}/there?as_of=2026-13-01", 400),
        ("GET", f"{ENTITIES}/there?as_of=0001-01-01T00:00:00%2B14:00", 400),
        ("GET", f"{ENTITIES}/there?include=%00", 400),
        ("GET", f"{ENTITIES}/there/history?limit=0", 400),
        ("GET", f"{ENTITIES}/there/history?limit=501", 400),
        ("GET", f"{ENTITIES}/there/history?limit=²", 400),
        ("GET", f"{ENTITIES}/there/history?from=x", 400),
        ("DELETE", f"{ENTITIES}/there?run_id=" + "r" * 101, 400),
        ("DELETE", f"{ENTITIES}/there?run_id=%00", 400),
        ("DELETE", f"{ENTITIES}/%F0%9F%98%80", 404),
    ],
)
def test_addresses_that_lead_nowhere(api, method, path, status):
    check(api.generic(method, path), status)


def test_other_media_types_are_refused_unless_there_is_no_body(api):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; a=b"):
        check(api.generic("POST", ENTITIES, "a=b", content_type=kind), 415)
        empty = api.generic("PATCH", f"{ENTITIES}/there", "", content_type=kind)
        assert empty.status_code == 200


@pytest.mark.parametrize("kind", ["", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_read_under_these_names(api, kind):
    answer = api.generic("PATCH", f"{ENTITIES}/there", "{}", content_type=kind)
    assert answer.status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*;q=0", "garbage", ""])
def test_answers_are_json_whatever_is_accepted(api, accept):
    answer = api.get(f"{ENTITIES}/there?format=html", HTTP_ACCEPT=accept)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, JSON)


def test_a_body_over_the_limit_is_413(api, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    body = {"identifier": "x", "title": "t" * 1000}
    check(api.post(ENTITIES, body), 413, "1000 bytes")
    check(api.post(f"{ENTITIES}/bulk", {"entities": [body]}), 413)
