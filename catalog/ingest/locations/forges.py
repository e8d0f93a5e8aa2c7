"""GitHub and GitLab: whose source reads which host, with which token, over which API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import Any, Final, Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from catalog.ingest.connections import open_source
from catalog.ingest.locations.scm import FORMS, Forge, RepoPath, below, told
from catalog.ingest.sources.github.api import PUBLIC_URL as GITHUB_API
from catalog.ingest.sources.github.api import GitHubApi, Scope
from catalog.ingest.sources.github.files import GitHubFiles
from catalog.ingest.sources.gitlab.api import PUBLIC_URL as GITLAB
from catalog.ingest.sources.gitlab.api import GitLabApi, segment
from catalog.ingest.sources.gitlab.files import GitLabFiles
from catalog.ingest.sources.repository_files import PathRule
from catalog.kernel.errors import IdpError
from catalog.kernel.http import Client, Response
from catalog.models import Integration

MAX_REF_PAGES: Final = 10
GITHUB: Final = "https://github.com"
RAW_GITHUB: Final = "https://raw.githubusercontent.com"

_FILE_NAME = re.compile(r"[^/]+\.[A-Za-z0-9]{1,10}")


class GitHubForge(Forge):
    kind = "github"
    title = "GitHub"
    in_tree = ""
    commit_key = "sha"

    def __init__(self, integration: Integration | None, web: str) -> None:
        super().__init__(integration, web)
        host = urlsplit(web).netloc
        self.raw = RAW_GITHUB if web == GITHUB else urlunsplit(("https", f"raw.{host}", "", "", ""))

    @cached_property
    def api(self) -> GitHubApi:
        return GitHubApi(self._open())

    @property
    def client(self) -> Client:
        return self.api.client

    def credentials(self) -> tuple[str, str]:
        token = self.api.token
        return ("x-access-token", token) if token else ("", "")

    def default_branch(self, project: str) -> str:
        with told(f"GitHub has no repository {project}"):
            return str(self.api.get_json(f"repos/{quote(project)}").get("default_branch") or "")

    def fit(self, project: str) -> int:
        scope = Scope.of(self.integration.settings if self.integration else {})
        if not (scope.owners or scope.repositories):
            return 1
        return 2 if scope.names(project) else 0

    def _inside(self, scheme: str, netloc: str, path: str) -> str:
        if raw := below(self.raw, scheme, netloc, path):
            parts = raw.split("/")
            return "/".join([*parts[:2], "raw", *parts[2:]])
        return super()._inside(scheme, netloc, path)

    def _split(self, parts: list[str]) -> tuple[str, str, str] | None:
        if len(parts) < 2 or not all(parts[:2]):
            return None
        project = unquote("/".join(parts[:2])).removesuffix(".git")
        if len(parts) > 3 and parts[2] in FORMS:
            return project, parts[2], "/".join(parts[3:])
        return project, "", "/".join(parts[2:]).strip("/")

    def _as_shown(self, url: str) -> str:
        # GitHub leads from a file's tree to its blob, so `tree` is right for files and folders.
        if at := self.parse(url):
            blob = f"{self.web}/{at.project}/blob/"
            if url.startswith(blob):
                return f"{self.web}/{at.project}/tree/{url.removeprefix(blob)}"
        return url

    def _fetch(self, project: str, ref: str, path: str, etag: str, max_bytes: int) -> Response:
        place = f"repos/{quote(project)}/contents/{quote(path)}"
        return self.api.raw(place, etag=etag, max_bytes=max_bytes, ref=ref or None)

    def _entries(self, project: str, ref: str, pattern: str) -> Iterator[Mapping[str, Any]]:
        files = GitHubFiles(self.api, {})
        return files.tree({"full_name": project}, ref or "HEAD", [PathRule(pattern)])

    def _commits(self, at: RepoPath) -> Any:
        named = {"path": at.path, "sha": "" if at.ref == "HEAD" else at.ref}
        wanted = {key: value for key, value in named.items() if value}
        return self.client.get_json(
            f"repos/{quote(at.project)}/commits", params={"per_page": 1, **wanted}
        )

    def _refs(self, project: str, start: str) -> Iterator[str]:
        for sort in ("heads", "tags"):
            place = f"repos/{quote(project)}/git/matching-refs/{sort}/{quote(start)}"
            for page in islice(self.api.pages(place, {}), MAX_REF_PAGES):
                yield from (str(one["ref"]).removeprefix(f"refs/{sort}/") for one in page.items)


class GitLabForge(Forge):
    kind = "gitlab"
    title = "GitLab"
    in_tree = "/-"
    commit_key = "id"

    @cached_property
    def api(self) -> GitLabApi:
        return GitLabApi(self._open())

    @property
    def client(self) -> Client:
        return self.api.client

    def credentials(self) -> tuple[str, str]:
        token = self.api.token
        return ("oauth2", token) if token else ("", "")

    def default_branch(self, project: str) -> str:
        with told(f"GitLab has no project {project}"):
            return str(self.api.project(project).get("default_branch") or "")

    def fit(self, project: str) -> int:
        settings = self.integration.settings if self.integration else {}
        groups, projects = settings.get("groups") or (), settings.get("projects") or ()
        if not (groups or projects):
            return 1
        lower = project.lower()
        is_named = lower in map(str.lower, projects) or any(
            lower.startswith(f"{one.lower()}/") for one in groups
        )
        return 2 if is_named else 0

    def _split(self, parts: list[str]) -> tuple[str, str, str] | None:
        """A project may lie in groups within groups, so only `/-/` tells where its name ends."""
        ends = parts.index("-") if "-" in parts else -1
        if ends >= 2 and len(parts) > ends + 2 and parts[ends + 1] in FORMS:
            return _project(parts[:ends]), parts[ends + 1], "/".join(parts[ends + 2 :])
        old = next((n for n, part in enumerate(parts) if n >= 2 and part in FORMS), -1)
        if ends < 0 and old >= 2 and len(parts) > old + 1:
            return _project(parts[:old]), parts[old], "/".join(parts[old + 1 :])
        if ends >= 2:
            parts = parts[:ends]
        parts = [one for one in parts if one]
        if len(parts) < 2:
            return None
        is_file = len(parts) > 2 and _FILE_NAME.fullmatch(parts[-1])
        return (_project(parts[:-1]), "", parts[-1]) if is_file else (_project(parts), "", "")

    def _fetch(self, project: str, ref: str, path: str, etag: str, max_bytes: int) -> Response:
        place = f"projects/{segment(project)}/repository/files/{segment(path)}/raw"
        return self.api.raw(place, etag=etag, max_bytes=max_bytes, ref=ref or "HEAD")

    def _entries(self, project: str, ref: str, pattern: str) -> Iterator[Mapping[str, Any]]:
        files = GitLabFiles(self.api, {})
        return files.tree({"id": segment(project)}, ref or "HEAD", [PathRule(pattern)])

    def _commits(self, at: RepoPath) -> Any:
        wanted = {"per_page": 1, "ref_name": at.ref or "HEAD"}
        return self.client.get_json(
            f"projects/{segment(at.project)}/repository/commits",
            params={**wanted, "path": at.path} if at.path else wanted,
        )

    def _refs(self, project: str, start: str) -> Iterator[str]:
        for sort in ("branches", "tags"):
            place = f"projects/{segment(project)}/repository/{sort}"
            for page in islice(self.api.pages(place, {"search": f"^{start}"}), MAX_REF_PAGES):
                yield from (str(one["name"]) for one in page.items)


class Forges:
    """The enabled GitHub and GitLab sources, as readers of addresses: one query, and connections
    that last as long as this does."""

    def __init__(self) -> None:
        self._forges: list[Forge] | None = None
        self._public: tuple[Forge, ...] = (GitHubForge(None, GITHUB), GitLabForge(None, GITLAB))

    def of(self, url: str) -> Forge | None:
        """The forge that reads an address: of several sources for its host the one whose settings
        name the project, else the first. None for any other host."""
        found = [one for one in self.all() if one.covers(url)]
        if len(found) < 2:
            return found[0] if found else None
        at = found[0].parse(url)
        return max(found, key=lambda one: one.fit(at.project)) if at else found[0]

    def public(self, url: str) -> Forge | None:
        """github.com or gitlab.com as everybody may read it."""
        return next((one for one in self._public if one.covers(url)), None)

    def all(self) -> Sequence[Forge]:
        if self._forges is None:
            rows = Integration.objects.filter(
                kind__in=("github", "gitlab"), runs_here=True, is_enabled=True
            ).order_by("identifier")
            self._forges = [_forge(row) for row in rows]
        return self._forges

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for one in (*(self._forges or ()), *self._public):
            one.close()


def _forge(row: Integration) -> Forge:
    is_github = row.kind == "github"
    address = str(row.settings.get("apiUrl" if is_github else "url") or "")
    if "${" in address:
        with suppress(IdpError):  # one whose secrets are lost covers nothing
            opened = open_source(row, log=lambda level, message: None).connection
            address = str(opened.settings["apiUrl" if is_github else "url"])
    if is_github:
        return GitHubForge(row, web_of_github(address or GITHUB_API))
    return GitLabForge(row, (address or GITLAB).rstrip("/"))


def web_of_github(api_url: str) -> str:
    """Where people see what the API at an address serves."""
    split = urlsplit(api_url.rstrip("/"))
    host = split.netloc.lower()
    if host == "api.github.com" or host.endswith(".ghe.com"):
        host = host.removeprefix("api.")
    return urlunsplit((split.scheme, host, split.path.removesuffix("/api/v3"), "", ""))


def _project(parts: Sequence[str]) -> str:
    return unquote("/".join(parts)).removesuffix(".git")
