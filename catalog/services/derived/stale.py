"""Who has to be refreshed: changes of the feed become marks, marks are worked off in chunks.

`mark` reads changes and notes, in their transaction, which entities may have values that are no
longer true. It asks the edges as they are now and, for those that are gone, what the change says
of before. `refresh_stale` takes a chunk of one blueprint, in a transaction of its own, so that a
thing that ten thousand mirror holds nobody up. What it changes is in the feed again and marks the
next in line; definitions have no circles, so that ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from django.db import connection, transaction

from catalog.kernel import feed
from catalog.kernel.feed import FeedRow
from catalog.models import Change
from catalog.selectors.kinds import Kind
from catalog.services.derived.plan import Hop, Plan, Route, load_plan
from catalog.services.derived.refresh import ACTOR, CHUNK, lock, refresh_locked
from catalog.services.derived.specs import EVERYTHING

_Key = tuple[str, str]  # blueprint, identifier
_Place = tuple[Route, int]  # a position on a route

# Keys of a blueprint that say what is computed, and those that paths of others go along.
_OWN_KEYS: Final = {
    "mirrorProperties",
    "calculationProperties",
    "aggregationProperties",
    "ownership",
    "teamInheritance",
}
_PATH_KEYS: Final = {"identifier", "relations"}
_META: Final = {"title": "$title", "icon": "$icon", "team": "$team"}

_MARK: Final = """
INSERT INTO catalog_staleentity (entity_id, blueprint_id, is_whole)
SELECT e.id, e.blueprint_id, {whole} FROM catalog_entity e WHERE {which} ORDER BY e.id
ON CONFLICT (entity_id) {conflict}
"""
_MARK_WHOLE: Final = _MARK.format(
    whole="true", which="{which}", conflict="DO UPDATE SET is_whole = true"
)
_MARK_READING: Final = _MARK.format(whole="false", which="{which}", conflict="DO NOTHING")

_PKS: Final = """
SELECT k.b, k.i, e.id FROM json_to_recordset(%s::json) AS k(b text, i text)
JOIN catalog_blueprint b ON b.identifier = k.b
JOIN catalog_entity e ON e.blueprint_id = b.id AND e.identifier = k.i
"""

# From an entity at the far end of a step back to those at its near end.
_BACK: Final = {
    True: "SELECT r.source_id FROM catalog_relation r "
    "WHERE r.definition_id = ANY(%s) AND r.target_id IN ({})",
    False: "SELECT r.target_id FROM catalog_relation r "
    "WHERE r.definition_id = ANY(%s) AND r.source_id IN ({})",
}
_DANGLING: Final = """
SELECT r.source_id FROM json_to_recordset(%s::json) AS k(b text, i text)
JOIN catalog_relation r ON r.target_id IS NULL
    AND r.target_blueprint = k.b AND r.target_identifier = k.i
