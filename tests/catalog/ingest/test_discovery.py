"""Discovery on GitHub and GitLab: descriptors become locations; people and teams become ours."""

import hashlib
import hmac
from urllib.parse import unquote

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.ingest import live
from catalog.ingest.integrations import (
    create_source,
    delete_source,
    try_connection,
    update_source,
)
from catalog.ingest.locations.refresh import refresh_due
from catalog.ingest.locations.registering import register
from catalog.ingest.ownership import delete_held, undo_deletions
from catalog.kernel.errors import InvalidInput
from catalog.models import Entity, Integration, Location, Owned, SyncMessage, SyncRun
from tests.catalog.ingest.toy import sync
from tests.factories import ACTOR, make_entity
from tests.vendors import Answer, failing, limited

pytestmark = pytest.mark.django_db
State = SyncRun.State


# --- a GitHub that answers GraphQL as far as discovery asks -------------------------------------


class Hub:
    """Organisations with repositories ({name: {"files": […], …}}), people and teams."""

    def __init__(self, vendor, **organizations):
        self.vendor = vendor
        self.organizations = organizations
        self.people, self.teams = [], []
        self.size = 100
        vendor.route("/graphql", method="POST")(self.graphql)
        for owner in organizations:
            vendor.json(f"/users/{owner}", {"login": owner, "type": "Organization"})
        vendor.route("/repos/*/*/git/trees/*")(self.tree)
        vendor.route("/repos/*/*")(self.rest)
        self.former = {}

    def graphql(self, call):
        asked, said = call.json()["variables"], call.json()["query"]
        if "repositoryOwner" in said:
            owner = asked["login"]
            if owner not in self.organizations:
                return {"data": {"repositoryOwner": None}}
            names = sorted(self.organizations[owner])
            nodes = [self.node(owner, name, asked) for name in names]
            return {"data": {"repositoryOwner": {"repositories": self.page(nodes, asked)}}}
        if "repository(owner" in said:
            owner, name = asked["owner"], asked["name"]
            if name not in self.organizations.get(owner, {}):
                words = f"Could not resolve to a Repository with the name '{owner}/{name}'."
                return {"data": {"repository": None}, "errors": [{"message": words}]}
            return {"data": {"repository": self.node(owner, name, asked)}}
        if "membersWithRole" in said:
            found = {"membersWithRole": self.page(self.people, asked)}
        elif "teams(first" in said:
            found = {"teams": self.page([self.team(one) for one in self.teams], asked)}
        elif "team(slug" in said:
            one = next((one for one in self.teams if one["slug"] == asked["slug"]), None)
            found = {"team": one and self.team(one)}
        else:
            one = next((one for one in self.people if one["login"] == asked["person"]), None)
            return {"data": {"user": one}}
        return {"data": {"organization": found}}

    def page(self, nodes, asked):
        start = int(asked.get("after") or 0)
        end = start + self.size
        info = {"hasNextPage": end < len(nodes), "endCursor": str(end)}
        return {"nodes": nodes[start:end], "pageInfo": info}

    def node(self, owner, name, asked):
        about = self.organizations[owner][name]
        branch = about.get("branch", "main")
        path = asked["expression"].partition(":")[2]
        head = {"name": branch, "target": {"oid": f"commit-of-{name}-{len(about['files'])}"}}
        topics = [{"topic": {"name": one}} for one in about.get("topics", ())]
        node = {
            "nameWithOwner": f"{owner}/{name}",
            "url": f"https://github.test/{owner}/{name}",
            "isArchived": about.get("archived", False),
            "isFork": about.get("fork", False),
            "isEmpty": about.get("empty", False),
            "visibility": about.get("visibility", "PUBLIC"),
            "repositoryTopics": {"nodes": topics},
            "defaultBranchRef": None if about.get("empty") else head,
        }
        if asked["isChosen"]:
            chosen = asked["reference"].removeprefix("refs/heads/")
            there = chosen in about.get("branches", ())
            node["chosen"] = {**head, "name": chosen} if there else None
        if asked["isLooking"]:
            node["file"] = {"__typename": "Blob"} if path in about["files"] else None
        return node

    def team(self, one):
        nodes = [{"login": login} for login in one.get("members", ())]
        return {
            "slug": one["slug"],
            "name": one.get("name", one["slug"].title()),
            "description": None,
            "url": f"https://github.test/orgs/acme/teams/{one['slug']}",
            "avatarUrl": None,
            "privacy": "VISIBLE",
            "parentTeam": {"slug": one["parent"]} if "parent" in one else None,
            "members": {"nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": None}},
        }

    def tree(self, call):
        _, _, owner, name, *_ = call.path.split("/")
        files = self.organizations[owner][name]["files"]
        return {"tree": [{"path": path, "type": "blob"} for path in files], "truncated": False}

    def rest(self, call):
        _, _, owner, name = call.path.split("/")
        owner, name = self.former.get(f"{owner}/{name}", f"{owner}/{name}").split("/")
        if name not in self.organizations.get(owner, {}):
            return Answer(404, {"message": "Not Found"})
        page = f"https://github.test/{owner}/{name}"
        return {"full_name": f"{owner}/{name}", "html_url": page}


