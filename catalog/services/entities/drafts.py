"""What callers say to the door, and what it answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from catalog.kernel.errors import IdpError

MAX_BATCH: Final = 5000


class Mode(StrEnum):
    """What a draft does to an entity that exists; one that does not is created."""

    CREATE = "create"  # refuse it
    REPLACE = "replace"  # what the draft does not say is reset
    MERGE = "merge"  # only what the draft says changes; None clears a key


class MissingTargets(StrEnum):
    """What happens when a relation names an entity that is not there."""

    REJECT = "reject"
    CREATE = "create"  # with nothing but an identifier and a title
    DANGLE = "dangle"  # keep the edge; it is mended when the target appears


class Unset:
    """Not said by the caller (in a merge, different from None, which clears)."""

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset()


@dataclass(frozen=True, slots=True)
class EntityDraft:
    """What a caller wants an entity to be.

    blueprint: identifier of the blueprint. identifier: None makes one up. team: identifiers of
    owning teams. relations: {relation: target | [targets] | None}; a relation to any kind takes
    "blueprint:identifier". descriptor, location: the foreign document and where it was read.
    if_hash: refuse with Conflict when the stored content is no longer this (optimistic locking).
    """

    blueprint: str
    identifier: str | None
    title: str | Unset | None = UNSET
    icon: str | Unset | None = UNSET
    team: Sequence[str] | str | Unset | None = UNSET
    properties: dict[str, Any] | Unset | None = UNSET
    relations: dict[str, Any] | Unset | None = UNSET
    descriptor: dict[str, Any] | Unset | None = UNSET
    location: str | Unset | None = UNSET
    if_hash: bytes | None = None


class Status(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"
    SKIPPED = "skipped"  # good, but all-or-nothing and another one was rejected


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of the draft at `index`. pk is None when nothing is stored.

    additional: what the caller is told once (see `registry.register_welcome`).
    """

    index: int
    blueprint: str
    identifier: str
    status: Status
    pk: int | None = None
    error: IdpError | None = None
    additional: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """One item per draft, in order; and the targets made up for `MissingTargets.CREATE`."""

    items: list[ItemResult]
    created_targets: list[tuple[str, str]] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        return Counter(item.status.value for item in self.items)

    @property
    def rejected(self) -> list[ItemResult]:
        return [item for item in self.items if item.status is Status.REJECTED]
