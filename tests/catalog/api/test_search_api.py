"""Finding entities over the wire. The rule language has its own tests; this is its envelope."""

import gzip
from datetime import timedelta

import pytest

from catalog.models import Entity
from tests.factories import make_api, make_entity

SEARCH = "/v1/entities/search"
IN_SERVICE = "/v1/blueprints/service/entities/search"
WRITTEN = "/v1/blueprints/entities/datasource-entities"

pytestmark = pytest.mark.usefixtures("service")


def rule(name, operator, value):
    return {
        "combinator": "and",
        "rules": [{"property": name, "operator": operator, "value": value}],
    }


def test_the_body_of_a_global_search_is_the_query(api):
    make_entity("domain", "money", title="Money")
    make_entity("service", "pay", title="Money mover")
    make_entity("service", "ship", title="Shipping")
    body = api.post(f"{SEARCH}?include=title", rule("$title", "contains", "Money")).json()
    assert body == {
        "ok": True,
        "matchingBlueprints": ["domain", "service"],
        "entities": [
            {"identifier": "money", "title": "Money", "blueprint": "domain"},
            {"identifier": "pay", "title": "Money mover", "blueprint": "service"},
        ],
    }


@pytest.mark.parametrize("body", [None, {}, {"combinator": "and", "rules": []}])
def test_no_rules_mean_everything(api, body):
    make_entity("service", "pay")
    for path, sent in ((SEARCH, body), (IN_SERVICE, body and {"query": body})):
        found = api.post(path, sent).json()["entities"]
        assert [one["identifier"] for one in found] == ["pay"]


def test_a_search_in_one_blueprint_is_paged(api):
    for n in range(5):
        make_entity("service", f"s{n}", properties={"stars": n})
    make_entity("domain", "s9")
    query = rule("stars", ">", 0)
    seen, cursor = [], None
    while True:
        page = api.post(
            IN_SERVICE, {"query": query, "limit": 2, "from": cursor, "include": ["$identifier"]}
        ).json()
        seen.append([one["identifier"] for one in page["entities"]])
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [["s1", "s2"], ["s3", "s4"]]


def test_include_may_stand_in_the_body_or_the_address(api):
    make_entity("service", "pay", properties={"stars": 1, "language": "go"})
    for path, body in (
        (IN_SERVICE, {"include": ["properties.stars"]}),
        (f"{IN_SERVICE}?include=properties.stars", {}),
        (IN_SERVICE, {"include": ["properties"], "exclude": ["properties.language"]}),
    ):
        assert api.post(path, body).json()["entities"] == [
            {"identifier": "pay", "blueprint": "service", "properties": {"stars": 1}}
        ]


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "ten"},
        {"limit": True},
        {"include": "title"},
        {"include": [1]},
        {"include": ["\x00"]},
        {"from": 7},
        {"query": []},
        {"query": {**rule("stars", "=", 1), "combinator": "xor"}},
        {"query": rule("stars", "~", 1)},
    ],
)
def test_a_search_that_cannot_be_read_is_422(api, body):
    answer = api.post(IN_SERVICE, body)
    assert (answer.status_code, answer.json()["ok"]) == (422, False)


@pytest.mark.parametrize("cursor", ["nonsense", "W10", "WzFd", "WyJcdTAwMDAiXQ"])
def test_a_foreign_cursor_is_400(api, cursor):
    answer = api.post(IN_SERVICE, {"from": cursor})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_an_identifier_rule_with_an_object_is_no_server_error(api):
    """An exporter with a search identifier asks like this after a live event."""
    nested = rule("language", "=", "go")
    answer = api.post(SEARCH, rule("$identifier", "=", nested))
    assert (answer.status_code, answer.json().get("entities", [])) in [(200, []), (422, [])]


@pytest.mark.parametrize("path", [SEARCH, IN_SERVICE])
def test_answers_are_compressed_for_those_who_can_read_that(api, path):
    make_entity("service", "pay", properties={"text": "word " * 200})
    plain = api.post(path, {}, HTTP_ACCEPT_ENCODING="identity")
    packed = api.post(path, {}, HTTP_ACCEPT_ENCODING="gzip")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content


