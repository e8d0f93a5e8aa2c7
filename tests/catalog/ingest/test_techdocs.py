"""Docs beside the code: where they are, what they become, when they are built anew."""

from __future__ import annotations

import os
import urllib.request
from dataclasses import replace
from urllib.error import HTTPError

import pytest
from django.utils import timezone

from catalog.dialects.backstage.reader import FileRefused
from catalog.ingest.integrations import create_source
from catalog.ingest.techdocs import building, layout, refresh
from catalog.ingest.techdocs.building import Builder, Built
from catalog.ingest.techdocs.layout import Layout
from catalog.ingest.techdocs.mkdocs import find_config
from catalog.ingest.techdocs.sources import Facts, sources_of
from catalog.ingest.techdocs.trees import FolderTree, TextTree, joined
from catalog.kernel.actors import Actor
from catalog.kernel.feed import FeedRow
from catalog.models import DocAsset, DocPage, DocSite, Entity
from catalog.services import catalog_settings
from tests.factories import make_blueprint, make_entity
from tests.vendors import Answer, failing

ACTOR = Actor.system("test")
PNG = "\x89PNG"


def built(files: dict[str, str], *, decisions: dict[str, str] | None = None) -> Built:
    site = Layout()
    site.add_docs(TextTree(files))
    if decisions:
        site.add_decisions(TextTree(decisions))
    return Builder(site).build(name="fallback")


def urls(found: Built) -> dict[str, str]:
    return {page.path: page.url for page in found.pages}


def messages(found: Built) -> list[tuple[str, str]]:
    return [(one["page"], one["message"]) for one in found.warnings]


def html_of(found: Built, path: str) -> str:
    return next(page.html for page in found.pages if page.path == path)


# --- which docs an entity has -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("_case", "facts", "expected"),
    [
        ("nothing", {}, {}),
        (
            "beside its file",
            {"techdocs-ref": "dir:.", "location": "file:/repo/catalog-info.yaml"},
            {"docs": "file:/repo"},
        ),
        (
            "a folder beside its file",
            {"techdocs-ref": "dir:./docs/", "location": "file:/repo/svc/catalog-info.yaml"},
            {"docs": "file:/repo/svc/docs"},
        ),
        (
            "beside a file of a forge",
            {
                "techdocs-ref": "dir:docs",
                "location": "url:https://github.com/o/r/blob/main/svc/catalog-info.yaml",
            },
            {"docs": "url:https://github.com/o/r/tree/main/svc/docs/"},
        ),
        (
            "gitlab",
            {
                "techdocs-ref": "dir:.",
                "location": "url:https://git.example/g/p/-/blob/main/catalog-info.yaml",
            },
            {"docs": "url:https://git.example/g/p/-/tree/main/"},
        ),
        (
            "the source that the catalogue knows",
            {
                "techdocs-ref": "dir:.",
                "location": "url:https://other.example/x.yaml",
                "catalogue": "url:https://github.com/o/r/tree/main/",
            },
            {"docs": "url:https://github.com/o/r/tree/main/"},
        ),
        (
            "the source that its author says",
            {
                "techdocs-ref": "dir:.",
                "source-location": "url:https://github.com/o/own/tree/main/",
                "catalogue": "url:https://github.com/o/r/tree/main/",
            },
            {"docs": "url:https://github.com/o/own/tree/main/"},
        ),
        (
            "an address",
            {"techdocs-ref": "url:https://docs.example/a"},
            {"docs": "url:https://docs.example/a/"},
        ),
        (
            "of another one",
            {
                "techdocs-entity": "other",
                "techdocs-entity-path": "/guide/",
                "techdocs-ref": "dir:.",
            },
            {"entity": "component:shop/other", "path": "guide"},
        ),
        (
            "decisions alone",
            {"adr-location": "docs/adr", "location": "file:/repo/catalog-info.yaml"},
            {"adr": "file:/repo/docs/adr"},
        ),
        ("a readme", {"readme": "# Hi"}, {"readme": "# Hi"}),
    ],
)
def test_annotations_say_where_docs_are(_case, facts, expected):
    assert sources_of(facts_of(**facts)) == (expected, {})


