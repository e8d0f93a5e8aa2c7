"""A place in configuration, read with the types that somebody expects of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from catalog.dialects.backstage.config.substitution import escaped
from catalog.dialects.backstage.config.tree import Leaf, Node, Path, dotted, first, plain
from catalog.kernel.errors import InvalidInput, shorten


@dataclass(frozen=True, slots=True)
class Entry:
    """The value at `path`. Whatever has the wrong type is refused with its file and line; a
    secret's value is never said."""

    path: Path
    node: Node = field(repr=False)

    @property
    def key(self) -> str:
        return dotted(self.path)

    @property
    def place(self) -> str:
        return first(self.node).place

    @property
    def value(self) -> Any:
        """As JSON; None where it is undefined."""
        return plain(self.node)

    @property
    def missing(self) -> tuple[str, ...]:
        """Variables that are not set, which is why it is undefined."""
        return self.node.missing if isinstance(self.node, Leaf) else ()

    @property
    def variables(self) -> tuple[str, ...]:
        return self.node.variables if isinstance(self.node, Leaf) else ()

    @property
    def template(self) -> str:
        """The text as it may be stored: variables as `${NAME}`, and all else as it is meant."""
        if isinstance(self.node, Leaf) and self.node.template:
            return self.node.template
        return escaped(str(self.value))

    @property
    def is_object(self) -> bool:
        return isinstance(self.node, dict) or (isinstance(self.node, Leaf) and self.value == {})

    @property
    def is_list(self) -> bool:
        return isinstance(self.node, list) or (isinstance(self.node, Leaf) and self.value == [])

    def __bool__(self) -> bool:
        return True

    def get(self, *keys: str) -> Entry | None:
        """What stands below, if it does; a null is nothing. Undefined values are there."""
        node, path = self.node, self.path
        for key in keys:
            if not isinstance(node, dict) or key not in node:
                return None
            node, path = node[key], (*path, key)
        if isinstance(node, Leaf) and node.value is None and not node.missing:
            return None
        return Entry(path, node)

    def items(self) -> Iterator[tuple[str, Entry]]:
        """The keys of an object with what they hold. Raises InvalidInput."""
        if not self.is_object:
            raise self.wrong("an object")
        if isinstance(self.node, dict):
            for key, node in self.node.items():
                yield key, Entry((*self.path, key), node)

    def elements(self) -> Iterator[Entry]:
        """The elements of a list. Raises InvalidInput."""
        if not self.is_list:
            raise self.wrong("a list")
        if isinstance(self.node, list):
            for at, node in enumerate(self.node):
                yield Entry((*self.path, at), node)

    def text(self) -> str:
        """Raises InvalidInput, also where it is undefined."""
        if self.missing:
            raise self.undefined()
        value = self.value
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.wrong("text")
        return str(value)

    def flag(self) -> bool:
        """Raises InvalidInput."""
        value = self.value
        if isinstance(value, str) and value.lower() in ("true", "false"):  # from a variable
            return value.lower() == "true"
        if self.missing:
            raise self.undefined()
        if not isinstance(value, bool):
            raise self.wrong("true or false")
        return value

    def texts(self) -> list[str]:
        """A list of texts; one text is a list of one. Raises InvalidInput."""
        if not self.is_list:
            return [self.text()]
        return [one.text() for one in self.elements()]

    def wrong(self, expected: str) -> InvalidInput:
        """The refusal of this value. It is said only where it is no text: that may be a secret."""
        value = self.value
        said = f'"{shorten(value)}"' if isinstance(value, bool | int | float) else _kind(value)
        return self.refused(f"it is {said}; expected {expected}", expected=expected)

    def undefined(self) -> InvalidInput:
        names = ", ".join(self.missing)
        verb = "is" if len(self.missing) == 1 else "are"
        return self.refused(f"{names} {verb} not set", expected="a value")

    def refused(self, message: str, *, expected: str = "") -> InvalidInput:
        return InvalidInput(
            f"{self.place}: {self.key}: {message}",
            details={"field": self.key, **({"expected": expected} if expected else {})},
        )


def _kind(value: Any) -> str:
    for kind, words in ((str, "text"), (list, "a list"), (dict, "an object")):
        if isinstance(value, kind):
            return words
    return "nothing"
