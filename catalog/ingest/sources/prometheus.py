"""Prometheus: what it watches, what it warns of, and what it measures (HTTP API v1).

Live: Alertmanager's webhook (`webhook_config`), which tells alerts as they fire and as they end.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from catalog.ingest.sources.defaults import BundledKind
from catalog.kernel.errors import InvalidInput, UpstreamError, shorten
from catalog.kernel.http import Client
from catalog.kernel.signatures import PLAIN, check_proof
from catalog.kernel.source import (
    Connection,
    Event,
    LiveChange,
    Page,
    ResourceKind,
)

Item = dict[str, Any]


class Prometheus(BundledKind):
    """Items are the API's objects and an `id` made of their labels, since Prometheus names none.
    A `metric` is {"id", "metric": labels, "value": number or null, "time": ISO}.
    """

    name = "prometheus"
    title = "Prometheus"
    icon = "Prometheus"
    description = "Targets, alerts, rules, and the values of queries."
    settings_schema = {
        "type": "object",
        "properties": {
            "url": {
                "type": "string",
                "format": "url",
                "title": "Address",
                "description": "Like https://prometheus.example.com; also of Mimir, Thanos or "
                "VictoriaMetrics.",
            },
            "token": {"type": "string", "title": "Bearer token", "secret": True},
            "username": {"type": "string", "title": "User name"},
            "password": {"type": "string", "title": "Password", "secret": True},
            "webhookToken": {
                "type": "string",
                "title": "Token of Alertmanager",
                "description": "What Alertmanager sends as credentials with live alerts.",
                "secret": True,
                "incoming": True,
                "minLength": 8,
            },
        },
        "required": ["url"],
        "additionalProperties": False,
    }
    resources = (
        ResourceKind("target", "Targets", ".id", aliases=("targets",)),
        ResourceKind("alert", "Alerts", ".id", aliases=("alerts",)),
        ResourceKind("rule", "Rules", ".id", aliases=("rules",)),
        ResourceKind(
            "metric",
            "Values of a query",
            ".id",
            aliases=("metrics",),
            selector={
                "promql": {
                    "type": "string",
                    "title": "Query (PromQL)",
                    "description": "Like sum by (service) (rate(http_requests_total[5m])).",
                },
            },
        ),
    )
    takes_events = True
    event_help = (
        "In Alertmanager's configuration add a receiver:\n\n"
        "```yaml\nreceivers:\n  - name: idp\n    webhook_configs:\n"
        "      - url: ADDRESS\n        send_resolved: true\n        http_config:\n"
        "          authorization:\n            credentials: TOKEN\n```"
    )

    def check(self, connection: Connection) -> Sequence[str]:
        client = _client(connection)
        build = _data(client, "/api/v1/status/buildinfo")
        active = _data(client, "/api/v1/targets", state="active").get("activeTargets", [])
        up = sum(1 for one in active if one.get("health") == "up")
        return [
            f"Prometheus {build.get('version', '?')} answers.",
            f"{up} of {len(active)} targets are up.",
        ]

    def fetch(
        self,
        connection: Connection,
        resource: ResourceKind,
        selector: Mapping[str, Any],
        cursor: Any = None,
    ) -> Iterator[Page]:
        """The API gives every list as a whole, so there is one page."""
        client = _client(connection)
        match resource.name:
            case "target":
                targets = _data(client, "/api/v1/targets", state="active")["activeTargets"]
                items = [_named(one, one.get("labels")) for one in targets]
            case "alert":
                items = [_alert(one) for one in _data(client, "/api/v1/alerts")["alerts"]]
            case "rule":
                items = list(_rules(_data(client, "/api/v1/rules")["groups"]))
            case _:
                items = _values(connection, client, selector.get("promql"))
        yield Page(items)

    def verify(self, event: Event, settings: Mapping[str, Any]) -> None:
        check_proof(
            event,
            settings.get("webhookToken"),
            header="Authorization",
            prefix="Bearer",
            algorithm=PLAIN,
        )

    def changes(
        self,
        connection: Connection,
        event: Event,
        wanted: Mapping[str, Sequence[Mapping[str, Any]]],
    ) -> Iterable[LiveChange]:
        if "alert" not in wanted:
            return
        try:
            alerts = orjson.loads(event.body)["alerts"]
            changes = [_live(one) for one in alerts]
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(
                'The body is no message of Alertmanager; expected {"alerts": [...]}',
                details={"field": "alerts", "expected": "a list of alerts"},
            ) from error
        yield from changes


def _client(connection: Connection) -> Client:
    settings = connection.settings
    overrides: dict[str, Any] = {"base_url": settings["url"].rstrip("/")}
    if settings.get("token"):
        overrides["headers"] = {"Authorization": f"Bearer {settings['token']}"}
    elif settings.get("username"):
        overrides["basic"] = (settings["username"], settings.get("password") or "")
    return connection.http.with_(**overrides)


def _data(client: Client, path: str, **params: str) -> Any:
    """`data` of an answer; its error in Prometheus's words."""
    answer = client.get_json(path, params=params)
    if not isinstance(answer, dict) or answer.get("status") != "success":
        reason = answer.get("error") if isinstance(answer, dict) else answer
        raise UpstreamError(f"{path}: {shorten(reason or 'no data')}")
    return answer["data"]