def facts_of(location="", catalogue="", readme="", **said):
    named = {f"backstage.io/{key.replace('_', '-')}": value for key, value in said.items()}
    added = {"backstage.io/source-location": catalogue} if catalogue else {}
    return Facts("Component", "shop", "cart", "", location, named, added, readme)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"techdocs-ref": "dir:."}, "it has none"),
        ({"techdocs-ref": "github:o/r"}, "is not understood"),
        ({"techdocs-ref": "url:file:///etc"}, "is no address"),
        ({"techdocs-entity": "a:b:c/"}, "techdocs-entity"),
    ],
)
def test_an_annotation_that_means_no_place_is_refused(said, reason):
    found, faults = sources_of(facts_of(**said))
    assert not found
    assert [reason in str(one) for one in faults.values()] == [True]


# --- a site -----------------------------------------------------------------------------------

MKDOCS = """
site_name: Shop
site_description: All of it
repo_url: https://github.com/acme/shop
edit_uri: edit/main/docs/
plugins: [techdocs-core, {hooks: !!python/name:os.system }]
markdown_extensions:
  - pymdownx.emoji:
      emoji_index: !!python/name:material.extensions.emoji.twemoji
      options: !ENV [NOT_READ, plain]
exclude_docs: |
  drafts/
  *.tmp.md
nav:
  - index.md
  - Guides:
      - Start here: guides/start.md
      - Deeper:
          - guides/deep.md
  - Site: https://example.com
  - Sub: '!include ./sub/mkdocs.yml'
  - Gone: gone.md
  - Out: ../secret.md
  - Bad: javascript:alert(1)
"""
FILES = {
    "mkdocs.yml": MKDOCS,
    "secret.md": "# Secret",
    "docs/index.md": "# Home\n\n[start](guides/start.md#install) [x](./guides/) ![p](img/a.png)",
    "docs/guides/start.md": "# Start\n\n## Install\n\n[home](../index.md) [deep](deep.md#none) "
    "[html](deep.html) [folder](../../sub/docs/index.md) <img src='../img/a.png'>",
    "docs/guides/deep.md": "text [gone](nowhere.md) [out](../../../../etc/passwd) [file](../../x)",
    "docs/img/a.png": PNG,
    "docs/drafts/x.md": "# Draft",
    "docs/other.md": "# Other",
    "docs/y.tmp.md": "# Temporary",
    "sub/mkdocs.yml": "site_name: Sub Site\nnav: [index.md, {Two: two.md}]",
    "sub/docs/index.md": "# Sub\n\n[back](../index.md) [two](two.md)",
    "sub/docs/two.md": "# Two",
}


def test_a_site_is_what_its_mkdocs_yml_says():
    found = built(FILES)
    assert (found.name, found.description) == ("Shop", "All of it")
    assert found.nav == [
        {"title": "Home", "url": ""},
        {
            "title": "Guides",
            "children": [
                {"title": "Start here", "url": "guides/start/"},
                {"title": "Deeper", "children": [{"title": "Deep", "url": "guides/deep/"}]},
            ],
        },
        {"title": "Site", "url": "https://example.com", "is_external": True},
        {
            "title": "Sub",
            "children": [
                {"title": "Sub", "url": "sub-site/"},
                {"title": "Two", "url": "sub-site/two/"},
            ],
        },
    ]
    assert [(page.path, page.position) for page in found.pages] == [
        ("index.md", 0),
        ("guides/start.md", 1),
        ("guides/deep.md", 2),
        ("sub-site/index.md", 3),
        ("sub-site/two.md", 4),
        ("other.md", None),
    ]
    assert found.pages[1].edit_url == "https://github.com/acme/shop/edit/main/docs/guides/start.md"
    assert [one.path for one in found.assets] == ["img/a.png"]
    assert messages(found) == [
        ("mkdocs.yml", "nav names 'gone.md', which is not there"),
        ("mkdocs.yml", "nav names '../secret.md', which leads out of the docs"),
        ("mkdocs.yml", "nav names 'javascript:alert(1)', which is no address of a page"),
        ("guides/deep.md", "the link nowhere.md is broken"),
        (
            "guides/deep.md",
            "the link to ../../../../etc/passwd is refused: it leads out of the repository",
        ),
        ("guides/deep.md", "the link ../../x is broken"),
        ("index.md", "the link ./guides/ is broken"),
        ("guides/start.md", "guides/deep.md has no part #none"),
    ]