def repository(*files, **about):
    return {"files": list(files or ["catalog-info.yaml"]), **about}


def person(login, **about):
    return {
        "login": login,
        "name": None,
        "bio": None,
        "email": "",
        "url": f"https://github.test/{login}",
        "avatarUrl": f"https://avatars.test/{login}",
        "organizationVerifiedDomainEmails": [],
        **about,
    }


def make_hub_source(vendor, **settings):
    return create_source(
        identifier="gh",
        kind="github",
        actor=ACTOR,
        settings={
            "apiUrl": vendor.url,
            "token": "t0p-secret",
            "organizations": ["acme"],
            "webhookSecret": "hush",
            **settings,
        },
        mapping={"resources": []},
    )


def make_discovery(kind="github-discovery", **settings):
    return create_source(identifier="finder", kind=kind, actor=ACTOR, settings=settings)


def targets():
    return sorted(
        one.removeprefix("https://github.test/")
        for one in Location.objects.values_list("target", flat=True)
    )


def file(name, path="catalog-info.yaml", branch="main"):
    return f"acme/{name}/blob/{branch}/{path}"


# --- what is found ------------------------------------------------------------------------------


def test_each_descriptor_becomes_a_location_of_the_source(vendor):
    hub = Hub(vendor, acme={"a": repository(), "b": repository("README.md"), "c": repository()})
    hub.size = 2
    make_hub_source(vendor)
    finder = make_discovery()
    run = sync(finder)
    assert (run.state, run.error) == (State.SUCCEEDED, "")
    assert targets() == [file("a"), file("c")]
    row = Location.objects.get(target__contains="/a/")
    assert (row.provider, row.integration, row.presence, row.type) == (
        "discovered",
        finder,
        "required",
        "url",
    )
    assert row.next_refresh_at is not None
    entity = Entity.objects.get(identifier=row.entity_ref.removeprefix("location:default/"))
    assert entity.blueprint.identifier == "location"
    assert entity.properties["target"] == row.target
    assert run.totals["created"] == 2
    assert len(vendor.calls) == 2  # a page each; no repository is asked by itself
    again = sync(finder)
    assert (again.totals["created"], again.totals["unchanged"], again.stale["state"]) == (
        0,
        2,
        "none",
    )


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, ["plain", "private", "tagged"]),
        ({"allowForks": False}, ["plain", "private", "tagged"]),
        ({"allowArchived": True}, ["old", "plain", "private", "tagged"]),
        ({"repository": "pl.*|tag"}, ["plain"]),
        ({"repository": "^.*g.*$"}, ["tagged"]),
        ({"topicInclude": ["backstage"]}, ["tagged"]),
        ({"topicExclude": ["backstage"]}, ["plain", "private"]),
        ({"visibility": ["private", "internal"]}, ["private"]),
        ({"branch": "next"}, ["private"]),
        ({"organizations": ["other"]}, ["elsewhere"]),
        ({"catalogPath": "**/catalog-info.yaml"}, ["deep", "plain", "private", "tagged"]),
        ({"catalogPath": "/sub/**/*.{yml,yaml}"}, ["deep"]),
        ({"validateLocationsExist": False}, ["deep", "none", "plain", "private", "tagged"]),
    ],
)
def test_settings_say_which_repositories_are_meant(vendor, chosen, expected):
    found = {
        "plain": repository(),
        "old": repository(archived=True),
        "private": repository(visibility="PRIVATE", branches=["main", "next"]),
        "tagged": repository(topics=["backstage", "go"]),
        "none": repository("README.md"),
        "deep": repository("sub/a/catalog-info.yaml"),
        "nothing": repository(empty=True),
    }
    if chosen.get("allowForks") is False:
        found["copy"] = repository(fork=True)
    Hub(vendor, acme=found, other={"elsewhere": repository()})
    make_hub_source(vendor)
    sync(make_discovery(**chosen))
    assert [one.split("/")[1] for one in targets()] == expected
    if "branch" in chosen:
        assert targets() == [file("private", branch="next")]


def test_a_pattern_finds_several_descriptors_and_reads_no_tree_twice(vendor):
    files = ["catalog-info.yaml", "services/a b/catalog-info.yaml", "services/catalog-info.txt"]
    hub = Hub(vendor, acme={"mono": repository(*files), "b": repository("x")})
    make_hub_source(vendor)
    finder = make_discovery(catalogPath="**/catalog-info.yaml")
    sync(finder)
    assert targets() == [file("mono"), file("mono", "services/a%20b/catalog-info.yaml")]
    vendor.calls.clear()
    sync(finder)
    assert [one.method for one in vendor.calls] == ["POST"]
    hub.organizations["acme"]["b"]["files"].append("catalog-info.yaml")
    vendor.calls.clear()
    sync(finder)
    assert file("b") in targets()
    assert sum("trees" in one.path for one in vendor.calls) == 1


