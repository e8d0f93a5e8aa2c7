"""How each resource kind of GitHub is listed, and what is added to what the API gives.

Added keys begin with two underscores and are those of Ocean's integration, so that mappings
written for it work: `__repository` (a name), `__organization` (a login), `__includedFiles`, ….
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from catalog.ingest.sources.forges import Item, chained, concerns_all, nested
from catalog.ingest.sources.github.api import PAGE_SIZE, GitHubApi, root
from catalog.ingest.sources.github.files import GitHubFiles
from catalog.ingest.sources.selectors import is_on
from catalog.kernel.errors import InvalidInput, UpstreamError, UpstreamNotFound
from catalog.kernel.source import Page

Selector = Mapping[str, Any]

_CLOSED_LIMIT: Final = 100
_CLOSED_DAYS: Final = 60


# --- what is added ----------------------------------------------------------------------------


def of_repository(item: Item, repository: Item) -> Item:
    """An object of a repository, with the names of where it stands."""
    return {
        **item,
        "__repository": repository["name"],
        "__organization": repository["owner"]["login"],
    }


def with_repository(item: Item, repository: Item) -> Item:
    """The same, with the whole repository: what Ocean gives branches and tags."""
    return {**of_repository(item, repository), "__repository_object": repository}


def branch(item: Item, repository: Item) -> Item:
    is_default = item["name"] == repository.get("default_branch")
    return {**with_repository(item, repository), "__is_default_branch": is_default}


def tag(item: Item, repository: Item) -> Item:
    """With `tag` and `repo`, the names that mappings of Port's older GitHub app know."""
    about = {"tag": {"name": item["name"]}, "repo": repository}
    return {**with_repository(item, repository), **about}


def pull_request(item: Item, repository: Item) -> Item:
    """With `status` ("open", "merged", "closed"), which Port's older GitHub app worked out."""
    status = "merged" if item.get("merged_at") else item.get("state")
    return {**of_repository(item, repository), "status": status}


def workflow(item: Item, repository: Item) -> Item:
    """With `type` and `repo`, by which simple mappings tell workflows from other objects."""
    return {**of_repository(item, repository), "type": "workflow", "repo": repository}


def secret_alert(item: Item, repository: Item) -> Item:
    """Without the secret itself, which is nobody's business here."""
    return of_repository({**item, "secret": None}, repository)


def team(item: Item, organization: str, members: Sequence[Item] | None) -> Item:
    notifies = item.get("notification_setting")
    whole = {
        **item,
        "databaseId": item.get("id"),
        "notificationSetting": notifies.upper() if isinstance(notifies, str) else None,
        "__organization": organization,
    }
    return whole if members is None else {**whole, "members": {"nodes": list(members)}}


# --- lists of a repository --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _List:
    """A plain list below /repos/{owner}/{repo}.

    params: from the selector. absent: (status, words in GitHub's answer) that mean that there is
    nothing to list; a 403 or 404 for lack of permission says other words.
    """

    path: str
    key: str = ""
    params: Callable[[Selector], Item] = lambda selector: {}
    shape: Callable[[Item, Item], Item] = of_repository
    absent: tuple[tuple[int, str], ...] = ()


def _alert_params(selector: Selector) -> Item:
    found = {"state": ",".join(selector.get("states") or ["open"])}
    for ours, theirs in (("severity", "severity"), ("ecosystems", "ecosystem")):
        if selector.get(ours):
            found[theirs] = ",".join(selector[ours])
    return found


def _scan_params(selector: Selector) -> Item:
    return {"state": selector.get("state") or "open", "severity": selector.get("severity")}


def _issue_params(selector: Selector) -> Item:
    labels = selector.get("labels")
    return {"state": selector.get("state") or "open", "labels": ",".join(labels or []) or None}


def _secret_params(selector: Selector) -> Item:
    state = selector.get("state") or "open"
    return {"state": None if state == "all" else state, "hide_secret": "true"}


