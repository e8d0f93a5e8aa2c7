"""GitLab against a small server that pages, limits, fails and recovers as GitLab does."""

import base64
import json

import pytest
import yaml

from catalog.ingest.mapping import map_items, parse_mapping
from catalog.ingest.sources.gitlab import GitLab
from catalog.kernel.errors import (
    InvalidInput,
    NotAuthenticated,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from catalog.kernel.http import Client
from catalog.kernel.source import Connection, Event
from tests.vendors import Answer, failing, garbage, limited, refused

kind = GitLab()
API = "/api/v4"


def connect(url, log=lambda level, message: None, **settings):
    given = {"url": url, "token": "t1", "groups": ["shop"], "webhookSecret": "s1", **settings}
    return Connection(given, Client(), log)


def pages(connection, name, selector=None, cursor=None):
    return list(kind.fetch(connection, kind.resource(name), selector or {}, cursor))


def listed(*about, **more):
    return [item for page in pages(*about, **more) for item in page.items]


def project(number, **rest):
    return {
        "id": number,
        "name": f"P{number}",
        "path_with_namespace": f"shop/p{number}",
        "default_branch": "main",
        **rest,
    }


def serve(vendor, *projects, size=100):
    vendor.pages(f"{API}/groups/shop/projects", list(projects), style="gitlab", size=size)
    for one in projects:
        vendor.json(f"{API}/projects/{one['id']}", one)
    return vendor


def test_projects_of_groups_are_read_to_their_end_with_our_token(vendor):
    serve(vendor, *map(project, range(1, 6)), size=2).require("authorization", "Bearer t1")
    assert [one["id"] for one in listed(connect(vendor.url), "project")] == [1, 2, 3, 4, 5]
    asked = vendor.calls[0].query
    assert (asked["include_subgroups"], asked["pagination"], asked["order_by"]) == (
        "true",
        "keyset",
        "id",
    )


def test_single_projects_and_all_projects(vendor):
    serve(vendor, project(1))
    vendor.json(f"{API}/projects/other%2Fp9", project(9))
    connection = connect(vendor.url, projects=["other/p9"])
    whole = pages(connection, "project")
    assert [one["id"] for page in whole for one in page.items] == [1, 9]
    assert [one["id"] for one in listed(connection, "project", cursor=whole[0].next)] == [9]
    vendor.json(f"{API}/projects", [project(1), project(2, archived=True)])
    connection = connect(vendor.url, groups=[], skipArchived=True)
    assert [one["id"] for one in listed(connection, "project")] == [1]
    assert vendor.calls[-1].query["membership"] == "true"
    listed(connect(vendor.url, groups=[], allVisible=True), "project")
    assert "membership" not in vendor.calls[-1].query


def test_projects_that_wait_for_their_deletion_are_gone(vendor):
    serve(vendor, project(1), project(2, marked_for_deletion_on="2031-01-01"))
    assert [one["id"] for one in listed(connect(vendor.url), "project")] == [1]


def test_projects_bring_what_the_selector_asks_for(vendor):
    serve(vendor, project(1))
    vendor.json(f"{API}/projects/1/languages", {"Go": 90.5})
    vendor.json(f"{API}/projects/1/labels", {"message": "403 Forbidden"}, status=403)
    vendor.json(f"{API}/projects/1/search", [{"path": "port.yml"}])
    vendor.json(f"{API}/projects/1/repository/files/README.md", content("# P1"))
    selector = {
        "includeLanguages": "true",
        "includeLabels": True,
        "includedFiles": ["README.md", "CODEOWNERS"],
        "searchQueries": [{"name": "hasPort", "query": "filename:port.yml"}],
    }
    (one,) = listed(connect(vendor.url), "project", selector)
    assert one["__languages"] == {"Go": 90.5}
    assert one["__labels"] == []
    assert one["__includedFiles"] == {"README.md": "# P1", "CODEOWNERS": None}
    assert one["__searchQueries"] == {"hasPort": True}


def content(text):
    return {
        "file_name": "f",
        "file_path": "f",
        "size": len(text),
        "encoding": "base64",
        "ref": "main",
        "content": base64.b64encode(text.encode()).decode(),
    }


def test_groups_and_their_members(vendor):
    serve(vendor)
    vendor.json(f"{API}/groups/shop", {"id": 9, "full_path": "shop"})
    vendor.json(f"{API}/groups/shop/descendant_groups", [{"id": 10, "full_path": "shop/pay"}])
    people = [{"username": "ada"}, {"username": "group_9_bot_ab12"}]
    vendor.pages(f"{API}/groups/9/members", people, style="gitlab", size=1)
    vendor.json(f"{API}/groups/10/members", [{"username": "bob"}])
    connection = connect(vendor.url)
    assert [one["full_path"] for one in listed(connection, "group")] == ["shop", "shop/pay"]
    found = listed(connection, "group-with-members")
    assert [[one["username"] for one in group["__members"]] for group in found] == [
        ["ada"],
        ["bob"],
    ]
    assert [one["username"] for one in listed(connection, "member")] == ["ada", "bob"]
    with_bots = listed(connection, "member", {"includeBotMembers": True})
    assert len(with_bots) == 3


def test_merge_requests_come_state_by_state_and_go_on_anywhere(vendor):
    serve(vendor, project(1), project(2))
    for number in (1, 2):

        @vendor.route(f"{API}/projects/{number}/merge_requests")
        def _(call, number=number):
            page = int(call.query.get("page", 1))
            body = [{"iid": f"{number}-{call.query['state']}-{page}"}]
            link = f'<{vendor.url}{call.path}?state={call.query["state"]}&page=2>; rel="next"'
            return Answer(200, body, {"link": link} if page == 1 else {})

    connection = connect(vendor.url)
    whole = pages(connection, "merge-request", {"states": ["merged", "opened"]})
    names = [page.items[0]["iid"] for page in whole]
    assert names == [
        f"{number}-{state}-{page}"
        for number in (1, 2)
        for state in ("opened", "merged")
        for page in (1, 2)
    ]
    assert whole[0].items[0]["__project"]["path_with_namespace"] == "shop/p1"
    for at, page in enumerate(whole[:-1]):
        cursor = json.loads(json.dumps(page.next))
        rest = pages(connection, "merge-request", {"states": ["merged", "opened"]}, cursor)
        assert [one.items[0]["iid"] for one in rest] == names[at + 1 :]
    asked = [call.query for call in vendor.calls if call.path.endswith("merge_requests")]
    assert "updated_after" not in asked[0]
    assert "updated_after" in asked[2]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("issue", "issues"),
        ("pipeline", "pipelines"),
        ("job", "jobs"),
        ("release", "releases"),
        ("tag", "repository/tags"),
        ("deployment", "deployments"),
    ],
)
def test_what_is_in_a_project_brings_the_project_along(vendor, name, path):
    serve(vendor, project(1))
    vendor.json(f"{API}/projects/1/{path}", [{"id": 1}])
    (one,) = listed(connect(vendor.url), name)
    assert one["__project"]["path_with_namespace"] == "shop/p1"


