"""Pieces of SQL over `catalog_entitydocument d`, with their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import EmptyResultSet

from catalog.dialects.backstage.queries.pairs import key_term, value_term
from catalog.kernel.actors import Principal
from catalog.kernel.identifiers import is_storable
from catalog.models import Entity

_RELATION = "relations."
_NAME = "metadata.name"  # has a column, as `kind` has
_ALWAYS = frozenset(["apiversion", "kind", "metadata.name", "metadata.namespace", "metadata.uid"])

_RELATED = """d.ref IN (
    SELECT r.source_ref FROM catalog_documentrelation r WHERE lower(r.type) = %s{})"""

_AMONG = """EXISTS (
    SELECT FROM unnest(%s::text[]) k, jsonb_array_elements_text(d.pairs -> k) v
    WHERE {})"""


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of a statement, a condition as a rule, and its parameters."""

    sql: str
    params: tuple[Any, ...] = ()


ALL: Final = Sql("TRUE")
NONE: Final = Sql("FALSE")


def visible(principal: Principal) -> Sql:
    """What `principal` may read, as `Entity.objects.visible_to` has it."""
    entities = Entity.objects.visible_to(principal).order_by().values("pk")
    try:
        sql, params = entities.query.sql_with_params()
    except EmptyResultSet:
        return NONE
    if not entities.query.where:
        return ALL
    return Sql(f"d.entity_id IN ({sql})", tuple(params))


def every(parts: Iterable[Sql]) -> Sql:
    """All of them hold."""
    return _joined(parts, " AND ", neutral=ALL, absorbing=NONE)


def some(parts: Iterable[Sql]) -> Sql:
    """One of them holds."""
    return _joined(parts, " OR ", neutral=NONE, absorbing=ALL)


def negated(part: Sql) -> Sql:
    return Sql(f"(NOT {part.sql})", part.params)


def has_key(key: str) -> Sql:
    """There is such a leaf, whatever its value."""
    if (relation := _relation(key)) is not None:
        return related(relation)
    if not is_storable(key):
        return NONE
    if key.lower() in _ALWAYS:
        return ALL
    return Sql("d.terms @> ARRAY[%s]", (key_term(key),))


def has_value(key: str, values: Sequence[str]) -> Sql:
    """One of the values stands under this key."""
    if (relation := _relation(key)) is not None:
        return related(relation, values)
    known = [value for value in values if is_storable(key + value)]
    if not known:
        return NONE
    if key.lower() == "kind":
        return Sql("lower(d.kind) = ANY(%s)", ([value.lower() for value in known],))
    terms = [value_term(key, value) for value in known]
    return Sql(f"d.terms {'@>' if len(terms) == 1 else '&&'} %s::text[]", (terms,))


def has_prefix(key: str, prefix: str) -> Sql:
    """A value under this key begins so."""
    if not is_storable(key + prefix):
        return NONE
    if (relation := _relation(key)) is not None:
        return Sql(
            _RELATED.format(" AND starts_with(r.target_ref, %s)"),
            (relation.lower(), prefix.lower()),
        )
    if key.lower() == _NAME:
        return Sql("starts_with(d.name, %s)", (prefix.lower(),))
    begins = Sql(_AMONG.format("starts_with(lower(v), lower(%s))"), ([key.lower()], prefix))
    return every([has_key(key), begins])


def has_text(keys: Sequence[str], term: str) -> Sql:
    """A value under one of the keys is like this: `%` and `_` stand for any letters."""
    if not is_storable(term):
        return NONE
    pattern = f"%{term.lower()}%"
    parts = [
        Sql(_RELATED.format(" AND r.target_ref LIKE %s"), (relation.lower(), pattern))
        for key in keys
        if is_storable(key) and (relation := _relation(key)) is not None
    ]
    own = {key.lower() for key in keys if is_storable(key) and _relation(key) is None}
    if _NAME in own:
        parts.append(Sql("d.name LIKE %s", (pattern,)))
    if others := sorted(own - {_NAME}):
        parts.append(Sql(_AMONG.format("lower(v) LIKE lower(%s)"), (others, pattern)))
    return some(parts)


def related(relation: str, targets: Sequence[str] | None = None) -> Sql:
    """It has such a relation, to one of these entities; None: to any."""
    if not is_storable(relation):
        return NONE
    if targets is None:
        return Sql(_RELATED.format(""), (relation.lower(),))
    refs = [target.lower() for target in targets if is_storable(target)]
    return Sql(_RELATED.format(" AND r.target_ref = ANY(%s::text[])"), (relation.lower(), refs))


def sort_value(key: str) -> Sql:
    """The lowest value under this key, to order by; null where there is none."""
    if not is_storable(key):
        return Sql("NULL::text")
    if (relation := _relation(key)) is not None:
        return Sql(
            "(SELECT min(r.target_ref) FROM catalog_documentrelation r "
            "WHERE r.source_ref = d.ref AND lower(r.type) = %s)",
            (relation.lower(),),
        )
    if key.lower() == _NAME:
        return Sql("d.name")
    return Sql('lower((d.pairs -> %s) ->> 0) COLLATE "C"', (key.lower(),))


def _relation(key: str) -> str | None:
    """The type of relation that a key asks for, if it asks for one."""
    return key[len(_RELATION) :] if key[: len(_RELATION)].lower() == _RELATION else None


def _joined(parts: Iterable[Sql], word: str, *, neutral: Sql, absorbing: Sql) -> Sql:
    kept = [part for part in parts if part != neutral]
    if absorbing in kept:
        return absorbing
    if len(kept) < 2:
        return kept[0] if kept else neutral
    return Sql(
        f"({word.join(part.sql for part in kept)})",
        tuple(param for part in kept for param in part.params),
    )
