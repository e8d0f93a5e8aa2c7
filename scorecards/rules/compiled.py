"""What a rule of any language compiles to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, Final

from django.db.models import F, JSONField, Value

from catalog.selectors.kinds import Kinds
from catalog.selectors.sql import Sql


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a rule that is true, false or unknown by itself: one condition, one comparison.

    text: as it was written, or in words ("coverage >= 80"). actual: a jsonb expression of the value
    it looked at; what is expected stands in the text. verdict: a boolean expression, NULL for no
    data. capture: the name under which a failure message may use the value.
    """

    text: str
    actual: Any
    verdict: Any
    capture: str = ""


# How the parts of a rule hang together: the place of a part, or ("and" | "or" | "not", children).
Tree = int | tuple[str, tuple["Tree", ...]]


@dataclass(frozen=True, slots=True)
class Reads:
    """What a rule looks at: what makes it worth evaluating anew.

    sources: of facts ("sonarqube"), to name them when there is no data. is_related: other entities,
    up to one relation away or along ownership; is_timed: its outcome changes as time goes by;
    is_apart: what leaves no trace in the feed of the entity (docs, runs, metrics).
    """

    properties: frozenset[str] = frozenset()
    facts: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    is_related: bool = False
    is_timed: bool = False
    is_apart: bool = False

    def __or__(self, other: Reads) -> Reads:
        return Reads(
            self.properties | other.properties,
            self.facts | other.facts,
            self.sources | other.sources,
            self.is_related or other.is_related,
            self.is_timed or other.is_timed,
            self.is_apart or other.is_apart,
        )


@dataclass(frozen=True, slots=True)
class Compiled:
    """verdict: a boolean expression on Entity: true passes, false fails, NULL is no data.

    problem: why it can only be "no data" ("git.blame() is not supported"); then verdict is NULL.
    calls: numbers of the `JqCall`s its value depends on; one of them failing is an error.
    """

    verdict: Any
    parts: tuple[Part, ...] = ()
    tree: Tree | None = None
    reads: Reads = field(default_factory=Reads)
    calls: tuple[int, ...] = ()
    problem: str = ""

    @classmethod
    def impossible(cls, problem: str) -> Compiled:
        return cls(verdict=UNKNOWN, problem=problem)


@dataclass(frozen=True, slots=True)
class JqCall:
    """A program to be run over the value of a jsonb expression of each entity, before the rules are
    evaluated; they find what it gave as `value_of_call`.
    """

    number: int
    program: str
    value: Any


class Compilation:
    """What is shared by the rules of one scorecard as they are compiled.

    now: the moment that all of it is about. blueprint: the pk of the one that its entities are of;
    None when they may be of several.
    """

    def __init__(self, kinds: Kinds, now: datetime, blueprint: int | None = None) -> None:
        self.kinds = kinds
        self.now = now
        self.blueprint = blueprint
        self.calls: list[JqCall] = []
        self._aliases = count(1)

    def alias(self) -> str:
        """A name for a row of a subquery that nothing else in the statement has."""
        return f"x{next(self._aliases)}"

    def call(self, program: str, value: Any) -> tuple[int, Sql]:
        """Have a JQ program run over `value`; returns its number, and what it gives as jsonb."""
        number = len(self.calls)
        self.calls.append(JqCall(number, program, value))
        return number, value_of_call(number)


UNKNOWN: Final = Sql("NULL::boolean")


def value_of_call(number: int) -> Sql:
    """What a `JqCall` gave, as jsonb; NULL where it gave null or failed."""
    return Sql(
        "(SELECT j.value FROM scorecards_jq j WHERE j.entity_id = {} AND j.number = {})",
        F("pk"),
        Value(number),
        output_field=JSONField(),
    )
