"""The index of what APIs declare (`ApiOperation`), kept true by a consumer of the change feed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from django.db import transaction

from catalog.kernel import feed
from catalog.kernel.api_outline import Item, read_outline
from catalog.kernel.feed import FeedRow
from catalog.models import ApiOperation, Change, Entity
from catalog.selectors.api_definitions import definition_of, property_names
from catalog.selectors.kinds import Kinds, load_kinds

CONSUMER: Final = "api-operations"

_TEXT_MAX: Final = 5_000
_BATCH: Final = 2_000


def follow(rows: Sequence[FeedRow]) -> None:
    """Index anew what changes of the feed touch. Without definitions among them, nothing is
    written; else the number of statements does not grow with the rows."""
    kinds = load_kinds()
    touched = {
        row.object_id
        for row in rows
        if row.model == Change.ENTITY and row.object_id is not None and _concerns(row, kinds)
    }
    changed = [row.blueprint or row.identifier for row in rows if row.model == Change.BLUEPRINT]
    if changed:
        pks = [pk for pk in map(kinds.pk_of, changed) if pk]
        names = {name for pk in pks for name in property_names(kinds.by_pk[pk])}
        touched |= set(
            Entity.objects.filter(
                blueprint__in=pks, properties__has_any_keys=list(names)
            ).values_list("pk", flat=True)
        )
    if touched:
        index(touched, kinds)


@transaction.atomic
def index(pks: Collection[int], kinds: Kinds) -> int:
    """Work out the operations of entities anew; returns how many there are."""
    names = {name for kind in kinds for name in property_names(kind)}
    entities = (
        Entity.objects.filter(pk__in=pks, properties__has_any_keys=list(names))
        .order_by("pk")
        .only("pk", "blueprint_id", "properties")
    )
    operations = []
    for entity in entities.iterator(100):
        kind = kinds.by_pk.get(entity.blueprint_id)
        definition = kind and definition_of(kind, entity.properties)
        if not definition:
            continue
        outline = read_outline(definition.text, definition.declared)
        operations += [
            ApiOperation(
                entity_id=entity.pk,
                position=position,
                kind=item.kind.value,
                name=item.name,
                text=_text(item),
                is_deprecated=item.is_deprecated,
            )
            for position, item in enumerate(outline.items)
        ]
    ApiOperation.objects.filter(entity__in=list(pks)).delete()
    ApiOperation.objects.bulk_create(operations, batch_size=_BATCH)
    return len(operations)


def _concerns(row: FeedRow, kinds: Kinds) -> bool:
    """Whether a change may have touched a definition."""
    if row.action != feed.UPDATE:
        return row.action == feed.CREATE
    kind = kinds.get(row.blueprint)
    names = {"type", *(property_names(kind) if kind else ())}
    return any(
        name in part["properties"]
        for part in (row.before or {}, row.after or {})
        if isinstance(part.get("properties"), dict)
        for name in names
    )


def _text(item: Item) -> str:
    """Its summary and description, the one not repeated by the other."""
    rest = item.description.removeprefix(item.summary).strip()
    return " · ".join(filter(None, (item.summary, rest)))[:_TEXT_MAX]
