"""Cortex's rule language, compiled to SQL over the catalogue: see docs/cql.md."""

from scorecards.cql.compiling import compile_rule as compile
from scorecards.cql.errors import CqlSyntaxError
from scorecards.cql.groups import GROUPS, has_group, types_of
from scorecards.cql.parsing import parse
from scorecards.cql.parsing import parse as check
from scorecards.cql.sources import SOURCES, Source

__all__ = [
    "GROUPS",
    "SOURCES",
    "CqlSyntaxError",
    "Source",
    "check",
    "compile",
    "has_group",
    "parse",
    "types_of",
]
