"""Finding things by what people type: full text, parts of words, and typing mistakes, over
entities, pages of docs and the operations that definitions of APIs declare.

Names are searched as words and as letters, descriptions and pages as English. What matches is
ranked together, counted whole and cut into pages by the database, all of it among the entities
that the reader may see. Only when nothing matches are similar names looked for, which costs more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import F, FloatField, IntegerField, Q, TextField, Value
from django.db.models.functions import Coalesce, Left, Lower
from django.utils.safestring import SafeString

from catalog.kernel.actors import Principal
from catalog.models import ApiOperation, DocPage, Entity, EntityQuerySet
from catalog.selectors.kinds import Kind, Kinds, load_kinds
from catalog.selectors.sql import Sql, any_of
from catalog.selectors.typed import (
    EXACT,
    PART,
    PREFIX,
    SIMILAR,
    WORDS,
    Piece,
    Typed,
    marked,
    marks_of,
    pieces_of,
    set_similarity,
    snippet_of,
)

__all__ = ["Found", "Group", "Hit", "Piece", "Source", "find", "find_grouped"]

MAX_LIMIT: Final = 200
MAX_OFFSET: Final = 1_000_000
PER_GROUP: Final = 5
FACETS: Final = 50  # values of a facet that are counted, the most frequent ones

_MAX_SIMILAR: Final = 300
_DESCRIPTION: Final = 2_000  # characters of it that are looked through for a snippet
_PAGE: Final = 20_000  # of a page of docs


class Source(StrEnum):
    """Where something was found; of equally good hits, the earlier source comes first."""

    CATALOG = "catalog"
    API = "api"
    DOCS = "docs"
    DECISIONS = "decisions"  # pages of docs that record a decision


@dataclass(frozen=True, slots=True)
class Hit:
    """An entity, or an operation or a page of one.

    pk: of whatever `source` says. name: title of the entity or page, name of the operation. title:
    the same in pieces. snippet: the place in its text that matches, or its beginning; empty without
    one. match: how it was found, EXACT being the best. text: the text as far as it was looked
    through. ref, url: of a page, the reference that its site goes by and its place below that.
    position, part: of an operation, its place and its `ItemKind`. facts: of a decision, its status
    and date.
    """

    source: Source
    pk: int
    entity_pk: int
    blueprint: str
    kind_title: str
    identifier: str
    entity_name: str
    icon: str | None
    name: str
    title: Sequence[Piece]
    snippet: Sequence[Piece]
    match: int
    text: str = ""
    ref: str = ""
    url: str = ""
    position: int = 0
    part: str = ""
    is_deprecated: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def title_html(self) -> SafeString:
        return marked(self.title)

    @property
    def snippet_html(self) -> SafeString:
        return marked(self.snippet)


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits, best first, and how many there are on all pages.

    sources, kinds, lifecycles: how many there would be of each with the other filters as they
    are; kinds and lifecycles with the most frequent first, at most FACETS of them.
    """

    hits: Sequence[Hit] = ()
    total: int = 0
    sources: Mapping[Source, int] = field(default_factory=dict)
    kinds: Sequence[tuple[Kind, int]] = ()
    lifecycles: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Hits of one source, those of entities by kind, best first. has_more: there are others, which
    are not shown. kind: of entities."""

    source: Source
    kind: Kind | None
    hits: Sequence[Hit]
    has_more: bool


def find(
    text: str,
    *,
    principal: Principal,
    sources: Collection[Source] = tuple(Source),
    conditions: Mapping[Source, Q] | None = None,
    kinds: Collection[str] = (),
    lifecycles: Collection[str] = (),
    limit: int = 20,
    offset: int = 0,
    with_facets: bool = False,
) -> Found:
    """What matches `text`; everything for text that is empty, nothing for text without words.

    What people write in a search box is understood: "a phrase", -not, or. conditions: on the
    entities of each source. kinds: identifiers of blueprints, any of them; lifecycles likewise.
    Kinds that do not want to be found globally are left out.

    One statement, one for each source that has hits on the page, and the list of blueprints; four
    more when nothing matches.
    """
    typed = Typed.read(text)
    if typed is None and text.strip():
        return Found()
    all_kinds = load_kinds()
    asked = _Asked(
        typed=typed,
        kinds=all_kinds,
        principal=principal,
        sources=sources,
        conditions=conditions or {},
        chosen_kinds=[pk for pk in map(all_kinds.pk_of, kinds) if pk] if kinds else None,
        chosen_lifecycles=list(lifecycles) or None,
        limit=max(0, min(limit, MAX_LIMIT)),
        offset=max(0, min(offset, MAX_OFFSET)),
        with_facets=with_facets,
    )
    found = _run(asked)
    if found is None and typed is not None and not typed.has_syntax:
        with transaction.atomic(), connection.cursor() as cursor:
            set_similarity(cursor)
            found = _run(asked, is_similar=True)
    return found or Found()


def find_grouped(
    text: str, *, principal: Principal, per_group: int = PER_GROUP, limit: int = 50
) -> list[Group]:
    """The best hits by source and kind, the group of the best one first; none for empty text."""
    if not text.strip():
        return []
    kinds = load_kinds()
    groups: dict[tuple[Source, str], list[Hit]] = {}
    for hit in find(text, principal=principal, limit=limit).hits:
        is_entity = hit.source is Source.CATALOG
        groups.setdefault((hit.source, hit.blueprint if is_entity else ""), []).append(hit)
    return [
        Group(source, kinds.get(blueprint), hits[:per_group], len(hits) > per_group)
        for (source, blueprint), hits in groups.items()
    ]


# --- the statement ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """chosen_kinds: pks. chosen_kinds, chosen_lifecycles: None for all."""

    typed: Typed | None
    kinds: Kinds
    principal: Principal
    sources: Collection[Source]
    conditions: Mapping[Source, Q]
    chosen_kinds: list[int] | None
    chosen_lifecycles: list[str] | None
    limit: int
    offset: int
    with_facets: bool

    def entities(self, source: Source) -> EntityQuerySet:
        entities = Entity.objects.visible_to(self.principal)
        hidden = [kind.pk for kind in self.kinds if not kind.is_found_globally]
        if hidden:
            entities = entities.exclude(blueprint__in=hidden)
        condition = self.conditions.get(source)
        return entities if condition is None else entities.filter(condition)


# An entity's query is joined with what belongs to it, so that it says who may see that.
_JOINS: Final[dict[Source, Mapping[str, Any]]] = {
    Source.CATALOG: {
        "found_pk": F("pk"),
        "found_search": F("search"),
        "found_label": F("label"),
        "found_name": Lower("identifier"),
        "found_title": Lower(Coalesce("title", Value(""), output_field=TextField())),
    },
    Source.API: {
        "found_pk": F("api_operations__pk"),
        "found_search": F("api_operations__search"),
        "found_label": F("api_operations__label"),
        "found_name": F("api_operations__label"),
        "found_title": Sql(  # the path of an operation
            "split_part({}, ' ', 2)", F("api_operations__label"), output_field=TextField()
        ),
    },
    Source.DOCS: {
        "found_pk": F("docs__pages__pk"),
        "found_search": F("docs__pages__search"),
        "found_label": Lower("docs__pages__title"),
        "found_name": Lower("docs__pages__title"),
        "found_title": Lower("docs__pages__title"),
    },
}
# Decisions come from a folder of their own: see `catalog.ingest.techdocs.layout`.
_DECISION: Final = "({} ->> 'adr' IS NOT NULL AND starts_with({}, 'adr/'))"
_IS_DECISION: Final = {Source.DOCS: f"NOT {_DECISION}", Source.DECISIONS: _DECISION}
# How many matches of each source are told apart by how well their words match; of a word that more
# of them hold, these come first. Pages are long, so weighing one takes ten times as long.
_RANKED: Final = {
    Source.CATALOG: 5_000,
    Source.API: 5_000,
    Source.DOCS: 1_000,
    Source.DECISIONS: 1_000,
}
_JOINS[Source.DECISIONS] = _JOINS[Source.DOCS]
_ORDER: Final = {source: number for number, source in enumerate(Source)}

_RUN: Final = """
WITH found (source, pk, blueprint, lifecycle, match, rank, length) AS MATERIALIZED ({found}),
kept AS (SELECT * FROM found WHERE {is_source} AND {is_kind} AND {is_lifecycle})
SELECT
    (SELECT json_agg(json_build_array(source, pk, match)) FROM (
        SELECT source, pk, match FROM kept
        ORDER BY match, rank DESC, source, length, pk LIMIT %(limit)s OFFSET %(offset)s) page),
    (SELECT count(*) FROM kept),
    (SELECT count(*) FROM found)