def test_branches(vendor):
    serve(vendor, project(1), project(2, default_branch=None), project(3, empty_repo=True))
    vendor.json(f"{API}/projects/1/repository/branches/main", {"name": "main"})
    vendor.json(f"{API}/projects/1/repository/branches", [{"name": "main"}, {"name": "fix/x"}])
    connection = connect(vendor.url)
    assert [one["name"] for one in listed(connection, "branch")] == ["main"]
    found = listed(connection, "branch", {"defaultBranchOnly": False})
    assert [one["name"] for one in found] == ["main", "fix/x"]


FILES = {"services/x/app.yaml": "a: 1\n", "services/y.json": '{"b": 2}'}


def serve_files(vendor):
    serve(vendor, project(1))
    entries = [
        {"path": "services/x", "name": "x", "type": "tree"},
        *({"path": path, "name": path, "type": "blob"} for path in FILES),
    ]

    @vendor.route(f"{API}/projects/1/repository/tree")
    def _(call):
        base = call.query.get("path", "")
        if base not in ("", "services"):
            return Answer(404, {"message": "404 Tree Not Found"})
        return entries

    @vendor.route(f"{API}/projects/1/repository/files/*")
    def _(call):
        path = call.path.rpartition("/")[2].replace("%2F", "/")
        if path not in FILES:
            return Answer(404, {"message": "404 File Not Found"})
        return content(FILES[path])


