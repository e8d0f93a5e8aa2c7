"""Any REST endpoint: the several ways of paging, and what goes wrong with them."""

import pytest

from catalog.ingest.sources.http import Http
from catalog.kernel.errors import InvalidInput, UpstreamError, UpstreamUnavailable
from catalog.kernel.http import Client
from catalog.kernel.source import Connection
from tests.vendors import failing, garbage, limited

kind = Http()
THINGS = [{"id": number} for number in range(5)]


def connect(url, **settings):
    return Connection({"baseUrl": url, **settings}, Client(), lambda level, message: None)


def listed(connection, cursor=None, **selector):
    resource = kind.resource("thing")
    pages = list(kind.fetch(connection, resource, {"path": "/things", **selector}, cursor))
    assert pages[-1].next is None
    return [item for page in pages for item in page.items]


@pytest.mark.parametrize(
    ("style", "key", "items", "paging"),
    [
        ("link", "", "", {"type": "link"}),
        (
            "gitlab",
            "",
            "",
            {"type": "page", "param": "page", "sizeParam": "per_page", "size": 2},
        ),
        (
            "offset",
            "things",
            ".things",
            {"type": "offset", "param": "offset", "sizeParam": "limit", "size": 2},
        ),
        ("cursor", "data", ".data", {"type": "cursor", "param": "cursor", "next": ".next_cursor"}),
    ],
)
def test_every_way_of_paging_reads_to_the_end(vendor, style, key, items, paging):
    vendor.pages("/things", THINGS, size=2, style=style, key=key)
    assert listed(connect(vendor.url), items=items, paging=paging) == THINGS
    assert len(vendor.calls) == 3


def test_pages_without_a_size_end_with_an_empty_one(vendor):
    vendor.pages("/things", THINGS, size=2, style="gitlab")
    assert listed(connect(vendor.url), paging={"type": "page"}) == THINGS
    assert len(vendor.calls) == 4


def test_an_answer_names_the_address_of_the_next_page(vendor):
    @vendor.route("/things")
    def _(call):
        return {"list": THINGS[:3], "links": {"next": "/more?from=3"}}

    vendor.json("/more", {"list": THINGS[3:], "links": {}})
    found = listed(
        connect(vendor.url), items=".list", paging={"type": "next-url", "next": ".links.next"}
    )
    assert found == THINGS
    assert vendor.paths == ["GET /things", "GET /more?from=3"]


def test_a_next_page_on_another_server_is_not_asked(vendor):
    vendor.json("/things", {"list": [], "next": "https://elsewhere.example.com/steal"})
    with pytest.raises(UpstreamError, match="is on another server"):
        listed(connect(vendor.url), items=".list", paging={"type": "next-url", "next": ".next"})


def test_a_page_that_names_itself_ends_with_an_error(vendor):
    vendor.json("/things", {"data": THINGS, "next_cursor": "x"})
    with pytest.raises(UpstreamError, match="names itself"):
        listed(
            connect(vendor.url),
            items=".data",
            paging={"type": "cursor", "param": "cursor", "next": ".next_cursor"},
        )


def test_a_list_goes_on_where_a_cursor_stands(vendor):
    vendor.pages("/things", THINGS, size=2, style="gitlab")
    paging = {"type": "page", "sizeParam": "per_page", "size": 2}
    assert listed(connect(vendor.url), cursor=2, paging=paging) == THINGS[2:]


@pytest.mark.parametrize(
    ("login", "header", "value"),
    [
        ({"authentication": "bearer", "secret": "s3cret"}, "authorization", "Bearer s3cret"),
        (
            {"authentication": "basic", "username": "me", "secret": "s3cret"},
            "authorization",
            "Basic bWU6czNjcmV0",
        ),
        (
            {"authentication": "header", "secretName": "X-Key", "secret": "s3cret"},
            "x-key",
            "s3cret",
        ),
    ],
)
def test_credentials_go_along(vendor, login, header, value):
    vendor.require(header, value)
    vendor.json("/things", THINGS)
    assert listed(connect(vendor.url, **login)) == THINGS


def test_a_secret_in_the_query_goes_along_and_shows_nowhere(vendor):
    vendor.json("/things", {"message": "no"}, status=400)
    settings = {"authentication": "query", "secretName": "apiVersion2", "secret": "s3cret-value"}
    with pytest.raises(UpstreamError) as raised:
        listed(connect(vendor.url, **settings))
    assert vendor.calls[0].query["apiVersion2"] == "s3cret-value"
    assert "s3cret-value" not in f"{raised.value} {raised.value.details}"


def test_yaml_and_lists_asked_for_by_post(vendor):
    @vendor.route("/things", method="POST")
    def _(call):
        return b"items:\n  - id: 1\n" if call.json() == {"all": True} else b"items: []"

    found = listed(
        connect(vendor.url), method="POST", body={"all": True}, format="yaml", items=".items"
    )
    assert found == [{"id": 1}]


@pytest.mark.parametrize(
    ("selector", "reason"),
    [
        ({"path": None}, r"selector\.path"),
        ({"path": "https://elsewhere.example.com/x"}, r"selector\.path"),
        ({"paging": {"type": "pages"}}, r"selector\.paging\.type is pages; expected one of"),
        ({"paging": {"type": "cursor", "param": "c"}}, r"selector\.paging\.next"),
        ({"paging": {"type": "cursor", "next": ".n"}}, r"selector\.paging\.param"),
        ({"paging": {"type": "page", "size": "many"}}, r"selector\.paging\.size"),
        ({"paging": "page"}, r"selector\.paging"),
    ],
)
def test_a_selector_that_makes_no_list_is_named(vendor, selector, reason):
    with pytest.raises(InvalidInput, match=reason):
        listed(connect(vendor.url), **selector)


def test_what_is_no_list_is_told(vendor):
    vendor.json("/things", {"items": THINGS})
    with pytest.raises(UpstreamError, match="expected a list") as raised:
        listed(connect(vendor.url))
    assert "selector.items" in raised.value.hint
    with pytest.raises(UpstreamError, match=r"selector\.items"):
        listed(connect(vendor.url), items=".items[")


def test_bad_days_of_a_server(vendor):
    vendor.pages("/things", THINGS, size=2, style="link")
    vendor.trouble("/things", limited(after=0), failing(), failing())
    assert listed(connect(vendor.url), paging={"type": "link"}) == THINGS
    vendor.trouble("/things", failing(), when={"page": "2"}, times=99)
    with pytest.raises(UpstreamUnavailable):
        listed(connect(vendor.url), paging={"type": "link"})
    vendor.trouble("/things", garbage())
    with pytest.raises(UpstreamError, match="not JSON"):
        listed(connect(vendor.url), paging={"type": "link"})
