"""What differs between two versions of a definition, and what of it breaks clients.

OpenAPI is compared operation by operation, down to the fields of bodies; other formats by what
their outlines tell. Doubt counts as breaking: whoever reads it decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from catalog.kernel.api_outline.items import Format, Item, ItemKind, Outline
from catalog.kernel.api_outline.openapi import operations_of
from catalog.kernel.api_outline.texts import list_of, map_of, name_of, resolved

MAX_DETAILS: Final = 100  # of one item
_MAX_DEPTH: Final = 12  # of the schemas that are compared
_MAX_STEPS: Final = 100_000  # of the comparison as a whole

_Pair = tuple[Mapping[str, Any], Mapping[str, Any]]


class Verdict(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Detail:
    text: str
    is_breaking: bool = False


@dataclass(frozen=True, slots=True)
class ItemChange:
    """verdict CHANGED has details; what is removed is breaking as a whole."""

    verdict: Verdict
    item: Item
    details: Sequence[Detail] = ()

    @property
    def is_breaking(self) -> bool:
        return self.verdict is Verdict.REMOVED or any(d.is_breaking for d in self.details)


@dataclass(frozen=True, slots=True)
class Comparison:
    """changes: removed ones first, then changed ones, then new ones, each in their own order.

    is_cut: the definitions are so large that not all of them was compared.
    """

    changes: Sequence[ItemChange] = ()
    is_cut: bool = False

    @property
    def breaking_count(self) -> int:
        return sum(change.is_breaking for change in self.changes)


def compare(before: Outline, after: Outline) -> Comparison:
    """What became of `before`. Both are outlines of definitions that can be read."""
    old = {(item.kind, item.name): item for item in before.items}
    new = {(item.kind, item.name): item for item in after.items}
    budget = _Budget()
    operations: Mapping[tuple[str, str], _Pair] = {}
    if before.format is after.format is Format.OPENAPI:
        operations = _pairs(before.document or {}, after.document or {})
    documents = (before.document or {}, after.document or {})
    removed = [ItemChange(Verdict.REMOVED, item) for key, item in old.items() if key not in new]
    added = [ItemChange(Verdict.ADDED, item) for key, item in new.items() if key not in old]
    changed = []
    for key, item in new.items():
        if key not in old:
            continue
        pair = operations.get((item.kind, item.name))
        details = (
            _Operations(documents, budget).details(*pair) if pair else _of_items(old[key], item)
        )
        if details:
            changed.append(ItemChange(Verdict.CHANGED, item, tuple(details[:MAX_DETAILS])))
    return Comparison((*removed, *changed, *added), is_cut=budget.is_spent)


def _of_items(old: Item, new: Item) -> list[Detail]:
    details = list(_common(old.is_deprecated, new.is_deprecated))
    if old.signature != new.signature and not (old.members and new.members):
        details.append(Detail(f"{old.signature or '–'} became {new.signature or '–'}", True))
    for name, said in old.members.items():
        if name not in new.members:
            details.append(Detail(f"{name} is gone", True))
        elif new.members[name] != said:
            details.append(Detail(f"{name}{_of(said)} became {name}{_of(new.members[name])}", True))
    for name, said in new.members.items():
        if name not in old.members:
            is_needed = new.kind is ItemKind.INPUT and said.endswith("!")
            details.append(Detail(f"{name}{_of(said)} is new", is_needed))
    return details


def _of(said: str) -> str:
    return said if not said or said.startswith((":", "(")) else f": {said}"


def _common(was_deprecated: bool, is_deprecated: bool) -> Iterator[Detail]:
    if is_deprecated and not was_deprecated:
        yield Detail("is deprecated now")
    elif was_deprecated and not is_deprecated:
        yield Detail("is no longer deprecated")


# --- OpenAPI ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Budget:
    """Definitions come from people we do not know: the comparison ends somewhere."""

    steps: int = _MAX_STEPS

    def spend(self) -> bool:
        self.steps -= 1
        return self.steps >= 0

    @property
    def is_spent(self) -> bool:
        return self.steps < 0


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[tuple[str, str], _Pair]:
    """Operations that are in both, each with what its path says for it."""
    found: dict[tuple[str, str], _Pair] = {}
    for section, kind in (("paths", ItemKind.OPERATION), ("webhooks", ItemKind.WEBHOOK)):
        old = {
            name_of(f"{method} {path}"): _with_shared(operation, shared)
            for method, path, operation, shared in operations_of(before, section)
        }
        for method, path, operation, shared in operations_of(after, section):
            name = name_of(f"{method} {path}")
            if name in old:
                found[(kind, name)] = (old[name], _with_shared(operation, shared))
    return found


def _with_shared(operation: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = [*list_of(shared.get("parameters")), *list_of(operation.get("parameters"))]
    return {**operation, "parameters": parameters}


@dataclass(slots=True)
class _Operations:
    """Compares two versions of an operation, each within its own document."""

    documents: _Pair
    budget: _Budget
    found: list[Detail] = field(default_factory=list)

    def details(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Detail]:
        self.found = list(_common(old.get("deprecated") is True, new.get("deprecated") is True))
        self._parameters(old, new)
        self._body(old, new)
        self._responses(old, new)
        if old.get("security") != new.get("security"):
            self._say("who may call it changed", is_breaking=bool(new.get("security")))
        return list(dict.fromkeys(self.found))

    def _say(self, text: str, *, is_breaking: bool = False) -> None:
        if len(self.found) <= MAX_DETAILS:
            self.found.append(Detail(text[:500], is_breaking))

    def _parameters(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        before, after = (
            self._by_name(document, operation)
            for document, operation in zip(self.documents, (old, new), strict=True)
        )
        for key in before:
            if key not in after:
                self._say(f"{_called(key)} is gone", is_breaking=True)
        for key, parameter in after.items():
            is_needed = parameter.get("required") is True
            if key not in before:
                needed = "new and required" if is_needed else "new"
                self._say(f"{_called(key)} is {needed}", is_breaking=is_needed)
                continue
            was_needed = before[key].get("required") is True
            if is_needed != was_needed:
                now = "required now" if is_needed else "no longer required"
                self._say(f"{_called(key)} is {now}", is_breaking=is_needed)
            # in OpenAPI 2 a parameter is its own schema
            schemas = (before[key].get("schema", before[key]), parameter.get("schema", parameter))
            self._schema(schemas, _called(key), is_request=True)

    def _by_name(
        self, document: Mapping[str, Any], operation: Mapping[str, Any]
    ) -> dict[tuple[str, str], Mapping[str, Any]]:
        found = {}
        for written in list_of(operation.get("parameters"))[:500]:
            parameter = resolved(document, written)
            if isinstance(parameter.get("name"), str) and isinstance(parameter.get("in"), str):
                found[(parameter["in"], parameter["name"])] = parameter
        return found

    def _body(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        before = resolved(self.documents[0], old.get("requestBody"))
        after = resolved(self.documents[1], new.get("requestBody"))
        if not before and not after:
            return
        is_needed = after.get("required") is True
        if not before:
            needed = "required" if is_needed else "taken"
            self._say(f"a body is {needed} now", is_breaking=is_needed)
            return
        if not after:
            self._say("a body is no longer taken", is_breaking=True)
            return
        if is_needed != (before.get("required") is True):
            now = "required now" if is_needed else "no longer required"
            self._say(f"the body is {now}", is_breaking=is_needed)
        self._contents(before, after, "the body", is_request=True)

    def _responses(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        before, after = map_of(old.get("responses")), map_of(new.get("responses"))
        for status in before:
            if status not in after:
                self._say(f"answer {status} is gone", is_breaking=str(status).startswith("2"))
        for status, written in after.items():
            if status not in before:
                self._say(f"answer {status} is new")
                continue
            pair = (
                resolved(self.documents[0], before[status]),
                resolved(self.documents[1], written),
            )
            where = f"answer {status}"
            if "schema" in pair[0] or "schema" in pair[1]:  # OpenAPI 2
                self._schema((pair[0].get("schema"), pair[1].get("schema")), where, False)
            self._contents(*pair, where, is_request=False)

    def _contents(
        self, old: Mapping[str, Any], new: Mapping[str, Any], where: str, *, is_request: bool
    ) -> None:
        before, after = map_of(old.get("content")), map_of(new.get("content"))
        for media in before:
            if media not in after:
                self._say(f"{where}: {media} is gone", is_breaking=True)
        for media, written in after.items():
            if media not in before:
                self._say(f"{where}: {media} is new")
                continue
            schemas = (map_of(before[media]).get("schema"), map_of(written).get("schema"))
            self._schema(schemas, where, is_request)

    def _schema(self, schemas: tuple[Any, Any], where: str, is_request: bool) -> None:
        """Compare level by level: a loop of references ends at what was compared before."""
        level = [(schemas, where)]
        seen: set[tuple[int, int]] = set()
        for _ in range(_MAX_DEPTH):
            below: list[tuple[tuple[Any, Any], str]] = []
            for (written_old, written_new), place in level:
                old = self._whole(0, written_old)
                new = self._whole(1, written_new)
                key = (id(written_old), id(written_new))
                if key in seen or not self.budget.spend():
                    continue
                seen.add(key)
                below += self._one(old, new, place, is_request)
            if not below:
                return
            level = below

    def _one(
        self, old: Mapping[str, Any], new: Mapping[str, Any], place: str, is_request: bool
    ) -> list[tuple[tuple[Any, Any], str]]:
        """Say what differs here; what is to be compared below."""
        if _types(old) != _types(new):
            self._say(f"{place}: {_types(old)} became {_types(new)}", is_breaking=True)
            return []
        self._values(old, new, place, is_request)
        before, after = map_of(old.get("properties")), map_of(new.get("properties"))
        needed_before = {n for n in list_of(old.get("required")) if isinstance(n, str)}
        needed_after = {n for n in list_of(new.get("required")) if isinstance(n, str)}
        for name in before:
            if name not in after:
                self._say(f"{place}: {name} is gone", is_breaking=True)
        for name in after:
            is_needed = name in needed_after
            if name not in before:
                needed = "new and required" if is_needed and is_request else "new"
                self._say(f"{place}: {name} is {needed}", is_breaking=is_needed and is_request)
            elif is_needed and name not in needed_before:
                self._say(f"{place}: {name} is required now", is_breaking=is_request)
            elif not is_needed and name in needed_before:
                self._say(f"{place}: {name} may be missing now", is_breaking=not is_request)
        below = [((before[n], after[n]), f"{place}: {n}") for n in after if n in before]
        if old.get("items") and new.get("items"):
            below.append(((old["items"], new["items"]), f"{place}[]"))
        for way in ("oneOf", "anyOf"):
            ways = (list_of(old.get(way)), list_of(new.get(way)))
            if len(ways[0]) != len(ways[1]):
                numbers = f"{len(ways[0])} alternatives became {len(ways[1])}"
                self._say(f"{place}: {numbers}", is_breaking=True)
            else:
                below += [(pair, place) for pair in zip(*ways, strict=True)]
        return below

    def _values(
        self, old: Mapping[str, Any], new: Mapping[str, Any], place: str, is_request: bool
    ) -> None:
        before, after = list_of(old.get("enum"))[:1000], list_of(new.get("enum"))[:1000]
        if before and after:
            gone = [str(value) for value in before if value not in after]
            fresh = [str(value) for value in after if value not in before]
            if gone:
                self._say(f"{place}: no longer {', '.join(gone)[:200]}", is_breaking=is_request)
            if fresh:
                self._say(f"{place}: also {', '.join(fresh)[:200]}", is_breaking=not is_request)
        elif after and is_request:
            self._say(f"{place}: only {', '.join(map(str, after))[:200]} now", is_breaking=True)
        if old.get("format") != new.get("format"):
            self._say(f"{place}: format {old.get('format')} became {new.get('format')}")

    def _whole(self, side: int, written: Any) -> Mapping[str, Any]:
        """A schema with what its `allOf` adds."""
        schema = resolved(self.documents[side], written)
        parts = [resolved(self.documents[side], part) for part in list_of(schema.get("allOf"))[:50]]
        if not parts:
            return schema
        properties: dict[str, Any] = {}
        required: list[Any] = []
        for part in (*parts, schema):
            properties |= map_of(part.get("properties"))
            required += list_of(part.get("required"))
        types = next((part["type"] for part in parts if "type" in part), "object")
        return {"type": types, **schema, "properties": properties, "required": required}


def _called(key: tuple[str, str]) -> str:
    return f"{key[0]} parameter {key[1]}" if key[0] != "body" else "the body"


def _types(schema: Mapping[str, Any]) -> str:
    said = schema.get("type")
    names = [str(one) for one in said] if isinstance(said, list) else [str(said or "any")]
    if schema.get("nullable") is True:
        names.append("null")
    return " or ".join(sorted(dict.fromkeys(names)))
