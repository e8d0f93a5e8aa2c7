"""The one door: every change of an entity goes through `apply` or `delete`.

A batch is one transaction with a constant number of statements. Writers of one blueprint take
turns by an advisory lock; those of different blueprints run side by side. Locks are taken in one
order (see `_LOCK`), so writers never deadlock, never lose an update, and never miss that the
target of an edge appeared meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final, TypeVar

import orjson
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from psycopg.errors import DeadlockDetected

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import (
    AlreadyExists,
    Conflict,
    HasDependents,
    IdpError,
    InvalidEntity,
    InvalidInput,
    LimitExceeded,
    NotFound,
    shorten,
)
from catalog.kernel.identifiers import (
    check_byte_length,
    check_entity_identifier,
    new_entity_identifier,
)
from catalog.kernel.locks import Lock
from catalog.kernel.schema import check_json
from catalog.models import Change
from catalog.services.shapes import Definition, Shape, load_shapes

MAX_BATCH: Final = 5000
ANY: Final = None  # target of a relation that may lead to any kind

_T = TypeVar("_T")


class Mode(StrEnum):
    """What a draft does to an entity that exists; one that does not is created."""

    CREATE = "create"  # refuse it
    REPLACE = "replace"  # what the draft does not say is reset
    MERGE = "merge"  # only what the draft says changes; None clears a key


class MissingTargets(StrEnum):
    """What happens when a relation names an entity that is not there."""

    REJECT = "reject"
    CREATE = "create"  # with nothing but an identifier and a title
    DANGLE = "dangle"  # keep the edge; it is mended when the target appears


class Unset:
    """Not said by the caller (in a merge, different from None, which clears)."""

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset()


@dataclass(frozen=True, slots=True)
class EntityDraft:
    """What a caller wants an entity to be.

    blueprint: identifier of the blueprint. identifier: None makes one up. team: identifiers of
    owning teams. relations: {relation: target | [targets] | None}; a relation to any kind takes
    "blueprint:identifier". descriptor, location: the foreign document and where it was read.
    if_hash: refuse with Conflict when the stored content is no longer this (optimistic locking).
    """

    blueprint: str
    identifier: str | None
    title: str | Unset | None = UNSET
    icon: str | Unset | None = UNSET
    team: Sequence[str] | str | Unset | None = UNSET
    properties: dict[str, Any] | Unset | None = UNSET
    relations: dict[str, Any] | Unset | None = UNSET
    descriptor: dict[str, Any] | Unset | None = UNSET
    location: str | Unset | None = UNSET
    if_hash: bytes | None = None


class Status(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"
    SKIPPED = "skipped"  # good, but all-or-nothing and another one was rejected


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of the draft at `index`. pk is None when nothing is stored."""

    index: int
    blueprint: str
    identifier: str
    status: Status
    pk: int | None = None
    error: IdpError | None = None


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """One item per draft, in order; and the targets made up for `MissingTargets.CREATE`."""

    items: list[ItemResult]
    created_targets: list[tuple[str, str]] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        return Counter(item.status.value for item in self.items)

    @property
    def rejected(self) -> list[ItemResult]:
        return [item for item in self.items if item.status is Status.REJECTED]


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
    content: dict[str, Any] = field(default_factory=dict)
    content_hash: bytes = b""
    targets: list[tuple[Definition, str, str]] = field(default_factory=list)
    status: Status = Status.UNCHANGED
    error: IdpError | None = None
    pk: int | None = None
    is_stub: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return (self.draft.blueprint, self.identifier)

    def reject(self, error: IdpError) -> None:
        self.status, self.error = Status.REJECTED, error

    @property
    def new_targets(self) -> list[tuple[Definition, str, str]]:
        """The edges to check: a merge does not answer for those that dangled before."""
        old = self.stored.content["relations"] if self.stored and self.stored.content else {}
        return [
            edge
            for edge in self.targets
            if old.get(edge[0].identifier) != self.content["relations"][edge[0].identifier]
        ]

    @property
    def is_changed(self) -> bool:
        return self.status in (Status.CREATED, Status.UPDATED)


