"""GitHub against a small server that pages, limits, fails and recovers as GitHub does."""

import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from catalog.ingest.sources.github import GitHub
from catalog.ingest.sources.github import api as github_api
from catalog.kernel.errors import (
    InvalidInput,
    UpstreamError,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamUnavailable,
)
from catalog.kernel.http import Client
from catalog.kernel.source import Connection
from tests.vendors import Answer, failing, garbage, hang_up, limited, refused, slow

kind = GitHub()


def connect(url, log=lambda level, message: None, *, http=None, **settings):
    given = {"apiUrl": url, "token": "t1", "organizations": ["acme"], **settings}
    return Connection(given, http or Client(), log)


def pages(connection, name, selector=None, cursor=None):
    return list(kind.fetch(connection, kind.resource(name), selector or {}, cursor))


def listed(*about, **more):
    return [item for page in pages(*about, **more) for item in page.items]


def repository(name, **rest):
    return {
        "name": name,
        "full_name": f"acme/{name}",
        "owner": {"login": "acme", "type": "Organization"},
        "default_branch": "main",
        "archived": False,
        "fork": False,
        "private": False,
        **rest,
    }


def serve(vendor, *names, size=100):
    vendor.json("/users/acme", {"login": "acme", "type": "Organization"})
    vendor.pages("/orgs/acme/repos", [repository(name) for name in names], size=size)
    for name in names:
        vendor.json(f"/repos/acme/{name}", repository(name))
    return vendor


def numbered(count):
    return [{"number": number, "id": number} for number in range(1, count + 1)]


# --- lists ------------------------------------------------------------------------------------


def test_lists_are_read_to_their_end_with_our_credentials(vendor):
    serve(vendor, "a", "b", "c", size=2).require("authorization", "Bearer t1")
    assert [one["full_name"] for one in listed(connect(vendor.url), "repository")] == [
        "acme/a",
        "acme/b",
        "acme/c",
    ]
    assert vendor.paths[-1].endswith("page=2")


def test_what_is_in_a_repository_names_it(vendor):
    serve(vendor, "a", "b")
    vendor.pages("/repos/acme/a/releases", numbered(3), size=2)
    vendor.pages("/repos/acme/b/releases", numbered(1))
    found = listed(connect(vendor.url), "release")
    assert [(one["__organization"], one["__repository"], one["number"]) for one in found] == [
        ("acme", "a", 1),
        ("acme", "a", 2),
        ("acme", "a", 3),
        ("acme", "b", 1),
    ]


@pytest.mark.parametrize("at", range(6))
def test_a_list_goes_on_where_any_cursor_stands(vendor, at):
    serve(vendor, "a", "b", "c", size=2)
    vendor.pages("/repos/acme/a/releases", numbered(3), size=2)
    vendor.pages("/repos/acme/b/releases", [])
    vendor.pages("/repos/acme/c/releases", numbered(5), size=2)
    whole = pages(connect(vendor.url), "release")
    assert len(whole) == 6
    assert whole[-1].next is None
    assert all(page.next for page in whole[:-1])
    cursor = json.loads(json.dumps(whole[at].next))  # as it comes back from the database
    rest = pages(connect(vendor.url), "release", cursor=cursor) if cursor else []
    assert [page.items for page in rest] == [page.items for page in whole[at + 1 :]]


def test_a_cursor_whose_repository_is_gone_begins_its_page_anew(vendor):
    serve(vendor, "a", "b")
    vendor.pages("/repos/acme/a/releases", numbered(1))
    vendor.pages("/repos/acme/b/releases", numbered(1))
    cursor = {"parents": None, "parent": "acme/away", "children": "/repositories/9/releases?page=2"}
    assert len(listed(connect(vendor.url), "release", cursor=cursor)) == 2


def test_settings_narrow_the_repositories(vendor):
    serve(vendor)
    marked = [
        repository("plain"),
        repository("old", archived=True),
        repository("copy", fork=True),
        repository("own", private=True),
    ]
    vendor.pages("/orgs/acme/repos", marked)

    def names(**settings):
        return [one["name"] for one in listed(connect(vendor.url, **settings), "repository")]

    assert names() == ["plain", "old", "copy", "own"]
    assert names(skipArchived=True) == ["plain", "copy", "own"]
    assert names(skipForks=True, visibility="public") == ["plain", "old"]
    assert names(visibility="private") == ["own"]


