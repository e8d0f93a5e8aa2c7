"""The progress of a run: one entry for each resource of the mapping, kept on the run's row.

{"kind", "index", "state", "pages", "fetched", "filtered", "failed", "unknown", "incomplete",
"created", "updated", "unchanged", "rejected", "postponed", "message"}

kind: as the mapping names it. state: waiting, running, done, failed, skipped (another kind was
asked for) or stopped. fetched: items. filtered: items that the selector leaves out. failed: items
of which the mapping could not make what it should. unknown: those of them of which it is not known
which entities they stand for. incomplete: entities of which a field failed and was left empty.
created … rejected: entities. postponed: entities that wait for what they name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class KindProgress:
    """One entry, while it is worked on (see the module)."""

    kind: str
    index: int
    state: str = "waiting"
    pages: int = 0
    fetched: int = 0
    filtered: int = 0
    failed: int = 0
    unknown: int = 0
    incomplete: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    postponed: int = 0
    message: str = ""

    @property
    def stored(self) -> int:
        return self.created + self.updated + self.unchanged

    @property
    def has_trouble(self) -> bool:
        return self.state == "failed" or bool(self.failed or self.rejected)

    def count(self, **numbers: int) -> None:
        """Add to the numbers named."""
        for name, number in numbers.items():
            setattr(self, name, getattr(self, name) + number)

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> KindProgress:
        return cls(**{name: entry[name] for name in cls.__slots__ if name in entry})


def written(entries: Iterable[KindProgress]) -> list[dict[str, Any]]:
    """The entries as the row keeps them."""
    return [asdict(entry) for entry in entries]