def test_files_and_folders(vendor):
    serve_files(vendor)
    connection = connect(vendor.url)
    selector = {"files": {"path": "services/**", "repos": ["p1"]}}
    found = {one["file"]["path"]: one for one in listed(connection, "file", selector)}
    assert {path: one["file"]["content"] for path, one in found.items()} == {
        "services/x/app.yaml": {"a": 1},
        "services/y.json": {"b": 2},
    }
    assert found["services/y.json"]["repo"]["id"] == 1
    assert listed(connection, "file", {"files": {"path": "*", "repos": ["shop/p2"]}}) == []
    folders = listed(connection, "folder", {"folders": [{"path": "services/*"}]})
    assert [one["folder"]["path"] for one in folders] == ["services/x"]
    assert listed(connection, "folder", {"folders": [{"path": "docs/*"}]}) == []
    with pytest.raises(InvalidInput, match="does not say which files to read"):
        listed(connection, "file", {})


# --- nothing there, or not for us -------------------------------------------------------------


def test_a_feature_that_is_switched_off_means_nothing_there(vendor):
    serve(vendor, project(1, issues_access_level="disabled"), project(2))
    vendor.json(f"{API}/projects/2/issues", [{"iid": 1}])
    assert len(listed(connect(vendor.url), "issue")) == 1
    assert vendor.unknown == []


def test_a_refused_list_is_no_empty_one(vendor):
    serve(vendor, project(1), project(2))
    vendor.json(f"{API}/projects/1/pipelines", {"message": "403 Forbidden"}, status=403)
    vendor.json(f"{API}/projects/2/pipelines", [{"id": 1}])
    read = []
    with pytest.raises(UpstreamError, match=r"1 of the projects .* shop/p1: .* 403 Forbidden"):  # noqa: PT012
        for page in kind.fetch(connect(vendor.url), kind.resource("pipeline"), {}):
            read += page.items
    assert len(read) == 1


def test_a_project_that_goes_while_we_read_is_no_trouble(vendor):
    serve(vendor, project(1), project(2))
    vendor.json(f"{API}/projects/1", {"message": "404 Project Not Found"}, status=404)
    vendor.json(f"{API}/projects/2/releases", [{"tag_name": "v1"}])
    assert len(listed(connect(vendor.url), "release")) == 1


def test_bad_days(vendor):
    serve(vendor, *map(project, range(1, 8)), size=1)
    path = f"{API}/groups/shop/projects"
    vendor.trouble(path, limited(after=0), failing(), failing(503))
    assert len(listed(connect(vendor.url), "project")) == 7
    vendor.trouble(path, failing(), when={"page": "3"}, times=5)
    with pytest.raises(UpstreamUnavailable, match="answered 500"):
        listed(connect(vendor.url), "project")
    vendor.trouble(path, garbage())
    with pytest.raises(UpstreamError, match="not JSON"):
        listed(connect(vendor.url), "project")
    vendor.trouble("*", refused(message="401 Token is expired"), after=2)
    with pytest.raises(UpstreamRefused, match="Token is expired"):
        listed(connect(vendor.url), "project")


def test_the_check_says_who_we_are_and_what_we_see(vendor):
    serve(vendor, project(1), project(2))
    headers = {"ratelimit-limit": "2000", "ratelimit-remaining": "1999"}
    vendor.json(f"{API}/user", {"username": "ada"}, headers=headers)
    vendor.json(f"{API}/groups/shop", {"id": 9, "full_path": "shop"})
    token = {"scopes": ["read_api"], "expires_at": "2031-01-01"}
    vendor.json(f"{API}/personal_access_tokens/self", token)
    assert kind.check(connect(vendor.url)) == [
        "Signed in as ada.",
        "Scopes of the token: read_api.",
        "The token expires on 2031-01-01.",
        "1999 of 2000 requests are left this minute.",
        "2 projects can be read: shop/p1, shop/p2.",
    ]
    with pytest.raises(InvalidInput, match="no group 'nobody'"):
        kind.check(connect(vendor.url, groups=["nobody"]))


