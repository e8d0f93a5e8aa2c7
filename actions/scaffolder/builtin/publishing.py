"""`publish:file` and `publish:git`: the tree as a download, or in any Git repository."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actions.scaffolder.builtin.repositories import (
    COMMIT,
    SOURCE_PATH,
    TARGET_PATH,
    author_of,
    lay_over,
    source_of,
)
from actions.scaffolder.registry import (
    FLAG,
    TEXT,
    TEXTS,
    ActionContext,
    Example,
    TemplateAction,
    inputs,
    outputs,
    titled,
)
from actions.scaffolder.task import archive_name
from actions.scaffolder.workspace import clean_path
from catalog.ingest.locations.forges import Forges
from catalog.kernel.errors import InvalidInput
from catalog.kernel.git import checked_out, push
from catalog.kernel.http import mask_url

_TIMEOUT_S = 240.0


def _file(context: ActionContext) -> Mapping[str, Any]:
    folder = context.workspace.folder(context.input.get("sourcePath") or ".")
    name = context.input.get("name") or archive_name(context.template)
    if clean_path(name) != name or "/" in name or not name.endswith(".zip"):
        raise InvalidInput.of("name", name, "the name of a file that ends in .zip")
    context.log(f"Keeping {folder or 'the workspace'} as {name}")
    return {"remoteUrl": context.keep(name, folder), "name": name}


def _git(context: ActionContext) -> Mapping[str, Any]:
    given = context.input
    url, branch = given["repoUrl"], given.get("defaultBranch") or "main"
    options: dict[str, Any] = {**_credentials(given), "timeout_s": _TIMEOUT_S}
    commit: dict[str, Any] = {
        "branch": branch,
        "message": given.get("gitCommitMessage") or "initial commit",
        "author": author_of(given),
    }
    context.log(f"Pushing to {mask_url(url)} ({branch})")
    if not given.get("update"):
        if given.get("targetPath") or given.get("filesToDelete"):
            raise InvalidInput("targetPath and filesToDelete go with update: true")
        name = push(url, source_of(context), **commit, **options)
    else:
        base = given.get("baseBranch") or branch
        with checked_out(url, branch=base, **options) as checkout:
            lay_over(context, checkout)
            name = push(url, checkout.folder, onto=checkout, **commit, **options)
            if not name:
                context.log("Nothing has changed, so nothing was pushed", level="WARNING")
                name = checkout.commit
    return {"remoteUrl": url.removesuffix(".git"), "commitHash": name}


def _credentials(given: Mapping[str, Any]) -> dict[str, str]:
    """Those that were sent along; else those of the source for the host, where there is one."""
    if isinstance(token := given.get("token"), str) and token:
        return {"username": given.get("username") or "git", "token": token}
    with Forges() as forges:
        forge = forges.of(given["repoUrl"])
        user, token = forge.credentials() if forge else ("", "")
    return {"username": user, "token": token}


ACTIONS = (
    TemplateAction(
        id="publish:file",
        description="Keeps a folder of the workspace as an archive that can be downloaded.",
        input=inputs(
            (),
            sourcePath=SOURCE_PATH,
            name=titled(TEXT, "Name", "Of the archive; the template's where nothing is said."),
        ),
        output=outputs(remoteUrl=titled(TEXT, "Address of the archive"), name=titled(TEXT, "Name")),
        run=_file,
        examples=(
            Example(
                "Give the files as a download",
                "steps:\n  - id: publish\n    action: publish:file\n",
            ),
        ),
        supports_dry_run=True,
    ),
    TemplateAction(
        id="publish:git",
        description="Pushes a folder of the workspace to a Git repository over https.",
        input=inputs(
            ("repoUrl",),
            repoUrl=titled(TEXT, "Address", "What Git clones, as in https://git.example.com/x.git"),
            defaultBranch=titled(TEXT, "Branch", "main where nothing is said."),
            update=titled(FLAG, "Add to what the repository holds"),
            baseBranch=titled(TEXT, "Branch that is continued", "With update; the same branch."),
            sourcePath=SOURCE_PATH,
            targetPath=TARGET_PATH,
            filesToDelete=titled(TEXTS, "Files to delete"),
            username=titled(TEXT, "User name for Git"),
            token=titled(
                {"type": ["string", "boolean", "null"]},
                "Token",
                "The source's for that host where nothing is said.",
            ),
            **COMMIT,
        ),
        output=outputs(
            remoteUrl=titled(TEXT, "Address of the repository"),
            commitHash=titled(TEXT, "Name of the commit"),
        ),
        run=_git,
        examples=(
            Example(
                "Push to an empty repository",
                "steps:\n  - id: publish\n    action: publish:git\n    input:\n"
                "      repoUrl: https://git.example.com/shop/pay.git\n",
            ),
        ),
    ),
)
