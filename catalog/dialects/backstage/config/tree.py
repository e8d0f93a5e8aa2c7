"""Configuration as a tree whose every value knows where it was written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value: a scalar, or an object or list with nothing in it.

    value: None where it is undefined, since one of its variables is not set, or null. line: from
    1; 0 for what the environment says, whose `file` is then the variable. template: the text with
    its `${NAME}` as it may be stored, where there are any; else "". is_from_file: `{$file: …}`.
    """

    value: Any = field(repr=False)
    file: str
    line: int
    template: str = field(default="", repr=False)
    variables: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    is_from_file: bool = False

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


Node: TypeAlias = "dict[str, Any] | list[Any] | Leaf"


@dataclass(frozen=True, slots=True)
class Replaced:
    """A value that does not count since `by` does: a later one, or where this one is undefined
    the one before it."""

    path: Path
    leaf: Leaf
    by: Leaf


def leaves(node: Node, path: Path = ()) -> Iterator[tuple[Path, Leaf]]:
    """Every value below `node`, in its order."""
    if isinstance(node, Leaf):
        yield path, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    else:
        for index, value in enumerate(node):
            yield from leaves(value, (*path, index))


def plain(node: Node) -> Any:
    """The tree as JSON; what is undefined is left out."""
    if isinstance(node, Leaf):
        return node.value
    if isinstance(node, dict):
        found = {key: plain(value) for key, value in node.items()}
        return {key: value for key, value in found.items() if value is not None}
    return [value for value in map(plain, node) if value is not None]


def merge_objects(
    base: dict[str, Any], over: dict[str, Any], replaced: list[Replaced], path: Path = ()
) -> dict[str, Any]:
    """`over` laid on `base`: objects are merged, anything else is replaced, which is noted."""
    merged = dict(base)
    for key, value in over.items():
        where = (*path, key)
        merged[key] = _laid(merged[key], value, replaced, where) if key in merged else value
    return merged


def _laid(base: Node, over: Node, replaced: list[Replaced], path: Path) -> Node:
    if isinstance(base, dict) and isinstance(over, dict):
        return merge_objects(base, over, replaced, path)
    is_nothing = isinstance(over, Leaf) and (
        over.value is None or (over.value == {} and isinstance(base, dict))
    )
    if is_nothing:  # what is undefined is no value, and an object without keys replaces none
        replaced += [Replaced(path, leaf, first(base)) for _, leaf in leaves(over) if leaf.missing]
        return base
    by = first(over)
    replaced += [Replaced(where, leaf, by) for where, leaf in leaves(base, path)]
    return over


def first(node: Node) -> Leaf:
    """The first value of a tree; there is always one."""
    return next(leaf for _, leaf in leaves(node))


def dotted(path: Path) -> str:
    """`catalog.locations[0].target`; keys that hold dots or slashes stand in quotes."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step and all(c.isalnum() or c in "_-$" for c in step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]' if text else f'"{step}"'
    return text
