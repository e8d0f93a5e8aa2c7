from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from catalog.models import DocPage, DocSite
from catalog.selectors.kinds import load_kinds
from catalog.services import api_index
from tests.factories import Caller, make_api, make_blueprint, make_entity

pytestmark = pytest.mark.django_db

_OPENAPI = """
openapi: 3.0.3
info: {title: Orders, version: 1.2.0}
paths:
  /orders:
    get: {summary: List orders, tags: [orders]}
    post: {summary: Place an order, deprecated: true}
"""


@pytest.fixture
def api() -> Caller:
    make_blueprint("component", properties={"type": {"type": "string"}})
    make_blueprint("api")
    make_blueprint("k8scluster")
    make_entity(
        "component",
        "shop/orders",
        title="Orders <b>",
        team=["core"],
        properties={
            "type": "service",
            "lifecycle": "production",
            "description": "Takes orders & sells <script>alert(1)</script> things.",
        },
    )
    make_entity("component", "billing", properties={"type": "library", "lifecycle": "deprecated"})
    make_entity(
        "k8scluster", "prod", descriptor={"kind": "K8sCluster", "metadata": {"name": "Prod"}}
    )
    orders = make_entity(
        "api",
        "orders-api",
        title="Orders API",
        properties={"type": "openapi", "lifecycle": "production", "definition": _OPENAPI},
    )
    api_index.index([orders.pk], load_kinds())
    site = DocSite.objects.create(
        entity_id=make_entity("component", "handbook", title="Handbook").pk,
        ref="component:default/handbook",
    )
    DocPage.objects.create(
        site=site,
        path="guides/orders.md",
        url="guides/orders/",
        title="How orders flow",
        html="",
        text="Orders come in through the gateway.",
        content_hash=b"1",
    )
    return make_api()


def ask(api: Caller, **params: Any) -> dict[str, Any]:
    answer = api.get(_path(**params))
    assert answer.status_code == 200, answer.content
    return answer.json()


def _path(**params: Any) -> str:
    pairs = [(name, v) for name, given in params.items() for v in _many(given)]
    return "/api/search/query?" + "&".join(f"{quote(n)}={quote(str(v))}" for n, v in pairs)


def _many(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def found(api: Caller, **params: Any) -> list[str]:
    return [one["document"]["location"] for one in ask(api, **params)["results"]]


def test_all_types_are_ranked_together(api):
    body = ask(api, term="orders")
    assert [(one["type"], one["document"]["title"], one["rank"]) for one in body["results"]] == [
        ("software-catalog", "Orders <b>", 1),
        ("software-catalog", "Orders API", 2),
        ("techdocs", "How orders flow", 3),
        ("api", "GET /orders", 4),
        ("api", "POST /orders", 5),
    ]
    assert body["numberOfResults"] == 5
    assert "nextPageCursor" not in body


def test_documents_have_the_fields_of_backstage(api):
    documents = {
        one["type"]: one["document"] for one in reversed(ask(api, term="orders")["results"])
    }
    assert documents["software-catalog"] == {
        "title": "Orders <b>",
        "text": "Takes orders & sells <script>alert(1)</script> things.",
        "location": "/catalog/shop/component/orders",
        "namespace": "shop",
        "kind": "Component",
        "type": "service",
        "componentType": "service",
        "lifecycle": "production",
        "owner": "group:default/core",
    }
    assert documents["techdocs"] == {
        "title": "How orders flow",
        "text": "Orders come in through the gateway.",
        "location": "/docs/default/component/handbook/guides/orders/",
        "path": "guides/orders/",
        "namespace": "default",
        "kind": "Component",
        "name": "handbook",
        "entityTitle": "Handbook",
        "lifecycle": "",
        "owner": "",
    }
    assert documents["api"] == {
        "title": "GET /orders",
        "text": "List orders",
        "location": "/catalog/default/api/orders-api/definition#item-0",
        "part": "operation",
        "isDeprecated": False,
        "namespace": "default",
        "kind": "API",
        "name": "orders-api",
        "entityTitle": "Orders API",
        "type": "openapi",
        "componentType": "openapi",
        "lifecycle": "production",
        "owner": "",
    }


def test_matches_are_tagged_with_what_nobody_can_have_written(api):
    one = ask(api, term="sells", **{"types[0]": "software-catalog"})["results"][0]["highlight"]
    before, after = one["preTag"], one["postTag"]
    assert one["fields"] == {
        "title": "Orders <b>",
        "text": f"Takes orders & {before}sells{after} <script>alert(1)</script> things.",
        "location": "",
        "path": "",
    }
    assert len(before) == 34
    assert ask(api, term="sells")["results"][0]["highlight"]["preTag"] != before


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"filters[kind]": "API"}, ["/catalog/default/api/orders-api"]),
        ({"filters[kind]": "api"}, []),  # as it is spelled
        ({"filters[kind]": "K8sCluster"}, ["/catalog/default/k8scluster/prod"]),
        ({"filters[kind]": "K8scluster"}, []),
        ({"filters[lifecycle][0]": "deprecated"}, ["/catalog/default/component/billing"]),
        (
            {"filters[type][]": ["library", "service"]},
            ["/catalog/shop/component/orders", "/catalog/default/component/billing"],
        ),
        ({"filters[namespace]": "shop"}, ["/catalog/shop/component/orders"]),
        ({"filters[owner]": "group:default/core"}, ["/catalog/shop/component/orders"]),
        ({"filters[owner]": "core"}, []),
        ({"filters[kind]": "Component", "filters[lifecycle]": "production"},
         ["/catalog/shop/component/orders"]),
        ({"filters[colour]": "red"}, []),
    ],
)  # fmt: skip
def test_filters(api, params, expected):
    assert found(api, **{"types[0]": "software-catalog"}, **params) == expected


