"""The parts of an outline, whatever format it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Format(StrEnum):
    OPENAPI = "openapi"
    ASYNCAPI = "asyncapi"
    GRAPHQL = "graphql"
    GRPC = "grpc"
    TRPC = "trpc"
    OTHER = "other"

    @property
    def label(self) -> str:
        return _LABELS[self]


_LABELS = {
    Format.OPENAPI: "OpenAPI",
    Format.ASYNCAPI: "AsyncAPI",
    Format.GRAPHQL: "GraphQL",
    Format.GRPC: "gRPC",
    Format.TRPC: "tRPC",
    Format.OTHER: "Text",
}


class ItemKind(StrEnum):
    """value: as stored and shown."""

    OPERATION = "operation"
    WEBHOOK = "webhook"
    CHANNEL = "channel"
    MESSAGE = "message"
    QUERY = "query"
    MUTATION = "mutation"
    SUBSCRIPTION = "subscription"
    CALL = "call"
    TYPE = "type"
    INPUT = "input"
    ENUM = "enum"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a definition declares.

    name: unique among its kind ("GET /orders", "Query.order", "shop.Orders/Get"). signature: what
    it takes and gives, in the words of its format. members: the fields of a type and the values of
    an enumeration, each with its type. group: what it stands under.
    """

    kind: ItemKind
    name: str
    summary: str = ""
    description: str = ""
    group: str = ""
    signature: str = ""
    members: Mapping[str, str] = field(default_factory=dict)
    is_deprecated: bool = False

    @property
    def method(self) -> str:
        """GET of "GET /orders"; "" where there is none."""
        return self.name.split(" ", 1)[0] if self.kind is ItemKind.OPERATION else ""

    @property
    def path(self) -> str:
        return self.name.split(" ", 1)[-1] if self.kind is ItemKind.OPERATION else self.name


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a definition cannot be read. line: counted from 1; 0 where it has none."""

    message: str
    line: int = 0
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Outline:
    """A definition in short. document: what JSON and YAML hold, None of other formats.

    is_cut: it declares more items than are kept.
    """

    format: Format
    title: str = ""
    version: str = ""
    dialect: str = ""
    description: str = ""
    servers: Sequence[str] = ()
    items: Sequence[Item] = ()
    document: Mapping[str, Any] | None = None
    problem: Problem | None = None
    is_cut: bool = False
