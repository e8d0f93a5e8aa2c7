"""Places: addresses taken apart and put together, and what is read of them from whom."""

from __future__ import annotations

import base64
import json
import os
import time
from contextlib import nullcontext, suppress
from email.utils import formatdate
from pathlib import Path

import pytest
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.dialects.backstage.reader import (
    FileMissing,
    FileRefused,
    FileUnreachable,
    Read,
    ReadingNotAllowed,
)
from catalog.dialects.backstage.reading import Reading, key_of, read_file
from catalog.ingest.integrations import create_source
from catalog.ingest.locations.forges import Forges, GitHubForge, GitLabForge, web_of_github
from catalog.ingest.locations.reader import PlaceReader
from catalog.kernel.actors import Actor
from catalog.models import Entity, Integration
from catalog.services import catalog_settings
from tests.vendors import Answer, failing, hang_up

ACTOR = Actor.system("test")


@pytest.fixture
def reader(db):
    with PlaceReader() as one:
        yield one


def allow(*entries):
    catalog_settings.update(actor=ACTOR, reading_allow=list(entries))


def host_of(vendor):
    return vendor.url.removeprefix("http://")


def source(kind, identifier="forge", **settings):
    create_source(identifier=identifier, kind=kind, settings=settings, mapping={}, actor=ACTOR)


def github(vendor, files, *, project="acme/app", refs=("main",), **settings):
    """A repository on a GitHub server: the same files on each of `refs`, the first is default."""
    source("github", apiUrl=vendor.url, token="t1-secret", **settings)
    vendor.require("authorization", "Bearer t1-secret")
    serve_github(vendor, files, project=project, refs=refs)


def serve_github(vendor, files, *, project="acme/app", refs=("main",)):
    known = {*refs, "", "HEAD", *["a" * 40]}

    def answer(body):
        def handler(call):
            if call.query.get("ref", "") not in known:
                return Answer(404, {"message": "No commit found for the ref"})
            return Answer(200, body.encode(), {"content-type": "application/vnd.github.raw+json"})

        return handler

    for path, body in files.items():
        vendor.route(f"/repos/{project}/contents/{path}")(answer(body))
    tree = [{"path": path, "type": "blob", "size": 9, "sha": "1"} for path in files]
    tree += [{"path": "services", "type": "tree", "sha": "2"}, {"path": "x", "type": "commit"}]

    @vendor.route(f"/repos/{project}/git/trees/*")
    def _(call):
        ref = call.path.rpartition("/")[2].replace("%2F", "/")
        return {"tree": tree} if ref in known else Answer(404, {"message": "Not Found"})

    for sort, names in (("heads", refs), ("tags", ())):

        @vendor.route(f"/repos/{project}/git/matching-refs/{sort}/*")
        def _(call, sort=sort, names=names):
            start = call.path.rpartition("/")[2]
            return [{"ref": f"refs/{sort}/{one}"} for one in names if one.startswith(start)]


def gitlab(vendor, files, *, project="acme/team/app", refs=("main",), **settings):
    source("gitlab", url=vendor.url, token="t2-secret", **settings)
    vendor.require("authorization", "Bearer t2-secret")
    root = f"/api/v4/projects/{project.replace('/', '%2F')}/repository"
    known = {*refs, "HEAD"}
    for path, body in files.items():

        @vendor.route(f"{root}/files/{path.replace('/', '%2F')}/raw")
        def _(call, body=body):
            if call.query["ref"] not in known:
                return Answer(404, {"message": "404 Commit Not Found"})
            return Answer(200, body.encode(), {"content-type": "text/plain"})

    tree = [{"path": path, "type": "blob", "id": "1"} for path in files]
    vendor.pages(f"{root}/tree", tree, style="gitlab")
    vendor.json(f"{root}/branches", [{"name": one} for one in refs])
    vendor.json(f"{root}/tags", [])


# --- addresses --------------------------------------------------------------------------------

GITHUB = GitHubForge(None, "https://github.com")
GHE = GitHubForge(None, "https://git.acme.io")
GITLAB = GitLabForge(None, "https://gitlab.com")
BELOW = GitLabForge(None, "https://acme.io/gitlab")
COMMIT = "dab6854d4d599aafb0eb36e6c7ae1fe0c37509b7"


