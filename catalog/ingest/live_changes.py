"""What a vendor's event says of objects, turned into steps on entities by the source's mapping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError

from catalog.ingest.connections import Source
from catalog.ingest.live_writing import Deed, Key, Step, Writer
from catalog.ingest.mapping import MappedEntity, ResourceMapping, identify, map_items
from catalog.ingest.mapping import Mapping as SourceMapping
from catalog.kernel.errors import IdpError, UpstreamError
from catalog.kernel.source import Event, ImportContext, LiveChange, ResourceKind

logger = structlog.get_logger(__name__)


def changes_of(source: Source, mapping: SourceMapping, event: Event) -> list[LiveChange]:
    """What the event says of objects that the mapping wants.

    Raises IdpError: UpstreamUnavailable when the vendor, asked for more, is not there; InvalidInput
    for an event that cannot be understood.
    """
    wanted: dict[str, list[Mapping[str, Any]]] = {}
    for resource in mapping.resources:
        if known := source.kind.resource(resource.kind):
            wanted.setdefault(known.name, []).append(resource.selector)
    if not wanted:
        return []
    with _faults_named(source):
        return list(source.kind.changes(source.connection, event, wanted))


def import_event(source: Source, event: Event, writer: Writer) -> None:
    """Let a kind that imports descriptors do what the event says of them. Raises IdpError."""

    def report(level: str, message: str, **parts: Any) -> None:
        writer.log.item(level, message, stage="live", kind=source.kind.name, **parts)

    context = ImportContext(
        actor=writer.actor,
        run=writer.run_name,
        is_dry_run=writer.dry_run,
        saw=lambda found: writer.saw(source.kind.name, found),
        report=report,
        integration=writer.integration.pk,
    )
    with _faults_named(source):
        source.kind.import_event(source.connection, event, context)


@contextmanager
def _faults_named(source: Source) -> Iterator[None]:
    """Whatever a kind raises is its own or its vendor's trouble, and comes out as IdpError."""
    try:
        yield
    except (IdpError, DatabaseError, SoftTimeLimitExceeded):
        raise
    except Exception as error:
        logger.exception("live_event_broke_kind", kind=source.kind.name)
        raise UpstreamError(
            f"Unexpected event, or a fault in {source.kind.title}: {type(error).__name__}: {error}"
        ) from error


def steps_of(
    source: Source, mapping: SourceMapping, changes: Sequence[LiveChange], writer: Writer
) -> list[Step]:
    """The steps that bring the catalogue to where `changes` say the source is.

    Of each resource kind first what is there, then what is gone. What one resource of the mapping
    leaves out and another one of its kind takes is there.
    """
    verdicts: dict[str, _Verdicts] = {}
    for resource in mapping.resources:
        known = source.kind.resource(resource.kind)
        if known is None:
            continue
        own = [one for one in changes if one.kind in (known.name, resource.kind)]
        if own:
            found = verdicts.setdefault(resource.kind, _Verdicts(resource.kind))
            found.add(_map(source, resource, known, own, writer), [one.item for one in own])
    return [
        step
        for one in verdicts.values()
        for step in one.steps(with_dependents=mapping.delete_dependents)
    ]


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said of an entity: it is there, or it is not. at: the place of the change."""

    at: int
    entity: MappedEntity
    is_there: bool


def _map(
    source: Source,
    resource: ResourceMapping,
    known: ResourceKind,
    changes: Sequence[LiveChange],
    writer: Writer,
) -> list[_Said]:
    """What the changes say of the entities of one resource, in order."""
    env = source.environment()
    there: list[int] = []
    gone: list[int] = []
    for at, change in enumerate(changes):
        is_there = not change.is_gone and source.kind.selects(known, resource.selector, change.item)
        (there if is_there else gone).append(at)
    said: list[_Said] = []
    if there:
        items = [changes[at].item for at in there]
        mapped = map_items(resource, items, env=env, with_unselected=True)
        writer.note_problems(resource, mapped, items)
        said += [_Said(there[one.item_index], one, True) for one in mapped.entities]
        said += [_Said(there[one.item_index], one, False) for one in mapped.unselected]
    if gone:
        items = [changes[at].item for at in gone]
        mapped = identify(resource, items, env=env)
        writer.note_problems(resource, mapped, items)
        said += [_Said(gone[one.item_index], one, False) for one in mapped.entities]
    return sorted(said, key=lambda one: one.at)


@dataclass(slots=True)
class _Verdicts:
    """All that the resources of one kind say; items in one list for both steps."""

    kind: str
    items: list[Any] = field(default_factory=list)
    there: list[MappedEntity] = field(default_factory=list)
    gone: list[MappedEntity] = field(default_factory=list)

    def add(self, said: Iterable[_Said], items: Sequence[Any]) -> None:
        """Take what one resource says; of an entity that it names twice, the last word counts."""
        offset = len(self.items)
        self.items += items
        last: dict[Key, bool] = {}
        moved: list[tuple[MappedEntity, bool]] = []
        for one in said:
            entity = MappedEntity(
                offset + one.at, one.entity.blueprint, one.entity.body, one.entity.element
            )
            moved.append((entity, one.is_there))
            if key := _key(entity):
                last[key] = one.is_there
        for entity, is_there in moved:
            key = _key(entity)
            if key is None or last[key] == is_there:
                (self.there if is_there else self.gone).append(entity)

    def steps(self, *, with_dependents: bool) -> list[Step]:
        there = {key for one in self.there if (key := _key(one))}
        gone = [one for one in self.gone if _key(one) not in there]
        return [
            Step(Deed.WRITE, self.kind, self.there, self.items),
            Step(Deed.FORGET, self.kind, gone, self.items, with_dependents),
        ]


def _key(entity: MappedEntity) -> Key | None:
    """None for one that is named by a search."""
    identifier = entity.body["identifier"]
    return (entity.blueprint, identifier) if isinstance(identifier, str) else None