def test_decisions_are_an_index_of_their_own(api):
    site = DocSite.objects.get()
    DocSite.objects.filter(pk=site.pk).update(sources={"adr": "file:/adr"})
    DocPage.objects.create(
        site=site,
        path="adr/0001-orders.md",
        url="adr/0001-orders/",
        title="Orders are events",
        html="",
        text="We publish orders.",
        facts={"status": "accepted", "date": "2026-01-31"},
        content_hash=b"1",
    )
    [decision] = ask(api, term="orders", types="adr")["results"]
    assert (decision["type"], decision["document"]["location"]) == (
        "adr",
        "/docs/default/component/handbook/adr/0001-orders/",
    )
    told = [decision["document"][name] for name in ("status", "date", "entityRef")]
    assert told == ["accepted", "2026-01-31", "component:default/handbook"]
    assert len(found(api, term="orders", types="techdocs")) == 1


def test_filters_of_documents_that_belong_to_an_entity(api):
    assert found(api, **{"types[]": "techdocs", "filters[name]": "handbook"}) == [
        "/docs/default/component/handbook/guides/orders/"
    ]
    assert found(api, types="api", **{"filters[type]": "openapi"}) == [
        "/catalog/default/api/orders-api/definition#item-0",
        "/catalog/default/api/orders-api/definition#item-1",
    ]
    # pages have no type, entities no name: there they match nothing
    assert found(api, **{"types[]": "techdocs", "filters[type]": "openapi"}) == []


def test_pages_follow_each_other_and_none_is_short(api):
    first = ask(api, pageLimit=3)
    assert (len(first["results"]), first["numberOfResults"]) == (3, 8)
    assert "previousPageCursor" not in first
    second = ask(api, pageLimit=3, pageCursor=first["nextPageCursor"])
    assert second["previousPageCursor"] == "MA=="
    last = ask(api, pageLimit=3, pageCursor=second["nextPageCursor"])
    assert "nextPageCursor" not in last
    ranks = [one["rank"] for page in (first, second, last) for one in page["results"]]
    assert ranks == list(range(1, 9))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("term=" + "x" * 101, 'The term length "101" is greater than "100" at "term"'),
        ("types[0]=stack-overflow", '"stack-overflow" at "types" is not an index; expected '
         "software-catalog, techdocs, adr, api"),
        ("pageLimit=101", 'The pageLimit "101" is greater than "100" at "pageLimit"'),
        ("pageLimit=0", '"0" at "pageLimit" is not a number from 1'),
        ("pageLimit=x", '"x" at "pageLimit" is not a number from 1'),
        ("pageCursor=%25", '"%" at "pageCursor" is not a cursor of an answer'),
        ("pageCursor=LTE=", '"LTE=" at "pageCursor" is not a cursor of an answer'),
        ("term=a&term=b", '"term" stands there 2 times; expected once'),
        ("term=a%00b", '"term" must be text without NUL characters'),
        ("filters[kind=a", '"filters[kind" is no parameter: its brackets do not match'),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(api, query, message):
    answer = api.get(f"/api/search/query?{query}")
    assert answer.status_code == 400
    body = answer.json()
    assert body["error"] == {"name": "InputError", "message": f"Invalid query string: {message}"}


def test_unknown_parameters_are_refused(api):
    answer = api.get("/api/search/query?q=x")
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        400,
        "Unknown query parameter 'q'",
    )


def test_only_those_logged_in_may_search(api):
    answer = Caller().get("/api/search/query?term=orders")
    assert (answer.status_code, answer.json()["error"]["name"]) == (401, "AuthenticationError")


def test_the_number_of_statements_is_constant(api, django_assert_max_num_queries):
    ask(api, term="orders")
    for number in range(30):
        make_entity("component", f"orders-{number}")
    with django_assert_max_num_queries(9):  # token, kinds, the page, its parts, their entities
        assert len(ask(api, term="orders", pageLimit=100)["results"]) == 35