def _values(connection: Connection, client: Client, query: Any) -> list[Item]:
    if not isinstance(query, str) or not query.strip():
        raise InvalidInput(
            f"selector.promql is {shorten(query)}; expected a query",
            details={"field": "selector.promql", "value": query, "expected": "a query in PromQL"},
        )
    data = _data(client, "/api/v1/query", query=query)
    if data["resultType"] not in ("vector", "scalar"):
        raise UpstreamError(
            f"The query gives a {data['resultType']}; expected one value for each series",
            hint="Leave out the range, or sum it up (rate, avg_over_time).",
        )
    samples = (
        data["result"]
        if data["resultType"] == "vector"
        else [{"metric": {}, "value": data["result"]}]
    )
    items = [_sample(one) for one in samples]
    for warning in data.get("warnings") or ():
        connection.log("warning", str(warning))
    return items


def _sample(sample: Mapping[str, Any]) -> Item:
    """A value that JSON cannot hold (NaN, infinity) is null."""
    if "value" not in sample:  # a native histogram
        return {
            "id": _id(sample["metric"]),
            "metric": sample["metric"],
            "value": None,
            "time": None,
        }
    moment, text = sample["value"]
    value = float(text)
    return {
        "id": _id(sample["metric"]),
        "metric": sample["metric"],
        "value": value if math.isfinite(value) else None,
        "time": datetime.fromtimestamp(moment, UTC).isoformat(),
    }


def _rules(groups: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
    for group in groups:
        for rule in group["rules"]:
            facts = {"group": group["name"], "file": group.get("file", "")}
            key = {**facts, "name": rule["name"], **(rule.get("labels") or {})}
            yield {**rule, **facts, "id": _id(key)}


def _alert(alert: Mapping[str, Any]) -> Item:
    return _named(alert, alert.get("labels"))


def _live(alert: Mapping[str, Any]) -> LiveChange:
    """An alert of Alertmanager, in the words of Prometheus's own list."""
    labels = dict(alert["labels"])
    item = {
        "id": _id(labels),
        "labels": labels,
        "annotations": alert.get("annotations") or {},
        "state": "firing",
        "activeAt": alert.get("startsAt"),
        "generatorURL": alert.get("generatorURL"),
    }
    return LiveChange("alert", item, is_gone=alert["status"] == "resolved")


def _named(item: Mapping[str, Any], labels: Mapping[str, str] | None) -> Item:
    return {**item, "id": _id(labels or {})}


def _id(labels: Mapping[str, str]) -> str:
    """A name made of labels: readable at its beginning, distinct by its end."""
    digest = hashlib.sha256(orjson.dumps(labels, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]
    first = next(
        (labels[key] for key in ("alertname", "job", "__name__", "name") if key in labels), ""
    )
    readable = "".join(letter if letter.isalnum() else "-" for letter in first)[:60].strip("-")
    return f"{readable}-{digest}" if readable else digest