def test_an_empty_source_setting_means_the_only_source_there_is(vendor):
    with pytest.raises(InvalidInput, match="There is no github source to look with"):
        try_connection("github-discovery", {})
    Hub(vendor, acme={"a": repository(), "b": repository("x")})
    make_hub_source(vendor)
    assert try_connection("github-discovery", {}) == [
        "Looks into the repositories of acme.",
        "Of the first 2 repositories that are meant, 1 has a descriptor.",
    ]
    with pytest.raises(InvalidInput, match='no github source "nope"; expected one of: gh'):
        try_connection("github-discovery", {"source": "nope"})
    with pytest.raises(InvalidInput, match=r"repository is \(, no regular expression"):
        try_connection("github-discovery", {"repository": "("})
    with pytest.raises(InvalidInput, match="a path inside a repository"):
        try_connection("github-discovery", {"catalogPath": "../x"})


# --- what is gone -------------------------------------------------------------------------------


def test_what_vanishes_is_removed_and_too_much_of_it_is_held(vendor):
    names = "abcdefgh"
    hub = Hub(vendor, acme={name: repository() for name in names})
    make_hub_source(vendor)
    finder = make_discovery()
    sync(finder)
    del hub.organizations["acme"]["a"]
    hub.organizations["acme"]["b"]["files"] = []
    run = sync(finder)
    assert (run.stale["state"], run.stale["deleted"]) == ("deleted", 2)
    assert targets() == [file(name) for name in "cdefgh"]
    assert Entity.objects.filter(blueprint__identifier="location").count() == 6
    hub.organizations["acme"] = {"c": repository()}
    run = sync(finder)
    assert run.stale["state"] == "held"
    assert "more than the 50% that are deleted without asking" in run.stale["reason"]
    assert len(targets()) == 6
    assert delete_held(run, actor=ACTOR) == 5
    assert targets() == [file("c")]


def test_nothing_is_gone_after_a_pass_that_failed(vendor):
    hub = Hub(vendor, acme={"a": repository(), "b": repository()})
    hub.size = 1
    make_hub_source(vendor)
    finder = make_discovery()
    sync(finder)
    del hub.organizations["acme"]["b"]
    hub.organizations["acme"]["c"] = repository()
    vendor.trouble("/graphql", failing(), times=30, after=1)
    run = sync(finder)
    assert run.stale["state"] in ("none", "skipped")
    assert file("b") in targets()
    assert run.kinds[0]["state"] == "failed"
    assert "t0p-secret" not in str(run.kinds) + run.error


def test_a_tree_that_cannot_be_read_leaves_its_repository_alone(vendor):
    hub = Hub(vendor, acme={"a": repository(), "b": repository()})
    make_hub_source(vendor)
    finder = make_discovery(catalogPath="**/catalog-info.yaml")
    sync(finder)
    hub.organizations["acme"]["a"]["files"] = ["x", "y"]
    vendor.trouble("/repos/acme/a/git/trees/*", Answer(403, {"message": "Resource protected"}))
    run = sync(finder)
    assert run.kinds[0]["state"] == "failed"
    assert "1 of the repositories could not be read: acme/a" in run.kinds[0]["message"]
    assert targets() == [file("a"), file("b")]


def test_a_rate_limit_is_waited_for(vendor):
    Hub(vendor, acme={"a": repository()})
    make_hub_source(vendor)
    vendor.trouble("/graphql", limited(after=0.1), limited(after=0.1, status=403))
    # GraphQL says so with status 200 as well.
    spent = {"data": None, "errors": [{"type": "RATE_LIMITED", "message": "API rate limit"}]}
    vendor.trouble("/graphql", Answer(200, spent, {"retry-after": "0.1"}))
    assert sync(make_discovery()).state == State.SUCCEEDED
    assert targets() == [file("a")]


@pytest.mark.parametrize("change", ["renamed", "branch"])
def test_a_new_name_moves_the_location(vendor, change):
    hub = Hub(vendor, acme={"a": repository(), "b": repository(), "c": repository()})
    make_hub_source(vendor)
    finder = make_discovery()
    sync(finder)
    before = Location.objects.get(target__contains="/b/")
    entity = Entity.objects.get(identifier=before.entity_ref.removeprefix("location:default/"))
    if change == "renamed":
        hub.organizations["acme"]["b2"] = hub.organizations["acme"].pop("b")
        hub.former["acme/b"] = "acme/b2"
        expected = [file("a"), file("b2"), file("c")]
    else:
        hub.organizations["acme"]["b"]["branch"] = "trunk/next"
        expected = [file("a"), file("b", branch="trunk/next"), file("c")]
    run = sync(finder, is_dry_run=True)
    said = SyncMessage.objects.filter(run=run, message__contains="would move")
    assert said.count() == 1
    assert targets() == [file("a"), file("b"), file("c")]
    run = sync(finder)
    assert targets() == expected
    after = Location.objects.get(pk=before.pk)
    assert (after.entity_ref, after.created_at) == (before.entity_ref, before.created_at)
    assert Entity.objects.filter(pk=entity.pk).exists()
    assert (run.stale["deleted"], run.stale["found"]) == (0, 0)