def test_entities_by_the_program_that_wrote_them():
    ours = make_api(agent="port-ocean/github/1.2.3/my-github/exporter")
    newer = make_api(agent="port-ocean/github/1.3.0/my-github/exporter")
    other = make_api(agent="port-ocean/github/1.2.3/their-github/exporter")
    person = make_api(agent="Mozilla/5.0")
    for caller, name in ((ours, "a"), (newer, "b"), (other, "c"), (person, "d"), (ours, "e")):
        caller.post("/v1/blueprints/service/entities", {"identifier": name})
    person.patch("/v1/blueprints/service/entities/e", {"title": "Mine now"})
    body = {
        "datasource_prefix": "port-ocean/github/",
        "datasource_suffix": "/my-github/exporter",
    }
    assert ours.post(WRITTEN, body).json() == {
        "ok": True,
        "entities": [{"identifier": n, "blueprint": "service"} for n in ("a", "b")],
        "next": None,
    }
    first = ours.post(WRITTEN, {**body, "limit": 1}).json()
    second = ours.post(WRITTEN, {**body, "limit": 1, "from": first["next"]}).json()
    assert [p["entities"][0]["identifier"] for p in (first, second)] == ["a", "b"]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("prefix", "suffix", "found"),
    [
        ("agent (statekey/X", "", 1),
        ("agent ", "(statekey/X)", 1),
        ("agent (statekey/X)", "(statekey/X)", 0),  # they would overlap
        ("%", "", 0),
        ("agent_", "", 0),
    ],
)
def test_prefix_and_suffix_are_plain_text(prefix, suffix, found):
    caller = make_api(agent="agent (statekey/X)")
    caller.post("/v1/blueprints/service/entities", {"identifier": "a"})
    body = {"datasource_prefix": prefix, "datasource_suffix": suffix}
    assert len(caller.post(WRITTEN, body).json()["entities"]) == found


def test_before_spares_what_changed_since(api):
    make_entity("service", "a")
    caller = make_api(agent="agent/1")
    caller.post("/v1/blueprints/service/entities", {"identifier": "b"})
    changed_at = Entity.objects.get(identifier="b").updated_at
    moments = [
        (changed_at.isoformat(), 1),
        ((changed_at - timedelta(microseconds=1)).isoformat(), 0),
        ((changed_at + timedelta(hours=1)).isoformat(), 1),
    ]
    for before, found in moments:
        body = {"datasource_prefix": "agent/", "before": before}
        assert len(api.post(WRITTEN, body).json()["entities"]) == found


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"datasource_prefix": ""}, 422),
        ({"datasource_prefix": 5}, 422),
        ({"datasource_prefix": "a", "datasource_suffix": []}, 422),
        ({"datasource_prefix": "a", "limit": 0}, 422),
        ({"datasource_prefix": "a", "before": "soon"}, 400),
        ({"datasource_prefix": "a", "before": 5}, 400),
        ({"datasource_prefix": "a", "from": "x"}, 400),
        ({"datasource_prefix": "\x00"}, 422),
    ],
)
def test_datasource_requests_that_cannot_be_read(api, body, status):
    assert api.post(WRITTEN, body).status_code == status


def test_aggregates(api):
    for n, language in enumerate(("go", "go", "python")):
        make_entity("service", f"s{n}", properties={"stars": n, "language": language})
    answers = [
        api.post("/v1/entities/aggregate", body).json()["result"]
        for body in (
            {"func": "count", "query": rule("stars", ">", 0)},
            {"func": "sum", "property": "stars"},
            {"func": "countValues", "property": "language"},
        )
    ]
    assert answers == [2, 3, {"go": 2, "python": 1}]
    over_time = api.post(
        "/v1/entities/aggregate-over-time",
        {
            "blueprint": "service",
            "timeRange": {"preset": "lastWeek"},
            "timeInterval": "day",
            "aggregationType": "countEntities",
            "func": "count",
        },
    ).json()["result"]
    assert sum(row["count"] for row in over_time["data"]) == 3
    past = api.post(
        "/v1/entities/properties-history",
        {
            "blueprintIdentifier": "service",
            "entityIdentifier": "s2",
            "propertyNames": ["stars"],
            "timeInterval": "day",
            "timeRange": {"preset": "lastWeek"},
        },
    ).json()["result"]
    assert [row["stars"] for row in past["data"]][-1] == 2


@pytest.mark.parametrize("route", ["aggregate", "aggregate-over-time", "properties-history"])
def test_aggregates_that_cannot_be_read(api, route):
    for body in ({}, {"func": "guess"}, {"query": 7, "func": "count"}, {"func": ["count"]}):
        assert api.post(f"/v1/entities/{route}", body).status_code == 422
