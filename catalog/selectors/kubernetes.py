"""What of the synced clusters belongs to an entity: by labels, by what made what or leads where.

Objects are entities that a source of the kind `kubernetes` has brought. Their properties say
`labels`, `kind`, `clusterName`, `namespaceName`, `uid`, `owners` (uids), `selector` (of a service)
and `targets` ("Deployment/web"), as far as the mapping of the source fills them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from django.db import connection

from catalog.kernel.actors import Principal
from catalog.models import Entity, Integration
from catalog.selectors.label_selector import Requirement, selector_sql

SOURCE_KIND: Final = "kubernetes"
LIMIT: Final = 1000  # objects on one page

Way = Literal["labels", "owner", "selector", "target"]

# `seen`: which source brought an object, and when it saw it last. `made`: what has the labels, and
# what that made in turn (pods of a replica set of a deployment). `reached`: services that select
# such pods; then ingresses and autoscalers that lead to any of these.
_FIND: Final = """
WITH RECURSIVE made AS (
    SELECT e.id, e.title, e.properties, seen.cluster, seen.at, seen.source, 'labels' AS way
    FROM catalog_entity e {seen}
    WHERE {labels}
      AND (%(clusters)s::text[] IS NULL OR seen.cluster = ANY(%(clusters)s))
      AND (%(namespace)s = '' OR e.properties ->> 'namespaceName' = %(namespace)s)
    UNION
    SELECT e.id, e.title, e.properties, seen.cluster, seen.at, seen.source, 'owner'
    FROM made m
    JOIN catalog_entity e
      ON e.properties @> jsonb_build_object('owners', jsonb_build_array(m.properties -> 'uid'))
    {seen}
    WHERE jsonb_typeof(m.properties -> 'uid') = 'string' AND seen.cluster = m.cluster
), places AS (
    SELECT DISTINCT cluster, properties ->> 'namespaceName' AS namespace FROM made
    WHERE properties ->> 'kind' = 'Pod'
), services AS (
    SELECT e.id, e.title, e.properties, p.cluster, seen.at, seen.source, 'selector' AS way
    FROM places p
    JOIN catalog_entity e ON e.properties @> jsonb_build_object(
        'kind', 'Service', 'clusterName', p.cluster, 'namespaceName', p.namespace)
    {seen}
    WHERE jsonb_typeof(e.properties -> 'selector') = 'object'
      AND e.properties -> 'selector' <> '{{}}'
      AND EXISTS (SELECT FROM made m
                  WHERE m.cluster = p.cluster AND m.properties ->> 'kind' = 'Pod'
                    AND m.properties ->> 'namespaceName' = p.namespace
                    AND m.properties -> 'labels' @> (e.properties -> 'selector'))
), leaders AS (
    SELECT e.id, e.title, e.properties, t.cluster, seen.at, seen.source, 'target' AS way
    FROM (SELECT * FROM made UNION ALL SELECT * FROM services) t
    JOIN catalog_entity e ON e.properties @> jsonb_build_object(
        'clusterName', t.cluster, 'namespaceName', t.properties -> 'namespaceName',
        'targets', jsonb_build_array((t.properties ->> 'kind') || '/' || t.title))
    {seen}
)
SELECT id, cluster, way, at, source FROM (
    SELECT * FROM made UNION ALL SELECT * FROM services UNION ALL SELECT * FROM leaders
) found
ORDER BY cluster, id, CASE way WHEN 'labels' THEN 0 WHEN 'owner' THEN 1 ELSE 2 END
LIMIT %(limit)s
"""

_SEEN: Final = """JOIN LATERAL (
    SELECT coalesce(e.properties ->> 'clusterName', i.settings ->> 'clusterName', '') AS cluster,
           o.seen_at AS at, i.identifier AS source
    FROM catalog_owned o JOIN catalog_integration i ON i.id = o.integration_id
    WHERE o.entity_id = e.id AND i.kind = %(kind)s
    ORDER BY o.seen_at DESC LIMIT 1) seen ON true"""


@dataclass(frozen=True, slots=True)
class Found:
    """An object. way: how it was found. seen_at: when its source saw it last."""

    entity: Entity
    cluster: str
    way: Way
    seen_at: datetime
    source: str

    @property
    def kind(self) -> str:
        """Of Kubernetes: "Deployment"."""
        told = self.entity.properties.get("kind")
        return told if isinstance(told, str) and told else self.entity.blueprint.title

    @property
    def namespace(self) -> str:
        told = self.entity.properties.get("namespaceName")
        return told if isinstance(told, str) else ""


def find_objects(
    principal: Principal,
    requirements: Sequence[Requirement],
    *,
    namespace: str = "",
    clusters: Collection[str] | None = None,
) -> list[Found]:
    """The objects that belong together by a label selector, at most `LIMIT`; two statements.

    namespace: "" for any. clusters: their names; None for any.
    """
    condition, given = selector_sql(requirements, "e.properties")
    named = {f"label_{number}": value for number, value in enumerate(given)}
    for name in named:
        condition = condition.replace("%s", f"%({name})s", 1)
    with connection.cursor() as cursor:
        cursor.execute(
            _FIND.format(seen=_SEEN, labels=condition),
            {
                **named,
                "kind": SOURCE_KIND,
                "namespace": namespace,
                "clusters": None if clusters is None else list(clusters),
                "limit": 4 * LIMIT,  # some are found in several ways
            },
        )
        rows = cursor.fetchall()
    pks = list(dict.fromkeys(pk for pk, *_ in rows))[:LIMIT]
    visible = (
        Entity.objects.visible_to(principal).filter(pk__in=pks).select_related("blueprint")
    ).defer("search", "label", "descriptor")
    entities = {one.pk: one for one in visible}
    found: dict[int, Found] = {}
    for pk, cluster, way, seen_at, source in rows:
        if pk in entities and pk not in found:
            found[pk] = Found(entities[pk], cluster, way, seen_at, source)
    return list(found.values())


def known_clusters() -> list[str]:
    """The clusters that are synced, by name."""
    sources = Integration.objects.filter(kind=SOURCE_KIND).order_by("identifier")
    names = (settings.get("clusterName") for settings in sources.values_list("settings", flat=True))
    return list(dict.fromkeys(name for name in names if isinstance(name, str) and name))
