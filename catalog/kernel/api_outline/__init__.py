"""What an API's definition declares: OpenAPI, AsyncAPI, GraphQL, gRPC.

Definitions come from people we do not know, so every reader is bounded, takes whatever stands in
the wrong place for absent, follows references within the document alone, and says of a broken
definition in which line it breaks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from catalog.kernel.api_outline import asyncapi, graphql, openapi, protobuf
from catalog.kernel.api_outline.comparing import Comparison, compare
from catalog.kernel.api_outline.items import Format, Item, ItemKind, Outline, Problem
from catalog.kernel.api_outline.texts import MAX_CHARS

__all__ = [
    "Comparison",
    "Format",
    "Item",
    "ItemKind",
    "Outline",
    "Problem",
    "compare",
    "format_of",
    "read_outline",
]

_DECLARED: Final[Mapping[str, Format]] = {
    "openapi": Format.OPENAPI,
    "open-api": Format.OPENAPI,
    "swagger": Format.OPENAPI,
    "rest": Format.OPENAPI,
    "asyncapi": Format.ASYNCAPI,
    "async-api": Format.ASYNCAPI,
    "graphql": Format.GRAPHQL,
    "grpc": Format.GRPC,
    "proto": Format.GRPC,
    "protobuf": Format.GRPC,
    "trpc": Format.TRPC,
}
_MARKS: Final = (
    (re.compile(r"""^\s*\{?\s*["']?(?:openapi|swagger)["']?\s*:""", re.M), Format.OPENAPI),
    (re.compile(r"""^\s*\{?\s*["']?asyncapi["']?\s*:""", re.M), Format.ASYNCAPI),
    (re.compile(r'^\s*syntax\s*=\s*["\']proto|^\s*service\s+\w+\s*\{', re.M), Format.GRPC),
    (re.compile(r"^\s*(?:extend\s+)?(?:schema|type\s+\w+)[^\n:]*\{", re.M), Format.GRAPHQL),
)
_LOOKED_AT = 20_000  # characters of a definition from which its format is told

_READERS: Final[Mapping[Format, Callable[[str], Outline]]] = {
    Format.OPENAPI: openapi.read,
    Format.ASYNCAPI: asyncapi.read,
    Format.GRAPHQL: graphql.read,
    Format.GRPC: protobuf.read,
}


def format_of(text: str, declared: str = "") -> Format:
    """The format that the definition's author declares, else the one that it looks like.

    JSON and YAML say themselves what they are, so there the text has the last word.
    """
    said = _DECLARED.get(declared.strip().lower())
    head = text[:_LOOKED_AT]
    seen = next((fmt for pattern, fmt in _MARKS if pattern.search(head)), None)
    if said in (Format.OPENAPI, Format.ASYNCAPI) and seen in (Format.OPENAPI, Format.ASYNCAPI):
        return seen
    return said or seen or Format.OTHER


def read_outline(text: str, declared: str = "") -> Outline:
    """What the definition declares. A broken one has a `problem`, and what was read before it."""
    fmt = format_of(text, declared)
    reader = _READERS.get(fmt)
    if reader is None:
        return Outline(fmt)
    if len(text) > MAX_CHARS:
        return Outline(
            fmt,
            problem=Problem(f"{len(text):,} characters long; at most {MAX_CHARS:,} are read", 1),
        )
    return reader(text)
