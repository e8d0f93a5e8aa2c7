"""How each resource kind of GitLab is listed, and what is added to what the API gives.

Added keys begin with two underscores and are those of Ocean's integration, so that mappings
written for it work: `__project`, `__members`, `__languages`, `__includedFiles`, ….
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from catalog.ingest.sources.forges import (
    MAX_FILE_BYTES,
    Item,
    PathRule,
    concerns_all,
    content_of,
    fixed_part,
    is_pattern,
    needed_rules,
    nested,
    path_rules,
)
from catalog.ingest.sources.gitlab.api import PAGE_SIZE, GitLabApi, segment
from catalog.ingest.sources.selectors import is_on
from catalog.kernel.errors import UpstreamError, UpstreamNotFound
from catalog.kernel.source import Page

Selector = Mapping[str, Any]

_FILES_A_PAGE: Final = 25
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
            "folder": self._folders,
            "file": self._files,
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
            found["__includedFiles"] = self._included(project, reference, "", paths)
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

    # --- files and folders ----------------------------------------------------------------------

    def _folders(self, project: Item, cursor: Any) -> Iterator[Page]:
        found = self._matches(project, "folders", "tree")
        yield Page(
            [self._folder(project, place[0], *about) for place, about in sorted(found.items())]
        )

    def _folder(self, project: Item, reference: str, entry: Item, rule: PathRule) -> Item:
        item: Item = {"folder": entry, "repo": project, "__branch": reference}
        anywhere = list(self.selector.get("includedFiles") or ())
        if anywhere or rule.included:
            wanted = [*anywhere, *rule.included]
            found = self._included(project, reference, entry["path"], wanted)
            # What a folder does not have itself, the repository may have for all.
            missing = [one for one in anywhere if found[one] is None]
            item["__includedFiles"] = found | self._included(project, reference, "", missing)
        return item

    def _files(self, project: Item, cursor: Any) -> Iterator[Page]:
        """The cursor is the place (branch and path) of the last file that was given."""
        wanted = self._matches(project, "files", "blob")
        places = sorted(wanted)
        if cursor is not None:
            places = [one for one in places if one > tuple(cursor)]
        for start in range(0, len(places), _FILES_A_PAGE):
            part = places[start : start + _FILES_A_PAGE]
            items = [self.file(project, *place, rule=wanted[place][1]) for place in part]
            is_last = start + _FILES_A_PAGE >= len(places)
            yield Page([one for one in items if one], None if is_last else list(part[-1]))

    def file(self, project: Item, reference: str, path: str, *, rule: PathRule) -> Item | None:
        """One file with its content; None when it is not there, or too large to be read."""
        held = self._contents(project, reference, path)
        if held is None:
            return None
        metadata, raw = held
        content = content_of(path, raw, is_parsed=rule.is_parsed)
        about = {"project_id": str(project["id"]), "path": path, "content": content}
        item: Item = {"file": {**metadata, **about}, "repo": project}
        if paths := self.selector.get("includedFiles"):
            item["__includedFiles"] = self._included(project, reference, "", paths)
        return item

    def files_at(self, project: Item, paths: Sequence[str]) -> Iterator[Item]:
        """Those of `paths` (of the default branch) that the selector means, with their content."""
        for rule, reference in _rules_for(path_rules(self.selector.get("files")), project):
            if reference == project.get("default_branch"):
                for path in paths:
                    if rule.matches(path) and (
                        found := self.file(project, reference, path, rule=rule)
                    ):
                        yield found

    def folders_at(self, project: Item, paths: Sequence[str]) -> Iterator[Item]:
        """Those of `paths` (of the default branch) that the selector means and that are there."""
        for (reference, path), about in self._matches(project, "folders", "tree").items():
            if reference == project.get("default_branch") and path in paths:
                yield self._folder(project, reference, *about)

    @staticmethod
    def means(selector: Selector, key: str, project: Item, reference: Any, path: str) -> bool:
        """Whether a selector's files or folders hold a path of a branch."""
        return any(
            branch == reference and rule.matches(path)
            for rule, branch in _rules_for(path_rules(selector.get(key)), project)
        )

    def _matches(
        self, project: Item, key: str, kind: str
    ) -> dict[tuple[str, str], tuple[Item, PathRule]]:
        """What the rules mean in a project: by branch and path, the entry of the tree and the
        rule. kind: "blob" or "tree"."""
        found: dict[tuple[str, str], tuple[Item, PathRule]] = {}
        for rule, reference in _rules_for(needed_rules(self.selector, key), project):
            if kind == "blob" and not is_pattern(rule.path):
                path = rule.path.strip("/")  # a file that is named needs no tree to be found
                found.setdefault((reference, path), ({"path": path, "type": kind}, rule))
                continue
            for entry in self._tree(project, reference, rule):
                if entry["type"] == kind and rule.matches(entry["path"]):
                    found.setdefault((reference, entry["path"]), (entry, rule))
        return found

    def _tree(self, project: Item, reference: str, rule: PathRule) -> Iterator[Item]:
        base = fixed_part(rule.path)
        depth = len(rule.path.strip("/").split("/")) - len(base.split("/") if base else ())
        params = {
            "ref": reference,
            "path": base or None,
            "recursive": depth > 1 or "**" in rule.path or None,
            "pagination": "keyset",
        }
        try:
            for page in self.api.pages(f"{root(project)}/repository/tree", params):
                yield from page.items
        except UpstreamNotFound:
            if not base:
                raise  # the branch itself is not there

    def _contents(self, project: Item, reference: str, path: str) -> tuple[Item, bytes] | None:
        answer = self.api.optional(
            f"{root(project)}/repository/files/{segment(path)}", ref=reference
        )
        if not isinstance(answer, dict) or answer.get("encoding") != "base64":
            return None
        if answer.get("size", 0) > MAX_FILE_BYTES:
            self.api.log(
                "warning",
                f"{project['path_with_namespace']}: {path} is left out, it has more than "
                f"{MAX_FILE_BYTES // 1024} KiB",
            )
            return None
        metadata = {name: value for name, value in answer.items() if name != "content"}
        return metadata, base64.b64decode(answer["content"])

    def _included(self, project: Item, reference: str, folder: str, paths: Sequence[str]) -> Item:
        """The texts of files by the path as it was asked for; None for those that are not there."""
        found: Item = {}
        for path in paths:
            full = f"{folder}/{path}".strip("/")
            held = self._contents(project, reference, full) if reference else None
            found[path] = content_of(full, held[1], is_parsed=False) if held else None
        return found


def root(project: Item) -> str:
    return f"projects/{project['id']}"


def merge_states(selector: Selector) -> Sequence[str]:
    return selector.get("states") or ["opened"]


def _days_ago(days: Any) -> str | None:
    if days is None:
        return None
    return (datetime.now(UTC) - timedelta(days=float(days))).strftime("%Y-%m-%dT%H:%M:%SZ")


def _rules_for(rules: Sequence[PathRule], project: Item) -> list[tuple[PathRule, str]]:
    """The rules that concern a project, each with the branch it reads."""
    path = str(project["path_with_namespace"])
    names = (path, path.rpartition("/")[2], str(project["id"]))
    default = project.get("default_branch") or ""
    chosen = [(rule, rule.branch_in(path.rpartition("/")[0], names, default)) for rule in rules]
    return [(rule, reference) for rule, reference in chosen if reference]
