"""Docs in the portal and over Backstage's API: the list, the reader, files, what nobody may see."""

from __future__ import annotations

import orjson
import pytest
from django.core.cache import cache
from django.test import Client

from catalog.ingest.techdocs.building import Asset, Builder, Built
from catalog.ingest.techdocs.layout import Layout
from catalog.ingest.techdocs.storing import store
from catalog.ingest.techdocs.trees import TextTree
from catalog.models import DocSite
from catalog.portal.views.docs import rebased
from tests.factories import make_api, make_blueprint, make_entity

pytestmark = pytest.mark.django_db

FILES = {
    "mkdocs.yml": "site_name: Cart docs\nsite_description: Baskets\n"
    "nav: [index.md, {Guides: [guides/start.md]}, {Site: 'https://example.com'}]",
    "docs/index.md": "# Home\n\nBaskets are [started](guides/start.md). [file](a.txt)",
    "docs/guides/start.md": "# Start\n\n## Install\n\nFlour and yeast.\n\n[gone](gone.md)",
    "docs/hidden.md": "# Hidden",
    "docs/a.txt": "plain",
}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
URL = "/docs/shop/component/cart/"
API = "/api/techdocs"


def site_of(entity, ref, files=FILES, *, assets=()):
    layout = Layout()
    layout.add_docs(TextTree(files))
    built: Built = Builder(layout).build(name="x")
    built.assets += assets
    DocSite.objects.create(entity=entity, ref=ref)
    store(entity.pk, built, revision="r", sources={"docs": "file:/x"}, ref=ref)
    return DocSite.objects.get(pk=entity.pk)


@pytest.fixture
def cart(db):
    make_blueprint("component")
    annotations = {"backstage.io/techdocs-ref": "dir:."}
    entity = make_entity(
        "component",
        "shop/cart",
        title="Cart",
        team=["core"],
        properties={"annotations": annotations},
    )
    return site_of(
        entity,
        "component:shop/cart",
        assets=[Asset("x.svg", "image/svg+xml", SVG), Asset("x.html", "text/html", b"<script>")],
    )


def text_of(answer):
    return answer.content.decode()


def test_the_list_has_all_docs_and_is_narrowed(member, cart, django_assert_max_num_queries):
    other = make_entity("component", "other")
    site_of(other, "component:default/other", {"docs/index.md": "# Other"})
    with django_assert_max_num_queries(12):
        page = text_of(member.get("/docs"))
    assert f'href="{URL}"' in page
    assert "/docs/default/component/other/" in page
    found = text_of(member.get("/docs?q=basket", headers={"HX-Request": "true"}))
    assert URL in found
    assert "component/other" not in found
    assert "<html" not in found
    assert "No docs called" in text_of(member.get("/docs?q=nothing"))
    assert "No docs of your teams" in text_of(member.get("/docs?scope=own"))
    assert "No docs with your star" in text_of(member.get("/docs?scope=starred"))
    member.user.favourites.create(entity=other)
    assert "component/other" in text_of(member.get("/docs?scope=starred"))
    assert "No docs called" in text_of(member.get("/docs?q=nothing&page=" + "9" * 5000))


def test_a_page_has_contents_neighbours_and_its_version(
    member, cart, django_assert_max_num_queries
):
    with django_assert_max_num_queries(12):
        first = text_of(member.get(URL))
    assert '<a href="guides/start/" rel="noopener noreferrer">started</a>' in first
    assert f'<a href="{URL}" aria-current="page">Home</a>' in first
    assert f'<a rel="next" href="{URL}guides/start/">' in first
    assert f"Version {cart.version[:8]}" in first
    second = text_of(member.get(f"{URL}guides/start/"))
    assert '<a href="#install">Install</a>' in second
    assert f'<a rel="prev" href="{URL}">' in second
    assert "the link gone.md is broken" in second


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("guides/start", "guides/start/"),
        ("guides/start.md", "guides/start/"),
        ("hidden", "hidden/"),
    ],
)
def test_other_spellings_lead_to_the_page(member, cart, path, to):
    assert member.get(URL + path).headers["Location"] == URL + to