def test_a_dry_run_foretells_and_stores_nothing(vendor):
    Hub(vendor, acme={"a": repository(), "b": repository()})
    make_hub_source(vendor)
    run = sync(make_discovery(), is_dry_run=True)
    assert (Location.objects.count(), run.totals["created"]) == (0, 2)
    told = list(SyncMessage.objects.filter(run=run).values_list("message", flat=True))
    assert f"https://github.test/{file('a')} would be registered" in told


def test_what_a_person_registered_stays_theirs(vendor):
    hub = Hub(vendor, acme={"a": repository(), "b": repository()})
    make_hub_source(vendor)
    target = f"https://github.test/{file('a')}"
    register("url", target, actor=ACTOR, refresh_now=False)
    finder = make_discovery()
    sync(finder)
    assert Location.objects.get(target=target).integration is None
    hub.organizations["acme"] = {"b": repository()}
    sync(finder)
    assert targets() == [file("a"), file("b")]


def test_two_sources_may_find_the_same_and_the_last_one_takes_it_along(vendor):
    hub = Hub(vendor, acme={"a": repository(), "b": repository(topics=["x"])})
    make_hub_source(vendor)
    first = make_discovery()
    second = create_source(identifier="second", kind="github-discovery", actor=ACTOR, settings={})
    sync(first)
    sync(second)
    update_source(first, actor=ACTOR, settings={"topicInclude": ["x"]})
    sync(first)
    assert Location.objects.get(target__contains="/a/").integration == second
    del hub.organizations["acme"]["a"]
    sync(second)
    assert targets() == [file("b")]


def test_the_number_of_statements_does_not_grow_with_the_repositories(vendor):
    hub = Hub(vendor, acme={f"r{n}": repository() for n in range(2)})
    make_hub_source(vendor)
    finder = make_discovery()
    sync(finder)
    hub.organizations["acme"] |= {f"new{n}": repository() for n in range(2)}

    def statements():
        with CaptureQueriesContext(connection) as seen:
            sync(finder)
        return len(seen)

    few = statements()
    hub.organizations["acme"] |= {f"more{n}": repository() for n in range(60)}
    assert statements() <= few + 2


# --- live events --------------------------------------------------------------------------------


def send(event, body, source="gh"):
    """Have GitHub tell the source of something, and the discovery hear it."""
    raw = orjson.dumps({**body, "organization": {"login": "acme"}})
    proof = hmac.new(b"hush", raw, hashlib.sha256).hexdigest()
    headers = {
        "x-github-event": event,
        "x-hub-signature-256": f"sha256={proof}",
        "content-type": "application/json",
    }
    live.receive(Integration.objects.get(identifier=source), headers, {}, raw)
    finder = Integration.objects.get(identifier="finder")
    live.process_waiting(finder.pk)
    return finder.events.first()


def about(name):
    return {
        "repository": {
            "full_name": f"acme/{name}",
            "name": name,
            "owner": {"login": "acme"},
            "default_branch": "main",
            "html_url": f"https://github.test/acme/{name}",
        }
    }


def pushed(name, *, added=(), removed=(), ref="refs/heads/main"):
    commits = [{"added": list(added), "removed": list(removed), "modified": []}]
    return {**about(name), "ref": ref, "commits": commits, "before": "1" * 40, "after": "2" * 40}


@pytest.fixture
def heard(vendor):
    hub = Hub(vendor, acme={"a": repository(), "b": repository("x")})
    make_hub_source(vendor)
    sync(make_discovery())
    vendor.calls.clear()
    return hub.organizations["acme"]


def test_a_push_that_adds_or_removes_a_descriptor_counts_at_once(heard, vendor):
    heard["b"]["files"] = ["catalog-info.yaml"]
    assert send("push", pushed("b", added=["catalog-info.yaml"])).state == "done"
    assert targets() == [file("a"), file("b")]
    assert Owned.objects.filter(entity__blueprint__identifier="location").count() == 2
    heard["a"]["files"] = []
    event = send("push", pushed("a", removed=["catalog-info.yaml"]))
    assert [one["status"] for one in event.results] == ["deleted"]
    assert targets() == [file("b")]
    vendor.calls.clear()
    for body in (
        pushed("a", added=["src/main.py"]),
        pushed("a", added=["catalog-info.yaml"], ref="refs/heads/draft"),
    ):
        assert send("push", body).state == "ignored"
    assert vendor.calls == []


def test_repositories_come_go_and_change_their_names(heard):
    heard["new"] = repository()
    send("repository", {"action": "created", **about("new")})
    assert targets() == [file("a"), file("new")]
    pk = Location.objects.get(target__contains="/new/").pk
    heard["newer"] = heard.pop("new")
    changes = {"repository": {"name": {"from": "new"}}}
    send("repository", {"action": "renamed", "changes": changes, **about("newer")})
    assert targets() == [file("a"), file("newer")]
    assert Location.objects.get(target__contains="/newer/").pk == pk
    heard["newer"]["archived"] = True
    send("repository", {"action": "archived", **about("newer")})
    assert targets() == [file("a")]
    del heard["a"]
    send("repository", {"action": "deleted", **about("a")})
    assert targets() == []
    assert send("repository", {"action": "deleted", **about("a")}).state == "ignored"


