"""Where each value of an entity comes from, and which of them a source answers for.

A source answers for what its mapping writes: `Owned` says which kinds of the mapping gave the
entity, the mapping says which fields these write. One that imports descriptors, or whose mapping
replaces (`enableMergeEntity: false`), answers for all of them. Of exporters, which note nothing
with us, the entity's datasource says that it is theirs. Who changed a field last, and when, is in
the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.urls import reverse

from catalog.forms import Lock
from catalog.ingest.mapping import parse_mapping, static_fields
from catalog.ingest.mapping.model import static_blueprint
from catalog.kernel.errors import IdpError
from catalog.models import Entity, Integration
from catalog.registry import source_kinds
from catalog.selectors.kinds import Kind
from catalog.selectors.origins import (
    Ownership,
    Touch,
    is_stale,
    making_of,
    ownerships,
    touches,
)
from catalog.services.exporters import installation_of

ORIGINALS: Final = (
    "url",
    "html_url",
    "htmlUrl",
    "web_url",
    "webUrl",
    "link",
    "repository",
    "repositoryUrl",
)

_IDENTITY: Final = ("title", "icon", "team")
_MAX_READ: Final = 200


@dataclass(frozen=True, slots=True)
class Origin:
    """A source that has the entity.

    kinds: of its mapping, that gave it. fields: those it answers for ("title", "properties.url");
    None: all. run: the pk of the sync that saw it last; None where a live event did, or where an
    exporter wrote. seen_at: for an exporter, its last write that changed anything.
    gone: where its newest complete pass did not find the entity any more.
    """

    source: Integration
    kinds: tuple[str, ...]
    fields: frozenset[str] | None
    is_creator: bool
    run: int | None
    seen_at: datetime
    gone: Ownership | None = None

    @property
    def field_names(self) -> list[str]:
        return sorted(name.partition(".")[2] or name for name in self.fields or ())

    @property
    def is_exporter(self) -> bool:
        return not self.source.runs_here

    @property
    def title(self) -> str:
        """What its sort of program is called."""
        kind = source_kinds.get(self.source.kind)
        return kind.title if kind else self.source.kind

    def answers_for(self, path: str) -> bool:
        return self.fields is None or path in self.fields


@dataclass(frozen=True, slots=True)
class Trace:
    """Where one value comes from.

    origin: the source that answers for it. touch: who changed it last; as it was made where nobody
    did. how: of a computed one, what it is made of. error: why it could not be computed.
    """

    path: str
    touch: Touch
    is_first: bool = False
    origin: Origin | None = None
    how: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """traces: by path, for every field that has a value or is computed."""

    origins: Sequence[Origin]
    traces: Mapping[str, Trace]

    @property
    def is_stale(self) -> bool:
        return is_gone(self.origins)


def is_gone(origins: Sequence[Origin]) -> bool:
    """Whether every source that had an entity does so no more."""
    return bool(origins) and all(one.gone for one in origins)


def keeper(origins: Sequence[Origin]) -> Origin | None:
    """The source that keeps an entity: the one that made it, else the first that has it."""
    return next((one for one in origins if one.is_creator), None) or next(iter(origins), None)


def locked(origins: Iterable[Origin], paths: Iterable[str]) -> dict[str, Origin]:
    """Of `paths`, those that a source which is on answers for."""
    awake = [one for one in origins if one.source.is_enabled and one.gone is None]
    found = {path: next((o for o in awake if o.answers_for(path)), None) for path in paths}
    return {path: origin for path, origin in found.items() if origin}


def locks_of(entity: Entity, origins: Iterable[Origin]) -> dict[str, Lock]:
    """What the form of an entity may not change, with the source that would undo it."""
    blueprint = entity.blueprint
    relations = blueprint.relation_definitions.values_list("identifier", flat=True)
    paths = [
        *_IDENTITY,
        *(f"properties.{name}" for name in blueprint.properties),
        *(f"relations.{name}" for name in relations),
    ]
    return {
        path: Lock(str(origin.source), source_url(origin.source))
        for path, origin in locked(origins, paths).items()
    }


def source_url(source: Integration) -> str:
    """The page of a source in the portal. Webhooks may have the name of another source."""
    name = "webhook-source" if source.kind == Integration.WEBHOOK else "source"
    return reverse(f"catalog:{name}", args=[source.identifier])


def origins_of(entity: Entity) -> list[Origin]:
    """The sources that have an entity, its maker first; three statements at most."""
    owned = ownerships([entity.pk]).get(entity.pk, [])
    exporter = installation_of(entity.datasource)
    sources: dict[int, Integration] = {}
    if owned:
        sources = Integration.objects.defer("sealed").in_bulk({one.integration for one in owned})
    by_source: dict[int, list[Ownership]] = {}
    for one in owned:
        if one.integration in sources:
            by_source.setdefault(one.integration, []).append(one)
    origins = [_origin(entity, sources[pk], ones) for pk, ones in by_source.items()]
    if exporter and not origins:
        found = Integration.objects.filter(identifier=exporter, runs_here=False)
        origins += [_exporter(entity, one) for one in found.exclude(kind=Integration.WEBHOOK)]
    return origins


def provenance_of(entity: Entity, kind: Kind, origins: Sequence[Origin]) -> Provenance:
    """Where an entity and each of its values come from; two statements beside `origins_of`."""
    touched = touches(entity)
    made = making_of(entity) or Touch(entity.created_at, "", entity.created_by)
    traces = {}
    for path in _paths(entity):
        touch = touched.get(path)
        traces[path] = Trace(
            path,
            touch or made,
            is_first=touch is None,
            origin=next((one for one in origins if one.answers_for(path)), None),
        )
    errors = entity.computed_errors or {}
    for name in kind.computed:
        path = f"properties.{name}"
        traces[path] = Trace(path, made, how=how_computed(kind, name), error=errors.get(name, ""))
    return Provenance(origins, traces)


def how_computed(kind: Kind, name: str) -> str:
    """What a computed property is made of, in words."""
    if name in kind.mirrors:
        return f"Mirror of {kind.mirrors[name].get('path')}"
    if name in kind.calculations:
        return f"Calculated: {kind.calculations[name].get('calculation')}"
    spec = kind.aggregations.get(name, {})
    made = spec.get("calculationSpec") or {}
    verb = made.get("func") or made.get("calculationBy") or "count"
    of = f" of {made['property']}" if made.get("property") else ""
    return f"Aggregation: {verb}{of} over {spec.get('target')}"


def original_of(entity: Entity, kind: Kind, origins: Sequence[Origin]) -> str:
    """The address of the thing itself, as a source gave it; "" when none is known."""
    if not origins:
        return ""
    urls = [name for name, spec in kind.properties.items() if spec.get("format") == "url"]
    for name in (*ORIGINALS, *urls):
        value = entity.properties.get(name)
        is_theirs = any(one.answers_for(f"properties.{name}") for one in origins)
        if is_theirs and isinstance(value, str) and value.startswith(("https://", "http://")):
            return value
    return ""


def fields_of(source: Integration, kinds: Iterable[str], blueprint: str) -> frozenset[str] | None:
    """What a source writes of entities of a blueprint that these kinds of its mapping gave.

    None: all of it. A mapping that cannot be read (any more) writes nothing.
    """
    described = source_kinds.get(source.kind)
    if described is not None and described.imports:
        return None
    merges, by_kind = _written(source)
    found: set[str] = set()
    for name in kinds:
        for target, fields in by_kind.get(name, ()):
            if target in (None, blueprint):
                found.update(fields)
    return None if found and not merges else frozenset(found)


def _origin(entity: Entity, source: Integration, owned: Sequence[Ownership]) -> Origin:
    newest = max(owned, key=lambda one: one.seen_at)
    listed = [one for one in owned if one.kind]
    gone = next((one for one in listed if one.is_gone), None)
    kinds = tuple(one.kind for one in listed)
    return Origin(
        source=source,
        kinds=kinds,
        fields=fields_of(source, kinds, entity.blueprint.identifier),
        is_creator=any(one.is_creator for one in owned),
        run=newest.run,
        seen_at=newest.seen_at,
        gone=gone if is_stale(owned) else None,
    )


def _exporter(entity: Entity, source: Integration) -> Origin:
    _, by_kind = _written(source)
    return Origin(
        source=source,
        kinds=tuple(
            name
            for name, templates in by_kind.items()
            if any(target == entity.blueprint.identifier for target, _ in templates)
        ),
        fields=fields_of(source, by_kind, entity.blueprint.identifier),
        is_creator=True,
        run=None,
        seen_at=entity.updated_at,
    )


def _paths(entity: Entity) -> list[str]:
    return [
        *(name for name in _IDENTITY if getattr(entity, name)),
        *(f"properties.{name}" for name in entity.properties),
        *(f"relations.{name}" for name in entity.relations),
    ]


_Written = tuple[bool, dict[str, list[tuple[str | None, frozenset[str]]]]]
_read: dict[tuple[Any, ...], _Written] = {}


def _written(source: Integration) -> _Written:
    """Whether a mapping merges, and by kind, what its resources write to which blueprint."""
    key = (source.pk, source.kind, source.updated_at)
    if key not in _read:
        if len(_read) >= _MAX_READ:
            _read.clear()
        _read[key] = _read_mapping(source)
    return _read[key]


def _read_mapping(source: Integration) -> _Written:
    by_kind: dict[str, list[tuple[str | None, frozenset[str]]]] = {}
    try:
        kind = source_kinds.get(source.kind) if source.runs_here else None
        mapping = parse_mapping(source.mapping, kind=kind, compile_all=False)
    except IdpError:
        return True, {}
    for resource in mapping.resources:
        if resource.operation == "delete":
            continue
        for template in resource.templates:
            fields = frozenset(static_fields(replace(resource, templates=(template,))))
            fields -= {"identifier"}  # what it is called is nobody's to change
            by_kind.setdefault(resource.kind, []).append((static_blueprint(template), fields))
    return mapping.merge, by_kind