"""
_FACETS: Final = """,
    (SELECT json_object_agg(source, n) FROM (
        SELECT source, count(*) n FROM found WHERE {is_kind} AND {is_lifecycle}
        GROUP BY 1) facet),
    (SELECT json_agg(json_build_array(blueprint, n)) FROM (
        SELECT blueprint, count(*) n FROM found WHERE {is_source} AND {is_lifecycle}
        GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(facets)s) facet),
    (SELECT json_agg(json_build_array(lifecycle, n)) FROM (
        SELECT lifecycle, count(*) n FROM found
        WHERE lifecycle IS NOT NULL AND {is_source} AND {is_kind}
        GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(facets)s) facet)
"""


def _run(asked: _Asked, *, is_similar: bool = False) -> Found | None:
    """None when nothing matches at all, whatever kinds and lifecycles are chosen."""
    # With facets all sources are counted, so the choice of one is made afterwards.
    searched = [s for s in Source if asked.with_facets or s in asked.sources]
    parts: list[str] = []
    values: list[Any] = []
    for source in searched:
        with suppress(EmptyResultSet):  # what nobody may see needs no statement
            sql, params = _matching(asked, source, is_similar).query.sql_with_params()
            parts.append(f"({sql})")
            values += params
    if not parts:
        return None
    numbers = [_ORDER[source] for source in Source if source in asked.sources]
    wheres = {
        "is_source": "source = ANY(%(sources)s)",
        "is_kind": "true" if asked.chosen_kinds is None else "blueprint = ANY(%(kinds)s)",
        "is_lifecycle": (
            "true" if asked.chosen_lifecycles is None else "lifecycle = ANY(%(lifecycles)s)"
        ),
    }
    named: dict[str, Any] = {
        "sources": numbers,
        "kinds": asked.chosen_kinds,
        "lifecycles": asked.chosen_lifecycles,
        "limit": asked.limit,
        "offset": asked.offset,
        "facets": FACETS,
    }
    found_sql = " UNION ALL ".join(parts)
    statement = _RUN.replace("{found}", "\0").format(**wheres) + (
        _FACETS.format(**wheres) if asked.with_facets else ""
    )
    statement, positional = _positional(statement, named)
    before = statement.index("\0")
    with connection.cursor() as cursor:
        cursor.execute(
            f"{statement[:before]}{found_sql}{statement[before + 1 :]}", [*values, *positional]
        )
        page, total, matched, *facets = cursor.fetchone()
    if not matched:
        return None
    hits = _hits(asked, [(list(Source)[number], pk, match) for number, pk, match in page or ()])
    if not asked.with_facets:
        return Found(hits, total)
    by_source, by_kind, by_lifecycle = facets
    return Found(
        hits,
        total,
        sources={
            source: (by_source or {}).get(str(number), 0) for source, number in _ORDER.items()
        },
        kinds=[(asked.kinds.by_pk[pk], n) for pk, n in by_kind or () if pk in asked.kinds.by_pk],
        lifecycles=[(value, n) for value, n in by_lifecycle or ()],
    )


def _positional(statement: str, named: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The statement with its named parameters in their order."""
    pieces = statement.split("%(")
    text, values = pieces[0], []
    for piece in pieces[1:]:
        name, _, rest = piece.partition(")s")
        values.append(named[name])
        text += f"%s{rest}"
    return text, values