def test_an_event_that_cannot_be_understood_changes_nothing(heard):
    event = send("repository", {"action": "created", "repository": {}})
    assert event.state == "failed"
    assert "lacks what such an event says" in event.error
    assert targets() == [file("a")]


# --- people and teams ---------------------------------------------------------------------------


def user(identifier):
    return Entity.objects.get(blueprint__identifier="_user", identifier=identifier)


def team(identifier):
    return Entity.objects.get(blueprint__identifier="_team", identifier=identifier)


def test_people_and_teams_are_brought_in_and_known_people_are_linked(vendor):
    make_entity(
        "_user",
        "grace@example.com",
        title="Grace Hopper",
        properties={"email": "Grace@Example.com", "annotations": {"other": "kept"}},
    )
    hub = Hub(vendor, acme={})
    hub.people = [
        person("Ada", name="Ada Lovelace", bio="Writes programs"),
        person("grace-h", name="G", organizationVerifiedDomainEmails=["grace@example.com"]),
    ]
    hub.teams = [
        {"slug": "payments", "parent": "engineering", "members": ["Ada", "grace-h", "stranger"]},
        {"slug": "engineering"},
    ]
    make_hub_source(vendor)
    finder = make_discovery(users=True, teams=True)
    run = sync(finder)
    assert (run.state, run.error) == (State.SUCCEEDED, "")
    ada = user("ada")
    assert (ada.title, ada.properties["picture"]) == ("Ada Lovelace", "https://avatars.test/Ada")
    assert ada.properties["annotations"] == {"github.com/user-login": "Ada"}
    grace = user("grace@example.com")
    assert (grace.title, grace.properties["email"]) == ("Grace Hopper", "Grace@Example.com")
    assert grace.properties["annotations"] == {"other": "kept", "github.com/user-login": "grace-h"}
    payments = team("payments")
    assert payments.relations["parent"] == "engineering"
    assert payments.relations["members"] == ["ada", "grace@example.com"]
    assert payments.properties["annotations"] == {"github.com/team-slug": "acme/payments"}
    assert sync(finder).totals["unchanged"] == 4

    hub.people, hub.teams = [], [{"slug": "engineering"}]
    update_source(finder, actor=ACTOR, mapping={**finder.mapping, "entityDeletionThreshold": 1})
    run = sync(finder)
    assert not Entity.objects.filter(identifier__in=["ada", "payments"]).exists()
    assert user("grace@example.com").properties["email"] == "Grace@Example.com"
    assert (run.stale["deleted"], run.stale["released"]) == (2, 1)


def test_people_and_teams_alone(vendor):
    hub = Hub(vendor, acme={"shop": repository()})
    hub.people = [person("ada")]
    make_hub_source(vendor)
    finder = make_discovery(users=True)
    sync(finder)
    assert Location.objects.count() == 1
    update_source(
        finder,
        actor=ACTOR,
        settings={**finder.settings, "descriptors": False},
        mapping={**finder.mapping, "entityDeletionThreshold": 1},
    )
    vendor.calls.clear()
    run = sync(finder)
    assert (run.state, run.totals["unchanged"]) == (State.SUCCEEDED, 1)
    assert not [call for call in vendor.calls if "repositories(" in str(call.body)]
    assert not Location.objects.exists()


def test_of_several_organisations_each_is_a_namespace(vendor):
    hub = Hub(vendor, acme={}, other={})
    hub.teams = [{"slug": "core", "members": []}]
    make_hub_source(vendor, organizations=["acme", "other"])
    sync(make_discovery(teams=True))
    assert team("acme/core").properties["annotations"] == {"github.com/team-slug": "acme/core"}
    assert team("other/core")


def test_events_of_people_and_teams(vendor):
    hub = Hub(vendor, acme={})
    hub.people = [person("Ada"), person("bob")]
    hub.teams = [{"slug": "core", "members": ["Ada"]}]
    make_hub_source(vendor)
    sync(make_discovery(users=True, teams=True))
    hub.teams = [{"slug": "core", "members": ["Ada", "bob"]}]
    send("membership", {"action": "added", "team": {"slug": "core"}, "member": {"login": "bob"}})
    assert team("core").relations["members"] == ["ada", "bob"]
    hub.people.append(person("eve"))
    send("organization", {"action": "member_added", "membership": {"user": {"login": "eve"}}})
    assert user("eve")
    send("organization", {"action": "member_removed", "membership": {"user": {"login": "eve"}}})
    assert not Entity.objects.filter(identifier="eve").exists()
    send("team", {"action": "deleted", "team": {"slug": "core"}})
    assert not Entity.objects.filter(identifier="core").exists()


def test_nobody_is_read_unless_that_is_asked_for(vendor):
    hub = Hub(vendor, acme={"a": repository()})
    hub.people, hub.teams = [person("Ada")], [{"slug": "core", "members": ["Ada"]}]
    make_hub_source(vendor)
    sync(make_discovery())
    assert not Entity.objects.filter(blueprint__identifier__in=["_user", "_team"]).exists()
    assert len(vendor.calls) == 1


