"""Facts: what tools found out about entities, beside what their sources say of them.

The actor must be allowed to update the entity; permissions on single properties do not matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import orjson
from django.db import connection, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import IdpError, InvalidInput, LimitExceeded, NotFound, shorten
from catalog.kernel.identifiers import is_storable
from catalog.kernel.locks import Lock
from catalog.kernel.schema import check_json
from catalog.models import Change
from catalog.services.entities.locking import retrying
from catalog.services.writable import Name, writable, writable_one

MAX_KEY: Final = 200
MAX_VALUE_BYTES: Final = 100_000
MAX_DESCRIPTION: Final = 1000
MAX_FACTS: Final = 500  # of one entity
LENIENCE: Final = timedelta(minutes=5)  # clocks differ

API, YAML, INTEGRATION = "API", "YAML", "INTEGRATION"

# In one order, and not one lock for each entity: there is room for some thousands only.
_BUCKETS: Final = 64
_LOCK: Final = """
SELECT pg_advisory_xact_lock(%s, bucket)
FROM (SELECT DISTINCT (pk %% %s)::int AS bucket FROM unnest(%s::bigint[]) pk ORDER BY 1) held
"""

_COUNT: Final = """
SELECT entity_id, count(*), array_agg(key) FILTER (WHERE key = ANY(%s))
FROM catalog_fact WHERE entity_id = ANY(%s) GROUP BY entity_id
"""

# One that says nothing new keeps its author; when it was collected moves on.
_PUT: Final = """
WITH given AS MATERIALIZED (
    SELECT g.place, g.entity_id, g.key, g.value::jsonb AS value, g.collected_at,
           coalesce(g.description, f.description, '') AS description,
           f.id IS NOT NULL AS is_there, f.value AS was, f.updated_at, f.updated_by,
           f.value = g.value::jsonb AND f.origin = %(origin)s
               AND f.description = coalesce(g.description, f.description) AS is_same
    FROM json_to_recordset(%(given)s::json) AS g(
        place int, entity_id bigint, key text, value text, description text,
        collected_at timestamptz)
    LEFT JOIN catalog_fact f ON f.entity_id = g.entity_id AND f.key = g.key
), put AS (
    INSERT INTO catalog_fact AS f (
        entity_id, key, value, description, origin, collected_at, updated_at, updated_by)
    SELECT entity_id, key, value, description, %(origin)s, collected_at,
           CASE WHEN is_same THEN updated_at ELSE %(now)s END,
           CASE WHEN is_same THEN updated_by ELSE %(author)s END
    FROM given ORDER BY entity_id, key
    ON CONFLICT (entity_id, key) DO UPDATE SET
        value = excluded.value, description = excluded.description, origin = excluded.origin,
        collected_at = excluded.collected_at, updated_at = excluded.updated_at,
        updated_by = excluded.updated_by
    WHERE (f.updated_at, f.collected_at) IS DISTINCT FROM
          (excluded.updated_at, excluded.collected_at)
)
SELECT place, is_there, is_same, was::text FROM given ORDER BY place
"""


class Status(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class FactDraft:
    """A fact to be written. description: None keeps the one there is. collected_at: None is now."""

    blueprint: str
    entity: str
    key: str
    value: Any
    description: str | None = None
    collected_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FactResult:
    """What became of one draft; index: its place. error: why it was rejected."""

    index: int
    status: Status
    error: IdpError | None = None


def put_facts(
    drafts: Sequence[FactDraft],
    *,
    actor: Actor,
    origin: str = API,
    all_or_nothing: bool = False,
) -> list[FactResult]:
    """Write facts, replacing those of the same key; one result per draft, in order.

    A draft that cannot be written stops nobody else, or all of them if `all_or_nothing`. Six
    statements, however many there are. A fact that says what is known already changes nothing but
    the moment it was collected, and leaves no trace in the feed.
    """
    return retrying(lambda: _put_facts(drafts, actor, origin, all_or_nothing))


def delete_fact(blueprint: str, entity: str, key: str, *, actor: Actor) -> None:
    """Raises NotFound, PermissionDenied."""
    with transaction.atomic():
        pk = writable_one(blueprint, entity, actor=actor)
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM catalog_fact WHERE entity_id = %s AND key = %s RETURNING value::text",
                [pk, key if is_storable(key) else None],
            )
            row = cursor.fetchone()
        if row is None:
            raise NotFound.of("Fact", key, field="key")
        before = {key: orjson.loads(row[0])}
        record = feed.Record(feed.DELETE, Change.FACT, entity, blueprint, pk, before)
        feed.record([record], actor=actor, at=timezone.now())


def check_key(key: object) -> str:
    """Of a fact or a series. Raises InvalidInput."""
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY or not is_storable(key):
        raise InvalidInput.of("key", key, f"text of 1 to {MAX_KEY} characters without NUL")
    return key


def _put_facts(
    drafts: Sequence[FactDraft], actor: Actor, origin: str, all_or_nothing: bool
) -> list[FactResult]:
    now = timezone.now()
    errors: dict[int, IdpError] = {}
    for index, draft in enumerate(drafts):
        try:
            _check(draft, now)
        except IdpError as error:
            errors[index] = error
    left = {index: draft for index, draft in enumerate(drafts) if index not in errors}
    statuses: dict[int, Status] = {}
    with transaction.atomic():
        names = [(one.blueprint, one.entity) for one in left.values()]
        pks = writable(names, actor=actor) if left else {}
        errors |= _refused(left, pks)
        left = {index: draft for index, draft in left.items() if index not in errors}
        if left:
            errors |= _too_many(left, pks)
            left = {index: draft for index, draft in left.items() if index not in errors}
        if left and not (all_or_nothing and errors):
            statuses = _upsert(left, pks, actor, origin, now)
    return [
        FactResult(index, statuses.get(index, Status.REJECTED), errors.get(index))
        for index in range(len(drafts))
    ]


def _check(draft: FactDraft, now: datetime) -> None:
    for field in ("blueprint", "entity"):
        if not isinstance(getattr(draft, field), str):
            raise InvalidInput.of(field, getattr(draft, field), "an identifier")
    check_key(draft.key)
    try:
        check_json(draft.value)
    except InvalidInput as error:
        raise InvalidInput(
            f"value: {error.message}",
            details={"field": "value", "value": shorten(draft.value), **error.details},
        ) from None
    if (size := len(orjson.dumps(draft.value))) > MAX_VALUE_BYTES:
        raise InvalidInput(
            f"value has {size} bytes; expected at most {MAX_VALUE_BYTES}",
            details={"field": "value", "value": size, "expected": f"<= {MAX_VALUE_BYTES} bytes"},
        )
    text = draft.description
    if text is not None and (
        not isinstance(text, str) or len(text) > MAX_DESCRIPTION or not is_storable(text)
    ):
        raise InvalidInput.of(
            "description", text, f"text of at most {MAX_DESCRIPTION} characters without NUL"
        )
    if draft.collected_at and draft.collected_at > now + LENIENCE:
        raise InvalidInput.of(
            "collectedAt", draft.collected_at.isoformat(), "a moment that has come"
        )


def _refused(
    drafts: Mapping[int, FactDraft], pks: Mapping[Name, int | IdpError]
) -> dict[int, IdpError]:
    """Those of entities that may not be written, and keys that are given twice."""
    errors: dict[int, IdpError] = {}
    seen: dict[tuple[str, str, str], int] = {}
    for index, draft in drafts.items():
        found = pks[draft.blueprint, draft.entity]
        first = seen.setdefault((draft.blueprint, draft.entity, draft.key), index)
        if isinstance(found, IdpError):
            errors[index] = found
        elif first != index:
            errors[index] = InvalidInput.of(
                "key", draft.key, f"each key of an entity once; number {first} has it"
            )
    return errors


def _too_many(
    drafts: Mapping[int, FactDraft], pks: Mapping[Name, int | IdpError]
) -> dict[int, IdpError]:
    """The new keys of entities that have no room for them; from here on, nobody else adds any."""
    entities = [pks[one.blueprint, one.entity] for one in drafts.values()]
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [int(Lock.FACTS), _BUCKETS, entities])
        cursor.execute(_COUNT, [[one.key for one in drafts.values()], entities])
        stored = {pk: (count, set(keys or ())) for pk, count, keys in cursor.fetchall()}
    errors: dict[int, IdpError] = {}
    added: Counter[int | IdpError] = Counter()
    for index, draft in drafts.items():
        pk = pks[draft.blueprint, draft.entity]
        count, keys = stored.get(pk, (0, set()))
        if draft.key in keys:
            continue
        if count + added[pk] >= MAX_FACTS:
            errors[index] = LimitExceeded(
                f"Entity {shorten(draft.entity)} has {MAX_FACTS} facts already",
                hint="Delete some, or keep several things in one fact.",
                details={
                    "field": "key",
                    "value": shorten(draft.key),
                    "expected": f"at most {MAX_FACTS} facts of an entity",
                },
            )
        else:
            added[pk] += 1
    return errors


def _upsert(
    drafts: Mapping[int, FactDraft],
    pks: Mapping[Name, int | IdpError],
    actor: Actor,
    origin: str,
    now: datetime,
) -> dict[int, Status]:
    given = [
        {
            "place": index,
            "entity_id": pks[one.blueprint, one.entity],
            "key": one.key,
            "value": orjson.dumps(one.value).decode(),  # as text: a null in it would be no value
            "description": one.description,
            "collected_at": one.collected_at or now,
        }
        for index, one in drafts.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            _PUT,
            {
                "given": orjson.dumps(given).decode(),
                "origin": origin,
                "now": now,
                "author": actor.name,
            },
        )
        rows = cursor.fetchall()
    statuses: dict[int, Status] = {}
    records = []
    for index, is_there, is_same, was in rows:
        draft = drafts[index]
        statuses[index] = (
            Status.UNCHANGED if is_same else Status.UPDATED if is_there else Status.CREATED
        )
        if is_same:
            continue
        pk = pks[draft.blueprint, draft.entity]
        assert isinstance(pk, int)  # noqa: S101 - others were refused
        records.append(
            feed.Record(
                feed.UPDATE if is_there else feed.CREATE,
                Change.FACT,
                draft.entity,
                draft.blueprint,
                pk,
                {draft.key: orjson.loads(was)} if is_there else None,
                {draft.key: draft.value},
            )
        )
    feed.record(records, actor=actor, at=now)
    return statuses
