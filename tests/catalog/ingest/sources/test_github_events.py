"""What GitHub's webhooks say, told by real deliveries."""

import hashlib
import hmac
import json
from urllib.parse import urlencode

import pytest

from catalog.ingest.sources.github import GitHub
from catalog.kernel.errors import InvalidInput, NotAuthenticated, UpstreamUnavailable
from catalog.kernel.http import Client
from catalog.kernel.source import Connection, Event
from tests.vendors import Answer, failing

kind = GitHub()
SECRET = "of our own making"
EVERYTHING = {one.name: [{}] for one in kind.resources} | {
    "file": [{"files": [{"path": "**/*.yaml"}]}],
    "folder": [{"folders": [{"path": "services/*"}]}],
}

# Event and delivery: what it says, with * for what is gone.
SAYS = {
    "check_run/completed": [],
    "check_run/created": [],
    "check_suite/completed": [],
    "check_suite/requested": [],
    "code_scanning_alert/created": ["code-scanning-alerts"],
    "code_scanning_alert/fixed": ["code-scanning-alerts"],
    "create/event": ["tag"],
    "delete/event": ["tag*"],
    "dependabot_alert/created": ["dependabot-alert"],
    "dependabot_alert/fixed": ["dependabot-alert"],
    "deployment/created": ["deployment", "environment"],
    "deployment/created-2": ["deployment", "environment"],
    "deployment_review/requested": [],
    "deployment_status/created": ["deployment", "deployment-status", "environment"],
    "deployment_status/created-2": ["deployment", "deployment-status", "environment"],
    "fork/event": [],
    "installation/deleted": [],
    "issues/edited": ["issue"],
    "issues/opened": ["issue"],
    "label/deleted": [],
    "member/added": ["collaborator"],
    "member/edited": ["collaborator"],
    "membership/added": ["team"],
    "membership/removed": ["team"],
    "organization/member_added": ["user"],
    "organization/renamed": ["organization*", "organization"],
    "page_build/event": [],
    "ping/event": [],
    "pull_request/closed": ["pull-request"],
    "pull_request/opened": ["pull-request"],
    "push/event": ["tag"],
    "push/event-2": ["tag*"],
    "release/created": ["release"],
    "release/published": ["release"],
    "repository/created": ["repository"],
    "repository/renamed": ["repository*", "repository"],
    "repository_vulnerability_alert/create": [],
    "repository_vulnerability_alert/dismiss": [],
    "secret_scanning_alert/reopened": ["secret-scanning-alerts"],
    "star/created": [],
    "status/event": [],
    "team/added_to_repository": ["team"],
    "team/created": ["team"],
    "workflow_job/completed": [],
    "workflow_job/in_progress": [],
    "workflow_run/completed": ["workflow-run", "workflow"],
    "workflow_run/requested": ["workflow-run", "workflow"],
}


def connect(url, **settings):
    given = {"apiUrl": url, "token": "t1", "webhookSecret": SECRET, **settings}
    return Connection(given, Client(), lambda level, message: None)