def test_without_a_token_what_is_public_is_found_by_its_trees(vendor):
    hub = Hub(vendor, acme={"a": repository(), "b": repository("x")})
    listed = [
        {
            "full_name": f"acme/{name}",
            "html_url": f"https://github.test/acme/{name}",
            "default_branch": "main",
            "topics": ["go"],
            "visibility": "public",
        }
        for name in hub.organizations["acme"]
    ]
    vendor.pages("/orgs/acme/repos", listed)
    make_hub_source(vendor, token="")
    sync(make_discovery(topicInclude=["go"]))
    assert targets() == [file("a")]


# --- GitLab -------------------------------------------------------------------------------------

API = "/api/v4"


class Lab:
    """A group `shop` with projects ({path: {"files": […], …}}) and groups below it."""

    def __init__(self, vendor, **projects):
        self.vendor = vendor
        self.projects = {
            path: {"files": ["catalog-info.yaml"], **one} for path, one in projects.items()
        }
        self.groups = ["shop"]
        self.members = {}
        self.numbers = {}
        vendor.route(f"{API}/groups/shop/projects")(lambda call: self.listed())
        vendor.route(f"{API}/projects/*")(self.project)
        vendor.route(f"{API}/projects/*/repository/files/*", method="HEAD")(self.head)
        vendor.route(f"{API}/projects/*/repository/tree")(self.tree)
        vendor.route(f"{API}/groups/*")(self.group)
        vendor.route(f"{API}/groups/shop/descendant_groups")(
            lambda call: [self.about_group(one) for one in self.groups[1:]]
        )
        vendor.route("/api/graphql", method="POST")(self.graphql)
        self.former = {}

    def listed(self):
        return [self.about(path) for path in self.projects]

    def number(self, path):
        return self.numbers.setdefault(path, len(self.numbers) + 1)

    def about(self, path):
        one = self.projects[path]
        return {
            "id": one.setdefault("id", self.number(path)),
            "path_with_namespace": f"shop/{path}",
            "web_url": f"{self.vendor.url}/shop/{path}",
            "default_branch": one.get("branch", "main"),
            "last_activity_at": one.get("active", "2025-01-01T10:00:00.000Z"),
            **one.get("more", {}),
        }

    def found(self, name):
        name = self.former.get(name, name).replace("%2F", "/")
        for path in self.projects:
            if name in (f"shop/{path}", str(self.about(path)["id"])):
                return path
        return None

    def project(self, call):
        path = self.found(unquote(call.path.split("/")[4]))
        return self.about(path) if path else Answer(404, {"message": "404 Project Not Found"})

    def head(self, call):
        one = self.projects[self.found(call.path.split("/")[4])]
        there = unquote(call.path.rsplit("/", 1)[1]) in one["files"]
        there = there and call.query["ref"] in one.get("branches", ["main"])
        return Answer(200 if there else 404)

    def tree(self, call):
        one = self.projects[self.found(call.path.split("/")[4])]
        return [{"path": path, "type": "blob"} for path in one["files"]]

    def about_group(self, path):
        return {
            "id": self.groups.index(path) + 50,
            "name": path.rpartition("/")[2].title(),
            "full_path": path,
            "description": "",
            "avatar_url": None,
        }

    def group(self, call):
        name = unquote(call.path.rsplit("/", 1)[1])
        found = [one for one in self.groups if name in (one, str(self.groups.index(one) + 50))]
        return self.about_group(found[0]) if found else Answer(404, {"message": "Not Found"})

    def graphql(self, call):
        nodes = [
            {
                "user": {
                    "username": login,
                    "name": login.title(),
                    "publicEmail": f"{login}@example.com",
                    "avatarUrl": f"/uploads/{login}.png",
                    "webUrl": f"https://gitlab.test/{login}",
                    "state": "blocked" if login == "gone" else "active",
                    "bot": login == "robot",
                }
            }
            for login in self.members.get(call.json()["variables"]["path"], ())
        ]
        info = {"hasNextPage": False, "endCursor": None}
        return {"data": {"group": {"groupMembers": {"nodes": nodes, "pageInfo": info}}}}


def make_lab_source(vendor):
    return create_source(
        identifier="gl",
        kind="gitlab",
        actor=ACTOR,
        settings={
            "url": vendor.url,
            "token": "t1",
            "groups": ["shop"],
            "webhookSecret": "hush",
        },
        mapping={"resources": []},
    )


def lab_targets(vendor):
    found = Location.objects.values_list("target", flat=True)
    return sorted(one.removeprefix(f"{vendor.url}/shop/") for one in found)