def test_single_repositories_are_asked_for_by_name(vendor):
    serve(vendor, "a", "b", "c")
    settings = {"organizations": [], "repositories": ["acme/c", "acme/a"]}
    connection = connect(vendor.url, **settings)
    assert [one["name"] for one in listed(connection, "repository")] == ["c", "a"]
    first = pages(connection, "repository")[0]
    assert [one["name"] for one in listed(connection, "repository", cursor=first.next)] == ["a"]


def test_without_names_a_token_reads_what_it_can_see(vendor):
    vendor.pages("/user/repos", [repository("a")])
    assert len(listed(connect(vendor.url, organizations=[]), "repository")) == 1
    with pytest.raises(InvalidInput, match="Without a token or an app"):
        listed(connect(vendor.url, organizations=[], token=""), "repository")


def test_a_search_that_github_cuts_is_no_complete_list(vendor):
    serve(vendor, "a")
    vendor.json("/search/repositories", {"total_count": 1, "items": [repository("a")]})
    found = listed(connect(vendor.url), "repository", {"repoSearch": {"query": "topic:web"}})
    assert [one["name"] for one in found] == ["a"]
    assert vendor.calls[-1].query["q"] == "topic:web user:acme fork:true"
    vendor.json("/search/repositories", {"total_count": 4000, "items": [repository("a")]})
    with pytest.raises(UpstreamError, match="4000 repositories and gives 1000"):
        listed(connect(vendor.url), "repository", {"repoSearch": {"query": "topic:web"}})


def test_pull_requests_are_open_ones_and_young_closed_ones(vendor):
    serve(vendor, "a")
    now = datetime.now(UTC)
    closed = [
        {"number": n, "updated_at": f"{now - timedelta(days=21 * n):%Y-%m-%dT%H:%M:%SZ}"}
        for n in range(1, 9)
    ]

    @vendor.route("/repos/acme/a/pulls")
    def _(call):
        if call.query["state"] == "open":
            return [{"number": 100}]
        page = int(call.query.get("page", 1))
        link = f'<{vendor.url}/repos/acme/a/pulls?state=closed&page={page + 1}>; rel="next"'
        return Answer(200, closed[2 * page - 2 : 2 * page], {"link": link})

    def numbers(**selector):
        found = listed(connect(vendor.url), "pull-request", selector)
        return [one["number"] for one in found]

    assert numbers() == [100]
    assert numbers(states=["open", "closed"]) == [100, 1, 2]
    assert numbers(states=["closed"], since=90) == [1, 2, 3, 4]
    assert numbers(states=["closed"], since=90, maxResults=3) == [1, 2, 3]
    with pytest.raises(InvalidInput, match="closedSinceDate is 'soon'"):
        numbers(states=["closed"], closedSinceDate="soon")


def test_runs_are_those_of_each_workflow(vendor):
    serve(vendor, "a")
    workflows = [{"id": 7, "name": "Build"}, {"id": 8, "name": "Deploy"}]
    vendor.json("/repos/acme/a/actions/workflows", {"total_count": 2, "workflows": workflows})
    for one in (7, 8):
        runs = {"workflow_runs": [{"id": one * 10, "workflow_id": one}]}
        vendor.json(f"/repos/acme/a/actions/workflows/{one}/runs", runs)
    connection = connect(vendor.url)
    whole = pages(connection, "workflow-run", {"maxRuns": 5, "since": 7})
    assert [page.items[0]["id"] for page in whole] == [70, 80]
    assert vendor.calls[-1].query["per_page"] == "5"
    assert vendor.calls[-1].query["created"].startswith(">=20")
    assert [one["id"] for one in listed(connection, "workflow-run", cursor=whole[0].next)] == [80]
    first = listed(connection, "workflow")[0]
    assert (first["type"], first["repo"]["name"], first["__repository"]) == ("workflow", "a", "a")
    assert kind.resource("github-workflow").name == "workflow"


