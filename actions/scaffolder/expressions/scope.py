"""The names of a template while it is evaluated."""

from __future__ import annotations

from typing import Any

from .values import UNDEFINED


class Scope:
    """Names and their values. is_closed: `set` inside does not reach the names outside."""

    __slots__ = ("is_closed", "names", "outer")

    def __init__(self, outer: Scope | None = None, *, is_closed: bool = False) -> None:
        self.outer = outer
        self.is_closed = is_closed
        self.names: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        scope: Scope | None = self
        while scope:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        return UNDEFINED

    def has(self, name: str) -> bool:
        return name in self.names or (self.outer is not None and self.outer.has(name))

    def assign(self, name: str, value: Any) -> None:
        """Into the nearest scope that has the name, else into this one."""
        scope: Scope | None = self
        while scope:
            if name in scope.names:
                scope.names[name] = value
                return
            if scope.is_closed:
                break
            scope = scope.outer
        self.names[name] = value