def tell(body):
    raw = orjson.dumps(body)
    headers = {"x-gitlab-token": "hush", "content-type": "application/json"}
    live.receive(Integration.objects.get(identifier="gl"), headers, {}, raw)
    finder = Integration.objects.get(identifier="finder")
    live.process_waiting(finder.pk)
    return finder.events.first()


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, ["a", "fork", "nobranch"]),
        ({"skipForkedRepos": True}, ["a", "nobranch"]),
        ({"includeArchivedRepos": True}, ["a", "fork", "nobranch", "old"]),
        ({"projectPattern": "shop/(a|old)$"}, ["a"]),
        ({"fallbackBranch": "trunk"}, ["a", "fork"]),
        ({"branch": "next"}, ["a"]),
        ({"entityFilename": "**/catalog-info.yaml"}, ["a", "fork", "nobranch", "none"]),
    ],
)
def test_projects_of_gitlab_are_looked_into(vendor, chosen, expected):
    projects = {
        "a": {"branches": ["main", "next"]},
        "fork": {"more": {"forked_from_project": {"id": 9}}},
        "old": {"more": {"archived": True}},
        "empty": {"more": {"empty_repo": True}},
        "nobranch": {"more": {"default_branch": None}},
        "none": {"files": ["sub/catalog-info.yaml"]},
        "closed": {"more": {"repository_access_level": "disabled"}},
    }
    Lab(vendor, **projects)
    make_lab_source(vendor)
    run = sync(make_discovery("gitlab-discovery", **chosen))
    assert (run.state, run.error) == (State.SUCCEEDED, "")
    assert [one.split("/")[0] for one in lab_targets(vendor)] == expected
    if chosen == {"branch": "next"}:
        assert lab_targets(vendor) == ["a/-/blob/next/catalog-info.yaml"]


def test_a_project_in_which_nothing_happened_is_not_asked_again(vendor):
    lab = Lab(vendor, a={}, b={"files": []}, busy={"active": "2999-01-01T00:00:00Z"})
    make_lab_source(vendor)
    finder = make_discovery("gitlab-discovery")
    sync(finder)
    vendor.calls.clear()
    sync(finder)
    assert [one.method for one in vendor.calls] == ["GET", "HEAD"]  # the list, and the busy one
    lab.projects["b"] |= {"files": ["catalog-info.yaml"], "active": "2025-02-02T10:00:00.000Z"}
    sync(finder)
    assert [one.split("/")[0] for one in lab_targets(vendor)] == ["a", "b", "busy"]


def test_events_of_gitlab_count_at_once(vendor):
    lab = Lab(vendor, a={}, b={"files": []})
    make_lab_source(vendor)
    sync(make_discovery("gitlab-discovery"))
    lab.projects["b"]["files"] = ["catalog-info.yaml"]
    pushed_to_b = {
        "object_kind": "push",
        "ref": "refs/heads/main",
        "before": "1" * 40,
        "after": "2" * 40,
        "project": {"id": 2, "path_with_namespace": "shop/b", "default_branch": "main"},
        "commits": [{"added": ["catalog-info.yaml"], "modified": [], "removed": []}],
        "total_commits_count": 1,
    }
    tell(pushed_to_b)
    assert [one.split("/")[0] for one in lab_targets(vendor)] == ["a", "b"]
    pk = Location.objects.get(target__contains="/b/").pk
    lab.projects["b2"] = lab.projects.pop("b")
    tell(
        {
            "event_name": "project_rename",
            "project_id": 2,
            "path_with_namespace": "shop/b2",
            "old_path_with_namespace": "shop/b",
        }
    )
    assert Location.objects.get(pk=pk).target.endswith("/shop/b2/-/blob/main/catalog-info.yaml")
    del lab.projects["b2"]
    gone = {"event_name": "project_destroy", "project_id": 2, "path_with_namespace": "shop/b2"}
    assert [one["status"] for one in tell(gone).results] == ["deleted"]
    assert [one.split("/")[0] for one in lab_targets(vendor)] == ["a"]
    assert tell({"object_kind": "push", "project": {}}).state == "failed"


def test_groups_of_gitlab_become_teams(vendor):
    lab = Lab(vendor)
    lab.groups = ["shop", "shop/core", "shop/labs"]
    lab.members = {"shop": ["ada", "robot", "gone"], "shop/core": ["ada", "bob"]}
    make_lab_source(vendor)
    finder = make_discovery("gitlab-discovery", users=True, teams=True, groupPattern="^shop$|core")
    run = sync(finder)
    assert (run.state, run.error) == (State.SUCCEEDED, "")
    people = Entity.objects.filter(blueprint__identifier="_user").order_by("identifier")
    assert [(one.identifier, one.properties["email"]) for one in people] == [
        ("ada", "ada@example.com"),
        ("bob", "bob@example.com"),
    ]
    assert user("ada").properties["picture"] == f"{vendor.url}/uploads/ada.png"
    assert (team("shop").relations["members"], team("shop").relations.get("parent")) == (
        ["ada"],
        None,
    )
    assert team("shop-core").relations == {"parent": "shop", "members": ["ada", "bob"]}
    lab.members["shop/core"].append("eve")
    about_group = {"group_id": 51, "group_path": "shop/core", "user_username": "eve"}
    tell({"event_name": "user_add_to_group", "user_id": 9, **about_group})
    assert team("shop-core").relations["members"] == ["ada", "bob", "eve"]
    lab.groups.remove("shop/core")
    tell({"event_name": "subgroup_destroy", "group_id": 51, "full_path": "shop/core"})
    assert not Entity.objects.filter(identifier="shop-core").exists()


