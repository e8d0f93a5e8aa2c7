"""`apply`: the steps of a batch through the door, in their order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from django.db import connection, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor, EntityWrite, Verb
from catalog.kernel.errors import (
    AlreadyExists,
    Conflict,
    IdpError,
    InvalidEntity,
    LimitExceeded,
    NotFound,
    shorten,
)
from catalog.kernel.identifiers import check_entity_identifier, check_run, new_entity_identifier
from catalog.kernel.schema import MAX_PROBLEMS
from catalog.models import Change
from catalog.registry import own_blueprints
from catalog.services.entities.content import (
    as_stated,
    changed_parts,
    check_storable,
    content_hash,
    loaded,
    new_content,
    stated_targets,
)
from catalog.services.entities.drafts import (
    MAX_BATCH,
    ApplyResult,
    EntityDraft,
    ItemResult,
    MissingTargets,
    Mode,
    Status,
)
from catalog.services.entities.locking import lock_for_writing, retrying
from catalog.services.entities.marking import mark_changed
from catalog.services.shapes import Definition, Shape, load_shapes
from catalog.services.system_blueprints import require_writer

MAX_COMPARED = 1000  # faults of an entity that was wrong before its change

_FETCH_KEYS = """
SELECT e.blueprint_id, e.identifier, e.id, e.content_hash, e.datasource
FROM json_to_recordset(%s::json) AS k(blueprint_id bigint, identifier text)
JOIN catalog_entity e ON e.blueprint_id = k.blueprint_id AND e.identifier = k.identifier
"""

_FETCH_CONTENT = """
SELECT id, title, icon, team, properties, relations, descriptor, location
FROM catalog_entity WHERE id = ANY(%s)
"""

_UPSERT = """
INSERT INTO catalog_entity (
    blueprint_id, identifier, title, icon, team, properties, relations, computed, descriptor,
    location, content_hash, datasource, created_at, created_by, updated_at, updated_by)
SELECT r.b, r.i, r.title, r.icon, r.team, r.properties, r.relations, '{}', r.descriptor,
       r.location, decode(r.h, 'hex'), %(datasource)s, %(now)s, %(actor)s, %(now)s, %(actor)s
FROM json_to_recordset(%(rows)s::json) AS r(
    b bigint, i text, title text, icon text, team text[], properties jsonb, relations jsonb,
    descriptor json, location text, h text)
ON CONFLICT ON CONSTRAINT entity_unique DO UPDATE SET
    title = excluded.title, icon = excluded.icon, team = excluded.team,
    properties = excluded.properties, relations = excluded.relations,
    descriptor = excluded.descriptor, location = excluded.location,
    content_hash = excluded.content_hash, datasource = excluded.datasource,
    updated_at = excluded.updated_at, updated_by = excluded.updated_by
RETURNING blueprint_id, identifier, id
"""

_INSERT_EDGES = """
INSERT INTO catalog_relation (
    source_id, definition_id, position, target_blueprint, target_identifier, target_id)
SELECT r.s, r.d, r.p, r.tb, r.ti, r.t
FROM json_to_recordset(%s::json) AS r(s bigint, d bigint, p int, tb text, ti text, t bigint)
"""

_MEND = """
UPDATE catalog_relation r SET target_id = k.id
FROM json_to_recordset(%s::json) AS k(id bigint, blueprint text, identifier text)
WHERE r.target_id IS NULL
  AND r.target_blueprint = k.blueprint AND r.target_identifier = k.identifier