def test_teams_bring_their_members_and_people_their_names(vendor):
    serve(vendor)
    vendor.pages("/orgs/acme/teams", [{"id": 3, "slug": "core", "name": "Core"}])

    @vendor.route("/graphql", method="POST")
    def _(call):
        asked = call.json()["variables"]
        is_first = asked["after"] is None
        people = {
            "nodes": [{"login": "ada" if is_first else "bob"}],
            "pageInfo": {"hasNextPage": is_first, "endCursor": "c1"},
        }
        inner = {"team": {"members": people}} if "slug" in asked else {"membersWithRole": people}
        return {"data": {"organization": inner}}

    connection = connect(vendor.url)
    (team,) = listed(connection, "team")
    assert [one["login"] for one in team["members"]["nodes"]] == ["ada", "bob"]
    assert (team["databaseId"], team["__organization"]) == (3, "acme")
    assert "members" not in listed(connection, "team", {"members": "false"})[0]
    whole = pages(connection, "user")
    assert [page.items for page in whole] == [[{"login": "ada"}], [{"login": "bob"}]]
    assert listed(connection, "user", cursor=whole[0].next) == [{"login": "bob"}]


def test_what_graphql_refuses_is_told_in_its_words(vendor):
    serve(vendor)
    vendor.json("/graphql", {"errors": [{"message": "Needs read:org"}]}, method="POST")
    with pytest.raises(UpstreamError, match="Needs read:org"):
        listed(connect(vendor.url), "user")
    vendor.json("/graphql", {"data": {"organization": None}}, method="POST")
    with pytest.raises(UpstreamNotFound, match="knows no organization"):
        listed(connect(vendor.url), "user")


def test_secrets_that_were_found_in_code_are_not_read(vendor):
    serve(vendor, "a")
    vendor.pages("/repos/acme/a/secret-scanning/alerts", [{"number": 1, "secret": "hunter2"}])
    assert listed(connect(vendor.url), "secret-scanning-alerts")[0]["secret"] is None
    assert vendor.calls[-1].query["hide_secret"] == "true"


def test_branches_and_repositories_bring_more_when_asked(vendor):
    serve(vendor, "a")
    main = {"name": "main", "protected": True, "commit": {"sha": "1"}}
    vendor.pages("/repos/acme/a/branches", [main, {"name": "fix/x", "protected": False}])
    vendor.json("/repos/acme/a/branches/main", {**main, "_links": {}})
    vendor.json("/repos/acme/a/branches/main/protection", {"enforce_admins": True})
    vendor.pages("/repos/acme/a/teams", [{"slug": "core"}])
    vendor.json("/repos/acme/a/collaborators", {"message": "Must have push access"}, status=403)
    connection = connect(vendor.url)
    found = listed(connection, "branch", {"protectionRules": True})
    assert [one["__is_default_branch"] for one in found] == [True, False]
    assert [one["__protection_rules"] for one in found] == [{"enforce_admins": True}, None]
    (only,) = listed(connection, "branch", {"defaultBranchOnly": True})
    assert "_links" in only
    relations = {"teams": True, "collaborators": {"affiliation": "direct"}, "sbom": True}
    (one,) = listed(connection, "repository", {"includedRelations": relations})
    assert (one["__teams"], one["__collaborators"], one["__sbom"]) == ([{"slug": "core"}], None, {})


# --- files and folders ------------------------------------------------------------------------


def blob(path, size=10):
    return {"path": path, "type": "blob", "size": size, "sha": path}


def tree(path):
    return {"path": path, "type": "tree", "sha": f"tree-{path}"}


def serve_files(vendor, files):
    @vendor.route("/repos/acme/a/contents/*")
    @vendor.route("/repos/acme/a/contents/*/*")
    @vendor.route("/repos/acme/a/contents/*/*/*")
    def _(call):
        path = call.path.removeprefix("/repos/acme/a/contents/")
        if path not in files:
            return Answer(404, {"message": "Not Found"})
        content = base64.encodebytes(files[path].encode()).decode()
        return {
            "type": "file",
            "encoding": "base64",
            "path": path,
            "size": len(files[path]),
            "content": content,
        }


FILES = {
    "README.md": "# A",
    "services/x/app.yaml": "name: x\nport: 80\n",
    "services/y/app.yaml": "name: [",
    "services/y/data.json": '{"a": 1}',
}