def _deployment_params(selector: Selector) -> Item:
    return {"task": selector.get("task"), "environment": selector.get("environment")}


_EMPTY = (409, "git repository is empty")
_OFF = ((403, "disabled"), (403, "not enabled"), (403, "must be enabled"), (403, "archived"))

_LISTS: Final[Mapping[str, _List]] = {
    "issue": _List("issues", params=_issue_params, absent=((410, ""), (404, "disabled"))),
    "workflow": _List("actions/workflows", "workflows", shape=workflow),
    "release": _List("releases"),
    "tag": _List("tags", shape=tag, absent=(_EMPTY,)),
    # Repositories of a plan without environments have no such address.
    "environment": _List("environments", "environments", absent=((404, "not found"),)),
    "deployment": _List("deployments", params=_deployment_params),
    "dependabot-alert": _List("dependabot/alerts", params=_alert_params, absent=_OFF),
    "code-scanning-alerts": _List(
        "code-scanning/alerts",
        params=_scan_params,
        absent=(*_OFF, (404, "no analysis found"), (404, "no default branch")),
    ),
    "secret-scanning-alerts": _List(
        "secret-scanning/alerts",
        params=_secret_params,
        shape=secret_alert,
        absent=(*_OFF, (404, "disabled"), (404, "not enabled")),
    ),
    "collaborator": _List(
        "collaborators", params=lambda selector: {"affiliation": selector.get("affiliation")}
    ),
}

SHAPES: Final[Mapping[str, Callable[[Item, Item], Item]]] = {
    **{kind: one.shape for kind, one in _LISTS.items()},
    "branch": branch,
}

# Kinds of which a repository may truly have none although GitHub answers with an error.
_ABSENT: Final[Mapping[str, tuple[tuple[int, str], ...]]] = {
    **{kind: one.absent for kind, one in _LISTS.items()},
    "branch": (_EMPTY,),
    "file": (_EMPTY,),
    "folder": (_EMPTY,),
}


