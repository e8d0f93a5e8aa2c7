"""What the catalogue knows of the things that annotations name, and where their tools are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from django.db.models import Count, F, Q

from catalog.kernel.actors import Principal
from catalog.models import Entity, Integration, ProxyEndpoint

# The setting of each source that says where its tool is.
_SETTINGS: Final[Mapping[str, str]] = {
    "github": "apiUrl",
    "gitlab": "url",
    "jira": "url",
    "prometheus": "url",
}
# Tools that no source reads are known by their proxy endpoint: "/sonarqube", "/argocd/api".
_PROXIED: Final = re.compile(
    r"sonarqube|argocd|jenkins|grafana|prometheus|jira|gocd|vault|sentry|opsgenie|gitlab", re.I
)
_API = re.compile(r"/(?:api|rest)(?:/.*)?$")


@dataclass(frozen=True, slots=True)
class Pointing:
    """Entities of a blueprint that point at a thing, while `name` has one of the values; with
    `is_not` none of them. one, many: what they are called."""

    blueprint: str
    name: str
    values: tuple[str, ...]
    one: str
    many: str
    is_not: bool = False


@dataclass(frozen=True, slots=True)
class Thing:
    """What a tool's annotation names, as the default mapping of its source writes it."""

    tool: str
    blueprint: str
    identifier: str
    pointing: tuple[Pointing, ...] = ()


@dataclass(slots=True)
class Known:
    """A thing that is in the catalogue. counts: what points at it, in the order asked for."""

    thing: Thing
    entity: Entity
    counts: list[tuple[Pointing, int]] = field(default_factory=list)


def known_things(principal: Principal, things: Sequence[Thing]) -> dict[str, Known]:
    """Those things that are in the catalogue, by tool; two statements."""
    if not things:
        return {}
    named = Q()
    for one in things:
        named |= Q(blueprint__identifier=one.blueprint, identifier=one.identifier)
    rows = Entity.objects.visible_to(principal).select_related("blueprint").filter(named)
    entities = {
        (one.blueprint.identifier, one.identifier): one
        for one in rows.defer("search", "label", "descriptor")
    }
    known = {
        one.tool: Known(one, entities[(one.blueprint, one.identifier)])
        for one in things
        if (one.blueprint, one.identifier) in entities
    }
    _count(principal, list(known.values()))
    return known


def _count(principal: Principal, known: Sequence[Known]) -> None:
    pointing = Q()
    for one in known:
        for sort in one.thing.pointing:
            has = Q(**{f"properties__{sort.name}__in": list(sort.values)})
            pointing |= Q(
                ~has if sort.is_not else has,
                blueprint__identifier=sort.blueprint,
                outgoing__target=one.entity,
            )
    if not pointing:
        return
    rows = (
        Entity.objects.visible_to(principal)
        .filter(pointing)
        .values(target=F("outgoing__target"), name=F("blueprint__identifier"))
        .annotate(found=Count("pk", distinct=True))
        .order_by()
    )
    found = {(row["target"], row["name"]): row["found"] for row in rows}
    for one in known:
        one.counts = [
            (sort, found.get((one.entity.pk, sort.blueprint), 0)) for sort in one.thing.pointing
        ]


def known_addresses() -> dict[str, str]:
    """Where tools are, by name, as sources and proxy endpoints say; two statements.

    Never with credentials: those of sources are sealed, and what stands in an address is left out.
    """
    found: dict[str, str] = {}
    proxies = ProxyEndpoint.objects.filter(is_enabled=True).order_by("path")
    for path, target in proxies.values_list("path", "target"):
        tool = _PROXIED.search(path)
        if tool and (base := _without_api(target)):
            found.setdefault(tool[0].lower(), base)
    sources = Integration.objects.filter(kind__in=_SETTINGS, runs_here=True).order_by("-identifier")
    for kind, settings in sources.values_list("kind", "settings"):
        base = _without_api(settings.get(_SETTINGS[kind]) or "")
        if kind == "github":
            base = base.replace("://api.github.com", "://github.com")
        if base:
            found[kind] = base
    return found


def _without_api(address: Any) -> str:
    """Where the pages are of a tool whose API's address is told; "" for none, or a secret one."""
    if not isinstance(address, str) or "${" in address:
        return ""
    try:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            return ""
    except ValueError:
        return ""
    path = _API.sub("", parts.path.rstrip("/"))
    return f"{parts.scheme}://{parts.netloc}{path}"
