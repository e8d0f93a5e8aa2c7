"""What entities and runs were before and after changes of the feed, whose rows hold changed keys
only: worked out backwards from what is there now, many at a time.

What is there and what changed since are read with one statement, since a change between two would
be undone without ever having been seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import orjson
from django.db import connection
from django.db.models import TextField
from django.db.models.expressions import RawSQL

from actions.models import Run
from actions.selectors.run_documents import approval_of, run_document
from catalog.kernel import feed
from catalog.kernel.feed import FeedRow
from catalog.models import Change
from catalog.selectors.documents import timestamp
from catalog.selectors.kinds import Kinds, load_kinds
from catalog.services.derived.refresh import ACTOR as DERIVING

# A change is written some time before it is committed: so much older may `at` be than the rows that
# come after it. It bounds the partitions that are looked through.
_SLACK: Final = timedelta(hours=2)
# How long after the change behind it a computed value may change.
_ECHO: Final = timedelta(minutes=10)

_NESTED: Final = ("properties", "computed", "relations")
_FLAT: Final = ("title", "icon", "team")

_LATER: Final = """(
    SELECT json_agg(json_build_array(c.id, c.action, c.identifier, c.before - 'descriptor',
                                     c.after - 'descriptor', c.actor_kind, c.actor, c.run)
                    ORDER BY c.id DESC)
    FROM catalog_change c
    WHERE c.model = %s AND c.object_id = {pk} AND c.id >= %s AND c.at >= %s
)::text"""

_ENTITIES: Final = """
SELECT w.pk, b.identifier, e.identifier, e.title, e.icon, e.team, e.properties::text,
       e.computed::text, e.relations::text, e.created_at, e.created_by,
       {later},
       (SELECT c.run FROM catalog_change c
        WHERE c.model = 'entity' AND c.object_id = w.pk AND c.id < %s AND c.at >= %s
          AND NOT (c.actor_kind = %s AND c.actor = %s)
        ORDER BY c.id DESC LIMIT 1)