def _matching(asked: _Asked, source: Source, is_similar: bool) -> Any:
    typed = asked.typed
    rows: Any = asked.entities(source).alias(**_JOINS[source]).order_by()
    if source is not Source.CATALOG:
        rows = rows.filter(found_pk__isnull=False)
    if source in _IS_DECISION:
        folder, path = F("docs__sources"), F("docs__pages__path")
        rows = rows.alias(found_folder=folder, found_path=path)
        rows = rows.filter(Sql(_IS_DECISION[source], F("found_folder"), F("found_path")))
    label, search = F("found_label"), F("found_search")
    needs_lifecycle = asked.with_facets or asked.chosen_lifecycles is not None
    lifecycle: Any = Value(None, output_field=TextField())
    if needs_lifecycle:
        lifecycle = Sql("{} ->> 'lifecycle'", F("properties"), output_field=TextField())
    match: Any = Value(EXACT, output_field=IntegerField())
    rank: Any = Value(0.0, output_field=FloatField())
    length: Any = Value(0, output_field=IntegerField())
    if typed is not None:
        whole = Value(typed.text.lower())
        length = Sql("length({})", label, output_field=IntegerField())
        if is_similar:
            rows = rows.filter(typed.is_similar_to(label))
            match = Value(SIMILAR, output_field=IntegerField())
            rank = Sql("word_similarity({}, {})", whole, label, output_field=FloatField())
        else:
            ways = [Sql("{} @@ {}", search, typed.query)]
            if typed.is_whole_enough:
                ways.append(typed.is_part_of(label))
            elif not typed.has_syntax:
                ways.append(typed.begins(label))
            rows = rows.filter(any_of(ways))
            name, title = F("found_name"), F("found_title")
            match = Sql(
                f"CASE WHEN {{}} IN ({{}}, {{}}) THEN {EXACT} "
                f"WHEN starts_with({{}}, {{}}) OR starts_with({{}}, {{}}) THEN {PREFIX} "
                # what was not found as a part of its name was found by its words: vectors are long
                f"WHEN NOT {{}} OR {{}} @@ {{}} THEN {WORDS} ELSE {PART} END",
                *(whole, name, title),
                *(name, whole, title, whole),
                *(typed.is_part_of(label), search, typed.query),
                output_field=IntegerField(),
            )
            rank = Sql(
                f"CASE WHEN row_number() OVER () <= {_RANKED[source]} "
                "THEN ts_rank({}, {}) ELSE 0 END",
                *(search, typed.query),
                output_field=FloatField(),
            )
    columns = {
        "source": Value(_ORDER[source], output_field=IntegerField()),
        "pk": F("found_pk"),
        "blueprint": F("blueprint_id"),
        "lifecycle": lifecycle,
        "match": match,
        "rank": rank,
        "length": length,
    }
    aliased = {f"out_{name}": column for name, column in columns.items()}
    rows = rows.annotate(**aliased).values_list(*aliased)
    return rows[:_MAX_SIMILAR] if is_similar else rows


