"""An entity's page, put together: the facts of its header, its values, its edges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.safestring import SafeString

from catalog.portal import values
from catalog.portal.links import is_web
from catalog.selectors.entity_page import RelatedGroup, RelatedRow
from catalog.selectors.kinds import Kind, Kinds
from catalog.selectors.tables import (
    Column,
    Source,
    Target,
    columns_of,
    default_columns,
    plain_value,
)

MAX_FACTS: Final = 6
MAX_LINKS: Final = 6
LONG_TEXT: Final = 280
RELATED_COLUMNS: Final = 3

# What people look for first, in this order; enumerations follow.
_FIRST_FACTS = (*values.LABEL_NAMES, "language")
_OPEN_FORMATS = ("markdown", "yaml", "proto")


@dataclass(frozen=True, slots=True)
class Property:
    """One value. origin: "mirror", "calculation", "aggregation", "unknown" to its schema, or "".
    problem: why there is none, where it could not be worked out.
    """

    name: str
    title: str
    description: str
    html: SafeString
    is_empty: bool
    origin: str = ""
    problem: str = ""

    @property
    def path(self) -> str:
        return f"properties.{self.name}"


@dataclass(frozen=True, slots=True)
class OutLink:
    url: str
    title: str


@dataclass(frozen=True, slots=True)
class RelatedTable:
    """A group of edges with what its rows show. kind: None where its blueprint is gone."""

    group: RelatedGroup
    kind: Kind | None
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Values:
    """description: its text, shown first. facts: for the header. listed: short values, in rows.
    blocks: those that want a card of their own. links: addresses outside."""

    description: SafeString | None
    facts: Sequence[Property]
    listed: Sequence[Property]
    blocks: Sequence[Property]
    links: Sequence[OutLink]

    @property
    def empty_count(self) -> int:
        return sum(one.is_empty for one in self.listed)


def arrange(
    kind: Kind,
    stored: Mapping[str, Any],
    computed: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
) -> Values:
    """The values of an entity, as its kind describes them.

    errors: why computed ones are missing, by name.
    """
    computed, errors = computed or {}, errors or {}
    described = stored.get("description")
    description = None
    listed: list[Property] = []
    blocks: list[Property] = []
    for name, value, spec, origin in _all(kind, stored, computed):
        if name == "description" and isinstance(described, str) and described.strip():
            description = values.full(described, {**spec, "format": "markdown"})
            continue
        problem = errors.get(name, "") if origin not in ("", "unknown") else ""
        one = _property(name, value, spec, origin, problem)
        (blocks if _wants_room(value, spec) else listed).append(one)
    return Values(
        description=description,
        facts=_facts(kind, stored, computed),
        listed=listed,
        blocks=blocks,
        links=_links(kind, stored)[:MAX_LINKS],
    )


def relation_facts(groups: Sequence[RelatedGroup]) -> list[tuple[str, SafeString]]:
    """Single relations (system, domain, parent) for the header; the owner has its own place."""
    return [
        (group.title, values.target(group.rows[0].target))
        for group in groups
        if len(group.rows) == 1 and group.relation in ("system", "domain", "parent", "subdomainOf")
    ]


def outgoing_lines(groups: Sequence[RelatedGroup]) -> list[tuple[str, SafeString, str]]:
    """Every relation with its first targets and its path ("relations.owner"), for a card."""
    by_relation: dict[tuple[str, str], list[Any]] = {}
    for group in groups:
        key = (group.title, f"relations.{group.relation}")
        by_relation.setdefault(key, []).extend(row.target for row in group.rows)
    return [
        (title, values.targets(found, limit=6), path)
        for (title, path), found in by_relation.items()
    ]


def related_tables(
    groups: Sequence[RelatedGroup], kinds: Kinds, owners: Mapping[str, Target]
) -> list[RelatedTable]:
    """The edges of an entity as tables, with the columns that tell things of that kind apart."""
    found = []
    for group in groups:
        kind = kinds.get(group.blueprint)
        columns = columns_of(kind) if kind else {}
        shown = [columns[key] for key in (default_columns(kind) if kind else [])]
        shown = [c for c in shown if c.source in (Source.PROPERTY, Source.COMPUTED)]
        shown = shown[:RELATED_COLUMNS]
        rows = [_related_row(row, shown, owners) for row in group.rows]
        found.append(RelatedTable(group, kind, shown, rows))
    return found


def _related_row(
    row: RelatedRow, columns: Sequence[Column], owners: Mapping[str, Target]
) -> dict[str, Any]:
    entity = row.entity
    if entity is None:
        return {"row": row}
    cells = [(c, plain_value(entity, c)) for c in columns]
    return {
        "row": row,
        "owners": values.targets([owners[team] for team in entity.team]),
        "cells": [(c, values.column_cell(c, v), values.is_empty(v)) for c, v in cells],
    }


def _all(
    kind: Kind, stored: Mapping[str, Any], computed: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Mapping[str, Any], str]]:
    for name, spec in kind.properties.items():
        yield name, stored.get(name), spec, ""
    for name, spec in kind.computed.items():
        yield name, computed.get(name), spec, _origin(spec)
    for name, value in stored.items():
        if name not in kind.properties:
            yield name, value, {}, "unknown"


def _property(
    name: str, value: Any, spec: Mapping[str, Any], origin: str, problem: str = ""
) -> Property:
    return Property(
        name=name,
        title=spec.get("title") or name,
        description=spec.get("description") or "",
        html=values.full(value, spec),
        is_empty=values.is_empty(value) and not problem,
        origin=origin,
        problem=problem,
    )


def _origin(spec: Mapping[str, Any]) -> str:
    if "path" in spec:
        return "mirror"
    return "calculation" if "calculation" in spec else "aggregation"


def _wants_room(value: Any, spec: Mapping[str, Any]) -> bool:
    if not isinstance(value, str):
        return False
    is_open = spec.get("format") in _OPEN_FORMATS or spec.get("spec") in ("open-api", "async-api")
    return (is_open and "\n" in value.strip()) or len(value) > LONG_TEXT


def _facts(kind: Kind, stored: Mapping[str, Any], computed: Mapping[str, Any]) -> list[Property]:
    """Short words that place a thing: lifecycle, tier, type and other enumerations."""
    everything = {**stored, **computed}
    specs = {**kind.properties, **kind.computed}
    names = [name for name in _FIRST_FACTS if name in specs]
    names += [name for name, spec in specs.items() if spec.get("enum") and name not in names]
    facts = []
    for name in names:
        value = everything.get(name)
        if values.is_empty(value) or isinstance(value, dict | list) or len(str(value)) > 40:
            continue
        spec = specs[name]
        # a word without colours of its own still reads as a label
        shown = spec if spec.get("enum") or not isinstance(value, str) else {"enum": [value]}
        facts.append(_property(name, value, {**spec, **shown}, ""))
    return facts[:MAX_FACTS]


def _links(kind: Kind, stored: Mapping[str, Any]) -> list[OutLink]:
    found = []
    listed = stored.get("links")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and is_web(one.get("url")):
            found.append(OutLink(one["url"], str(one.get("title") or one["url"])))
    for name, spec in kind.properties.items():
        value = stored.get(name)
        title = str(spec.get("title") or name)
        if spec.get("format") == "url" and is_web(value):
            found.append(OutLink(str(value), title))
        elif isinstance(value, dict) and is_web(value.get("url")) and name != "links":
            found.append(OutLink(value["url"], str(value.get("displayText") or title)))
    return found