@pytest.mark.parametrize(
    ("path", "hrefs"),
    [
        ("index.md", ['href="guides/start/#install"', 'src="img/a.png"']),
        (
            "guides/start.md",
            [
                'href="../../"',
                'href="../deep/#none"',
                'href="../deep/"',
                'href="../../sub-site/"',
                'src="../../img/a.png"',
            ],
        ),
        ("sub-site/index.md", ['href="../"', 'href="two/"']),
    ],
)
def test_links_are_relative_to_the_address_of_their_page(path, hrefs):
    found = html_of(built(FILES), path)
    assert [href for href in hrefs if href not in found] == []


def test_pages_may_be_files():
    found = built(
        {
            "mkdocs.yml": "use_directory_urls: false",
            "docs/index.md": "[b](a/b.md)",
            "docs/a/b.md": "[home](../index.md) [c](c.md)",
            "docs/a/c.md": "c",
        }
    )
    assert urls(found) == {"index.md": "index.html", "a/b.md": "a/b.html", "a/c.md": "a/c.html"}
    assert 'href="../index.html"' in html_of(found, "a/b.md")
    assert 'href="c.html"' in html_of(found, "a/b.md")


def test_without_mkdocs_yml_the_readme_comes_first():
    found = built(
        {
            "README.md": "# Cart\n\n[guide](docs/guide.md) [code](src/a.py)",
            "docs/guide.md": "---\ntitle: The guide\n---\n[back](../README.md)",
            "docs/10-ops/02-run.md": "run",
            "src/a.py": "x",
        }
    )
    assert found.name == "fallback"
    assert found.nav == [
        {"title": "Cart", "url": ""},
        {"title": "The guide", "url": "guide/"},
        {"title": "Ops", "children": [{"title": "Run", "url": "10-ops/02-run/"}]},
    ]
    assert 'href="guide/"' in html_of(found, "README.md")
    assert 'href="../"' in html_of(found, "guide.md")
    assert messages(found) == [("README.md", "the link src/a.py leads to a file that is no page")]


def test_decisions_have_a_section_with_status_and_date():
    found = built(
        {"docs/index.md": "# Home"},
        decisions={
            "0001-a.md": "# 1. Use it\n\nDate: 2024-03-01\n\n## Status\n\nAccepted\n\nx",
            "0002-b.md": "---\nstatus: proposed\ndate: 2025-01-02\n---\n# Other",
            "template.txt": "x",
        },
    )
    assert found.nav[-1] == {
        "title": "Decisions",
        "children": [
            {"title": "1. Use it", "url": "adr/0001-a/"},
            {"title": "Other", "url": "adr/0002-b/"},
        ],
    }
    facts = {page.path: page.facts for page in found.pages}
    assert facts["adr/0001-a.md"] == {"status": "Accepted", "date": "2024-03-01"}
    assert facts["adr/0002-b.md"] == {"status": "proposed", "date": "2025-01-02"}
    assert facts["index.md"] == {}


def test_snippets_come_from_the_repository_alone():
    found = built(
        {
            "mkdocs.yml": "markdown_extensions:\n  - pymdownx.snippets: {base_path: [., parts]}",
            "docs/index.md": '--8<-- "parts/a.md"\n\n--8<-- "b.txt:2:3"\n\n--8<-- "b.txt:part"\n\n'
            '--8<-- "../../etc/passwd"\n\n--8<-- "/etc/passwd"\n\n--8<-- "https://evil.example/x"',
            "parts/a.md": "from *a*",
            "parts/b.txt": "one\ntwo\nthree\n# --8<-- [start:part]\nfour\n# --8<-- [end:part]",
        }
    )
    assert html_of(found, "index.md") == ("<p>from <em>a</em></p>\n<p>two\nthree</p>\n<p>four</p>")
    assert [message.partition(" is refused")[0] for _, message in messages(found)] == [
        "the snippet ../../etc/passwd",
        "the snippet /etc/passwd",
        "the snippet https://evil.example/x",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("docs_dir: ../other", "the docs_dir of mkdocs.yml leads out of the repository"),
        ("[a, b", "mkdocs.yml is no YAML"),
        ("just text", "must be an object"),
        ('site_name: "a\\0b"', "holds signs that are no text"),
        ('nav: ["\\ud800.md"]', "holds signs that are no text"),
        ("site_name: &a [*a]\nnav: *a", None),
    ],
)
def test_a_broken_mkdocs_yml_is_told(text, reason):
    tree = TextTree({"mkdocs.yml": text, "docs/index.md": "# x"})
    if reason is None:
        assert find_config(tree).name == ""
        return
    with pytest.raises(FileRefused, match=reason):
        find_config(tree)


