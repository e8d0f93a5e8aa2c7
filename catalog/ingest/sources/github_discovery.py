"""Descriptors in all repositories of GitHub organisations, and their people and teams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import regex

from catalog.ingest.sources import discovery, people
from catalog.ingest.sources.discovery import (
    Descriptors,
    Discovery,
    DiscoveryKind,
    Forge,
    Looking,
    Repository,
)
from catalog.ingest.sources.forges import Item, Pages, chained, understood
from catalog.ingest.sources.github.api import GitHubApi
from catalog.ingest.sources.github.events import body_of
from catalog.ingest.sources.github.files import GitHubFiles
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

LOGIN: Final = "github.com/user-login"
_FEW_COMMITS: Final = 20  # GitHub names the files of so many commits of a push, and no more

_FACTS = """
  nameWithOwner url isArchived isFork isEmpty visibility
  repositoryTopics(first: 100) { nodes { topic { name } } }
  defaultBranchRef { name target { oid } }
  chosen: ref(qualifiedName: $reference) @include(if: $isChosen) { name target { oid } }
  file: object(expression: $expression) @include(if: $isLooking) { __typename }
"""
_VARIABLES = "$reference: String!, $isChosen: Boolean!, $expression: String!, $isLooking: Boolean!"
_REPOSITORIES = (
    f"query($login: String!, $after: String, {_VARIABLES})"
    " { repositoryOwner(login: $login) { repositories(first: 50, after: $after,"
    " ownerAffiliations: [OWNER], orderBy: {field: NAME, direction: ASC})"
    f" {{ nodes {{ {_FACTS} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
)
_REPOSITORY = (
    f"query($owner: String!, $name: String!, {_VARIABLES})"
    f" {{ repository(owner: $owner, name: $name) {{ {_FACTS} }} }}"
)

_PERSON = "login name bio email url avatarUrl organizationVerifiedDomainEmails(login: $login)"
_PEOPLE = (
    "query($login: String!, $after: String) { organization(login: $login) {"
    f" membersWithRole(first: 100, after: $after) {{ nodes {{ {_PERSON} }}"
    " pageInfo { hasNextPage endCursor } } } }"
)
_ONE_PERSON = f"query($login: String!, $person: String!) {{ user(login: $person) {{ {_PERSON} }} }}"
_TEAM = (
    "slug name description url avatarUrl privacy parentTeam { slug }"
    " members(first: 100, membership: IMMEDIATE)"
    " { nodes { login } pageInfo { hasNextPage endCursor } }"
)
_TEAMS = (
    "query($login: String!, $after: String) { organization(login: $login) {"
    f" teams(first: 50, after: $after) {{ nodes {{ {_TEAM} }}"
    " pageInfo { hasNextPage endCursor } } } }"
)
_ONE_TEAM = (
    "query($login: String!, $slug: String!) { organization(login: $login) {"
    f" team(slug: $slug) {{ {_TEAM} }} }} }}"
)
_MEMBERS = (
    "query($login: String!, $slug: String!, $after: String) { organization(login: $login) {"
    " team(slug: $slug) { members(first: 100, membership: IMMEDIATE, after: $after) {"
    " nodes { login } pageInfo { hasNextPage endCursor } } } } }"
)


class GitHubDiscovery(DiscoveryKind):
    name = "github-discovery"
    title = "GitHub discovery"
    icon = "Github"
    description = "Descriptors (catalog-info.yaml) in all repositories, people and teams."
    settings_schema = {
        "type": "object",
        "properties": {
            "source": {**discovery.SOURCE, "title": "GitHub source"},
            "organizations": {
                "type": "array",
                "items": {"type": "string", "pattern": r"^[A-Za-z0-9_.-]+$"},
                "title": "Organisations and users",
                "description": "Empty: those of the source.",
            },
            "descriptors": discovery.DESCRIPTORS,
            "catalogPath": {
                "type": "string",
                "title": "Descriptor",
                "description": "Its path in a repository, such as /catalog-info.yaml, or a pattern "
                "like /services/*/catalog-info.yaml or **/catalog-info.yaml.",
                "default": "/catalog-info.yaml",
            },
            "branch": {
                "type": "string",
                "title": "Branch",
                "description": "Empty: the default branch of each repository.",
            },
            "repository": {
                "type": "string",
                "title": "Repositories named",
                "description": "A regular expression for the whole name, without its owner.",
            },
            "topicInclude": {
                "type": "array",
                "items": {"type": "string"},
                "title": "Only with one of these topics",
            },
            "topicExclude": {
                "type": "array",
                "items": {"type": "string"},
                "title": "Not with any of these topics",
            },
            "visibility": {
                "type": "array",
                "items": {"type": "string", "enum": ["public", "private", "internal"]},
                "title": "Visibility",
                "description": "public, private or internal. Empty: any.",
            },
            "allowForks": {"type": "boolean", "title": "Forks too", "default": True},
            "allowArchived": {"type": "boolean", "title": "Archived ones too", "default": False},
            "validateLocationsExist": {
                "type": "boolean",
                "title": "Only where there is a descriptor",
                "description": "Off: every repository is watched, whether it has one yet or not.",
                "default": True,
            },
            "allowKinds": discovery.ALLOW,
            "users": {
                "type": "boolean",
                "title": "People",
                "description": "The members of the organisations become users.",
                "default": False,
            },
            "teams": {
                "type": "boolean",
                "title": "Teams",
                "description": "The teams of the organisations, with those below them.",
                "default": False,
            },
        },
        "additionalProperties": False,
    }
    follows = "github"

    def check(self, connection: Connection) -> Sequence[str]:
        with _opened(connection) as look:
            owners = ", ".join(look.api.owners()) or "nobody"
            if not self.looks_for_descriptors(connection.settings):
                return [f"Reads people and teams of {owners} alone."]
            page = next(look.pages(), ())
            said = [f"Looks into the repositories of {owners}."]
            with_one = sum(bool(one.paths) for one in page)
            said.append(
                f"Of the first {len(page)} repositories that are meant, {with_one} "
                f"{'has' if with_one == 1 else 'have'} a descriptor."
            )
            return said

    def forge(self, connection: Connection) -> AbstractContextManager[_GitHub]:
        return _opened(connection)

    def import_event(self, connection: Connection, event: Event, context: ImportContext) -> None:
        name, body = event.headers.get("x-github-event", ""), body_of(event)
        if not self.looks_for_descriptors(connection.settings):
            return
        if name not in ("push", "create", "repository", "public", "installation_repositories"):
            return
        with _opened(connection) as look, understood(name, "GitHub"):
            for told in look.told(name, body):
                Discovery(look, context).one(told.page, look.one(told.full_name), told.former_page)

    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Any],
        cursor: Any = None,
    ) -> Iterator[Page]:
        if not connection.settings.get(f"{resource.name}s"):
            return
        with _opened(connection) as look:
            yield from _Organization(look.api, connection.integration).pages(resource.name, cursor)

    def changes(
        self,
        connection: Connection,
        event: Event,
        wanted: Mapping[str, Sequence[Mapping[str, Any]]],
    ) -> Iterator[LiveChange]:
        name, body = event.headers.get("x-github-event", ""), body_of(event)
        if name not in ("team", "membership", "organization"):
            return
        with _opened(connection) as look, understood(name, "GitHub"):
            owner = str(body["organization"]["login"])
            if not look.api.scope.names_owner(owner):
                return
            has_people = bool(connection.settings.get("users"))
            organization = _Organization(look.api, connection.integration, has_people)
            for change in organization.told(owner, name, body):
                if change.kind in wanted and connection.settings.get(f"{change.kind}s"):
                    yield change


@contextmanager
def _opened(connection: Connection) -> Iterator[_GitHub]:
    with discovery.leading(connection, "github") as source:
        own = connection.settings
        settings = {**source.connection.settings}
        if own.get("organizations"):
            settings |= {"organizations": own["organizations"], "repositories": []}
        # Which repositories are meant is said by the discovery, not by what the source syncs.
        settings |= {"visibility": "all", "skipArchived": False, "skipForks": False}
        leader = Connection(settings, source.connection.http, connection.log)
        yield _GitHub(GitHubApi(leader), own)


# --- repositories -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rules:
    """Which repositories are meant, whoever owns them."""

    name: regex.Pattern[str] | None
    include: frozenset[str]
    exclude: frozenset[str]
    visibility: frozenset[str]
    allows_forks: bool
    allows_archived: bool

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> _Rules:
        return cls(
            name=discovery.pattern(settings, "repository"),
            include=frozenset(settings.get("topicInclude") or ()),
            exclude=frozenset(settings.get("topicExclude") or ()),
            visibility=frozenset(settings.get("visibility") or ()),
            allows_forks=settings.get("allowForks") is not False,
            allows_archived=settings.get("allowArchived") is True,
        )

    def take(self, one: _Facts) -> bool:
        return not (
            one.is_empty
            or (one.is_archived and not self.allows_archived)
            or (one.is_fork and not self.allows_forks)
            or (self.include and not self.include & one.topics)
            or self.exclude & one.topics
            or (self.visibility and one.visibility not in self.visibility)
        ) and discovery.fits(self.name, one.full_name.partition("/")[2], whole=True)


@dataclass(frozen=True, slots=True)
class _Facts:
    """A repository. commit: of the branch that is read; "" when it was not asked for. has_file:
    whether the descriptor is there; None when it was not looked for."""

    full_name: str
    url: str
    visibility: str
    topics: frozenset[str]
    branch: str
    commit: str = ""
    has_file: bool | None = None
    is_archived: bool = False
    is_fork: bool = False
    is_empty: bool = False


@dataclass(frozen=True, slots=True)
class _Told:
    """A repository that an event is about. former_page: the page it had before, or ""."""

    full_name: str
    page: str
    former_page: str = ""


class _GitHub(Forge):
    between = "/blob/"

    def __init__(self, api: GitHubApi, settings: Mapping[str, Any]) -> None:
        self.api = api
        self.descriptors = Descriptors.of(settings, "catalogPath")
        self.is_checked = settings.get("validateLocationsExist") is not False
        self.allow = tuple(settings.get("allowKinds") or ())
        self.branch = str(settings.get("branch") or "")
        self.rules = _Rules.of(settings)
        self.memory = Memory("github", api.base_url, self.descriptors.path)

    def pages(self) -> Iterator[Sequence[Repository]]:
        looking = Looking(self.api.log)
        for page in self._facts():
            meant = [one for one in page if one.branch and self.rules.take(one)]
            yield self._looked_into(meant, looking)
        looking.conclude()

    def page(self, full_name: str) -> str:
        """The page of a repository; an Enterprise server has the API on its own host."""
        base = self.api.base_url.removesuffix("/api/v3")
        return f"{base.replace('://api.', '://', 1)}/{full_name}"

    def page_now(self, url: str) -> str:
        full_name = "/".join(url.rsplit("/", 2)[1:])
        try:
            found = self.api.get_json(f"repos/{quote(full_name)}")
        except UpstreamNotFound:
            return ""
        return str(found.get("html_url") or "")

    def one(self, full_name: str) -> Repository | None:
        """A repository as it is now; None when it is gone, or not meant."""
        if not self.api.scope.names(full_name):
            return None
        found = self._facts_of(full_name)
        if found is None or not found.branch or not self.rules.take(found):
            return None
        looking = Looking(self.api.log)
        looked = self._looked_into([found], looking)
        looking.conclude()
        return looked[0]

    # Who is meant by an event

    def told(self, name: str, body: Item) -> Iterator[_Told]:
        """The repositories of which descriptors may have come, gone or moved."""
        if name == "installation_repositories":
            for one in body.get("repositories_added") or ():
                yield _Told(str(one["full_name"]), self.page(one["full_name"]))
            return
        about = body["repository"]
        full_name = str(about["full_name"])
        if name == "push" and not self._may_concern(body):
            return
        if name == "create" and not (self.branch and body.get("ref") == self.branch):
            return
        former = ""
        changes = body.get("changes") or {}
        old_name = ((changes.get("repository") or {}).get("name") or {}).get("from")
        old_owner = (changes.get("owner") or {}).get("from") or {}
        old_login = (old_owner.get("organization") or old_owner.get("user") or {}).get("login")
        if old_name or old_login:
            owner, short = full_name.split("/", 1)
            former = f"{old_login or owner}/{old_name or short}"
        if any(self.api.scope.names(one) for one in (full_name, former) if one):
            page = str(about.get("html_url") or self.page(full_name))
            yield _Told(full_name, page, former and page.removesuffix(full_name) + former)

    def _may_concern(self, body: Item) -> bool:
        """Whether a push touched a descriptor of the branch that is read."""
        wanted = self.branch or body["repository"].get("default_branch") or ""
        if body["ref"] != f"refs/heads/{wanted}":
            return False
        commits = body.get("commits") or ()
        if body.get("forced") or body.get("created") or len(commits) >= _FEW_COMMITS:
            return True
        return any(
            self.descriptors.holds(path)
            for commit in commits
            for key in ("added", "removed")
            for path in commit.get(key) or ()
        )

    # What is in repositories

    def _facts(self) -> Iterator[list[_Facts]]:
        if self.api.is_anonymous:  # who may not ask in GraphQL
            for page in self.api.repositories():
                yield [self._plain(one) for one in page.items]
            return
        for owner in self.api.owners():
            after = None
            while True:
                answer = self.api.graphql(
                    _REPOSITORIES, login=owner, after=after, **self._variables()
                )
                found = (answer.get("repositoryOwner") or {}).get("repositories")
                if not isinstance(found, dict):
                    raise UpstreamNotFound(
                        f"GitHub knows no organisation or user {owner!r}, or does not show it",
                        details={"status": 404, "field": "settings.organizations"},
                    )
                named = [self._shaped(one) for one in found["nodes"] if one]
                yield [one for one in named if self.api.scope.names(one.full_name)]
                if not found["pageInfo"]["hasNextPage"]:
                    break
                after = found["pageInfo"]["endCursor"]

    def _facts_of(self, full_name: str) -> _Facts | None:
        try:
            if self.api.is_anonymous:
                return self._plain(self.api.get_json(f"repos/{quote(full_name)}"))
            owner, _, name = full_name.partition("/")
            answer = self.api.graphql(_REPOSITORY, owner=owner, name=name, **self._variables())
        except UpstreamNotFound:
            return None
        except UpstreamError as error:
            # GraphQL says so in words alone.
            if "could not resolve to a repository" in error.message.lower():
                return None
            raise
        return self._shaped(answer["repository"]) if answer.get("repository") else None

    def _variables(self) -> dict[str, Any]:
        return {
            "reference": f"refs/heads/{self.branch}",
            "isChosen": bool(self.branch),
            "expression": f"{self.branch or 'HEAD'}:{self.descriptors.path}",
            "isLooking": self.is_checked and not self.descriptors.is_pattern,
        }

    def _shaped(self, one: Item) -> _Facts:
        """Of an answer of GraphQL."""
        reference = one.get("chosen") if self.branch else one.get("defaultBranchRef")
        looked = self.is_checked and not self.descriptors.is_pattern
        return _Facts(
            full_name=one["nameWithOwner"],
            url=str(one["url"]).rstrip("/"),
            visibility=str(one.get("visibility") or "").lower(),
            topics=frozenset(
                node["topic"]["name"] for node in (one.get("repositoryTopics") or {})["nodes"] or ()
            ),
            branch=(reference or {}).get("name") or "",
            commit=((reference or {}).get("target") or {}).get("oid") or "",
            has_file=(one.get("file") or {}).get("__typename") == "Blob" if looked else None,
            is_archived=bool(one.get("isArchived")),
            is_fork=bool(one.get("isFork")),
            is_empty=bool(one.get("isEmpty")),
        )

    def _plain(self, one: Item) -> _Facts:
        """Of an answer of the REST API."""
        return _Facts(
            full_name=one["full_name"],
            url=str(one.get("html_url") or self.page(one["full_name"])),
            visibility=one.get("visibility") or ("private" if one.get("private") else "public"),
            topics=frozenset(one.get("topics") or ()),
            branch=self.branch or one.get("default_branch") or "",
            is_archived=bool(one.get("archived")),
            is_fork=bool(one.get("fork")),
        )

    def _looked_into(self, some: Sequence[_Facts], looking: Looking) -> list[Repository]:
        """The descriptors of each; only branches that have moved since are read."""
        named = (self.descriptors.path,)
        known = self.memory.get([f"{one.full_name}@{one.commit}" for one in some if one.commit])
        learned: dict[str, Any] = {}
        found = []
        for one in some:
            paths: tuple[str, ...] = named
            if one.has_file is not None:
                paths = named if one.has_file else ()
            elif self.is_checked or self.descriptors.is_pattern:
                key = f"{one.full_name}@{one.commit}"
                if key in known:
                    paths = tuple(known[key])
                else:
                    looked = looking.into(one.full_name, partial(self._paths, one))
                    if looked is None:
                        continue
                    paths = looked
                    if one.commit:
                        learned[key] = paths
            found.append(Repository(one.url, one.branch, paths))
        self.memory.keep(learned)
        return found

    def _paths(self, one: _Facts) -> tuple[str, ...]:
        repository = {"full_name": one.full_name}
        files = GitHubFiles(self.api, {})
        try:
            return self.descriptors.among(
                files.tree(repository, one.commit or one.branch, [self.descriptors.rule])
            )
        except UpstreamError as error:
            status = error.details.get("status")
            # Empty, without that branch, or away since it was listed.
            if status == 409 or (status == 404 and not one.commit):
                return ()
            if status == 404 and self.api.is_gone(repository):
                return ()
            raise


# --- people and teams -------------------------------------------------------------------------


class _Organization:
    """Members and teams of the organisations, as items for the mapping.

    expects_people: members of teams who are not in the catalogue will be, by an event beside.
    """

    def __init__(
        self, api: GitHubApi, integration: int | None, expects_people: bool = False
    ) -> None:
        self.api = api
        self.expects_people = expects_people
        self.integration = integration
        self.owners = api.owners()

    def pages(self, kind: str, cursor: Any) -> Iterator[Page]:
        read = self._users if kind == "user" else self._teams
        lists: list[Pages] = [partial(read, owner) for owner in self.owners]
        return chained(lists, cursor, bool)

    def told(self, owner: str, name: str, body: Item) -> Iterator[LiveChange]:
        """What an event says, as the API tells it now."""
        if name == "organization":
            if body["action"] in ("member_added", "member_removed"):
                person = body["membership"]["user"]
                gone = self._people([{"login": person["login"]}])[0]
                is_gone = body["action"] == "member_removed"
                found = None if is_gone else self._ask_person(owner, person["login"])
                yield LiveChange("user", found or gone, is_gone=found is None)
            return
        team = body["team"]
        bare = {"slug": team["slug"], "__identifier": self._team_name(owner, team["slug"])}
        if body["action"] == "deleted" or team.get("deleted"):
            yield LiveChange("team", bare, is_gone=True)
            return
        if former := ((body.get("changes") or {}).get("name") or {}).get("from"):
            slug = "-".join(str(former).lower().split())
            if slug != team["slug"]:
                name_then = self._team_name(owner, slug)
                yield LiveChange("team", {**bare, "__identifier": name_then}, is_gone=True)
        answer = self.api.graphql(_ONE_TEAM, login=owner, slug=team["slug"])
        now = (answer.get("organization") or {}).get("team")
        shaped = self._shaped_teams(owner, [now]) if now else [bare]
        if name == "membership" and now and (person := (body.get("member") or {}).get("login")):
            found = self._ask_person(owner, person) if body["action"] == "added" else None
            if found:
                yield LiveChange("user", found)
        yield LiveChange("team", shaped[0], is_gone=now is None)

    def _users(self, owner: str, cursor: Any) -> Iterator[Page]:
        def read(after: Any) -> Any:
            return self.api.graphql(_PEOPLE, login=owner, after=after)

        for nodes, following in self._connection(read, owner, "membersWithRole", cursor):
            yield Page(self._people(nodes), following)

    def _ask_person(self, owner: str, login: str) -> Item | None:
        found = self.api.graphql(_ONE_PERSON, login=owner, person=login).get("user")
        return self._people([found])[0] if found else None

    def _people(self, nodes: Sequence[Item]) -> list[Item]:
        """With the address that an organisation has verified where a person shows none."""
        addressed = []
        for one in nodes:
            verified = one.get("organizationVerifiedDomainEmails") or [None]
            addressed.append({**one, "email": one.get("email") or verified[0] or None})
        return people.with_identity(
            addressed,
            login="login",
            email="email",
            annotation=LOGIN,
            integration=self.integration,
        )

    def _teams(self, owner: str, cursor: Any) -> Iterator[Page]:
        def read(after: Any) -> Any:
            return self.api.graphql(_TEAMS, login=owner, after=after)

        for nodes, following in self._connection(read, owner, "teams", cursor):
            yield Page(self._shaped_teams(owner, nodes), following)

    def _connection(
        self, read: Callable[[Any], Item], owner: str, name: str, cursor: Any
    ) -> Iterator[tuple[list[Item], Any]]:
        """A list of an organisation, page by page; a person has none."""
        if self.api.owner_type(owner) != "Organization":
            return
        while True:
            found = (read(cursor).get("organization") or {}).get(name)
            if not isinstance(found, dict):
                raise UpstreamNotFound(
                    f"GitHub does not show us {name} of {owner}", details={"status": 404}
                )
            info = found["pageInfo"]
            cursor = info["endCursor"] if info["hasNextPage"] else None
            yield [one for one in found["nodes"] if one], cursor
            if cursor is None:
                return

    def _shaped_teams(self, owner: str, nodes: Sequence[Item]) -> list[Item]:
        """With members and parent by their identifiers. People who are not in the catalogue are
        left out: they are read, or not, as the settings say."""
        logins = {one["slug"]: self._members(owner, one) for one in nodes}
        known = people.identifiers_of(
            {login for some in logins.values() for login in some},
            annotation=LOGIN,
            integration=self.integration,
            with_new=self.expects_people,
        )
        return [
            {
                **one,
                "organization": owner,
                "parent": self._team_name(owner, one["parentTeam"]["slug"])
                if one.get("parentTeam")
                else None,
                "members": [known[login] for login in logins[one["slug"]] if login in known],
                "__identifier": self._team_name(owner, one["slug"]),
            }
            for one in nodes
        ]

    def _members(self, owner: str, team: Item) -> list[str]:
        found = team["members"]
        logins = [one["login"] for one in found["nodes"] if one]
        while found["pageInfo"]["hasNextPage"]:
            answer = self.api.graphql(
                _MEMBERS, login=owner, slug=team["slug"], after=found["pageInfo"]["endCursor"]
            )
            found = answer["organization"]["team"]["members"]
            logins += [one["login"] for one in found["nodes"] if one]
        return logins

    def _team_name(self, owner: str, slug: str) -> str:
        """Of several organisations, each is a namespace of its own."""
        return slug.lower() if len(self.owners) < 2 else f"{owner}/{slug}".lower()
