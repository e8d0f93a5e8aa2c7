"""Objects that clients describe as they like and get back as they sent them: pages, folders,
actions, scorecards.

What such an object says is one JSON document, kept with the order of its keys. A write that
changes nothing leaves no trace, and each change is in the feed with the keys that differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import InvalidInput, PayloadTooLarge, shorten
from catalog.kernel.schema import check_json, compile_schema

MAX_BYTES: Final = 1024 * 1024
# What the server adds, which clients send back.
_ADDED: Final = ("id", "ok", "createdAt", "createdBy", "updatedAt", "updatedBy")


def checked_document(
    body: Mapping[str, Any], schema: Mapping[str, Any], *, without: tuple[str, ...] = ()
) -> dict[str, Any]:
    """`body` without `without` and what the server adds itself, if it fits the schema.

    Raises InvalidInput naming the field, PayloadTooLarge.
    """
    document = {key: value for key, value in body.items() if key not in (*_ADDED, *without)}
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


def is_same(one: Any, other: Any) -> bool:
    """Whether two documents say the same, in the same order."""
    return orjson.dumps(one) == orjson.dumps(other)


def sign(stored: Any, actor: Actor, *, is_new: bool = False) -> datetime:
    """Put the moment and the author on a row; returns the moment."""
    now = timezone.now()
    stored.updated_at, stored.updated_by = now, actor.name
    if is_new:
        stored.created_at, stored.created_by = now, actor.name
    return now


def note(
    action: str,
    stored: Any,
    *,
    model: str,
    actor: Actor,
    blueprint: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    run: str = "",
) -> None:
    """Add a change of such an object (with `identifier`) to the feed, in the transaction.

    before, after: the documents; the row has the keys that differ.
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
                action, model, shorten(stored.identifier, 1000), blueprint, stored.pk, was, now
            )
        ],
        actor=actor,
        at=timezone.now(),
        run=run,
    )
