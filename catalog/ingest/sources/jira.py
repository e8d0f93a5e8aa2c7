"""Jira: projects, issues, boards, sprints, releases, users and teams.

Cloud (REST API 3) and Data Center (REST API 2) differ in how lists are paged; which of the two
answers is asked of the server itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from catalog.ingest.sources.defaults import BundledKind
from catalog.ingest.sources.selectors import is_on
from catalog.kernel.errors import (
    InvalidInput,
    UpstreamError,
    UpstreamNotFound,
    shorten,
)
from catalog.kernel.http import Client
from catalog.kernel.signatures import check_proof
from catalog.kernel.source import (
    Connection,
    Event,
    LiveChange,
    Page,
    ResourceKind,
)

Item = dict[str, Any]

PAGE_SIZE: Final = 100
DEFAULT_JQL: Final = "(statusCategory != Done) OR (created >= -1w) OR (updated >= -1w)"

_KEY = re.compile(r"\A[A-Z][A-Z0-9_]*-\d+\Z")
_PROJECT = re.compile(r"\A[A-Z][A-Z0-9_]*\Z")
_ISSUES = {
    "jql": {
        "type": "string",
        "title": "JQL",
        "description": f"Which issues; without it: {DEFAULT_JQL}",
    },
    "fields": {"type": "string", "title": "Fields, with commas", "default": "*all"},
    "expand": {"type": "string", "title": "Expansions, with commas"},
}


class Jira(BundledKind):
    """Items are the API's objects. A release has `__projectKey`, a sprint `__board`, a team
    `__members`; an issue that an event brought has `__jql`, the queries that find it.
    """

    name = "jira"
    title = "Jira"
    icon = "Jira"
    description = "Projects, issues, boards, sprints and releases of Jira Cloud or Data Center."
    settings_schema = {
        "type": "object",
        "properties": {
            "url": {
                "type": "string",
                "format": "url",
                "title": "Address",
                "description": "Like https://acme.atlassian.net.",
            },
            "email": {
                "type": "string",
                "title": "E-mail address of the account",
                "description": "Cloud: whose API token it is. Empty for a personal access token "
                "of Data Center.",
            },
            "token": {"type": "string", "title": "Token", "secret": True},
            "organizationId": {
                "type": "string",
                "title": "Organisation ID",
                "description": "Needed to list teams (Cloud).",
            },
            "webhookSecret": {
                "type": "string",
                "title": "Secret of the webhook",
                "secret": True,
                "incoming": True,
            },
        },
        "required": ["url", "token"],
        "additionalProperties": False,
    }
    resources = (
        ResourceKind("project", "Projects", ".key", aliases=("projects",)),
        ResourceKind("issue", "Issues", ".key", aliases=("issues",), selector=_ISSUES),
        ResourceKind("user", "Users", ".accountId // .name", aliases=("users",)),
        ResourceKind("board", "Boards", ".id | tostring", aliases=("boards",)),
        ResourceKind("sprint", "Sprints", ".id | tostring", aliases=("sprints",)),
        ResourceKind("release", "Releases", ".id", aliases=("releases", "version")),
        ResourceKind(
            "team",
            "Teams",
            ".teamId",
            aliases=("teams",),
            selector={
                "includeMembers": {"type": "boolean", "title": "With members", "default": False},
            },
        ),
    )
    takes_events = True
    event_help = (
        "Under *System → Webhooks* add one with the address below, for the events of issues, "
        "projects, users, versions, boards and sprints. Enter the same secret there and here."
    )

    def check(self, connection: Connection) -> Sequence[str]:
        jira = _Jira(connection)
        me = jira.client.get_json(f"{jira.api}/myself")
        where = "Jira Cloud" if jira.is_cloud else "Jira Data Center"
        return [f"Logged in to {where} as {me.get('displayName') or me.get('name')}."]

    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Any],
        cursor: Any = None,
    ) -> Iterator[Page]:
        jira = _Jira(connection)
        match resource.name:
            case "project":
                yield from jira.projects(cursor)
            case "issue":
                yield from jira.issues(selector, cursor)
            case "user":
                yield from jira.users(cursor)
            case "board":
                yield from jira.numbered("/rest/agile/1.0/board", {}, "values", cursor)
            case "sprint":
                yield from jira.sprints(cursor)
            case "release":
                yield from jira.releases(cursor)
            case _:
                yield from jira.teams(selector, cursor)

    def verify(self, event: Event, settings: Mapping[str, Any]) -> None:
        secret = settings.get("webhookSecret")
        check_proof(event, secret, header="X-Hub-Signature", prefix="sha256=")

    def delivery(self, event: Event) -> str:
        return event.headers.get("x-atlassian-webhook-identifier", "")

    def changes(
        self,
        connection: Connection,
        event: Event,
        wanted: Mapping[str, Sequence[Mapping[str, Any]]],
    ) -> Iterable[LiveChange]:
        try:
            body = orjson.loads(event.body)
            sort, _, action = body["webhookEvent"].removeprefix("jira:").partition("_")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInput(
                'The body is no event of Jira; expected {"webhookEvent": …}',
                details={"field": "webhookEvent", "expected": "the name of an event"},
            ) from error
        if sort in ("comment", "worklog", "issuelink", "attachment"):
            sort, action = "issue", "updated"
        name = {"version": "release"}.get(sort, sort)
        item = body.get(sort)
        if name not in wanted or not isinstance(item, dict):
            return
        is_gone = action in ("deleted", "softdeleted")
        if name == "issue" and not is_gone:
            yield _Jira(connection).issue_now(item, wanted["issue"])
        elif name == "project" and not is_gone:
            yield _Jira(connection).project_now(item)
        elif name == "release" and not is_gone:
            yield from _Jira(connection).release_now(item)
        else:
            yield LiveChange(name, item, is_gone=is_gone)

    def selects(self, resource: ResourceKind, selector: Mapping[str, Any], item: Any) -> bool:
        if resource.name != "issue" or "__jql" not in item:
            return True
        return (selector.get("jql") or DEFAULT_JQL) in item["__jql"]


class _Jira:
    """One server, and its lists."""

    def __init__(self, connection: Connection) -> None:
        settings = connection.settings
        login: dict[str, Any] = (
            {"basic": (settings["email"], settings["token"])}
            if settings.get("email")
            else {"headers": {"Authorization": f"Bearer {settings['token']}"}}
        )
        self.settings = settings
        self.client: Client = connection.http.with_(
            base_url=settings["url"].rstrip("/"), secrets=[settings["token"]], **login
        )
        server = self.client.get_json("/rest/api/2/serverInfo")
        self.is_cloud = server.get("deploymentType") == "Cloud"
        self.api = "/rest/api/3" if self.is_cloud else "/rest/api/2"

    def projects(self, cursor: Any) -> Iterator[Page]:
        if self.is_cloud:
            query = {"expand": "description,lead,issueTypes,url,insight"}
            yield from self.numbered(f"{self.api}/project/search", query, "values", cursor)
        else:
            yield Page(self._list(f"{self.api}/project", {"expand": "description,lead,url"}))

    def issues(
        self, selector: Mapping[str, Any], cursor: Any, *, reconcile: str = ""
    ) -> Iterator[Page]:
        query = {
            "jql": selector.get("jql") or DEFAULT_JQL,
            "fields": selector.get("fields") or "*all",
        }
        if selector.get("expand"):
            query["expand"] = selector["expand"]
        if reconcile:  # the index lags behind events; these are looked at as they are now
            query["reconcileIssues"] = reconcile
        if not self.is_cloud:
            yield from self.numbered(f"{self.api}/search", query, "issues", cursor)
            return
        token = cursor
        while True:
            more = {"nextPageToken": token} if token else {}
            params = {**query, **more, "maxResults": PAGE_SIZE}
            answer = self.client.get_json(f"{self.api}/search/jql", params=params)
            following = answer.get("nextPageToken")
            if following is not None and following == token:
                raise UpstreamError("The list of issues names itself as the page after it")
            yield Page(_items(answer, "issues"), following)
            if following is None:
                return
            token = following

    def users(self, cursor: Any) -> Iterator[Page]:
        path = f"{self.api}/users/search" if self.is_cloud else f"{self.api}/user/search"
        query = {} if self.is_cloud else {"username": "."}
        start = cursor or 0
        while True:
            items = self._list(path, {**query, "startAt": start, "maxResults": PAGE_SIZE})
            # A page may have fewer than were asked for, since hidden people are left out of it.
            start += PAGE_SIZE
            yield Page(items, start if items else None)
            if not items:
                return

    def sprints(self, cursor: Any) -> Iterator[Page]:
        """A cursor is the place of a page of boards; a resumed list starts that page again."""
        boards = "/rest/agile/1.0/board"
        for page in self.numbered(boards, {"type": "scrum"}, "values", cursor):
            items: list[Item] = []
            for board in page.items:
                path = f"{boards}/{board['id']}/sprint"
                for part in self.numbered(path, {}, "values", None):
                    items += [{**one, "__board": board} for one in part.items]
            # A sprint may be on several boards.
            distinct = {one["id"]: one for one in items}
            yield Page(list(distinct.values()), page.next)

    def releases(self, cursor: Any) -> Iterator[Page]:
        for page in self.projects(cursor):
            items = [
                {**one, "__projectKey": project["key"]}
                for project in page.items
                for one in self._list(f"{self.api}/project/{project['key']}/versions", {})
            ]
            yield Page(items, page.next)

    def teams(self, selector: Mapping[str, Any], cursor: Any) -> Iterator[Page]:
        organization = self.settings.get("organizationId")
        if not organization:
            raise InvalidInput(
                "Teams cannot be listed without the ID of the organisation",
                hint="Enter it in the source's settings.",
                details={"field": "settings.organizationId", "expected": "an ID"},
            )
        path = f"/gateway/api/public/teams/v1/org/{organization}/teams"
        at = cursor or ""
        while True:
            answer = self.client.get_json(path, params={"cursor": at} if at else {})
            items = _items(answer, "entities")
            if is_on(selector, "includeMembers"):
                items = [
                    {**one, "__members": list(self._members(f"{path}/{one['teamId']}/members"))}
                    for one in items
                ]
            following = answer.get("cursor") or None
            yield Page(items, following)
            if following is None:
                return
            at = following

    def _members(self, path: str) -> Iterator[Item]:
        after = None
        while True:
            body = {"first": 50, **({"after": after} if after else {})}
            answer = self.client.post(path, json=body, retry=True).json()
            yield from _items(answer, "results")
            info = answer.get("pageInfo") or {}
            if not info.get("hasNextPage"):
                return
            after = info["endCursor"]

    def issue_now(self, issue: Item, selectors: Sequence[Mapping[str, Any]]) -> LiveChange:
        """The issue as the queries of the mapping find it; gone when none does."""
        key = issue.get("key")
        if not isinstance(key, str) or not _KEY.match(key):
            raise InvalidInput(f"The event names the issue {shorten(key)}; expected its key")
        found: Item | None = None
        queries = list(dict.fromkeys(one.get("jql") or DEFAULT_JQL for one in selectors))
        matching = []
        for query in queries:
            only = {**(selectors[0] if selectors else {}), "jql": f"({query}) AND key = {key}"}
            number = str(issue.get("id") or "") if self.is_cloud else ""
            page = next(self.issues(only, None, reconcile=number))
            if page.items:
                found = page.items[0]
                matching.append(query)
        if found is None:
            return LiveChange("issue", issue, is_gone=True)
        return LiveChange("issue", {**found, "__jql": matching})

    def project_now(self, project: Item) -> LiveChange:
        key = project.get("key")
        if not isinstance(key, str) or not _PROJECT.match(key):
            raise InvalidInput(f"The event names the project {shorten(key)}; expected its key")
        expand = "description,lead,issueTypes,url,insight"
        try:
            whole = self.client.get_json(f"{self.api}/project/{key}", params={"expand": expand})
        except UpstreamNotFound:
            return LiveChange("project", project, is_gone=True)
        return LiveChange("project", whole)

    def release_now(self, version: Item) -> Iterator[LiveChange]:
        """The event names the project by its number alone."""
        try:
            number = int(version["projectId"])
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput("The event names no project; expected version.projectId") from error
        project = self.client.get_json(f"{self.api}/project/{number}")
        yield LiveChange("release", {**version, "__projectKey": project["key"]})

    def numbered(
        self, path: str, query: Mapping[str, Any], key: str, cursor: Any
    ) -> Iterator[Page]:
        """A list that is paged by `startAt`."""
        start = cursor or 0
        while True:
            params = {**query, "startAt": start, "maxResults": PAGE_SIZE}
            answer = self.client.get_json(path, params=params)
            items = _items(answer, key)
            start += len(items)
            is_last = answer.get("isLast")
            if is_last is None:
                is_last = start >= answer.get("total", 0)
            following = None if is_last or not items else start
            yield Page(items, following)
            if following is None:
                return

    def _list(self, path: str, query: Mapping[str, Any]) -> list[Item]:
        answer = self.client.get_json(path, params=query)
        if not isinstance(answer, list):
            raise UpstreamError(f"{path} did not answer with a list, but with {shorten(answer)}")
        return answer


def _items(answer: Any, key: str) -> list[Item]:
    items = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(items, list):
        raise UpstreamError(f"Jira did not answer with {key}, but with {shorten(answer)}")
    return items