def test_a_nav_that_names_itself_ends():
    found = built({"mkdocs.yml": "nav: &n [index.md, {More: *n}]", "docs/index.md": "# x"})
    assert any("levels deep" in message for _, message in messages(found))
    found = built(
        {"mkdocs.yml": "site_name: a\nnav: ['!include ./mkdocs.yml']", "docs/index.md": "# x"}
    )
    assert {page.path.rpartition("/")[2] for page in found.pages} == {"index.md"}


def test_links_out_of_the_folder_are_refused(tmp_path):
    outside = tmp_path / "secret.md"
    outside.write_text("# Secret")
    root = tmp_path / "repo"
    (root / "docs").mkdir(parents=True)
    (root / "docs/index.md").write_text("[s](stolen.md) ![i](stolen.png)")
    (root / "real.md").write_text("# Real")
    (root / "docs/stolen.md").symlink_to(outside)
    (root / "docs/stolen.png").symlink_to(outside)
    (root / "docs/folder").symlink_to(tmp_path)
    (root / "docs/inside.md").symlink_to(root / "real.md")
    site = Layout()
    site.add_docs(FolderTree(root))
    found = Builder(site).build(name="x")
    assert sorted(page.path for page in found.pages) == ["index.md", "inside.md"]
    assert not found.assets
    assert "Secret" not in "".join(page.html for page in found.pages)
    assert {page for page, _ in messages(found)} >= {
        "docs/stolen.md",
        "docs/stolen.png",
        "docs/folder",
    }


def test_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(building, "MAX_PAGES", 1)
    found = built({"docs/index.md": "# a", "docs/b.md": "# b"})
    assert [page.path for page in found.pages] == ["b.md"]
    assert "at most 1 pages" in messages(found)[0][1]
    monkeypatch.setattr(building, "MAX_SITE_BYTES", 10)
    with pytest.raises(FileRefused, match="more than 10 bytes"):
        built({"docs/index.md": "# a long heading"})
    monkeypatch.setattr(layout, "MAX_NAV", 2)
    site = Layout()
    site.add_docs(TextTree({"mkdocs.yml": "nav: [a.md, a.md, a.md]", "docs/a.md": "a"}))
    assert ("mkdocs.yml", "nav has more than 2 entries") in site.warnings


@pytest.mark.parametrize(
    ("folder", "target", "expected"),
    [
        ("a/b", "../c.md", "a/c.md"),
        ("a", "../../c", None),
        ("", "..", None),
        ("a", "/b/./c", "b/c"),
        ("a", "x/../../../a", None),
        ("", "", ""),
    ],
)
def test_paths_stay_inside(folder, target, expected):
    assert joined(folder, target) == expected


@pytest.mark.parametrize(
    ("folder", "pages", "title"),
    [
        ("techdocs/RoadieHQ__sample-service", 13, "Root docs"),
        ("backstage/demo-docs", 9, "Backstage Demo"),
    ],
)
def test_real_docs_render_whole(test_data, folder, pages, title):
    site = Layout()
    site.add_docs(FolderTree(test_data / folder))
    found = Builder(site).build(name="x")
    assert (found.name, len(found.pages), messages(found)) == (title, pages, [])

    def leaves(nav):
        for one in nav:
            yield from leaves(one["children"]) if "children" in one else [one["url"]]

    there = {page.url for page in found.pages}
    assert set(leaves(found.nav)) <= there
    assert len(set(leaves(found.nav))) == sum(page.position is not None for page in found.pages)


# --- building ---------------------------------------------------------------------------------


