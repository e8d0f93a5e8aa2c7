"""How each resource kind of GitLab is listed, and what is added to what the API gives.

Added keys begin with two underscores and are those of Ocean's integration, so that mappings
written for it work: `__project`, `__members`, `__languages`, `__includedFiles`, ….
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from catalog.ingest.sources.forges import Item, concerns_all, nested
from catalog.ingest.sources.gitlab.api import PAGE_SIZE, GitLabApi, root, segment
from catalog.ingest.sources.gitlab.files import GitLabFiles
from catalog.ingest.sources.selectors import is_on
from catalog.kernel.errors import UpstreamError
from catalog.kernel.source import Page

Selector = Mapping[str, Any]

_JOBS_LIMIT: Final = 100
_CLOSED_DAYS: Final = 90
# Access tokens act as users whose names GitLab makes up; lists of members do not mark them.
_BOT = re.compile(r"(?:project|group)_\d+_bot_[a-z0-9]+")

# What a project must have switched on to have objects of a kind.
_FEATURE: Final[Mapping[str, str]] = {
    "merge-request": "merge_requests_access_level",
    "issue": "issues_access_level",
    "pipeline": "builds_access_level",
    "job": "builds_access_level",
    "release": "releases_access_level",
    "deployment": "environments_access_level",
    "branch": "repository_access_level",
    "tag": "repository_access_level",
    "file": "repository_access_level",
    "folder": "repository_access_level",
}
_IN_GIT: Final = ("branch", "tag", "file", "folder")


def of_project(item: Item, project: Item) -> Item:
    return {**item, "__project": project}


class Listing:
    """All objects of one kind that a selector means."""

    def __init__(self, api: GitLabApi, kind: str, selector: Selector) -> None:
        self.api = api
        self.kind = kind
        self.selector = selector
        self.files = GitLabFiles(api, selector)

    def pages(self, cursor: Any) -> Iterator[Page]:
        match self.kind:
            case "project":
                return self._each(self.api.project_pages(cursor), self.whole_project)
            case "project-with-members":
                return self._each(self.api.project_pages(cursor), self.project_with_members)
            case "group":
                return self.api.group_pages(cursor)
            case "group-with-members":
                return self._each(self.api.group_pages(cursor), self.group_with_members)
            case "member":
                return self._nested(self.api.group_pages, self._members, "full_path", cursor)
            case _:
                children = self._children()
                return self._nested(self.api.project_pages, children, "path_with_namespace", cursor)

    def _each(self, pages: Iterator[Page], shape: Callable[[Item], Item]) -> Iterator[Page]:
        for page in pages:
            yield Page([shape(item) for item in page.items], page.next)

    def _nested(
        self,
        parents: Callable[[Any], Iterator[Page]],
        children: Callable[[Item, Any], Iterator[Page]],
        name: str,
        cursor: Any,
    ) -> Iterator[Page]:
        return nested(
            parents,
            children,
            key=lambda parent: str(parent[name]),
            is_absent=self._is_absent,
            log=self.api.log,
            what=f"{'groups' if name == 'full_path' else 'projects'} of which the kind "
            f"{self.kind} was asked",
            cursor=cursor,
        )

    def _is_absent(self, parent: Item, error: UpstreamError) -> str:
        if error.details.get("status") != 404 or "path_with_namespace" not in parent:
            return ""
        if "tree not found" in error.message.lower():
            return "it has no files"
        return "it is no longer there" if self.api.is_gone(parent) else ""

    def _children(self) -> Callable[[Item, Any], Iterator[Page]]:
        special: Mapping[str, Callable[[Item, Any], Iterator[Page]]] = {
            "merge-request": self._merge_requests,
            "job": self._jobs,
            "branch": self._branches,
            "folder": self.files.folder_pages,
            "file": self.files.file_pages,
            "issue": partial(self._plain, "issues", self._issue_params),
            "pipeline": partial(self._plain, "pipelines", self._pipeline_params),
            "tag": partial(self._plain, "repository/tags", dict),
            "release": partial(self._plain, "releases", dict),
            "deployment": partial(self._plain, "deployments", self._deployment_params),
        }
        read, feature = special[self.kind], _FEATURE[self.kind]

        def children(project: Item, cursor: Any) -> Iterator[Page]:
            if project.get(feature) == "disabled":
                return
            if self.kind in _IN_GIT and (
                not project.get("default_branch") or project.get("empty_repo")
            ):
                return
            yield from read(project, cursor)

        return children

    def _plain(
        self, path: str, params: Callable[[], Item], project: Item, cursor: Any
    ) -> Iterator[Page]:
        for page in self.api.pages(f"{root(project)}/{path}", params(), cursor=cursor):
            yield Page([of_project(item, project) for item in page.items], page.next)

    # --- projects, groups, people ---------------------------------------------------------------

    def whole_project(self, project: Item) -> Item:
        """A project with the languages, searches and files that the selector asks for."""
        found = dict(project)
        if is_on(self.selector, "includeLanguages"):
            found["__languages"] = self._more(f"{root(project)}/languages") or {}
        if is_on(self.selector, "includeLabels"):
            found["__labels"] = self._more(f"{root(project)}/labels", per_page=PAGE_SIZE) or []
        if searches := self.selector.get("searchQueries"):
            found["__searchQueries"] = {
                one["name"]: bool(
                    self._more(
                        f"{root(project)}/search",
                        scope=one.get("scope") or "blobs",
                        search=one["query"],
                        per_page=1,
                    )
                )
                for one in searches
            }
        if paths := self.selector.get("includedFiles"):
            reference = project.get("default_branch") or ""
            found["__includedFiles"] = self.files.included(project, reference, "", paths)
        return found

    def project_with_members(self, project: Item) -> Item:
        return {**project, "__members": self._people(root(project))}

    def group_with_members(self, group: Item) -> Item:
        return {**group, "__members": self._people(f"groups/{group['id']}")}

    def _people(self, place: str) -> list[Item]:
        return [one for one in self.api.all(f"{place}/{self._members_path}") if self.takes(one)]

    def _members(self, group: Item, cursor: Any) -> Iterator[Page]:
        path = f"groups/{group['id']}/{self._members_path}"
        for page in self.api.pages(path, cursor=cursor):
            yield Page([one for one in page.items if self.takes(one)], page.next)

    @property
    def _members_path(self) -> str:
        return "members/all" if is_on(self.selector, "includeInheritedMembers") else "members"

    def takes(self, member: Item) -> bool:
        is_bot = member.get("bot") or _BOT.fullmatch(member.get("username") or "")
        return not is_bot or is_on(self.selector, "includeBotMembers")

    def _more(self, path: str, /, **params: Any) -> Any:
        """Something that is added to an object which is listed anyway; None where there is none,
        and, with a warning, where we may not see it."""
        try:
            return self.api.optional(path, **params)
        except UpstreamError as error:
            if concerns_all(error):
                raise
            self.api.log("warning", f"Something is left out: {error.message}")
            return None

    # --- lists of a project ---------------------------------------------------------------------

    def _issue_params(self) -> Item:
        labels = self.selector.get("labels")
        return {
            "state": self.selector.get("state"),
            "issue_type": self.selector.get("issueType"),
            "labels": ",".join(labels) if isinstance(labels, list) else labels,
            "updated_after": _days_ago(self.selector.get("updatedAfter")),
            "scope": "all",
        }

    def _pipeline_params(self) -> Item:
        return dict(self.selector.get("apiQueryParams") or {})

    def _deployment_params(self) -> Item:
        return {
            "environment": self.selector.get("environment"),
            "status": self.selector.get("status"),
        }

    def _merge_requests(self, project: Item, cursor: Any) -> Iterator[Page]:
        """Open ones all, others as far back as the selector says. The cursor is {"state", "at"}."""
        wanted = merge_states(self.selector)
        states = [one for one in ("opened", "merged", "closed", "locked") if one in wanted]
        place: Mapping[str, Any] = cursor or {}
        at = place.get("at")
        for state in states[states.index(place["state"]) :] if place else states:
            later = states[states.index(state) + 1 :]
            params: Item = {"state": state, "scope": "all"}
            if state != "opened":
                params["updated_after"] = _days_ago(
                    self.selector.get("updatedAfter") or _CLOSED_DAYS
                )
            path = f"{root(project)}/merge_requests"
            for page in self.api.pages(path, params, cursor=at):
                if page.next is not None:
                    following: Any = {"state": state, "at": page.next}
                else:
                    following = {"state": later[0], "at": None} if later else None
                yield Page([of_project(item, project) for item in page.items], following)
            at = None

    def _jobs(self, project: Item, cursor: Any) -> Iterator[Page]:
        """The latest ones: a project may have had millions."""
        params = {"per_page": _JOBS_LIMIT, "order_by": "id", "sort": "desc"}
        items = self.api.get_json(f"{root(project)}/jobs", pagination="keyset", **params)
        yield Page([of_project(item, project) for item in items])

    def _branches(self, project: Item, cursor: Any) -> Iterator[Page]:
        if is_on(self.selector, "defaultBranchOnly", default=True):
            found = self.branch(project, project["default_branch"])
            yield Page([found] if found else [])
            return
        params = {"search": self.selector.get("search"), "regex": self.selector.get("regex")}
        yield from self._plain("repository/branches", lambda: params, project, cursor)

    def branch(self, project: Item, name: str) -> Item | None:
        found = self.api.optional(f"{root(project)}/repository/branches/{segment(name)}")
        return of_project(found, project) if found else None


def merge_states(selector: Selector) -> Sequence[str]:
    return selector.get("states") or ["opened"]


def _days_ago(days: Any) -> str | None:
    if days is None:
        return None
    return (datetime.now(UTC) - timedelta(days=float(days))).strftime("%Y-%m-%dT%H:%M:%SZ")
