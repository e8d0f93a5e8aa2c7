"""Computed properties: mirrors, calculations, aggregations and inherited ownership.

They are stored in `Entity.computed` (inherited teams in `Entity.team`) and always follow from what
is written: `specs` reads the definitions, `plan` resolves them, `values` reads their values for
many entities at once, `refresh` stores what differs. The values of what a request writes are
refreshed with it; all others by the consumer of the change feed in `stale`.
"""

from catalog.services.derived.checks import check_definitions
from catalog.services.derived.plan import load_plan
from catalog.services.derived.refresh import (
    CHUNK,
    Difference,
    compare,
    refresh,
    refresh_written,
)
from catalog.services.derived.stale import mark, mark_all, mark_loose, refresh_stale, settle

CONSUMER = "derived"

__all__ = [
    "CHUNK",
    "CONSUMER",
    "Difference",
    "check_definitions",
    "compare",
    "load_plan",
    "mark",
    "mark_all",
    "mark_loose",
    "refresh",
    "refresh_stale",
    "refresh_written",
    "settle",
]