"""


def apply(
    drafts: Sequence[EntityDraft],
    *,
    mode: Mode,
    actor: Actor,
    missing_targets: MissingTargets = MissingTargets.REJECT,
    must_exist: bool = False,
    all_or_nothing: bool = False,
    dry_run: bool = False,
    run: str = "",
) -> ApplyResult:
    """Create or change a batch of entities, in one transaction.

    A bad draft is reported in its item and stops nobody else, unless `all_or_nothing`. A draft
    that changes nothing writes nothing: no new `updated_at`, no history. Different drafts of the
    same entity are applied one after the other, each with some statements of its own; what only
    repeats the one before it costs none. `must_exist` refuses to create. `dry_run` checks
    everything and stores nothing. `run` names the action run that caused the change.

    Raises LimitExceeded for more than `MAX_BATCH` drafts, InvalidInput for an impossible `run`.
    """
    check_run(run)
    if len(drafts) > MAX_BATCH:
        raise LimitExceeded(
            f"A batch has {len(drafts)} entities; expected at most {MAX_BATCH}",
            details={
                "field": "entities",
                "value": len(drafts),
                "expected": f"<= {MAX_BATCH}",
            },
        )
    door = _Door(
        mode=Mode(mode),
        actor=actor,
        missing_targets=MissingTargets(missing_targets),
        must_exist=must_exist,
        all_or_nothing=all_or_nothing,
        dry_run=dry_run,
        run=run,
    )
    return retrying(lambda: door.pass_through(drafts))


@dataclass(slots=True)
class _Stored:
    """An entity as it is in the table; the content only where it was asked for."""

    pk: int
    content_hash: bytes
    datasource: str
    content: dict[str, Any] | None = None


@dataclass(slots=True)
class _Item:
    """A draft on its way through the door."""

    index: int
    draft: EntityDraft
    shape: Shape | None = None
    identifier: str = ""
    stored: _Stored | None = None
    base: dict[str, Any] | None = None  # what a merge builds on
    content: dict[str, Any] = field(default_factory=dict)
    content_hash: bytes = b""
    targets: list[tuple[Definition, str, str]] = field(default_factory=list)
    status: Status = Status.UNCHANGED
    error: IdpError | None = None
    pk: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        return (self.draft.blueprint, self.identifier)

    def reject(self, error: IdpError) -> None:
        self.status, self.error = Status.REJECTED, error

    def repeat(self, first: _Item) -> None:
        """Come to what a draft comes to that says the same as the one before it."""
        self.pk = first.pk
        if first.error:
            self.reject(first.error)

    def keep_inherited_team(self) -> None:
        """What an entity inherits is not for drafts to say; it stays until it is refreshed."""
        if self.shape and self.shape.inherits_team and self.stored and self.stored.content:
            self.content["team"] = self.stored.content["team"]

    @property
    def new_targets(self) -> list[tuple[Definition, str, str]]:
        """The edges to check: a merge does not answer for those that dangled before."""
        if self.base is None:
            return self.targets
        known = {
            (name, target)
            for name, value in self.base["relations"].items()
            for target in (value if isinstance(value, list) else [value])
        }
        return [edge for edge in self.targets if as_stated(edge) not in known]

    @property
    def is_own(self) -> bool:
        """Whether it is something that the platform makes of what it knows."""
        return self.draft.blueprint in own_blueprints

    @property
    def is_changed(self) -> bool:
        return self.status in (Status.CREATED, Status.UPDATED)


class _Door:
    """One call of `apply`: the settings of the call and the steps in their order."""

    def __init__(
        self,
        *,
        mode: Mode,
        actor: Actor,
        missing_targets: MissingTargets,
        must_exist: bool,
        all_or_nothing: bool,
        dry_run: bool,
        run: str,
    ) -> None:
        self.mode = mode
        self.actor = actor
        self.missing_targets = missing_targets
        self.must_exist = must_exist
        self.all_or_nothing = all_or_nothing
        self.dry_run = dry_run
        self.run = run
        self.now: datetime = timezone.now()
        self.shapes: dict[str, Shape] = {}
        self.ids: dict[tuple[str, str], int] = {}  # targets known to exist
        self.created_pks: set[int] = set()
        self.created_targets: list[tuple[str, str]] = []

    def pass_through(self, drafts: Sequence[EntityDraft]) -> ApplyResult:
        self.ids, self.created_pks, self.created_targets = {}, set(), []
        items = [_Item(index, draft) for index, draft in enumerate(drafts)]
        with transaction.atomic():
            lock_for_writing(
                (draft.blueprint for draft in drafts),
                creates_targets=self.missing_targets is MissingTargets.CREATE,
            )
            self.now = timezone.now()  # not before: moments follow the order of the writes
            self.shapes = load_shapes()
            for item in items:
                self._identify(item)
            repeated = {} if self.mode is Mode.CREATE else _repeats(items)
            for round_ in _rounds([one for one in items if one.index not in repeated]):
                self._apply_round(round_)
            for index, first in repeated.items():
                items[index].repeat(first)
            is_refused = self.all_or_nothing and any(item.error for item in items)
            if self.dry_run or is_refused:
                transaction.set_rollback(True)
        if is_refused:
            self.created_targets = []
            for item in items:
                if not item.error:
                    item.status = Status.SKIPPED
        unstored = self.created_pks if self.dry_run or is_refused else set()
        return ApplyResult(
            items=[
                ItemResult(
                    index=item.index,
                    blueprint=item.draft.blueprint,
                    identifier=item.identifier,
                    status=item.status,
                    pk=None if item.pk in unstored else item.pk,
                    error=item.error,
                )
                for item in items
            ],
            created_targets=self.created_targets,
        )

    def _identify(self, item: _Item) -> None:
        draft = item.draft
        item.identifier = draft.identifier if isinstance(draft.identifier, str) else ""
        item.shape = self.shapes.get(draft.blueprint)
        try:
            if item.shape is None:
                raise NotFound.of("Blueprint", draft.blueprint)
            if draft.identifier is None:
                item.identifier = new_entity_identifier()
            check_entity_identifier(
                item.identifier if draft.identifier is None else draft.identifier
            )
        except IdpError as error:
            item.reject(error)

    def _apply_round(self, items: list[_Item]) -> None:
        """Apply drafts of different entities; the number of statements does not depend on them."""
        live = [item for item in items if not item.error]
        self._fetch(live)
        for item in live:
            try:
                self._decide(item)
            except IdpError as error:
                item.reject(error)
        changed = [item for item in live if item.is_changed]
        changed += self._resolve_targets(changed)
        changed = [item for item in changed if item.is_changed]
        self._touch([item for item in live if item.status is Status.UNCHANGED])
        if changed:
            self._write(sorted(changed, key=lambda item: item.key))

    def _fetch(self, items: list[_Item]) -> None:
        by_key = {(item.shape.pk, item.identifier): item for item in items if item.shape}
        if not by_key:
            return
        with connection.cursor() as cursor:
            cursor.execute(_FETCH_KEYS, [keys_json("blueprint_id", by_key)])
            for blueprint_pk, identifier, pk, digest, datasource in cursor.fetchall():
                by_key[blueprint_pk, identifier].stored = _Stored(pk, bytes(digest), datasource)
        if self.mode is Mode.MERGE:
            _fetch_content([item.stored for item in items if item.stored])
        elif self.actor.authority:
            _fetch_content(
                [i.stored for i in items if i.stored and i.shape and i.shape.permissions]
            )

    def _decide(self, item: _Item) -> None:
        """Work out the new content of one entity and whether it differs from what is stored."""
        draft, stored = item.draft, item.stored
        shape = self.shapes[draft.blueprint]
        if stored is None and (self.must_exist or draft.if_hash is not None):
            raise NotFound.of("Entity", item.identifier)
        if stored and self.mode is Mode.CREATE:
            raise already_exists(shape.identifier, item.identifier)
        if stored and draft.if_hash is not None and draft.if_hash != stored.content_hash:
            raise Conflict(
                f'Entity "{shorten(item.identifier)}" was changed by someone else meanwhile',
                hint="Load it again and repeat the change.",
            )
        old = item.base = stored.content if stored and self.mode is Mode.MERGE else None
        item.content = new_content(draft, shape, old)
        item.keep_inherited_team()
        check_storable(item.content)
        _validate(item.content["properties"], shape, old)
        item.targets = stated_targets(item.content["relations"], shape)
        item.content_hash = content_hash(item.content, shape)
        item.pk = stored.pk if stored else None
        if stored is None:
            item.status = Status.CREATED
        elif stored.content_hash != item.content_hash:
            item.status = Status.UPDATED
        if item.is_changed or self._is_touched(item):
            self._authorize(item)

    def _is_touched(self, item: _Item) -> bool:
        """Whether a draft that changes nothing makes the actor's program the last writer."""
        told = self.actor.datasource
        return bool(item.stored and told and item.stored.datasource != told)

    def _authorize(self, item: _Item) -> None:
        """Raises PermissionDenied where the change is not the actor's to make."""
        authority, shape = self.actor.authority, item.shape
        if shape is None:
            return
        if authority is None:
            require_writer(shape.identifier, self.actor)
            return
        old = item.stored.content if item.stored else None
        verb = Verb.UPDATE if item.stored else Verb.REGISTER
        authority.check(
            EntityWrite(
                verb=verb,
                blueprint=shape.identifier,
                is_system=shape.is_system,
                permissions=shape.permissions,
                identifier=item.identifier,
                team=(item.content if old is None else old)["team"],
                fields=_touched(old, item.content) if old is not None else (),
            )
        )

    def _resolve_targets(self, changed: list[_Item]) -> list[_Item]:
        """Find the targets of all edges; returns the stubs to create for missing ones."""
        wanted = {(b, i) for item in changed for _, b, i in item.targets} - self.ids.keys()
        keys = [
            (self.shapes[blueprint].pk, identifier)
            for blueprint, identifier in sorted(wanted)
            if blueprint in self.shapes
        ]
        if keys:
            names = {shape.pk: shape.identifier for shape in self.shapes.values()}
            with connection.cursor() as cursor:
                cursor.execute(_FETCH_KEYS, [keys_json("blueprint_id", keys)])
                for blueprint_pk, identifier, pk, _, _ in cursor.fetchall():
                    self.ids[names[blueprint_pk], identifier] = pk
        if self.missing_targets is MissingTargets.DANGLE:
            return []
        needing: dict[tuple[str, str], list[tuple[_Item, Definition]]] = defaultdict(list)
        for item in changed:
            for definition, blueprint, identifier in item.new_targets:
                needing[blueprint, identifier].append((item, definition))
        stubs: dict[tuple[str, str], _Item] = {}
        coming = {item.key for item in changed}
        missing = [key for key in needing if key not in self.ids and key not in coming]
        while missing:  # rejecting one item may leave another one without its target
            lost: list[tuple[str, str]] = []
            for key in missing:
                for item, definition in needing[key]:
                    if not item.error:
                        self._handle_missing(item, definition, key, stubs)
                        lost += [item.key] if item.error else []
            missing = [key for key in lost if key in needing and key not in self.ids]
        needed = {(b, i) for item in changed if item.is_changed for _, b, i in item.targets}
        made = [stub for key, stub in stubs.items() if key in needed]
        self.created_targets += [stub.key for stub in made]
        return made

    def _handle_missing(
        self,
        item: _Item,
        definition: Definition,
        target: tuple[str, str],
        stubs: dict[tuple[str, str], _Item],
    ) -> None:
        """Plan a stub for a missing target, or reject the item that needs it."""
        blueprint, identifier = target
        shape = self.shapes.get(blueprint)
        may_create = self.missing_targets is MissingTargets.CREATE
        try:
            if not may_create or shape is None or shape.is_system:
                raise NotFound(
                    f'relation "{definition.identifier}": entity "{shorten(identifier)}" of '
                    f'blueprint "{shorten(blueprint)}" was not found',
                    hint="Create it first, or ask for missing related entities to be created.",
                    details={
                        "field": f"relations.{definition.identifier}",
                        "value": shorten(identifier),
                        "expected": f"an existing entity of {blueprint}",
                        "resource": "Entity",
                    },
                )
            check_entity_identifier(identifier)
            if target not in stubs:
                stub = _stub(shape, identifier)
                self._authorize(stub)
                stubs[target] = stub
        except IdpError as error:
            item.reject(error)

    def _touch(self, unchanged: list[_Item]) -> None:
        """Note the last writer where only that differs; content, times and history stay."""
        moved = [item.stored.pk for item in unchanged if item.stored and self._is_touched(item)]
        if moved:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE catalog_entity SET datasource = %s WHERE id = ANY(%s)",
                    [self.actor.datasource, moved],
                )

    def _write(self, changed: list[_Item]) -> None:
        updated = [item for item in changed if item.status is Status.UPDATED]
        _fetch_content(
            [item.stored for item in updated if item.stored and item.stored.content is None]
        )
        for item in updated:
            item.keep_inherited_team()
        with connection.cursor() as cursor:
            self._upsert(cursor, changed)
            self._write_edges(cursor, changed)
            created = [item for item in changed if item.status is Status.CREATED]
            self.created_pks.update(item.pk for item in created if item.pk)
            mend(cursor, [(item.pk, *item.key) for item in created if item.pk])
            mark_changed(cursor, [item.pk for item in changed if item.pk and not item.is_own])
        feed.record(
            [_record(item) for item in changed],
            actor=self.actor,
            at=self.now,
            run=self.run,
        )

    def _upsert(self, cursor: Any, changed: list[_Item]) -> None:
        rows = [
            {
                "b": item.shape.pk,
                "i": item.identifier,
                **item.content,
                "h": item.content_hash.hex(),
            }
            for item in changed
            if item.shape
        ]
        cursor.execute(
            _UPSERT,
            {
                "rows": orjson.dumps(rows).decode(),
                "datasource": self.actor.datasource,
                "now": self.now,
                "actor": self.actor.name,
            },
        )
        names = {shape.pk: shape.identifier for shape in self.shapes.values()}
        by_key = {item.key: item for item in changed}
        for blueprint_pk, identifier, pk in cursor.fetchall():
            key = (names[blueprint_pk], identifier)
            by_key[key].pk = self.ids[key] = pk

    def _write_edges(self, cursor: Any, changed: list[_Item]) -> None:
        """Replace the edges of the entities whose relations differ."""
        moved = [
            item
            for item in changed
            if item.stored is None
            or item.stored.content is None
            or item.stored.content["relations"] != item.content["relations"]
        ]
        old = [item.stored.pk for item in moved if item.stored]
        if old:
            cursor.execute("DELETE FROM catalog_relation WHERE source_id = ANY(%s)", [old])
        edges = [
            {
                "s": item.pk,
                "d": definition.pk,
                "p": position,
                "tb": blueprint,
                "ti": identifier,
                "t": self.ids.get((blueprint, identifier)),
            }
            for item in moved
            for position, (definition, blueprint, identifier) in enumerate(item.targets)
        ]
        if edges:
            cursor.execute(_INSERT_EDGES, [orjson.dumps(edges).decode()])


