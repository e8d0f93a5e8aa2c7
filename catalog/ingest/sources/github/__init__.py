"""GitHub, github.com or an Enterprise server: repositories and what happens in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from catalog.ingest.sources.defaults import BundledKind
from catalog.ingest.sources.forges import readable
from catalog.ingest.sources.github.api import PUBLIC_URL, GitHubApi
from catalog.ingest.sources.github.events import Reader, body_of
from catalog.ingest.sources.github.files import GitHubFiles
from catalog.ingest.sources.github.listing import Listing, pull_states
from catalog.ingest.sources.github.resources import RESOURCES
from catalog.ingest.sources.selectors import is_on
from catalog.kernel.errors import InvalidInput, UpstreamNotFound
from catalog.kernel.signatures import check_proof
from catalog.kernel.source import Connection, Event, LiveChange, Page, ResourceKind

_EVENTS_HELP: Final = """\
In the settings of the organisation (or of one repository) choose *Webhooks → Add webhook*:

- **Payload URL**: the address above
- **Content type**: `application/json`
- **Secret**: the webhook secret of this source
- **Events**: *Send me everything*, or those that matter: branch or tag creation and deletion,
  code scanning alerts, collaborators (member), Dependabot alerts, deployments and their statuses,
  issues, memberships, organizations, pull requests, pushes, releases, repositories, secret
  scanning alerts, teams, workflow runs

A GitHub App has the same fields on its own page, and needs no other webhook.
"""


class GitHub(BundledKind):
    name = "github"
    title = "GitHub"
    icon = "Github"
    description = "Repositories, pull requests, workflows, releases, alerts, teams and people."
    settings_schema = {
        "type": "object",
        "properties": {
            "apiUrl": {
                "type": "string",
                "format": "uri",
                "title": "Address of the API",
                "description": "Of an Enterprise server: https://github.example.com/api/v3",
                "default": PUBLIC_URL,
            },
            "token": {
                "type": "string",
                "title": "Personal access token",
                "description": "Leave it empty when a GitHub App signs in.",
                "secret": True,
            },
            "appId": {
                "type": ["string", "integer"],
                "title": "GitHub App: its ID",
                "description": "App ID or client ID, from the page of the app.",
            },
            "installationId": {
                "type": ["string", "integer"],
                "title": "GitHub App: installation",
                "description": "The number at the end of the installation's address. Not needed "
                "when the app is installed once.",
            },
            "privateKey": {
                "type": "string",
                "title": "GitHub App: private key",
                "description": "The PEM file that the page of the app gives.",
                "secret": True,
                "multiline": True,
            },
            "organizations": {
                "type": "array",
                "items": {"type": "string", "pattern": r"^[A-Za-z0-9_.-]+$"},
                "title": "Organisations and users",
                "description": "Whose repositories to read. Empty: all that the token can see.",
            },
            "repositories": {
                "type": "array",
                "items": {"type": "string", "pattern": r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$"},
                "title": "Single repositories",
                "description": "As owner/name, beside those of the organisations.",
            },
            "visibility": {
                "type": "string",
                "enum": ["all", "public", "private"],
                "title": "Which repositories",
                "default": "all",
            },
            "skipArchived": {
                "type": "boolean",
                "title": "Leave out archived repositories",
                "default": False,
            },
            "skipForks": {"type": "boolean", "title": "Leave out forks", "default": False},
            "webhookSecret": {
                "type": "string",
                "title": "Webhook secret",
                "description": "Of your own making; GitHub signs its events with it.",
                "secret": True,
                "incoming": True,
            },
        },
        "additionalProperties": False,
    }
    resources = RESOURCES
    takes_events = True
    event_help = _EVENTS_HELP

    def check(self, connection: Connection) -> Sequence[str]:
        api = GitHubApi(connection)
        return [*_who(api), _what(api)]

    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Any],
        cursor: Any = None,
    ) -> Iterator[Page]:
        return Listing(GitHubApi(connection), resource.name, selector).pages(cursor)

    def verify(self, event: Event, settings: Mapping[str, Any]) -> None:
        check_proof(
            event, settings.get("webhookSecret"), header="X-Hub-Signature-256", prefix="sha256="
        )

    def delivery(self, event: Event) -> str:
        return event.headers.get("x-github-delivery", "")

    def changes(
        self,
        connection: Connection,
        event: Event,
        wanted: Mapping[str, Sequence[Mapping[str, Any]]],
    ) -> Iterable[LiveChange]:
        reader = Reader(lambda: GitHubApi(connection), wanted)
        return reader.changes(event.headers.get("x-github-event", ""), body_of(event))

    def selects(self, resource: ResourceKind, selector: Mapping[str, Any], item: Any) -> bool:
        match resource.name:
            case "pull-request":
                return item.get("state") in pull_states(selector)
            case "issue":
                names = {label["name"].lower() for label in item.get("labels") or ()}
                wanted = {str(label).lower() for label in selector.get("labels") or ()}
                return _is_in(selector.get("state") or "open", item.get("state")) and (
                    wanted <= names
                )
            case "branch":
                if is_on(selector, "defaultBranchOnly"):
                    return bool(item.get("__is_default_branch"))
                chosen = selector.get("branchNames")
                return not chosen or item["name"] in chosen
            case "dependabot-alert":
                advisory = item.get("security_advisory") or {}
                return item.get("state") in (selector.get("states") or ["open"]) and (
                    _is_in(selector.get("severity"), advisory.get("severity"))
                )
            case "code-scanning-alerts" | "secret-scanning-alerts":
                return _is_in(selector.get("state") or "open", item.get("state"))
            case "deployment":
                return _is_in(selector.get("environment"), item.get("environment")) and (
                    _is_in(selector.get("task"), item.get("task"))
                )
            case "workflow-run":
                wanted_states = selector.get("statuses")
                return not wanted_states or bool(
                    {item.get("status"), item.get("conclusion")} & set(wanted_states)
                )
            case "file" | "folder":
                path = item.get("path") or item["folder"]["path"]
                reference = item.get("branch") or item.get("__branch")
                return GitHubFiles.means(selector, resource.name, item["repo"], reference, path)
        return True


def _is_in(wanted: Any, value: Any) -> bool:
    """Whether a selector's value (one, several, "all", or none) takes that of an object."""
    if not wanted or wanted == "all":
        return True
    return value in wanted if isinstance(wanted, list) else value == wanted


