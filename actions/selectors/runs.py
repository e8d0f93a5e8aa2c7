"""Lists of runs, and what a run brought about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q, QuerySet
from django.db.models.fields.json import KT

from actions.models import Run, RunArtifact
from catalog.kernel.errors import NotFound
from catalog.kernel.identifiers import is_storable
from catalog.models import Blueprint, Change, Entity

MAX_ENTITIES: Final = 1000  # entries of the feed that one run is asked for


@dataclass(frozen=True, slots=True)
class RunQuery:
    """What is empty does not count. user: e-mail address, or id of an API client."""

    action: str = ""
    blueprint: str = ""
    entity: str = ""
    user: str = ""
    external_run_id: str = ""
    statuses: Sequence[str] = ()
    sources: Sequence[str] = ()
    is_active: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """An entity that a run wrote. action: "create", "update" or "delete"; what became of it in
    all: what was created and then changed was created.
    """

    blueprint: str
    identifier: str
    action: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Present:
    """What is still there of what runs are about."""

    blueprints: frozenset[str]
    entities: frozenset[tuple[str, str]]


def matching(runs: QuerySet[Run], query: RunQuery) -> QuerySet[Run]:
    """Those of `runs` that fit; unordered."""
    named = {
        "action__identifier": query.action,
        "external_run_id": query.external_run_id,
        "created_by": query.user,
    }
    found = runs.filter(**{key: value for key, value in named.items() if value})
    if query.blueprint:
        found = found.alias(of=KT("blueprint__identifier")).filter(of=query.blueprint)
    if query.entity:
        found = found.alias(on=KT("entity__identifier")).filter(on=query.entity)
    if query.is_active is not None:
        is_open = Q(status__in=Run.OPEN)
        found = found.filter(is_open if query.is_active else ~is_open)
    if query.statuses:
        found = found.filter(status__in=_stored(query.statuses))
    if query.sources:
        found = found.filter(source__in=query.sources)
    if query.created_after is not None:
        found = found.filter(created_at__gt=query.created_after)
    if query.created_before is not None:
        found = found.filter(created_at__lt=query.created_before)
    return found


def entity_of(run: Run) -> Entity | None:
    """What the run is about, if it is still there."""
    if not run.entity or not run.blueprint:
        return None
    return find_entity(run.blueprint["identifier"], run.entity["identifier"])


def artifact_of(run: Run, name: str) -> RunArtifact:
    """A file that the run made. Raises NotFound."""
    found = run.artifacts.filter(name=name).first() if is_storable(name) else None
    if found is None:
        raise NotFound.of("File", name, field="name")
    return found


def find_entity(blueprint: str, identifier: str) -> Entity | None:
    return (
        Entity.objects.select_related("blueprint")
        .filter(blueprint__identifier=blueprint, identifier=identifier)
        .first()
    )


def entities_of(run: Run) -> list[Written]:
    """What a run created, changed and deleted, in that order; from the feed, by its index."""
    rows = Change.objects.filter(run=run.identifier, model=Change.ENTITY).order_by("id")
    found: dict[tuple[str, str], Written] = {}
    columns = ("blueprint", "identifier", "action", "at")
    for blueprint, identifier, action, at in rows.values_list(*columns)[:MAX_ENTITIES]:
        earlier = found.get((blueprint, identifier))
        is_new = earlier is not None and earlier.action == "create" and action != "delete"
        shown = "create" if is_new else action
        if shown not in ("create", "delete"):
            shown = "update"
        found[blueprint, identifier] = Written(blueprint, identifier, shown, at)
    return list(found.values())


def present(runs: Iterable[Run]) -> Present:
    """Which of the blueprints and entities that runs are about are still there; two statements."""
    about = [(one.blueprint, one.entity) for one in runs if one.blueprint]
    names = {blueprint["identifier"] for blueprint, _ in about}
    identifiers = {entity["identifier"] for _, entity in about if entity}
    if not names:
        return Present(frozenset(), frozenset())
    blueprints = Blueprint.objects.filter(identifier__in=names)
    entities = Entity.objects.filter(
        blueprint__identifier__in=names, identifier__in=identifiers
    ).values_list("blueprint__identifier", "identifier")
    return Present(
        frozenset(blueprints.values_list("identifier", flat=True)),
        frozenset(entities if identifiers else ()),
    )


def _stored(statuses: Sequence[str]) -> set[str]:
    """Clients are told FAILURE of what ran out of time, too."""
    wanted = set(statuses)
    if Run.Status.FAILURE in wanted:
        wanted.add(Run.Status.TIMED_OUT)
    return wanted
