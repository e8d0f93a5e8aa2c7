"""PagerDuty: services, who is on call, and incidents (REST API v2, V3 webhooks)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import orjson
from django.utils import timezone

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
MAX_OFFSET: Final = 10_000  # what the API lists no further than
ANALYTICS_DAYS: Final = 90

_QUERY = {
    "apiQueryParams": {
        "type": "object",
        "title": "Query parameters",
        "description": "As the API knows them; a list is sent as name[].",
    },
}
_ANALYTICS = {
    "serviceAnalytics": {
        "type": "boolean",
        "title": "With times to acknowledge and resolve",
        "default": True,
    },
}
_ONCALL = {
    "attachOncallUsers": {"type": "boolean", "title": "With who is on call", "default": False},
}


class PagerDuty(BundledKind):
    """Items are the API's objects. A service has `__oncall_user` (its on-calls, with users) and
    `__analytics` beside; a schedule's users have `__email`; an escalation policy may have
    `__oncall_users`. Port's mappings read them so.
    """

    name = "pagerduty"
    title = "PagerDuty"
    icon = "Pagerduty"
    description = "Services, on-call schedules and incidents."
    settings_schema = {
        "type": "object",
        "properties": {
            "token": {
                "type": "string",
                "title": "API key",
                "description": "A read-only REST API key.",
                "secret": True,
            },
            "url": {
                "type": "string",
                "format": "url",
                "title": "Address of the API",
                "default": "https://api.pagerduty.com",
                "description": "https://api.eu.pagerduty.com for accounts in the EU.",
            },
            "webhookSecret": {
                "type": "string",
                "title": "Secret of the webhook",
                "description": "What PagerDuty shows when the webhook subscription is made.",
                "secret": True,
                "incoming": True,
            },
        },
        "required": ["token"],
        "additionalProperties": False,
    }
    resources = (
        ResourceKind(
            "services", "Services", ".id", aliases=("service",), selector={**_QUERY, **_ANALYTICS}
        ),
        ResourceKind("incidents", "Incidents", ".id", aliases=("incident",), selector=_QUERY),
        ResourceKind("schedules", "Schedules", ".id", aliases=("schedule",), selector=_QUERY),
        ResourceKind(
            "oncalls",
            "On-calls",
            '[.user.id, .schedule.id, .start] | map(. // "") | join("-")',
            aliases=("oncall",),
            selector=_QUERY,
        ),
        ResourceKind(
            "escalation_policies",
            "Escalation policies",
            ".id",
            aliases=("escalation_policy",),
            selector={**_QUERY, **_ONCALL},
        ),
        ResourceKind("users", "Users", ".id", aliases=("user",), selector=_QUERY),
    )
    takes_events = True
    event_help = (
        "Under *Integrations → Generic Webhooks (v3)* add a webhook with the address below, for "
        "the account, with all events of incidents and services. Enter the secret that PagerDuty "
        "shows afterwards here."
    )

    def check(self, connection: Connection) -> Sequence[str]:
        client = _client(connection)
        abilities = client.get_json("/abilities").get("abilities", [])
        total = client.get_json("/services", params={"limit": 1, "total": "true"}).get("total")
        return [
            f"The key is accepted; the account has {len(abilities)} abilities.",
            f"{total} services can be read.",
        ]

    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Any],
        cursor: Any = None,
    ) -> Iterator[Page]:
        client = _client(connection)
        complete = _Completing(client, connection, selector)
        offset = cursor or 0
        while True:
            answer = client.get_json(
                f"/{resource.name}",
                params={**_query(selector), "limit": PAGE_SIZE, "offset": offset},
            )
            items = _list_of(answer, resource.name)
            offset += len(items)
            has_more = bool(answer.get("more")) and bool(items)
            if has_more and offset + PAGE_SIZE > MAX_OFFSET:
                raise UpstreamError(
                    f"PagerDuty lists no more than {MAX_OFFSET:,} {resource.name}",
                    hint="Narrow them, like selector.apiQueryParams: {since: …, until: …}.",
                )
            yield Page(complete.all(resource.name, items), offset if has_more else None)
            if not has_more:
                return

    def verify(self, event: Event, settings: Mapping[str, Any]) -> None:
        check_proof(
            event,
            settings.get("webhookSecret"),
            header="X-PagerDuty-Signature",
            prefix="v1=",
            may_be_several=True,
        )

    def delivery(self, event: Event) -> str:
        try:
            return str(orjson.loads(event.body)["event"]["id"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return ""

    def changes(
        self,
        connection: Connection,
        event: Event,
        wanted: Mapping[str, Sequence[Mapping[str, Any]]],
    ) -> Iterable[LiveChange]:
        """The object as the API has it now; events of an incident tell only parts of it."""
        try:
            facts = orjson.loads(event.body)["event"]
            sort, action = facts["event_type"].split(".", 1)
            data = facts["data"]
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(
                'The body is no event of PagerDuty; expected {"event": {"event_type", "data"}}',
                details={"field": "event", "expected": "an event of a V3 webhook"},
            ) from error
        name = f"{sort}s"
        if sort not in ("incident", "service") or name not in wanted:
            return
        # An event of an incident's part (a note, a responder) names the incident itself inside.
        pk = data.get("incident", data).get("id") if sort == "incident" else data.get("id")
        if not isinstance(pk, str) or not pk.isalnum():
            raise InvalidInput(f"The event names the {sort} {shorten(pk)}; expected its id")
        if action == "deleted":
            yield LiveChange(name, {"id": pk}, is_gone=True)
            return
        client = _client(connection)
        selectors = wanted[name]
        try:
            answer = client.get_json(f"/{name}/{pk}", params=_includes(selectors))
        except UpstreamNotFound:
            yield LiveChange(name, {"id": pk}, is_gone=True)
            return
        complete = _Completing(client, connection, selectors[0] if selectors else {})
        [item] = complete.all(name, [answer[sort]])
        yield LiveChange(name, item)

    def selects(self, resource: ResourceKind, selector: Mapping[str, Any], item: Any) -> bool:
        """By status, urgency, service and team; other parameters are PagerDuty's to judge."""
        query = selector.get("apiQueryParams") or {}
        if resource.name != "incidents":
            return True
        statuses, urgencies = query.get("statuses"), query.get("urgencies")
        services = query.get("service_ids")
        return (
            (not statuses or item.get("status") in statuses)
            and (not urgencies or item.get("urgency") in urgencies)
            and (not services or (item.get("service") or {}).get("id") in services)
        )