def serve_tree(vendor):
    serve(vendor, "a")
    entries = [tree("services"), tree("services/x"), tree("services/y"), *map(blob, FILES)]
    huge = blob("services/z.yaml", size=2_000_000)
    vendor.json("/repos/acme/a/git/trees/main", {"tree": [*entries, huge], "truncated": False})
    serve_files(vendor, FILES)


def test_files_come_with_their_content_parsed_by_their_name(vendor):
    serve_tree(vendor)
    said = []
    connection = connect(vendor.url, lambda level, message: said.append(message))
    selector = {
        "files": [{"path": "services/**/*.yaml"}, {"path": "**/*.json"}, {"path": "missing.json"}],
        "includedFiles": ["README.md"],
    }
    found = {one["path"]: one for one in listed(connection, "file", selector)}
    assert {path: one["content"] for path, one in found.items()} == {
        "services/x/app.yaml": {"name": "x", "port": 80},
        "services/y/app.yaml": "name: [",  # does not parse: its text
        "services/y/data.json": {"a": 1},
    }
    one = found["services/x/app.yaml"]
    assert (one["name"], one["branch"], one["organization"]) == ("app.yaml", "main", "acme")
    assert one["file"]["content"] == one["content"]
    assert one["repo"]["name"] == one["repository"]["name"] == "a"
    assert one["metadata"]["size"] == 17
    assert one["__includedFiles"] == {"README.md": None}  # beside the file, where there is none
    assert said == ["acme/a: services/z.yaml is left out, it has more than 1024 KiB"]
    raw = listed(
        connection, "file", {"files": [{"path": "services/x/app.yaml", "skipParsing": True}]}
    )
    assert raw[0]["content"] == FILES["services/x/app.yaml"]


def test_files_and_folders_may_be_of_some_repositories_and_branches(vendor):
    serve_tree(vendor)
    vendor.json("/repos/acme/a/git/trees/next", {"tree": [tree("services")], "truncated": False})
    connection = connect(vendor.url)

    def folders(**entry):
        found = listed(connection, "folder", {"folders": [entry]})
        return [(one["folder"]["path"], one["folder"]["name"], one["__branch"]) for one in found]

    assert folders(path="services/*") == [
        ("services/x", "x", "main"),
        ("services/y", "y", "main"),
    ]
    assert folders(path="*", repos=[{"name": "A", "branch": "next"}]) == [
        ("services", "services", "next")
    ]
    assert folders(path="*", repos=["other"]) == []
    assert folders(path="*", organization="other") == []
    text = {"folders": [{"path": "services/x", "includedFiles": ["app.yaml"]}]}
    (one,) = listed(connection, "folder", text | {"includedFiles": ["README.md"]})
    assert one["__includedFiles"] == {"README.md": "# A", "app.yaml": FILES["services/x/app.yaml"]}
    with pytest.raises(InvalidInput, match="does not say which folders to read"):
        listed(connection, "folder", {})


def test_a_tree_that_github_cuts_is_read_folder_by_folder(vendor):
    serve(vendor, "a")
    serve_files(vendor, FILES)

    @vendor.route("/repos/acme/a/git/trees/*")
    def _(call):
        sha = call.path.rpartition("/")[2]
        if sha == "main" and "recursive" in call.query:
            return {"tree": [blob("README.md")], "truncated": True}
        return {
            "main": {"tree": [tree("docs"), tree("services"), blob("README.md")]},
            "tree-services": {"tree": [tree("x"), blob("x/app.yaml"), blob("y/app.yaml")]},
        }[sha]

    found = listed(connect(vendor.url), "file", {"files": [{"path": "services/*/app.yaml"}]})
    assert [one["path"] for one in found] == ["services/x/app.yaml", "services/y/app.yaml"]
    assert not [call for call in vendor.paths if "tree-docs" in call]  # nothing can match there


def test_files_go_on_where_a_cursor_stands(vendor):
    serve(vendor, "a")
    many = {f"d/f{number:02}.txt": str(number) for number in range(60)}
    vendor.json("/repos/acme/a/git/trees/main", {"tree": [blob(path) for path in many]})
    serve_files(vendor, many)
    selector = {"files": [{"path": "d/*"}]}
    whole = pages(connect(vendor.url), "file", selector)
    assert [len(page.items) for page in whole] == [25, 25, 10]
    rest = listed(connect(vendor.url), "file", selector, cursor=whole[1].next)
    assert [one["content"] for one in rest] == [str(number) for number in range(50, 60)]


