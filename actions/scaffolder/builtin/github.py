"""`publish:github`, its pull requests, and a few deeds on repositories of GitHub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from actions.scaffolder.builtin.repositories import (
    ALLOWED_HOSTS,
    CHANGE,
    CHANGE_REQUIRED,
    COMMIT,
    REPO_URL,
    SOURCE_PATH,
    TOKEN,
    Repository,
    opened_repository,
    patiently,
    push_change,
    push_first,
)
from actions.scaffolder.registry import (
    FLAG,
    OBJECT,
    TEXT,
    TEXTS,
    ActionContext,
    Example,
    TemplateAction,
    inputs,
    outputs,
    titled,
)
from catalog.kernel.errors import InvalidInput, UpstreamError, UpstreamRefused

_KIND: Final = "github"
_HAS: Final = {"hasIssues": "has_issues", "hasProjects": "has_projects", "hasWiki": "has_wiki"}
_MERGING: Final = {
    "deleteBranchOnMerge": ("delete_branch_on_merge", False),
    "allowMergeCommit": ("allow_merge_commit", True),
    "allowSquashMerge": ("allow_squash_merge", True),
    "allowRebaseMerge": ("allow_rebase_merge", True),
    "allowAutoMerge": ("allow_auto_merge", False),
    "allowUpdateBranch": ("allow_update_branch", False),
}
_REVIEWS: Final = {
    "dismissStaleReviews": "dismiss_stale_reviews",
    "requireCodeOwnerReviews": "require_code_owner_reviews",
    "requireLastPushApproval": "require_last_push_approval",
}


def _publish(context: ActionContext) -> Mapping[str, Any]:
    given = context.input
    branch = given.get("defaultBranch") or "master"
    with opened_repository(context, _KIND) as repository:
        made = _create(repository, given)
        context.log(f"Created the repository {repository.project}")
        _let_in(repository, given)
        _describe(repository, given)
        commit = push_first(context, repository, branch)
        context.log(f"Pushed {commit[:12]} to {branch}")
        if given.get("protectDefaultBranch", True):
            _protect(context, repository, branch)
        url = str(made.get("html_url") or repository.url)
        return {
            "remoteUrl": str(made.get("clone_url") or f"{repository.url}.git"),
            "repoContentsUrl": f"{url}/blob/{branch}",
            "commitHash": commit,
        }


def _create(repository: Repository, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """A new repository; one that is there already is not touched."""
    client, owner = repository.client, quote(repository.owner)
    visibility = given.get("repoVisibility") or "private"
    body: dict[str, Any] = {
        "name": repository.name,
        "private": visibility != "public",
        "squash_merge_commit_title": given.get("squashMergeCommitTitle") or "COMMIT_OR_PR_TITLE",
        "squash_merge_commit_message": given.get("squashMergeCommitMessage") or "COMMIT_MESSAGES",
        **{key: given.get(name, default) for name, (key, default) in _MERGING.items()},
        **{key: given[name] for name, key in _HAS.items() if name in given},
        **{key: given[key] for key in ("description", "homepage") if given.get(key)},
    }
    if client.get_json(f"users/{owner}").get("type") == "Organization":
        body["visibility"] = visibility
        if given.get("customProperties"):
            body["custom_properties"] = given["customProperties"]
        made = client.post(f"orgs/{owner}/repos", json=body)
    else:
        made = client.post("user/repos", json=body)
    found: Mapping[str, Any] = made.json()
    full_name = str(found.get("full_name") or repository.project)
    if full_name.lower() != repository.project.lower():
        raise InvalidInput(
            f"GitHub made {full_name}: the token is not that of {repository.owner}",
            hint="Name an organisation, or the owner of the token.",
        )
    return found


def _let_in(repository: Repository, given: Mapping[str, Any]) -> None:
    """Give people and teams access."""
    wanted = [
        (one.get("team"), one.get("user") or one.get("username"), one["access"])
        for one in given.get("collaborators") or ()
    ]
    if access := given.get("access"):
        owner, slash, team = access.partition("/")
        is_team = bool(slash) and owner.lower() == repository.owner.lower()
        wanted.append((team if is_team else None, None if is_team else access, "admin"))
    for team, user, permission in wanted:
        if team:
            path = f"orgs/{quote(repository.owner)}/teams/{quote(team, safe='')}"
            path = f"{path}/repos/{quote(repository.project)}"
        else:
            path = f"{_path(repository)}/collaborators/{quote(str(user), safe='')}"
        repository.client.request("PUT", path, json={"permission": permission})


def _describe(repository: Repository, given: Mapping[str, Any]) -> None:
    client, path = repository.client, _path(repository)
    if topics := given.get("topics"):
        client.request("PUT", f"{path}/topics", json={"names": [one.lower() for one in topics]})
    for name, value in (given.get("repoVariables") or {}).items():
        client.post(f"{path}/actions/variables", json={"name": name, "value": str(value)})
    if oidc := given.get("oidcCustomization"):
        body = {
            "use_default": oidc.get("useDefault", True),
            "include_claim_keys": oidc.get("includeClaimKeys") or [],
        }
        client.request("PUT", f"{path}/actions/oidc/customization/sub", json=body)
    if given.get("subscribe"):
        client.request("PUT", f"{path}/subscription", json={"subscribed": True})


def _protect(context: ActionContext, repository: Repository, branch: str) -> None:
    """Protect a branch; a plan of GitHub that has no protection is told and no failure."""
    given = context.input
    checks = given.get("requiredStatusCheckContexts") or []
    is_strict = given.get("requireBranchesToBeUpToDate", True)
    reviews: dict[str, Any] = {
        "required_approving_review_count": given.get("requiredApprovingReviewCount", 1),
        **{key: given.get(name, False) for name, key in _REVIEWS.items()},
    }
    if bypass := given.get("bypassPullRequestAllowances"):
        reviews["bypass_pull_request_allowances"] = bypass
    body = {
        "required_status_checks": {"strict": is_strict, "contexts": checks} if checks else None,
        "enforce_admins": given.get("protectEnforceAdmins", True),
        "required_pull_request_reviews": reviews,
        "restrictions": given.get("restrictions"),
        "required_conversation_resolution": given.get("requiredConversationResolution", False),
        "required_linear_history": given.get("requiredLinearHistory", False),
    }
    path = f"{_path(repository)}/branches/{quote(branch, safe='')}/protection"
    try:
        patiently(context, lambda: repository.client.request("PUT", path, json=body))
        if given.get("requiredCommitSigning"):
            repository.client.post(f"{path}/required_signatures")
    except UpstreamRefused as error:
        context.log(f"{branch} is not protected: {error.message}", level="WARNING")


def _pull_request(context: ActionContext) -> Mapping[str, Any]:
    given = context.input
    branch = given["branchName"]
    with opened_repository(context, _KIND) as repository:
        target = given.get("targetBranchName") or repository.forge.default_branch(
            repository.project
        )
        open_one = _open_pull_request(repository, branch) if given.get("update") else None
        commit = push_change(
            context,
            repository,
            base=branch if open_one else target,
            branch=branch,
            message=given.get("commitMessage") or given["title"],
        )
        if not commit and not open_one:
            context.log("Nothing would change, so there is no pull request", level="WARNING")
            return {"targetBranchName": target}
        found = open_one or _new_pull_request(repository, given, target)
        context.log(f"Pull request {found['html_url']}")
        return {
            "remoteUrl": found["html_url"],
            "pullRequestNumber": found["number"],
            "targetBranchName": target,
        }


def _open_pull_request(repository: Repository, branch: str) -> Mapping[str, Any] | None:
    found = repository.client.get_json(
        f"{_path(repository)}/pulls",
        params={"state": "open", "head": f"{repository.owner}:{branch}"},
    )
    return found[0] if found else None


def _new_pull_request(
    repository: Repository, given: Mapping[str, Any], target: str
) -> Mapping[str, Any]:
    client, path = repository.client, _path(repository)
    body = {
        "title": given["title"],
        "body": given["description"],
        "head": given["branchName"],
        "base": target,
        "draft": given.get("draft", False),
    }
    made: Mapping[str, Any] = client.post(f"{path}/pulls", json=body).json()
    number = int(made["number"])
    reviewers = {"reviewers": given.get("reviewers"), "team_reviewers": given.get("teamReviewers")}
    if asked := {key: one for key, one in reviewers.items() if one}:
        client.post(f"{path}/pulls/{number}/requested_reviewers", json=asked)
    if assignees := given.get("assignees"):
        client.post(f"{path}/issues/{number}/assignees", json={"assignees": assignees})
    return made


def _enable_pages(context: ActionContext) -> None:
    given = context.input
    source = {
        "branch": given.get("sourceBranch") or "main",
        "path": given.get("sourcePath") or "/",
    }
    with opened_repository(context, _KIND) as repository:
        body = {"build_type": given.get("buildType") or "workflow", "source": source}
        repository.client.post(f"{_path(repository)}/pages", json=body)
        context.log(f"Pages of {repository.project} are on")


def _dispatch(context: ActionContext) -> None:
    given = context.input
    with opened_repository(context, _KIND) as repository:
        workflow = quote(given["workflowId"], safe="")
        body = {"ref": given["branchOrTagName"], "inputs": given.get("workflowInputs") or {}}
        try:
            repository.client.post(
                f"{_path(repository)}/actions/workflows/{workflow}/dispatches", json=body
            )
        except UpstreamError as error:
            raise UpstreamError(
                f"{given['workflowId']} was not started: {error.message}"
            ) from error
        context.log(f"Started {given['workflowId']} of {repository.project}")


def _path(repository: Repository) -> str:
    return f"repos/{quote(repository.project)}"


_COUNT: Final[Mapping[str, Any]] = {"type": "integer", "minimum": 0, "maximum": 6}
_ACCESS: Final[Mapping[str, Any]] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"user": TEXT, "username": TEXT, "team": TEXT, "access": TEXT},
        "required": ["access"],
        "additionalProperties": False,
        "anyOf": [{"required": ["user"]}, {"required": ["username"]}, {"required": ["team"]}],
    },
}
_FLAGS: Final = (
    *_MERGING,
    *_HAS,
    *_REVIEWS,
    "protectDefaultBranch",
    "protectEnforceAdmins",
    "requireBranchesToBeUpToDate",
    "requiredConversationResolution",
    "requiredCommitSigning",
    "requiredLinearHistory",
    "subscribe",
)

ACTIONS = (
    TemplateAction(
        id="publish:github",
        description="Makes a repository on GitHub and pushes a folder of the workspace to it.",
        input=inputs(
            ("repoUrl",),
            repoUrl=REPO_URL,
            allowedHosts=ALLOWED_HOSTS,
            description=titled(TEXT, "Description"),
            homepage=titled(TEXT, "Address of its site"),
            repoVisibility=titled({"enum": ["private", "public", "internal"]}, "Who sees it"),
            defaultBranch=titled(TEXT, "Branch", "master where nothing is said."),
            access=titled(TEXT, "Who administers it", "A user, or organisation/team."),
            collaborators=titled(_ACCESS, "Who may do what"),
            topics=titled(TEXTS, "Topics"),
            sourcePath=SOURCE_PATH,
            token=TOKEN,
            requiredApprovingReviewCount=titled(_COUNT, "Approvals that a change needs"),
            requiredStatusCheckContexts=titled(TEXTS, "Checks that a change needs"),
            bypassPullRequestAllowances=titled(OBJECT, "Who needs no pull request"),
            restrictions=titled({"type": ["object", "null"]}, "Who may push"),
            squashMergeCommitTitle=titled(
                {"enum": ["PR_TITLE", "COMMIT_OR_PR_TITLE"]}, "Title of squashed commits"
            ),
            squashMergeCommitMessage=titled(
                {"enum": ["PR_BODY", "COMMIT_MESSAGES", "BLANK"]}, "Message of squashed commits"
            ),
            repoVariables=titled(OBJECT, "Variables of its workflows"),
            customProperties=titled(OBJECT, "Custom properties"),
            oidcCustomization=titled(OBJECT, "Subject of its OIDC tokens"),
            **COMMIT,
            **dict.fromkeys(_FLAGS, FLAG),
        ),
        output=outputs(
            remoteUrl=titled(TEXT, "Address of the repository"),
            repoContentsUrl=titled(TEXT, "Address of its contents"),
            commitHash=titled(TEXT, "Name of the commit"),
        ),
        run=_publish,
        examples=(
            Example(
                "Publish a new service",
                "steps:\n  - id: publish\n    action: publish:github\n    input:\n"
                "      repoUrl: github.com?owner=acme&repo=pay\n      defaultBranch: main\n",
            ),
        ),
    ),
    TemplateAction(
        id="publish:github:pull-request",
        description="Opens a pull request that adds the files of the workspace to a repository.",
        input=inputs(
            CHANGE_REQUIRED,
            **CHANGE,
            draft=titled(FLAG, "As a draft"),
            reviewers=titled(TEXTS, "Reviewers"),
            teamReviewers=titled(TEXTS, "Teams that review"),
            assignees=titled(TEXTS, "Assignees"),
            update=titled(FLAG, "Add to one that is open"),
            createWhenEmpty=titled({"const": False}, "Without a change there is none"),
        ),
        output=outputs(
            remoteUrl=titled(TEXT, "Address of the pull request"),
            pullRequestNumber=titled({"type": "number"}, "Number"),
            targetBranchName=titled(TEXT, "Branch that it goes to"),
        ),
        run=_pull_request,
    ),
    TemplateAction(
        id="github:pages:enable",
        description="Lets GitHub show pages of a repository.",
        input=inputs(
            ("repoUrl",),
            repoUrl=REPO_URL,
            buildType=titled({"enum": ["workflow", "legacy"]}, "How they are built"),
            sourceBranch=titled(TEXT, "Branch"),
            sourcePath=titled({"enum": ["/", "/docs"]}, "Folder"),
            token=TOKEN,
        ),
        run=_enable_pages,
    ),
    TemplateAction(
        id="github:actions:dispatch",
        description="Starts a workflow of a repository on GitHub.",
        input=inputs(
            ("repoUrl", "workflowId", "branchOrTagName"),
            repoUrl=REPO_URL,
            workflowId=titled(TEXT, "Workflow", "Its file name, or its number."),
            branchOrTagName=titled(TEXT, "Branch or tag"),
            workflowInputs=titled(OBJECT, "Inputs"),
            token=TOKEN,
        ),
        run=_dispatch,
    ),
)