# The written blueprints exclusively, the targets of their relations shared: so nobody creates or
# deletes a target while an edge to it is being written. Where targets may be created here, they
# are locked exclusively too. Always in the order of blueprint ids.
_LOCK = """
WITH written AS (SELECT id FROM catalog_blueprint WHERE identifier = ANY(%(identifiers)s)),
needed AS (
    SELECT id, true AS exclusive FROM written
    UNION ALL
    SELECT target_id, %(create)s FROM catalog_relationdefinition
    WHERE blueprint_id IN (SELECT id FROM written) AND target_id IS NOT NULL
    UNION ALL
    SELECT b.id, %(create)s FROM catalog_blueprint b
    WHERE EXISTS (SELECT FROM catalog_relationdefinition d
                  WHERE d.blueprint_id IN (SELECT id FROM written) AND d.target_id IS NULL)
),
ordered AS MATERIALIZED (
    SELECT id::int AS id, bool_or(exclusive) AS exclusive FROM needed GROUP BY id ORDER BY id
)
SELECT CASE WHEN exclusive THEN pg_advisory_xact_lock(%(purpose)s, id)
            ELSE pg_advisory_xact_lock_shared(%(purpose)s, id) END
FROM ordered
"""

_CONTENT_COLUMNS = "title icon team properties relations descriptor location".split()

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
    that changes nothing writes nothing: no new `updated_at`, no history. Two drafts of the same
    entity are applied one after the other. `must_exist` refuses to create. `dry_run` checks
    everything and stores nothing. `run` names the action run that caused the change.

    Raises LimitExceeded for more than `MAX_BATCH` drafts.
    """
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
    return _retrying(lambda: door.pass_through(drafts))


def delete(
    keys: Sequence[tuple[str, str]],
    *,
    actor: Actor,
    delete_dependents: bool = False,
    run: str = "",
) -> list[tuple[str, str]]:
    """Delete entities by (blueprint, identifier); unknown ones are skipped.

    An entity that others point to by a *required* relation is refused with HasDependents, unless
    `delete_dependents` deletes those too; then nothing at all is deleted. Other edges to it stay
    and dangle. The whole entity goes into the history, from which `restore` can bring it back.

    Returns the keys of what was deleted.
    """
    return _retrying(
        lambda: _delete(keys, actor=actor, delete_dependents=delete_dependents, run=run)
    )


def restore(deleted: Sequence[tuple[str, str, dict[str, Any]]], *, actor: Actor) -> ApplyResult:
    """Bring back deleted entities from (blueprint, identifier, `before` of the deletion)."""
    drafts = [
        EntityDraft(
            blueprint,
            identifier,
            **{column: before.get(column) for column in _CONTENT_COLUMNS},
        )
        for blueprint, identifier, before in deleted
    ]
    return apply(drafts, mode=Mode.CREATE, actor=actor, missing_targets=MissingTargets.DANGLE)


def rename(blueprint: str, identifier: str, new_identifier: str, *, actor: Actor) -> int:
    """Give an entity another identifier; edges to it follow. Returns its pk.

    Raises NotFound, AlreadyExists, InvalidInput.
    """
    check_entity_identifier(new_identifier)
    now = timezone.now()
    with transaction.atomic(), connection.cursor() as cursor:
        lock_everything()
        cursor.execute(
            "SELECT e.id, b.id, EXISTS (SELECT FROM catalog_entity o "
            "WHERE o.blueprint_id = b.id AND o.identifier = %s) "
            "FROM catalog_entity e JOIN catalog_blueprint b ON b.id = e.blueprint_id "
            "WHERE b.identifier = %s AND e.identifier = %s",
            [new_identifier, blueprint, identifier],
        )
        row = cursor.fetchone()
        if row is None:
            raise NotFound.of("Entity", identifier)
        pk, blueprint_pk, is_taken = row
        if is_taken and new_identifier != identifier:
            raise _already_exists(blueprint, new_identifier)
        cursor.execute(
            "UPDATE catalog_entity SET identifier = %s, updated_at = %s, updated_by = %s "
            "WHERE id = %s",
            [new_identifier, now, actor.name, pk],
        )
        _rename_targets(
            cursor, "r.target_id = %s", [pk], actor=actor, new_identifier=new_identifier
        )
        _mend(cursor, [(pk, blueprint, new_identifier)])
        feed.record(
            [
                feed.Record(
                    feed.RENAME,
                    Change.ENTITY,
                    new_identifier,
                    blueprint,
                    pk,
                    {"identifier": identifier},
                    {"identifier": new_identifier},
                )
            ],
            actor=actor,
            at=now,
        )
    return int(pk)


def lock_everything() -> None:
    """Wait for every writer of entities and keep new ones out until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH ordered AS MATERIALIZED (SELECT id::int AS id FROM catalog_blueprint ORDER BY id)"
            " SELECT pg_advisory_xact_lock(%s, id) FROM ordered",
            [int(Lock.BLUEPRINT)],
        )


