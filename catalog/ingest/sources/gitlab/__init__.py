"""GitLab, gitlab.com or a server of one's own: projects and what happens in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from catalog.ingest.sources.defaults import BundledKind
from catalog.ingest.sources.forges import readable
from catalog.ingest.sources.gitlab.api import PUBLIC_URL, GitLabApi, segment
from catalog.ingest.sources.gitlab.events import Reader, body_of
from catalog.ingest.sources.gitlab.files import GitLabFiles
from catalog.ingest.sources.gitlab.listing import Listing, merge_states
from catalog.ingest.sources.gitlab.resources import RESOURCES
from catalog.ingest.sources.selectors import is_on
from catalog.kernel.errors import InvalidInput, UpstreamNotFound
from catalog.kernel.signatures import PLAIN, check_proof
from catalog.kernel.source import Connection, Event, LiveChange, Page, ResourceKind

_EVENTS_HELP: Final = """\
In the settings of the group (or of one project) choose *Webhooks → Add new webhook*:

- **URL**: the address above
- **Secret token**: the webhook secret of this source
- **Triggers**: push, tag push, issues, merge requests, job, pipeline, deployment, release, and in
  a group also subgroup, project and member events

On a server of your own, *Admin → System hooks* with the same address and token tells of projects,
groups and members everywhere.
"""


class GitLab(BundledKind):
    name = "gitlab"
    title = "GitLab"
    icon = "GitLab"
    description = "Projects, groups, merge requests, pipelines, releases, people and files."
    settings_schema = {
        "type": "object",
        "properties": {
            "url": {
                "type": "string",
                "format": "uri",
                "title": "Address",
                "default": PUBLIC_URL,
            },
            "token": {
                "type": "string",
                "title": "Access token",
                "description": "Of a person, a group or a project, or of OAuth; scope read_api.",
                "secret": True,
            },
            "groups": {
                "type": "array",
                "items": {"type": "string", "pattern": r"^[^/\s]+(/[^/\s]+)*$"},
                "title": "Groups",
                "description": "Full paths; groups below them are read too. Empty: all that the "
                "token's owner is a member of.",
            },
            "projects": {
                "type": "array",
                "items": {"type": "string", "pattern": r"^[^/\s]+(/[^/\s]+)+$"},
                "title": "Single projects",
                "description": "Full paths, beside those of the groups.",
            },
            "allVisible": {
                "type": "boolean",
                "title": "All that the token can see",
                "description": "Also what its owner is no member of. Not for gitlab.com, where "
                "that is everything public.",
                "default": False,
            },
            "skipArchived": {
                "type": "boolean",
                "title": "Leave out archived projects",
                "default": False,
            },
            "webhookSecret": {
                "type": "string",
                "title": "Webhook secret",
                "description": "Of your own making; GitLab sends it along with its events.",
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
        api = GitLabApi(connection)
        return [*_who(api), _what(api)]

    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Any],
        cursor: Any = None,
    ) -> Iterator[Page]:
        return Listing(GitLabApi(connection), resource.name, selector).pages(cursor)

    def verify(self, event: Event, settings: Mapping[str, Any]) -> None:
        secret = settings.get("webhookSecret")
        check_proof(event, secret, header="X-Gitlab-Token", algorithm=PLAIN)

    def delivery(self, event: Event) -> str:
        # Events that other events set off share the UUID of the first one.
        name = event.headers.get("idempotency-key") or event.headers.get("x-gitlab-event-uuid")
        return f"{name}:{hashlib.sha256(event.body).hexdigest()[:16]}" if name else ""

    def changes(
        self,
        connection: Connection,
        event: Event,
        wanted: Mapping[str, Sequence[Mapping[str, Any]]],
    ) -> Iterable[LiveChange]:
        return Reader(GitLabApi(connection), wanted).changes(body_of(event))

    def selects(self, resource: ResourceKind, selector: Mapping[str, Any], item: Any) -> bool:
        match resource.name:
            case "merge-request":
                return item.get("state") in merge_states(selector)
            case "issue":
                labels = selector.get("labels") or ()
                wanted = labels.split(",") if isinstance(labels, str) else labels
                return (
                    _is(selector.get("state"), item.get("state"))
                    and _is(selector.get("issueType"), item.get("issue_type"))
                    and {one.strip() for one in wanted} <= set(item.get("labels") or ())
                )
            case "pipeline":
                asked = selector.get("apiQueryParams") or {}
                return all(
                    _is(asked.get(key), item.get(key)) for key in ("ref", "status", "source")
                )
            case "branch":
                is_one = is_on(selector, "defaultBranchOnly", default=True)
                return not is_one or item["name"] == item["__project"].get("default_branch")
            case "deployment":
                environment = (item.get("environment") or {}).get("name")
                return _is(selector.get("environment"), environment) and (
                    _is(selector.get("status"), item.get("status"))
                )
            case "file" | "folder":
                place = item[resource.name]
                reference = item.get("__branch") or place.get("ref")
                return GitLabFiles.means(
                    selector, resource.name, item["repo"], reference, place["path"]
                )
        return True


def _is(wanted: Any, value: Any) -> bool:
    return not wanted or wanted == value


def _who(api: GitLabApi) -> list[str]:
    if api.is_anonymous:
        return ["Not signed in: only what is public can be read."]
    response = api.get("user")
    said = [f"Signed in as {response.json()['username']}."]
    token = api.optional("personal_access_tokens/self")  # not of OAuth, nor of old servers
    if isinstance(token, dict) and "scopes" in token:
        said.append(f"Scopes of the token: {', '.join(token['scopes'])}.")
        if expires := token.get("expires_at"):
            said.append(f"The token expires on {expires}.")
    if left := response.headers.get("ratelimit-remaining"):
        limit = response.headers.get("ratelimit-limit", "?")
        said.append(f"{left} of {limit} requests are left this minute.")
    return said


def _what(api: GitLabApi) -> str:
    """How many projects the first pages hold; raises what reading them would raise."""
    for group in api.groups:
        try:
            api.group(f"groups/{segment(group)}")
        except UpstreamNotFound as error:
            raise InvalidInput(
                f"GitLab knows no group {group!r}, or does not show it to us",
                hint="Full paths are meant, such as platform/tools.",
                details={"field": "groups", "value": group},
            ) from error
    return readable(api.project_pages(), "path_with_namespace", one="project", many="projects")