class Listing:
    """All objects of one kind that a selector means."""

    def __init__(self, api: GitHubApi, kind: str, selector: Selector) -> None:
        self.api = api
        self.kind = kind
        self.selector = selector
        self.files = GitHubFiles(api, selector)

    def pages(self, cursor: Any) -> Iterator[Page]:
        if self.kind == "organization":
            return self._organizations(cursor)
        if self.kind == "repository":
            return self._repositories(cursor)
        if self.kind in ("team", "user"):
            return self._of_owners(cursor)
        return nested(
            self._parents,
            self._children(),
            key=lambda repository: str(repository["full_name"]),
            is_absent=self._is_absent,
            log=self.api.log,
            what=f"repositories of which the kind {self.kind} was asked",
            cursor=cursor,
        )

    def _parents(self, cursor: Any) -> Iterator[Page]:
        search = self.selector.get("repoSearch")
        query = search.get("query") if isinstance(search, dict) else search
        return self.api.repositories(cursor, search=str(query or ""))

    def _is_absent(self, repository: Item, error: UpstreamError) -> str:
        status, said = error.details.get("status"), error.message.lower()
        for code, words in _ABSENT.get(self.kind, ()):
            if status == code and words in said:
                return f"it has none ({error.message})"
        if status == 404 and self.api.is_gone(repository):
            return "it is no longer there"
        return ""

    def _children(self) -> Callable[[Item, Any], Iterator[Page]]:
        special: Mapping[str, Callable[[Item, Any], Iterator[Page]]] = {
            "pull-request": self._pull_requests,
            "branch": self._branches,
            "workflow-run": self._workflow_runs,
            "deployment-status": self._deployment_statuses,
            "folder": self.files.folder_pages,
            "file": self.files.file_pages,
        }
        return special.get(self.kind) or partial(self._plain, _LISTS[self.kind])

    def _plain(self, one: _List, repository: Item, cursor: Any) -> Iterator[Page]:
        path = f"{root(repository)}/{one.path}"
        for page in self.api.pages(path, one.params(self.selector), key=one.key, cursor=cursor):
            yield Page([one.shape(item, repository) for item in page.items], page.next)

    # --- owners, and what is theirs ------------------------------------------------------------

    def _organizations(self, cursor: Any) -> Iterator[Page]:
        owners = self.api.owners()
        for position in range(int(cursor or 0), len(owners)):
            following = position + 1 if position + 1 < len(owners) else None
            yield Page([organization(self.api, owners[position])], following)

    def _of_owners(self, cursor: Any) -> Iterator[Page]:
        """Teams, or people, of one owner after the other."""
        read = self._teams if self.kind == "team" else self._users
        lists = [partial(read, owner) for owner in self.api.owners()]
        return chained(lists, cursor, bool)

    def _teams(self, owner: str, cursor: Any) -> Iterator[Page]:
        if self.api.owner_type(owner) != "Organization":
            return
        for page in self.api.pages(f"orgs/{quote(owner)}/teams", {}, cursor=cursor):
            yield Page([self.whole_team(owner, item) for item in page.items], page.next)

    def whole_team(self, owner: str, item: Item) -> Item:
        if not is_on(self.selector, "members", default=True):
            return team(item, owner, None)
        return team(item, owner, members_of(self.api, owner, item["slug"]))

    def _users(self, owner: str, cursor: Any) -> Iterator[Page]:
        if self.api.owner_type(owner) != "Organization":
            yield Page([user(self.api, owner)])
            return
        while True:
            found = self.api.graphql(_ORGANIZATION_MEMBERS, login=owner, after=cursor)
            people = _connection(found, "organization", "membersWithRole")
            cursor = people["pageInfo"]["endCursor"] if people["pageInfo"]["hasNextPage"] else None
            yield Page([one for one in people["nodes"] if one], cursor)
            if cursor is None:
                return

    def _repositories(self, cursor: Any) -> Iterator[Page]:
        for page in self._parents(cursor):
            yield Page([self.whole_repository(one) for one in page.items], page.next)

    def whole_repository(self, repository: Item) -> Item:
        """A repository with the relations and files that the selector asks for."""
        include = dict.fromkeys(self.selector.get("include") or (), True)
        relations = self.selector.get("includedRelations") or include
        place, found = root(repository), dict(repository)
        if wanted := relations.get("collaborators"):
            chosen = wanted.get("affiliation") if isinstance(wanted, dict) else None
            found["__collaborators"] = self._more(
                lambda: self._all(f"{place}/collaborators", {"affiliation": chosen})
            )
        if is_on(relations, "teams"):
            found["__teams"] = self._more(lambda: self._all(f"{place}/teams", {}))
        if is_on(relations, "customProperties") and "custom_properties" not in found:
            values = self._more(lambda: self.api.get_json(f"{place}/properties/values")) or []
            found["custom_properties"] = {one["property_name"]: one["value"] for one in values}
        if is_on(relations, "sbom"):
            answer = self._more(lambda: self.api.get_json(f"{place}/dependency-graph/sbom")) or {}
            found["__sbom"] = answer.get("sbom") or {}
        if is_on(relations, "pages"):
            found["__pages"] = self._more(lambda: self.api.get_json(f"{place}/pages")) or {}
        if wanted_files := self.selector.get("includedFiles"):
            reference = repository.get("default_branch") or ""
            found["__includedFiles"] = self.files.included(repository, reference, "", wanted_files)
        return found

    def _all(self, path: str, params: Selector) -> list[Item]:
        return [item for page in self.api.pages(path, params) for item in page.items]

    def _more(self, ask: Callable[[], Any]) -> Any:
        """Something that is added to an object which is listed anyway; None where there is none,
        and, with a warning, where we may not see it."""
        try:
            return ask()
        except UpstreamNotFound:
            return None
        except UpstreamError as error:
            if concerns_all(error):
                raise
            self.api.log("warning", f"Something is left out: {error.message}")
            return None

    # --- kinds that take more than a list ------------------------------------------------------

    def _pull_requests(self, repository: Item, cursor: Any) -> Iterator[Page]:
        """Open ones all; closed ones newest first, as far back and as many as the selector says.

        The cursor is {"state", "at", "closed": how many were given}.
        """
        states = [one for one in ("open", "closed") if one in pull_states(self.selector)]
        place: Mapping[str, Any] = cursor or {}
        at, given = place.get("at"), int(place.get("closed") or 0)
        for state in states[states.index(place["state"]) :] if place else states:
            is_last = state == states[-1]
            params: Item = {"state": state}
            if state == "closed":
                params |= {"sort": "updated", "direction": "desc"}
            path = f"{root(repository)}/pulls"
            for page in self.api.pages(path, params, cursor=at):
                items = [pull_request(item, repository) for item in page.items]
                at = page.next
                if state == "closed":
                    items, is_enough = self._recent(items, given)
                    given += len(items)
                    at = None if is_enough else at
                if at is not None:
                    following: Any = {"state": state, "at": at, "closed": given}
                else:
                    following = None if is_last else {"state": "closed", "at": None, "closed": 0}
                yield Page(items, following)
                if at is None:
                    break

    def _recent(self, items: list[Item], given: int) -> tuple[list[Item], bool]:
        """Those of a page that are young enough, and whether later pages hold none."""
        field, since = closed_since(self.selector)
        limit = self.selector.get("maxResults")
        if limit is None and not self.selector.get("closedSinceDate"):
            limit = _CLOSED_LIMIT
        young = [one for one in items if (one.get(field) or "") >= since]
        is_enough = not items or (items[-1].get("updated_at") or "") < since
        if limit is not None and given + len(young) >= limit:
            return young[: max(0, limit - given)], True
        return young, is_enough

    def _branches(self, repository: Item, cursor: Any) -> Iterator[Page]:
        if not repository.get("default_branch"):
            return
        names = list(self.selector.get("branchNames") or ())
        if is_on(self.selector, "defaultBranchOnly"):
            names = [repository["default_branch"]]
        if names:
            found = [self.branch(repository, name) for name in names]
            yield Page([one for one in found if one])
            return
        for page in self.api.pages(f"{root(repository)}/branches", {}, cursor=cursor):
            if is_on(self.selector, "detailed"):
                detailed = [self.branch(repository, item["name"]) for item in page.items]
                items = [one for one in detailed if one]
            else:
                items = [self._protected(branch(item, repository)) for item in page.items]
            yield Page(items, page.next)

    def branch(self, repository: Item, name: str) -> Item | None:
        """One branch as the API tells it in detail; None when it is not there."""
        try:
            found = self.api.get_json(f"{root(repository)}/branches/{quote(name, safe='')}")
        except UpstreamNotFound:
            return None
        return self._protected(branch(found, repository))

    def _protected(self, item: Item) -> Item:
        if not is_on(self.selector, "protectionRules"):
            return item
        place = root(item["__repository_object"])
        name = quote(item["name"], safe="")
        rules = None
        if item.get("protected"):
            path = f"{place}/branches/{name}/protection"
            rules = self._more(lambda: self.api.get_json(path))
        return {**item, "__protection_rules": rules}

    def _workflow_runs(self, repository: Item, cursor: Any) -> Iterator[Page]:
        """The latest runs of each workflow. The cursor is the number of the workflow to go on at:
        a repository has few, and they keep their order."""
        place = f"{root(repository)}/actions"
        workflows = [
            item
            for page in self.api.pages(f"{place}/workflows", {}, key="workflows")
            for item in page.items
        ]
        params = run_params(self.selector)
        for position in range(int(cursor or 0), len(workflows)):
            runs: dict[Any, Item] = {}
            for status in self.selector.get("statuses") or [None]:
                answer = self.api.get_json(
                    f"{place}/workflows/{workflows[position]['id']}/runs",
                    per_page=min(int(self.selector.get("maxRuns") or PAGE_SIZE), PAGE_SIZE),
                    status=status,
                    **params,
                )
                runs |= {one["id"]: one for one in answer["workflow_runs"]}
            following = position + 1 if position + 1 < len(workflows) else None
            yield Page([of_repository(one, repository) for one in runs.values()], following)

    def _deployment_statuses(self, repository: Item, cursor: Any) -> Iterator[Page]:
        place = f"{root(repository)}/deployments"
        params = _deployment_params(self.selector)
        for page in self.api.pages(place, params, cursor=cursor):
            found = [
                {**of_repository(status, repository), "__deployment_id": deployment["id"]}
                for deployment in page.items
                for status in self._all(f"{place}/{deployment['id']}/statuses", {})
            ]
            yield Page(found, page.next)


