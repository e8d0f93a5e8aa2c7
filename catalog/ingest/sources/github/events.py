"""GitHub's webhooks: what each event says of which objects.

Objects that an event holds as the REST API gives them are taken from it; the others are asked
for. An object that is no longer there when it is asked for is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, quote

import orjson

from catalog.ingest.sources.forges import Item, concerns_all, understood
from catalog.ingest.sources.github.api import GitHubApi, root
from catalog.ingest.sources.github.files import GitHubFiles
from catalog.ingest.sources.github.listing import (
    SHAPES,
    Listing,
    branch,
    of_repository,
    organization,
    pull_request,
    tag,
    team,
    user,
    workflow,
)
from catalog.kernel.errors import (
    InvalidInput,
    UpstreamError,
    UpstreamNotFound,
    UpstreamUnavailable,
    shorten,
)
from catalog.kernel.source import Event, LiveChange

Selectors = Mapping[str, Sequence[Mapping[str, Any]]]

_NO_COMMIT: Final = "0" * 40


def body_of(event: Event) -> Item:
    """The payload, from either content type that GitHub offers. Raises InvalidInput."""
    raw = event.body
    if event.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raw = parse_qs(raw.decode("utf-8", "replace")).get("payload", [""])[0].encode()
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise InvalidInput(
            f"The body of the event is {shorten(repr(raw[:60]))}; expected a JSON object"
        )
    return body


class Reader:
    """Reads one event."""

    def __init__(self, api: Callable[[], GitHubApi], wanted: Selectors) -> None:
        self._make_api = api
        self._api: GitHubApi | None = None
        self.wanted = wanted

    @property
    def api(self) -> GitHubApi:
        if self._api is None:
            self._api = self._make_api()
        return self._api

    def changes(self, name: str, body: Item) -> Iterator[LiveChange]:
        read = _READERS.get(name)
        if read is None:
            return
        with understood(name, "GitHub"):
            if self._is_meant(body):
                for change in read(self, body):
                    if change.kind in self.wanted:
                        yield change

    def _is_meant(self, body: Item) -> bool:
        """Whether the settings mean the repository, or else the organisation, of an event."""
        if repository := body.get("repository"):
            return self.api.scope.names(repository["full_name"])
        if owner := body.get("organization"):
            names = [owner["login"], ((body.get("changes") or {}).get("login") or {}).get("from")]
            return any(self.api.scope.names_owner(one) for one in names if one)
        return True

    # --- asking -------------------------------------------------------------------------------

    def listing(self, kind: str) -> Listing:
        """With the first selector of that kind: what is asked for serves all of them."""
        selectors = self.wanted.get(kind) or [{}]
        return Listing(self.api, kind, selectors[0])

    def asked(
        self,
        kind: str,
        ask: Callable[[], Item | None],
        gone: Item,
        instead: Item | None = None,
    ) -> Iterator[LiveChange]:
        """An object as the API tells it now; gone when it is not there.

        gone: what its identifier is made of. instead: what the event itself says of it, for when
        we may not ask. Raises UpstreamUnavailable: later we may know.
        """
        if kind not in self.wanted:
            return
        try:
            found = ask()
        except UpstreamNotFound:
            found = None
        except UpstreamError as error:
            if isinstance(error, UpstreamUnavailable) or (instead is None and concerns_all(error)):
                raise
            self.api.log("warning", f"What the event says is taken as it is: {error.message}")
            found = instead
            if found is None:
                return
        yield LiveChange(kind, gone if found is None else found, is_gone=found is None)

    # --- repositories -------------------------------------------------------------------------

    def repository(self, body: Item) -> Iterator[LiveChange]:
        found, changes = body["repository"], body.get("changes") or {}
        if body["action"] == "deleted":
            yield LiveChange("repository", found, is_gone=True)
            return
        if former := _former(found, changes):
            yield LiveChange("repository", former, is_gone=True)
        yield from self.repository_now(found)

    def repository_now(self, found: Item) -> Iterator[LiveChange]:
        def ask() -> Item | None:
            now: Item = self.api.get_json(f"{root(found)}")
            if not self.api.scope.has(now):
                return None
            return self.listing("repository").whole_repository(now)

        yield from self.asked("repository", ask, gone=found, instead=found)

    def installed(self, body: Item) -> Iterator[LiveChange]:
        """The app may read other repositories than before. One that it may no longer read is not
        deleted: the next sync decides, with its threshold."""
        for found in body.get("repositories_added") or ():
            if self.api.scope.names(found["full_name"]):
                yield from self.repository_now({**found, "owner": _owner_of(found)})

    # --- branches, tags, files ----------------------------------------------------------------

    def push(self, body: Item) -> Iterator[LiveChange]:
        repository, reference = _plain(body["repository"]), str(body["ref"])
        is_gone = bool(body.get("deleted")) or body.get("after") == _NO_COMMIT
        kind, _, name = reference.removeprefix("refs/").partition("/")
        if kind == "tags":
            yield from self.tag(repository, name, is_gone=is_gone, sha=body.get("after"))
            return
        if kind != "heads":
            return
        yield from self.branch(repository, name, is_gone=is_gone)
        if name == repository.get("default_branch") and not is_gone:
            yield from self.repository_now(repository)
            yield from self._paths(repository, body.get("commits") or ())

    def created_or_deleted(self, body: Item, *, is_gone: bool) -> Iterator[LiveChange]:
        repository, name = _plain(body["repository"]), str(body["ref"])
        if body["ref_type"] == "tag":
            yield from self.tag(repository, name, is_gone=is_gone)
        elif body["ref_type"] == "branch":
            yield from self.branch(repository, name, is_gone=is_gone)

    def branch(self, repository: Item, name: str, *, is_gone: bool) -> Iterator[LiveChange]:
        bare = branch({"name": name}, repository)
        if is_gone:
            yield LiveChange("branch", bare, is_gone=True)
        else:
            yield from self.asked(
                "branch", lambda: self.listing("branch").branch(repository, name), gone=bare
            )

    def tag(
        self, repository: Item, name: str, *, is_gone: bool, sha: str | None = None
    ) -> Iterator[LiveChange]:
        bare = tag({"name": name}, repository)
        if is_gone:
            yield LiveChange("tag", bare, is_gone=True)
            return

        def ask() -> Item:
            """As the list of tags has it: with the commit, also where the tag is an object."""
            commit = sha
            if commit is None or commit == _NO_COMMIT:
                found = self.api.get_json(f"{root(repository)}/git/ref/tags/{quote(name)}")
                commit = found["object"]["sha"]
            if found := self.api.get_json(f"{root(repository)}/commits/{quote(str(commit))}"):
                commit = found["sha"]
            url = f"{self.api.base_url}/{root(repository)}"
            return {
                **bare,
                "commit": {"sha": commit, "url": f"{url}/commits/{commit}"},
                "zipball_url": f"{url}/zipball/refs/tags/{name}",
                "tarball_url": f"{url}/tarball/refs/tags/{name}",
            }

        yield from self.asked("tag", ask, gone=bare)

    def _paths(self, repository: Item, commits: Sequence[Item]) -> Iterator[LiveChange]:
        for kind in ("file", "folder"):
            for selector in self.wanted.get(kind, ()):
                yield from GitHubFiles(self.api, selector).pushed(kind, repository, commits)

    # --- what happens in a repository ----------------------------------------------------------

    def pull_request(self, body: Item) -> Iterator[LiveChange]:
        yield LiveChange("pull-request", pull_request(body["pull_request"], body["repository"]))

    def issue(self, body: Item) -> Iterator[LiveChange]:
        is_gone = body.get("action") in ("deleted", "transferred") and "comment" not in body
        item = of_repository(body["issue"], body["repository"])
        yield LiveChange("issue", item, is_gone=is_gone)

    def release(self, body: Item) -> Iterator[LiveChange]:
        item = of_repository(body["release"], body["repository"])
        yield LiveChange("release", item, is_gone=body["action"] == "deleted")

    def workflow_run(self, body: Item) -> Iterator[LiveChange]:
        repository = _plain(body["repository"])
        yield LiveChange("workflow-run", of_repository(body["workflow_run"], repository))
        if found := body.get("workflow"):
            yield LiveChange("workflow", workflow(found, repository))

    def deployment(self, body: Item) -> Iterator[LiveChange]:
        repository, found = body["repository"], body["deployment"]
        yield LiveChange("deployment", of_repository(found, repository))
        if status := body.get("deployment_status"):
            item = {**of_repository(status, repository), "__deployment_id": found["id"]}
            yield LiveChange("deployment-status", item)
        name = str(found["environment"])
        path = f"{root(repository)}/environments/{quote(name, safe='')}"
        yield from self.asked(
            "environment",
            lambda: of_repository(self.api.get_json(path), repository),
            gone=of_repository({"name": name}, repository),
        )

    def alert(self, body: Item, kind: str, path: str) -> Iterator[LiveChange]:
        repository, found = body["repository"], body["alert"]
        shape = SHAPES[kind]
        own = shape(found, repository)
        yield from self.asked(
            kind,
            lambda: shape(
                self.api.get_json(f"{root(repository)}/{path}/alerts/{found['number']}"),
                repository,
            ),
            gone=own,
            instead=own,
        )

    # --- people and teams ---------------------------------------------------------------------

    def member(self, body: Item) -> Iterator[LiveChange]:
        """A person may do more, or less, with one repository."""
        repository, person = body["repository"], body["member"]
        bare = of_repository(person, repository)
        if body["action"] == "removed":
            yield LiveChange("collaborator", bare, is_gone=True)
            return
        path = f"{root(repository)}/collaborators/{quote(person['login'])}/permission"

        def ask() -> Item:
            found = self.api.get_json(path)
            return of_repository({**found["user"], "role_name": found["role_name"]}, repository)

        yield from self.asked("collaborator", ask, gone=bare, instead=bare)

    def team(self, body: Item) -> Iterator[LiveChange]:
        owner, found = body["organization"]["login"], body["team"]
        bare = team(found, owner, None)
        if body["action"] == "deleted" or found.get("deleted"):
            yield LiveChange("team", bare, is_gone=True)
            return
        if former := ((body.get("changes") or {}).get("name") or {}).get("from"):
            slug = "-".join(former.lower().split())
            yield LiveChange("team", {**bare, "name": former, "slug": slug}, is_gone=True)

        def ask() -> Item:
            now = self.api.get_json(f"orgs/{quote(owner)}/teams/{quote(found['slug'])}")
            return self.listing("team").whole_team(owner, now)

        yield from self.asked("team", ask, gone=bare, instead=bare)

    def organization(self, body: Item) -> Iterator[LiveChange]:
        action, login = body["action"], body["organization"]["login"]
        if membership := body.get("membership"):
            person = membership["user"]
            bare = {**person, "databaseId": person["id"], "id": person.get("node_id")}
            if action == "member_removed":
                yield LiveChange("user", bare, is_gone=True)
            elif action == "member_added":
                yield from self.asked(
                    "user", lambda: user(self.api, person["login"]), gone=bare, instead=bare
                )
            return
        if action == "deleted":
            yield LiveChange("organization", body["organization"], is_gone=True)
            return
        if former := ((body.get("changes") or {}).get("login") or {}).get("from"):
            item = {**body["organization"], "login": former}
            yield LiveChange("organization", item, is_gone=True)
        yield from self.asked(
            "organization",
            lambda: organization(self.api, login),
            gone=body["organization"],
            instead=body["organization"],
        )


_READERS: Final[Mapping[str, Callable[[Reader, Item], Iterator[LiveChange]]]] = {
    "repository": Reader.repository,
    "public": lambda reader, body: reader.repository_now(body["repository"]),
    "installation_repositories": Reader.installed,
    "push": Reader.push,
    "create": lambda reader, body: reader.created_or_deleted(body, is_gone=False),
    "delete": lambda reader, body: reader.created_or_deleted(body, is_gone=True),
    "pull_request": Reader.pull_request,
    "pull_request_review": Reader.pull_request,
    "issues": Reader.issue,
    "issue_comment": Reader.issue,
    "release": Reader.release,
    "workflow_run": Reader.workflow_run,
    "deployment": Reader.deployment,
    "deployment_status": Reader.deployment,
    "dependabot_alert": lambda reader, body: reader.alert(body, "dependabot-alert", "dependabot"),
    "code_scanning_alert": lambda reader, body: reader.alert(
        body, "code-scanning-alerts", "code-scanning"
    ),
    "secret_scanning_alert": lambda reader, body: reader.alert(
        body, "secret-scanning-alerts", "secret-scanning"
    ),
    "member": Reader.member,
    "team": Reader.team,
    "membership": Reader.team,
    "organization": Reader.organization,
}


def _plain(repository: Item) -> Item:
    """A repository of a push, whose owner has a name there and a login elsewhere."""
    owner = repository["owner"]
    return {**repository, "owner": {**owner, "login": owner.get("login") or owner["name"]}}


def _owner_of(repository: Item) -> Item:
    return {"login": repository["full_name"].partition("/")[0]}


def _former(repository: Item, changes: Item) -> Item | None:
    """A renamed or transferred repository under its old name."""
    owner, name = repository["owner"]["login"], repository["name"]
    old_name = ((changes.get("repository") or {}).get("name") or {}).get("from")
    old_owner = (changes.get("owner") or {}).get("from") or {}
    old_login = (old_owner.get("organization") or old_owner.get("user") or {}).get("login")
    if not old_name and not old_login:
        return None
    owner, name = old_login or owner, old_name or name
    return {
        **repository,
        "name": name,
        "full_name": f"{owner}/{name}",
        "owner": {**repository["owner"], "login": owner},
    }