def _validate(properties: dict[str, Any], shape: Shape, old: dict[str, Any] | None) -> None:
    problems = shape.validator.problems(properties)
    if problems and old is not None:
        # A merge is refused only for what it makes worse, not for what was wrong before.
        known = {p.fault for p in shape.validator.problems(old["properties"], limit=MAX_COMPARED)}
        now = shape.validator.problems(properties, limit=MAX_COMPARED)
        problems = [p for p in now if p.fault not in known][:MAX_PROBLEMS]
    if problems:
        first = problems[0]
        where = f'property "{first.path}": ' if first.path else ""
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InvalidEntity(
            f"{where}{first.message}{more}",
            details={
                "field": f"properties.{first.path}" if first.path else "properties",
                "value": first.value,
                "expected": first.expected,
                "problems": [p.as_dict() for p in problems],
            },
        )


def _repeats(items: list[_Item]) -> dict[int, _Item]:
    """Those that say of an entity what the one before them said, by index, with the first that
    said so: nothing is left for them to do.

    Sources make many of them, such as every node of a cluster naming that cluster.
    """
    last: dict[tuple[str, str], _Item] = {}
    found: dict[int, _Item] = {}
    for item in items:
        if item.error:
            continue
        before = last.get(item.key)
        # Their texts are compared, since to Python 1, 1.0 and True are the same.
        if before and item.draft.if_hash is None and repr(before.draft) == repr(item.draft):
            found[item.index] = before
        else:
            last[item.key] = item
    return found


