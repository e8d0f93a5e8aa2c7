"""Migrations of data: the entities of one blueprint through a mapping into another (or itself).

A mapping is Port's ({"blueprint", "filter", "itemsToParse", "entity"}); its JQ sees an entity as
the API shows it. The work goes on in parts, each one transaction with its entities and how far it
has come, held by an advisory lock: a worker that dies leaves a whole state to another one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Count, F, Max
from django.utils import timezone

from catalog.ingest import webhooks
from catalog.ingest.mapping import MappedBatch, ResourceMapping, map_items
from catalog.ingest.writing import PROGRAM
from catalog.kernel.actors import Actor
from catalog.kernel.errors import Conflict, IdpError, InvalidMapping, NotFound, shorten
from catalog.kernel.identifiers import is_storable
from catalog.kernel.json_text import parse_json
from catalog.kernel.locks import Lock, try_hold
from catalog.models import Blueprint, DataMigration, Entity
from catalog.selectors.documents import documents
from catalog.services.entities import MissingTargets, Mode
from catalog.services.intake import write_bodies

BATCH: Final = 250  # source entities in one transaction
MAX_ATTEMPTS: Final = 5  # of one part
BUDGET_S: Final = 600.0  # then another task goes on
MAX_REASON: Final = 1000

Status = DataMigration.Status

logger = structlog.get_logger(__name__)


def create_migration(
    *, source_blueprint: str, mapping: Mapping[str, Any], actor: Actor
) -> DataMigration:
    """Queue a migration; the edge then hands it to a worker (`catalog.tasks.start_migration`).

    What it is to do is fixed here: entities that come later are not migrated. Raises NotFound for
    a blueprint that does not exist, InvalidMapping.
    """
    resource = _resource(mapping)
    for name in (source_blueprint, resource.blueprint or ""):
        if not is_storable(name) or not Blueprint.objects.filter(identifier=name).exists():
            raise NotFound.of("Blueprint", name)
    there = Entity.objects.filter(blueprint__identifier=source_blueprint).aggregate(
        last=Max("pk"), total=Count("pk")
    )
    return DataMigration.objects.create(
        source_blueprint=source_blueprint,
        mapping=dict(mapping),
        actor_kind=actor.kind,
        actor=actor.name,
        last=there["last"] or 0,
        total=there["total"],
    )


def cancel_migration(pk: int, *, reason: str) -> DataMigration:
    """End a migration; one at work ends after its part. What it wrote stays.

    Raises NotFound, and Conflict when it is over already.
    """
    with transaction.atomic():
        migration = DataMigration.objects.select_for_update().filter(pk=pk).first()
        if migration is None:
            raise NotFound.of("Migration", f"{DataMigration.PREFIX}{pk}", field="id")
        if migration.is_finished:
            raise Conflict(
                f"The migration is over already: {migration.status}",
                details={"field": "status", "value": migration.status},
            )
        waits = migration.status == Status.PENDING
        migration.status = Status.CANCELLED if waits else Status.PENDING_CANCELLATION
        migration.reason = shorten(reason, MAX_REASON)
        migration.updated_at = timezone.now()
        if waits:
            migration.ended_at = migration.updated_at
        migration.save()
    return migration


def unfinished() -> list[int]:
    """The migrations that are not over; the tick hands them out."""
    rows = DataMigration.objects.exclude(status__in=DataMigration.finished()).order_by("pk")
    return list(rows.values_list("pk", flat=True))


def run_migration(pk: int, *, budget_s: float = BUDGET_S) -> bool:
    """Work on a migration until it is over, or for about `budget_s` seconds.

    Does nothing when it is over or somebody is at it. Returns whether another call is to go on.
    """
    ends_at = time.monotonic() + budget_s
    if not _begin(pk):
        return False
    try:
        while _do_part(pk):
            if time.monotonic() > ends_at:
                return True
    except (OperationalError, InterfaceError):
        raise  # the database is away; the next tick goes on
    except SoftTimeLimitExceeded:
        return True
    except Exception as error:
        told = str(error) if isinstance(error, IdpError) else ""
        if not told:
            logger.exception("migration_broke", migration=pk)
            told = f"Unexpected error: {type(error).__name__}. The server's log has more."
        _finish(pk, Status.FAILURE, error=told)
    return False


def _begin(pk: int) -> bool:
    """Count the attempt, so that a part that kills its workers is given up."""
    with transaction.atomic():
        if not try_hold(Lock.DATA_MIGRATION, pk):
            return False
        rows = DataMigration.objects.filter(pk=pk)
        rows.filter(status=Status.PENDING).update(status=Status.RUNNING, updated_at=timezone.now())
        rows.exclude(status__in=DataMigration.finished()).update(attempts=F("attempts") + 1)
        found = rows.first()
        if found is None or found.is_finished:
            return False
        if found.attempts <= MAX_ATTEMPTS:
            return True
    told = f"Its worker died {MAX_ATTEMPTS} times, so it was given up."
    _finish(pk, Status.FAILURE, error=told)
    return False


def _do_part(pk: int) -> bool:
    """Migrate the next entities, in one transaction. Returns whether there may be more."""
    with transaction.atomic():
        if not try_hold(Lock.DATA_MIGRATION, pk):
            return False
        migration = DataMigration.objects.filter(pk=pk).first()
        if migration is None or migration.is_finished:
            return False
        if migration.status == Status.PENDING_CANCELLATION:
            _finish(pk, Status.CANCELLED)
            return False
        pks = list(
            Entity.objects.filter(
                blueprint__identifier=migration.source_blueprint,
                pk__gt=migration.cursor,
                pk__lte=migration.last,
            )
            .order_by("pk")
            .values_list("pk", flat=True)[:BATCH]
        )
        if not pks:
            _finish(pk, Status.COMPLETED)
            return False
        _migrate(migration, pks)
    return True


def _migrate(migration: DataMigration, pks: Sequence[int]) -> None:
    """Map these entities and write what comes of them, with how far that is."""
    resource = _resource(migration.mapping, compile_all=False)
    blueprint = Blueprint.objects.filter(identifier=resource.blueprint).first()
    if blueprint is None:
        raise NotFound.of("Blueprint", resource.blueprint or "")
    items = [parse_json(one) for one in documents(pks)]
    mapped = map_items(resource, items)
    failures, failed = _lost(resource, mapped, items)
    results = write_bodies(
        [one.body for one in mapped.entities],
        blueprint=blueprint,
        principal=PROGRAM,
        actor=Actor(migration.actor_kind, migration.actor, "idp/migration"),
        mode=Mode.MERGE,
        missing_targets=MissingTargets.DANGLE,
        run=migration.name,
    )
    written = 0
    for entity, result in zip(mapped.entities, results, strict=True):
        if result.error is None:
            written += 1
            continue
        failed += 1
        failures.append(
            {
                "entity": items[entity.item_index]["identifier"],
                "blueprint": result.blueprint,
                "identifier": result.identifier,
                "field": str(result.error.details.get("field", "")),
                "message": str(result.error),
            }
        )
    kept = (migration.failures + failures)[: DataMigration.KEPT_FAILURES]
    DataMigration.objects.filter(pk=migration.pk).update(
        cursor=pks[-1],
        attempts=1,
        success_count=F("success_count") + written,
        failure_count=F("failure_count") + failed,
        filtered=F("filtered") + mapped.filtered,
        failures=kept,
        updated_at=timezone.now(),
    )


def _lost(
    resource: ResourceMapping, mapped: MappedBatch, items: Sequence[Any]
) -> tuple[list[dict[str, Any]], int]:
    """What the mapping could not do, and of how many entities nothing came for it."""
    made = {(one.item_index, one.element) for one in mapped.entities}
    lost = {
        (one.item_index, one.element)
        for one in mapped.problems
        if (one.item_index, one.element) not in made
    }
    failures = [
        {
            "entity": items[one.item_index]["identifier"],
            "blueprint": resource.blueprint or "",
            "identifier": "",
            "field": one.field,
            "message": one.message,
        }
        for one in mapped.problems
    ]
    return failures, len(lost)


def _finish(pk: int, status: DataMigration.Status, *, error: str = "") -> None:
    now = timezone.now()
    DataMigration.objects.filter(pk=pk).exclude(status__in=DataMigration.finished()).update(
        status=status, error=error, ended_at=now, updated_at=now
    )


def _resource(mapping: Mapping[str, Any], *, compile_all: bool = True) -> ResourceMapping:
    """The mapping, understood. Raises InvalidMapping."""
    if not isinstance(mapping, Mapping):
        raise InvalidMapping(
            f"mapping is {shorten(mapping)}; expected an object",
            details={"field": "mapping", "value": shorten(mapping), "expected": "an object"},
        )
    try:
        parsed = webhooks.parse({"mappings": [dict(mapping)]}, compile_all=compile_all)
    except InvalidMapping as error:
        error.message = error.message.replace("mappings[0]", "mapping", 1)
        for one in error.details.get("errors", ()):
            one["path"] = one["path"].replace("mappings[0]", "mapping", 1)
        raise
    [resource] = parsed.resources
    if resource.operation != "upsert":
        raise InvalidMapping(
            "mapping.operation: a migration writes entities and deletes none",
            details={"field": "mapping.operation", "expected": "no operation"},
        )
    return resource