@pytest.mark.parametrize(
    ("forge", "url", "found"),
    [
        (GITHUB, "https://github.com/o/r/blob/main/a/catalog-info.yaml",
         ("o/r", "main", "a/catalog-info.yaml")),
        (GITHUB, "https://github.com/o/r/tree/main/a%20b/x.yaml?raw=true#L3",
         ("o/r", "main", "a b/x.yaml")),
        (GITHUB, "https://github.com/o/r/edit/v1.0/x.yaml", ("o/r", "v1.0", "x.yaml")),
        (GITHUB, f"https://github.com/o/r/raw/{COMMIT}/x.yaml", ("o/r", COMMIT, "x.yaml")),
        (GITHUB, "https://github.com/o/r/raw/refs/heads/main/x.yaml", ("o/r", "main", "x.yaml")),
        (GITHUB, "https://github.com/o/r/blob/feature%2Fx/y.yaml", ("o/r", "feature/x", "y.yaml")),
        (GITHUB, "https://github.com/org/repo/catalog-info.yaml",
         ("org/repo", "", "catalog-info.yaml")),
        (GITHUB, "https://github.com/o/r", ("o/r", "", "")),
        (GITHUB, "https://github.com/o/r.git", ("o/r", "", "")),
        (GITHUB, "https://github.com/o/r/tree/main/docs/", ("o/r", "main", "docs")),
        (GITHUB, "https://GitHub.com:443/o/r/blob/main/x.yaml", ("o/r", "main", "x.yaml")),
        (GITHUB, "https://raw.githubusercontent.com/o/r/main/a/x.yaml",
         ("o/r", "main", "a/x.yaml")),
        (GITHUB, "https://raw.githubusercontent.com/o/r/refs/heads/main/x.yaml",
         ("o/r", "main", "x.yaml")),
        (GITHUB, "https://github.com/o", None),
        (GITHUB, "https://github.com.evil.io/o/r/blob/main/x.yaml", None),
        (GITHUB, "https://evil.io/github.com/o/r/blob/main/x.yaml", None),
        (GITHUB, "file:///etc/passwd", None),
        (GITHUB, "https://[", None),
        (GHE, "https://git.acme.io/o/r/blob/main/x.yaml", ("o/r", "main", "x.yaml")),
        (GHE, "https://github.com/o/r/blob/main/x.yaml", None),
        (GITLAB, "https://gitlab.com/g/s/p/-/blob/main/a/x.yaml?ref_type=heads",
         ("g/s/p", "main", "a/x.yaml")),
        (GITLAB, "https://gitlab.com/g/p/-/raw/main/x.yaml", ("g/p", "main", "x.yaml")),
        (GITLAB, "https://gitlab.com/g/p/blob/main/x.yaml", ("g/p", "main", "x.yaml")),
        (GITLAB, "https://gitlab.com/g/s/p/tree/main", ("g/s/p", "main", "")),
        (GITLAB, "https://gitlab.com/g/s/p/catalog-info.yaml", ("g/s/p", "", "catalog-info.yaml")),
        (GITLAB, "https://gitlab.com/g/s/p", ("g/s/p", "", "")),
        (GITLAB, "https://gitlab.com/g/s/p/-/issues", ("g/s/p", "", "")),
        (BELOW, "https://acme.io/gitlab/g/p/-/blob/main/x.yaml", ("g/p", "main", "x.yaml")),
        (BELOW, "https://acme.io/other/g/p/-/blob/main/x.yaml", None),
    ],
)  # fmt: skip
def test_what_an_address_means(forge, url, found):
    at = forge.parse(url)
    assert (at and (at.project, at.ref, at.path)) == found


@pytest.mark.parametrize(
    ("forge", "url", "edit", "source"),
    [
        (GITHUB, "https://github.com/o/r/blob/main/a/x.yaml",
         "https://github.com/o/r/edit/main/a/x.yaml", "https://github.com/o/r/tree/main/a/"),
        (GITHUB, "https://github.com/o/r/blob/feature/b/x.yaml",
         "https://github.com/o/r/edit/feature/b/x.yaml", "https://github.com/o/r/tree/feature/b/"),
        (GITHUB, f"https://github.com/o/r/tree/{COMMIT}/x.yaml",
         None, f"https://github.com/o/r/tree/{COMMIT}/"),
        (GITHUB, "https://github.com/o/r/catalog-info.yaml",
         None, "https://github.com/o/r/tree/HEAD/"),
        (GITHUB, "https://raw.githubusercontent.com/o/r/main/x.yaml",
         "https://github.com/o/r/edit/main/x.yaml", "https://github.com/o/r/tree/main/"),
        (GITLAB, "https://gitlab.com/g/s/p/-/blob/main/a/x.yaml?ref_type=heads",
         "https://gitlab.com/g/s/p/-/edit/main/a/x.yaml",
         "https://gitlab.com/g/s/p/-/tree/main/a/"),
        (GITLAB, "https://gitlab.com/g/p/blob/main/x.yaml",
         "https://gitlab.com/g/p/-/edit/main/x.yaml", "https://gitlab.com/g/p/-/tree/main/"),
    ],
)  # fmt: skip
def test_where_a_file_is_edited_and_its_sources_lie(forge, url, edit, source):
    found = forge.annotations(url)
    assert found.get("backstage.io/edit-url") == edit
    assert found["backstage.io/source-location"] == f"url:{source}"


@pytest.mark.parametrize(
    ("forge", "base", "target", "found"),
    [
        (GITHUB, "https://github.com/o/r/blob/main/a/x.yaml", "./b/y.yaml",
         "https://github.com/o/r/tree/main/a/b/y.yaml"),
        (GITHUB, "https://github.com/o/r/blob/main/a/x.yaml", "../y z.yaml",
         "https://github.com/o/r/tree/main/y%20z.yaml"),
        (GITHUB, "https://github.com/o/r/tree/main/a/x.yaml", "/b/y.yaml",
         "https://github.com/o/r/tree/main/b/y.yaml"),
        (GITHUB, "https://github.com/o/r/tree/main/a/x.yaml", "./**/catalog-info.yaml",
         "https://github.com/o/r/tree/main/a/**/catalog-info.yaml"),
        (GITHUB, "https://github.com/o/r/a/catalog-info.yaml", "/y.yaml",
         "https://github.com/o/r/y.yaml"),
        (GITHUB, "https://raw.githubusercontent.com/o/r/main/a/x.yaml", "/y.yaml",
         "https://raw.githubusercontent.com/o/r/main/y.yaml"),
        (GITLAB, "https://gitlab.com/g/s/p/-/blob/main/a/x.yaml?ref_type=heads", "y.yaml",
         "https://gitlab.com/g/s/p/-/blob/main/a/y.yaml?ref_type=heads"),
        (GITLAB, "https://gitlab.com/g/s/p/-/blob/main/a/x.yaml", "/y.yaml",
         "https://gitlab.com/g/s/p/-/blob/main/y.yaml"),
    ],
)  # fmt: skip
def test_targets_keep_the_branch(forge, base, target, found, monkeypatch):
    monkeypatch.setattr(type(forge), "exact", lambda self, at: at)  # which would ask the server
    assert forge.resolve(base, target) == found


