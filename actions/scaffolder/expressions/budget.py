"""How much a template may use, and the meter that counts it while it is rendered."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass

from .errors import LimitReached

_CHARACTERS_PER_STEP = 32  # copying text is that much cheaper than evaluating a node


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one call of `render_text`, `render_value` or `evaluate`.

    source: characters of one template. nodes: parts it is parsed into. fuel: steps (a node
    evaluated, a turn of a loop, an item handled by a filter, some characters made). nesting: depth
    of blocks, brackets, calls and values. output: characters of the result. text: characters of
    one text inside. items: length of one list made. regex_seconds: for all regular expressions.
    """

    source: int = 2_000_000
    nodes: int = 50_000
    fuel: int = 250_000
    nesting: int = 100
    output: int = 4_000_000
    text: int = 1_000_000
    items: int = 50_000
    regex_seconds: float = 0.3


class Meter:
    """Counts what one call uses; raises LimitReached."""

    __slots__ = ("budget", "depth", "fuel", "output", "regex_seconds")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.fuel = budget.fuel
        self.output = budget.output
        self.regex_seconds = budget.regex_seconds
        self.depth = 0

    def spend(self, steps: int = 1) -> None:
        self.fuel -= steps
        if self.fuel < 0:
            raise LimitReached("fuel", self.budget.fuel)

    def text(self, length: float) -> None:
        """A text of `length` characters is about to be made."""
        if length > self.budget.text:
            raise LimitReached("text", self.budget.text)
        self.spend(int(length) // _CHARACTERS_PER_STEP)

    def items(self, count: float) -> None:
        """A list of `count` items is about to be made or walked."""
        if count > self.budget.items:
            raise LimitReached("items", self.budget.items)
        self.spend(int(count))

    def walk(self, value: object) -> None:
        """Charge for going once through `value`."""
        if isinstance(value, str):
            self.spend(len(value) // _CHARACTERS_PER_STEP)
        elif isinstance(value, Sized):
            self.spend(len(value))

    def write(self, length: int) -> None:
        """`length` characters go into the result."""
        self.output -= length
        if self.output < 0:
            raise LimitReached("output", self.budget.output)
        self.spend(length // _CHARACTERS_PER_STEP)

    def enter(self) -> None:
        self.depth += 1
        if self.depth > self.budget.nesting:
            raise LimitReached("nesting", self.budget.nesting)

    def leave(self) -> None:
        self.depth -= 1
