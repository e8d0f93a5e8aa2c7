"""GitLab's webhooks and system hooks: what each event says of which objects.

Events hold their objects in another shape than the API, so nearly all are asked for. One that is
no longer there when it is asked for is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from catalog.ingest.sources.forges import Item, understood
from catalog.ingest.sources.gitlab.api import GitLabApi, segment
from catalog.ingest.sources.gitlab.files import GitLabFiles
from catalog.ingest.sources.gitlab.listing import Listing, of_project
from catalog.kernel.errors import InvalidInput, UpstreamNotFound, shorten
from catalog.kernel.source import Event, LiveChange

Selectors = Mapping[str, Sequence[Mapping[str, Any]]]

_NO_COMMIT: Final = "0" * 40


def body_of(event: Event) -> Item:
    """Raises InvalidInput."""
    try:
        body = orjson.loads(event.body)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise InvalidInput(
            f"The body of the event is {shorten(repr(event.body[:60]))}; expected a JSON object"
        )
    return body


class Reader:
    """Reads one event."""

    def __init__(self, api: GitLabApi, wanted: Selectors) -> None:
        self.api = api
        self.wanted = wanted

    def changes(self, body: Item) -> Iterator[LiveChange]:
        name = str(body.get("object_kind") or body.get("event_name") or "")
        read = _READERS.get(name)
        if read is None:
            return
        with understood(name, "GitLab"):
            for change in read(self, body):
                if change.kind in self.wanted:
                    yield change

    # --- asking -------------------------------------------------------------------------------

    def listing(self, kind: str) -> Listing:
        """With the first selector of that kind: what is asked for serves all of them."""
        return Listing(self.api, kind, (self.wanted.get(kind) or [{}])[0])

    def asked(self, kind: str, ask: Callable[[], Item | None], gone: Item) -> Iterator[LiveChange]:
        """An object as the API tells it now. gone: what its identifier is made of, for when it is
        not there."""
        if kind not in self.wanted:
            return
        try:
            found = ask()
        except UpstreamNotFound:
            found = None
        yield LiveChange(kind, gone if found is None else found, is_gone=found is None)

    def meant(self, body: Item) -> Item | None:
        """The project of an event as the API tells it; None when it is not meant, or away."""
        about = body.get("project") or {}
        number = about.get("id") or body.get("project_id")
        path = about.get("path_with_namespace") or body.get("project_path_with_namespace")
        if not number:
            raise KeyError("project")
        if path and not self.api.names(path):
            return None
        found: Item | None = self.api.optional(f"projects/{int(number)}")
        if found is None or not self.api.names(found["path_with_namespace"]):
            return None
        return found if self.api.takes(found) else None

    def in_project(
        self, body: Item, kind: str, path: str, gone: Item, *, is_gone: bool = False
    ) -> Iterator[LiveChange]:
        """An object of a project. path: below the project."""
        if kind not in self.wanted:
            return
        project = self.meant(body)
        if project is None:
            return
        if is_gone:
            yield LiveChange(kind, of_project(gone, project), is_gone=True)
            return
        place = f"projects/{project['id']}/{path}"
        yield from self.asked(
            kind,
            lambda: of_project(self.api.get_json(place), project),
            gone=of_project(gone, project),
        )

    # --- objects of a project -------------------------------------------------------------------

    def merge_request(self, body: Item) -> Iterator[LiveChange]:
        about = body["object_attributes"]
        return self.in_project(body, "merge-request", f"merge_requests/{int(about['iid'])}", about)

    def issue(self, body: Item) -> Iterator[LiveChange]:
        about = body["object_attributes"]
        return self.in_project(body, "issue", f"issues/{int(about['iid'])}", about)

    def pipeline(self, body: Item) -> Iterator[LiveChange]:
        about = body["object_attributes"]
        return self.in_project(body, "pipeline", f"pipelines/{int(about['id'])}", about)

    def job(self, body: Item) -> Iterator[LiveChange]:
        bare = {"id": body["build_id"], "name": body.get("build_name")}
        return self.in_project(body, "job", f"jobs/{int(bare['id'])}", bare)

    def deployment(self, body: Item) -> Iterator[LiveChange]:
        bare = {"id": body["deployment_id"]}
        return self.in_project(body, "deployment", f"deployments/{int(bare['id'])}", bare)

    def release(self, body: Item) -> Iterator[LiveChange]:
        bare = {"tag_name": body["tag"], "name": body.get("name")}
        is_gone = body.get("action") == "delete"
        path = f"releases/{segment(body['tag'])}"
        return self.in_project(body, "release", path, bare, is_gone=is_gone)

    def tag(self, body: Item) -> Iterator[LiveChange]:
        name = str(body["ref"]).removeprefix("refs/tags/")
        is_gone = body.get("after") == _NO_COMMIT
        path = f"repository/tags/{segment(name)}"
        return self.in_project(body, "tag", path, {"name": name}, is_gone=is_gone)

    def push(self, body: Item) -> Iterator[LiveChange]:
        name = str(body["ref"]).removeprefix("refs/heads/")
        is_gone = body.get("after") == _NO_COMMIT
        if not self.wanted.keys() & {"branch", "project", "file", "folder"}:
            return
        project = self.meant(body)
        if project is None:
            return
        bare = of_project({"name": name}, project)
        if is_gone:
            yield LiveChange("branch", bare, is_gone=True)
            return
        yield from self.asked(
            "branch", lambda: self.listing("branch").branch(project, name), gone=bare
        )
        if name == project.get("default_branch"):
            if "project" in self.wanted:
                yield LiveChange("project", self.listing("project").whole_project(project))
            yield from self._paths(project, body.get("commits") or ())

    def _paths(self, project: Item, commits: Sequence[Item]) -> Iterator[LiveChange]:
        for kind in ("file", "folder"):
            for selector in self.wanted.get(kind, ()):
                yield from GitLabFiles(self.api, selector).pushed(kind, project, commits)

    # --- projects, groups, people ---------------------------------------------------------------

    def project(self, body: Item) -> Iterator[LiveChange]:
        """Of a system hook or a group's hook: a project was made, changed, moved or removed."""
        path, former = body["path_with_namespace"], body.get("old_path_with_namespace")
        bare = {
            "id": body["project_id"],
            "name": body.get("name"),
            "path": body.get("path"),
            "path_with_namespace": path,
        }
        for kind in ("project", "project-with-members"):
            if former and former != path and self.api.names(former):
                yield LiveChange(kind, {**bare, "path_with_namespace": former}, is_gone=True)
            if not self.api.names(path):
                continue
            if body["event_name"] == "project_destroy":
                yield LiveChange(kind, bare, is_gone=True)
            else:
                yield from self._project_now(kind, bare)

    def _project_now(self, kind: str, bare: Item) -> Iterator[LiveChange]:
        def ask() -> Item | None:
            found = self.api.project(int(bare["id"]))
            if not self.api.takes(found) or not self.api.names(found["path_with_namespace"]):
                return None
            listing = self.listing(kind)
            whole = kind == "project"
            return listing.whole_project(found) if whole else listing.project_with_members(found)

        yield from self.asked(kind, ask, gone=bare)

    def project_member(self, body: Item) -> Iterator[LiveChange]:
        path = body.get("project_path_with_namespace") or ""
        if self.api.names(path):
            bare = {"id": body["project_id"], "path_with_namespace": path}
            yield from self._project_now("project-with-members", bare)

    def group(self, body: Item) -> Iterator[LiveChange]:
        path, former = str(body.get("full_path") or body["path"]), body.get("old_full_path")
        bare = {
            "id": body["group_id"],
            "name": body.get("name"),
            "path": body.get("path"),
            "full_path": path,
        }
        for kind in ("group", "group-with-members"):
            if former and former != path and self.api.names(former):
                yield LiveChange(kind, {**bare, "full_path": former}, is_gone=True)
            if not self._means_group(path):
                continue
            if body["event_name"] in ("group_destroy", "subgroup_destroy"):
                yield LiveChange(kind, bare, is_gone=True)
            else:
                yield from self._group_now(kind, bare)

    def _group_now(self, kind: str, bare: Item) -> Iterator[LiveChange]:
        def ask() -> Item:
            found = self.api.group(f"groups/{int(bare['id'])}")
            return found if kind == "group" else self.listing(kind).group_with_members(found)

        yield from self.asked(kind, ask, gone=bare)

    def group_member(self, body: Item) -> Iterator[LiveChange]:
        """A person joined, changed their role in, or left a group.

        One who left may still be in another group: the next sync decides about the person.
        """
        group = {"id": body["group_id"], "full_path": body.get("group_path") or ""}
        if not self._means_group(group["full_path"]):
            return
        yield from self._group_now("group-with-members", group)
        if "remove" not in body["event_name"]:
            bare = {"id": body["user_id"], "username": body.get("user_username")}
            path = f"groups/{int(group['id'])}/members/{int(bare['id'])}"
            yield from self.asked("member", lambda: self._member(path), gone=bare)

    def _member(self, path: str) -> Item | None:
        found: Item = self.api.get_json(path)
        return found if self.listing("member").takes(found) else None

    def _means_group(self, path: str) -> bool:
        return self.api.names(path) or path.lower() in map(str.lower, self.api.groups)


_READERS: Final[Mapping[str, Callable[[Reader, Item], Iterator[LiveChange]]]] = {
    "merge_request": Reader.merge_request,
    "issue": Reader.issue,
    "work_item": Reader.issue,
    "pipeline": Reader.pipeline,
    "build": Reader.job,
    "deployment": Reader.deployment,
    "release": Reader.release,
    "push": Reader.push,
    "tag_push": Reader.tag,
    **dict.fromkeys(
        (
            "project_create",
            "project_update",
            "project_rename",
            "project_transfer",
            "project_destroy",
        ),
        Reader.project,
    ),
    **dict.fromkeys(
        ("user_add_to_team", "user_update_for_team", "user_remove_from_team"),
        Reader.project_member,
    ),
    **dict.fromkeys(
        (
            "group_create",
            "group_rename",
            "group_destroy",
            "subgroup_create",
            "subgroup_destroy",
        ),
        Reader.group,
    ),
    **dict.fromkeys(
        ("user_add_to_group", "user_update_for_group", "user_remove_from_group"),
        Reader.group_member,
    ),
}