def _rounds(items: list[_Item]) -> Iterable[list[_Item]]:
    """Split so that no round has an entity twice; nearly always that is one round."""
    pending = items
    while pending:
        seen: set[tuple[str, str]] = set()
        now: list[_Item] = []
        later: list[_Item] = []
        for item in pending:
            if not item.error and item.key in seen:
                later.append(item)
            else:
                seen.add(item.key)
                now.append(item)
        yield now
        pending = later


def _stub(shape: Shape, identifier: str) -> _Item:
    """A target that nobody described yet: just a name, which the next writer fills in."""
    draft = EntityDraft(shape.identifier, identifier)
    content: dict[str, Any] = {
        "title": identifier[:1000],
        "icon": None,
        "team": [],
        "properties": dict(shape.defaults),
        "relations": {},
        "descriptor": None,
        "location": None,
    }
    return _Item(
        index=-1,
        draft=draft,
        shape=shape,
        identifier=identifier,
        content=content,
        content_hash=content_hash(content, shape),
        status=Status.CREATED,
    )


def _record(item: _Item) -> feed.Record:
    before = after = None
    if item.stored and item.stored.content is not None:
        before, after = changed_parts(item.stored.content, item.content)
    action = feed.UPDATE if item.stored else feed.CREATE
    return feed.Record(
        action,
        Change.ENTITY,
        item.identifier,
        item.draft.blueprint,
        item.pk,
        before,
        after,
    )