@pytest.mark.parametrize(
    ("api", "web"),
    [
        ("https://api.github.com", "https://github.com"),
        ("https://git.acme.io/api/v3/", "https://git.acme.io"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
    ],
)
def test_where_people_see_what_an_api_serves(api, web):
    assert web_of_github(api) == web


# --- forges -----------------------------------------------------------------------------------


def test_github_is_read_through_its_source(reader, vendor):
    github(vendor, {"catalog-info.yaml": "a: 1", "docs/a.md": "# A"})
    vendor.etags = True
    place = f"url:{vendor.url}/acme/app/blob/main/catalog-info.yaml"
    first = reader.read(place)
    assert first.content == b"a: 1"
    assert reader.read(place, etag=first.etag) is None
    assert [(call.query, call.status) for call in vendor.calls] == [
        ({"ref": "main"}, 200),
        ({"ref": "main"}, 304),
    ]
    # the default branch's file
    assert reader.read(f"url:{vendor.url}/acme/app/catalog-info.yaml") == first
    assert vendor.calls[-1].query == {}
    assert reader.annotations(place) == {
        "backstage.io/view-url": f"{vendor.url}/acme/app/blob/main/catalog-info.yaml",
        "backstage.io/edit-url": f"{vendor.url}/acme/app/edit/main/catalog-info.yaml",
        "backstage.io/source-location": f"url:{vendor.url}/acme/app/tree/main/",
    }


def test_what_github_refuses(reader, vendor):
    github(vendor, {"catalog-info.yaml": "a: 1"})
    vendor.json("/repos/acme/app/contents/docs", [{"path": "docs/a.md", "sha": "1"}])
    vendor.json(
        "/repos/acme/app/contents/old.yaml",
        {"type": "file", "encoding": "base64", "content": base64.b64encode(b"b: 2").decode()},
    )
    root = f"url:{vendor.url}/acme/app"
    with pytest.raises(FileMissing, match=r"GitHub has no nope.yaml in acme/app"):
        reader.read(f"{root}/blob/main/nope.yaml")
    with pytest.raises(FileMissing):
        reader.read(f"{root}/blob/no-branch/catalog-info.yaml")
    with pytest.raises(FileMissing):
        reader.read(f"{root}/blob/main/a/../../../../user")
    with pytest.raises(FileRefused, match="it is a folder"):
        reader.read(f"{root}/blob/main/docs")
    with pytest.raises(FileRefused, match="more than 3 bytes"):
        reader.read(f"{root}/blob/main/catalog-info.yaml", max_bytes=3)
    with pytest.raises(FileRefused, match="is no address of a file"):
        reader.read(root)
    assert reader.read(f"{root}/blob/main/old.yaml").content == b"b: 2"
    vendor.trouble("*", failing(503), times=9)
    with pytest.raises(FileUnreachable, match="Something broke") as caught:
        reader.read(f"{root}/blob/main/catalog-info.yaml")
    assert "t1-secret" not in str(caught.value) + str(caught.value.details)


def test_a_branch_with_slashes_is_asked_for_once(reader, vendor):
    github(vendor, {"a/catalog-info.yaml": "a: 1"}, refs=("main", "feature", "feature/x"))
    place = f"url:{vendor.url}/acme/app/blob/feature/x/a/catalog-info.yaml"
    # "feature" is a branch too, here: the longest name counts
    assert reader.read(place) == Read(b"a: 1")
    asked = len(vendor.calls)
    assert reader.read(place) == Read(b"a: 1")
    assert len(vendor.calls) == asked + 1
    assert reader.resolve(place, "/b.yaml") == f"url:{vendor.url}/acme/app/tree/feature/x/b.yaml"
    with pytest.raises(FileMissing):
        reader.read(f"url:{vendor.url}/acme/app/blob/main/b/c/nope.yaml")
    asked = len(vendor.calls)
    with pytest.raises(FileMissing):
        reader.read(f"url:{vendor.url}/acme/app/blob/main/b/c/nope.yaml")
    assert len(vendor.calls) == asked + 1


def test_patterns_are_searched_for_in_the_tree(reader, vendor):
    files = ["catalog-info.yaml", "services/a/catalog-info.yaml", "services/b b/catalog-info.yaml",
             ".github/catalog-info.yaml", "services/a/other.yaml"]  # fmt: skip
    github(vendor, dict.fromkeys(files, "a: 1"), refs=("main", "release/1"))
    root = f"url:{vendor.url}/acme/app"
    assert reader.expand(f"{root}/blob/main/**/catalog-info.yaml") == [
        f"{root}/blob/main/catalog-info.yaml",
        f"{root}/blob/main/services/a/catalog-info.yaml",
        f"{root}/blob/main/services/b%20b/catalog-info.yaml",
    ]
    assert reader.expand(f"{root}/tree/release/1/services/*/other.yaml") == [
        f"{root}/tree/release/1/services/a/other.yaml"
    ]
    assert reader.expand(f"{root}/blob/main/.github/*") == [
        f"{root}/blob/main/.github/catalog-info.yaml"
    ]
    assert reader.expand(f"{root}/blob/main/x.yaml") == [f"{root}/blob/main/x.yaml"]
    for pattern in ("main/nope-*.yaml", "nope/*.yaml"):
        with pytest.raises(FileMissing):
            reader.expand(f"{root}/blob/{pattern}")


def test_gitlab_is_read_through_its_source(reader, vendor):
    gitlab(vendor, {"a/catalog-info.yaml": "a: 1", "b.yaml": "b"}, refs=("main", "feature/x"))
    vendor.etags = True
    root = f"url:{vendor.url}/acme/team/app/-"
    first = reader.read(f"{root}/blob/main/a/catalog-info.yaml?ref_type=heads")
    assert first.content == b"a: 1"
    assert reader.read(f"{root}/raw/main/a/catalog-info.yaml", etag=first.etag) is None
    assert reader.read(f"{root}/blob/feature/x/a/catalog-info.yaml") == first
    assert reader.read(f"url:{vendor.url}/acme/team/app/b.yaml").content == b"b"
    assert reader.expand(f"{root}/blob/main/*/*.yaml") == [f"{root}/blob/main/a/catalog-info.yaml"]
    with pytest.raises(FileMissing, match=r"GitLab has no nope.yaml in acme/team/app"):
        reader.read(f"{root}/blob/main/nope.yaml")


def test_the_source_that_names_the_project_reads_it(reader, vendor):
    serve_github(vendor, {"x.yaml": "x"}, project="beta/app")
    source("github", "a-all", apiUrl=vendor.url, token="for-all")
    source("github", "b-acme", apiUrl=vendor.url, token="for-acme", organizations=["acme"])
    source("github", "c-beta", apiUrl=vendor.url, token="for-beta", organizations=["Beta"])
    reader.read(f"url:{vendor.url}/beta/app/blob/main/x.yaml")
    assert vendor.calls[-1].headers["authorization"] == "Bearer for-beta"
    forge = Forges().of(f"{vendor.url}/gamma/app")
    assert forge.integration.identifier == "a-all"
    assert forge.clone_url("gamma/app") == f"{vendor.url}/gamma/app.git"
    assert forge.credentials() == ("x-access-token", "for-all")
    assert [one.path for one in forge.list_tree("beta/app", "main")] == ["x.yaml", "services"]
    Integration.objects.update(is_enabled=False)
    assert Forges().of(f"{vendor.url}/gamma/app") is None


# --- other hosts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "paths", "is_read"),
    [
        ("{host}", None, True),
        ("127.0.0.1:*", None, True),
        ("127.0.0.1", None, False),  # the usual port is meant
        ("*.0.0.1:*", None, True),
        ("*.127.0.0.1:*", None, False),
        ("{host}", ["/a/"], True),
        ("{host}", ["/b/"], False),
        ("{host}", ["/a/x.yaml"], True),
    ],
)
def test_hosts_that_are_allowed(reader, vendor, host, paths, is_read):
    vendor.text("/a/x.yaml", "a: 1")
    allow({"host": host.format(host=host_of(vendor)), **({"paths": paths} if paths else {})})
    place = f"url:{vendor.url}/a/x.yaml"
    if is_read:
        assert reader.read(place) == Read(b"a: 1")
        assert reader.expand(place) == [place]
        assert reader.annotations(place) == {"backstage.io/view-url": f"{vendor.url}/a/x.yaml"}
    else:
        for ask in (reader.read, reader.expand):
            with pytest.raises(
                ReadingNotAllowed, match=f"nothing may be read from {host_of(vendor)}"
            ):
                ask(place)
    assert len(vendor.calls) == is_read


