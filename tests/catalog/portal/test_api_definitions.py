from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from catalog.kernel.api_outline import Format
from catalog.portal.api_definitions import DiffLine, diff_lines
from catalog.services.entities import EntityDraft, Mode, apply
from tests.factories import ACTOR, make_blueprint, make_browser, make_entity

pytestmark = pytest.mark.django_db

_OPENAPI = """openapi: 3.0.3
info: {title: Orders, version: 1.0.0}
servers: [{url: "https://orders.example.com"}]
paths:
  /orders:
    get: {summary: List orders, tags: [reading]}
    post: {summary: Place an order, deprecated: true, tags: [writing]}
"""


@pytest.fixture
def browser() -> Client:
    make_blueprint("api")
    return make_browser()


def define(text: Any, kind: str = "openapi") -> None:
    """Write the definition of the API `orders`, a new version of it if there is one."""
    draft = EntityDraft("api", "orders", properties={"type": kind, "definition": text})
    [item] = apply([draft], mode=Mode.MERGE, actor=ACTOR).items
    assert item.error is None


def tab(browser: Client, query: str = "") -> str:
    answer = browser.get(f"/catalog/api/orders?tab=definition{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_tab_is_there_for_what_has_a_definition(browser):
    make_entity("api", "empty", properties={"type": "openapi"})
    assert "?tab=definition" not in browser.get("/catalog/api/empty").content.decode()
    assert (
        "There is no definition"
        not in browser.get("/catalog/api/empty?tab=definition").content.decode()
    )
    define(_OPENAPI)
    assert (
        '<a href="?tab=definition">Definition</a>'
        in browser.get("/catalog/api/orders").content.decode()
    )


def test_any_kind_may_mark_a_property_as_a_definition(browser):
    make_blueprint("service", properties={"contract": {"type": "object", "spec": "open-api"}})
    make_entity(
        "service",
        "orders",
        properties={
            "contract": {"openapi": "3.0.0", "paths": {"/a": {"get": {"summary": "See a"}}}}
        },
    )
    html = browser.get("/catalog/service/orders?tab=definition").content.decode()
    assert "See a" in html


def test_the_outline_needs_no_script(browser):
    define(_OPENAPI)
    html = tab(browser)
    assert "OpenAPI 3.0.3" in html
    assert "https://orders.example.com" in html
    assert '<li id="item-1" data-outline-row>' in html
    assert html.index("reading") < html.index("List orders") < html.index("writing")
    assert html.count(">Deprecated<") == 1


def test_a_broken_definition_shows_its_source_and_the_line(browser):
    define("openapi: 3.0.3\npaths:\n  /a: {get: {summary: x\n  /b: {}\n")
    html = tab(browser)
    assert "This definition cannot be read." in html
    assert '<span id="L4" class="ui-line-bad">' in html


def test_the_source_can_be_downloaded_as_it_is(browser):
    define(_OPENAPI)
    answer = browser.get("/catalog/api/orders/-/definition")
    assert answer.content.decode() == _OPENAPI
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="orders.yaml"'
    assert browser.get("/catalog/api/orders/-/definition?version=9").status_code == 404
    assert browser.get("/catalog/api/none/-/definition").status_code == 404
    assert Client().get("/catalog/api/orders/-/definition").status_code == 302


def test_the_reference_is_drawn_where_it_can_do_nothing(browser):
    define(_OPENAPI)
    html = tab(browser, "&view=reference&item=1")
    assert 'src="/catalog/api/orders/-/reference?item=1"' in html
    assert 'sandbox="allow-scripts allow-popups allow-popups-to-escape-sandbox"' in html
    answer = browser.get("/catalog/api/orders/-/reference?item=1")
    policy = answer["Content-Security-Policy"]
    assert "sandbox allow-scripts allow-popups" in policy
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert list(drawn(answer)["paths"]["/orders"]) == ["post"]


def test_a_hostile_definition_is_text(browser):
    define("""
openapi: 3.0.0
info: {title: "</script><script>alert(1)</script>", description: "[x](javascript:alert(2))"}
paths:
  /<script>alert(3)</script>:
    get:
      summary: <img src=x onerror=alert(4)>
      requestBody: {content: {a/b: {schema: {$ref: "http://169.254.169.254/latest#/x"}}}}
components: {schemas: {Loop: {$ref: "#/components/schemas/Loop"}}}
""")
    for view in ("outline", "source", "versions"):
        html = tab(browser, f"&view={view}")
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert 'href="javascript:' not in html
    answer = browser.get("/catalog/api/orders/-/reference")
    assert b"<script>alert" not in answer.content
    body = drawn(answer)["paths"]["/<script>alert(3)</script>"]["get"]["requestBody"]
    told = "Defined elsewhere: http://169.254.169.254/latest#/x"
    assert body == {"content": {"a/b": {"schema": {"description": told}}}}


@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        ("graphql", "type Query { order(id: ID!): Order @deprecated }\ntype Order { id: ID! }",
         ["Queries", "Query.order", "order(id: ID!): Order", "Deprecated", "Types"]),
        ("grpc", 'syntax = "proto3";\npackage shop;\n// Finds an order.\nservice Orders {'
         " rpc Get (stream Id) returns (Order); }\nmessage Id { string id = 1; }",
         ["shop.Orders/Get", "(stream Id) returns (Order)", "Messages"]),
        ("asyncapi", "asyncapi: 2.6.0\ninfo: {title: Events}\nchannels:\n  orders/placed:\n"
         "    subscribe: {summary: An order was placed, message: {name: Placed}}",
         ["Channels", "orders/placed", "subscribe Placed", "An order was placed"]),
        ("trpc", "export const appRouter = router({})", ["appRouter", "tok-key"]),
    ],
)  # fmt: skip
def test_other_formats_have_an_outline_too(browser, kind, text, shown):
    define(text, kind)
    html = tab(browser)
    assert [part for part in shown if part not in html] == []
    assert browser.get("/catalog/api/orders/-/reference").status_code == 404
    assert "view=reference" not in tab(browser, "&view=reference")


