"""Which entities, in which order: the lists of the catalogue's API.

Every function takes who asks: nobody gets, counts or pages through what may not be read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from uuid import UUID

from django.db import connection

from catalog.dialects.backstage.queries import conditions
from catalog.dialects.backstage.queries.conditions import Sql, every, visible
from catalog.dialects.backstage.queries.cursors import Cursor, Key, SortField
from catalog.dialects.backstage.queries.predicates import Predicate, compile_predicate
from catalog.kernel.actors import Principal
from catalog.kernel.errors import InvalidRequest
from catalog.kernel.identifiers import is_storable

PAGE: Final = 200
# Of each, so that one question keeps the database busy no longer than many would.
MAX_FACETS: Final = 100
MAX_TEXT_FIELDS: Final = 100
MAX_ORDERS: Final = 20

_PK = Sql("d.entity_id")
_NOTHING = Sql("")
_RELATIONS = "relations."


def list_entities(
    principal: Principal,
    *,
    predicate: Predicate | None = None,
    order: Sequence[SortField] = (),
    limit: int | None = None,
    offset: int | None = None,
) -> tuple[list[int], bool]:
    """The pks of `GET /entities`, and whether there are more behind them.

    Without limit and offset only the first order field counts and what lacks it is left out; else
    all of them count, and what lacks one comes last in both directions.
    """
    _check_number("order", order, MAX_ORDERS)
    where = every([visible(principal), compile_predicate(predicate)])
    if limit is None and offset is None:
        return _all(where, order), False
    keys = [_directed(conditions.sort_value(one.field), one) for one in order]
    tail = _list([*keys, Sql("d.uid")] if keys else [Sql("d.ref")])
    bounds = (None if limit is None else limit + 1, offset or 0)
    rows = _rows(
        _PK, where, Sql(f"ORDER BY {tail.sql} LIMIT %s OFFSET %s", (*tail.params, *bounds))
    )
    pks = [pk for (pk,) in rows]
    return (pks, False) if limit is None else (pks[:limit], len(pks) > limit)


def _all(where: Sql, order: Sequence[SortField]) -> list[int]:
    first = order[0] if order else None
    key, joins = _sort_key(first)
    by = f"{key.sql} {first.direction}, " if first else ""
    rows = _rows(_PK, every([where, _has_value(key, first)]), Sql(f"ORDER BY {by}d.uid"), joins)
    return [pk for (pk,) in rows]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of `by-query`: the pks, how many there are in all, the cursors around it."""

    pks: list[int] = field(default_factory=list)
    total: int = 0
    next: Cursor | None = None
    previous: Cursor | None = None


def query_entities(
    principal: Principal,
    cursor: Cursor,
    *,
    limit: int = PAGE,
    offset: int = 0,
    with_total: bool = True,
) -> Page:
    """A page of `by-query`. offset: of the first page alone.

    In the order of the sort field and then of the uid, both in the direction asked for; what lacks
    the field is left out and not counted. Two statements at most, one on later pages.
    """
    key, joins = _sort_key(cursor.order)
    where = every(
        [
            visible(principal),
            compile_predicate(cursor.query),
            _has_value(key, cursor.order),
            _text(cursor),
        ]
    )
    is_counted = cursor.total is None and with_total
    # what no index answers is not worked out twice
    is_at_once = is_counted and limit > 0 and bool(cursor.term or joins.sql)
    total = cursor.total or 0
    if is_counted and not is_at_once:
        total = _count(where, joins)
    if limit == 0:
        return Page(total=total)
    is_descending = cursor.order is not None and cursor.order.is_descending
    is_down = is_descending is not cursor.is_previous
    direction = "DESC" if is_down else "ASC"
    by = f"{key.sql} {direction}, " if cursor.order else ""
    rows = _rows(
        Sql(f"d.entity_id, {key.sql}, d.uid::text{', count(*) OVER ()' if is_at_once else ''}"),
        every([where, _behind(cursor, key, "<" if is_down else ">")]),
        Sql(
            f"ORDER BY {by}d.uid {direction} LIMIT %s OFFSET %s",
            (limit + 1, 0 if cursor.at else offset),
        ),
        joins,
    )
    if is_at_once:
        total = rows[0][3] if rows else _count(where, joins)
    has_more = cursor.is_previous or len(rows) > limit
    rows = rows[:limit]
    if cursor.is_previous:
        rows.reverse()
    if not rows:
        return Page(total=total)
    first, last = Key(*rows[0][1:3]), Key(*rows[-1][1:3])
    start = cursor.first or first
    return Page(
        pks=[row[0] for row in rows],
        total=total,
        next=cursor.moved(to=last, first=start, total=total) if has_more else None,
        previous=None
        if first == start
        else cursor.moved(to=first, first=start, total=total, is_previous=True),
    )


def _sort_key(order: SortField | None) -> tuple[Sql, Sql]:
    """The value to order by, and what to join so that it is worked out once a row."""
    if order is None:
        return Sql("NULL::text"), _NOTHING
    value = conditions.sort_value(order.field)
    if not value.params:
        return value, _NOTHING
    join = f"CROSS JOIN LATERAL (SELECT {value.sql} AS v OFFSET 0) s"
    return Sql("s.v"), Sql(join, value.params)