@pytest.mark.parametrize("path", ["/a/../b/x.yaml", "/a/%2e%2e/b/x.yaml", "/a/..%2fb/x.yaml"])
def test_a_path_does_not_climb_out_of_what_is_allowed(reader, vendor, path):
    allow({"host": host_of(vendor), "paths": ["/a/"]})
    with pytest.raises(ReadingNotAllowed):
        reader.read(f"url:{vendor.url}{path}")
    assert vendor.calls == []


@pytest.mark.parametrize(
    "place",
    [
        "url:file:///etc/passwd",
        "url:ftp://a.io/x",
        "url:x",
        "url:",
        "url:https://me:secret@a.io/x",
        "url:https://a.io\\@b.io/x",
        "url:https://a.io/\ud800",
        "url:https://[",
    ],
)
def test_only_the_web_is_read(reader, place):
    for ask in (reader.read, reader.expand):
        with pytest.raises(FileRefused, match="no address that can be read") as caught:
            ask(place)
        assert "secret" not in str(caught.value)


def test_public_forges_are_read_when_they_are_allowed(reader):
    place = "url:https://github.com/o/r/blob/main/x.yaml"
    with pytest.raises(ReadingNotAllowed):
        reader.expand(place)
    allow({"host": "github.com"}, {"host": "raw.githubusercontent.com", "paths": ["/o/"]})
    with PlaceReader() as allowed:
        assert allowed.expand(place) == [place]
        assert "backstage.io/edit-url" in allowed.annotations(place)
        assert allowed.resolve(place, "y.yaml") == "url:https://github.com/o/r/tree/main/y.yaml"
        raw = "url:https://raw.githubusercontent.com/o/r/main/x.yaml"
        assert allowed.annotations(raw) == {"backstage.io/view-url": raw.removeprefix("url:")}


