"""The tab "Kubernetes" of an entity: what runs of it in the synced clusters, and what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from catalog.kernel.errors import InvalidInput
from catalog.models import Entity
from catalog.portal.annotation_links import annotations_of
from catalog.portal.entity_tabs import Context, Tab
from catalog.portal.shell import PortalRequest
from catalog.selectors.kinds import Kind
from catalog.selectors.kubernetes import LIMIT, Found, find_objects, known_clusters
from catalog.selectors.kubernetes_problems import Problem, problems_of
from catalog.selectors.label_selector import Requirement, parse_selector
from catalog.services import catalog_settings
from catalog.services.permissions import can_read_sources

ID: Final = "backstage.io/kubernetes-id"
SELECTOR: Final = "backstage.io/kubernetes-label-selector"
NAMESPACE: Final = "backstage.io/kubernetes-namespace"
CLUSTER: Final = "backstage.io/kubernetes-cluster"

_WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Rollout")
_NETWORK: Final = ("Service", "Ingress")
_SHOWN_PODS: Final = 5
_BAD: Final = ("Degraded", "Failed")
_TONES: Final[Mapping[str, str]] = {
    "Healthy": "green",
    "Progressing": "yellow",
    "Degraded": "red",
    "Finished": "silver",
    "Stopped": "silver",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the annotations look for. clusters: names; None for all. missing: an annotation that
    the way of choosing clusters needs and that is not there."""

    requirements: Sequence[Requirement]
    namespace: str
    locator: str
    clusters: Collection[str] | None
    missing: str = ""

    @property
    def selector(self) -> str:
        return ", ".join(map(str, self.requirements))


@dataclass(frozen=True, slots=True)
class Row:
    """One object as a line of a table. is_bad: a problem names it."""

    found: Found
    tone: str
    state: str
    ready: str
    scaler: str = ""
    is_bad: bool = False

    @property
    def entity(self) -> Entity:
        return self.found.entity

    @property
    def restarts(self) -> int:
        value = self.entity.properties.get("restarts")
        return int(value) if isinstance(value, int | float) else 0

    @property
    def images(self) -> list[str]:
        return _texts(self.entity.properties.get("images"))

    @property
    def addresses(self) -> list[str]:
        return _texts(self.entity.properties.get("addresses"))

    @property
    def containers(self) -> list[dict[str, Any]]:
        told = self.entity.properties.get("containers")
        return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []

    @property
    def node(self) -> str:
        told = self.entity.properties.get("node")
        return told if isinstance(told, str) else ""


@dataclass(slots=True)
class Cluster:
    """What was found in one cluster. seen_at: the oldest of when its objects were seen."""

    name: str
    source: str
    seen_at: datetime
    workloads: list[Row] = field(default_factory=list)
    pods: list[Row] = field(default_factory=list)
    network: list[Row] = field(default_factory=list)
    others: list[Row] = field(default_factory=list)

    @property
    def pod_count(self) -> int:
        return len(self.pods)

    @property
    def bad_pods(self) -> list[Row]:
        return [one for one in self.pods if one.is_bad]

    @property
    def good_pods(self) -> list[Row]:
        return [one for one in self.pods if not one.is_bad]

    @property
    def has_many(self) -> bool:
        """Whether pods without errors are folded up."""
        return len(self.good_pods) > _SHOWN_PODS


def is_shown(entity: Entity, kind: Kind) -> bool:
    annotations = annotations_of(entity)
    return any(annotations.get(name) for name in (ID, SELECTOR, NAMESPACE))


def context(request: PortalRequest, entity: Entity, kind: Kind) -> Context:
    asked: Asked | None = None
    found: list[Found] = []
    problem = ""
    try:
        asked = asked_of(entity)
        if not asked.missing:
            found = find_objects(
                request.user,
                asked.requirements,
                namespace=asked.namespace,
                clusters=asked.clusters,
            )
    except InvalidInput as error:
        problem = str(error)
    problems = problems_of(found)
    clusters = clusters_of(found, problems)
    return {
        "asked": asked,
        "problem": problem,
        "clusters": clusters,
        "problems": problems,
        "pod_count": sum(one.pod_count for one in clusters),
        "bad_pod_count": sum(len(one.bad_pods) for one in clusters),
        "is_cut": len(found) >= LIMIT,
        "synced": known_clusters() if not found else [],
        "can_read_sources": can_read_sources(request.user),
    }