def organization(api: GitHubApi, login: str) -> Item:
    kind = "orgs" if api.owner_type(login) == "Organization" else "users"
    found: Item = api.get_json(f"{kind}/{quote(login)}")
    return {**found, "type": api.owner_type(login)}


# --- selectors --------------------------------------------------------------------------------


def pull_states(selector: Selector) -> Sequence[str]:
    return selector.get("states") or ["open"]


def closed_since(selector: Selector) -> tuple[str, str]:
    """Which moment of a closed pull request counts, and how young it must be (as text that
    compares as the API's does)."""
    if absolute := selector.get("closedSinceDate"):
        try:
            moment = datetime.fromisoformat(str(absolute))
        except ValueError:
            raise InvalidInput(
                f"selector.closedSinceDate is {absolute!r}; expected a date like 2025-01-01",
                details={"field": "selector.closedSinceDate"},
            ) from None
        return "closed_at", _stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    days = int(selector.get("since") or _CLOSED_DAYS)
    return "updated_at", _stamp(datetime.now(UTC) - timedelta(days=days))


def run_params(selector: Selector) -> Item:
    if days := selector.get("since"):
        return {"created": f">={_stamp(datetime.now(UTC) - timedelta(days=int(days)))}"}
    if since := selector.get("since_date") or selector.get("sinceDate"):
        return {"created": f">={since}"}
    return {}


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- people -----------------------------------------------------------------------------------