def test_a_plain_file_is_read_again_only_when_it_changed(reader, vendor):
    allow({"host": host_of(vendor)})
    changed = formatdate(1_700_000_000, usegmt=True)

    @vendor.route("/dated.yaml")
    def _(call):
        if call.headers.get("if-modified-since") == changed:
            return Answer(304)
        return Answer(200, b"a: 1", {"last-modified": changed})

    read = reader.read(f"url:{vendor.url}/dated.yaml")
    assert read == Read(b"a: 1", f"last-modified:{changed}")
    assert reader.read(f"url:{vendor.url}/dated.yaml", etag=read.etag) is None
    vendor.etags = True
    vendor.text("/x.yaml", "a: 1")
    read = reader.read(f"url:{vendor.url}/x.yaml")
    assert read.etag
    assert reader.read(f"url:{vendor.url}/x.yaml", etag=read.etag) is None


def test_redirects_lead_only_to_what_is_allowed(reader, vendor):
    allow({"host": host_of(vendor), "paths": ["/a/"]})
    for name, to in (("in", "/a/x.yaml"), ("out", "/b/x.yaml"), ("round", "/a/round")):
        vendor.route(f"/a/{name}")(lambda _, to=to: Answer(302, b"", {"location": to}))
    vendor.text("/a/x.yaml", "a: 1")
    assert reader.read(f"url:{vendor.url}/a/in").content == b"a: 1"
    with pytest.raises(ReadingNotAllowed):
        reader.read(f"url:{vendor.url}/a/out")
    with pytest.raises(FileRefused, match="redirected more than 5 times"):
        reader.read(f"url:{vendor.url}/a/round")


def test_what_a_plain_host_refuses(reader, vendor):
    allow({"host": host_of(vendor)})
    vendor.text("/large", "x" * 100)
    vendor.json("/private", {"message": "Log in"}, status=401)
    with pytest.raises(FileMissing, match=rf"there is no {vendor.url}/nope\?token=\*\*\*"):
        reader.read(f"url:{vendor.url}/nope?token=abc")
    with pytest.raises(FileRefused, match="more than 50 bytes"):
        reader.read(f"url:{vendor.url}/large", max_bytes=50)
    with pytest.raises(FileRefused, match="answered 401: Log in"):
        reader.read(f"url:{vendor.url}/private")
    with pytest.raises(FileRefused, match="only be searched for on GitHub and GitLab"):
        reader.expand(f"url:{vendor.url}/**/x.yaml")
    vendor.trouble("*", hang_up(), times=9)
    with pytest.raises(FileUnreachable):
        reader.read(f"url:{vendor.url}/large")


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("./b.yaml", "/a/b.yaml"),
        ("b.yaml", "/a/b.yaml"),
        ("/b.yaml", "/b.yaml"),
        ("../b.yaml?v=1", "/b.yaml?v=1"),
        ("https://else.where/b.yaml", "https://else.where/b.yaml"),
    ],
)
def test_targets_of_plain_addresses(reader, target, found):
    base = "url:http://127.0.0.1:1/a/x.yaml"
    assert reader.resolve(base, target) in (f"url:{found}", f"url:http://127.0.0.1:1{found}")
    with pytest.raises(FileRefused, match="may not be named from elsewhere"):
        reader.resolve(base, target, type="file")


TARGETS = st.lists(
    st.sampled_from(
        ["/", "..", ".", "*", "**", "[", "]", "{a,b}", "https://", "url:", "file:", "@", "\\", "\0",
         "\ud800", ":", "?", "#", "%2f", "%", " ", "a", "é", "x.yaml", "127.0.0.1", "blob", "-"]
    ),
    max_size=8,
).map("".join)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    base=st.sampled_from(["url:http://127.0.0.1:1/a/b/blob/main/c/x.yaml", "url:http://127.0.0.1:2/x",
                          "file:/nowhere/x.yaml"]),
    target=TARGETS | st.text(max_size=20),
)  # fmt: skip
def test_whatever_is_named_is_read_or_refused(db, base, target):
    with PlaceReader(roots=[Path("/nowhere")]) as reader:
        reader.forges._forges = [GitHubForge(None, "http://127.0.0.1:1")]
        reader.forges._forges[0].exact = lambda at: at
        reader._allow = [{"host": "127.0.0.1:*"}]
        with suppress(FileRefused):
            place = reader.resolve(base, target)
            reader.annotations(place)
            reader.check_content(base, place)
            if not place.startswith("url:http"):
                reader.read(reader.expand(place)[0])


# --- files ------------------------------------------------------------------------------------


def test_files_of_the_folders_that_the_operator_opened(db, tmp_path, settings):
    for name in ("open/a/catalog-info.yaml", "open/b/catalog-info.yaml", "closed/x.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a: 1")
    (tmp_path / "open" / "link.yaml").symlink_to(tmp_path / "closed" / "x.yaml")
    settings.IDP_FILES = [str(tmp_path / "open")]
    root = f"file:{tmp_path}"
    reader = PlaceReader()
    assert reader.read(f"{root}/open/a/catalog-info.yaml") == Read(b"a: 1")
    assert reader.expand(f"{root}/open/**/catalog-info.yaml") == [
        f"{root}/open/a/catalog-info.yaml",
        f"{root}/open/b/catalog-info.yaml",
    ]
    for path in (
        "closed/x.yaml",
        "open/link.yaml",
        "closed/*.yaml",
        "*/x.yaml",
        "open/../closed/x.yaml",
    ):
        with pytest.raises(FileRefused) as caught:
            reader.read(reader.expand(f"{root}/{path}")[0])
        assert caught.value.message == "it lies outside the folders that may be read"
    assert PlaceReader(roots=[tmp_path / "closed"]).read(f"{root}/closed/x.yaml")