FROM unnest(%s::bigint[]) AS w(pk)
LEFT JOIN catalog_entity e ON e.id = w.pk
LEFT JOIN catalog_blueprint b ON b.id = e.blueprint_id
""".replace("{later}", _LATER.format(pk="w.pk"))


@dataclass(frozen=True, slots=True)
class Diff:
    """Documents before and after one change; None where there was nothing. cause: the run that made
    it; of a computed value, the one that made the change behind it; "" for none.
    """

    before: dict[str, Any] | None
    after: dict[str, Any] | None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class _Change:
    id: int
    action: str
    identifier: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    actor_kind: str
    actor: str
    run: str


def is_derived(row: FeedRow | _Change) -> bool:
    """Whether it tells of computed values."""
    return (row.actor_kind, row.actor) == (DERIVING.kind, DERIVING.name)


def entity_diffs(rows: Sequence[FeedRow]) -> dict[int, Diff]:
    """By the ids of these rows, which tell of entities; two statements."""
    if not rows:
        return {}
    wanted = {row.id: row for row in rows}
    first, since = min(wanted), min(row.at for row in rows) - _SLACK
    kinds = load_kinds()
    found: dict[int, Diff] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            _ENTITIES,
            [
                Change.ENTITY, first, since,
                first, since + _SLACK - _ECHO, DERIVING.kind, DERIVING.name,
                sorted({row.object_id for row in rows if row.object_id is not None}),
            ],
        )  # fmt: skip
        for _, blueprint, identifier, *values, created_at, created_by, later, cause in cursor:
            content = _content(identifier, *values) if identifier is not None else None
            signed = (
                {"createdAt": timestamp(created_at), "createdBy": created_by} if content else {}
            )
            changes = _changes(later)
            for n, (change, before, after) in enumerate(_steps(content, changes)):
                row = wanted.get(change.id)
                if row is None:
                    continue
                place = (blueprint or row.blueprint, kinds)
                found[row.id] = Diff(
                    before=_document(before, *place, signed),
                    after=_document(after, *place, {**signed, **_updated(row)}),
                    cause=_cause(changes[n:], cause or ""),
                )
    return found


def run_diffs(rows: Sequence[FeedRow]) -> dict[int, tuple[Run, Diff]]:
    """By the ids of these rows, which tell of runs: the run as it is now, and what it was; one
    statement.
    """
    if not rows:
        return {}
    wanted = {row.id: row for row in rows}
    since = min(row.at for row in rows) - _SLACK
    later = RawSQL(  # noqa: S611 - no text of anybody's is in it
        _LATER.format(pk="actions_run.id"), ["run", min(wanted), since], output_field=TextField()
    )
    runs = Run.objects.select_related("action").filter(
        pk__in={row.object_id for row in rows if row.object_id is not None}
    )
    found: dict[int, tuple[Run, Diff]] = {}
    for run in runs.annotate(later=later):
        document = run_document(run)
        for change in _changes(run.later):
            earlier = None if change.action == feed.CREATE else _run_before(document, change)
            if change.id in wanted:
                found[change.id] = (run, Diff(earlier, document, run.identifier))
            if earlier is None:
                break
            document = earlier
    return found


def _changes(text: str | None) -> list[_Change]:
    """Newest first."""
    return [_Change(*values) for values in orjson.loads(text or "[]")]


def _content(
    identifier: str,
    title: str | None,
    icon: str | None,
    team: list[str],
    properties: str,
    computed: str,
    relations: str,
) -> dict[str, Any]:
    return {
        "identifier": identifier,
        "title": title,
        "icon": icon,
        "team": team,
        "properties": orjson.loads(properties),
        "computed": orjson.loads(computed),
        "relations": orjson.loads(relations),
    }


def _steps(
    content: dict[str, Any] | None, changes: Sequence[_Change]
) -> Iterator[tuple[_Change, dict[str, Any] | None, dict[str, Any] | None]]:
    """Each change with the contents before and after it, the newest first."""
    after = content
    for change in changes:
        before = _undone(after, change)
        yield change, before, after
        after = before


def _undone(content: dict[str, Any] | None, change: _Change) -> dict[str, Any] | None:
    if change.action == feed.CREATE:
        return None
    if change.action == feed.DELETE:
        gone = change.before or {}
        return {
            "identifier": change.identifier,
            **{name: gone.get(name) for name in _FLAT},
            **{name: gone.get(name) or {} for name in _NESTED},
        }
    if content is None:
        return None
    result, was, became = dict(content), change.before or {}, change.after or {}
    for name in {**was, **became}:
        if name in _NESTED:
            old, new = was.get(name, {}), became.get(name, {})
            kept = {key: value for key, value in result[name].items() if key not in new}
            result[name] = {**kept, **old}
        else:
            result[name] = was.get(name)
    return result


def _cause(changes: Sequence[_Change], earlier: str) -> str:
    """The run behind the first of these changes, which are the newest first."""
    return next((one.run for one in changes if one.run or not is_derived(one)), earlier)


def _document(
    content: dict[str, Any] | None, blueprint: str, kinds: Kinds, signed: Mapping[str, Any]
) -> dict[str, Any] | None:
    if content is None:
        return None
    kind = kinds.get(blueprint)
    empty: dict[str, Any] = {
        link.identifier: [] if link.many else None for link in (kind.links.values() if kind else ())
    }
    return {
        "identifier": content.get("identifier"),
        **{name: content[name] for name in _FLAT},
        "blueprint": blueprint,
        "properties": {**content["properties"], **content["computed"]},
        "relations": {**empty, **content["relations"]},
        **signed,
    }


def _updated(row: FeedRow) -> dict[str, Any]:
    if is_derived(row):
        return {}
    return {"updatedAt": timestamp(row.at), "updatedBy": row.actor}


def _run_before(document: Mapping[str, Any], change: _Change) -> dict[str, Any]:
    earlier = {**document, **(change.before or {})}
    if "approvals" in earlier:
        earlier["approval"] = approval_of(earlier.pop("approvals"))
    if earlier["status"] in Run.OPEN:
        earlier["endedAt"] = None
    return earlier