def rename_target_blueprint(old: str, new: str, *, actor: Actor) -> None:
    """Let edges follow a blueprint that was renamed; the caller holds `lock_everything`."""
    with connection.cursor() as cursor:
        _rename_targets(cursor, "r.target_blueprint = %s", [old], actor=actor, new_blueprint=new)


def content_hash(content: dict[str, Any]) -> bytes:
    """Digest of what an entity says; equal for equal content whatever the order of keys."""
    data = orjson.dumps(
        [content[column] for column in _CONTENT_COLUMNS], option=orjson.OPT_SORT_KEYS
    )
    return blake2b(data, digest_size=16).digest()


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
        self.created_targets: list[tuple[str, str]] = []

    def pass_through(self, drafts: Sequence[EntityDraft]) -> ApplyResult:
        self.ids, self.created_targets = {}, []
        items = [_Item(index, draft) for index, draft in enumerate(drafts)]
        with transaction.atomic():
            self._lock({draft.blueprint for draft in drafts})
            self.shapes = load_shapes()
            for item in items:
                self._identify(item)
            for round_ in _rounds(items):
                self._apply_round(round_)
            if self.dry_run or (self.all_or_nothing and any(item.error for item in items)):
                transaction.set_rollback(True)
        if self.all_or_nothing and any(item.error for item in items):
            for item in items:
                if not item.error:
                    item.status, item.pk = Status.SKIPPED, None
        return ApplyResult(
            items=[
                ItemResult(
                    index=item.index,
                    blueprint=item.draft.blueprint,
                    identifier=item.identifier,
                    status=item.status,
                    pk=None if self.dry_run and item.status is Status.CREATED else item.pk,
                    error=item.error,
                )
                for item in items
            ],
            created_targets=self.created_targets,
        )

    def _lock(self, blueprints: set[str]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                _LOCK,
                {
                    "identifiers": sorted(b for b in blueprints if isinstance(b, str)),
                    "create": self.missing_targets is MissingTargets.CREATE,
                    "purpose": int(Lock.BLUEPRINT),
                },
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
            cursor.execute(_FETCH_KEYS, [_keys_json("blueprint_id", by_key)])
            for blueprint_pk, identifier, pk, digest, datasource in cursor.fetchall():
                by_key[blueprint_pk, identifier].stored = _Stored(pk, bytes(digest), datasource)
        if self.mode is Mode.MERGE:
            _fetch_content([item.stored for item in items if item.stored])

    def _decide(self, item: _Item) -> None:
        """Work out the new content of one entity and whether it differs from what is stored."""
        draft, shape, stored = item.draft, item.shape, item.stored
        assert shape is not None
        if stored is None and (self.must_exist or draft.if_hash is not None):
            raise NotFound.of("Entity", item.identifier)
        if stored and self.mode is Mode.CREATE:
            raise _already_exists(shape.identifier, item.identifier)
        if stored and draft.if_hash is not None and draft.if_hash != stored.content_hash:
            raise Conflict(
                f'Entity "{shorten(item.identifier)}" was changed by someone else meanwhile',
                hint="Load it again and repeat the change.",
            )
        old = stored.content if stored else None
        item.content = _content(draft, shape, old)
        check_json(item.content)
        self._validate(item, old)
        item.targets = _targets(item.content["relations"], shape)
        item.content_hash = content_hash(item.content)
        item.pk = stored.pk if stored else None
        if stored is None:
            item.status = Status.CREATED
        elif stored.content_hash != item.content_hash:
            item.status = Status.UPDATED

    def _validate(self, item: _Item, old: dict[str, Any] | None) -> None:
        assert item.shape is not None
        problems = item.shape.validator.problems(item.content["properties"])
        if problems and old is not None:
            # A merge is refused only for what it makes worse, not for what was wrong before.
            known = item.shape.validator.problems(old["properties"])
            problems = [p for p in problems if p not in known]
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
                cursor.execute(_FETCH_KEYS, [_keys_json("blueprint_id", keys)])
                for blueprint_pk, identifier, pk, _, _ in cursor.fetchall():
                    self.ids[names[blueprint_pk], identifier] = pk
        if self.missing_targets is MissingTargets.DANGLE:
            return []
        stubs: dict[tuple[str, str], _Item] = {}
        while True:  # rejecting one item may leave another one without its target
            coming = {item.key for item in changed if item.is_changed}
            for item in changed:
                missing = [
                    (definition, blueprint, identifier)
                    for definition, blueprint, identifier in item.new_targets
                    if (blueprint, identifier) not in self.ids
                    and (blueprint, identifier) not in coming
                ]
                if item.is_changed and missing:
                    self._handle_missing(item, missing, stubs)
            if {item.key for item in changed if item.is_changed} == coming:
                break
        needed = {(b, i) for item in changed if item.is_changed for _, b, i in item.targets}
        made = [stub for key, stub in stubs.items() if key in needed]
        self.created_targets += [stub.key for stub in made]
        return made

    def _handle_missing(
        self,
        item: _Item,
        missing: list[tuple[Definition, str, str]],
        stubs: dict[tuple[str, str], _Item],
    ) -> None:
        for definition, blueprint, identifier in missing:
            shape = self.shapes.get(blueprint)
            may_create = (
                self.missing_targets is MissingTargets.CREATE
                and shape is not None
                and not shape.is_system
            )
            try:
                if not may_create or shape is None:
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
            except IdpError as error:
                item.reject(error)
                return
            if (blueprint, identifier) not in stubs:
                stubs[blueprint, identifier] = _stub(shape, identifier)

    def _touch(self, unchanged: list[_Item]) -> None:
        """Note the last writer where only that differs; content, times and history stay."""
        moved = [
            item.stored.pk
            for item in unchanged
            if item.stored and item.stored.datasource != self.actor.datasource
        ]
        if moved and self.actor.datasource:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE catalog_entity SET datasource = %s WHERE id = ANY(%s)",
                    [self.actor.datasource, moved],
                )

    def _write(self, changed: list[_Item]) -> None:
        updated = [item for item in changed if item.status is Status.UPDATED]
        if self.mode is not Mode.MERGE:
            _fetch_content([item.stored for item in updated if item.stored])
        with connection.cursor() as cursor:
            self._upsert(cursor, changed)
            self._write_edges(cursor, changed)
            created = [item for item in changed if item.status is Status.CREATED]
            _mend(cursor, [(item.pk, *item.key) for item in created if item.pk])
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