def test_a_file_that_was_not_written_is_not_read_again(db, tmp_path, settings):
    settings.IDP_FILES = [str(tmp_path)]
    file = tmp_path / "x.yaml"
    file.write_text("a: 1")
    reader = PlaceReader()
    assert reader.read(f"file:{file}").etag == ""  # it could change within the same instant
    os.utime(file, (time.time() - 60,) * 2)
    read = reader.read(f"file:{file}")
    assert read.etag
    assert reader.read(f"file:{file}", etag=read.etag) is None
    file.write_text("a: 2")
    assert reader.read(f"file:{file}", etag=read.etag).content == b"a: 2"


# --- documents --------------------------------------------------------------------------------


def api(name, definition):
    return json.dumps(
        {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "API",
            "metadata": {"name": name},
            "spec": {"type": "openapi", "lifecycle": "x", "owner": "x", "definition": definition},
        }
    )


def parsed(reader, place, *documents, **options):
    return read_file(
        place,
        "\n---\n".join(documents).encode(),
        reader=reader,
        is_custom_kind=lambda kind: False,
        **options,
    )


def definitions(content):
    return {one.key[1]: one.entity["spec"]["definition"] for one in content.candidates}


def refusals(content):
    return [
        (one.entity, finding.field, finding.message)
        for one in content.journal.rejected
        for finding in one.findings
    ]


PETS = """\
openapi: 3.0.0 # kept, where nothing is taken in
paths:
  /pets: {$ref: 'paths.yaml#/pets'}
  /more: {$ref: "./paths.yaml#/pets"}
components:
  schemas:
    Pet: {$ref: schemas/pet.json}
    Elsewhere: {$ref: 'https://not.allowed/x.yaml'}
    Own: {$ref: '#/components/schemas/Pet'}
"""
FILES = {
    "api/pets.yaml": PETS,
    "api/paths.yaml": "pets: {get: {schema: {$ref: '#/list'}}}\n"
    "list: {items: {$ref: schemas/pet.json}, next: {$ref: '#/list'}}\n",
    "api/schemas/pet.json": '{"type": "object", "properties": {"mother": {"$ref": "pet.json"},'
    ' "owner": {"$ref": "../pets.yaml#/components/schemas/Own"}}}',
    "api/plain.yaml": "openapi: 3.0.0 # as it is\n",
}


def test_placeholders_of_a_repository(reader, vendor):
    github(vendor, FILES)
    vendor.etags = True
    other = f"{vendor.url}/acme/other/blob/main/x.yaml"
    place = f"url:{vendor.url}/acme/app/blob/main/a/catalog-info.yaml"
    content = parsed(
        reader,
        place,
        api("text", {"$text": "../api/plain.yaml"}),
        api("root", {"$text": "/api/plain.yaml"}),
        api("plain", {"$openapi": "/api/plain.yaml"}),
        api("link", {"type": "url", "url": f"{vendor.url}/acme/app/blob/main/api/plain.yaml"}),
        api("kept", {"type": "url", "url": f"{vendor.url}/acme/app/blob/main/nope.yaml"}),
        api("other", {"$text": other}),
        api("gone", {"$text": "./nope.yaml"}),
        api("host", {"$text": "https://not.allowed/x.yaml"}),
    )
    text = FILES["api/plain.yaml"]
    assert definitions(content) == {
        "text": text,
        "root": text,
        "plain": text,
        "link": text,
        "kept": {"type": "url", "url": f"{vendor.url}/acme/app/blob/main/nope.yaml"},
        "host": "https://not.allowed/x.yaml",
    }
    assert refusals(content) == [
        (
            "API other",
            "spec.definition.$text",
            f"spec.definition.$text: {other}: it lies in another repository, acme/other",
        ),
        (
            "API gone",
            "spec.definition.$text",
            "spec.definition.$text: ./nope.yaml: GitHub has no a/nope.yaml in acme/app (main)",
        ),
    ]
    assert content.journal.rejected[0].document["metadata"] == {"name": "other"}
    assert [one.findings[0].message for one in content.journal.warnings] == [
        f"spec.definition was not fetched from {vendor.url}/acme/app/blob/main/nope.yaml: "
        "GitHub has no nope.yaml in acme/app (main); its address is kept",
        "spec.definition was not fetched from https://not.allowed/x.yaml; its address is kept",
    ]
    assert [(one.place, bool(one.etag), len(one.hash)) for one in content.reads] == [
        (f"url:{vendor.url}/acme/app/tree/main/api/plain.yaml", True, 16),
        (f"url:{vendor.url}/acme/app/blob/main/api/plain.yaml", True, 16),
    ]


def test_an_api_takes_in_what_it_refers_to(reader, vendor):
    github(vendor, FILES)
    place = f"url:{vendor.url}/acme/app/blob/main/catalog-info.yaml"
    content = parsed(reader, place, api("pets", {"$openapi": "./api/pets.yaml"}))
    assert (
        definitions(content)["pets"]
        == """\
openapi: 3.0.0
paths:
  /pets:
    get:
      schema:
        items:
          type: object
          properties:
            mother:
              $ref: '#/paths/~1pets/get/schema/items'
            owner:
              $ref: '#/components/schemas/Own'
        next:
          $ref: '#/paths/~1pets/get/schema'
  /more:
    $ref: '#/paths/~1pets'
components:
  schemas:
    Pet:
      $ref: '#/paths/~1pets/get/schema/items'
    Elsewhere:
      $ref: https://not.allowed/x.yaml
    Own:
      $ref: '#/components/schemas/Pet'
"""
    )
    assert [one.place.rpartition("/")[2] for one in content.reads] == [
        "pets.yaml",
        "paths.yaml",
        "pet.json",
    ]


