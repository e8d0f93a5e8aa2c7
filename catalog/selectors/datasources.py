"""Which entities a program wrote last. Exporters ask, to delete what they no longer see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.functions import Length

from catalog.models import Change, EntityQuerySet


@dataclass(frozen=True, slots=True)
class WrittenPage:
    """items: (pk, identifier, blueprint). next: the pk to go on after, or None at the end."""

    items: Sequence[tuple[int, str, str]]
    next: int | None


def written_by(
    entities: EntityQuerySet,
    *,
    prefix: str,
    suffix: str = "",
    before: datetime | None = None,
    run: str = "",
    after_pk: int = 0,
    limit: int | None = None,
) -> WrittenPage:
    """Entities whose datasource starts with `prefix` and ends with `suffix`; the middle, mostly a
    version, does not count.

    before: only what has not changed after this moment, so that what came in meanwhile is spared.
    A write that changed nothing moves no time. run: all the same, what was there before and this
    run changed last. The exporter knows what its own run wrote; but it deletes nothing where the
    stale are too large a share of all it gets, and that is to be their share of what there was.
    limit: None is all.
    """
    found = entities.filter(datasource__startswith=prefix, pk__gt=after_pk)
    if suffix:
        # The two may not overlap: "a/b/" and "/b/" do not both fit "a/b/".
        found = found.alias(length=Length("datasource")).filter(
            datasource__endswith=suffix, length__gte=Value(len(prefix) + len(suffix))
        )
    if before is not None:
        by_run = Change.objects.filter(
            model=Change.ENTITY, object_id=OuterRef("pk"), at=OuterRef("updated_at"), run=run
        )
        is_old = Q(updated_at__lte=before)
        was_there = Q(created_at__lte=before)
        found = found.filter(is_old | (was_there & Exists(by_run)) if run else is_old)
    rows = found.order_by("pk").values_list("pk", "identifier", "blueprint__identifier")
    items = list(rows if limit is None else rows[: limit + 1])
    if limit is None or len(items) <= limit:
        return WrittenPage(items, None)
    return WrittenPage(items[:limit], items[limit - 1][0])
