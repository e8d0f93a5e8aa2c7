"""Entities as the API shows them: JSON, straight from the columns of one statement.

Properties go out as the database wrote them, so numbers and text stay what they were. A document
costs a few microseconds, whatever the size of its properties.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import orjson
from django.core.exceptions import EmptyResultSet
from django.db import connection

from catalog import registry
from catalog.models import EntityQuerySet, RelationDefinition
from catalog.selectors.history import entity_as_of

CHUNK: Final = 1000  # documents in memory at once

KEYS: Final = (
    "identifier",
    "title",
    "icon",
    "blueprint",
    "team",
    "properties",
    "relations",
    "scorecards",
    "createdAt",
    "createdBy",
    "updatedAt",
    "updatedBy",
)
_ALWAYS = ("identifier", "blueprint")

_COLUMNS = """
SELECT e.id, b.identifier, e.identifier, e.title, e.icon, e.team, ({properties})::text,
       e.relations::text, coalesce(d.empty::text, '{{}}'),
       to_char(e.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), e.created_by,
       to_char(e.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), e.updated_by,
       {scorecards}
FROM catalog_entity e
JOIN catalog_blueprint b ON b.id = e.blueprint_id
LEFT JOIN (
    SELECT blueprint_id, json_object_agg(
        identifier, CASE WHEN many THEN '[]'::json ELSE 'null'::json END
        ORDER BY position, identifier) AS empty
    FROM catalog_relationdefinition GROUP BY blueprint_id
) d ON d.blueprint_id = e.blueprint_id
"""

_PICKED = """SELECT coalesce(jsonb_object_agg(p.key, p.value), '{{}}')
FROM jsonb_each({}) p WHERE p.key = ANY(%s::text[])"""

_TITLES = """
SELECT r.source_id, d.identifier, d.many, d.target_id IS NULL, r.target_blueprint,
       r.target_identifier, t.title
