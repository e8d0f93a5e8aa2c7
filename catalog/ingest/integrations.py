"""Sources that run here, as people set them up: what their mapping says is checked first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Unpack

from django.db import transaction

from catalog.ingest import ownership
from catalog.ingest.connections import open_source
from catalog.ingest.mapping import parse_mapping
from catalog.ingest.messages import masked
from catalog.kernel.actors import Actor
from catalog.kernel.errors import InvalidInput
from catalog.models import Blueprint, Integration
from catalog.registry import source_kinds
from catalog.services import secrets
from catalog.services.blueprints import ensure_blueprints
from catalog.services.integrations import (
    Stated,
    create_integration,
    delete_integration,
    source_kind,
    update_integration,
)


def create_source(
    *,
    identifier: str,
    kind: str,
    actor: Actor,
    with_blueprints: bool = False,
    **stated: Unpack[Stated],
) -> Integration:
    """Add a source, with the mapping of its kind where none is said. with_blueprints: also create
    the blueprints that the mapping writes and that do not exist.

    Raises NotFound (no such kind), AlreadyExists, InvalidInput, InvalidMapping; then nothing is
    stored.
    """
    own = source_kind(kind)
    mapping = stated["mapping"] if "mapping" in stated else own.mapping()
    check_mapping(mapping, kind=kind)
    with transaction.atomic():
        if with_blueprints:
            create_blueprints(kind, mapping, actor=actor)
        said: Stated = {**stated, "mapping": mapping}
        return create_integration(identifier=identifier, kind=kind, actor=actor, **said)


def update_source(
    integration: Integration, *, actor: Actor, **stated: Unpack[Stated]
) -> Integration:
    """Change what is said (see `services.integrations.update_integration`)."""
    if "mapping" in stated:
        check_mapping(stated["mapping"], kind=integration.kind)
    return update_integration(integration, actor=actor, **stated)


def delete_source(
    integration: Integration, *, actor: Actor, delete_entities: bool = False
) -> tuple[int, int]:
    """Remove a source. delete_entities: also what it made and no other source owns.

    Returns how many entities were deleted, and how many stay since others need them.
    """
    counts = (0, 0)
    if delete_entities:
        counts = ownership.delete_all(integration, actor=actor)
    delete_integration(integration, actor=actor)
    return counts


def check_mapping(mapping: Mapping[str, Any], *, kind: str) -> None:
    """Raises InvalidMapping. A kind that imports its entities, or only takes events, needs none."""
    if mapping:
        parse_mapping(mapping, kind=source_kinds.get(kind))


@dataclass(frozen=True, slots=True)
class PlannedBlueprint:
    """A blueprint that a mapping writes, or that one it writes relates to.

    document: to create it with; None where neither the kind nor the mapping describes it.
    is_written: by the mapping itself.
    """

    identifier: str
    title: str
    exists: bool
    is_written: bool
    document: Mapping[str, Any] | None


def plan_blueprints(kind: str, mapping: Mapping[str, Any]) -> list[PlannedBlueprint]:
    """The blueprints that a mapping needs, those it writes first. Raises InvalidMapping.

    What the mapping itself tells of them (the simple dialect) comes before the kind's own.
    """
    if not mapping:
        return []
    parsed = parse_mapping(mapping, kind=source_kinds.get(kind), compile_all=False)
    written = dict.fromkeys(name for one in parsed.resources for name in one.blueprints)
    own = source_kinds[kind].blueprints() if kind in source_kinds else ()
    documents = _with_targets(set(written), own)
    documents.update({one.identifier: one.document for one in parsed.needs})
    names = list(dict.fromkeys([*written, *documents]))
    there = dict(Blueprint.objects.filter(identifier__in=names).values_list("identifier", "title"))
    return [
        PlannedBlueprint(
            identifier=name,
            title=there.get(name) or documents.get(name, {}).get("title") or name,
            exists=name in there,
            is_written=name in written,
            document=documents.get(name),
        )
        for name in names
    ]


def create_blueprints(
    kind: str,
    mapping: Mapping[str, Any],
    *,
    actor: Actor,
    only: Collection[str] | None = None,
) -> list[str]:
    """Create the blueprints that a mapping writes and that do not exist; returns which.

    only: these, with what they relate to; None means all that can be described.
    """
    missing = {
        one.identifier: one.document
        for one in plan_blueprints(kind, mapping)
        if one.document is not None and not one.exists
    }
    if only is not None:
        wanted = _with_targets(set(only), list(missing.values()))
        missing = {name: one for name, one in missing.items() if name in wanted}
    return ensure_blueprints(missing, actor=actor)


def _with_targets(names: set[str], documents: Sequence[Any]) -> dict[str, Any]:
    """The documents of these blueprints and of what they relate to, directly or not."""
    by_name = {one["identifier"]: one for one in documents}
    wanted: dict[str, Any] = {}
    waiting = [name for name in by_name if name in names]
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in wanted:
            wanted[name] = by_name[name]
            waiting += [one["target"] for one in by_name[name].get("relations", {}).values()]
    return wanted


def try_connection(
    kind: str, settings: Mapping[str, Any], *, integration: Integration | None = None
) -> Sequence[str]:
    """Try settings that need not be stored; returns sentences of what works.

    integration: the one being changed, whose secrets stand where `settings` has only their mask.
    Raises InvalidInput, UpstreamError, AddressRefused.
    """
    source = open_source(_draft(kind, settings, integration), log=lambda level, message: None)
    with source.connection.http:
        return source.kind.check(source.connection)


def sample_items(
    kind: str,
    settings: Mapping[str, Any],
    resource: str,
    *,
    selector: Mapping[str, Any] | None = None,
    integration: Integration | None = None,
    limit: int = 5,
) -> list[Any]:
    """The first objects of a resource kind as the source gives them, secrets masked.

    Raises InvalidInput, UpstreamError, AddressRefused.
    """
    source = open_source(_draft(kind, settings, integration), log=lambda level, message: None)
    found = source.kind.resource(resource)
    if found is None:
        expected = ", ".join(one.name for one in source.kind.resources)
        raise InvalidInput(
            f'{source.kind.title} has no kind "{resource}"; expected one of: {expected}',
            details={"field": "kind", "value": resource, "expected": expected},
        )
    with source.connection.http:
        pages = source.kind.fetch(source.connection, found, selector or {})
        items = (item for page in pages for item in page.items)
        return [masked(item, source.secrets) for item in islice(items, limit)]


def _draft(kind: str, settings: Mapping[str, Any], integration: Integration | None) -> Integration:
    """A row with these settings that nobody stores."""
    schema, old = source_kind(kind).settings_schema, None
    if integration is not None and integration.kind == kind:
        old = integration.sealed
        secrets.check_kept(schema, integration.settings, settings, old)
    plain, sealed = secrets.seal_settings(schema, settings, old)
    return Integration(identifier="draft", kind=kind, settings=plain, sealed=sealed)