def _content(draft: EntityDraft, shape: Shape, old: dict[str, Any] | None) -> dict[str, Any]:
    """The full new content: of the draft alone, or of the draft over what is stored."""
    base: dict[str, Any] = old or {
        "title": None,
        "icon": None,
        "team": [],
        "properties": {},
        "relations": {},
        "descriptor": None,
        "location": None,
    }
    properties = _mapping(draft.properties, "properties")
    if old is None:
        properties = {**shape.defaults, **_without_nulls(properties)}
    else:
        properties = _without_nulls({**old["properties"], **properties})
    relations = _relations(_mapping(draft.relations, "relations"), shape)
    if old is not None:
        kept = {k: v for k, v in old["relations"].items() if k in shape.definitions}
        relations = {**kept, **relations}
    relations = {name: value for name, value in relations.items() if value not in (None, [])}
    for name, definition in shape.definitions.items():
        if definition.required and name not in relations:
            raise InvalidEntity(
                f'relation "{name}" is required',
                details={
                    "field": f"relations.{name}",
                    "value": "",
                    "expected": f"an entity of {definition.target or 'any blueprint'}",
                },
            )
    return {
        "title": _text_or_none(_said(draft.title, base["title"]), "title", 1000),
        "icon": _text_or_none(_said(draft.icon, base["icon"]), "icon", 100),
        "team": _team(_said(draft.team, base["team"])),
        "properties": properties,
        "relations": relations,
        "descriptor": _said(draft.descriptor, base["descriptor"]),
        "location": _said(draft.location, base["location"]),
    }


