"""`publish:gitlab` and its merge requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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
from catalog.ingest.sources.gitlab.api import segment
from catalog.kernel.errors import InvalidInput, UpstreamNotFound

_KIND: Final = "gitlab"


def _publish(context: ActionContext) -> Mapping[str, Any]:
    given = context.input
    branch = given.get("defaultBranch") or "master"
    with opened_repository(context, _KIND) as repository:
        known = _project(repository)
        if known and not given.get("skipExisting"):
            raise InvalidInput(
                f"{repository.project} is there already", hint="Choose another name."
            )
        made = known or _create(repository, given)
        number = int(made["id"])
        url = str(made.get("web_url") or repository.url)
        answer = {
            "remoteUrl": url,
            "repoContentsUrl": f"{url}/-/blob/{branch}",
            "projectId": number,
            "created": known is None,
        }
        if known:
            context.log(f"{repository.project} is there already; nothing was pushed")
            return answer
        context.log(f"Created the project {repository.project}")
        commit = push_first(context, repository, branch)
        context.log(f"Pushed {commit[:12]} to {branch}")
        for one in given.get("projectVariables") or ():
            repository.client.post(f"projects/{number}/variables", json=dict(one))
        return {**answer, "commitHash": commit}


def _project(repository: Repository) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = repository.client.get_json(
            f"projects/{segment(repository.project)}"
        )
    except UpstreamNotFound:
        return None
    return found


def _create(repository: Repository, given: Mapping[str, Any]) -> Mapping[str, Any]:
    client = repository.client
    namespace = client.get_json(f"namespaces/{segment(repository.owner)}")
    body = {
        "visibility": given.get("repoVisibility") or "private",
        **({"topics": given["topics"]} if given.get("topics") else {}),
        **(given.get("settings") or {}),
        "name": repository.name,
        "path": repository.name,
        "namespace_id": namespace["id"],
    }
    made: Mapping[str, Any] = client.post("projects", json=body).json()
    return made


def _merge_request(context: ActionContext) -> Mapping[str, Any]:
    given = context.input
    branch = given["branchName"]
    with opened_repository(context, _KIND) as repository:
        project = _project(repository)
        if project is None:
            raise InvalidInput(f"GitLab has no project {repository.project}")
        target = given.get("targetBranchName") or str(project.get("default_branch") or "main")
        commit = push_change(
            context,
            repository,
            base=target,
            branch=branch,
            message=given.get("commitMessage") or given["title"],
        )
        if not commit:
            context.log("Nothing would change, so there is no merge request", level="WARNING")
            return {"targetBranchName": target, "projectPath": repository.project}
        body = {
            "title": given["title"],
            "description": given["description"],
            "source_branch": branch,
            "target_branch": target,
            "remove_source_branch": given.get("removeSourceBranch", False),
            **_people(repository, given),
        }
        if labels := given.get("labels"):
            body["labels"] = labels if isinstance(labels, str) else ",".join(labels)
        number = int(project["id"])
        made = repository.client.post(f"projects/{number}/merge_requests", json=body).json()
        context.log(f"Merge request {made['web_url']}")
        return {
            "targetBranchName": target,
            "projectid": number,
            "projectPath": repository.project,
            "mergeRequestUrl": made["web_url"],
            "mergeRequestIid": made["iid"],
        }


def _people(repository: Repository, given: Mapping[str, Any]) -> dict[str, Any]:
    """The assignee and the reviewers by their numbers. Raises InvalidInput for a name that GitLab
    does not know."""
    found: dict[str, Any] = {}
    if assignee := given.get("assignee"):
        found["assignee_id"] = _number_of(repository, assignee)
    if reviewers := given.get("reviewers"):
        found["reviewer_ids"] = [_number_of(repository, one) for one in reviewers]
    return found


def _number_of(repository: Repository, username: str) -> int:
    users = repository.client.get_json("users", params={"username": username})
    if not users:
        raise InvalidInput.of("assignee or reviewer", username, "a user name of GitLab")
    return int(users[0]["id"])


_VARIABLE: Final[Mapping[str, Any]] = inputs(
    ("key", "value"),
    key=TEXT,
    value=TEXT,
    description=TEXT,
    variable_type=TEXT,
    protected=FLAG,
    masked=FLAG,
    raw=FLAG,
    environment_scope=TEXT,
)

ACTIONS = (
    TemplateAction(
        id="publish:gitlab",
        description="Makes a project on GitLab and pushes a folder of the workspace to it.",
        input=inputs(
            ("repoUrl",),
            repoUrl=REPO_URL,
            allowedHosts=ALLOWED_HOSTS,
            repoVisibility=titled({"enum": ["private", "public", "internal"]}, "Who sees it"),
            defaultBranch=titled(TEXT, "Branch", "master where nothing is said."),
            sourcePath=SOURCE_PATH,
            skipExisting=titled(FLAG, "Leave one that is there alone"),
            token=TOKEN,
            topics=titled(TEXTS, "Topics"),
            settings=titled(OBJECT, "Settings", "As GitLab's API has them."),
            projectVariables=titled({"type": "array", "items": _VARIABLE}, "Variables"),
            **COMMIT,
        ),
        output=outputs(
            remoteUrl=titled(TEXT, "Address of the project"),
            repoContentsUrl=titled(TEXT, "Address of its contents"),
            projectId=titled({"type": "number"}, "Number of the project"),
            commitHash=titled(TEXT, "Name of the commit"),
            created=titled(FLAG, "Whether it was made now"),
        ),
        run=_publish,
        examples=(
            Example(
                "Publish a new service",
                "steps:\n  - id: publish\n    action: publish:gitlab\n    input:\n"
                "      repoUrl: gitlab.com?owner=acme&repo=pay\n      defaultBranch: main\n",
            ),
        ),
    ),
    TemplateAction(
        id="publish:gitlab:merge-request",
        description="Opens a merge request that adds the files of the workspace to a project.",
        input=inputs(
            CHANGE_REQUIRED,
            **CHANGE,
            commitAction=titled(
                {"enum": ["create", "update", "auto"]},
                "Without effect",
                "What is there is changed, what is not is made.",
            ),
            removeSourceBranch=titled(FLAG, "Delete the branch once merged"),
            assignee=titled(TEXT, "Assignee", "Their user name."),
            reviewers=titled(TEXTS, "Reviewers", "Their user names."),
            labels=titled({"type": ["string", "array"], "items": TEXT}, "Labels"),
        ),
        output=outputs(
            targetBranchName=titled(TEXT, "Branch that it goes to"),
            projectid=titled({"type": "number"}, "Number of the project"),
            projectPath=titled(TEXT, "Path of the project"),
            mergeRequestUrl=titled(TEXT, "Address of the merge request"),
            mergeRequestIid=titled({"type": "number"}, "Number of the merge request"),
        ),
        run=_merge_request,
    ),
)