# --- what is shown of it ----------------------------------------------------------------------


def _hits(asked: _Asked, page: Sequence[tuple[Source, int, int]]) -> list[Hit]:
    marks = marks_of(asked.typed.words) if asked.typed else None
    rows: dict[tuple[Source, int], dict[str, Any]] = {}
    for source, load in _LOADERS.items():
        pks = [pk for of, pk, _ in page if of is source]
        if pks:
            rows.update({(source, row.pop("pk")): row for row in load(pks)})
    hits = []
    for source, pk, match in page:
        row = rows.get((source, pk))
        kind = asked.kinds.by_pk.get(row.pop("blueprint_id")) if row else None
        if row is None or kind is None:
            continue  # deleted since
        text, name = row.pop("text") or "", row.pop("name")
        hits.append(
            Hit(
                source=source,
                pk=pk,
                blueprint=kind.identifier,
                kind_title=kind.title,
                title=pieces_of(name, marks) if marks else (Piece(name),),
                snippet=snippet_of(text, marks),
                match=match,
                text=text,
                name=name,
                icon=row.pop("icon") or kind.icon,
                **row,
            )
        )
    return hits


def _entity_rows(pks: Sequence[int]) -> Iterable[dict[str, Any]]:
    rows: Any = Entity.objects.filter(pk__in=pks)
    described = f"left({{}} ->> 'description', {_DESCRIPTION})"
    name = Coalesce("title", "identifier", output_field=TextField())
    yield from rows.values(
        "pk",
        "identifier",
        "icon",
        "blueprint_id",
        text=Sql(described, F("properties"), output_field=TextField()),
        name=name,
        entity_pk=F("pk"),
        entity_name=name,
    )


def _operation_rows(pks: Sequence[int]) -> Iterable[dict[str, Any]]:
    rows: Any = ApiOperation.objects.filter(pk__in=pks)
    yield from rows.values(
        "pk",
        "name",
        "text",
        "position",
        "is_deprecated",
        part=F("kind"),
        **_owner(),
    )


def _page_rows(pks: Sequence[int]) -> Iterable[dict[str, Any]]:
    rows: Any = DocPage.objects.filter(pk__in=pks)
    names = {"name": F("title"), "words": Left("text", _PAGE), "ref": F("site__ref")}
    for row in rows.values("pk", "url", "facts", **names, **_owner("site__")):
        # a page begins with its title, which is shown anyway
        row["text"] = row.pop("words").removeprefix(row["name"]).lstrip()
        yield row


def _owner(path: str = "") -> dict[str, Any]:
    """What is told of the entity that an operation or a page belongs to."""
    return {
        "entity_pk": F(f"{path}entity_id"),
        "entity_name": Coalesce(
            f"{path}entity__title", f"{path}entity__identifier", output_field=TextField()
        ),
        "blueprint_id": F(f"{path}entity__blueprint_id"),
        "identifier": F(f"{path}entity__identifier"),
        "icon": F(f"{path}entity__icon"),
    }


_LOADERS: Final = {
    Source.CATALOG: _entity_rows,
    Source.API: _operation_rows,
    Source.DOCS: _page_rows,
    Source.DECISIONS: _page_rows,
}