# --- nothing there, or not for us -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path", "status", "message"),
    [
        ("issue", "issues", 410, "Issues has been disabled in this repository."),
        ("tag", "tags", 409, "Git Repository is empty."),
        ("branch", "branches", 409, "Git Repository is empty."),
        ("environment", "environments", 404, "Not Found"),
        ("dependabot-alert", "dependabot/alerts", 403, "Dependabot alerts are disabled for this"),
        ("code-scanning-alerts", "code-scanning/alerts", 404, "no analysis found"),
        ("code-scanning-alerts", "code-scanning/alerts", 403, "Advanced Security must be enabled"),
        ("secret-scanning-alerts", "secret-scanning/alerts", 404, "Secret scanning is disabled"),
    ],
)
def test_a_repository_may_have_none_of_a_kind(vendor, name, path, status, message):
    serve(vendor, "a", "b")
    vendor.json(f"/repos/acme/a/{path}", {"message": message}, status=status)
    vendor.pages(f"/repos/acme/b/{path}", [{"number": 1, "name": "x"}], key=_key(name))
    assert len(listed(connect(vendor.url), name)) == 1


def _key(name):
    return "environments" if name == "environment" else ""


@pytest.mark.parametrize(
    ("status", "message"),
    [(403, "Resource not accessible by integration"), (404, "Not Found"), (500, "Oh no")],
)
def test_a_refused_list_is_no_empty_one(vendor, status, message):
    """The others are read, and then it is said: nothing may be taken as deleted."""
    serve(vendor, "a", "b")
    vendor.json("/repos/acme/a/releases", {"message": message}, status=status)
    vendor.pages("/repos/acme/b/releases", numbered(2))
    read = []
    with pytest.raises(UpstreamError, match=message):  # noqa: PT012
        for page in kind.fetch(connect(vendor.url), kind.resource("release"), {}):
            read += page.items
    assert len(read) == (0 if status == 500 else 2)  # a server in trouble is left alone


def test_a_repository_that_goes_while_we_read_is_no_trouble(vendor):
    serve(vendor, "a", "b")
    vendor.json("/repos/acme/a", {"message": "Not Found"}, status=404)
    vendor.json("/repos/acme/a/releases", {"message": "Not Found"}, status=404)
    vendor.pages("/repos/acme/b/releases", numbered(2))
    assert len(listed(connect(vendor.url), "release")) == 2


def test_a_token_that_may_read_none_of_a_kind_is_not_asked_a_thousand_times(vendor):
    serve(vendor, *(f"r{number}" for number in range(30)))
    vendor.json("/repos/acme/*/collaborators", {"message": "Must have push access"}, status=403)
    with pytest.raises(UpstreamError) as caught:
        listed(connect(vendor.url), "collaborator")
    assert "acme/r0: " in caught.value.message
    assert "and 7 more" in caught.value.message
    assert len([path for path in vendor.paths if "collaborators" in path]) == 10


# --- bad days ---------------------------------------------------------------------------------


def test_limits_failures_and_slow_answers_are_waited_for(vendor):
    serve(vendor, "a", "b", "c", size=1)
    vendor.trouble("/orgs/acme/repos", limited(after=0), limited(after=0, status=403))
    vendor.trouble("/orgs/acme/repos", failing(), failing(502), when={"page": "2"})
    vendor.trouble("/orgs/acme/repos", hang_up(), slow(0.2), when={"page": "3"})
    assert len(listed(connect(vendor.url), "repository")) == 3


def test_a_page_that_stays_away_is_no_end(vendor):
    serve(vendor, *"abcdefg", size=1)
    vendor.trouble("/orgs/acme/repos", failing(), when={"page": "3"}, times=99)
    read = []
    with pytest.raises(UpstreamUnavailable, match="answered 500: Something broke"):  # noqa: PT012
        for page in kind.fetch(connect(vendor.url), kind.resource("repository"), {}):
            read.append(page)
    assert [page.items[0]["name"] for page in read] == ["a", "b"]
    vendor._troubles.clear()
    rest = listed(connect(vendor.url), "repository", cursor=read[-1].next)
    assert [one["name"] for one in rest] == list("cdefg")


