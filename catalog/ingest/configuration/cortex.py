"""The providers of a Cortex-like configuration become sources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from catalog.dialects.backstage.config import Entry
from catalog.dialects.cortex_config import Provider, providers
from catalog.ingest.configuration.clusters import SCHEDULE as OFTEN
from catalog.ingest.configuration.clusters import in_cluster, in_pod
from catalog.ingest.configuration.report import Status
from catalog.ingest.configuration.taking import UNREAD, Taking, identifier_of
from catalog.models import Integration

_HOURLY: Final = "every 1h"
_REGION: Final = "us-east-1"
_SAME: Final = "every source has a schedule of its own"

# Settings by the names they have there.
_GITHUB: Final = {
    "token": "token",
    "webhookSecret": "webhookSecret",
    "appId": "appId",
    "privateKey": "privateKey",
    "organization": "organizations",
    "organizations": "organizations",
    "apiUrl": "apiUrl",
    "url": "apiUrl",
}
_GITLAB: Final = {
    "token": "token",
    "webhookSecret": "webhookSecret",
    "group": "groups",
    "groups": "groups",
    "url": "url",
    "address": "url",
}
_PROMETHEUS: Final = {
    "address": "url",
    "url": "url",
    "token": "token",
    "username": "username",
    "password": "password",
}
_KUBERNETES: Final = {
    "clusterName": "clusterName",
    "cluster_name": "clusterName",
    "server": "server",
    "url": "server",
    "token": "token",
    "kubeconfig": "kubeconfig",
}
_AWS: Final = {
    "region": "regions",
    "regions": "regions",
    "accessKeyId": "accessKeyId",
    "secretAccessKey": "secretAccessKey",
    "sessionToken": "sessionToken",
    "roleArns": "roleArns",
}
_SECRET: Final = frozenset(
    (
        "token",
        "webhookSecret",
        "privateKey",
        "password",
        "kubeconfig",
        "secretAccessKey",
        "sessionToken",
    )
)
_LISTS: Final = frozenset(("organizations", "groups", "regions", "roleArns"))


def take_cortex(taking: Taking, root: Entry) -> None:
    for key, status, words in (
        (
            "storage",
            Status.MEANINGLESS,
            "everything is kept in PostgreSQL (DATABASE_URL); no other store is needed",
        ),
        ("schedule", Status.MEANINGLESS, _SAME),
        ("interval", Status.MEANINGLESS, _SAME),
    ):
        if entry := root.get(key):
            taking.note(entry, status, words)
    cluster = root.get("cluster_name") or root.get("clusterName")
    with taking.attempt(root):
        found = list(providers(root))
        if cluster:
            has_one = any(one.name.lower() == "kubernetes" for one in found)
            if has_one:
                taking.taken(cluster, "the name of the cluster, for a provider that has none")
            else:
                taking.unsupported(cluster, "no provider reads a cluster")
        for one in found:
            with taking.attempt(one.entry):
                _take(taking, one, cluster)


def _take(taking: Taking, provider: Provider, cluster: Entry | None) -> None:
    name = provider.name.lower()
    take = _KINDS.get(name)
    if take is None:
        taking.unsupported(
            provider.entry, f"there is no source of the kind {name}; one of the kind http may do"
        )
        return
    kind = name
    if not provider.is_enabled:
        is_there = taking.turn_off(kind, kind)
        taking.taken(
            provider.entry,
            f"source {kind} is turned off" if is_there else "turned off, so no source is made",
        )
        return
    take(taking, provider.entry, cluster)
    if provider.entry.is_object and (enabled := provider.entry.get("enabled")):
        taking.taken(enabled, f"source {kind} is on")


def _github(taking: Taking, entry: Entry, cluster: Entry | None) -> None:
    _simple(taking, entry, "github", "GitHub", _GITHUB)


def _gitlab(taking: Taking, entry: Entry, cluster: Entry | None) -> None:
    _simple(taking, entry, "gitlab", "GitLab", _GITLAB)


def _prometheus(taking: Taking, entry: Entry, cluster: Entry | None) -> None:
    if entry.is_object and not (entry.get("address") or entry.get("url")):
        raise entry.refused("it has no address", expected="address, like http://prometheus:9090")
    _simple(taking, entry, "prometheus", "Prometheus", _PROMETHEUS, schedule=OFTEN)


def _simple(
    taking: Taking,
    entry: Entry,
    kind: str,
    title: str,
    names: dict[str, str],
    *,
    schedule: str = _HOURLY,
) -> None:
    taking.source(
        kind,
        kind,
        title=title,
        settings=_settings(taking, entry, kind, names),
        schedule=schedule,
        is_enabled=True,
        with_blueprints=True,
    )


def _kubernetes(taking: Taking, entry: Entry, cluster: Entry | None) -> None:
    settings = _settings(taking, entry, "kubernetes", _KUBERNETES)
    if not settings.get("clusterName"):
        settings["clusterName"] = cluster.text() if cluster else "default"
    name = settings["clusterName"]
    if "server" not in settings and "kubeconfig" not in settings:
        in_cluster(taking, name, identifier="kubernetes")
        said = f"source kubernetes reads the cluster {name} that this program runs in"
        if not in_pod():
            said += "; it is off, since it runs in none"
        for key in ("clusterName", "cluster_name"):
            if one := entry.get(key):
                taking.taken(one, said) if in_pod() else taking.partly(one, said)
        return
    settings["login"] = "kubeconfig" if "kubeconfig" in settings else "token"
    taking.source(
        "kubernetes",
        "kubernetes",
        title=f"Kubernetes: {name}",
        settings=settings,
        schedule=OFTEN,
        is_enabled=True,
        with_blueprints=True,
    )


def _aws(taking: Taking, entry: Entry, cluster: Entry | None) -> None:
    settings = _settings(taking, entry, "aws", _AWS) if entry.is_object else {}
    if "accessKeyId" not in settings:
        settings["login"] = "environment"
    known = Integration.objects.filter(kind="aws", identifier=identifier_of("aws")).first()
    region = taking.environ.get("AWS_REGION") or taking.environ.get("AWS_DEFAULT_REGION")
    is_guess = not settings.get("regions") and not region and known is None
    if not settings.get("regions") and known is None:
        settings["regions"] = [region or _REGION]
    row = taking.source(
        "aws",
        "aws",
        title="AWS",
        settings=settings,
        schedule=_HOURLY,
        is_enabled=False if is_guess else (None if known else True),
        with_blueprints=True,
    )
    regions = ", ".join(row.settings.get("regions", []))
    if entry.is_object:
        return
    said = f"source aws, as this machine is logged in, for {regions}"
    if row.is_enabled:
        taking.taken(entry, said)
    else:
        taking.partly(entry, f"{said}; it is off until you have chosen its regions")


def _settings(taking: Taking, entry: Entry, kind: str, names: dict[str, str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if not entry.is_object:
        return settings
    for key, one in entry.items():
        if key == "enabled" or (one.value is None and not one.missing):
            continue
        setting = names.get(key)
        if setting is None:
            taking.unsupported(one, UNREAD)
        elif setting in _SECRET:
            settings[setting] = taking.sealed(one)
            taking.taken(one, f"{setting} of source {kind}{taking.words_of(one)}")
        elif one.missing:
            taking.left_out(one)
        else:
            settings[setting] = one.texts() if setting in _LISTS else one.text()
            taking.taken(one, f"{setting} of source {kind}")
    return settings


_KINDS: Final[dict[str, Callable[[Taking, Entry, Entry | None], None]]] = {
    "aws": _aws,
    "github": _github,
    "gitlab": _gitlab,
    "kubernetes": _kubernetes,
    "prometheus": _prometheus,
}
