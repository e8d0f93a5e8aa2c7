"""The one door: every change of an entity goes through `apply`, `delete`, `rename` or `restore`.

A batch is one transaction with a constant number of statements. Writers of one blueprint take
turns by an advisory lock; those of different blueprints run side by side. Locks are taken in one
order (see `locking`), so writers never deadlock, never lose an update, and never miss that the
target of an edge appeared meanwhile.
"""

from catalog.services.entities.content import changed_parts, content_hash
from catalog.services.entities.door import apply
from catalog.services.entities.drafts import (
    MAX_BATCH,
    UNSET,
    ApplyResult,
    EntityDraft,
    ItemResult,
    MissingTargets,
    Mode,
    Status,
    Unset,
)
from catalog.services.entities.locking import lock_everything
from catalog.services.entities.removal import delete, restore
from catalog.services.entities.renaming import merge_all, rename, rename_target_blueprint

__all__ = [
    "MAX_BATCH",
    "UNSET",
    "ApplyResult",
    "EntityDraft",
    "ItemResult",
    "MissingTargets",
    "Mode",
    "Status",
    "Unset",
    "apply",
    "changed_parts",
    "content_hash",
    "delete",
    "lock_everything",
    "merge_all",
    "rename",
    "rename_target_blueprint",
    "restore",
]