# --- live events ------------------------------------------------------------------------------

EVERYTHING = {one.name: [{}] for one in kind.resources} | {
    "file": [{"files": [{"path": "**/*.yaml"}]}],
    "folder": [{"folders": [{"path": "services/*"}]}],
}


def event(body, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Event({"x-gitlab-token": "s1", "x-gitlab-event-uuid": "u1"} | headers, {}, raw)


def changes(vendor, body, wanted=EVERYTHING, **settings):
    connection = connect(vendor.url, **{"groups": [], **settings})
    return list(kind.changes(connection, event(body), wanted))


def said(found):
    return [f"{one.kind}{'*' if one.is_gone else ''}" for one in found]


@pytest.fixture
def gitlab(vendor):
    """Knows whatever it is asked for."""

    @vendor.route("*")
    def _(call):
        name = call.path.rpartition("/")[2]
        path = f"group/{name}"
        if call.path.endswith("/members"):
            return []
        return {"id": name, "iid": 1, "name": name, "path_with_namespace": path, "full_path": path}

    return vendor


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        ("webhooks/deployment", ["deployment"]),
        ("webhooks/issue", ["issue"]),
        ("webhooks/merge_request", ["merge-request"]),
        ("webhooks/pipeline", ["pipeline"]),
        ("webhooks/push", ["branch"]),
        ("webhooks/release", ["release"]),
        ("systemhooks/project_create", ["project", "project-with-members"]),
        ("systemhooks/user_add_to_team", ["project-with-members"]),
    ],
)
def test_real_deliveries_are_understood(gitlab, test_data, delivery, expected):
    raw = (test_data / "gitlab" / f"{delivery}.json").read_bytes()
    assert said(changes(gitlab, raw)) == expected
    assert changes(gitlab, raw, groups=["somewhere-else"]) == []


HOOK = {"path_with_namespace": "group/7", "project_id": 7}
GROUP = {"group_id": 9, "path": "shop", "full_path": "shop", "name": "Shop"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"object_kind": "note"}, []),
        ({"event_name": "key_create"}, []),
        ({"object_kind": "build", "build_id": 3, "project_id": 7}, ["job"]),
        ({"object_kind": "tag_push", "ref": "refs/tags/v1", "project_id": 7}, ["tag"]),
        (
            {"object_kind": "tag_push", "ref": "refs/tags/v1", "after": "0" * 40, "project_id": 7},
            ["tag*"],
        ),
        (
            {"object_kind": "release", "tag": "v1", "action": "delete", "project": {"id": 7}},
            ["release*"],
        ),
        (
            {"object_kind": "push", "ref": "refs/heads/x", "after": "0" * 40, "project_id": 7},
            ["branch*"],
        ),
        (
            {"event_name": "project_destroy", **HOOK},
            ["project*", "project-with-members*"],
        ),
        (
            {"event_name": "project_rename", "old_path_with_namespace": "group/old", **HOOK},
            ["project*", "project", "project-with-members*", "project-with-members"],
        ),
        ({"event_name": "group_create", **GROUP}, ["group", "group-with-members"]),
        ({"event_name": "subgroup_destroy", **GROUP}, ["group*", "group-with-members*"]),
        (
            {"event_name": "user_add_to_group", "group_id": 9, "user_id": 3},
            ["group-with-members", "member"],
        ),
        (
            {"event_name": "user_remove_from_group", "group_id": 9, "user_id": 3},
            ["group-with-members"],
        ),
    ],
)
def test_events_and_what_they_say(gitlab, body, expected):
    assert said(changes(gitlab, body)) == expected


