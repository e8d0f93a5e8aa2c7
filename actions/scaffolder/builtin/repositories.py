"""What the actions that publish share: whose repository, with which credentials, which files."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import regex

from actions.scaffolder.expressions.backstage import parse_repo_url
from actions.scaffolder.registry import TEXT, TEXTS, ActionContext, titled
from actions.scaffolder.workspace import Workspace, clean_path
from catalog.ingest.locations.forges import Forges
from catalog.ingest.locations.scm import Forge
from catalog.kernel.errors import InvalidInput, UpstreamNotFound, shorten
from catalog.kernel.git import Author, Checkout, checked_out, push
from catalog.kernel.http import Client

_Answer = TypeVar("_Answer")

_NAME: Final = regex.compile(r"[\p{L}\p{N}_][\p{L}\p{N}_.-]*")
_AUTHOR: Final = "Scaffolder"
_EMAIL: Final = "scaffolder@idp.invalid"
_PUSH_S: Final = 240.0
_PATIENCE_S: Final = (0.5, 1.0, 2.0)
_CLONE_BYTES: Final = 500 * 1024 * 1024

REPO_URL = titled(TEXT, "Repository", "As in github.com?owner=acme&repo=shop.")
SOURCE_PATH = titled(TEXT, "Folder", "Of the workspace; all of it where nothing is said.")
TARGET_PATH = titled(TEXT, "Folder of the repository", "Its root where nothing is said.")
TOKEN = titled(
    {"type": ["string", "boolean", "null"]},
    "Token",
    "Of somebody in whose name it is done; the source's where nothing is said.",
)
COMMIT: Final[Mapping[str, Any]] = {
    "gitCommitMessage": titled(TEXT, "Message of the commit"),
    "gitAuthorName": titled(TEXT, "Author of the commit"),
    "gitAuthorEmail": titled(TEXT, "E-mail of the author"),
}
ALLOWED_HOSTS = titled(TEXTS, "Hosts", "That the repository may be on; all where nothing is said.")

# What a pull request and a merge request ask alike.
CHANGE_REQUIRED: Final = ("repoUrl", "branchName", "title", "description")
CHANGE: Final[Mapping[str, Any]] = {
    "repoUrl": REPO_URL,
    "allowedHosts": ALLOWED_HOSTS,
    "branchName": titled(TEXT, "Branch of the change"),
    "title": titled(TEXT, "Title"),
    "description": titled(TEXT, "Description"),
    "targetBranchName": titled(TEXT, "Branch that it goes to"),
    "sourcePath": SOURCE_PATH,
    "targetPath": TARGET_PATH,
    "token": TOKEN,
    "commitMessage": titled(TEXT, "Message of the commit"),
    "filesToDelete": titled(TEXTS, "Files to delete"),
    "gitAuthorName": COMMIT["gitAuthorName"],
    "gitAuthorEmail": COMMIT["gitAuthorEmail"],
}


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository on a forge, and how it is reached. client: to the API, signed in."""

    forge: Forge
    owner: str
    name: str
    client: Client = field(repr=False)
    user: str
    token: str = field(repr=False)

    @property
    def project(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def url(self) -> str:
        return f"{self.forge.web}/{self.project}"


@contextmanager
def opened_repository(context: ActionContext, kind: str) -> Iterator[Repository]:
    """The repository that `repoUrl` names, through the enabled source for its host.

    Raises InvalidInput where there is no such source, or it has no token.
    """
    given = context.input
    try:
        parts = parse_repo_url(given["repoUrl"], None)
    except ValueError as error:
        raise InvalidInput.of("repoUrl", given["repoUrl"], str(error)) from error
    host, owner, name = parts["host"], parts.get("owner", ""), parts["repo"]
    for key, value in (("owner", owner), ("repo", name)):
        if not all(_NAME.fullmatch(one) for one in value.split("/")):
            raise InvalidInput.of(f"{key} in repoUrl", value, "letters, digits, _, . and -")
    if "/" in name or ("/" in owner and kind == "github"):
        raise InvalidInput.of("repoUrl", given["repoUrl"], "one owner and one repository")
    allowed = given.get("allowedHosts")
    if allowed and host not in allowed:
        raise InvalidInput.of("host in repoUrl", host, f"one of {', '.join(allowed)}")
    own_token = given.get("token") if isinstance(given.get("token"), str) else ""
    with Forges() as forges:
        forge = _forge(forges, kind, host, f"{owner}/{name}")
        user, token = forge.credentials()
        if own_token:
            token = own_token
        if not token:
            raise InvalidInput(
                f"The {forge.title} source for {host} has no token, so nothing can be published",
                hint="Give it one that may write, or send one along as a secret.",
            )
        client = forge.client.with_(
            headers={"authorization": f"Bearer {token}"}, secrets={token}, max_wait_s=60.0
        )
        yield Repository(forge, owner, name, client, user or "git", token)


def _forge(forges: Forges, kind: str, host: str, project: str) -> Forge:
    found = [
        one
        for one in forges.all()
        if one.kind == kind and urlsplit(one.web).netloc.lower() == host.lower()
    ]
    if not found:
        title = {"github": "GitHub", "gitlab": "GitLab"}[kind]
        raise InvalidInput(
            f"There is no enabled {title} source for {host}",
            hint="An administrator adds one with a token that may write.",
            details={"field": "repoUrl", "value": host, "expected": f"a {title} source"},
        )
    return max(found, key=lambda one: one.fit(project))


def patiently(context: ActionContext, call: Callable[[], _Answer]) -> _Answer:
    """What `call` gives; forges need a moment until all of their servers know a new repository."""
    for wait_s in _PATIENCE_S:
        try:
            return call()
        except UpstreamNotFound:
            context.check_in()
            time.sleep(wait_s)
    return call()


def author_of(given: Mapping[str, Any]) -> Author:
    return Author(given.get("gitAuthorName") or _AUTHOR, given.get("gitAuthorEmail") or _EMAIL)


def push_first(context: ActionContext, repository: Repository, branch: str) -> str:
    """Push a folder of the workspace as the first commit of an empty repository; returns its
    name."""
    given = context.input
    source = source_of(context)
    context.check_in()
    return patiently(
        context,
        lambda: push(
            repository.forge.clone_url(repository.project),
            source,
            branch=branch,
            message=given.get("gitCommitMessage") or "initial commit",
            author=author_of(given),
            username=repository.user,
            token=repository.token,
            timeout_s=_PUSH_S,
        ),
    )


def push_change(
    context: ActionContext, repository: Repository, *, base: str, branch: str, message: str
) -> str:
    """Push a branch that adds the files of the workspace to a branch of the repository; returns
    the commit's name, "" where nothing would change."""
    given = context.input
    url = repository.forge.clone_url(repository.project)
    credentials: dict[str, Any] = {"username": repository.user, "token": repository.token}
    context.check_in()
    with checked_out(
        url, branch=base, max_bytes=_CLONE_BYTES, timeout_s=_PUSH_S, **credentials
    ) as checkout:
        lay_over(context, checkout)
        context.check_in()
        return push(
            url,
            checkout.folder,
            branch=branch,
            message=message,
            author=author_of(given),
            onto=checkout,
            timeout_s=_PUSH_S,
            **credentials,
        )


def source_of(context: ActionContext) -> Path:
    """The folder whose files are published. Raises PathRefused."""
    return context.workspace.path(context.workspace.folder(context.input.get("sourcePath") or "."))


def lay_over(context: ActionContext, checkout: Checkout) -> None:
    """Write the files of the workspace into a checkout, and delete those of `filesToDelete`."""
    given = context.input
    source = context.workspace.folder(given.get("sourcePath") or ".")
    target = clean_path(given.get("targetPath") or ".")
    tree = Workspace(checkout.folder)
    for path in given.get("filesToDelete") or ():
        if not tree.delete(clean_path(path)):
            context.log(f"There is no {shorten(path, 200)} to delete", level="WARNING")
    prefix = f"{source}/" if source else ""
    for file in context.workspace.files(source):
        context.check_in()
        place = posixpath.join(target, file.path.removeprefix(prefix))
        if file.link:
            tree.link(place, file.link)
        else:
            content = context.workspace.read(file.path)
            tree.write(place, content, is_executable=file.is_executable)
