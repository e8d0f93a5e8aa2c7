"""Works out the documents of changed entities, as Backstage's catalogue shows them.

Writers leave marks (`PendingDocument`); here they are worked off, batch by batch, one worker at a
time. Whoever reads calls `ensure_current` first, and so sees all that was written before.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from django.db import connection, transaction
from structlog import get_logger

from catalog.dialects.backstage.annotations import (
    EDIT_URL,
    LOCATION,
    ORIGIN,
    ORPHAN,
    VIEW_URL,
    with_added,
)
from catalog.dialects.backstage.blueprints import relation_shapes
from catalog.dialects.backstage.documents import (
    Document,
    Facts,
    Statement,
    document_of,
    sort_references,
    statements_of,
)
from catalog.dialects.backstage.mapping import RelationShape, ref_of
from catalog.dialects.backstage.queries.pairs import pairs_and_terms
from catalog.dialects.backstage.refs import DEFAULT_NAMESPACE
from catalog.kernel.locks import Lock, hold
from catalog.models import Entity
from catalog.registry import own_blueprints
from catalog.services.entities.marking import mark_changed

logger = get_logger(__name__)

BATCH: Final = 1000  # marks worked off in one transaction, about half a second
_READ_AT_ONCE = 200  # entities in memory
_WRITE_BYTES = 8_000_000  # of documents in one statement
_STATEMENT_BYTES = 2500  # an index holds no longer one; what it names can be no entity

_URLS = (VIEW_URL, EDIT_URL)
_REJECTED = "https://backstage.io/annotation-rejected-for-security-reasons"
# Browsers ignore controls and blanks in front of a scheme, and line ends and tabs within it.
_SCRIPT = re.compile(r"[\x00-\x20]*" + r"[\r\n\t]*".join("javascript") + r"[\r\n\t]*:", re.I)

_UIDS = uuid.UUID("7c1e9d0c-6c4a-4d39-9a9b-2a1f6f0f5b52")
_FORM = b"1"  # of what is stored: with another one, all documents differ and are written anew

_COLUMNS = (
    "blueprint__identifier",
    "identifier",
    "title",
    "team",
    "properties",
    "relations",
    "descriptor",
    "location",
    "located__origin",
    "located__annotations",
    "located__status",
    "located__orphaned_at",
    "document__etag",
    "document__ref",
)

_TAKE = """
DELETE FROM catalog_pendingdocument WHERE id IN (
    SELECT id FROM catalog_pendingdocument WHERE id <= %s ORDER BY id LIMIT %s)
RETURNING entity_id
"""

# So that none is deleted before its document is stored; who is deleting one need not wait.
_LOCK = "SELECT id FROM catalog_entity WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE SKIP LOCKED"

_HOLDERS = """
SELECT entity_id, ref FROM catalog_entitydocument WHERE ref = ANY(%s) AND NOT entity_id = ANY(%s)
"""

# A reference may be taken by an entity that is being deleted at this moment: its mark stays.
_INSERT_DOCUMENTS = """
INSERT INTO catalog_entitydocument (
    entity_id, ref, uid, kind, name, document, pairs, terms, etag)
SELECT r.entity_id, r.ref, r.uid, r.kind, r.name, r.document, r.pairs, r.terms, r.etag
FROM json_to_recordset(%s::json) AS r(
    entity_id bigint, ref text, uid uuid, kind text, name text, document json, pairs jsonb,
    terms text[], etag text)