@pytest.fixture
def component(db, tmp_path, settings):
    """An entity whose file and docs lie in a folder of this server."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# Home\n\nwords ![p](a.png)")
    (tmp_path / "docs/two.md").write_text("# Two")
    (tmp_path / "docs/a.png").write_bytes(b"\x89PNG")
    settings.IDP_FILES = []
    make_blueprint("component")
    return make_entity(
        "component",
        "shop/cart",
        location=f"file:{tmp_path}/catalog-info.yaml",
        properties={"annotations": {"backstage.io/techdocs-ref": "dir:."}},
    )


@pytest.mark.django_db
def test_docs_are_built_when_they_changed_and_only_what_changed_is_written(
    component, tmp_path, django_assert_num_queries
):
    with django_assert_num_queries(5):
        assert refresh.scan() == 1
    assert refresh.scan() == 0
    assert refresh.due() == [component.pk]
    assert refresh.check(component.pk, is_due=True)
    site = DocSite.objects.get()
    assert (site.ref, site.state, site.log, site.page_count) == (
        *("component:shop/cart", DocSite.State.READY, "", 2),
    )
    assert list(site.pages.values_list("url", "title")) == [("", "Home"), ("two/", "Two")]
    assert DocPage.objects.filter(search="words").count() == 1
    assert not refresh.due()
    assert not refresh.check(component.pk, is_due=True)  # not due
    with django_assert_num_queries(4):
        assert not refresh.check(component.pk)  # nothing changed

    rows = dict(site.pages.values_list("path", "pk"))
    (tmp_path / "docs/two.md").write_text("# Two again")
    (tmp_path / "docs/index.md").touch()
    os.utime(tmp_path / "docs/two.md", (1, 1))
    assert refresh.check(component.pk)
    again = DocSite.objects.get()
    assert again.version != site.version
    assert again.built_at > site.built_at
    assert dict(again.pages.values_list("path", "pk")) == rows
    assert again.pages.get(path="two.md").title == "Two again"

    (tmp_path / "docs/two.md").unlink()
    assert refresh.check(component.pk)
    assert list(again.pages.values_list("path", flat=True)) == ["index.md"]
    assert DocAsset.objects.get().path == "a.png"
    assert not refresh.check(component.pk, force=True)  # the same content is the same version


@pytest.mark.django_db
def test_what_no_column_takes_is_mended_or_left_out(component, tmp_path):
    (tmp_path / "docs/nul.md").write_bytes(
        b"# A\x00B &#0; &#xD800;\n\xff\xfe [x](a%00b.md) [y](\xed\xa0\x80)"
    )
    with open(os.fsencode(tmp_path / "docs") + b"/\xff.md", "w") as file:
        file.write("# Nameless")
    refresh.scan()
    assert refresh.check(component.pk), DocSite.objects.get().log
    assert DocPage.objects.get(path="nul.md").title == "A�B � �"
    assert DocPage.objects.count() == 3


@pytest.mark.django_db
def test_a_failed_build_keeps_the_last_good_version(component, tmp_path):
    refresh.scan()
    refresh.check(component.pk)
    (tmp_path / "mkdocs.yml").write_text("docs_dir: ../..")
    assert not refresh.check(component.pk)
    site = DocSite.objects.get()
    assert (site.state, site.page_count, site.pages.count()) == (DocSite.State.FAILED, 2, 2)
    assert site.log == "The docs_dir of mkdocs.yml leads out of the repository"
    assert site.next_check_at > timezone.now()
    (tmp_path / "mkdocs.yml").unlink()
    refresh.check(component.pk)
    site.refresh_from_db()
    assert (site.state, site.log) == (DocSite.State.READY, "")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("said", "pages", "page", "message"),
    [
        (
            {"techdocs-ref": "dir:.", "adr-location": "decisions"},
            ["index.md", "two.md"],
            "backstage.io/adr-location",
            "there is no folder decisions",
        ),
        (
            {"techdocs-ref": "dir:.", "adr-location": "url:file:///etc"},
            ["index.md", "two.md"],
            "backstage.io/adr-location",
            "file:///etc is no address. url:https://… is meant.",
        ),
        (
            {"techdocs-ref": "dir:nowhere", "adr-location": "docs"},
            ["adr/index.md", "adr/two.md"],
            "backstage.io/techdocs-ref",
            "there is no folder nowhere",
        ),
    ],
)
def test_a_broken_place_is_a_warning_beside_what_another_one_holds(
    component, said, pages, page, message
):
    _annotate(component, said)
    refresh.scan()
    assert refresh.check(component.pk), DocSite.objects.get().log
    site = DocSite.objects.get()
    assert (site.state, site.log) == (DocSite.State.READY, "")
    assert list(site.pages.values_list("path", flat=True)) == pages
    assert site.warnings == [{"page": page, "message": message}]


@pytest.mark.django_db
def test_a_broken_place_is_read_once_it_is_mended(component, tmp_path):
    _annotate(component, {"techdocs-ref": "dir:.", "adr-location": "decisions"})
    refresh.scan()
    assert refresh.check(component.pk)
    DocSite.objects.update(name="as it was")
    assert not refresh.check(component.pk)
    assert DocSite.objects.get().name == "as it was"  # as broken as before: nothing to be built
    (tmp_path / "decisions").mkdir()
    (tmp_path / "decisions/1.md").write_text("# One")
    assert refresh.check(component.pk)
    site = DocSite.objects.get()
    assert (site.page_count, site.warnings) == (3, [])
    (tmp_path / "decisions/1.md").unlink()
    (tmp_path / "decisions").rmdir()
    assert refresh.check(component.pk)
    site.refresh_from_db()
    assert (site.page_count, len(site.warnings)) == (2, 1)


@pytest.mark.django_db
def test_pages_stay_while_their_server_is_away(component, vendor):
    host = vendor.url.removeprefix("http://")
    catalog_settings.update(actor=ACTOR, reading_allow=[{"host": host}])
    vendor.text("/guide/mkdocs.yml", "nav: [index.md]")
    vendor.text("/guide/docs/index.md", "# Guide")
    vendor.trouble("/guide/mkdocs.yml", failing(503), times=2)
    _annotate(component, {"techdocs-ref": f"url:{vendor.url}/guide", "adr-location": "docs"})
    refresh.scan()
    assert refresh.check(component.pk)  # never read yet: no reason to keep the decisions back
    site = DocSite.objects.get()
    assert [one["page"] for one in site.warnings] == ["backstage.io/techdocs-ref"]
    assert (site.page_count, site.revision) == (2, "")
    assert refresh.check(component.pk)
    vendor.trouble("/guide/mkdocs.yml", failing(503), times=2)
    assert not refresh.check(component.pk)
    site.refresh_from_db()
    assert (site.state, site.page_count, site.warnings) == (DocSite.State.FAILED, 3, [])


def _annotate(component: Entity, said: dict[str, str]) -> None:
    component.properties = {
        "annotations": {f"backstage.io/{key}": one for key, one in said.items()}
    }
    component.save()


@pytest.mark.django_db
def test_the_feed_tells_of_entities_that_gain_and_lose_docs(component):
    row = FeedRow(
        *(1, 1, timezone.now(), "system", "test", "update", "entity", "component", "shop/cart"),
        *(component.pk, None, None, ""),
    )
    rows = [row, replace(row, model="blueprint", object_id=1)]
    assert refresh.follow(rows) == 1
    refresh.check(component.pk)
    Entity.objects.filter(pk=component.pk).update(properties={"readme": ""})
    assert refresh.follow(rows) == 0
    assert not DocSite.objects.exists()
    assert not DocPage.objects.exists()
    assert not DocAsset.objects.exists()


@pytest.mark.django_db
def test_a_folder_that_nobody_opened_stays_closed(component, tmp_path_factory, settings):
    secret = tmp_path_factory.mktemp("elsewhere")
    (secret / "index.md").write_text("# Secret")
    said = {
        "backstage.io/techdocs-ref": "dir:.",
        "backstage.io/source-location": f"file:{secret}",
    }
    Entity.objects.filter(pk=component.pk).update(properties={"annotations": said})
    refresh.scan()
    refresh.check(component.pk)
    assert DocSite.objects.get().log.startswith("It lies outside the folders that may be read")
    settings.IDP_FILES = [str(secret)]
    assert refresh.check(component.pk)


@pytest.mark.django_db
@pytest.mark.parametrize("location", [None, "url:https://github.com/o/r/blob/main/x.yaml"])
def test_an_annotation_alone_opens_no_folder_of_this_server(
    component, tmp_path, settings, location
):
    settings.IDP_FILES = [str(tmp_path)]
    said = {"techdocs-ref": "dir:.", "source-location": f"file:{tmp_path}"}
    _annotate(component, said)
    Entity.objects.filter(pk=component.pk).update(location=location)
    refresh.scan()
    assert not refresh.check(component.pk)
    assert "only be named by a file of this server" in DocSite.objects.get().log


@pytest.mark.django_db
def test_docs_of_another_entity_and_a_readme(component):
    other = make_entity(
        "component",
        "other",
        properties={"annotations": {"backstage.io/techdocs-entity": "component:shop/cart"}},
    )
    readme = make_entity(
        "component",
        "readme",
        properties={"readme": "# Hi\n\n[x](LICENSE)", "url": "https://github.com/o/r"},
    )
    refresh.scan()
    for pk in refresh.due():
        refresh.check(pk, is_due=True)
    site = DocSite.objects.get(pk=other.pk)
    assert (site.state, site.sources["entity"]) == (DocSite.State.READY, "component:shop/cart")
    page = DocPage.objects.get(site=readme.pk)
    assert page.title == "Hi"
    assert DocSite.objects.get(pk=readme.pk).next_check_at is None


@pytest.mark.django_db
def test_docs_of_a_plain_server_are_read_by_their_nav(vendor):
    catalog_settings.update(
        actor=ACTOR, reading_allow=[{"host": vendor.url.removeprefix("http://")}]
    )
    vendor.text("/d/mkdocs.yml", "site_name: Remote\nnav: [index.md, b.md]")
    vendor.text("/d/docs/index.md", "# Home\n\n[c](c.md) ![p](p.png)")
    vendor.text("/d/docs/b.md", "# B")
    vendor.text("/d/docs/c.md", "# C, linked only")
    vendor.text("/d/docs/p.png", PNG)
    make_blueprint("component")
    entity = make_entity(
        "component",
        "remote",
        properties={"annotations": {"backstage.io/techdocs-ref": f"url:{vendor.url}/d"}},
    )
    refresh.scan()
    assert refresh.check(entity.pk)
    site = DocSite.objects.get()
    assert (site.log, site.name) == ("", "Remote")
    assert sorted(site.pages.values_list("path", flat=True)) == ["b.md", "c.md", "index.md"]
    assert site.assets.get().path == "p.png"


@pytest.mark.django_db
def test_docs_of_a_forge_are_cloned_once_for_each_commit(vendor, git_server, settings):
    settings.IDP_HTTP_ALLOW = ["127.0.0.1"]
    git_server.make("acme/app", {"svc/docs/index.md": "# Home\n\n[up](../../x.md)", "x.md": "x"})
    create_source(
        identifier="gh",
        kind="github",
        settings={"apiUrl": vendor.url, "token": "t1-secret"},
        mapping={},
        actor=ACTOR,
    )
    commit = ["c1"]
    for sort in ("heads", "tags"):
        vendor.json(f"/repos/acme/app/git/matching-refs/{sort}/*", [])

    @vendor.route("/repos/acme/app/commits")
    def _(call):
        assert (call.query["path"], call.query["sha"]) == ("svc", "main")
        return [{"sha": commit[0]}]

    def forwarded(call):
        query = "&".join(f"{key}={value}" for key, value in call.query.items())
        asked = urllib.request.Request(
            f"{git_server.url}{call.path}?{query}",
            data=call.body or None,
            headers={"content-type": call.headers.get("content-type", "")},
        )
        try:
            with urllib.request.urlopen(asked) as answer:
                kind = answer.headers["content-type"]
                return Answer(200, answer.read(), {"content-type": kind})
        except HTTPError as error:
            return Answer(error.code)

    vendor.route("/acme/app.git/info/refs")(forwarded)
    vendor.route("/acme/app.git/git-upload-pack", method="POST")(forwarded)
    make_blueprint("component")
    entity = make_entity(
        "component",
        "app",
        location=f"url:{vendor.url}/acme/app/blob/main/svc/catalog-info.yaml",
        properties={"annotations": {"backstage.io/techdocs-ref": "dir:."}},
    )
    refresh.scan()
    assert refresh.check(entity.pk)
    site = DocSite.objects.get()
    assert (site.log, site.page_count) == ("", 1)
    assert site.pages.get().edit_url == f"{vendor.url}/acme/app/edit/main/svc/docs/index.md"
    calls = len(vendor.calls)
    assert not refresh.check(entity.pk)
    assert len(vendor.calls) == calls + 1  # the commit alone is asked for
    commit[0] = "c2"
    git_server.commit("acme/app", {"svc/docs/index.md": "# New home"})
    assert refresh.check(entity.pk)
    assert DocPage.objects.get().title == "New home"
    tree = f"url:{vendor.url}/acme/app/tree/main"
    assert refresh.hurry([f"{tree}/other/x.md"]) == 0
    assert refresh.hurry([f"{tree}/svc/docs/index.md"]) == 1
    assert refresh.hurry([], below=[f"{tree}/"]) == 1
    assert refresh.due() == [entity.pk]


def test_nobody_reads_gits_own_files(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text("token")
    (tmp_path / "index.md").write_text("# Hi")
    tree = FolderTree(tmp_path)
    assert tree.read("index.md", 10) == b"# Hi"
    with pytest.raises(FileRefused, match="one of Git's own files"):
        tree.read(".git/config", 10)