def test_what_is_no_json_or_no_list_is_said(vendor):
    serve(vendor, "a")
    vendor.trouble("/orgs/acme/repos", garbage())
    with pytest.raises(UpstreamError, match="not JSON"):
        listed(connect(vendor.url), "repository")
    vendor.json("/orgs/acme/repos", {"surprise": True})
    with pytest.raises(UpstreamError, match="answered with no list"):
        listed(connect(vendor.url), "repository")


def test_a_token_that_expires_is_refused_and_not_shown(vendor):
    serve(vendor, "a", "b", "c", size=1)
    vendor.trouble("*", refused(), after=3)
    with pytest.raises(UpstreamRefused) as caught:
        listed(connect(vendor.url, token="ghp_secret"), "repository")
    assert "Bad credentials" in caught.value.message
    assert "ghp_secret" not in str(caught.value) + str(caught.value.details)


def test_unchanged_pages_cost_no_rate_limit(vendor):
    serve(vendor, "a", "b", "c", size=2)
    vendor.etags = True
    first = listed(connect(vendor.url), "repository")
    vendor.calls.clear()
    assert listed(connect(vendor.url), "repository") == first
    assert [call.status for call in vendor.calls] == [304, 304, 304]
    vendor.calls.clear()
    listed(connect(vendor.url, token="t2"), "repository")  # sees what it sees itself
    assert [call.status for call in vendor.calls] == [200, 200, 200]


def test_links_of_a_server_behind_a_proxy_stay_with_the_address_of_the_settings(vendor):
    serve(vendor)
    vendor.json("/api/v3/users/acme", {"login": "acme", "type": "Organization"})
    link = {
        "link": '<https://elsewhere.example.com/api/v3/organizations/1/repos?page=2>; rel="next"'
    }
    vendor.json("/api/v3/orgs/acme/repos", [repository("a")], headers=link)
    vendor.json("/api/v3/organizations/1/repos", [repository("b")])
    found = listed(connect(f"{vendor.url}/api/v3/"), "repository")
    assert [one["name"] for one in found] == ["a", "b"]
    assert vendor.paths[-1] == "GET /api/v3/organizations/1/repos?page=2"


# --- apps -------------------------------------------------------------------------------------


@pytest.fixture
def app(vendor, monkeypatch):
    """An app with one installation; `app.tokens` counts what it was given."""
    monkeypatch.setattr(github_api, "_tokens", {})
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    vendor.key = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    vendor.life = timedelta(hours=1)
    vendor.tokens = []
    account = {"login": "acme", "type": "Organization"}
    installation = {"id": 5, "account": account, "permissions": {"metadata": "read"}}

    def proven(answer):
        def handler(call):
            scheme, _, proof = call.headers["authorization"].partition(" ")
            claims = jwt.decode(proof, key.public_key(), algorithms=["RS256"])
            assert (scheme, claims["iss"]) == ("Bearer", "77")
            return answer(call)

        return handler

    def give(_call):
        vendor.tokens.append(f"ghs_{len(vendor.tokens) + 1}")
        expires = f"{datetime.now(UTC) + vendor.life:%Y-%m-%dT%H:%M:%SZ}"
        return Answer(201, {"token": vendor.tokens[-1], "expires_at": expires})

    vendor.route("/app")(proven(lambda _call: {"name": "Catalogue reader"}))
    vendor.route("/app/installations")(proven(lambda _call: [installation]))
    vendor.route("/app/installations/5")(proven(lambda _call: installation))
    vendor.route("/app/installations/5/access_tokens", "POST")(proven(give))

    @vendor.route("/installation/repositories")
    def _(call):
        if call.headers["authorization"] != f"Bearer {vendor.tokens[-1]}":
            return refused()
        others = repository("x") | {"full_name": "other/x"}
        return {"total_count": 2, "repositories": [repository("a"), others]}

    return vendor


def as_app(vendor, **settings):
    given = {"token": "", "appId": 77, "privateKey": vendor.key, **settings}
    return connect(vendor.url, **given)