def test_what_is_not_there_is_told(member, cart):
    page = member.get(f"{URL}nothing/")
    assert (page.status_code, "There is no such page" in text_of(page)) == (404, True)
    assert member.get("/docs/default/component/nobody/").status_code == 404
    assert member.get(f"{URL}a%00b").status_code in (400, 404)
    assert Client().get(URL).headers["Location"].startswith("/accounts/login/")


def test_files_run_nothing(member, cart):
    svg = member.get(f"{URL}x.svg")
    assert svg.headers["Content-Type"] == "image/svg+xml"
    assert svg.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "sandbox" in svg.headers["Content-Security-Policy"]
    html = member.get(f"{URL}x.html")
    assert html.headers["Content-Type"] == "application/octet-stream"
    assert html.headers["Content-Disposition"] == "attachment"
    assert html.headers["X-Content-Type-Options"] == "nosniff"
    again = member.get(f"{URL}x.svg", headers={"If-None-Match": svg.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("text", "count"), [("flour", 1), ("flo", 1), ("flour yeast", 1), ("flour gold", 0), ("'", 0)]
)
def test_a_search_in_the_site(member, cart, text, count):
    found = text_of(member.get(URL, {"q": text}, headers={"HX-Request": "true"}))
    assert found.count("<li>") == count
    assert "<html" not in found


def test_an_alias_leads_to_the_docs_it_names(member, cart):
    alias = make_entity("component", "alias")
    DocSite.objects.create(
        entity=alias,
        ref="component:default/alias",
        state=DocSite.State.READY,
        sources={"entity": "component:shop/cart", "path": "guides/start"},
    )
    at = "/docs/default/component/alias"
    assert member.get(f"{at}/").headers["Location"] == f"{URL}guides/start/"
    assert member.get(f"{at}/hidden/").headers["Location"] == f"{URL}hidden/"
    DocSite.objects.filter(pk=alias.pk).update(sources={"entity": "component:default/alias"})
    lost = member.get(f"{at}/")
    assert (lost.status_code, "The docs are elsewhere" in text_of(lost)) == (404, True)


def test_a_failed_build_shows_its_log_and_the_last_good_version(member, cart):
    DocSite.objects.update(state=DocSite.State.FAILED, log="docs_dir <b> is wrong")
    page = text_of(member.get(URL))
    assert "docs_dir &lt;b&gt; is wrong" in page
    assert "this is the last good version" in page
    assert "Baskets are" in page


def test_the_entity_has_a_tab_and_a_card(member, cart):
    page = text_of(member.get("/catalog/component/shop~cart?tab=docs"))
    assert f'<a href="{URL}guides/start/" rel="noopener noreferrer">started</a>' in page
    card = text_of(member.get("/catalog/component/shop~cart"))
    assert f'<a class="ui-link" href="{URL}">Read them</a>' in card
    make_entity("component", "bare")
    assert "?tab=docs" not in text_of(member.get("/catalog/component/bare"))


def test_refreshing_is_asked_for_by_post(member, cart):
    assert member.get(f"/docs/-/refresh/{cart.pk}").status_code == 405
    assert member.post(f"/docs/-/refresh/{cart.pk}").headers["Location"] == URL
    assert member.post("/docs/-/refresh/999999").status_code == 404


def test_links_are_told_for_another_address():
    html = '<a class="x" href="../b/#c">b</a> <a href="https://x.example">x</a> <a href="#y">y</a>'
    assert rebased(html, "/docs/n/k/n/a/") == html.replace('"../b/#c', '"/docs/n/k/n/a/../b/#c')


# --- Backstage's API --------------------------------------------------------------------------


def test_metadata(cart):
    api = make_api()
    found = api.get(f"{API}/metadata/techdocs/shop/Component/cart").json()
    assert found == {
        "site_name": "Cart docs",
        "site_description": "Baskets",
        "etag": cart.version,
        "build_timestamp": int(cart.built_at.timestamp() * 1000),
        "files": [
            *("a.txt", "guides/start/index.html", "hidden/index.html", "index.html"),
            *("x.html", "x.svg", "search/search_index.json", "techdocs_metadata.json"),
        ],
    }
    missing = api.get(f"{API}/metadata/techdocs/default/component/nobody")
    assert (missing.status_code, missing.json()["error"]) == (
        404,
        {
            "name": "NotFoundError",
            "message": "Unable to get metadata for 'component:default/nobody'",
        },
    )
    entity = api.get(f"{API}/metadata/entity/shop/component/cart").json()
    assert (entity["kind"], entity["metadata"]["name"]) == ("Component", "cart")


@pytest.mark.parametrize(
    ("path", "kind", "part"),
    [
        ("index.html", "text/plain; charset=utf-8", "<title>Home - Cart docs</title>"),
        ("guides/start/index.html", "text/plain; charset=utf-8", "Flour"),
        ("x.svg", "text/plain; charset=utf-8", "<svg"),
        ("x.html", "text/plain; charset=utf-8", "<script>"),
        ("a.txt", "text/plain", "plain"),
        ("techdocs_metadata.json", "application/json; charset=utf-8", "site_name"),
        ("search/search_index.json", "application/json; charset=utf-8", '"location":"hidden/"'),
    ],
)
def test_static_files(cart, path, kind, part):
    answer = make_api().get(f"{API}/static/docs/shop/component/cart/{path}")
    assert answer.headers["Content-Type"] == kind
    assert part in text_of(answer)
    assert make_api().get(f"{API}/static/docs/shop/component/cart/no").status_code == 404


def test_nobody_reads_without_credentials_but_the_cookie_opens_files(cart):
    file = f"{API}/static/docs/shop/component/cart/a.txt"
    browser = Client()
    refused = browser.get(file)
    assert (refused.status_code, refused.json()["error"]["message"]) == (401, "Missing credentials")
    browser.cookies["backstage-auth"] = "nonsense"
    assert browser.get(file).status_code == 401
    api = make_api()
    given = api.get(f"{API}/.backstage/auth/v1/cookie")
    assert given.json()["expiresAt"].endswith("Z")
    cookie = given.cookies["backstage-auth"]
    assert (cookie["httponly"], cookie["path"]) == (True, "/api/techdocs/static")
    browser.cookies["backstage-auth"] = cookie.value
    assert browser.get(file).status_code == 200
    assert browser.get(f"{API}/metadata/techdocs/shop/component/cart").status_code == 401
    gone = api.delete(f"{API}/.backstage/auth/v1/cookie")
    assert (gone.status_code, gone.cookies["backstage-auth"].value) == (204, "")


def test_sync_tells_how_it_goes(cart, tmp_path, settings):
    settings.IDP_FILES = [str(tmp_path)]
    cache.clear()
    entity = cart.entity
    type(entity).objects.filter(pk=entity.pk).update(location=f"file:{tmp_path}/catalog-info.yaml")
    (tmp_path / "index.md").write_text("# New\n\n[x](gone.md)")
    api, url = make_api(), f"{API}/sync/shop/component/cart"

    def events():
        answer = api.get(url)
        assert answer.headers["Content-Type"] == "text/event-stream"
        lines = b"".join(answer.streaming_content).decode().split("\n\n")[:-1]
        return [(one.split("\n")[0][7:], orjson.loads(one.split("\n")[1][6:])) for one in lines]

    assert events() == [
        ("log", "Looking for changes in the docs of component:shop/cart"),
        ("log", "index.md: the link gone.md is broken"),
        ("finish", {"updated": True}),
    ]
    assert events() == [("finish", {"updated": False})]  # asked for a moment ago
    cache.clear()
    for number in range(2):
        cache.set(f"docs-sync-slot:{number}", 1)
    assert events() == [
        ("log", "Others are built just now; the docs of component:shop/cart are next"),
        ("finish", {"updated": False}),
    ]
    cache.clear()
    assert events()[-1] == ("finish", {"updated": False})
    cache.clear()
    (tmp_path / "index.md").unlink()
    assert [name for name, _ in events()] == ["log", "log", "error"]
    assert api.get(f"{API}/sync/default/component/nobody").status_code == 404