ON CONFLICT DO NOTHING
"""

_INSERT_RELATIONS = """
INSERT INTO catalog_documentrelation (entity_id, source_ref, type, target_ref)
SELECT r.e, r.s, r.y, r.t FROM json_to_recordset(%s::json) AS r(e bigint, s text, y text, t text)
"""


def ensure_current() -> None:
    """Work off all marks of what was committed before; one statement when there are none."""
    last = _last_mark()
    while last is not None and _work_off(last):
        pass


def refresh_documents(*, batches: int) -> bool:
    """Work off some of the marks; returns whether there may be more."""
    last = _last_mark()
    return last is not None and all(_work_off(last) for _ in range(batches))


def _last_mark() -> int | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(id) FROM catalog_pendingdocument")
        last: int | None = cursor.fetchone()[0]
    return last


def uid_of(pk: int) -> uuid.UUID:
    """The `metadata.uid` of an entity, the same for as long as it exists."""
    return uuid.uuid5(_UIDS, str(pk))


@dataclass(slots=True)
class _Row:
    """An entity on its way to its document; stored_*: what the document is now, if any."""

    pk: int
    facts: Facts
    document: Document
    relations: Mapping[str, RelationShape]
    annotations: dict[str, str]
    status: list[Any]
    stored_etag: str | None
    stored_ref: str | None
    ref: str

    def rename(self) -> None:
        """Tell it from another entity that has its reference already."""
        mark = self.document["metadata"]
        digest = hashlib.sha1(
            f"{self.facts.blueprint} {self.facts.identifier}".encode(), usedforsecurity=False
        ).hexdigest()[:12]
        mark["name"] = f"{mark['name'][:50].rstrip('-_.')}-{digest}"
        self.ref = str(ref_of(self.document))


def _work_off(last: int) -> bool:
    """Work off a batch of the marks up to `last`; returns whether there may be more."""
    with transaction.atomic(), connection.cursor() as cursor:
        hold(Lock.DOCUMENTS)
        cursor.execute(_TAKE, [last, BATCH])
        marks = cursor.fetchall()
        rows, taken = _gather(cursor, {pk for (pk,) in marks})
        for pk in sorted(rows):  # the older one has the reference
            if taken.setdefault(rows[pk].ref, pk) != pk:
                rows[pk].rename()
        _store(cursor, rows)
    return len(marks) == BATCH


def _gather(cursor: Any, wanted: set[int]) -> tuple[dict[int, _Row], dict[str, int]]:
    """The marked entities, and with them those whose references they want; the references that
    are taken by others."""
    shapes = relation_shapes()
    rows: dict[int, _Row] = {}
    taken: dict[str, int] = {}
    while wanted:
        cursor.execute(_LOCK, [list(wanted)])
        locked = [pk for (pk,) in cursor.fetchall()]
        if away := wanted - set(locked):
            cursor.execute("SELECT id FROM catalog_entity WHERE id = ANY(%s)", [list(away)])
            mark_changed(cursor, [pk for (pk,) in cursor.fetchall()])  # perhaps it stays
        new = {row.pk: row for row in _read(locked, shapes)}
        rows |= new
        cursor.execute(_HOLDERS, [[row.ref for row in new.values()], list(rows)])
        holders = {pk: ref for pk, ref in cursor.fetchall() if taken.get(ref) != pk}
        wanted = set(holders)
        taken |= {ref: pk for pk, ref in holders.items()}
    return rows, {ref: pk for ref, pk in taken.items() if pk not in rows}


def _read(pks: Sequence[int], shapes: Mapping[str, Mapping[str, RelationShape]]) -> Iterator[_Row]:
    wanted = Entity.objects.filter(pk__in=pks).exclude(blueprint__identifier__in=own_blueprints)
    found = wanted.order_by("pk").values_list("pk", *_COLUMNS)
    for pk, *values in found.iterator(chunk_size=_READ_AT_ONCE):
        *parts, location, origin, annotations, status, orphaned_at, etag, ref = values
        facts = Facts(*parts)
        relations = shapes.get(facts.blueprint, {})
        facts, document = _document(pk, facts, relations)
        document["metadata"].setdefault("namespace", DEFAULT_NAMESPACE)
        sort_references(document)
        added = dict(annotations or {})
        if location:
            added.setdefault(LOCATION, location)
        if origin or location:
            added.setdefault(ORIGIN, origin or location)
        if orphaned_at:
            added[ORPHAN] = "true"
        yield _Row(
            pk, facts, document, relations, added, status or [], etag, ref, str(ref_of(document))
        )


def _document(
    pk: int, facts: Facts, relations: Mapping[str, RelationShape]
) -> tuple[Facts, Document]:
    try:
        return facts, document_of(facts, relations)
    except Exception:  # one odd descriptor must not hold up all others
        logger.exception("document_failed", entity=pk, blueprint=facts.blueprint)
        plain = Facts(*(getattr(facts, name) for name in _PLAIN))
        return plain, document_of(plain, relations)


_PLAIN = ("blueprint", "identifier", "title", "team", "properties", "relations")


def _store(cursor: Any, rows: Mapping[int, _Row]) -> None:
    documents: list[dict[str, Any]] = []
    relations: list[dict[str, Any]] = []
    changed: list[int] = []
    for pk, row in rows.items():
        statements = statements_of(row.document, row.facts, row.relations)
        stored = _finished(row, statements)
        if (row.stored_ref, row.stored_etag) == (stored["ref"], stored["etag"]):
            continue
        changed.append(pk)
        documents.append(stored)
        relations += (
            {"e": pk, "s": source, "y": relation, "t": target}
            for source, relation, target in statements
            if len(f"{source}{relation}{target}".encode()) <= _STATEMENT_BYTES
        )
    if not changed:
        return
    cursor.execute("DELETE FROM catalog_entitydocument WHERE entity_id = ANY(%s)", [changed])
    cursor.execute("DELETE FROM catalog_documentrelation WHERE entity_id = ANY(%s)", [changed])
    for part in _parts(documents):
        cursor.execute(_INSERT_DOCUMENTS, [part])
    cursor.execute(_INSERT_RELATIONS, [orjson.dumps(relations).decode()])


def _finished(row: _Row, statements: Sequence[Statement]) -> dict[str, Any]:
    """The row to store; `document` is JSON."""
    document = row.document
    metadata = document["metadata"]
    own = metadata.get("annotations")
    annotations = with_added(own, row.annotations)
    for key in _URLS:
        if _SCRIPT.match(annotations.get(key, "")):
            annotations[key] = _REJECTED
    if annotations or own is not None:
        metadata["annotations"] = annotations
    metadata["uid"] = str(uid := uid_of(row.pk))
    if row.status:
        document["status"] = {"items": row.status}
    said = orjson.dumps([document, statements], option=orjson.OPT_SORT_KEYS)
    etag = hashlib.sha1(_FORM + said, usedforsecurity=False).hexdigest()
    metadata.setdefault("etag", etag)
    pairs, terms = pairs_and_terms(document)
    return {
        "entity_id": row.pk,
        "ref": row.ref,
        "uid": uid,
        "kind": document["kind"],
        "name": metadata["name"].lower(),
        "document": orjson.dumps(document),
        "pairs": pairs,
        "terms": terms,
        "etag": etag,
    }


def _parts(documents: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The rows as JSON lists of a bounded size."""
    part: list[dict[str, Any]] = []
    size = 0
    for one in documents:
        part.append({**one, "document": orjson.Fragment(one["document"])})
        size += len(one["document"])
        if size > _WRITE_BYTES:
            yield orjson.dumps(part).decode()
            part, size = [], 0
    if part:
        yield orjson.dumps(part).decode()