TAB: Final = Tab(
    name="kubernetes",
    title="Kubernetes",
    template="catalog/entity/kubernetes.html",
    is_shown=is_shown,
    context=context,
)


def asked_of(entity: Entity) -> Asked:
    """What its annotations look for. Raises InvalidInput for a selector nobody understands."""
    annotations = annotations_of(entity)
    if text := annotations.get(SELECTOR):
        requirements = parse_selector(text)
    else:
        name = annotations.get(ID) or entity.identifier.rpartition("/")[2]
        requirements = [Requirement(ID, "in", (name,))]
    locator = catalog_settings.service_locator(catalog_settings.current())
    clusters: list[str] | None = None
    missing = ""
    if locator == "singleTenant":
        clusters = [annotations[CLUSTER]] if annotations.get(CLUSTER) else []
        missing = "" if clusters else CLUSTER
    elif locator == "catalogRelation":
        clusters = _depended_on(entity)
        missing = "" if clusters else "dependsOn"
    return Asked(requirements, annotations.get(NAMESPACE, ""), locator, clusters, missing)


def clusters_of(found: Sequence[Found], problems: Sequence[Problem]) -> list[Cluster]:
    bad = {one.entity.pk for problem in problems for one in problem.found}
    scalers = _scalers(found)
    clusters: dict[str, Cluster] = {}
    for one in sorted(found, key=lambda one: (one.cluster, one.namespace, str(one.entity))):
        cluster = clusters.setdefault(one.cluster, Cluster(one.cluster, one.source, one.seen_at))
        cluster.seen_at = min(cluster.seen_at, one.seen_at)
        row = _row(one, one.entity.pk in bad, scalers)
        if one.kind == "Pod":
            cluster.pods.append(row)
        elif one.kind in _WORKLOADS:
            cluster.workloads.append(row)
        elif one.kind in _NETWORK:
            cluster.network.append(row)
        else:
            cluster.others.append(row)
    return list(clusters.values())


def _row(one: Found, is_bad: bool, scalers: Mapping[tuple[str, str, str], str]) -> Row:
    properties = one.entity.properties
    health = properties.get("health")
    state = properties.get("state") or health
    wanted, ready = properties.get("replicas"), properties.get("readyReplicas")
    is_counted = isinstance(wanted, int | float) and isinstance(ready, int | float)
    return Row(
        one,
        tone=_TONES.get(str(health), "red" if health in _BAD else ""),
        state=str(state) if isinstance(state, str) else "",
        ready=f"{ready:g}/{wanted:g}" if is_counted and one.kind in (*_WORKLOADS, "Pod") else "",
        scaler=scalers.get((one.cluster, one.namespace, f"{one.kind}/{one.entity}"), ""),
        is_bad=is_bad,
    )


def _scalers(found: Sequence[Found]) -> dict[tuple[str, str, str], str]:
    """What scales a workload ("2 to 5"), by cluster, namespace and "Deployment/web"."""
    said = {}
    for one in found:
        properties = one.entity.properties
        if one.kind == "HorizontalPodAutoscaler":
            fewest, most = properties.get("minReplicas"), properties.get("maxReplicas")
            for target in _texts(properties.get("targets")):
                said[(one.cluster, one.namespace, target)] = f"{fewest} to {most}"
    return said


def _depended_on(entity: Entity) -> list[str]:
    """The names of what an entity depends on, as a cluster may be called."""
    told = entity.relations.get("dependsOn") or []
    names = [told] if isinstance(told, str) else told
    return [str(name).rpartition(":")[2].rpartition("/")[2] for name in names]


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