def test_an_app_reads_what_it_is_installed_for_with_one_token(app):
    connection = as_app(app, installationId="5")
    assert [one["name"] for one in listed(connection, "repository")] == ["a"]
    assert len(listed(as_app(app, installationId="5"), "repository")) == 1
    assert app.tokens == ["ghs_1"]
    assert len(listed(as_app(app), "repository")) == 1  # the only installation there is


def test_a_token_of_an_app_is_renewed_before_it_expires_and_when_it_is_revoked(app):
    app.life = timedelta(minutes=4)
    connection = as_app(app, installationId=5)
    listed(connection, "repository")
    listed(connection, "repository")
    assert app.tokens == ["ghs_1", "ghs_2"]
    app.life = timedelta(hours=1)
    listed(connection, "repository")
    app.tokens.append("ghs_revoked_the_others")
    assert len(listed(connection, "repository")) == 1
    assert app.tokens[-1] == "ghs_5"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"privateKey": ""}, "privateKey is missing"),
        ({"appId": ""}, "appId is missing"),
        ({"privateKey": "nonsense"}, "no private key in PEM form"),
        ({"organizations": ["nowhere"]}, "which one is meant: acme"),
    ],
)
def test_wrong_settings_of_an_app_are_named(app, given, message):
    with pytest.raises(InvalidInput, match=message):
        listed(as_app(app, **given), "repository")


# --- the check --------------------------------------------------------------------------------


def test_the_check_says_who_we_are_and_what_we_see(vendor):
    serve(vendor, "a", "b", "c", "d")
    headers = {
        "x-oauth-scopes": "repo, read:org",
        "x-ratelimit-limit": "5000",
        "x-ratelimit-remaining": "4999",
        "github-authentication-token-expiration": "2031-01-01 00:00:00 UTC",
    }
    vendor.json("/user", {"login": "ada"}, headers=headers)
    assert kind.check(connect(vendor.url)) == [
        "Signed in as ada.",
        "Scopes of the token: repo, read:org.",
        "The token expires on 2031-01-01 00:00:00 UTC.",
        "4999 of 5000 requests are left this hour.",
        "4 repositories can be read: acme/a, acme/b, acme/c, …",
    ]
    with pytest.raises(InvalidInput, match="no organisation or user 'nobody'"):
        kind.check(connect(vendor.url, organizations=["nobody"]))
    vendor.json("/user", {"message": "Bad credentials"}, status=401)
    with pytest.raises(UpstreamRefused, match="Bad credentials"):
        kind.check(connect(vendor.url))


def test_the_check_of_an_app_names_its_rights(app):
    serve(app)
    assert kind.check(as_app(app)) == [
        "Signed in as the app Catalogue reader, installed for acme.",
        "It may read: metadata (read).",
        "1 repository can be read: acme/a.",
    ]


# --- recorded answers -------------------------------------------------------------------------


def test_recorded_answers_are_read_as_github_gave_them(vendor, test_data):
    folder = test_data / "github" / "rest"
    recorded = json.loads((folder / "paginate-issues.normalized.json").read_text())
    hello = json.loads((folder / "get-repository.normalized.json").read_text())[0]["response"]
    owner = {"login": "octokit-fixture-org", "type": "Organization"}
    vendor.json("/users/octokit-fixture-org", owner)
    vendor.json("/orgs/octokit-fixture-org/repos", [hello])
    answers = {one["path"]: one for one in recorded}
    first = recorded[0]["path"]

    @vendor.route("/repos/octokit-fixture-org/hello-world/issues")
    def _(_call):
        return Answer(200, answers[first]["response"], {"link": answers[first]["headers"]["link"]})

    @vendor.route("/repositories/*/issues")
    def _(call):
        one = next(
            one
            for path, one in answers.items()
            if path.startswith(call.path) and f"page={call.query['page']}" in path.split("&")
        )
        return Answer(200, one["response"], {"link": one["headers"]["link"]})

    connection = connect(vendor.url, organizations=["octokit-fixture-org"])
    issues = listed(connection, "issue")
    assert len(issues) == 13
    assert len({one["id"] for one in issues}) == 13
    assert issues[0]["__repository"] == "hello-world"