FROM catalog_relation r
JOIN catalog_relationdefinition d ON d.id = r.definition_id
LEFT JOIN catalog_entity t ON t.id = r.target_id
WHERE r.source_id = ANY(%s)
ORDER BY r.source_id, r.position
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which parts of an entity to show.

    keys: of the document, in order. properties, relations: only these names; None is all.
    hidden: names to leave out of properties and relations. with_calculated: show derived values
    among the properties. with_titles: relations as {"identifier", "title"}.
    """

    keys: tuple[str, ...] = KEYS
    properties: tuple[str, ...] | None = None
    relations: tuple[str, ...] | None = None
    hidden_properties: tuple[str, ...] = ()
    hidden_relations: tuple[str, ...] = ()
    with_calculated: bool = True
    with_titles: bool = False

    @classmethod
    def of(
        cls,
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        with_calculated: bool = True,
        with_titles: bool = False,
    ) -> Selection:
        """From paths: "title" or "$title", "properties", "properties.x", "relations.x".

        A bare name that is no key of the document means a property. Nothing included means
        everything; `identifier` and `blueprint` are always shown.
        """
        wanted, hidden = _paths(include), _paths(exclude)
        keys = [
            key
            for key in KEYS
            if key in _ALWAYS or ((not wanted or key in wanted) and hidden.get(key, ()) is not None)
        ]
        return cls(
            keys=tuple(keys),
            properties=wanted.get("properties"),
            relations=wanted.get("relations"),
            hidden_properties=hidden.get("properties") or (),
            hidden_relations=hidden.get("relations") or (),
            with_calculated=with_calculated,
            with_titles=with_titles,
        )


EVERYTHING: Final = Selection()


def document(entities: EntityQuerySet, selection: Selection = EVERYTHING) -> bytes | None:
    """The JSON of the one entity of `entities`, or None; one statement (two with titles)."""
    try:
        where, params = entities.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return None
    found = _fetch(f"WHERE e.id IN ({where})", params, selection)
    return next(iter(found.values()), None)


def documents(pks: Iterable[int], selection: Selection = EVERYTHING) -> Iterator[bytes]:
    """The JSON of these entities, in this order, without those that are gone.

    Fetches `CHUNK` at a time with one statement (two with titles).
    """
    remaining = iter(pks)
    while chunk := list(islice(remaining, CHUNK)):
        found = _fetch("WHERE e.id = ANY(%s)", [chunk], selection)
        for pk in chunk:
            if pk in found:
                yield found[pk]


def document_as_of(
    blueprint: str, identifier: str, at: datetime, selection: Selection = EVERYTHING
) -> bytes | None:
    """The JSON of an entity at a moment, with that moment as `asOf`; None when there was none.

    Relations are those the blueprint has today.
    """
    content = entity_as_of(blueprint, identifier, at)
    if content is None:
        return None
    empty: dict[str, Any] = {
        name: [] if many else None
        for name, many in RelationDefinition.objects.filter(blueprint__identifier=blueprint)
        .order_by("position", "identifier")
        .values_list("identifier", "many")
    }
    full = {
        **{key: content[key] for key in KEYS if key in content},
        "properties": _only(
            content["properties"], selection.properties, selection.hidden_properties
        ),
        "relations": _only(
            {**empty, **content["relations"]}, selection.relations, selection.hidden_relations
        ),
    }
    shown = {key: full[key] for key in selection.keys if key in full}
    return orjson.dumps({**shown, "asOf": timestamp(at)})


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, cut like those that PostgreSQL writes."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _fetch(where: str, params: Sequence[Any], selection: Selection) -> dict[int, bytes]:
    columns, column_params = _properties_column(selection)
    with connection.cursor() as cursor:
        sql = _COLUMNS.format(properties=columns, scorecards=_scorecards_column(selection))
        cursor.execute(sql + where, [*column_params, *params])
        rows = cursor.fetchall()
        titles = None
        if selection.with_titles and "relations" in selection.keys:
            cursor.execute(_TITLES, [[row[0] for row in rows]])
            titles = _titled(cursor)
    empties: dict[str, dict[str, Any]] = {}
    found = {}
    for row in rows:
        empty = empties.get(row[8])
        if empty is None:
            empty = empties[row[8]] = orjson.loads(row[8])
        relations = orjson.loads(row[7]) if titles is None else titles.get(row[0], {})
        full = {
            "identifier": row[2],
            "title": row[3],
            "icon": row[4],
            "blueprint": row[1],
            "team": row[5],
            "properties": orjson.Fragment(row[6]),
            "relations": _only(
                {**empty, **relations}, selection.relations, selection.hidden_relations
            ),
            "scorecards": orjson.Fragment(row[13]),
            "createdAt": row[9],
            "createdBy": row[10],
            "updatedAt": row[11],
            "updatedBy": row[12],
        }
        if selection.keys != KEYS:
            full = {key: full[key] for key in selection.keys}
        found[row[0]] = orjson.dumps(full)
    return found


def _properties_column(selection: Selection) -> tuple[str, list[Any]]:
    """SQL for the properties that are shown: what is left out does not leave the database."""
    if "properties" not in selection.keys:
        return "'{}'::jsonb", []
    sql = "e.properties || e.computed" if selection.with_calculated else "e.properties"
    params: list[Any] = []
    if selection.properties is not None:
        sql = _PICKED.format(sql)
        params.append(list(selection.properties))
    if selection.hidden_properties:
        sql = f"({sql}) - %s::text[]"
        params.append(list(selection.hidden_properties))
    return sql, params


def _scorecards_column(selection: Selection) -> str:
    """SQL, as text, for how the entity does on scorecards."""
    queries = registry.scorecard_queries()
    if queries is None or "scorecards" not in selection.keys:
        return "'{}'"
    return f"coalesce(({queries.document_sql})::text, '{{}}')"


def _titled(rows: Iterable[tuple[Any, ...]]) -> dict[int, dict[str, Any]]:
    titled: dict[int, dict[str, Any]] = {}
    for source, name, many, is_any, blueprint, identifier, title in rows:
        relations = titled.setdefault(source, {})
        shown = f"{blueprint}:{identifier}" if is_any else identifier
        one = {"identifier": shown, "title": title}
        if many:
            relations.setdefault(name, []).append(one)
        else:
            relations[name] = one
    return titled


def _only(
    values: dict[str, Any], wanted: tuple[str, ...] | None, hidden: tuple[str, ...]
) -> dict[str, Any]:
    if wanted is None and not hidden:
        return values
    return {
        name: value
        for name, value in values.items()
        if (wanted is None or name in wanted) and name not in hidden
    }


def _paths(paths: Sequence[str]) -> Mapping[str, tuple[str, ...] | None]:
    """{key of the document: names inside it, or None for the whole}."""
    parts: dict[str, list[str] | None] = {}
    for path in paths:
        key, dot, name = path.removeprefix("$").partition(".")
        if key not in KEYS:
            key, dot, name = "properties", ".", path
        if not dot or key not in ("properties", "relations"):
            parts[key] = None
        elif (names := parts.setdefault(key, [])) is not None:
            names.append(name)
    return {key: None if names is None else tuple(names) for key, names in parts.items()}
