"""What became of an act on many entities, from its row in the change feed."""

from __future__ import annotations

from catalog.kernel.errors import NotFound
from catalog.models import Change


def receipt(identifier: str) -> Change:
    """The row that `clear_blueprint` left. Raises NotFound."""
    number = identifier.removeprefix("mig_")
    if number.isascii() and number.isdigit() and len(number) < 20:
        found = Change.objects.filter(model=Change.MIGRATION, object_id=int(number)).first()
        if found is not None:
            return found
    raise NotFound.of("Migration", identifier, field="id")
