"""The one door: every change of an entity goes through `apply`, `delete`, `rename` or `restore`.

A batch is one transaction with a constant number of statements. Writers of one blueprint take
turns by an advisory lock; those of different blueprints run side by side. Locks are taken in one
order (see `locking`), so writers never deadlock, never lose an update, and never miss that the
target of an edge appeared meanwhile.
"""

from catalog.services.entities.digests import rehash, wrong_hashes
from catalog.services.entities.door import apply
from catalog.services.entities.drafts import (
    MAX_BATCH,
    ApplyResult,
    EntityDraft,
    ItemResult,
    MissingTargets,
    Mode,
    Status,
)
from catalog.services.entities.locking import lock_everything
from catalog.services.entities.removal import delete, restore
from catalog.services.entities.renaming import merge_all, rename, rename_target_blueprint

__all__ = [
    "MAX_BATCH",
    "ApplyResult",
    "EntityDraft",
    "ItemResult",
    "MissingTargets",
    "Mode",
    "Status",
    "apply",
    "delete",
    "lock_everything",
    "merge_all",
    "rehash",
    "rename",
    "rename_target_blueprint",
    "restore",
    "wrong_hashes",
]
