"""What an entity was: its timeline, and its content as of a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from catalog.kernel import feed
from catalog.models import CONTENT_COLUMNS, Change, Entity

# Parts of which each key is a field of its own.
_NESTED: Final = ("properties", "relations", "computed", "schema", "rules")


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One changed field: "title", "properties.tier". A side where it was absent is None."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    at: datetime
    action: str
    actor_kind: str
    actor: str
    changes: Sequence[FieldChange]
    change_id: int
    run: str = ""


def timeline(
    entity: Entity, *, limit: int = 50, older_than: int | None = None
) -> list[TimelineEntry]:
    """The newest changes of an entity first; `older_than`: only those before this `change_id`."""
    rows = Change.objects.filter(model=Change.ENTITY, object_id=entity.pk).order_by("-id")
    if older_than is not None:
        rows = rows.filter(id__lt=older_than)
    return [as_entry(row) for row in rows[:limit]]


def as_entry(change: Change) -> TimelineEntry:
    return TimelineEntry(
        at=change.at,
        action=change.action,
        actor_kind=change.actor_kind,
        actor=change.actor,
        changes=field_changes(change),
        change_id=change.pk,
        run=change.run,
    )


def field_changes(change: Change) -> list[FieldChange]:
    """The changed fields of a change, flat. The foreign document itself is left out."""
    before, after = _flat(change.before or {}), _flat(change.after or {})
    return [
        FieldChange(path, before.get(path), after.get(path))
        for path in {**before, **after}
        if path != "descriptor" or change.model == Change.FACT
    ]


def entity_as_of(blueprint: str, identifier: str, moment: datetime) -> dict[str, Any] | None:
    """The content of an entity at `moment` (keys: title, icon, team, properties, relations,
    descriptor, location, identifier, blueprint), or None when there was none.

    Walks back from today, or from its deletion, undoing one change after the other. The name is
    the one it has now (or had last). Before the oldest change that is kept (retention), the
    content is the oldest that is known.
    """
    entity = Entity.objects.filter(blueprint__identifier=blueprint, identifier=identifier).first()
    if entity is not None and entity.created_at <= moment:
        content = {name: getattr(entity, name) for name in CONTENT_COLUMNS}
        return _walked_back(entity.pk, content, moment, blueprint, identifier)
    # It did not exist under this row; perhaps an earlier one of the same name did.
    deletion = (
        Change.objects.filter(
            model=Change.ENTITY,
            action=feed.DELETE,
            blueprint=blueprint,
            identifier=identifier,
            at__gt=moment,
        )
        .order_by("id")
        .first()
    )
    if deletion is None or deletion.object_id is None:
        return None
    return _walked_back(deletion.object_id, {}, moment, blueprint, identifier)


def _walked_back(
    object_id: int, content: dict[str, Any], moment: datetime, blueprint: str, identifier: str
) -> dict[str, Any] | None:
    """Undo the changes after `moment`, newest first; None when one of them created the entity."""
    later = Change.objects.filter(model=Change.ENTITY, object_id=object_id, at__gt=moment)
    for change in later.order_by("-id"):
        before = change.before or {}
        if change.action == feed.CREATE:
            return None
        if change.action == feed.DELETE:
            content = before
        elif change.action == feed.RENAME:
            identifier = before["identifier"]
        else:
            content = undone(content, before, change.after or {})
    return {**content, "blueprint": blueprint, "identifier": identifier}


def undone(
    content: dict[str, Any], before: dict[str, Any], after: dict[str, Any]
) -> dict[str, Any]:
    """`content` without one change. Computed values are no part of it."""
    result = dict(content)
    for key in {**before, **after}:
        if key == "computed":
            continue
        if key in ("properties", "relations"):
            old, new = before.get(key, {}), after.get(key, {})
            kept = {n: v for n, v in result[key].items() if n not in new or n in old}
            result[key] = {**kept, **old}
        else:
            result[key] = before.get(key)
    return result


def _flat(part: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in part.items():
        if key in _NESTED and isinstance(value, dict):
            flat.update({f"{key}.{name}": one for name, one in value.items()})
        else:
            flat[key] = value
    return flat
