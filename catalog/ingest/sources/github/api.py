"""GitHub's REST API (and GraphQL for what REST lists one request a person): who asks, and how."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import jwt

from catalog.ingest.sources.forges import Item, Pages, chained, graphql_data, origin_of, path_of
from catalog.kernel.errors import (
    InvalidInput,
    UpstreamError,
    UpstreamNotFound,
    UpstreamRefused,
    UpstreamUnavailable,
)
from catalog.kernel.http import CacheEtags, Client, Response
from catalog.kernel.http.waiting import limit_wait_s, sleep
from catalog.kernel.source import Connection, Page

PUBLIC_URL: Final = "https://api.github.com"
PAGE_SIZE: Final = 100
_SEARCH_LIMIT: Final = 1000  # the search API gives no more, whatever there is
_KEPT_BYTES: Final = 64 * 1024  # packed
_KEPT_S: Final = 26 * 3600  # daily syncs find what the day before left
_JWT_LIFE: Final = timedelta(minutes=9)  # GitHub takes ten, and clocks differ
_RENEW_BEFORE: Final = timedelta(minutes=5)


@dataclass(slots=True)
class _Token:
    value: str = field(repr=False)
    expires_at: datetime


# Installation tokens by who asks for them: a burst of events shares one.
_tokens: dict[str, _Token] = {}
_tokens_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Scope:
    """Which repositories are meant. Names are in lower case; empty sets mean all we can see."""

    owners: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    visibility: str = "all"
    skips_archived: bool = False
    skips_forks: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Scope:
        owners = tuple(dict.fromkeys(settings.get("organizations") or ()))
        known = {one.lower() for one in owners}
        return cls(
            owners=owners,
            repositories=tuple(
                one
                for one in dict.fromkeys(settings.get("repositories") or ())
                if one.lower().partition("/")[0] not in known
            ),
            visibility=settings.get("visibility") or "all",
            skips_archived=settings.get("skipArchived") is True,
            skips_forks=settings.get("skipForks") is True,
        )

    def has(self, repository: Item) -> bool:
        """Whether a listed repository is meant, whoever owns it."""
        return not (
            (self.skips_archived and repository.get("archived"))
            or (self.skips_forks and repository.get("fork"))
            or (self.visibility == "private" and not repository.get("private"))
            or (self.visibility == "public" and repository.get("private"))
        )

    def names(self, full_name: str) -> bool:
        """Whether the settings name this repository, or name none at all."""
        if not self.owners and not self.repositories:
            return True
        owner = full_name.lower().partition("/")[0]
        return owner in map(str.lower, self.owners) or full_name.lower() in map(
            str.lower, self.repositories
        )

    def names_owner(self, login: str) -> bool:
        return not (self.owners or self.repositories) or login.lower() in map(
            str.lower, self.owners
        )


class GitHubApi:
    """Asks as a person (token), as an app (key), or as nobody. Errors are those of the client."""

    def __init__(self, connection: Connection) -> None:
        settings = connection.settings
        self.base_url = str(settings.get("apiUrl") or PUBLIC_URL).rstrip("/")
        self.scope = Scope.of(settings)
        self.log = connection.log
        self._token = str(settings.get("token") or "")
        self._app_id = str(settings.get("appId") or "")
        self._key = str(settings.get("privateKey") or "")
        self._installation = str(settings.get("installationId") or "")
        self._types: dict[str, str] = {}
        self._http: Client = connection.http.with_(
            base_url=self.base_url,
            headers={
                "accept": "application/vnd.github+json",
                "x-github-api-version": "2022-11-28",
            },
            redirects=3,  # renamed repositories and owners
            etags=connection.http.etags or self._etags(),
        )
        if self.is_app and not (self._app_id and self._key):
            missing = "privateKey" if self._app_id else "appId"
            raise InvalidInput(
                f"A GitHub App signs in with its id and its private key; {missing} is missing",
                details={"field": missing},
            )

    def _etags(self) -> CacheEtags:
        """Small answers are kept for a day: one that has not changed costs no rate limit."""
        whose = (self.base_url, self._token, self._app_id, self._installation, self._key)
        scope = hashlib.sha256("\0".join(whose).encode()).hexdigest()
        return CacheEtags(scope, max_bytes=_KEPT_BYTES, keep_s=_KEPT_S)

    @property
    def is_app(self) -> bool:
        return bool(self._app_id or self._key)

    @property
    def is_anonymous(self) -> bool:
        return not self.is_app and not self._token

    # --- requests -----------------------------------------------------------------------------

    def get(self, path: str, /, **params: Any) -> Response:
        """path: below the API's address, or the path of a link that it gave (see `path_of`)."""
        return self._authorised("GET", self._address(path), params=params)

    def get_json(self, path: str, /, **params: Any) -> Any:
        return self.get(path, **params).json()

    def raw(self, path: str, /, *, etag: str, max_bytes: int, **params: Any) -> Response:
        """The bytes of a file; status 304 when it is as it was with that etag."""
        headers = {"accept": "application/vnd.github.raw+json"}
        return self._authorised(
            "GET",
            path,
            http=self._http.with_(max_bytes=max_bytes, etags=None),
            headers={**headers, "if-none-match": etag} if etag else headers,
            params=params,
            expect=(200, 304),
        )

    @property
    def client(self) -> Client:
        """The way to this API, signed in as of now."""
        return self._http.with_(headers=self._credentials())

    @property
    def token(self) -> str:
        """What Git takes as the password; "" when nobody signs in."""
        return self._installation_token() if self.is_app else self._token

    def graphql(self, query: str, **variables: Any) -> Item:
        """The `data` of an answer. Raises UpstreamError with what GitHub says is wrong."""
        url = self._graphql_url()
        said = {"query": query, "variables": variables}
        response = self._authorised("POST", url, json=said, retry=True)
        answer = response.json()
        if _is_limited(answer):
            # Said with status 200, so the client does not know.
            wait_s = limit_wait_s(response.headers)
            if wait_s > self._http.max_wait_s:
                raise UpstreamUnavailable(
                    f"POST {url} answered: the limit of questions is reached",
                    details={"status": 200, "url": url, "retry_after_s": wait_s},
                )
            sleep(wait_s, "rate limit of GitHub's GraphQL", self._http.on_wait)
            answer = self._authorised("POST", url, json=said, retry=True).json()
        return graphql_data(answer, url)

    def pages(
        self, path: str, params: Mapping[str, Any], *, key: str = "", cursor: Any = None
    ) -> Iterator[Page]:
        """A list, by its Link headers; `cursor` is the path of the next page.

        key: where the list is in the answer; "" when the answer is the list.
        """
        sized = {"per_page": PAGE_SIZE, **params}
        response = self.get(cursor) if cursor else self.get(path, **sized)
        while True:
            body = response.json()
            items = body.get(key) if key and isinstance(body, dict) else body
            if not isinstance(items, list):
                raise UpstreamError(
                    f"{response.method} {response.url} answered with no list"
                    + (f" under {key!r}" if key else ""),
                    details={"status": response.status, "url": response.url},
                )
            following = path_of(response.links["next"]) if "next" in response.links else None
            yield Page(items, following)
            if following is None:
                return
            response = self.get(following)

    def _address(self, path: str) -> str:
        # The path of a link begins at the server's root, which on an Enterprise server is not
        # where the API begins.
        root = path_of(self.base_url)
        if root and path.startswith(f"{root}/"):
            return origin_of(self.base_url) + path
        return path

    def _graphql_url(self) -> str:
        """Beside the REST API: `/graphql`, and `/api/graphql` on an Enterprise server."""
        return self.base_url.removesuffix("/v3") + "/graphql"

    def _authorised(
        self,
        method: str,
        url: str,
        *,
        http: Client | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Response:
        client, given = http or self._http, headers or {}
        try:
            return client.request(method, url, headers={**given, **self._credentials()}, **options)
        except UpstreamRefused as error:
            if not self.is_app or error.details.get("status") != 401:
                raise
            self._forget()  # revoked before its time
            return client.request(method, url, headers={**given, **self._credentials()}, **options)

    def _credentials(self) -> dict[str, str]:
        token = self.token
        return {"authorization": f"Bearer {token}"} if token else {}

    # --- GitHub Apps --------------------------------------------------------------------------

    def as_app(self, method: str, path: str, **options: Any) -> Any:
        """A question that an app asks as itself, not as one of its installations."""
        return self._http.request(
            method, path, headers={"authorization": f"Bearer {self._proof()}"}, **options
        ).json()

    def installation(self) -> Item:
        """The installation we read: the one of the settings, or the one that fits."""
        if self._installation:
            found: Item = self.as_app("GET", f"app/installations/{quote(self._installation)}")
            return found
        installations = self.as_app("GET", "app/installations", params={"per_page": PAGE_SIZE})
        fitting = [one for one in installations if self.scope.names_owner(one["account"]["login"])]
        if len(fitting) == 1:
            one_found: Item = fitting[0]
            return one_found
        names = ", ".join(f"{one['account']['login']} ({one['id']})" for one in installations)
        raise InvalidInput(
            f"The app is installed {len(installations)} times, and the settings do not say which "
            f"one is meant: {names or 'nowhere yet'}",
            hint="Set installationId to the number of one of them; each wants its own source.",
            details={"field": "installationId"},
        )

    def _installation_token(self) -> str:
        name = self._token_name()
        with _tokens_lock:
            held = _tokens.get(name)
        if held is None or held.expires_at - _RENEW_BEFORE < datetime.now(UTC):
            held = self._new_token()
            with _tokens_lock:
                _tokens[name] = held
        return held.value

    def _new_token(self) -> _Token:
        number = self._installation or str(self.installation()["id"])
        answer = self.as_app("POST", f"app/installations/{quote(number)}/access_tokens")
        try:
            return _Token(answer["token"], datetime.fromisoformat(answer["expires_at"]))
        except (TypeError, KeyError, ValueError):
            raise UpstreamError(
                "GitHub answered the request for an installation's token with something else",
                details={"url": f"{self.base_url}/app/installations/{number}/access_tokens"},
            ) from None

    def _forget(self) -> None:
        with _tokens_lock:
            _tokens.pop(self._token_name(), None)

    def _token_name(self) -> str:
        parts = (self.base_url, self._app_id, self._installation, self._key, *self.scope.owners)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _proof(self) -> str:
        now = datetime.now(UTC)
        claims = {"iat": now - timedelta(minutes=1), "exp": now + _JWT_LIFE, "iss": self._app_id}
        try:
            return jwt.encode(claims, self._key, algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError):
            raise InvalidInput(
                "privateKey is no private key in PEM form, as the page of a GitHub App gives it",
                details={"field": "privateKey"},
            ) from None

    # --- whose repositories -------------------------------------------------------------------

    def owner_type(self, login: str) -> str:
        """ "Organization" or "User"."""
        if login not in self._types:
            self._types[login] = str(self.get_json(f"users/{quote(login)}").get("type"))
        return self._types[login]

    def owners(self) -> list[str]:
        """The logins whose people, teams and repositories are meant."""
        if self.scope.owners:
            return list(self.scope.owners)
        if self.scope.repositories:
            return list(dict.fromkeys(one.partition("/")[0] for one in self.scope.repositories))
        if self.is_app:
            return [self.installation()["account"]["login"]]
        if self.is_anonymous:
            raise InvalidInput(
                "Without a token or an app, organizations or repositories must say what to read",
                details={"field": "organizations"},
            )
        return [one["login"] for page in self.pages("user/orgs", {}) for one in page.items]

    def repositories(self, cursor: Any = None, *, search: str = "") -> Iterator[Page]:
        """The repositories that are meant, as the API gives them."""
        return chained(self._lists(search), cursor, self.scope.has)

    def _lists(self, search: str) -> Sequence[Pages]:
        if search:
            return [partial(self._searched, f"{search} user:{owner}") for owner in self.owners()]
        lists: list[Pages] = []
        if self.is_app:
            lists.append(self._installed)
        elif self.scope.owners:
            lists += [partial(self._owned, owner) for owner in self.scope.owners]
        elif not self.scope.repositories:
            if self.is_anonymous:
                self.owners()  # says what is missing
            params = {"sort": "full_name", "affiliation": "owner,collaborator,organization_member"}
            lists.append(lambda at: self.pages("user/repos", params, cursor=at))
        if self.scope.repositories and not self.is_app:
            lists.append(self._named)
        return lists

    def _installed(self, at: Any) -> Iterator[Page]:
        for page in self.pages("installation/repositories", {}, key="repositories", cursor=at):
            meant = [one for one in page.items if self.scope.names(one["full_name"])]
            yield Page(meant, page.next)

    def _owned(self, owner: str, at: Any) -> Iterator[Page]:
        if self.owner_type(owner) == "Organization":
            return self.pages(
                f"orgs/{quote(owner)}/repos", {"type": "all", "sort": "full_name"}, cursor=at
            )
        if not self.is_anonymous and self.get_json("user")["login"].lower() == owner.lower():
            return self.pages(
                "user/repos", {"affiliation": "owner", "sort": "full_name"}, cursor=at
            )
        return self.pages(
            f"users/{quote(owner)}/repos", {"type": "owner", "sort": "full_name"}, cursor=at
        )

    def _named(self, at: Any) -> Iterator[Page]:
        names = self.scope.repositories
        for position in range(int(at or 0), len(names)):
            following = position + 1 if position + 1 < len(names) else None
            yield Page([self.get_json(f"repos/{quote(names[position])}")], following)

    def _searched(self, query: str, at: Any) -> Iterator[Page]:
        params = {"q": f"{query} fork:true" if "fork:" not in query else query}
        if at is None:
            first = self.get_json("search/repositories", per_page=1, **params)
            if first.get("total_count", 0) > _SEARCH_LIMIT or first.get("incomplete_results"):
                raise UpstreamError(
                    f"GitHub's search finds {first.get('total_count')} repositories and gives "
                    f"{_SEARCH_LIMIT} at most",
                    hint="Narrow the selector's repoSearch.",
                    details={"status": 200},
                )
        return self.pages("search/repositories", params, key="items", cursor=at)

    def is_gone(self, repository: Item) -> bool:
        """Whether a repository that was just listed is no longer there."""
        try:
            self.get(f"repos/{quote(repository['full_name'])}")
        except UpstreamNotFound:
            return True
        return False


def _is_limited(answer: Any) -> bool:
    errors = answer.get("errors") if isinstance(answer, dict) else None
    return isinstance(errors, list) and any(
        isinstance(one, dict) and one.get("type") == "RATE_LIMITED" for one in errors
    )


def root(repository: Item) -> str:
    """Where everything of a repository lies."""
    return f"repos/{quote(repository['full_name'])}"
