"""What Cortex's own client does not ask, or cannot tell: /api/v1 below its commands."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.api.slots import EACH, slot
from catalog.kernel.actors import Role
from catalog.kernel.locks import Lock
from idp.models import ApiClient
from scorecards.api.cortex.queries import KEPT
from scorecards.models import Scorecard
from tests.factories import Caller, make_api, make_blueprint, make_client, make_entity

pytestmark = pytest.mark.django_db

CARD = """
tag: {tag}
name: Named
draft: {draft}
filter: {{types: {{include: [{kinds}]}}}}
rules: [{{title: Is it, expression: entity.tag() != null}}]
"""


@pytest.fixture
def api():
    return make_api()


def save(api, tag="named", *, draft="false", kinds="service, component"):
    text = CARD.format(tag=tag, draft=draft, kinds=kinds)
    return api.post(
        "/api/v1/scorecards/descriptor?dryRun=False", text, content_type="application/yaml"
    )


def evaluate(api, tag, entity):
    answer = api.post(f"/api/v1/scorecards/{tag}/entity/{entity}/scores", {})
    assert (answer.status_code, answer.content) == (200, b"")


def test_pages_hold_one_list_and_end(api):
    for number in range(3):
        assert save(api, f"card-{number}", draft=str(number == 2).lower()).status_code == 200
    first = api.get("/api/v1/scorecards?page=0&pageSize=2&showDrafts=True").json()
    assert [key for key, value in first.items() if isinstance(value, list)] == ["scorecards"]
    assert (first["page"], first["totalPages"], first["total"]) == (0, 2, 3)
    second = api.get("/api/v1/scorecards?page=1&pageSize=2&showDrafts=true").json()
    assert [one["isDraft"] for one in second["scorecards"]] == [True]
    assert api.get("/api/v1/scorecards?page=9").json()["scorecards"] == []
    assert api.get("/api/v1/scorecards?showDrafts=False").json()["total"] == 2
    for query in ("page=-1", "page=x", "pageSize=0", "pageSize=1001"):
        told = api.get(f"/api/v1/scorecards?{query}")
        assert (told.status_code, told.json()["message"]) == (400, "Bad Request")


def test_custom_data_is_a_bare_list_that_ends(api):
    make_entity(make_blueprint("service"), "pay")
    address = "/api/v1/catalog/pay/custom-data"
    for key in ("b", "a/c", "a"):
        assert api.post(f"{address}?force=True", {"key": key, "value": None}).status_code == 200
    pages = [api.get(f"{address}?page={n}&pageSize=2").json() for n in range(3)]
    assert [[one["key"] for one in page] for page in pages] == [["a", "a/c"], ["b"], []]
    assert api.get(f"{address}/a%2Fc").json()["value"] is None
    odd = "/api/v1/catalog/custom-data?tag=pay&key=a/c"
    assert api.get(odd).json()["key"] == "a/c"
    assert api.delete(odd).status_code == 204
    told = api.put("/api/v1/catalog/custom-data", {"values": {"pay": [{"key": "", "value": 1}]}})
    [wrong] = told.json()["violations"]
    assert (told.status_code, wrong["pointer"]) == (400, "/values/pay/0/key")
    points = {"series": [{"value": 1}, {"timestamp": "2999-01-01T00:00:00", "value": 1}]}
    told = api.post("/api/v1/eng-intel/custom-metrics/spend/entity/pay/bulk", points).json()
    assert told["violations"][0]["pointer"] == "/series/1/timestamp"


def test_whom_a_tag_means(api):
    made = {}
    for kind in ("alpha", "component", "service"):
        blueprint = make_blueprint(kind)
        for name in ("pay", "shop") if kind != "service" else ("pay",):
            made[kind, name] = make_entity(blueprint, name)
    make_entity("_team", "pay")
    make_entity("_user", "ann@example.com")

    def kind_of(tag):
        api.post(f"/api/v1/catalog/{tag}/custom-data", {"key": "seen", "value": tag})
        found = [k for k, one in made.items() if one.facts.filter(value=tag).exists()]
        return found[0][0] if found else None

    assert kind_of("pay") == "service"
    assert kind_of("shop") == "component"
    assert kind_of("alpha:pay") == "alpha"
    assert kind_of(f"en{made['alpha', 'shop'].pk:016x}") == "alpha"
    assert api.get("/api/v1/catalog/team:pay/custom-data").json() == []
    for nobody in ("ann@example.com", "en0000000000000000", "enffffffffffffffff", "nope:pay"):
        assert api.get(f"/api/v1/catalog/{nobody}/custom-data").status_code == 404, nobody

    # of those that a scorecard is about, whatever else has the name
    save(api, kinds="alpha")
    evaluate(api, "named", "alpha:pay")
    [score] = api.get("/api/v1/scorecards/named/scores?entityTag=pay").json()["serviceScores"]
    assert score["service"]["type"] == "alpha"


def test_scorecards_of_our_own_format(api):
    make_entity(make_blueprint("service", properties={"stars": {"type": "number"}}), "pay")
    conditions = [{"property": "stars", "operator": ">", "value": 3}]
    rule = {
        "identifier": "stars",
        "level": "Gold",
        "query": {"combinator": "and", "conditions": conditions},
    }
    levels = [{"title": "Start", "color": "blue"}, {"title": "Gold", "color": "bronze"}]
    body = {"identifier": "ready", "title": "Re[a]dy", "levels": levels, "rules": [rule]}
    assert api.post("/v1/blueprints/service/scorecards", body).status_code == 201
    shown = api.get("/api/v1/scorecards/service:ready").json()["scorecard"]
    assert shown["levels"] == [{"level": {"name": "Gold", "number": 1}}]
    assert shown["filter"] == {"types": {"include": ["service"]}}
    assert '"property":"stars"' in shown["rules"][0]["expression"]
    descriptor = api.get("/api/v1/scorecards/ready/descriptor")
    assert descriptor.headers["Content-Type"] == "application/yaml"
    assert b'custom("stars") > 3' in descriptor.content

    assert api.get("/api/v1/scorecards/ready/entity/pay/badge").status_code == 404
    evaluate(api, "ready", "pay")
    [rule] = api.get("/api/v1/scorecards/ready/scores").json()["serviceScores"][0]["score"]["rules"]
    assert (rule["score"], rule["error"]) == (0, "There is no data")
    badge = api.get("/api/v1/scorecards/ready/entity/pay/badge").json()["value"]
    assert badge.startswith(r"![Re\[a\]dy](https://img.shields.io/static/v1?label=Re%5Ba%5Ddy&")


def test_scores_of_many_cost_as_much_as_of_one(api):
    save(api)
    blueprint = make_blueprint("service")

    def cost():
        evaluate(api, "named", make_entity(blueprint, properties={}).identifier)
        with CaptureQueriesContext(connection) as asked:
            told = api.get("/api/v1/scorecards/named/scores").json()
        return len(asked), told["total"]

    first, others = cost(), [cost() for _ in range(3)][-1]
    assert (first[1], others[1]) == (1, 4)
    assert first[0] == others[0]


def test_one_evaluation_at_a_time(api):
    save(api)
    make_entity(make_blueprint("service"), "pay")
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            pk = Scorecard.objects.get().pk
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [int(Lock.SCORECARD), pk])
        told = api.post("/api/v1/scorecards/named/entity/pay/scores", {})
    finally:
        other.close()
    assert (told.status_code, told.json()["message"]) == (409, "Conflict")


def test_refusals_have_one_shape(api):
    key = make_client(role=Role.VIEWER, has_fixed_token=True)[1]
    viewer = Caller(HTTP_AUTHORIZATION=f"Bearer {key}")
    for caller, method, address, status in (
        (Caller(), "get", "/api/v1/scorecards", 401),
        (Caller(HTTP_AUTHORIZATION="Bearer nope"), "get", "/api/v1/scorecards", 401),
        (viewer, "post", "/api/v1/initiatives", 400),
        (viewer, "get", "/api/v1/nothing/here", 404),
        (viewer, "patch", "/api/v1/scorecards", 405),
    ):
        told = getattr(caller, method)(address, {})
        assert told.status_code == status, address
        assert told.json().keys() >= {"message", "details", "requestId"}
    assert save(viewer).status_code == 403
    assert not Scorecard.objects.exists()
    broken = api.post("/api/v1/scorecards/descriptor", "a: [", content_type="text/yaml").json()
    assert broken["violations"][0]["startLine"] == 1


def test_queries_of_one_caller_are_answered_few_at_a_time(api):
    make_blueprint("service")
    make_entity("service", "pay")
    query = {"query": 'entity.tag() == "pay"'}

    def asked():
        return api.post("/api/v1/queries", query).json()["jobId"]

    first, *others = [asked() for _ in range(KEPT + 1)]
    assert api.get(f"/api/v1/queries/{first}").status_code == 404
    [found] = api.get(f"/api/v1/queries/{others[0]}").json()["result"]
    assert found["tag"] == "pay"
    held = [slot("query", ApiClient.objects.last(), lasts_s=9) for _ in range(EACH)]
    with held[0], held[1]:
        busy = api.post("/api/v1/queries", query)
    assert (busy.status_code, busy.json()["message"]) == (429, "Too Many Requests")