def event(name, body, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signed = "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    own = {"x-github-event": name, "x-github-delivery": "d1", "x-hub-signature-256": signed}
    return Event(own | headers, {}, raw)


def changes(vendor, name, body, wanted=EVERYTHING, **settings):
    return list(kind.changes(connect(vendor.url, **settings), event(name, body), wanted))


def said(found):
    return [f"{one.kind}{'*' if one.is_gone else ''}" for one in found]


@pytest.fixture
def github(vendor):
    """Knows whatever it is asked for."""

    @vendor.route("*")
    def _(call):
        parts = call.path.strip("/").split("/")
        name = parts[2] if parts[0] == "repos" else parts[1]
        owner = {"login": parts[1], "type": "Organization", "id": 1}
        return {
            "name": name,
            "full_name": f"{parts[1]}/{name}",
            "owner": owner,
            "default_branch": "main",
            "login": parts[1],
            "slug": parts[-1],
            "id": 1,
            "number": 1,
            "type": "Organization",
            "sha": parts[-1],
            "object": {"sha": "abc"},
            "user": {"login": "ada"},
            "role_name": "admin",
        }

    @vendor.route("/graphql", method="POST")
    def _(_call):
        page = {"hasNextPage": False, "endCursor": None}
        team = {"members": {"nodes": [{"login": "ada"}], "pageInfo": page}}
        return {"data": {"organization": {"team": team}, "user": {"login": "ada"}}}

    return vendor


def test_the_table_holds_every_delivery(test_data):
    folder = test_data / "github" / "webhooks"
    assert SAYS.keys() == {
        str(path.relative_to(folder).with_suffix("")) for path in folder.glob("*/*.json")
    }


@pytest.mark.parametrize("delivery", SAYS)
def test_real_deliveries_are_understood(github, test_data, delivery):
    raw = (test_data / "github" / "webhooks" / f"{delivery}.json").read_bytes()
    found = event(delivery.partition("/")[0], raw)
    connection = connect(github.url)
    kind.verify(found, connection.settings)
    assert kind.delivery(found) == "d1"
    changed = list(kind.changes(connection, found, EVERYTHING))
    assert said(changed) == SAYS[delivery]
    assert github.unknown == []
    for one in changed:
        assert kind.selects(kind.resource(one.kind), {}, one.item) in (True, False)


def test_only_what_is_wanted_is_asked_for(github, test_data):
    raw = (test_data / "github/webhooks/deployment_status/created.json").read_bytes()
    assert said(changes(github, "deployment_status", raw, {"deployment": [{}]})) == ["deployment"]
    assert github.calls == []


def test_items_look_as_those_of_a_list(github, test_data):
    raw = (test_data / "github/webhooks/workflow_run/completed.json").read_bytes()
    run, workflow = changes(github, "workflow_run", raw)
    assert (run.item["__organization"], run.item["__repository"]) == ("Codertocat", "Hello-World")
    assert (workflow.item["type"], workflow.item["repo"]["name"]) == ("workflow", "Hello-World")
    raw = (test_data / "github/webhooks/membership/added.json").read_bytes()
    (team,) = changes(github, "membership", raw)
    assert team.item["members"] == {"nodes": [{"login": "ada"}]}
    raw = (test_data / "github/webhooks/push/event.json").read_bytes()
    (tag,) = changes(github, "push", raw)
    assert tag.item["name"] == "simple-tag"
    assert tag.item["commit"]["sha"] == "6113728f27ae82c7b1a177c8d03f9e96e0adf246"


@pytest.mark.parametrize(
    ("given", "is_meant"),
    [
        ({}, True),
        ({"organizations": ["codertocat"]}, True),
        ({"organizations": ["other"]}, False),
        ({"repositories": ["Codertocat/Hello-World"]}, True),
        ({"repositories": ["Codertocat/other"]}, False),
    ],
)
def test_repositories_that_the_settings_do_not_mean_are_passed_over(
    github, test_data, given, is_meant
):
    raw = (test_data / "github/webhooks/issues/opened.json").read_bytes()
    assert bool(changes(github, "issues", raw, **given)) is is_meant


# --- pushes -----------------------------------------------------------------------------------


def push(**rest):
    owner = {"name": "acme", "login": "acme"}
    repository = {"name": "a", "full_name": "acme/a", "owner": owner, "default_branch": "main"}
    return {"ref": "refs/heads/main", "after": "1" * 40, "repository": repository, **rest}


def serve_push(vendor):
    owner = {"login": "acme", "type": "Organization"}
    repository = {"name": "a", "full_name": "acme/a", "owner": owner, "default_branch": "main"}
    vendor.json("/repos/acme/a", repository)
    vendor.json("/repos/acme/a/branches/main", {"name": "main"})
    entries = [
        {"path": "services", "type": "tree", "sha": "1"},
        {"path": "services/x", "type": "tree", "sha": "2"},
    ]
    vendor.json("/repos/acme/a/git/trees/main", {"tree": entries})
    content = {"type": "file", "encoding": "base64", "size": 5, "content": "YTogMQo=", "path": "p"}
    vendor.json("/repos/acme/a/contents/services/x/app.yaml", content)


def test_a_push_brings_the_files_and_folders_that_it_touched(vendor):
    serve_push(vendor)
    commits = [
        {"added": ["services/x/app.yaml", "notes.txt"], "modified": [], "removed": []},
        {"added": [], "modified": [], "removed": ["services/old/app.yaml"]},
    ]
    found = changes(vendor, "push", push(commits=commits))
    assert said(found) == ["branch", "repository", "file", "file*", "folder", "folder*"]
    assert found[2].item["content"] == {"a": 1}
    assert found[3].item["path"] == "services/old/app.yaml"
    assert [one.item["folder"]["path"] for one in found[4:]] == ["services/x", "services/old"]
    assert not [path for path in vendor.paths if "notes" in path]  # no selector means it


def test_a_push_to_another_branch_says_nothing_of_files(vendor):
    commits = [{"added": ["services/x/app.yaml"]}]
    vendor.json("/repos/acme/a/branches/fix", {"name": "fix"})
    found = changes(vendor, "push", push(ref="refs/heads/fix", commits=commits))
    assert said(found) == ["branch"]
    assert found[0].item["__is_default_branch"] is False
    gone = push(ref="refs/heads/fix", deleted=True, after="0" * 40)
    assert said(changes(vendor, "push", gone)) == ["branch*"]


def test_a_push_says_nothing_of_files_that_no_selector_names(vendor):
    serve_push(vendor)
    commits = [{"added": ["services/x/app.yaml"]}]
    wanted = {"branch": [{}], "file": [{}], "folder": [{}]}
    assert said(changes(vendor, "push", push(commits=commits), wanted)) == ["branch"]


# --- what may go wrong ------------------------------------------------------------------------


def test_an_object_that_is_away_by_now_is_gone(vendor):
    found = changes(vendor, "push", push(), {"branch": [{}]})
    assert said(found) == ["branch*"]


def test_what_we_may_not_ask_is_taken_from_the_event(vendor, test_data):
    vendor.route("*")(lambda _call: Answer(403, {"message": "Resource not accessible"}))
    raw = (test_data / "github/webhooks/dependabot_alert/created.json").read_bytes()
    (one,) = changes(vendor, "dependabot_alert", raw)
    assert (one.is_gone, one.item["number"], one.item["__repository"]) == (
        False,
        20,
        "pika-pack",
    )


def test_a_vendor_in_trouble_is_asked_again_later(vendor, test_data):
    vendor.trouble("*", failing(), times=99)
    raw = (test_data / "github/webhooks/repository/created.json").read_bytes()
    with pytest.raises(UpstreamUnavailable):
        changes(vendor, "repository", raw)


def test_deleted_renamed_and_transferred_repositories(github):
    repository = {"name": "new", "full_name": "acme/new", "owner": {"login": "acme"}}
    gone = {"action": "deleted", "repository": repository}
    assert said(changes(github, "repository", gone)) == ["repository*"]
    given = {"owner": {"from": {"organization": {"login": "old-acme"}}}}
    moved = {"action": "transferred", "repository": repository, "changes": given}
    former, now = changes(github, "repository", moved)
    assert (former.is_gone, former.item["full_name"]) == (True, "old-acme/new")
    assert now.item["full_name"] == "acme/new"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("issues", b"no json"),
        ("issues", b"[]"),
        ("issues", b'{"action": "opened", "repository": {"full_name": "a/b"}}'),
        ("push", b'{"repository": {"full_name": "a/b", "owner": null}}'),
    ],
)
def test_what_cannot_be_understood_is_said(vendor, name, body):
    with pytest.raises(InvalidInput):
        changes(vendor, name, body)