def test_versions_are_compared(browser):
    define(_OPENAPI)
    assert "One version so far" in tab(browser, "&view=versions")
    define(_OPENAPI.replace("deprecated: true, ", "").replace("post:", "put:"))
    html = tab(browser, "&view=versions")
    assert "From version 1 to 2" in html
    assert "1 breaking" in html
    assert html.index(">Removed<") < html.index("POST /orders")
    assert html.index(">Added<") < html.index("PUT /orders")
    assert "tester@example.com" in html
    # the other way round is the same question
    assert "From version 1 to 2" in tab(browser, "&view=versions&from=2&to=1")
    old = browser.get("/catalog/api/orders/-/definition?version=1")
    assert old.content.decode() == _OPENAPI


def test_versions_that_cannot_be_read_are_compared_as_text(browser):
    define(_OPENAPI)
    define("openapi: [")
    html = tab(browser, "&view=versions&from=x&to=99")
    assert "Version 2 cannot be read" in html
    assert "Line by line" in html


def test_lines_that_stay_are_folded():
    before = "\n".join(f"line{n}" for n in range(20))
    after = before.replace("line10", "other")
    found = diff_lines(before, after, Format.OTHER)
    assert found is not None
    assert [(one.sign, one.old, one.new) for one in found] == [
        ("", 0, 0),
        *((" ", n, n) for n in (8, 9, 10)),
        ("-", 11, 0),
        ("+", 0, 11),
        *((" ", n, n) for n in (12, 13, 14)),
        ("", 0, 0),
    ]
    assert found[0] == DiffLine("", 0, 0, "7 lines are the same")
    assert diff_lines("a\n" * 20_001, "b\n" * 20_001, Format.OTHER) is None


def test_apis_have_a_list_of_their_own(browser):
    assert browser.get("/api-docs").url == "/catalog/api"


def test_the_tab_takes_a_constant_number_of_statements(browser, django_assert_num_queries):
    define(_OPENAPI)
    define(_OPENAPI + "# more\n")
    tab(browser, "&view=versions")
    with django_assert_num_queries(14):
        tab(browser, "&view=versions")
    for number in range(5):
        define(_OPENAPI + f"# {number}\n")
    with django_assert_num_queries(14):
        tab(browser, "&view=versions")


def drawn(answer: Any) -> Any:
    """The document that the page of the frame draws."""
    html = answer.content.decode()
    return json.loads(html.split('type="application/json">', 1)[1].split("</script>", 1)[0])