_PERSON = "login id databaseId email name"

_ORGANIZATION_MEMBERS = (
    "query($login: String!, $after: String) { organization(login: $login) {"
    f" membersWithRole(first: 100, after: $after) {{ nodes {{ {_PERSON} }}"
    " pageInfo { hasNextPage endCursor } } } }"
)
_TEAM_MEMBERS = (
    "query($login: String!, $slug: String!, $after: String) { organization(login: $login) {"
    " team(slug: $slug) { members(first: 100, after: $after) {"
    f" nodes {{ {_PERSON} isSiteAdmin }} pageInfo {{ hasNextPage endCursor }} }} }} }} }}"
)
_USER = f"query($login: String!) {{ user(login: $login) {{ {_PERSON} }} }}"


def user(api: GitHubApi, login: str) -> Item:
    if not api.is_anonymous:
        found: Item = _connection(api.graphql(_USER, login=login), "user")
        return found
    one = api.get_json(f"users/{quote(login)}")
    return {
        "login": one["login"],
        "id": one["node_id"],
        "databaseId": one["id"],
        "email": one.get("email"),
        "name": one.get("name"),
    }


def members_of(api: GitHubApi, owner: str, slug: str) -> list[Item]:
    found: list[Item] = []
    after = None
    while True:
        data = api.graphql(_TEAM_MEMBERS, login=owner, slug=slug, after=after)
        people = _connection(data, "organization", "team", "members")
        found += [one for one in people["nodes"] if one]
        if not people["pageInfo"]["hasNextPage"]:
            return found
        after = people["pageInfo"]["endCursor"]


def _connection(data: Item, *path: str) -> Item:
    found: Any = data
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise UpstreamNotFound(
            f"GitHub knows no {'.'.join(path)} of that name, or does not show it to us",
            details={"status": 404},
        )
    return found