def test_forms_hold_the_same_as_json(github, test_data):
    raw = (test_data / "github/webhooks/issues/opened.json").read_bytes()
    form = urlencode({"payload": raw.decode()}).encode()
    one = event("issues", form, **{"content-type": "application/x-www-form-urlencoded"})
    assert said(kind.changes(connect(github.url), one, EVERYTHING)) == ["issue"]


@pytest.mark.parametrize(
    ("secret", "signature", "message"),
    [
        ("", "sha256=1", "no secret for live events"),
        (SECRET, "", "not signed"),
        (SECRET, "sha256=1", "does not fit"),
        (SECRET, "sha256=\xff", "does not fit"),
        ("another", None, "does not fit"),
    ],
)
def test_events_without_our_signature_are_refused(secret, signature, message):
    headers = {} if signature is None else {"x-hub-signature-256": signature}
    with pytest.raises(NotAuthenticated, match=message):
        kind.verify(event("issues", {}, **headers), {"webhookSecret": secret})


@pytest.mark.parametrize(
    ("name", "selector", "item", "expected"),
    [
        ("pull-request", {}, {"state": "closed"}, False),
        ("pull-request", {"states": ["closed"]}, {"state": "closed"}, True),
        ("issue", {}, {"state": "closed"}, False),
        ("issue", {"state": "all", "labels": ["Bug"]}, {"labels": [{"name": "bug"}]}, True),
        ("issue", {"state": "all", "labels": ["bug"]}, {"labels": []}, False),
        ("branch", {"branchNames": ["main"]}, {"name": "fix"}, False),
        ("branch", {"defaultBranchOnly": "true"}, {"__is_default_branch": True}, True),
        ("dependabot-alert", {}, {"state": "fixed"}, False),
        (
            "dependabot-alert",
            {"severity": ["high"]},
            {"state": "open", "security_advisory": {"severity": "low"}},
            False,
        ),
        ("secret-scanning-alerts", {"state": "all"}, {"state": "resolved"}, True),
        ("deployment", {"environment": "production"}, {"environment": "staging"}, False),
        ("workflow-run", {"statuses": ["success"]}, {"conclusion": "failure"}, False),
        ("team", {"members": True}, {}, True),
    ],
)
def test_selectors_mean_of_events_what_they_mean_of_lists(name, selector, item, expected):
    assert kind.selects(kind.resource(name), selector, item) is expected
