"""What differs between two versions of a scorecard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from catalog.services.documents import is_same
from scorecards.models import ScorecardVersion

_NAMED_BY: Final = ("identifier", "title", "name")  # what an element of a list is known by
_ABSENT: Final[Any] = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """path: as in "rules.hasOwner.level". kind: "added", "removed", "changed" or "moved"; what was
    before an addition, is after a removal, or is moved, is None.
    """

    path: str
    kind: str
    before: Any = None
    after: Any = None

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, "kind": self.kind, "before": self.before, "after": self.after}


def differences(before: ScorecardVersion, after: ScorecardVersion) -> list[Difference]:
    """Rules and levels are compared by their names, wherever they stand."""
    found = list(_of_values(before.document, after.document, ()))
    if before.dialect != after.dialect:
        found.insert(0, Difference("dialect", "changed", before.dialect, after.dialect))
    return found


def _of_values(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[Difference]:
    where = ".".join(path)
    if before is _ABSENT:
        yield Difference(where, "added", after=after)
    elif after is _ABSENT:
        yield Difference(where, "removed", before=before)
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _of_objects(before, after, path)
    elif (old := _named(before)) is not None and (new := _named(after)) is not None:
        yield from _of_objects(old, new, path)
        kept = [name for name in old if name in new]
        if kept != [name for name in new if name in old]:
            yield Difference(where, "moved")
    elif not is_same(before, after):
        yield Difference(where, "changed", before, after)


def _of_objects(
    before: Mapping[str, Any], after: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[Difference]:
    for key in {**before, **after}:
        yield from _of_values(before.get(key, _ABSENT), after.get(key, _ABSENT), (*path, key))


def _named(value: Any) -> dict[str, Any] | None:
    """A list of objects by their names; None for what is none, or has two of a name."""
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        return None
    for key in _NAMED_BY:
        names = [one.get(key) for one in value]
        if all(isinstance(name, str) for name in names):
            return dict(zip(names, value, strict=True)) if len({*names}) == len(names) else None
    return None