class _Completing:
    """What the lists leave out. Each further list is read once, when it is first needed."""

    def __init__(self, client: Client, connection: Connection, selector: Mapping[str, Any]) -> None:
        self.client = client
        self.connection = connection
        self.selector = selector
        self._oncalls: Mapping[str, list[Item]] | None = None
        self._emails: Mapping[str, str] | None = None

    def all(self, name: str, items: Sequence[Item]) -> list[Item]:
        if not items:
            return []
        match name:
            case "services":
                analytics = self._analytics([one["id"] for one in items])
                return [
                    {
                        **one,
                        "__oncall_user": self._on_call(one.get("escalation_policy")),
                        "__analytics": analytics.get(one["id"]),
                    }
                    for one in items
                ]
            case "schedules":
                return [
                    {**one, "users": [self._with_email(u) for u in one["users"]]} for one in items
                ]
            case "escalation_policies" if is_on(self.selector, "attachOncallUsers"):
                return [{**one, "__oncall_users": self._on_call(one)} for one in items]
        return list(items)

    def _on_call(self, policy: Mapping[str, Any] | None) -> list[Item]:
        if self._oncalls is None:
            by_policy: dict[str, list[Item]] = defaultdict(list)
            for one in _everything(self.client, "oncalls", {"include[]": ["users"]}):
                by_policy[one["escalation_policy"]["id"]].append(one)
            self._oncalls = by_policy
        return list(self._oncalls.get((policy or {}).get("id", ""), []))

    def _with_email(self, user: Item) -> Item:
        if self._emails is None:
            self._emails = {
                one["id"]: one["email"] for one in _everything(self.client, "users", {})
            }
        email = self._emails.get(user["id"])
        return {**user, "__email": email} if email else user

    def _analytics(self, ids: Sequence[str]) -> Mapping[str, Item]:
        """By service. Not every plan has them: then there are none."""
        if not is_on(self.selector, "serviceAnalytics", default=True):
            return {}
        end = timezone.now()
        filters = {
            "service_ids": list(ids),
            "created_at_start": (end - timedelta(days=ANALYTICS_DAYS)).isoformat(),
            "created_at_end": end.isoformat(),
        }
        try:
            answer = self.client.post(
                "/analytics/metrics/incidents/services", json={"filters": filters}, retry=True
            ).json()
        except UpstreamError as error:
            if error.details.get("status") not in (400, 402, 403, 404):
                raise
            self.connection.log("info", f"No analytics: {error.message}")
            return {}
        return {one["service_id"]: one for one in answer.get("data") or []}


def _everything(client: Client, name: str, query: Mapping[str, Any]) -> Iterator[Item]:
    offset = 0
    while True:
        answer = client.get_json(f"/{name}", params={**query, "limit": PAGE_SIZE, "offset": offset})
        items = _list_of(answer, name)
        yield from items
        offset += len(items)
        if not answer.get("more") or not items:
            return
        if offset + PAGE_SIZE > MAX_OFFSET:
            raise UpstreamError(f"PagerDuty lists no more than {MAX_OFFSET:,} {name}")


def _list_of(answer: Any, name: str) -> list[Item]:
    items = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(items, list):
        raise UpstreamError(f"/{name} did not answer with a list, but with {shorten(answer)}")
    return items


def _query(selector: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as the API spells them: a list is sent as name[]."""
    given = selector.get("apiQueryParams") or {}
    if not isinstance(given, Mapping):
        raise InvalidInput(
            f"selector.apiQueryParams is {shorten(given)}; expected an object",
            details={"field": "selector.apiQueryParams", "value": given, "expected": "an object"},
        )
    query: dict[str, Any] = {}
    for key, value in given.items():
        if isinstance(value, list):
            query[f"{key}[]"] = value
        else:
            query[key] = str(value).lower() if isinstance(value, bool) else value
    return query


def _includes(selectors: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What any of the resources wants beside an object."""
    names = {
        one
        for selector in selectors
        for one in (selector.get("apiQueryParams") or {}).get("include") or ()
    }
    return {"include[]": sorted(names)} if names else {}


def _client(connection: Connection) -> Client:
    settings = connection.settings
    return connection.http.with_(
        base_url=settings.get("url") or "https://api.pagerduty.com",
        headers={
            "Authorization": f"Token token={settings['token']}",
            "Accept": "application/vnd.pagerduty+json;version=2",
        },
        secrets=[settings["token"]],
    )