def test_a_json_api_stays_json(reader, vendor):
    part = {"get": {"limit": 2**70, "x": "é"}, "$ref": "#/get"}
    files = {"a.json": '{"a": {"$ref": "b.json", "b": 1}, "c": {"$ref": "a.json#/a"}}'}
    github(vendor, {**files, "b.json": json.dumps(part | {"$ref": 1})})
    place = f"url:{vendor.url}/acme/app/blob/main/catalog-info.yaml"
    content = parsed(reader, place, api("a", {"$openapi": "a.json"}))
    assert definitions(content)["a"].startswith('{\n  "a": {\n    "get"')
    assert json.loads(definitions(content)["a"]) == {
        "a": {**part, "$ref": 1, "b": 1},
        "c": {"$ref": "#/a"},
    }


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("a: {$ref: nope.yaml}", "GitHub has no nope.yaml in acme/app (main)"),
        ("a: {$ref: 'x.yaml#/b'}", "$ref x.yaml#/b leads to nothing: there is no b"),
        ("a: [", "a.yaml:1: did not find expected node content"),
        ("a: {$ref: 'x.yaml', b: 1}", "its references lead more than 200 levels deep"),
    ],
)
def test_a_reference_that_leads_nowhere(reader, vendor, file, message):
    github(vendor, {"a.yaml": file, "x.yaml": "{$ref: x.yaml, c: 1}"})
    place = f"url:{vendor.url}/acme/app/blob/main/catalog-info.yaml"
    content = parsed(reader, place, api("pets", {"$asyncapi": "a.yaml"}))
    [(_, field, said)] = refusals(content)
    assert field == "spec.definition.$asyncapi"
    assert said == f"spec.definition.$asyncapi: a.yaml: {message}"


def test_the_files_of_one_document_are_bounded(reader, vendor, monkeypatch):
    monkeypatch.setattr("catalog.dialects.backstage.placeholders.MAX_READS", 1)
    github(vendor, {"a": "a", "b": "b"})
    place = f"url:{vendor.url}/acme/app/blob/main/catalog-info.yaml"
    content = parsed(
        reader, place, api("a", {"$text": "a"}), api("b", {"$text": "b"}), api("c", {"$text": "a"})
    )
    assert list(definitions(content)) == ["a", "c"]


def location(name, **spec):
    return json.dumps(
        {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Location",
            "metadata": {"name": name},
            "spec": spec,
        }
    )


def test_what_a_location_leads_to(reader, vendor):
    github(vendor, {})
    root = f"url:{vendor.url}/acme/app"
    content = parsed(
        reader,
        f"{root}/blob/main/a/catalog-info.yaml",
        location("one", target="./b.yaml", targets=["/c/*.yaml", "https://else.where/d.yaml"]),
        location("two", target="./b.yaml", presence="optional", type="url"),
        location("three", target="/etc/passwd", type="file"),
    )
    assert [(one.place, one.is_optional, one.field) for one in content.targets] == [
        (f"{root}/tree/main/a/b.yaml", False, "spec.target"),
        (f"{root}/tree/main/c/*.yaml", False, "spec.targets[0]"),
        ("url:https://else.where/d.yaml", False, "spec.targets[1]"),
        (f"{root}/tree/main/a/b.yaml", True, "spec.target"),
    ]
    assert [one.findings[0].message for one in content.journal.warnings] == [
        'spec.target: /etc/passwd: the type "file" may not be named from url'
    ]


def test_strictly_as_backstage_does_it(reader, tmp_path):
    file = tmp_path / "catalog-info.yaml"
    (tmp_path / "a.txt").write_text("a")
    place = f"file:{file}"
    reader = PlaceReader(roots=[tmp_path])
    good = api("good", "text")
    lenient = parsed(reader, place, good, "- list", api("bad", ""))
    assert (list(definitions(lenient)), len(refusals(lenient)), lenient.is_out) == (
        ["good"], 2, False,
    )  # fmt: skip
    for broken in ("- list", "a: [", "kind: API"):
        strict = parsed(reader, place, good, broken, strict=True)
        assert (strict.candidates, strict.is_out, len(strict.journal.rejected)) == ([], True, 1)
    strict = parsed(
        reader,
        place,
        good,
        api("bad", ""),
        api("relative", {"$text": "./a.txt"}),
        api("host", {"$text": "https://not.allowed/x"}),
        api("link", {"type": "url", "url": "https://not.allowed/x"}),
        api("module", {"$openapi": "./a.txt"}),
        location("type", type="github", target="https://not.allowed/x"),
        strict=True,
    )
    assert (list(definitions(strict)), strict.is_out) == (["good"], False)
    assert [entity for entity, *_ in refusals(strict)] == [
        "API bad",
        "API relative",
        "API host",
        "API link",
        "API module",
        "Location type",
    ]
    assert refusals(strict)[1][2] == (
        f"spec.definition.$text: ./a.txt: could not form a URL out of {place} and ./a.txt"
    )


# --- the import -------------------------------------------------------------------------------