def _who(api: GitHubApi) -> list[str]:
    if api.is_anonymous:
        return ["Not signed in: only what is public can be read, and 60 requests an hour."]
    if api.is_app:
        app, installation = api.as_app("GET", "app"), api.installation()
        rights = ", ".join(f"{k} ({v})" for k, v in sorted(installation["permissions"].items()))
        account = installation["account"]["login"]
        return [
            f"Signed in as the app {app['name']}, installed for {account}.",
            f"It may read: {rights or 'nothing but what is public'}.",
        ]
    response = api.get("user")
    said = [f"Signed in as {response.json()['login']}."]
    if "x-oauth-scopes" in response.headers:
        scopes = response.headers["x-oauth-scopes"] or "none, so only what is public"
        said.append(f"Scopes of the token: {scopes}.")
    if expires := response.headers.get("github-authentication-token-expiration"):
        said.append(f"The token expires on {expires}.")
    if left := response.headers.get("x-ratelimit-remaining"):
        limit = response.headers.get("x-ratelimit-limit", "?")
        said.append(f"{left} of {limit} requests are left this hour.")
    return said


def _what(api: GitHubApi) -> str:
    """How many repositories the first page holds; raises what reading them would raise."""
    for owner in api.scope.owners:
        try:
            api.owner_type(owner)
        except UpstreamNotFound as error:
            raise InvalidInput(
                f"GitHub knows no organisation or user {owner!r}, or does not show it to us",
                details={"field": "organizations", "value": owner},
            ) from error
    return readable(api.repositories(), "full_name", one="repository", many="repositories")
