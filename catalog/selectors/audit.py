"""The audit log: what was changed, from the change feed, and what sources failed to change, from
their logs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db.models import Q

from catalog.kernel import feed
from catalog.models import Change, Entity, Integration, SyncMessage

SUCCESS, FAILURE = "SUCCESS", "FAILURE"
UI, API = "UI", "API"
OF_ENTITIES: Final = (Change.ENTITY, Change.FACT, Change.METRIC)
PORTAL_AGENTS: Final = ("idp/portal", "idp/admin")

_ACTIONS: Final = {feed.CREATE: "CREATE", feed.DELETE: "DELETE"}  # all others are updates
_HIDDEN: Final = ("descriptor",)  # large, and the same facts are in the properties


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries are wanted; what is empty does not count.

    resources: names of things ("entity", "blueprint", …). origins: "UI", "API" or a User-Agent.
    """

    identifier: str = ""
    entity: str = ""
    blueprint: str = ""
    run: str = ""
    installation: str = ""
    webhook: str = ""
    webhook_event: str = ""
    origins: Sequence[str] = ()
    resources: Sequence[str] = ()
    action: str = ""
    status: str = ""
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry. before, after: the keys that differ; the whole of what was deleted."""

    identifier: str
    at: datetime
    action: str
    resource: str
    status: str
    actor_kind: str
    actor: str
    origin: str
    name: str
    blueprint: str = ""
    run: str = ""
    installation: str = ""
    message: str = ""
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    details: dict[str, Any] = field(default_factory=dict)


def audit_log(query: AuditQuery) -> list[AuditEntry]:
    """The newest entries first, at most `query.limit`; at most five statements.

    Only some of what is asked has an index: the rest costs 5 to 12 ms for 100,000 changes, which
    is cheaper than two more indexes that each write of the catalogue would have to keep.
    """
    found: list[AuditEntry] = []
    # An event of a webhook is on the lines of its log, which is where its failures are.
    if query.status != FAILURE:
        found += [_changed(row) for row in _changes(query)[: query.limit]]
    if query.status != SUCCESS:
        found += [_failed(row) for row in _failures(query)[: query.limit]]
    found.sort(key=lambda entry: entry.at, reverse=True)
    return found[: query.limit]


def _changes(query: AuditQuery) -> Any:
    rows = Change.objects.order_by("-at", "-id")
    if query.since:
        rows = rows.filter(at__gte=query.since)
    if query.until:
        rows = rows.filter(at__lte=query.until)
    if query.action in ("CREATE", "DELETE"):
        rows = rows.filter(action=query.action.lower())
    elif query.action:
        rows = rows.exclude(action__in=list(_ACTIONS))
    if query.resources:
        rows = rows.filter(model__in=query.resources)
    if query.blueprint:
        rows = rows.filter(blueprint=query.blueprint)
    if query.identifier:
        rows = rows.filter(identifier=query.identifier)
    if query.entity:
        rows = _of_entity(rows, query)
    if query.run:
        rows = rows.filter(run=query.run)
    for name in (query.installation, query.webhook):
        if name:
            rows = rows.filter(
                Q(actor_kind="integration", actor=name) | Q(datasource__contains=f"/{name}/")
            )
    if query.webhook_event:
        rows = rows.filter(run=query.webhook_event)
    if query.origins:
        rows = rows.filter(_of_origins(query.origins))
    return rows


def _of_entity(rows: Any, query: AuditQuery) -> Any:
    """By the index over objects: the entity of this name, and those that had it and are gone."""
    alive = Entity.objects.filter(identifier=query.entity)
    if not query.blueprint:
        return rows.filter(model__in=OF_ENTITIES).filter(
            Q(object_id__in=list(alive.values_list("pk", flat=True))) | Q(identifier=query.entity)
        )
    gone = Change.objects.filter(
        action=feed.DELETE,
        model=Change.ENTITY,
        blueprint=query.blueprint,
        identifier=query.entity,
    )
    pks = [
        *alive.filter(blueprint__identifier=query.blueprint).values_list("pk", flat=True),
        *gone.values_list("object_id", flat=True),
    ]
    return rows.filter(model__in=OF_ENTITIES, object_id__in=pks)


def _of_origins(origins: Sequence[str]) -> Q:
    wanted = Q(datasource__in=origins)
    if UI in origins:
        wanted |= Q(actor_kind="user", datasource__in=["", *PORTAL_AGENTS])
    if API in origins:
        wanted |= Q(actor_kind="client")
    return wanted


def _failures(query: AuditQuery) -> Any:
    """Lines of sources' logs that say of an entity that it could not be written."""
    rows = SyncMessage.objects.select_related("integration", "run", "event").order_by("-at", "-pk")
    rows = rows.filter(level=SyncMessage.Level.ERROR).exclude(blueprint="", identifier="")
    if (query.resources and Change.ENTITY not in query.resources) or query.action in (
        "CREATE",
        "DELETE",
    ):
        return rows.none()
    if query.origins:
        return rows.none()  # a source is neither of them
    if query.since:
        rows = rows.filter(at__gte=query.since)
    if query.until:
        rows = rows.filter(at__lte=query.until)
    if query.blueprint:
        rows = rows.filter(blueprint=query.blueprint)
    if query.identifier or query.entity:
        rows = rows.filter(identifier__in=[n for n in (query.identifier, query.entity) if n])
    if query.run:
        rows = rows.filter(run__in=_sync_run(query.run))
    if query.installation:
        rows = rows.filter(integration__identifier=query.installation)
    if query.webhook:
        rows = rows.filter(
            integration__identifier=query.webhook, integration__kind=Integration.WEBHOOK
        )
    if query.webhook_event:
        rows = rows.filter(event__delivery=query.webhook_event)
    return rows


def _sync_run(name: str) -> list[int]:
    """The pk of the sync run of this name (`SyncRun.name`)."""
    number = name.removeprefix("sync_")
    return [int(number)] if number != name and number.isdecimal() and len(number) < 19 else []


def _changed(row: Change) -> AuditEntry:
    is_portal = row.actor_kind == "user" and row.datasource in ("", *PORTAL_AGENTS)
    return AuditEntry(
        identifier=str(row.pk),
        at=row.at,
        action=_ACTIONS.get(row.action, "UPDATE"),
        resource=row.model,
        status=SUCCESS,
        actor_kind=row.actor_kind,
        actor=row.actor,
        origin=UI if is_portal else row.datasource or API,
        name=row.identifier,
        blueprint=row.blueprint,
        run=row.run,
        installation=row.actor if row.actor_kind == "integration" else "",
        before=_shown(row, row.before),
        after=_shown(row, row.after),
    )


def _failed(row: SyncMessage) -> AuditEntry:
    where = {"stage": row.stage, "kind": row.kind, "field": row.field}
    return AuditEntry(
        identifier=f"message_{row.pk}",
        at=row.at,
        action="UPDATE",
        resource=Change.ENTITY,
        status=FAILURE,
        actor_kind="integration",
        actor=row.integration.identifier,
        origin=row.integration.kind,
        name=row.identifier,
        blueprint=row.blueprint,
        run=row.run.name if row.run else "",
        installation=row.integration.identifier,
        message=row.message,
        details={
            **{key: value for key, value in where.items() if value},
            **row.details,
            **({"webhookEventId": row.event.delivery} if row.event else {}),
        },
    )


def _shown(row: Change, part: dict[str, Any] | None) -> dict[str, Any] | None:
    if part is None or row.model == Change.FACT:
        return part
    return {key: value for key, value in part.items() if key not in _HIDDEN}