def _touched(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The fields that differ, as permissions name them: "$title", "properties.tier"."""
    before, after = changed_parts(old, new)
    fields = []
    for key in after:
        if key in ("properties", "relations"):
            fields += [f"{key}.{name}" for name in {**before[key], **after[key]}]
        else:
            fields.append(f"${key}")
    return fields


def _fetch_content(stored: list[_Stored]) -> None:
    if not stored:
        return
    by_pk = {one.pk: one for one in stored}
    with connection.cursor() as cursor:
        cursor.execute(_FETCH_CONTENT, [list(by_pk)])
        for pk, *values in cursor.fetchall():
            by_pk[pk].content = loaded(values)


def mend(cursor: Any, created: list[tuple[int, str, str]]) -> None:
    """Point dangling edges at the entities that have just appeared."""
    if created:
        rows = [{"id": pk, "blueprint": b, "identifier": i} for pk, b, i in created]
        cursor.execute(_MEND, [orjson.dumps(rows).decode()])


def keys_json(first: str, keys: Iterable[tuple[Any, str]]) -> str:
    """Keys for `json_to_recordset`: quicker to pass than arrays, which are quoted one by one."""
    return orjson.dumps([{first: one, "identifier": two} for one, two in keys]).decode()


def already_exists(blueprint: str, identifier: str) -> AlreadyExists:
    return AlreadyExists(
        f'Entity "{shorten(identifier)}" of blueprint "{blueprint}" exists already',
        hint="Use upsert to change it.",
        details={
            "resource": "Entity",
            "with": "identifier",
            "value": shorten(identifier),
        },
    )