def _relations(values: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """Checked relation values: text for one target, a list without repeats for many."""
    checked: dict[str, Any] = {}
    for name, value in values.items():
        definition = shape.definitions.get(name)
        if definition is None:
            known = ", ".join(shape.definitions) or "none"
            raise InvalidEntity(
                f'relation "{shorten(name)}" does not exist on blueprint "{shape.identifier}"; '
                f"it has {known}",
                details={
                    "field": f"relations.{shorten(name)}",
                    "value": shorten(value),
                    "expected": f"one of: {known}",
                },
            )
        if value is None:
            checked[name] = None
        elif definition.many:
            many = [value] if isinstance(value, str) else value
            if not isinstance(many, list) or not all(isinstance(v, str) and v for v in many):
                raise _wrong_relation(name, value, "a list of identifiers")
            checked[name] = list(dict.fromkeys(many))
        elif isinstance(value, str) and value:
            checked[name] = value
        else:
            raise _wrong_relation(name, value, "one identifier")
    return checked


def _targets(relations: dict[str, Any], shape: Shape) -> list[tuple[Definition, str, str]]:
    """The edges that relation values stand for: (definition, target blueprint, identifier)."""
    edges = []
    for name, value in relations.items():
        definition = shape.definitions[name]
        for target in value if isinstance(value, list) else [value]:
            if definition.target is not ANY:
                blueprint, identifier = definition.target, target
            else:
                blueprint, colon, identifier = target.partition(":")
                if not (blueprint and colon and identifier):
                    raise _wrong_relation(name, target, "blueprint:identifier")
            check_byte_length(blueprint, f"relations.{name}", 400)
            check_byte_length(identifier, f"relations.{name}")
            edges.append((definition, blueprint, identifier))
    return edges


def _stub(shape: Shape, identifier: str) -> _Item:
    """A target that nobody described yet: just a name, which the next writer fills in."""
    draft = EntityDraft(shape.identifier, identifier)
    content = {
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
        content_hash=content_hash(content),
        status=Status.CREATED,
        is_stub=True,
    )


def _record(item: _Item) -> feed.Record:
    before = after = None
    if item.stored and item.stored.content is not None:
        before, after = changed_parts(item.stored.content, item.content)
    action = feed.UPDATE if item.stored else feed.CREATE
    return feed.Record(action, MODEL, item.identifier, item.draft.blueprint, item.pk, before, after)


def changed_parts(
    old: dict[str, Any], new: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What differs, as (before, after); inside properties and relations key by key."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for key in _CONTENT_COLUMNS:
        if old[key] == new[key]:
            continue
        if key in ("properties", "relations"):
            names = [n for n in {**old[key], **new[key]} if old[key].get(n) != new[key].get(n)]
            before[key] = {n: old[key][n] for n in names if n in old[key]}
            after[key] = {n: new[key][n] for n in names if n in new[key]}
        else:
            before[key], after[key] = old[key], new[key]
    return before, after


def _fetch_content(stored: list[_Stored]) -> None:
    if not stored:
        return
    by_pk = {one.pk: one for one in stored}
    with connection.cursor() as cursor:
        cursor.execute(_FETCH_CONTENT, [list(by_pk)])
        for pk, *values in cursor.fetchall():
            by_pk[pk].content = _loaded(values)


def _loaded(values: Sequence[Any]) -> dict[str, Any]:
    content = dict(zip(_CONTENT_COLUMNS, values, strict=True))
    for column in ("properties", "relations"):
        if isinstance(content[column], str):
            content[column] = orjson.loads(content[column])
    return content


def _mend(cursor: Any, created: list[tuple[int, str, str]]) -> None:
    """Point dangling edges at the entities that have just appeared."""
    if created:
        rows = [{"id": pk, "blueprint": b, "identifier": i} for pk, b, i in created]
        cursor.execute(_MEND, [orjson.dumps(rows).decode()])


def _delete(
    keys: Sequence[tuple[str, str]], *, actor: Actor, delete_dependents: bool, run: str
) -> list[tuple[str, str]]:
    now = timezone.now()
    with transaction.atomic(), connection.cursor() as cursor:
        if delete_dependents:
            lock_everything()
        else:
            cursor.execute(
                _LOCK,
                {
                    "identifiers": sorted({blueprint for blueprint, _ in keys}),
                    "create": False,
                    "purpose": int(Lock.BLUEPRINT),
                },
            )
        cursor.execute(
            "SELECT e.id FROM json_to_recordset(%s::json) AS k(blueprint text, identifier text) "
            "JOIN catalog_blueprint b ON b.identifier = k.blueprint "
            "JOIN catalog_entity e ON e.blueprint_id = b.id AND e.identifier = k.identifier",
            [_keys_json("blueprint", keys)],
        )
        wanted = {row[0] for row in cursor.fetchall()}
        wanted |= _dependents(cursor, wanted, may_delete=delete_dependents)
        cursor.execute(
            "SELECT e.id, b.identifier, e.identifier, e.title, e.icon, e.team, e.properties, "
            "e.relations, e.descriptor, e.location FROM catalog_entity e "
            "JOIN catalog_blueprint b ON b.id = e.blueprint_id WHERE e.id = ANY(%s) ORDER BY e.id",
            [list(wanted)],
        )
        rows = cursor.fetchall()
        pks = [row[0] for row in rows]
        cursor.execute(
            "UPDATE catalog_relation SET target_id = NULL WHERE target_id = ANY(%s)",
            [pks],
        )
        cursor.execute("DELETE FROM catalog_relation WHERE source_id = ANY(%s)", [pks])
        cursor.execute("DELETE FROM catalog_entity WHERE id = ANY(%s)", [pks])
        feed.record(
            [
                feed.Record(feed.DELETE, MODEL, identifier, blueprint, pk, _loaded(values), None)
                for pk, blueprint, identifier, *values in rows
            ],
            actor=actor,
            at=now,
            run=run,
        )
    return [(row[1], row[2]) for row in rows]


def _dependents(cursor: Any, pks: set[int], *, may_delete: bool) -> set[int]:
    """Entities that need one of `pks` by a required relation, all the way up."""
    cursor.execute(
        """
        WITH RECURSIVE needing AS (
            SELECT r.source_id AS id FROM catalog_relation r
            JOIN catalog_relationdefinition d ON d.id = r.definition_id AND d.required
            WHERE r.target_id = ANY(%(pks)s)
            UNION
            SELECT r.source_id FROM needing n
            JOIN catalog_relation r ON r.target_id = n.id
            JOIN catalog_relationdefinition d ON d.id = r.definition_id AND d.required
        )
        SELECT n.id, b.identifier, e.identifier FROM needing n
        JOIN catalog_entity e ON e.id = n.id
        JOIN catalog_blueprint b ON b.id = e.blueprint_id
        WHERE n.id <> ALL(%(pks)s) ORDER BY n.id
        """,
        {"pks": list(pks)},
    )
    rows = cursor.fetchall()
    if rows and not may_delete:
        names = [f"{blueprint}:{identifier}" for _, blueprint, identifier in rows]
        raise HasDependents(
            f"{len(rows)} entities need what would be deleted: {', '.join(names[:5])}"
            + (" …" if len(names) > 5 else ""),
            hint="Delete them too (delete_dependents) or change their relation first.",
            details={"count": len(rows), "dependents": names[:20]},
        )
    return {row[0] for row in rows}


def _rename_targets(
    cursor: Any,
    where: str,
    params: list[Any],
    *,
    actor: Actor,
    new_identifier: str | None = None,
    new_blueprint: str | None = None,
) -> None:
    """Rewrite edges and stated relations of all entities that point at something renamed."""
    cursor.execute(
        "SELECT s.id, b.identifier, s.identifier, d.identifier, d.target_id IS NULL, "
        "r.target_blueprint, r.target_identifier, s.relations -> d.identifier "
        "FROM catalog_relation r JOIN catalog_relationdefinition d ON d.id = r.definition_id "
        "JOIN catalog_entity s ON s.id = r.source_id JOIN catalog_blueprint b "
        f"ON b.id = s.blueprint_id WHERE {where} ORDER BY s.id, d.id, r.position",
        params,
    )
    values: dict[tuple[str, str], dict[str, Any]] = {}
    for (
        _,
        blueprint,
        source,
        name,
        is_any,
        old_blueprint,
        old_identifier,
        value,
    ) in cursor:
        relations = values.setdefault((blueprint, source), {})
        current = relations.get(name, orjson.loads(value) if isinstance(value, str) else value)
        old = f"{old_blueprint}:{old_identifier}" if is_any else old_identifier
        identifier = new_identifier or old_identifier
        new = f"{new_blueprint or old_blueprint}:{identifier}" if is_any else identifier
        relations[name] = (
            [new if v == old else v for v in current] if isinstance(current, list) else new
        )
    if new_blueprint:
        cursor.execute(
            f"UPDATE catalog_relation r SET target_blueprint = %s WHERE {where}",
            [new_blueprint, *params],
        )
    if new_identifier:
        cursor.execute(
            f"UPDATE catalog_relation r SET target_identifier = %s WHERE {where}",
            [new_identifier, *params],
        )
    drafts = [
        EntityDraft(blueprint, identifier, relations=relations)
        for (blueprint, identifier), relations in values.items()
    ]
    for start in range(0, len(drafts), MAX_BATCH):
        apply(
            drafts[start : start + MAX_BATCH],
            mode=Mode.MERGE,
            actor=actor,
            missing_targets=MissingTargets.DANGLE,
        )


def _keys_json(first: str, keys: Iterable[tuple[Any, str]]) -> str:
    """Keys for `json_to_recordset`: quicker to pass than arrays, which are quoted one by one."""
    return orjson.dumps([{first: one, "identifier": two} for one, two in keys]).decode()


def _retrying(work: Callable[[], _T]) -> _T:
    """Repeat after a deadlock, which can only come from two batches in one outer transaction."""
    for _ in range(3):
        try:
            return work()
        except OperationalError as error:
            if not isinstance(error.__cause__, DeadlockDetected) or connection.in_atomic_block:
                raise
    return work()


def _said(value: Any, otherwise: Any) -> Any:
    return otherwise if isinstance(value, Unset) else value


def _without_nulls(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _mapping(value: Any, field_name: str) -> dict[str, Any]:
    if value is None or isinstance(value, Unset):
        return {}
    if not isinstance(value, dict):
        raise InvalidEntity(
            f"{field_name} must be an object, not {shorten(value)}",
            details={
                "field": field_name,
                "value": shorten(value),
                "expected": "an object",
            },
        )
    return value


def _text_or_none(value: Any, field_name: str, limit: int) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > limit:
        expected = f"text of at most {limit} characters"
        raise InvalidEntity(
            f"{field_name} must be {expected}, not {shorten(value)}",
            details={
                "field": field_name,
                "value": shorten(value),
                "expected": expected,
            },
        )
    check_byte_length(value, field_name)
    return value


def _team(value: Any) -> list[str]:
    if value is None:
        return []
    teams = [value] if isinstance(value, str) else value
    if not isinstance(teams, list | tuple) or not all(isinstance(t, str) and t for t in teams):
        raise InvalidEntity(
            f"team must be a team or a list of teams, not {shorten(value)}",
            details={
                "field": "team",
                "value": shorten(value),
                "expected": "list of text",
            },
        )
    for team in teams:
        check_byte_length(team, "team")
    return list(dict.fromkeys(teams))


def _wrong_relation(name: str, value: Any, expected: str) -> InvalidInput:
    return InvalidEntity(
        f'relation "{name}" must be {expected}, not {shorten(value)}',
        details={
            "field": f"relations.{name}",
            "value": shorten(value),
            "expected": expected,
        },
    )


def _already_exists(blueprint: str, identifier: str) -> AlreadyExists:
    return AlreadyExists(
        f'Entity "{shorten(identifier)}" of blueprint "{blueprint}" exists already',
        hint="Use upsert to change it.",
        details={
            "resource": "Entity",
            "with": "identifier",
            "value": shorten(identifier),
        },
    )