WHERE r.definition_id = ANY(%s)
"""

_TAKE: Final = """
DELETE FROM catalog_staleentity WHERE entity_id IN (
    SELECT entity_id FROM catalog_staleentity WHERE blueprint_id = %s
    ORDER BY entity_id LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING entity_id, is_whole
"""


def mark(rows: Sequence[FeedRow]) -> None:
    """Note which entities changes of the feed make stale.

    The number of statements depends on the definitions there are, not on the rows.
    """
    plan = load_plan()
    marks = _Marks(plan)
    for row in rows:
        if row.model == Change.ENTITY:
            marks.entity(row)
        elif row.model == Change.BLUEPRINT:
            marks.blueprint(row)
    marks.store()


def mark_all(blueprints: Collection[int] | None = None) -> None:
    """Note all entities of some blueprints (pks), or of all that compute anything, as stale."""
    if blueprints is None:
        plan = load_plan()
        blueprints = [pk for pk, computed in plan.by_pk.items() if not computed.is_empty]
    _execute(_MARK_WHOLE, "e.blueprint_id = ANY(%s)", [list(blueprints)])


def mark_loose() -> None:
    """Note the entities whose values change by themselves as time goes by."""
    plan = load_plan()
    mark_all([pk for pk, computed in plan.by_pk.items() if computed.loose])


def refresh_stale(*, limit: int = CHUNK) -> int | None:
    """Refresh the next entities that wait, of one blueprint, in a transaction of its own.

    Returns how many; None when nothing waits. 0 when others took them meanwhile.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT blueprint_id FROM catalog_staleentity")
        waiting = {pk for (pk,) in cursor.fetchall()}
    if not waiting:
        return None
    order = load_plan().order
    blueprint = next((pk for pk in order if pk in waiting), min(waiting))
    with transaction.atomic(), connection.cursor() as cursor:
        lock(blueprint)
        cursor.execute(_TAKE, [blueprint, limit])
        taken = dict(cursor.fetchall())
        whole = [pk for pk, is_whole in taken.items() if is_whole]
        refresh_locked(blueprint, sorted(taken), whole=whole)
    return len(taken)


def settle(name: str, *, rounds: int = 1000) -> None:
    """Catch up with the feed (as consumer `name`) and refresh until nothing waits.

    Ends early where another process is at it, or a transaction is open that the feed waits for.
    """
    for _ in range(rounds):
        handled = feed.consume(name, mark)
        refreshed = refresh_stale()
        if not handled and refreshed is None:
            return


@dataclass(slots=True)
class _Marks:
    """What a batch of changes makes stale, before it is asked for.

    whole: pks of entities that changed themselves. seeds: by place on a route, entities there that
    changed; their owners are found by walking back. named: the same by (blueprint, identifier).
    gone: deleted entities at a place that an edge still names. blueprints: all of their entities.
    """

    plan: Plan
    whole: set[int] = field(default_factory=set)
    blueprints: set[int] = field(default_factory=set)
    seeds: dict[_Place, set[int]] = field(default_factory=lambda: defaultdict(set))
    named: dict[_Place, set[_Key]] = field(default_factory=lambda: defaultdict(set))
    gone: dict[_Place, set[_Key]] = field(default_factory=lambda: defaultdict(set))

    def blueprint(self, row: FeedRow) -> None:
        keys = {*(row.before or {}), *(row.after or {})}
        own = self.plan.of(row.blueprint)
        if row.action == feed.UPDATE and not keys & (_OWN_KEYS | _PATH_KEYS):
            return
        if own and row.action == feed.UPDATE:
            self.blueprints.add(own.kind.pk)
        for pk, computed in self.plan.by_pk.items():
            is_affected = (
                computed.reads_others if keys & _PATH_KEYS else computed.problems
            )  # a definition may have waited for a blueprint that now is there
            if is_affected:
                self.blueprints.add(pk)

    def entity(self, row: FeedRow) -> None:
        computed = self.plan.of(row.blueprint)
        if computed is None or row.object_id is None:
            return  # a blueprint that was renamed or deleted since: that is a change of its own
        kind = computed.kind
        if row.action != feed.DELETE and not computed.is_empty and not _is_ours(row):
            self.whole.add(row.object_id)
        places = self.plan.routes_at.get(kind.pk)
        if not places:
            return
        is_all = row.action != feed.UPDATE
        names = _changed_names(row)
        changed_links = _changed_links(row, kind)
        for route, position in places:
            self._at(route, position, row, is_all, names, changed_links)

    def _at(
        self,
        route: Route,
        position: int,
        row: FeedRow,
        is_all: bool,
        names: set[str],
        changed_links: Mapping[int, set[_Key]],
    ) -> None:
        """What a change of an entity that may be at `position` of a route means for its owners."""
        pk = row.object_id or 0
        hops = route.walk.hops
        arriving = hops[position - 1] if position else None
        leaving = hops[position] if position < len(hops) else None
        if row.action == feed.DELETE:
            if arriving and arriving.is_forward:
                self.gone[route, position].add((row.blueprint, row.identifier))
        elif is_all:
            self.seeds[route, position].add(pk)
        elif leaving is None:
            if EVERYTHING in route.reads or names & route.reads:
                self.seeds[route, position].add(pk)
        elif leaving.is_forward and changed_links.keys() & set(leaving.links):
            self.seeds[route, position].add(pk)
        if arriving and not arriving.is_forward:
            # it points to what is before it on the way, or pointed there
            for link in changed_links.keys() & set(arriving.links):
                self.named[route, position - 1] |= changed_links[link]

    def store(self) -> None:
        self._resolve_names()
        if self.blueprints:
            mark_all(self.blueprints)
        if self.whole:
            _execute(_MARK_WHOLE, "e.id = ANY(%s)", [sorted(self.whole)])
        for (route, position), pks in self.seeds.items():
            reached, params = _walk_back(route.walk.hops[:position], "SELECT unnest(%s::bigint[])")
            self._mark_owners(route, reached, [*params, sorted(pks)])
        for (route, position), keys in self.gone.items():
            hop = route.walk.hops[position - 1]
            reached, params = _walk_back(route.walk.hops[: position - 1], _DANGLING)
            self._mark_owners(route, reached, [*params, _keys(keys), list(hop.links)])

    def _mark_owners(self, route: Route, reached: str, params: list[Any]) -> None:
        which = f"e.blueprint_id = %s AND e.id IN ({reached})"
        _execute(_MARK_READING, which, [route.owner, *params])

    def _resolve_names(self) -> None:
        wanted = {key for keys in self.named.values() for key in keys}
        if not wanted:
            return
        with connection.cursor() as cursor:
            cursor.execute(_PKS, [_keys(wanted)])
            pks = {(blueprint, identifier): pk for blueprint, identifier, pk in cursor.fetchall()}
        for place, keys in self.named.items():
            if found := {pks[key] for key in keys if key in pks}:
                self.seeds[place] |= found


def _walk_back(hops: Sequence[Hop], start: str) -> tuple[str, list[Any]]:
    """The owners of a route whose walk passes what `start` selects after these steps."""
    sql = start
    params: list[Any] = []
    for hop in reversed(hops):
        sql = _BACK[hop.is_forward].format(sql)
        params.insert(0, list(hop.links))
    return sql, params


def _is_ours(row: FeedRow) -> bool:
    return (row.actor_kind, row.actor) == (ACTOR.kind, ACTOR.name)


def _changed_names(row: FeedRow) -> set[str]:
    """The names that an update changed, as definitions read them."""
    names: set[str] = set() if _is_ours(row) else {"$updatedAt", "$updatedBy"}
    for content in (row.before or {}, row.after or {}):
        for key, value in content.items():
            if key in ("properties", "computed"):
                names |= value.keys()
            elif key == "relations":
                names |= {f"relations.{name}" for name in value}
            elif key in _META:
                names.add(_META[key])
    return names


def _changed_links(row: FeedRow, kind: Kind) -> dict[int, set[_Key]]:
    """The relations (pks) that a change touched, with the entities they name before and after."""
    links: dict[int, set[_Key]] = {}
    for content in (row.before or {}, row.after or {}):
        for name, value in (content.get("relations") or {}).items():
            link = kind.links.get(name)
            if link is None:
                continue
            targets = links.setdefault(link.pk, set())
            targets |= set(_targets(link.target, value))
    return links


def _targets(blueprint: str | None, value: Any) -> Iterator[_Key]:
    for one in value if isinstance(value, list) else [value]:
        if blueprint is not None:
            yield blueprint, one
        else:
            kind, _, identifier = one.partition(":")
            yield kind, identifier


def _keys(keys: Iterable[_Key]) -> str:
    return orjson.dumps([{"b": one, "i": two} for one, two in sorted(keys)]).decode()


def _execute(statement: str, which: str, params: list[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement.format(which=which), params)
