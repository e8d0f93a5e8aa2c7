"""GitLab's REST API: who asks, and whose projects are meant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from catalog.ingest.sources.forges import Item, Pages, chained, graphql_data, origin_of, path_of
from catalog.kernel.errors import UpstreamError, UpstreamNotFound
from catalog.kernel.http import Client, Response
from catalog.kernel.source import Connection, Page

PUBLIC_URL: Final = "https://gitlab.com"
PAGE_SIZE: Final = 100


class GitLabApi:
    """Errors are those of the client."""

    def __init__(self, connection: Connection) -> None:
        settings = connection.settings
        self.url = str(settings.get("url") or PUBLIC_URL).rstrip("/")
        self.base_url = f"{self.url}/api/v4"
        self.groups = tuple(dict.fromkeys(settings.get("groups") or ()))
        self.projects = tuple(dict.fromkeys(settings.get("projects") or ()))
        self.log = connection.log
        self._skips_archived = bool(settings.get("skipArchived"))
        self._is_member = not settings.get("allVisible")
        token = str(settings.get("token") or "")
        # Access tokens of people, groups and projects, and those of OAuth, all go this way.
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http: Client = connection.http.with_(
            base_url=self.base_url, headers=headers, redirects=3
        )
        self.token = token
        self.is_anonymous = not token

    # --- requests -----------------------------------------------------------------------------

    def get(self, path: str, /, **params: Any) -> Response:
        """path: below the API's address, or the path of a link that it gave (see `path_of`)."""
        root = path_of(self.base_url)
        address = origin_of(self.base_url) + path if path.startswith(f"{root}/") else path
        return self._http.get(address, params=params)

    def get_json(self, path: str, /, **params: Any) -> Any:
        return self.get(path, **params).json()

    def raw(self, path: str, /, *, etag: str, max_bytes: int, **params: Any) -> Response:
        """The bytes of a file; status 304 when it is as it was with that etag."""
        return self._http.with_(max_bytes=max_bytes, etags=None).get(
            path,
            headers={"if-none-match": etag} if etag else None,
            params=params,
            expect=(200, 304),
        )

    @property
    def client(self) -> Client:
        """The way to this API, signed in."""
        return self._http

    def head(self, path: str, /, **params: Any) -> Response:
        """Whether there is something. Raises UpstreamNotFound."""
        return self._http.request("HEAD", path, params=params)

    def graphql(self, query: str, **variables: Any) -> Item:
        """The `data` of an answer. Raises UpstreamError with what GitLab says is wrong."""
        url = f"{self.url}/api/graphql"
        said = {"query": query, "variables": variables}
        answer = self._http.request("POST", url, json=said, retry=True).json()
        return graphql_data(answer, url)

    def pages(
        self, path: str, params: Mapping[str, Any] | None = None, *, cursor: Any = None
    ) -> Iterator[Page]:
        """A list, by its Link headers; `cursor` is the path of the next page."""
        sized = {"per_page": PAGE_SIZE, **(params or {})}
        response = self.get(cursor) if cursor else self.get(path, **sized)
        while True:
            items = response.json()
            if not isinstance(items, list):
                raise UpstreamError(
                    f"{response.method} {response.url} answered with no list",
                    details={"status": response.status, "url": response.url},
                )
            following = path_of(response.links["next"]) if "next" in response.links else None
            yield Page(items, following)
            if following is None:
                return
            response = self.get(following)

    def all(self, path: str, /, **params: Any) -> list[Item]:
        return [item for page in self.pages(path, params) for item in page.items]

    def optional(self, path: str, /, **params: Any) -> Any:
        """An answer, or None where there is none."""
        try:
            return self.get_json(path, **params)
        except UpstreamNotFound:
            return None

    # --- whose projects -----------------------------------------------------------------------

    def names(self, path: str) -> bool:
        """Whether the settings name the project or group of this path, or name none at all."""
        if not self.groups and not self.projects:
            return True
        lower = f"{path.lower()}/"
        return lower[:-1] in map(str.lower, self.projects) or any(
            lower.startswith(f"{group.lower()}/") for group in self.groups
        )

    def takes(self, project: Item) -> bool:
        """Whether a listed project is meant. One that waits for its deletion is as good as gone."""
        is_leaving = project.get("marked_for_deletion_on") or project.get("marked_for_deletion_at")
        return not is_leaving and not (self._skips_archived and project.get("archived"))

    def project_pages(self, cursor: Any = None) -> Iterator[Page]:
        """The projects that are meant. The cursor is {"list": which of the lists, "at"}."""
        params = {"include_subgroups": True, "with_shared": False, **_KEYSET}
        lists = [self._list(f"groups/{segment(one)}/projects", params) for one in self.groups]
        lists += [self._single(f"projects/{segment(one)}") for one in self.projects]
        if not lists:
            lists.append(self._list("projects", {"membership": self._is_member or None, **_KEYSET}))
        return chained(lists, cursor, self.takes)

    def group_pages(self, cursor: Any = None) -> Iterator[Page]:
        """The groups that are meant, with those below them."""
        lists: list[Pages] = []
        for group in self.groups:
            path = f"groups/{segment(group)}"
            lists += [
                self._single(path, with_projects=False),
                self._list(f"{path}/descendant_groups"),
            ]
        if not self.groups and not self.projects:
            params = {"all_available": not self._is_member, "pagination": "keyset"}
            lists.append(self._list("groups", {**params, "order_by": "name", "sort": "asc"}))
        return chained(lists, cursor, lambda group: not group.get("marked_for_deletion_on"))

    def _list(self, path: str, params: Mapping[str, Any] | None = None) -> Pages:
        return lambda at: self.pages(path, params, cursor=at)

    def _single(self, path: str, /, **params: Any) -> Pages:
        return lambda at: iter([Page([self.get_json(path, **params)])])

    def group(self, path: str) -> Item:
        """Without its projects, of which GitLab adds up to a hundred."""
        found: Item = self.get_json(path, with_projects=False)
        return found

    def project(self, name: str | int) -> Item:
        found: Item = self.get_json(f"projects/{segment(name)}")
        return found

    def is_gone(self, project: Item) -> bool:
        return self.optional(f"projects/{project['id']}") is None


# Pages by place and not by number: nothing is passed over when something goes meanwhile.
_KEYSET: Final[Mapping[str, Any]] = {"order_by": "id", "sort": "asc", "pagination": "keyset"}


def segment(name: str | int) -> str:
    """A project, group, branch or file as one segment of a path."""
    return quote(str(name), safe="")


def root(project: Item) -> str:
    """Where everything of a project lies."""
    return f"projects/{project['id']}"