# --- together with the reading of locations -----------------------------------------------------


COMPONENT = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: %s}
spec: {type: service, lifecycle: production, owner: core}
"""
GROUP = """\
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: %s}
spec: {type: team, children: []}
"""


def holds_components(vendor, lab, text=COMPONENT):
    """Have each project's descriptor hold an entity that is called as the project was first."""

    @vendor.route(f"{API}/projects/*/repository/files/*/raw")
    def _(call):
        path = lab.found(unquote(call.path.split("/")[4]))
        return (text % lab.projects[path].setdefault("name", f"of-{path}")).encode()


def test_what_was_found_is_read_and_goes_with_its_repository(vendor):
    lab = Lab(vendor, a={}, b={}, c={})
    holds_components(vendor, lab)
    make_lab_source(vendor)
    finder = make_discovery("gitlab-discovery")
    sync(finder)
    pks = set(Entity.objects.values_list("pk", flat=True))
    assert refresh_due() == 3
    assert {one.state for one in Location.objects.all()} == {"ready"}
    components = Entity.objects.filter(blueprint__identifier="component")
    assert sorted(components.values_list("identifier", flat=True)) == ["of-a", "of-b", "of-c"]
    places = Entity.objects.filter(blueprint__identifier="location")
    assert set(places.values_list("pk", flat=True)) == pks  # made once, and read as they were
    assert sync(finder).totals["unchanged"] == 3
    del lab.projects["b"]
    run = sync(finder)
    assert (run.stale["deleted"], Location.objects.count()) == (1, 2)
    assert sorted(components.values_list("identifier", flat=True)) == ["of-a", "of-c"]
    lab.projects["c2"] = lab.projects.pop("c")
    lab.former["shop/c"] = "shop/c2"
    pk = components.get(identifier="of-c").pk
    sync(finder)
    assert [one.split("/")[0] for one in lab_targets(vendor)] == ["a", "c2"]
    assert refresh_due() == 1
    assert components.get(identifier="of-c").pk == pk
    assert components.get(pk=pk).located.origin.endswith("/shop/c2/-/blob/main/catalog-info.yaml")


def test_what_was_removed_can_be_brought_back(vendor):
    lab = Lab(vendor, a={}, b={})
    holds_components(vendor, lab)
    make_lab_source(vendor)
    finder = make_discovery("gitlab-discovery")
    sync(finder)
    refresh_due()
    before = Location.objects.get(target__contains="/b/")
    del lab.projects["b"]
    run = sync(finder)
    assert (run.stale["deleted"], Location.objects.count()) == (1, 1)
    lab.projects["b"] = {"files": ["catalog-info.yaml"], "name": "of-b", "id": 2}
    assert undo_deletions(run, actor=ACTOR) == 2  # the location's entity, and what it held
    after = Location.objects.get(target__contains="/b/")
    assert (after.pk, after.integration, after.entity_ref) == (before.pk, finder, before.entity_ref)
    refresh_due()
    component = Entity.objects.get(identifier="of-b")
    assert component.located.file.location == after
    assert sync(finder).totals["unchanged"] == 2


def test_guarded_kinds_come_only_where_the_settings_name_them(vendor):
    lab = Lab(vendor, a={})
    holds_components(vendor, lab, GROUP)
    make_lab_source(vendor)
    finder = make_discovery("gitlab-discovery")
    sync(finder)
    refresh_due()
    groups = Entity.objects.filter(blueprint__identifier="_team")
    assert (groups.count(), Location.objects.get().is_trusted) == (0, False)
    update_source(finder, actor=ACTOR, settings={"allowKinds": ["Group"]})
    sync(finder)
    refresh_due()
    assert [one.identifier for one in groups] == ["of-a"]
    lab.projects["a2"] = lab.projects.pop("a")
    lab.former["shop/a"] = "shop/a2"
    sync(finder)
    moved = Location.objects.get()
    assert (moved.target.split("/")[4], moved.is_trusted) == ("a2", False)


def test_what_was_found_is_read_on_without_the_source(vendor):
    Hub(vendor, acme={"a": repository(), "b": repository()})
    make_hub_source(vendor)
    finder = make_discovery()
    sync(finder)
    delete_source(finder, actor=ACTOR)
    assert Location.objects.filter(integration=None).count() == 2
    again = make_discovery()
    sync(again)
    assert Location.objects.filter(integration=None).count() == 2  # nobody's to take over


def test_a_source_may_take_along_what_it_found(vendor):
    Hub(vendor, acme={"a": repository(), "b": repository()})
    make_hub_source(vendor)
    finder = make_discovery()
    sync(finder)
    delete_source(finder, actor=ACTOR, delete_entities=True)
    assert Location.objects.count() == 0
    assert not Entity.objects.filter(blueprint__identifier="location").exists()
