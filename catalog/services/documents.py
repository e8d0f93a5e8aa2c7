"""Objects that clients describe as they like and get back as they sent them: pages, folders,
actions, scorecards.

What such an object says is one JSON document, kept with the order of its keys. A write that
changes nothing leaves no trace, and each change is in the feed with the keys that differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import orjson
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import AlreadyExists, InvalidInput, PayloadTooLarge, shorten
from catalog.kernel.schema import check_json, compile_schema
from catalog.models import StoredDocument
from catalog.services.grants import parse_grant

_Kept = TypeVar("_Kept", bound=StoredDocument)

MAX_BYTES: Final = 1024 * 1024
# What the server adds, which clients send back.
ADDED: Final = ("id", "ok", "createdAt", "createdBy", "updatedAt", "updatedBy")


def checked_document(
    body: Mapping[str, Any], schema: Mapping[str, Any], *, without: tuple[str, ...] = ()
) -> dict[str, Any]:
    """`body` without `without` and what the server adds itself, if it fits the schema.

    Raises InvalidInput naming the field, PayloadTooLarge.
    """
    document = {key: value for key, value in body.items() if key not in (*ADDED, *without)}
    check_json(document)
    if (size := len(orjson.dumps(document))) > MAX_BYTES:
        raise PayloadTooLarge(
            f"The object has {size} bytes; expected at most {MAX_BYTES}",
            details={"value": size, "expected": f"<= {MAX_BYTES} bytes"},
        )
    if problems := compile_schema(schema).problems(document):
        first = problems[0]
        raise InvalidInput(
            f"{first.path or 'body'}: {first.message}",
            details={
                "field": first.path or "body",
                "value": first.value,
                "expected": first.expected,
                "problems": [problem.as_dict() for problem in problems],
            },
        )
    return document


def create(stored: _Kept, *, actor: Actor, blueprint: str = "") -> _Kept:
    """Save a new one; blueprint: the one it is about, for the feed. Raises AlreadyExists."""
    sign(stored, actor, is_new=True)
    with transaction.atomic():
        _save(stored, force_insert=True)
        note(feed.CREATE, stored, actor=actor, blueprint=blueprint)
    return stored


def change(
    stored: _Kept, identifier: str, document: dict[str, Any], *, actor: Actor, blueprint: str = ""
) -> _Kept:
    """Give it this name and this document, in the transaction that locked it.

    Raises AlreadyExists when another one has the name.
    """
    before = {"identifier": stored.identifier, **stored.document}
    after = {"identifier": identifier, **document}
    if not is_same(before, after):
        stored.identifier, stored.document = identifier, document
        sign(stored, actor)
        _save(stored)
        note(feed.UPDATE, stored, actor=actor, blueprint=blueprint, before=before, after=after)
    return stored


def delete(stored: StoredDocument, *, actor: Actor, blueprint: str = "") -> None:
    """Delete it, in the transaction that locked it."""
    note(feed.DELETE, stored, actor=actor, blueprint=blueprint, before=stored.document)
    stored.delete()


def change_permissions(
    stored: Any,
    held: Mapping[str, Any],
    changes: Mapping[str, Any],
    *,
    actor: Actor,
    blueprint: str = "",
) -> dict[str, Any]:
    """Change those grants of `stored.permissions` that `changes` names; returns all of them.

    held: the grants that hold now, by name. Raises InvalidInput.
    """
    new = {
        key: parse_grant(changes[key], field=key, stored=grant) if key in changes else grant
        for key, grant in held.items()
    }
    if not is_same(held, new):
        stored.permissions = new
        stored.save(update_fields=["permissions"])
        note(
            feed.UPDATE,
            stored,
            actor=actor,
            blueprint=blueprint,
            before={"permissions": held},
            after={"permissions": new},
        )
    return new


def is_same(one: Any, other: Any) -> bool:
    """Whether two documents say the same, in the same order."""
    return orjson.dumps(one) == orjson.dumps(other)


def sign(stored: Any, actor: Actor, *, is_new: bool = False) -> None:
    """Put the moment and the author on a row."""
    now = timezone.now()
    stored.updated_at, stored.updated_by = now, actor.name
    if is_new:
        stored.created_at, stored.created_by = now, actor.name


def note(
    action: str,
    stored: Any,
    *,
    actor: Actor,
    blueprint: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    run: str = "",
) -> None:
    """Add a change of a row with an `identifier` to the feed, in the transaction.

    before, after: the documents; the entry has the keys that differ.
    """
    was: dict[str, Any] | None = dict(before) if before is not None else None
    now: dict[str, Any] | None = dict(after) if after is not None else None
    if was is not None and now is not None:
        keys = [key for key in {**was, **now} if not is_same(was.get(key), now.get(key))]
        was, now = (
            {key: was[key] for key in keys if key in was},
            {key: now[key] for key in keys if key in now},
        )
    feed.record(
        [
            feed.Record(
                action,
                stored._meta.model_name,
                shorten(stored.identifier, 1000),
                blueprint,
                stored.pk,
                was,
                now,
            )
        ],
        actor=actor,
        at=timezone.now(),
        run=run,
    )


def _save(stored: StoredDocument, *, force_insert: bool = False) -> None:
    try:
        with transaction.atomic():
            stored.save(force_insert=force_insert)
    except IntegrityError:
        raise AlreadyExists.of(str(stored._meta.object_name), stored.identifier) from None
