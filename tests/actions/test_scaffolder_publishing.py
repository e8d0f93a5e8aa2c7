"""What templates make goes to real Git repositories, on forges that answer as theirs do."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from actions.scaffolder.origin import PlacedOrigin
from catalog.kernel.actors import Actor
from catalog.services.integrations import create_integration
from tests.actions.scaffolding import run, step, template
from tests.vendors import Answer, failing, refused

pytestmark = pytest.mark.django_db

ADMIN = Actor.system("test")
FILES = {"skeleton/README.md": "# ${{ values.name }}", "skeleton/bin/run": "x"}
FETCH = step("fetch:template", url="./skeleton", values={"name": "pay"})
TOKEN = "source-token-1"


class Forge:
    """A vendor that serves Git, too, below the same address. repoUrl: see `at`."""

    def __init__(self, kind, vendor, git_server):
        self.kind, self.vendor, self.git = kind, vendor, git_server
        self.host = vendor.url.removeprefix("http://")
        settings = {
            "github": {"apiUrl": f"{vendor.url}/api/v3", "token": TOKEN},
            "gitlab": {"url": vendor.url, "token": TOKEN},
        }[kind]
        create_integration(identifier="forge", kind=kind, settings=settings, actor=ADMIN)
        for path in ("info/refs", "git-upload-pack", "git-receive-pack"):
            for method in ("GET", "POST"):
                vendor.route(f"/acme/*/{path}", method)(self._serve)

    def at(self, name="pay"):
        return f"{self.host}?owner=acme&repo={name}"

    def _serve(self, call):
        if not call.headers.get("authorization", "").startswith("Basic "):
            return refused()
        query = urlencode(call.query)
        status, headers, body = self.git.answer(
            call.method, call.path, query, call.headers, call.body
        )
        return Answer(status, body, headers)

    def asked(self, method, pattern):
        """The JSON of the calls of the API that fit."""
        return [
            call.json() if call.body else None
            for call in self.vendor.calls
            if call.method == method and re.search(pattern, call.path)
        ]


@pytest.fixture
def github(vendor, git_server):
    forge = Forge("github", vendor, git_server)

    def create(call):
        git_server.make_empty(f"acme/{call.json()['name']}")
        url = f"{vendor.url}/acme/{call.json()['name']}"
        return Answer(
            201,
            {
                "full_name": f"acme/{call.json()['name']}",
                "html_url": url,
                "clone_url": f"{url}.git",
            },
        )

    vendor.json("/api/v3/users/acme", {"type": "Organization"})
    vendor.route("/api/v3/orgs/acme/repos", "POST")(create)
    vendor.json("/api/v3/repos/acme/*/branches/*/protection", {}, method="PUT")
    return forge


@pytest.fixture
def gitlab(vendor, git_server):
    forge = Forge("gitlab", vendor, git_server)

    def create(call):
        git_server.make_empty(f"acme/{call.json()['path']}")
        return Answer(201, {"id": 7, "web_url": f"{vendor.url}/acme/{call.json()['path']}"})

    vendor.json("/api/v4/namespaces/acme", {"id": 3})
    vendor.route("/api/v4/projects", "POST")(create)
    return forge


# --- any Git repository -----------------------------------------------------------------------


def test_a_tree_is_pushed_to_an_empty_repository(tmp_path, git_server):
    git_server.token = "let-me-in"
    url = git_server.make_empty("acme/pay")
    push = step(
        "publish:git",
        "publish",
        repoUrl=url,
        token="${{ secrets.git }}",
        gitCommitMessage="Begin",
        gitAuthorName="Ann <x>",
        gitAuthorEmail="ann@acme.example",
    )
    steps = [
        FETCH,
        step("roadiehq:utils:fs:write", path=".gitignore", content="*.log\n"),
        step("roadiehq:utils:fs:write", path="a.log", content="ignored"),
    ]
    ran = run(tmp_path, template(*steps, push), FILES, secrets={"git": "let-me-in"})
    assert ran.error == ""
    assert git_server.files("acme/pay") == {".gitignore": "*.log\n", "README.md": "# pay",
                                            "bin/run": "x"}  # fmt: skip
    assert git_server.log("acme/pay") == ["Begin (Ann x <ann@acme.example>)"]
    assert ran.result.outputs["publish"]["remoteUrl"] == url.removesuffix(".git")
    assert len(ran.result.outputs["publish"]["commitHash"]) == 40
    assert "let-me-in" not in "\n".join(ran.said.lines)

    push["input"]["gitCommitMessage"] = "Begin again"
    (tmp_path / "again").mkdir()
    ran = run(tmp_path / "again", template(*steps, push), FILES, secrets={"git": "let-me-in"})
    assert "[rejected]" in ran.error  # never by force
    (tmp_path / "wrong").mkdir()
    ran = run(tmp_path / "wrong", template(*steps, push), FILES, secrets={"git": "wrong-token"})
    assert ran.error
    assert "wrong-token" not in ran.error + "\n".join(ran.said.lines)
    assert len(git_server.log("acme/pay")) == 1


def test_a_tree_is_added_to_what_a_repository_holds(tmp_path, git_server):
    url = git_server.make("acme/pay", {"old.txt": "old", "gone.txt": "x", "README.md": "before"})
    push = step(
        "publish:git",
        repoUrl=url,
        update=True,
        targetPath="svc",
        filesToDelete=["gone.txt"],
        defaultBranch="change",
        baseBranch="main",
    )
    ran = run(tmp_path, template(FETCH, push), FILES)
    assert ran.error == ""
    assert git_server.files("acme/pay", "change") == {
        "old.txt": "old",
        "README.md": "before",
        "svc/README.md": "# pay",
        "svc/bin/run": "x",
    }
    assert len(git_server.log("acme/pay", "change")) == 2
    assert len(git_server.log("acme/pay", "main")) == 1


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("file:///etc", {}, 'the address has "file:"'),
        ("http://169.254.169.254/x.git", {}, "169.254.169.254"),
        ("ext::sh -c id", {}, 'the address has "ext:"'),
        ("--upload-pack=id", {}, "the address has no scheme"),
        ("https://me:secret@git.example.com/x", {}, "user name or password"),
        ("", {"defaultBranch": "--force"}, "is no name of a branch"),
        ("", {"defaultBranch": "a..b"}, "is no name of a branch"),
        ("", {"targetPath": "x"}, "go with update"),
        ("", {"sourcePath": "missing"}, "There is no folder missing"),
        ("", {"update": True, "targetPath": "../x"}, "leads out"),
        ("", {"update": True, "filesToDelete": [".git/config"]}, "Git's own"),
    ],
)
def test_nothing_is_pushed_where_it_may_not_be(tmp_path, git_server, url, options, words):
    own = git_server.make("acme/pay", {"a": "A"})
    push = step("publish:git", repoUrl=url or own, **{"defaultBranch": "new", **options})
    if options.get("update"):
        push["input"]["baseBranch"] = "main"
    ran = run(tmp_path, template(FETCH, push), FILES)
    assert words in ran.error
    assert git_server.files("acme/pay") == {"a": "A"}


# --- GitHub -----------------------------------------------------------------------------------


def test_a_repository_on_github(tmp_path, github):
    vendor = github.vendor
    vendor.json("/api/v3/orgs/acme/teams/core/repos/acme/pay", {}, method="PUT")
    vendor.json("/api/v3/repos/acme/pay/collaborators/ann", {}, method="PUT")
    vendor.json("/api/v3/repos/acme/pay/topics", {}, method="PUT")
    vendor.json("/api/v3/repos/acme/pay/actions/variables", {}, method="POST", status=201)
    publish = step(
        "publish:github", "publish", repoUrl=github.at(), description="Pays", defaultBranch="main",
        repoVisibility="internal", access="acme/core", topics=["Go"], allowedHosts=[github.host],
        collaborators=[{"user": "ann", "access": "push"}], repoVariables={"REGION": "eu"},
        requiredApprovingReviewCount=2, requiredStatusCheckContexts=["ci"], hasWiki=False,
    )  # fmt: skip
    ran = run(tmp_path, template(FETCH, publish), FILES)
    assert ran.error == ""
    output = ran.result.outputs["publish"]
    assert output["remoteUrl"] == f"{vendor.url}/acme/pay.git"
    assert output["repoContentsUrl"] == f"{vendor.url}/acme/pay/blob/main"
    assert github.git.files("acme/pay") == {"README.md": "# pay", "bin/run": "x"}
    [made] = github.asked("POST", "/orgs/acme/repos$")
    assert made["visibility"] == "internal"
    assert (made["private"], made["has_wiki"], made["description"]) == (True, False, "Pays")
    assert github.asked("PUT", "/teams/core/") == [{"permission": "admin"}]
    assert github.asked("PUT", "/collaborators/ann") == [{"permission": "push"}]
    assert github.asked("PUT", "/topics") == [{"names": ["go"]}]
    assert github.asked("POST", "/variables") == [{"name": "REGION", "value": "eu"}]
    [rules] = github.asked("PUT", "/main/protection")
    assert rules["required_pull_request_reviews"]["required_approving_review_count"] == 2
    assert rules["required_status_checks"] == {"strict": True, "contexts": ["ci"]}
    assert TOKEN not in "\n".join(ran.said.lines)


def test_one_of_a_user_and_a_plan_without_protection(tmp_path, github, monkeypatch):
    monkeypatch.setattr("actions.scaffolder.builtin.repositories._PATIENCE_S", (0, 0))
    vendor = github.vendor
    vendor.trouble("/acme/pay.git/info/refs", failing(404, "Not Found"))  # not known everywhere yet
    vendor.json("/api/v3/users/acme", {"type": "User"})
    vendor.route("/api/v3/user/repos", "POST")(
        lambda call: (
            github.git.make_empty("acme/pay"),
            Answer(201, {"full_name": "acme/pay"}),
        )[1]
    )
    vendor.trouble("/api/v3/repos/acme/pay/branches/master/protection",
                   refused(403, "Upgrade to GitHub Pro"))  # fmt: skip
    publish = step("publish:github", repoUrl=github.at(), token="${{ secrets.mine }}")
    ran = run(tmp_path, template(FETCH, publish), FILES, secrets={"mine": "token-of-ann"})
    assert ran.error == ""
    assert github.git.files("acme/pay", "master")
    assert any("master is not protected" in line for line in ran.said.lines)
    tokens = {call.headers["authorization"] for call in vendor.calls if "/api/" in call.path}
    assert tokens == {"Bearer token-of-ann"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"repoUrl": "github.example.com?owner=a&repo=b"}, "no enabled GitHub source for github."),
        ({"repoUrl": "{host}?owner=../x&repo=b"}, "owner in repoUrl is ../x"),
        ({"repoUrl": "{host}?owner=a&repo=../../x"}, "repo in repoUrl is"),
        ({"repoUrl": "{host}?owner=a/b&repo=c"}, "one owner and one repository"),
        ({"repoUrl": "{host}?owner=a"}, "names no repository"),
        ({"allowedHosts": ["github.com"]}, "expected one of github.com"),
        ({"unknown": 1}, "Invalid input passed to action publish:github"),
        ({"secrets": {"A": "b"}}, "Invalid input passed to action publish:github"),
    ],
)
def test_what_is_no_repository_of_ours_on_github(tmp_path, github, options, words):
    given = {"repoUrl": github.at(), **options}
    given["repoUrl"] = given["repoUrl"].replace("{host}", github.host)
    ran = run(tmp_path, template(FETCH, step("publish:github", **given)), FILES)
    assert words in ran.error
    assert github.asked("POST", "") == []


def test_a_repository_that_is_there_is_left_alone(tmp_path, github):
    url = github.git.make("acme/pay", {"a": "A"})
    github.vendor.trouble(
        "/api/v3/orgs/acme/repos", failing(422, "name already exists on this account")
    )
    ran = run(tmp_path, template(FETCH, step("publish:github", repoUrl=github.at())), FILES)
    assert "name already exists" in ran.error
    assert github.git.files("acme/pay") == {"a": "A"}
    assert url


def test_a_pull_request_on_github(tmp_path, github):
    vendor, git = github.vendor, github.git
    git.make("acme/pay", {"README.md": "before", "gone": "x"})
    pulls = []
    vendor.json("/api/v3/repos/acme/pay", {"default_branch": "main"})
    vendor.route("/api/v3/repos/acme/pay/pulls")(lambda call: Answer(200, pulls))
    vendor.route("/api/v3/repos/acme/pay/pulls", "POST")(
        lambda call: (
            pulls.append({"html_url": f"{vendor.url}/pull/3", "number": 3}),
            Answer(201, pulls[0]),
        )[1]
    )
    vendor.json("/api/v3/repos/acme/pay/pulls/3/requested_reviewers", {}, method="POST")
    vendor.json("/api/v3/repos/acme/pay/issues/3/assignees", {}, method="POST")
    given = {"repoUrl": github.at(), "branchName": "add", "title": "Add", "description": "Why",
             "reviewers": ["ann"], "teamReviewers": ["core"], "assignees": ["ann"],
             "filesToDelete": ["gone"]}  # fmt: skip
    request = step("publish:github:pull-request", "pr", **given)
    ran = run(tmp_path, template(FETCH, request), FILES)
    assert ran.error == ""
    assert ran.result.outputs["pr"] == {
        "remoteUrl": f"{vendor.url}/pull/3",
        "pullRequestNumber": 3,
        "targetBranchName": "main",
    }
    assert git.files("acme/pay", "add") == {"README.md": "# pay", "bin/run": "x"}
    assert git.log("acme/pay", "add")[0].startswith("Add (Scaffolder ")
    asked = {"reviewers": ["ann"], "team_reviewers": ["core"]}
    assert github.asked("POST", "requested_reviewers") == [asked]
    assert github.asked("POST", "assignees") == [{"assignees": ["ann"]}]

    # once more adds to it, a second time there is nothing to add
    for number, files in enumerate([{**FILES, "skeleton/new": "n"}] * 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        del given["filesToDelete"]
        given["update"], given["filesToDelete"] = True, []
        ran = run(folder, template(FETCH, step("publish:github:pull-request", **given)), files)
        assert ran.error == ""
    assert len(pulls) == 1
    assert len(git.log("acme/pay", "add")) == 3
    assert git.files("acme/pay", "add")["new"] == "n"


def test_pages_and_workflows_of_github(tmp_path, github):
    vendor = github.vendor
    vendor.json("/api/v3/repos/acme/pay/pages", {}, method="POST", status=201)
    dispatches = "/api/v3/repos/acme/pay/actions/workflows/ci.yml/dispatches"
    vendor.json(dispatches, b"", method="POST", status=204)
    ran = run(
        tmp_path,
        template(
            step("github:pages:enable", repoUrl=github.at(), buildType="workflow"),
            step("github:actions:dispatch", repoUrl=github.at(), workflowId="ci.yml",
                 branchOrTagName="main", workflowInputs={"a": "b"}),
        ),
    )  # fmt: skip
    assert ran.error == ""
    source = {"branch": "main", "path": "/"}
    assert github.asked("POST", "/pages$") == [{"build_type": "workflow", "source": source}]
    assert github.asked("POST", "/dispatches$") == [{"ref": "main", "inputs": {"a": "b"}}]


def test_a_template_of_github_fetches_from_its_repository_and_others(tmp_path, github):
    vendor, git = github.vendor, github.git
    git.make(
        "acme/templates",
        {"t/skeleton/.hidden": "${{ values.x }}", "t/one.txt": "one", "shared/s": "shared"},
    )
    git.make("acme/other", {"docs/a.md": "A", "b": "B"})
    for name in ("templates", "other"):
        vendor.json(f"/api/v3/repos/acme/{name}/git/matching-refs/heads/main", [
            {"ref": "refs/heads/main"}])  # fmt: skip
        vendor.json(f"/api/v3/repos/acme/{name}/git/matching-refs/tags/main", [])
    vendor.text("/api/v3/repos/acme/templates/contents/t/one.txt", "one")
    document = template(
        step("fetch:template", url="./skeleton", values={"x": 1}),
        step("fetch:plain", url="../shared", targetPath="shared"),
        step("fetch:plain", url=f"{vendor.url}/acme/other/tree/main/docs", targetPath="other"),
        step("fetch:plain:file", url="one.txt", targetPath="two.txt"),
    )
    document["metadata"]["annotations"] = {
        "backstage.io/source-location": f"url:{vendor.url}/acme/templates/tree/main/t/"
    }
    place = f"url:{vendor.url}/acme/templates/blob/main/t/template.yaml"
    with PlacedOrigin.of(document, place) as origin:
        ran = run(tmp_path, document, origin=origin)
    assert ran.error == ""
    assert ran.files == {
        ".hidden": "1",
        "other/a.md": "A",
        "shared/s": "shared",
        "two.txt": "one",
    }
    (tmp_path / "x").mkdir()
    missing = template(step("fetch:plain", url=f"{vendor.url}/acme/other/tree/main/none"))
    with PlacedOrigin.of(document, place) as origin:
        ran = run(tmp_path / "x", missing, origin=origin)
    assert "acme/other has no folder none" in ran.error


# --- GitLab -----------------------------------------------------------------------------------


def test_a_project_on_gitlab(tmp_path, gitlab):
    gitlab.vendor.json("/api/v4/projects/7/variables", {}, method="POST", status=201)
    publish = step(
        "publish:gitlab", "publish", repoUrl=gitlab.at(), defaultBranch="main",
        repoVisibility="internal", topics=["go"],
        settings={"only_allow_merge_if_pipeline_succeeds": True},
        projectVariables=[{"key": "REGION", "value": "eu", "masked": False}],
    )  # fmt: skip
    ran = run(tmp_path, template(FETCH, publish), FILES)
    assert ran.error == ""
    url = f"{gitlab.vendor.url}/acme/pay"
    output = ran.result.outputs["publish"]
    assert output.pop("commitHash")
    assert output == {
        "remoteUrl": url,
        "repoContentsUrl": f"{url}/-/blob/main",
        "projectId": 7,
        "created": True,
    }
    assert gitlab.git.files("acme/pay") == {"README.md": "# pay", "bin/run": "x"}
    [made] = gitlab.asked("POST", "/projects$")
    assert made == {
        "visibility": "internal",
        "topics": ["go"],
        "only_allow_merge_if_pipeline_succeeds": True,
        "name": "pay",
        "path": "pay",
        "namespace_id": 3,
    }
    assert len(gitlab.asked("POST", "/variables$")) == 1

    gitlab.vendor.json("/api/v4/projects/acme%2Fpay", {"id": 7, "web_url": url})
    for skips, words in ((False, "is there already"), (True, "")):
        folder = tmp_path / str(skips)
        folder.mkdir()
        again = step("publish:gitlab", "p", repoUrl=gitlab.at(), skipExisting=skips)
        ran = run(folder, template(FETCH, again), FILES)
        assert words in ran.error
    assert ran.result.outputs["p"]["created"] is False
    assert len(gitlab.git.log("acme/pay")) == 1


def test_a_merge_request_on_gitlab(tmp_path, gitlab):
    vendor, git = gitlab.vendor, gitlab.git
    git.make("acme/pay", {"README.md": "before"})
    vendor.json("/api/v4/projects/acme%2Fpay", {"id": 7, "default_branch": "main"})
    vendor.route("/api/v4/users")(
        lambda call: Answer(200, [{"id": 9}] if call.query["username"] == "ann" else [])
    )
    url = f"{vendor.url}/acme/pay/-/merge_requests/4"
    vendor.json(
        "/api/v4/projects/7/merge_requests",
        {"iid": 4, "web_url": url},
        method="POST",
        status=201,
    )
    given = {"repoUrl": gitlab.at(), "branchName": "add", "title": "Add", "description": "Why",
             "assignee": "ann", "reviewers": ["ann"], "labels": ["a", "b"], "targetPath": "docs",
             "removeSourceBranch": True, "commitAction": "create"}  # fmt: skip
    ran = run(tmp_path, template(FETCH, step("publish:gitlab:merge-request", "mr", **given)), FILES)
    assert ran.error == ""
    assert ran.result.outputs["mr"] == {
        "targetBranchName": "main",
        "projectid": 7,
        "projectPath": "acme/pay",
        "mergeRequestUrl": url,
        "mergeRequestIid": 4,
    }
    assert git.files("acme/pay", "add") == {
        "README.md": "before",
        "docs/README.md": "# pay",
        "docs/bin/run": "x",
    }
    [made] = gitlab.asked("POST", "/merge_requests$")
    assert (made["assignee_id"], made["reviewer_ids"], made["labels"]) == (9, [9], "a,b")
    (tmp_path / "x").mkdir()
    given |= {"assignee": "nobody", "branchName": "other"}
    ran = run(tmp_path / "x", template(FETCH, step("publish:gitlab:merge-request", **given)), FILES)
    assert "nobody; expected a user name of GitLab" in ran.error