def _has_value(key: Sql, order: SortField | None) -> Sql:
    return Sql(f"{key.sql} IS NOT NULL") if order else conditions.ALL


def _text(cursor: Cursor) -> Sql:
    if not cursor.term:
        return conditions.ALL
    _check_number("fullTextFilter fields", cursor.term_fields, MAX_TEXT_FIELDS)
    default = cursor.order.field if cursor.order else "metadata.uid"
    return conditions.has_text(cursor.term_fields or (default,), cursor.term)


def _behind(cursor: Cursor, key: Sql, sign: Literal["<", ">"]) -> Sql:
    """What comes behind the row that the cursor is at."""
    if cursor.at is None:
        return conditions.ALL
    if cursor.order is None:
        return Sql(f"d.uid {sign} %s::uuid", (cursor.at.uid,))
    return Sql(
        f'({key.sql}, d.uid) {sign} (%s COLLATE "C", %s::uuid)', (cursor.at.value, cursor.at.uid)
    )


def _count(where: Sql, joins: Sql) -> int:
    return int(_rows(Sql("count(*)"), where, joins=joins)[0][0])


def pks_by_ref(
    principal: Principal, refs: Iterable[str], predicate: Predicate | None = None
) -> dict[str, int]:
    """The pks of entities by their canonical references, as far as there are such."""
    wanted = [ref for ref in dict.fromkeys(refs) if is_storable(ref)]
    named = Sql("d.ref = ANY(%s::text[])", (wanted,))
    where = every([visible(principal), named, compile_predicate(predicate)])
    return dict(_rows(Sql("d.ref, d.entity_id"), where))


def pk_by_uid(principal: Principal, uid: str) -> int | None:
    """The pk of the entity with this `metadata.uid`."""
    try:
        named = Sql("d.uid = %s", (UUID(uid),))
    except ValueError:
        return None
    rows = _rows(_PK, every([visible(principal), named]))
    return rows[0][0] if rows else None


def count_facets(
    principal: Principal, facets: Sequence[str], predicate: Predicate | None = None
) -> dict[str, list[tuple[str, int]]]:
    """How many entities have each value under each key, in the values' own case and order.

    One statement for the keys, one each for the kind and for relations, if they are asked for.
    """
    _check_number("facets", set(facets), MAX_FACETS)
    where = every([visible(principal), compile_predicate(predicate)])
    keys = {facet.lower() for facet in facets if is_storable(facet)}
    relations = {key for key in keys if key.startswith(_RELATIONS)}
    found: dict[str, list[tuple[str, int]]] = {}
    if "kind" in keys:
        rows = _rows(
            Sql("d.kind, count(*)"), where, Sql('GROUP BY d.kind ORDER BY d.kind COLLATE "C"')
        )
        found["kind"] = rows
    if own := sorted(keys - relations - {"kind"}):
        rows = _rows(
            Sql("k, v, count(*)"),
            every([where, Sql("v IS NOT NULL")]),
            Sql('GROUP BY k, v ORDER BY k, v COLLATE "C"'),
            joins=Sql(
                "CROSS JOIN LATERAL (SELECT k, v FROM unnest(%s::text[]) k, "
                "jsonb_array_elements_text(d.pairs -> k) v OFFSET 0) f",
                (own,),
            ),
        )
        for key, value, count in rows:
            found.setdefault(key, []).append((value, count))
    if relations:
        types = [key.removeprefix(_RELATIONS) for key in sorted(relations)]
        rows = _rows(
            Sql("lower(r.type), r.target_ref, count(DISTINCT d.entity_id)"),
            every([where, Sql("lower(r.type) = ANY(%s::text[])", (types,))]),
            Sql("GROUP BY 1, 2 ORDER BY 1, 2"),
            joins=Sql("JOIN catalog_documentrelation r ON r.source_ref = d.ref"),
        )
        for relation, target, count in rows:
            found.setdefault(f"{_RELATIONS}{relation}", []).append((target, count))
    return {facet: found.get(facet.lower(), []) for facet in facets}


def _check_number(what: str, asked: Collection[Any], most: int) -> None:
    if len(asked) > most:
        raise InvalidRequest(
            f"Invalid {what}: {len(asked):,} are asked for; expected {most} at most"
        )


def _directed(key: Sql, order: SortField) -> Sql:
    return Sql(f"{key.sql} {order.direction} NULLS LAST", key.params)


def _list(parts: Sequence[Sql]) -> Sql:
    return Sql(
        ", ".join(part.sql for part in parts), tuple(one for part in parts for one in part.params)
    )


def _rows(columns: Sql, where: Sql, tail: Sql = _NOTHING, joins: Sql = _NOTHING) -> list[Any]:
    parts = (
        Sql("SELECT"),
        columns,
        Sql("FROM catalog_entitydocument d"),
        joins,
        Sql("WHERE"),
        where,
        tail,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            " ".join(part.sql for part in parts), [one for part in parts for one in part.params]
        )
        rows: list[Any] = cursor.fetchall()
        return rows