def test_a_push_brings_the_files_and_folders_that_it_touched(vendor):
    serve_files(vendor)
    vendor.json(f"{API}/projects/1/repository/branches/main", {"name": "main"})
    commits = [{"added": ["services/x/app.yaml"], "removed": ["services/old/app.yaml"]}]
    body = {"object_kind": "push", "ref": "refs/heads/main", "project_id": 1, "commits": commits}
    found = changes(vendor, body)
    assert said(found) == ["branch", "project", "file", "file*", "folder", "folder*"]
    assert found[2].item["file"]["content"] == {"a": 1}
    for one in found:
        resource = kind.resource(one.kind)
        assert kind.selects(resource, EVERYTHING[one.kind][0], one.item) is True


def test_an_object_that_is_away_by_now_is_gone(vendor):
    serve(vendor, project(1))
    body = {"object_kind": "pipeline", "object_attributes": {"id": 5}, "project": {"id": 1}}
    (one,) = changes(vendor, body)
    assert (one.is_gone, one.item["id"]) == (True, 5)


@pytest.mark.parametrize("body", [b"no json", b"[]", b'{"object_kind": "issue"}'])
def test_what_cannot_be_understood_is_said(vendor, body):
    with pytest.raises(InvalidInput):
        changes(vendor, body)


@pytest.mark.parametrize(
    ("secret", "token", "message"),
    [
        ("", "s1", "no secret for"),
        ("s1", "", "X-Gitlab-Token is missing"),
        ("s1", "s2", "does not fit"),
    ],
)
def test_events_without_our_secret_are_refused(secret, token, message):
    with pytest.raises(NotAuthenticated, match=message):
        kind.verify(event({}, **{"x-gitlab-token": token}), {"webhookSecret": secret})


def test_deliveries_are_told_apart_although_they_share_a_uuid():
    kind.verify(event({}), {"webhookSecret": "s1"})
    assert kind.delivery(event({"a": 1})) == kind.delivery(event({"a": 1}))
    assert kind.delivery(event({"a": 1})) != kind.delivery(event({"a": 2}))
    assert kind.delivery(event({}, **{"x-gitlab-event-uuid": ""})) == ""


@pytest.mark.parametrize(
    ("name", "selector", "item", "expected"),
    [
        ("merge-request", {}, {"state": "merged"}, False),
        ("merge-request", {"states": ["merged"]}, {"state": "merged"}, True),
        ("issue", {"labels": "bug, ui"}, {"labels": ["bug"]}, False),
        ("pipeline", {"apiQueryParams": {"ref": "main"}}, {"ref": "fix"}, False),
        ("branch", {}, {"name": "x", "__project": {"default_branch": "main"}}, False),
        ("deployment", {"environment": "prod"}, {"environment": {"name": "prod"}}, True),
        ("group", {}, {}, True),
    ],
)
def test_selectors_mean_of_events_what_they_mean_of_lists(name, selector, item, expected):
    assert kind.selects(kind.resource(name), selector, item) is expected


# --- recorded answers, and Port's mapping -----------------------------------------------------


def test_recorded_merge_requests_go_through_the_default_mapping(vendor, test_data):
    serve(vendor, project(1))
    recorded = json.loads((test_data / "gitlab/api/get_merge_requests.json").read_text())
    vendor.json(f"{API}/projects/1/merge_requests", recorded)
    found = listed(connect(vendor.url), "merge-request")
    mapping = parse_mapping(kind.mapping(), kind=kind)
    (resource,) = [one for one in mapping.resources if one.kind == "merge-request"]
    batch = map_items(resource, found)
    assert batch.problems == []
    assert [one.body["properties"]["number"] for one in batch.entities] == [
        one["iid"] for one in recorded
    ]


def test_ports_own_mapping_finds_all_it_asks_for(test_data):
    path = test_data / "port/ocean/gitlab/port-app-config.yaml"
    (resource,) = parse_mapping(yaml.safe_load(path.read_text()), kind=kind).resources
    assert resource.selector["includedFiles"] == ["README.md"]
    labelled = [one | {"__labels": [{"name": "bug"}]} for one in kind.samples()["project"]]
    (one,) = map_items(resource, labelled).entities
    assert one.body["identifier"] == "shop/checkout"
    assert one.body["properties"]["language"] == "Python"
    assert one.body["properties"]["readme"].startswith("# Checkout")
