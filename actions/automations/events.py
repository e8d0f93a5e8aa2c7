"""Events, made from rows of the feed: only those that an automation listens to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from actions.automations.listeners import Listener
from actions.selectors.diffs import entity_diffs, is_derived, run_diffs
from actions.services import triggers
from catalog.kernel import feed
from catalog.kernel.feed import FeedRow
from catalog.kernel.identifiers import ORGANIZATION
from catalog.models import Change
from catalog.registry import event_kinds
from catalog.selectors.documents import timestamp

RUN: Final = "run"  # the model of runs in the feed

_ENTITY_TYPES: Final[Mapping[str, str]] = {
    feed.CREATE: triggers.ENTITY_CREATED,
    feed.UPDATE: triggers.ENTITY_UPDATED,
    feed.RENAME: triggers.ENTITY_UPDATED,
    feed.DELETE: triggers.ENTITY_DELETED,
}
_RUN_TYPES: Final[Mapping[str, str]] = {
    feed.CREATE: triggers.RUN_CREATED,
    feed.UPDATE: triggers.RUN_UPDATED,
}
_VERBS: Final[Mapping[str, str]] = {feed.CREATE: "CREATE", feed.DELETE: "DELETE"}
_ORIGINS: Final[Mapping[str, str]] = {"user": "UI", "client": "API"}
_UNSEEN: Final = frozenset({"descriptor", "location"})  # parts of entities that no event shows


@dataclass(frozen=True, slots=True)
class Event:
    """Something that automations listen to.

    change: what it is told apart by; the same one never fires twice. types, keys: what listens to
    it. document: as conditions and templates see it. cause: the run that brought it about.
    """

    change: str
    at: datetime
    types: frozenset[str]
    keys: Mapping[str, str]
    document: Mapping[str, Any]
    cause: str = ""

    @property
    def subject(self) -> tuple[str, str] | None:
        """(blueprint, identifier) of the entity it tells of."""
        context = self.document["context"]
        blueprint, entity = context.get("blueprintIdentifier"), context.get("entityIdentifier")
        return (blueprint, entity) if blueprint and entity else None

    def concerns(self, listener: Listener) -> bool:
        """Whether the automation listens to it, and did so when it happened."""
        return (
            listener.event_type in self.types
            and self.at >= listener.action.created_at
            and all(self.keys.get(key) == value for key, value in listener.keys.items())
        )


def events_in(rows: Sequence[FeedRow], listeners: Sequence[Listener]) -> list[Event]:
    """The events in these rows that somebody may listen to, in their order.

    The number of statements does not grow with the rows.
    """
    wanted = {one.event_type for one in listeners}
    entities = {
        (one.event_type, one.keys["blueprintIdentifier"])
        for one in listeners
        if "blueprintIdentifier" in one.keys
    }
    found = _of_entities(rows, entities)
    if wanted & {*_RUN_TYPES.values(), triggers.ANY_RUN_CHANGE}:
        found |= _of_runs(rows)
    for name, kind in event_kinds.items():
        told = [row for row in rows if row.model == kind.model] if name in wanted else []
        for n, happening in enumerate(kind.read(told) if told else ()):
            place = f"{name}:{n:06}"
            found[happening.row.id, place] = Event(
                change=f"{_change(happening.row)}:{place}",
                at=happening.row.at,
                types=frozenset({name}),
                keys=happening.keys,
                document=_document(happening.row, **happening.document),
                cause=happening.row.run,
            )
    places = {row.id: n for n, row in enumerate(rows)}
    return [found[key] for key in sorted(found, key=lambda key: (places[key[0]], key[1]))]


def entity_context(
    blueprint: str, identifier: str | None, name: str | None = None
) -> dict[str, Any]:
    """Where an event about an entity, or one of its properties, took place."""
    return {
        "blueprintIdentifier": blueprint,
        "entityIdentifier": identifier,
        "propertyIdentifier": name,
    }


def trigger_of(kind: str, actor: str, at: datetime, run: str = "") -> dict[str, Any]:
    """Who brought an event about."""
    by: dict[str, Any] = {"orgId": ORGANIZATION, "userId": actor, "type": kind}
    if kind == "user":
        by["user"] = {"email": actor}
    origin = _ORIGINS.get(kind) or ("AUTOMATION" if run else kind.upper())
    return {"by": by, "origin": origin, "at": timestamp(at)}


def schedule_document(cron: Any, at: datetime) -> dict[str, Any]:
    """The event of a time that has come."""
    return {
        "action": "SCHEDULE",
        "resourceType": "schedule",
        "status": "SUCCESS",
        "trigger": trigger_of("system", "schedule", at),
        "context": {"cron": cron},
        "diff": {"before": None, "after": None},
    }


def _of_entities(
    rows: Sequence[FeedRow], wanted: Collection[tuple[str, str]]
) -> dict[tuple[int, str], Event]:
    def is_wanted(row: FeedRow) -> bool:
        types = (_ENTITY_TYPES.get(row.action, ""), triggers.ANY_ENTITY_CHANGE)
        return any((one, row.blueprint) in wanted for one in types)

    told = [
        row for row in rows if row.model == Change.ENTITY and is_wanted(row) and not _is_unseen(row)
    ]
    diffs = entity_diffs(told)
    return {
        (row.id, ""): Event(
            change=_change(row),
            at=row.at,
            types=frozenset({_ENTITY_TYPES[row.action], triggers.ANY_ENTITY_CHANGE}),
            keys={"blueprintIdentifier": row.blueprint},
            document=_document(
                row,
                resourceType="entity",
                context=entity_context(row.blueprint, row.identifier),
                diff={"before": diffs[row.id].before, "after": diffs[row.id].after},
            ),
            cause=diffs[row.id].cause,
        )
        for row in told
        if row.id in diffs
    }


def _of_runs(rows: Sequence[FeedRow]) -> dict[tuple[int, str], Event]:
    """Those of trial runs are no events: nothing is to come of them."""
    told = [row for row in rows if row.model == RUN and row.action in _RUN_TYPES]
    found = {}
    diffs = run_diffs(told)
    for row in told:
        if row.id not in diffs or diffs[row.id][0].is_test:
            continue
        run, diff = diffs[row.id]
        entity = run.entity["identifier"] if run.entity else None
        found[row.id, ""] = Event(
            change=_change(row),
            at=row.at,
            types=frozenset({_RUN_TYPES[row.action], triggers.ANY_RUN_CHANGE}),
            keys={"actionIdentifier": run.about["identifier"]},
            document=_document(
                row,
                resourceType="run",
                context={
                    **entity_context(row.blueprint, entity),
                    "actionIdentifier": run.about["identifier"],
                    "runId": run.identifier,
                },
                diff={"before": diff.before, "after": diff.after},
            ),
            cause=diff.cause,
        )
    return found


def _document(row: FeedRow, **parts: Any) -> dict[str, Any]:
    return {
        "action": _VERBS.get(row.action, "UPDATE"),
        "status": "SUCCESS",
        "trigger": trigger_of(
            row.actor_kind, row.actor, row.at, "" if is_derived(row) else row.run
        ),
        **parts,
    }


def _is_unseen(row: FeedRow) -> bool:
    """Whether an update changed nothing that an event would show."""
    return row.action == feed.UPDATE and not {*(row.before or {}), *(row.after or {})} - _UNSEEN


def _change(row: FeedRow) -> str:
    return f"{row.transaction}:{row.id}"
