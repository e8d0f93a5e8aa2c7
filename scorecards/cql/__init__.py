"""Cortex's rule language, compiled to SQL over the catalogue: see docs/cql.md."""

from scorecards.cql.compiling import compile_rule as compile
from scorecards.cql.errors import CqlSyntaxError
from scorecards.cql.groups import GROUPS, has_group, types_of
from scorecards.cql.parsing import parse
from scorecards.cql.parsing import parse as check
from scorecards.cql.sources import SOURCES, Source
from scorecards.cql.tree import to_text

compile_filter = compile

__all__ = [
    "GROUPS",
    "SOURCES",
    "CqlSyntaxError",
    "Source",
    "check",
    "compile",
    "compile_filter",
    "has_group",
    "parse",
    "to_text",
    "types_of",
]