def test_an_import_reads_what_is_allowed_and_tells_of_the_rest(vendor, db, tmp_path, capsys):
    allow({"host": host_of(vendor)})
    vendor.text("/apis/x.yaml", "openapi: 3.0.0")
    vendor.text("/more/catalog-info.yaml", api("remote", {"$text": "../apis/x.yaml"}))
    file = tmp_path / "catalog-info.yaml"
    file.write_text(
        "\n---\n".join(
            [
                location(
                    "all",
                    targets=[
                        f"{vendor.url}/more/catalog-info.yaml",
                        f"{vendor.url}/nope.yaml",
                        "https://not.allowed/x.yaml",
                    ],
                ),
                location("maybe", target=f"{vendor.url}/nope-2.yaml", presence="optional"),
                api("local", {"$text": f"{vendor.url}/apis/x.yaml"}),
                api("kept", {"$text": "https://not.allowed/x.yaml"}),
            ]
        )
    )
    call_command("import_catalog", str(file), format="json", verbosity=0)
    report = json.loads(capsys.readouterr().out)
    assert report["totals"] == {"created": 5, "rejected": 1}
    [rejected] = report["rejected"]
    assert rejected["file"] == f"{vendor.url}/nope.yaml"
    assert rejected["findings"][0]["message"] == f"there is no {vendor.url}/nope.yaml"
    assert [one["findings"][0]["message"] for one in report["warnings"]] == [
        "https://not.allowed/x.yaml was not read: nothing may be read from not.allowed",
        "spec.definition was not fetched from https://not.allowed/x.yaml; its address is kept",
    ]
    remote = Entity.objects.get(identifier="remote")
    assert remote.location == f"url:{vendor.url}/more/catalog-info.yaml"
    assert remote.properties["definition"] == "openapi: 3.0.0"
    assert Entity.objects.get(identifier="local").properties["definition"] == "openapi: 3.0.0"

    call_command("import_catalog", str(file), format="json", verbosity=0)
    assert json.loads(capsys.readouterr().out)["totals"] == {"unchanged": 5, "rejected": 1}


# --- real catalogues --------------------------------------------------------------------------

LOCATIONS = (
    "catalog-model-examples/all.yaml",
    "catalog-model-examples/acme-corp.yaml",
    "create-app-example/template/template.yaml",
    "demo-docs/catalog-info.yaml",
    "edge-cases/location.yaml",
    "software-templates/docs-template/template.yaml",
    "software-templates/springboot-grpc-template/template.yaml",
)


def test_strictly_the_recorded_catalogue_of_backstage_comes_out(vendor, db, test_data, tmp_path):
    folder = test_data / "backstage"
    for file in folder.rglob("*"):
        if file.is_file():
            vendor.text(f"/{file.relative_to(folder)}", file.read_bytes())
    allow({"host": host_of(vendor)})
    files = []
    for number, path in enumerate(LOCATIONS):
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_text(location(f"root-{number}", target=f"{vendor.url}/{path}"))
    reading = Reading(
        map(str, files), is_custom_kind=lambda kind: False, strict=True, reader=PlaceReader
    )
    found = {one.key for one in reading}
    recorded = json.loads((folder / "golden" / "026-entities-all-refs.json").read_text())
    expected = {
        key_of({"apiVersion": "x/v1", **one})
        for one in recorded["response"]["body"]
        if not one["metadata"]["name"].startswith("generated-")  # Backstage's own Locations
    }
    roots = {("location", f"root-{number}") for number in range(len(LOCATIONS))}
    assert expected - found == set()
    assert found - expected - roots == {  # whose kind the rules of that Backstage forbid
        ("component", "only-via-disallowed"),
        ("location", "edge-disallowed-kind"),
    }
    assert len(reading.journal.rejected) == 25


@pytest.mark.parametrize(
    ("base", "refused"),
    [
        ("url:http://127.0.0.1:1/acme/app/blob/main/x.yaml", False),
        ("url:http://127.0.0.1:1/acme/other/blob/main/x.yaml", True),
        ("url:http://127.0.0.1:2/x.yaml", True),
        ("file:/opened/x.yaml", False),
    ],
)
def test_what_a_token_may_read_is_shown_by_documents_beside_it(db, base, refused):
    with PlaceReader() as reader:
        reader.forges._forges = [GitHubForge(None, "http://127.0.0.1:1")]
        reader._allow = [{"host": "127.0.0.1:*"}]
        with pytest.raises(FileRefused) if refused else nullcontext():
            reader.check_content(base, "url:http://127.0.0.1:1/acme/app/blob/main/key.pem")


def test_a_file_takes_in_files_of_its_own_repository_and_none_of_gits(db, tmp_path, settings):
    settings.IDP_FILES = [str(tmp_path)]
    for name in ("a/.git/config", "a/docs/api.yaml", "b/.git/config", "b/key.pem", "c/x.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x: 1")
    (tmp_path / "a/link.yaml").symlink_to("../b/key.pem")
    (tmp_path / "a/catalog-info.yaml").write_text("x: 1")

    def refusal(base, place):
        with PlaceReader() as reader:
            try:
                place = reader.resolve(f"file:{tmp_path}/{base}", place)
                reader.check_content(f"file:{tmp_path}/{base}", place)
                reader.read(place)
            except FileRefused as error:
                return error.message
        return ""

    assert refusal("a/catalog-info.yaml", "./docs/api.yaml") == ""
    assert refusal("c/x.yaml", "../b/key.pem") == ""  # one folder of descriptors, no repositories
    for place in ("../b/key.pem", "./link.yaml", f"{tmp_path}/b/key.pem"):
        assert refusal("a/catalog-info.yaml", place) == "it lies in another repository"
    assert refusal("a/catalog-info.yaml", ".git/config") == "it is one of Git's own files"
