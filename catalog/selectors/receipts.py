"""Acts on many entities: migrations of data, and blueprints that were emptied at once, of which
only the row in the change feed is left.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from django.db.models import Q
from django.db.models.fields.json import KT

from catalog.kernel.errors import NotFound
from catalog.models import Change, DataMigration

LISTED: Final = 200

Act = DataMigration | Change


def receipt(identifier: str) -> Act:
    """The migration, or the row that `clear_blueprint` left. Raises NotFound."""
    number = identifier.removeprefix(DataMigration.PREFIX)
    if number.isascii() and number.isdigit() and len(number) < 20:
        pk = int(number)
        found: Act | None = DataMigration.objects.filter(pk=pk).first() if pk < 2**63 else None
        found = found or Change.objects.filter(model=Change.MIGRATION, object_id=pk).first()
        if found is not None:
            return found
    raise NotFound.of("Migration", identifier, field="id")


def receipts(
    *, statuses: Collection[str] = (), actor: str = "", blueprint: str = ""
) -> Sequence[Act]:
    """The newest `LISTED` acts, newest first; what is empty does not count.

    blueprint: the source, or the target of a mapping.
    """
    migrations = DataMigration.objects.order_by("-created_at", "-pk")
    cleared = Change.objects.filter(model=Change.MIGRATION).order_by("-at", "-id")
    if statuses:
        migrations = migrations.filter(status__in=statuses)
        if DataMigration.Status.COMPLETED not in statuses:
            cleared = cleared.none()
    if actor:
        migrations, cleared = migrations.filter(actor=actor), cleared.filter(actor=actor)
    if blueprint:
        migrations = migrations.annotate(target=KT("mapping__blueprint")).filter(
            Q(source_blueprint=blueprint) | Q(target__in=[blueprint, f'"{blueprint}"'])
        )
        cleared = cleared.filter(blueprint=blueprint)
    acts: list[Act] = [*migrations[:LISTED], *cleared[:LISTED]]
    acts.sort(key=lambda act: act.created_at if isinstance(act, DataMigration) else act.at)
    return acts[::-1][:LISTED]
