"""Descriptors in all projects of GitLab groups, and their people and the groups as teams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from catalog.ingest.sources import discovery, people
from catalog.ingest.sources.discovery import (
    Descriptors,
    Discovery,
    DiscoveryKind,
    Forge,
    Looking,
    Repository,
)
from catalog.ingest.sources.forges import Item, understood
from catalog.ingest.sources.gitlab.api import GitLabApi, root, segment
from catalog.ingest.sources.gitlab.events import body_of
from catalog.ingest.sources.gitlab.files import GitLabFiles
from catalog.ingest.sources.memory import Memory
from catalog.kernel.errors import UpstreamError, UpstreamNotFound
from catalog.kernel.source import (
    Connection,
    Event,
    ImportContext,
    LiveChange,
    Page,
    ResourceKind,
)

LOGIN: Final = "gitlab.com/user-login"
_NO_COMMIT: Final = "0" * 40
# GitLab moves `last_activity_at` once an hour at most. What was looked at so much later than that
# moment saw all there was, and is still right while the moment stays the same.
_SETTLES: Final = timedelta(hours=2)
_MANY_COMMITS: Final = 20  # of a push an event names so many

_MEMBERS: Final = (
    "query($path: ID!, $after: String) { group(fullPath: $path) {"
    " groupMembers(relations: [DIRECT], first: 100, after: $after) {"
    " nodes { user { username name publicEmail avatarUrl webUrl state bot } }"
    " pageInfo { hasNextPage endCursor } } } }"
)
_PROJECT_EVENTS: Final = (
    "project_create",
    "project_update",
    "project_rename",
    "project_transfer",
    "project_destroy",
)
_GROUP_EVENTS: Final = (
    "group_create",
    "group_rename",
    "group_destroy",
    "subgroup_create",
    "subgroup_destroy",
)
_MEMBER_EVENTS: Final = (
    "user_add_to_group",
    "user_update_for_group",
    "user_remove_from_group",
)


class GitLabDiscovery(DiscoveryKind):
    name = "gitlab-discovery"
    title = "GitLab discovery"
    icon = "GitLab"
    description = "Descriptors (catalog-info.yaml) in all projects, people and groups."
    settings_schema = {
        "type": "object",
        "properties": {
            "source": {**discovery.SOURCE, "title": "GitLab source"},
            "groups": {
                "type": "array",
                "items": {"type": "string", "pattern": r"^[^/\s]+(/[^/\s]+)*$"},
                "title": "Groups",
                "description": "Full paths; groups below them are read too. Empty: those of the "
                "source.",
            },
            "descriptors": discovery.DESCRIPTORS,
            "entityFilename": {
                "type": "string",
                "title": "Descriptor",
                "description": "Its path in a project, such as catalog-info.yaml, or a pattern "
                "like services/*/catalog-info.yaml or **/catalog-info.yaml.",
                "default": "catalog-info.yaml",
            },
            "branch": {
                "type": "string",
                "title": "Branch",
                "description": "Empty: the default branch of each project.",
            },
            "fallbackBranch": {
                "type": "string",
                "title": "Branch where a project has no default one",
                "default": "main",
            },
            "projectPattern": {
                "type": "string",
                "title": "Projects whose path has",
                "description": "A regular expression, looked for in the full path.",
            },
            "groupPattern": {
                "type": "string",
                "title": "Groups whose path has",
                "description": "A regular expression, looked for in the full path. Of teams and "
                "people.",
            },
            "skipForkedRepos": {"type": "boolean", "title": "No forks", "default": False},
            "includeArchivedRepos": {
                "type": "boolean",
                "title": "Archived ones too",
                "default": False,
            },
            "allowKinds": discovery.ALLOW,
            "users": {
                "type": "boolean",
                "title": "People",
                "description": "The members of the groups become users.",
                "default": False,
            },
            "teams": {
                "type": "boolean",
                "title": "Teams",
                "description": "The groups become teams, with those below them.",
                "default": False,
            },
        },
        "additionalProperties": False,
    }
    follows = "gitlab"

    def check(self, connection: Connection) -> Sequence[str]:
        with _opened(connection) as (api, settings):
            groups = ", ".join(api.groups) or "all that is visible"
            if not self.looks_for_descriptors(settings):
                return [f"Reads people and groups of {groups} alone."]
            look = _GitLab(api, settings)
            page = next(look.pages(), ())
            with_one = sum(bool(one.paths) for one in page)
            return [
                f"Looks into the projects of {groups}.",
                f"Of the first {len(page)} projects that are meant, {with_one} "
                f"{'has' if with_one == 1 else 'have'} a descriptor.",
            ]

    @contextmanager
    def forge(self, connection: Connection) -> Iterator[_GitLab]:
        with _opened(connection) as (api, settings):
            yield _GitLab(api, settings)

    def import_event(self, connection: Connection, event: Event, context: ImportContext) -> None:
        body = body_of(event)
        name = str(body.get("object_kind") or body.get("event_name") or "")
        if not self.looks_for_descriptors(connection.settings):
            return
        if name != "push" and name not in _PROJECT_EVENTS:
            return
        with self.forge(connection) as look, understood(name, "GitLab"):
            if (told := look.told(name, body)) is None:
                return
            number, path, former = told
            Discovery(look, context).one(
                look.page(path), look.one(number), look.page(former) if former else ""
            )

    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Any],
        cursor: Any = None,
    ) -> Iterator[Page]:
        if not connection.settings.get(f"{resource.name}s"):
            return
        with _opened(connection) as (api, settings):
            yield from _Groups(api, settings, connection.integration).pages(resource.name, cursor)

    def changes(
        self,
        connection: Connection,
        event: Event,
        wanted: Mapping[str, Sequence[Mapping[str, Any]]],
    ) -> Iterator[LiveChange]:
        body = body_of(event)
        name = str(body.get("event_name") or "")
        if name not in _GROUP_EVENTS and name not in _MEMBER_EVENTS:
            return
        with _opened(connection) as (api, settings), understood(name, "GitLab"):
            groups = _Groups(api, settings, connection.integration)
            groups.expects_people = bool(settings.get("users"))
            for change in groups.told(name, body):
                if change.kind in wanted and connection.settings.get(f"{change.kind}s"):
                    yield change


@contextmanager
def _opened(connection: Connection) -> Iterator[tuple[GitLabApi, Mapping[str, Any]]]:
    with discovery.leading(connection, "gitlab") as source:
        own = connection.settings
        settings = {**source.connection.settings, "skipArchived": False}
        if own.get("groups"):
            settings |= {"groups": own["groups"], "projects": []}
        yield GitLabApi(Connection(settings, source.connection.http, connection.log)), own


# --- projects ---------------------------------------------------------------------------------


class _GitLab(Forge):
    between = "/-/blob/"
    is_checked = True

    def __init__(self, api: GitLabApi, settings: Mapping[str, Any]) -> None:
        self.api = api
        self.descriptors = Descriptors.of(settings, "entityFilename")
        self.allow = tuple(settings.get("allowKinds") or ())
        self.branch = str(settings.get("branch") or "")
        self.fallback = str(settings.get("fallbackBranch") or "")
        self.name = discovery.pattern(settings, "projectPattern")
        self.skips_forks = settings.get("skipForkedRepos") is True
        self.takes_archived = settings.get("includeArchivedRepos") is True
        self.memory = Memory("gitlab", api.base_url, self.descriptors.path, self.branch)

    def pages(self) -> Iterator[Sequence[Repository]]:
        looking = Looking(self.api.log)
        for page in self.api.project_pages():
            yield self._looked_into([one for one in page.items if self.takes(one)], looking)
        looking.conclude()

    def takes(self, project: Item) -> bool:
        return not (
            project.get("empty_repo")
            or project.get("repository_access_level") == "disabled"
            or (project.get("archived") and not self.takes_archived)
            or (project.get("forked_from_project") and self.skips_forks)
        ) and discovery.fits(self.name, str(project["path_with_namespace"]), whole=False)

    def page(self, path: str) -> str:
        return f"{self.api.url}/{path}"

    def page_now(self, url: str) -> str:
        path = url.removeprefix(f"{self.api.url}/")
        found = self.api.optional(f"projects/{segment(path)}") if path != url else None
        return str((found or {}).get("web_url") or "")

    def one(self, number: int) -> Repository | None:
        """A project as it is now; None when it is gone, or not meant."""
        found = self.api.optional(f"projects/{number}")
        if not isinstance(found, dict) or not self.api.names(found["path_with_namespace"]):
            return None
        if not self.api.takes(found) or not self.takes(found):
            return None
        looking = Looking(self.api.log)
        found = {**found, "last_activity_at": None}  # an event is newer than what is remembered
        looked = self._looked_into([found], looking)
        looking.conclude()
        return looked[0]

    def told(self, name: str, body: Item) -> tuple[int, str, str] | None:
        """The project whose descriptors may have come, gone or moved: its number, its path, and
        the path it had before, or ""."""
        about = body.get("project") or {}
        number = int(about.get("id") or body["project_id"])
        path = str(about.get("path_with_namespace") or body["path_with_namespace"])
        former = str(body.get("old_path_with_namespace") or "")
        if not any(self.api.names(one) for one in (path, former) if one):
            return None
        if name == "push" and not self._may_concern(body, about):
            return None
        return number, path, former if former != path else ""

    def _may_concern(self, body: Item, project: Item) -> bool:
        wanted = self.branch or project.get("default_branch") or self.fallback
        if body["ref"] != f"refs/heads/{wanted}":
            return False
        commits = body.get("commits") or ()
        total = int(body.get("total_commits_count") or len(commits))
        if _NO_COMMIT in (body.get("before"), body.get("after")):
            return True
        if total > len(commits) or total >= _MANY_COMMITS:
            return True
        return any(
            self.descriptors.holds(path)
            for commit in commits
            for key in ("added", "removed")
            for path in commit.get(key) or ()
        )

    def _looked_into(self, some: Sequence[Item], looking: Looking) -> list[Repository]:
        """The descriptors of each; one in which nothing happened since is not asked again."""
        known = self.memory.get([str(one["id"]) for one in some])
        learned: dict[str, Any] = {}
        found = []
        for one in some:
            name, active = str(one["id"]), one.get("last_activity_at")
            branch = self.branch or one.get("default_branch") or self.fallback
            held = known.get(name)
            if held and active and held[:2] == (active, branch):
                paths = tuple(held[2])
            else:
                looked = looking.into(
                    str(one["path_with_namespace"]), partial(self._paths, one, branch)
                )
                if looked is None:
                    continue
                paths = looked
                if _is_settled(active):
                    learned[name] = (active, branch, paths)
            found.append(Repository(str(one["web_url"]).rstrip("/"), branch, paths))
        self.memory.keep(learned)
        return found

    def _paths(self, project: Item, branch: str) -> tuple[str, ...]:
        path = self.descriptors.path
        try:
            if not self.descriptors.is_pattern:
                self.api.head(f"{root(project)}/repository/files/{segment(path)}", ref=branch)
                return (path,)
            files = GitLabFiles(self.api, {})
            return self.descriptors.among(files.tree(project, branch, [self.descriptors.rule]))
        except UpstreamNotFound:
            return ()  # no such file, no such branch, or away since it was listed
        except UpstreamError as error:
            if error.details.get("status") == 403 and not self.api.optional(root(project)):
                return ()
            raise


def _is_settled(active: Any) -> bool:
    try:
        moment = datetime.fromisoformat(str(active))
    except ValueError:
        return False
    return moment.tzinfo is not None and moment + _SETTLES < datetime.now(UTC)


# --- people and groups ------------------------------------------------------------------------


class _Groups:
    """Groups and their members, as items for the mapping."""

    def __init__(
        self, api: GitLabApi, settings: Mapping[str, Any], integration: int | None
    ) -> None:
        self.api = api
        self.integration = integration
        self.pattern = discovery.pattern(settings, "groupPattern")
        # Members who are not in the catalogue will be, by what an event tells beside.
        self.expects_people = False

    def pages(self, kind: str, cursor: Any) -> Iterator[Page]:
        shape = self._team if kind == "team" else self._people
        for page in self.api.group_pages(cursor):
            groups = [one for one in page.items if self._takes(one)]
            yield Page([item for group in groups for item in shape(group)], page.next)

    def told(self, name: str, body: Item) -> Iterator[LiveChange]:
        path = str(body.get("full_path") or body.get("group_path") or body.get("path") or "")
        former = str(body.get("old_full_path") or "")
        if former and former != path:
            yield LiveChange("team", {"__identifier": _name(former)}, is_gone=True)
        found = None if "destroy" in name else self.api.optional(f"groups/{int(body['group_id'])}")
        if found is None or not self._is_ours(found["full_path"]) or not self._takes(found):
            yield LiveChange("team", {"__identifier": _name(path)}, is_gone=True)
            return
        if name == "user_add_to_group":
            wanted = str(body["user_username"])
            for person in self._people(found):
                if person["username"] == wanted:
                    yield LiveChange("user", person)
        for team in self._team(found):
            yield LiveChange("team", team)

    def _is_ours(self, path: str) -> bool:
        return self.api.names(path) or path.lower() in map(str.lower, self.api.groups)

    def _takes(self, group: Item) -> bool:
        return discovery.fits(self.pattern, str(group["full_path"]), whole=False)

    def _members(self, group: Item) -> list[Item]:
        """Those who are in the group itself, without robots and those who are blocked."""
        found: list[Item] = []
        after = None
        while True:
            answer = self.api.graphql(_MEMBERS, path=group["full_path"], after=after)
            some = (answer.get("group") or {}).get("groupMembers")
            if not isinstance(some, dict):
                raise UpstreamNotFound(
                    f"GitLab does not show us the members of {group['full_path']}",
                    details={"status": 404},
                )
            users = (one.get("user") for one in some["nodes"] if one)
            found += [
                one
                for one in users
                if one and not one.get("bot") and one.get("state", "active") == "active"
            ]
            if not some["pageInfo"]["hasNextPage"]:
                return found
            after = some["pageInfo"]["endCursor"]

    def _people(self, group: Item) -> list[Item]:
        found = people.with_identity(
            self._members(group),
            login="username",
            email="publicEmail",
            annotation=LOGIN,
            integration=self.integration,
        )
        return [{**one, "avatarUrl": self._absolute(one.get("avatarUrl"))} for one in found]

    def _team(self, group: Item) -> list[Item]:
        logins = [one["username"] for one in self._members(group)]
        known = people.identifiers_of(
            logins,
            annotation=LOGIN,
            integration=self.integration,
            with_new=self.expects_people,
        )
        above = str(group["full_path"]).rpartition("/")[0]
        return [
            {
                **group,
                "avatar_url": self._absolute(group.get("avatar_url")),
                "parent": _name(above) if above and self._has(above) else None,
                "members": [known[login] for login in logins if login in known],
                "__identifier": _name(group["full_path"]),
            }
        ]

    def _has(self, path: str) -> bool:
        """Whether a group is among those that are read."""
        return self._is_ours(path) and self._takes({"full_path": path})

    def _absolute(self, address: Any) -> str | None:
        if not isinstance(address, str) or not address:
            return None
        return self.api.url + address if address.startswith("/") else address


def _name(path: str) -> str:
    """The identifier of a group: its full path, which may hold no slash here."""
    return path.lower().replace("/", "-")
