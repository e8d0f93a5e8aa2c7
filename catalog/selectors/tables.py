"""The table of a kind: its columns, a page of its rows, and the values a column has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import Any, Final

from django.db.models import (
    CharField,
    Count,
    DateTimeField,
    F,
    IntegerField,
    JSONField,
    QuerySet,
    TextField,
    Value,
)

from catalog.kernel.actors import Principal
from catalog.kernel.keyset import Key, Keyset
from catalog.models import TEAM, Blueprint, Entity, EntityQuerySet, Relation, name_in_order
from catalog.selectors.kinds import Kind, Link
from catalog.selectors.search import search
from catalog.selectors.sql import Sql

COUNT_CAP: Final = 1000
MAX_VALUES: Final = 50
_HIGHEST: Final = "\U0010ffff"  # the last character there is
DEFAULT_COLUMNS: Final = 7

TITLE, IDENTIFIER, OWNER = "$title", "$identifier", "$team"
UPDATED, CREATED = "$updatedAt", "$createdAt"

_TELLING = {"type", "tier", "lifecycle", "status"}

# What says little in a narrow column is not shown until somebody asks for it.
_WIDE_FORMATS = {"markdown", "yaml", "proto", "multi-line"}


# What a row shows; the search vector and the foreign document are heavy and stay where they are.
_READ: Final = (
    "identifier",
    "title",
    "icon",
    "team",
    "properties",
    "computed",
    "relations",
    "created_at",
    "updated_at",
    "blueprint",
)


class Source(StrEnum):
    """Where the value of a column is."""

    META = "meta"
    PROPERTY = "property"
    COMPUTED = "computed"
    RELATION = "relation"


@dataclass(frozen=True, slots=True)
class Column:
    """key: unique in the table, as in its URL ("$title", "tier", "relations.system").

    spec: JSON Schema of the value; of relations it is empty. link: of a relation.
    """

    key: str
    name: str
    title: str
    source: Source
    spec: Mapping[str, Any] = field(default_factory=dict)
    link: Link | None = None

    @property
    def type(self) -> str:
        """What can be asked of it: string, number, boolean, date, array, object, relation, team."""
        if self.source is Source.RELATION:
            return "relation"
        if self.key == OWNER:
            return "team"
        if self.spec.get("format") in ("date-time", "timer"):
            return "date"
        return str(self.spec.get("type", "string"))


_META = {
    key: Column(key, key[1:], title, Source.META, spec)
    for key, title, spec in (
        (TITLE, "Title", {"type": "string"}),
        (IDENTIFIER, "Identifier", {"type": "string"}),
        (OWNER, "Owner", {"type": "array"}),
        (UPDATED, "Updated", {"type": "string", "format": "date-time"}),
        (CREATED, "Created", {"type": "string", "format": "date-time"}),
    )
}


@dataclass(frozen=True, slots=True)
class Target:
    """The other end of an edge. title: None while it is not in the catalogue (yet)."""

    blueprint: str
    identifier: str
    title: str | None
    icon: str | None = None

    @property
    def is_missing(self) -> bool:
        return self.title is None

    @property
    def label(self) -> str:
        return self.title or self.identifier


@dataclass(frozen=True, slots=True)
class Row:
    """values: by key of column; targets for owners and relations, else the value itself."""

    entity: Entity
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ValueCount:
    """A value that a column has, as a filter writes it, and in how many rows."""

    value: str
    label: str
    count: int


def columns_of(kind: Kind) -> dict[str, Column]:
    """Every column the table of a kind can show, in the order of its blueprint."""
    columns = {key: _META[key] for key in (TITLE, IDENTIFIER, OWNER)}
    for source, specs in (
        (Source.PROPERTY, kind.properties),
        (Source.COMPUTED, kind.computed),
    ):
        for name, spec in specs.items():
            columns[name] = Column(name, name, spec.get("title") or name, source, spec)
    for name, link in kind.links.items():
        key = f"relations.{name}"
        columns[key] = Column(key, name, link.title, Source.RELATION, link=link)
    for key in (UPDATED, CREATED):
        columns[key] = _META[key]
    return columns


def default_columns(kind: Kind) -> list[str]:
    """Title and owner, then what tells rows apart: enumerations, short values, relations."""
    columns = columns_of(kind)
    shown = [TITLE] if kind.identifier.startswith("_") else [TITLE, OWNER]
    ranked = sorted(
        (c for c in columns.values() if c.source is not Source.META and _is_narrow(c)),
        key=lambda column: _rank(column, kind),
    )
    chosen = {c.key for c in ranked[: DEFAULT_COLUMNS - len(shown) - 1]}
    return [*shown, *(key for key in columns if key in chosen), UPDATED]


def rows_matching(
    principal: Principal,
    blueprint: Blueprint,
    *,
    query: Mapping[str, Any],
    text: str = "",
    teams: Sequence[str] | None = None,
) -> EntityQuerySet:
    """The rows that fit `query` (rule language), every word of `text`, and an owner in `teams`."""
    rows = search(query, principal=principal, blueprint=blueprint).only(*_READ)
    for word in text.lower().split():
        rows = rows.filter(label__contains=word)
    return rows if teams is None else rows.owned_by(list(teams))


def keyset_of(column: Column, *, descending: bool) -> Keyset:
    """The order of a table by a column; rows without a value come last either way."""
    if column.key == TITLE:
        keys = [Key("title", name_in_order(), TextField())]
    elif column.key == IDENTIFIER:
        return Keyset([Key("identifier", "identifier", CharField())], descending)
    elif column.key in (UPDATED, CREATED):
        name = "updated_at" if column.key == UPDATED else "created_at"
        keys = [Key("at", name, DateTimeField())]
    else:
        keys = _value_keys(column, descending)
    return Keyset([*keys, Key("pk", "pk", IntegerField())], descending)


def with_targets(
    principal: Principal, entities: Sequence[Entity], columns: Sequence[Column]
) -> list[Row]:
    """Rows with the titles of owners and related entities; at most three statements."""
    links = [c for c in columns if c.link is not None]
    related = _related(principal, entities, links)
    owners = {}
    if any(c.key == OWNER for c in columns):
        owners = owner_titles(principal, (e.team for e in entities))
    return [
        Row(entity, {c.key: _value(entity, c, related, owners) for c in columns})
        for entity in entities
    ]


def owner_titles(principal: Principal, teams: Iterable[Sequence[str]]) -> dict[str, Target]:
    """The teams of these identifiers; without a title those that are not in the catalogue."""
    wanted = {identifier for several in teams for identifier in several}
    if not wanted:
        return {}
    known = {
        identifier: (title or identifier, icon)
        for identifier, title, icon in Entity.objects.visible_to(principal)
        .filter(blueprint__identifier=TEAM, identifier__in=wanted)
        .values_list("identifier", "title", "icon")
    }
    return {
        identifier: Target(TEAM, identifier, *known.get(identifier, (None, None)))
        for identifier in wanted
    }


def count_capped(rows: QuerySet[Any], cap: int = COUNT_CAP) -> int:
    """How many rows, counted no further than `cap` + 1."""
    return rows.order_by()[: cap + 1].count()


def values_of(principal: Principal, rows: EntityQuerySet, column: Column) -> list[ValueCount]:
    """The most frequent values of a column among `rows`; at most two statements."""
    if column.link is not None:
        return _target_counts(principal, rows, column.link)
    expression = _facet(column)
    if expression is None:
        return []
    counted = (
        rows.order_by()
        .annotate(facet=expression)
        .values("facet")
        .annotate(count=Count("pk"))
        .order_by("-count", "facet")
    )[: MAX_VALUES + 1]
    found = [(one["facet"], one["count"]) for one in counted if one["facet"] not in (None, "")]
    labels = owner_titles(principal, [[value for value, _ in found]]) if column.key == OWNER else {}
    return [
        ValueCount(value, labels[value].label if value in labels else value, count)
        for value, count in found[:MAX_VALUES]
    ]


def in_order(rows: EntityQuerySet, column: Column, *, descending: bool) -> QuerySet[Any]:
    """All rows in the order of a column, for reading them from end to end."""
    keys = keyset_of(column, descending=descending).keys
    orders = [F(k.expression) if isinstance(k.expression, str) else k.expression for k in keys]
    return rows.order_by(*(one.desc() if descending else one.asc() for one in orders))


def plain_rows(
    rows: QuerySet[Any], columns: Sequence[Column], *, chunk: int = 2000
) -> Iterator[list[Any]]:
    """Every row as plain values, for an export; memory stays flat in the number of rows."""
    for entity in rows.iterator(chunk_size=chunk):
        yield [plain_value(entity, column) for column in columns]


def _value_keys(column: Column, descending: bool) -> list[Key]:
    """One expression, evaluated for every row: what is absent gets a value that sorts last."""
    if column.key == OWNER or column.type in ("string", "date"):
        last = Value("" if descending else _HIGHEST)
        text = (
            Sql("coalesce({}[1], {})", F("team"), last, output_field=TextField())
            if column.key == OWNER
            else Sql(
                "coalesce(lower({} ->> {}), {})", *_json(column), last, output_field=TextField()
            )
        )
        return [Key("value", text, TextField())]
    # jsonb compares by type first (null, text, number, boolean, array, object), then by value
    last = Value("null" if descending else "{}")
    value = Sql(
        "coalesce(nullif({} -> {}, '[]'), {}::jsonb)",
        *_json(column),
        last,
        output_field=JSONField(),
    )
    return [Key("value", value, JSONField())]


def _json(column: Column) -> tuple[F, Value]:
    store = {
        Source.COMPUTED: "computed",
        Source.RELATION: "relations",
    }.get(column.source, "properties")
    return F(store), Value(column.name, output_field=TextField())


def _facet(column: Column) -> Any:
    text = TextField()
    if column.key == OWNER:
        return Sql("unnest({})", F("team"), output_field=text)
    if column.source is Source.META or column.type in ("object", "date"):
        return None
    place = _json(column)
    if column.type == "array":
        return Sql(
            "jsonb_array_elements_text(CASE WHEN jsonb_typeof({} -> {}) = 'array' "
            "THEN {} -> {} ELSE '[]' END)",
            *place,
            *place,
            output_field=text,
        )
    return Sql("{} ->> {}", *place, output_field=text)


def _target_counts(principal: Principal, rows: EntityQuerySet, link: Link) -> list[ValueCount]:
    counted = list(
        Relation.objects.filter(definition=link.pk, source__in=rows.order_by())
        .values("target_blueprint", "target_identifier", "target_id")
        .annotate(count=Count("pk"))
        .order_by("-count", "target_identifier")[:MAX_VALUES]
    )
    titles = _titles(principal, (one["target_id"] for one in counted))
    return [
        ValueCount(
            one["target_identifier"]
            if link.target
            else f"{one['target_blueprint']}:{one['target_identifier']}",
            titles.get(one["target_id"], (one["target_identifier"],))[0],
            one["count"],
        )
        for one in counted
    ]


def _related(
    principal: Principal, entities: Sequence[Entity], links: Sequence[Column]
) -> dict[tuple[int, str], list[Target]]:
    """The targets by pk of the entity and key of the column, in their order; two statements."""
    if not links or not entities:
        return {}
    edges = list(
        Relation.objects.filter(
            source__in=[e.pk for e in entities],
            definition__in=[c.link.pk for c in links if c.link],
        )
        .order_by("source_id", "definition_id", "position", "pk")
        .values_list(
            "source_id", "definition_id", "target_blueprint", "target_identifier", "target_id"
        )
    )
    titles = _titles(principal, (edge[4] for edge in edges))
    names = {c.link.pk: c.key for c in links if c.link}
    return {
        (source, names[definition]): [
            Target(blueprint, identifier, *titles.get(pk, (None, None)))
            for _, _, blueprint, identifier, pk in group
        ]
        for (source, definition), group in groupby(edges, key=lambda edge: edge[:2])
    }


def _titles(
    principal: Principal, pks: Iterable[int | None]
) -> dict[int | None, tuple[str, str | None]]:
    """Title (or identifier) and icon of those entities that may be read."""
    wanted = {pk for pk in pks if pk is not None}
    if not wanted:
        return {}
    rows = Entity.objects.visible_to(principal).filter(pk__in=wanted)
    return {
        pk: (title or identifier, icon)
        for pk, identifier, title, icon in rows.values_list("pk", "identifier", "title", "icon")
    }


def _value(
    entity: Entity,
    column: Column,
    related: Mapping[tuple[int, str], list[Target]],
    owners: Mapping[str, Target],
) -> Any:
    if column.source is Source.RELATION:
        return related.get((entity.pk, column.key), [])
    if column.key == OWNER:
        return [owners[team] for team in entity.team]
    return plain_value(entity, column)


def plain_value(entity: Entity, column: Column) -> Any:
    """The value as it is stored: identifiers for owners and relations."""
    match column.source, column.key:
        case Source.META, "$title":
            return entity.title or entity.identifier
        case Source.META, "$identifier":
            return entity.identifier
        case Source.META, "$team":
            return entity.team
        case Source.META, "$updatedAt":
            return entity.updated_at
        case Source.META, _:
            return entity.created_at
        case Source.RELATION, _:
            return entity.relations.get(column.name)
        case Source.COMPUTED, _:
            return entity.computed.get(column.name)
    return entity.properties.get(column.name)


def _is_narrow(column: Column) -> bool:
    return column.type != "object" and column.spec.get("format") not in _WIDE_FORMATS


def _rank(column: Column, kind: Kind) -> int:
    """How much a column tells rows apart, the most first."""
    link = column.link
    if column.spec.get("enum"):
        return 0
    if column.type in ("number", "boolean", "date") or column.name in _TELLING:
        return 1
    if link is not None:
        # a relation to its own kind is empty for most
        is_place = not link.many and link.target not in (None, kind.identifier)
        return 2 if is_place else 5
    if column.name == "tags" or (column.type == "string" and column.spec.get("format") != "url"):
        return 3
    return 4
