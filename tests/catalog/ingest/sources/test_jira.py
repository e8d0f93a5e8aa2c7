"""Jira against recorded objects, paged as Cloud and Data Center page."""

import hashlib
import hmac
import json

import pytest

from catalog.ingest.sources.jira import DEFAULT_JQL, Jira
from catalog.kernel.errors import (
    InvalidInput,
    NotAuthenticated,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from catalog.kernel.http import Client
from catalog.kernel.source import Connection, Event
from tests.vendors import failing, garbage, limited

kind = Jira()


@pytest.fixture
def cloud(vendor):
    vendor.json("/rest/api/2/serverInfo", {"deploymentType": "Cloud"})
    return vendor


@pytest.fixture
def data_center(vendor):
    vendor.json("/rest/api/2/serverInfo", {"deploymentType": "Server"})
    return vendor


@pytest.fixture
def recorded(test_data):
    def read(name):
        return json.loads((test_data / "jira" / f"{name}.json").read_text())

    return read


def connect(url, **settings):
    given = {"url": url, "email": "me@example.com", "token": "t1", **settings}
    return Connection(given, Client(), lambda level, message: None)


def listed(connection, name, selector=None, cursor=None):
    pages = list(kind.fetch(connection, kind.resource(name), selector or {}, cursor))
    assert pages[-1].next is None
    return [item for page in pages for item in page.items]


def test_issues_of_cloud_come_by_tokens(cloud, recorded):
    issues = recorded("search")["issues"]
    cloud.require("authorization", "Basic bWVAZXhhbXBsZS5jb206dDE=")
    cloud.pages("/rest/api/3/search/jql", issues, size=1, style="token", key="issues")
    found = listed(connect(cloud.url), "issue", {"jql": "project = BULK"})
    assert [one["key"] for one in found] == [one["key"] for one in issues]
    assert cloud.calls[-1].query["jql"] == "project = BULK"
    listed(connect(cloud.url), "issue")
    assert cloud.calls[-1].query["jql"] == DEFAULT_JQL


def test_issues_of_data_center_come_by_numbers(data_center, recorded):
    issues = recorded("search")["issues"]
    data_center.require("authorization", "Bearer t1")
    data_center.pages("/rest/api/2/search", issues, size=1, style="start_at", key="issues")
    found = listed(connect(data_center.url, email=""), "issue")
    assert [one["key"] for one in found] == [one["key"] for one in issues]


def test_projects_boards_sprints_and_releases(cloud, recorded):
    project = recorded("project")
    boards, sprints = recorded("all_boards")["values"], recorded("sprints")["values"]
    cloud.pages("/rest/api/3/project/search", [project], style="start_at", key="values")
    cloud.json(f"/rest/api/3/project/{project['key']}/versions", [{"id": "1", "name": "v1"}])
    cloud.pages("/rest/agile/1.0/board", boards, style="start_at", key="values")
    cloud.pages("/rest/agile/1.0/board/*/sprint", sprints, style="start_at", key="values")
    connection = connect(cloud.url)
    assert [one["key"] for one in listed(connection, "project")] == [project["key"]]
    assert [one["id"] for one in listed(connection, "board")] == [one["id"] for one in boards]
    assert listed(connection, "release") == [
        {"id": "1", "name": "v1", "__projectKey": project["key"]}
    ]
    found = listed(connection, "sprint")
    assert {one["id"] for one in found} == {one["id"] for one in sprints}
    assert len(found) == len(sprints)  # each once, whatever the number of its boards


def test_users_end_with_an_empty_page(cloud):
    people = [{"accountId": str(number)} for number in range(3)]

    @cloud.route("/rest/api/3/users/search")
    def _(call):
        start = int(call.query["startAt"])
        return people[:2] if start == 0 else people[2:] if start == 100 else []

    assert listed(connect(cloud.url), "user") == people


def test_teams_come_with_members_and_need_the_organisation(cloud):
    path = "/gateway/api/public/teams/v1/org/o1/teams"
    cloud.json(path, {"entities": [{"teamId": "t"}], "cursor": ""})

    @cloud.route(f"{path}/t/members", method="POST")
    def _(call):
        if "after" in call.json():
            return {"results": [{"accountId": "2"}], "pageInfo": {"hasNextPage": False}}
        info = {"hasNextPage": True, "endCursor": "x"}
        return {"results": [{"accountId": "1"}], "pageInfo": info}

    connection = connect(cloud.url, organizationId="o1")
    [team] = listed(connection, "team", {"includeMembers": True})
    assert [one["accountId"] for one in team["__members"]] == ["1", "2"]
    with pytest.raises(InvalidInput, match="ID of the organisation"):
        listed(connect(cloud.url), "team")


def test_a_list_goes_on_where_a_cursor_stands(data_center):
    items = [{"key": f"A-{number}"} for number in range(5)]
    data_center.pages("/rest/api/2/search", items, size=2, style="start_at", key="issues")
    assert listed(connect(data_center.url), "issue", cursor=4) == items[4:]


def test_bad_days(data_center):
    items = [{"key": f"A-{number}"} for number in range(7)]
    data_center.pages("/rest/api/2/search", items, size=1, style="start_at", key="issues")
    data_center.trouble("/rest/api/2/search", limited(after=0), failing(), failing())
    assert listed(connect(data_center.url), "issue") == items
    data_center.trouble("/rest/api/2/search", failing(), when={"startAt": "2"}, times=99)
    with pytest.raises(UpstreamUnavailable):
        listed(connect(data_center.url), "issue")
    data_center.trouble("/rest/api/2/search", garbage())
    with pytest.raises(UpstreamError, match="not JSON"):
        listed(connect(data_center.url), "issue")


def test_a_wrong_token_is_told_by_whom(cloud):
    cloud.require("authorization", "Basic other")
    with pytest.raises(UpstreamRefused):
        kind.check(connect(cloud.url))


def test_it_says_who_it_is(cloud):
    cloud.json("/rest/api/3/myself", {"displayName": "Ada"})
    assert kind.check(connect(cloud.url)) == ["Logged in to Jira Cloud as Ada."]


# --- live ---------------------------------------------------------------------------------------


def event(body, secret="sign-me"):
    data = json.dumps(body).encode()
    signature = hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
    return Event({"x-hub-signature": f"sha256={signature}"}, {}, data)


def test_only_signed_events_are_taken():
    kind.verify(event({}), {"webhookSecret": "sign-me"})
    for settings in ({"webhookSecret": "other"}, {}):
        with pytest.raises(NotAuthenticated):
            kind.verify(event({}), settings)


def test_an_issue_is_asked_for_by_every_query_of_the_mapping(cloud):
    @cloud.route("/rest/api/3/search/jql")
    def _(call):
        is_found = call.query["jql"].startswith("(project = A)")
        return {"issues": [{"key": "A-1", "id": "7"}] if is_found else []}

    wanted = {"issue": [{"jql": "project = A"}, {"jql": "project = B"}]}
    body = {"webhookEvent": "jira:issue_updated", "issue": {"key": "A-1", "id": "7"}}
    [change] = kind.changes(connect(cloud.url), event(body), wanted)
    assert not change.is_gone
    issue = kind.resource("issue")
    assert kind.selects(issue, {"jql": "project = A"}, change.item)
    assert not kind.selects(issue, {"jql": "project = B"}, change.item)
    asked = [call.query for call in cloud.calls if "jql" in call.query]
    assert [one["jql"] for one in asked] == [
        "(project = A) AND key = A-1",
        "(project = B) AND key = A-1",
    ]
    assert {one["reconcileIssues"] for one in asked} == {"7"}


@pytest.mark.parametrize(
    ("body", "kinds", "expected"),
    [
        ({"webhookEvent": "jira:issue_deleted", "issue": {"key": "A-1"}}, "issue", True),
        ({"webhookEvent": "project_deleted", "project": {"key": "A"}}, "project", True),
        ({"webhookEvent": "sprint_started", "sprint": {"id": 1}}, "sprint", False),
        ({"webhookEvent": "sprint_started", "sprint": {"id": 1}}, "board", None),
        ({"webhookEvent": "user_created", "user": {"accountId": "x"}}, "user", False),
        ({"webhookEvent": "option_voting_changed"}, "issue", None),
    ],
)
def test_what_other_events_say(vendor, body, kinds, expected):
    changes = list(kind.changes(connect(vendor.url), event(body), {kinds: [{}]}))
    assert [one.is_gone for one in changes] == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"webhookEvent": 7},
        {"webhookEvent": "jira:issue_updated", "issue": {"key": 'A-1 OR key != "x"'}},
    ],
)
def test_events_that_make_no_sense_are_told(cloud, body):
    with pytest.raises(InvalidInput):
        list(kind.changes(connect(cloud.url), event(body), {"issue": [{}]}))
