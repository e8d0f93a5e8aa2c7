"""Trying a mapping on one raw object: what it makes of it, and what would become of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from catalog.ingest.connections import with_defaults
from catalog.ingest.mapping import (
    Finding,
    MappedEntity,
    Preview,
    ResourceMapping,
    lint,
    parse_mapping,
    preview,
)
from catalog.ingest.mapping import Mapping as SourceMapping
from catalog.ingest.writing import Body, write_bodies
from catalog.kernel.errors import IdpError
from catalog.kernel.source import SourceKind
from catalog.models import Integration, KindExample
from catalog.registry import source_kinds
from catalog.services.entities import MissingTargets, Mode


@dataclass(frozen=True, slots=True)
class TriedEntity:
    """An entity that the mapping made, and what a sync would do with it: `status` "created",
    "updated", "unchanged", "rejected" (then `error` says why) or "deleted"."""

    entity: MappedEntity
    status: str
    error: IdpError | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The entity as the API shows one."""
        return {"blueprint": self.entity.blueprint, **self.entity.body}


@dataclass(frozen=True, slots=True)
class Trial:
    """What a resource of a mapping makes of one object."""

    resource: ResourceMapping
    preview: Preview
    entities: Sequence[TriedEntity]


@dataclass(frozen=True, slots=True)
class Sample:
    """A raw object to try on. ref: "stored-7" or "built-in-0"."""

    ref: str
    label: str
    data: Any


def read_mapping(integration: Integration, document: Mapping[str, Any]) -> SourceMapping:
    """Understand a mapping as the source's own. Raises InvalidMapping."""
    return parse_mapping(document, kind=_kind(integration))


def remarks(mapping: SourceMapping) -> list[Finding]:
    """What stands in a mapping and will not do what it looks like."""
    return lint(mapping)


def samples_of(integration: Integration, resource_kind: str) -> list[Sample]:
    """Objects of a resource kind: those that a sync or a look kept, then those of the kind."""
    kept = KindExample.objects.filter(integration=integration, kind=resource_kind)
    found = [
        Sample(f"stored-{one.pk}", f"From the source, {number}", one.data)
        for number, one in enumerate(kept.order_by("-pk")[: KindExample.KEPT], 1)
    ]
    kind = _kind(integration)
    if kind is not None:
        known = kind.resource(resource_kind)
        names = {resource_kind, known.name} if known else {resource_kind}
        examples = [one for name, some in kind.samples().items() if name in names for one in some]
        found += [
            Sample(f"built-in-{number}", f"Example, {number + 1}", one)
            for number, one in enumerate(examples)
        ]
    return found


def keep_samples(integration: Integration, resource_kind: str, items: Sequence[Any]) -> None:
    """Keep objects that were looked at, in place of those kept before.

    items: with their secrets masked already.
    """
    own = {"integration": integration, "kind": resource_kind}
    with transaction.atomic():
        KindExample.objects.filter(**own).delete()
        KindExample.objects.bulk_create(
            KindExample(**own, data=item) for item in reversed(items[: KindExample.KEPT])
        )


def try_resource(
    integration: Integration, mapping: SourceMapping, resource: ResourceMapping, item: Any
) -> Trial:
    """Map `item` and check what comes out against the catalogue. Stores nothing."""
    seen = preview(resource, item, env=_environment(integration))
    if resource.operation == "delete":
        tried = [TriedEntity(one, "deleted") for one in seen.entities]
    else:
        tried = _checked(integration, mapping, seen.entities)
    return Trial(resource, seen, tried)


def _checked(
    integration: Integration, mapping: SourceMapping, made: Sequence[MappedEntity]
) -> list[TriedEntity]:
    if not made:
        return []
    with transaction.atomic():
        results = write_bodies(
            [Body(one.blueprint, one.body) for one in made],
            integration=integration,
            kind="",
            mode=Mode.MERGE if mapping.merge else Mode.REPLACE,
            # A sync would bring the others, too; here they need not be there.
            missing_targets=(
                MissingTargets.CREATE if mapping.create_missing else MissingTargets.DANGLE
            ),
            dry_run=True,
        )
        transaction.set_rollback(True)
    return [
        TriedEntity(one, "rejected" if result.error else str(result.status), result.error)
        for one, result in zip(made, results, strict=True)
    ]


def _environment(integration: Integration) -> Mapping[str, str]:
    kind = _kind(integration)
    if kind is None:
        return {}
    return kind.environment(with_defaults(kind.settings_schema, integration.settings))


def _kind(integration: Integration) -> SourceKind | None:
    """Exporters name types of their own, which may sound like ours."""
    return source_kinds.get(integration.kind) if integration.runs_here else None
