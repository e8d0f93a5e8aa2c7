"""Why an entity is not there: all that is known of its name, whether it ever existed or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import BigIntegerField, F, Value

from catalog.kernel import feed
from catalog.kernel.actors import Principal
from catalog.kernel.identifiers import is_storable
from catalog.models import Change, Entity, InboundEvent, Postponed, SyncMessage, SyncRun
from catalog.selectors.kinds import Kinds
from catalog.selectors.origins import EVENTS
from catalog.selectors.sql import Sql

ROWS: Final = 50
NEAR: Final = 10

_ACTS: Final = (feed.CREATE, feed.DELETE, feed.RENAME)


@dataclass(frozen=True, slots=True)
class Filtered:
    """A kind whose selector left items out of the newest run that could read it, and how many."""

    run: SyncRun
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known of an identifier, newest first.

    entities: those that have it. near: those whose identifier has it as a part, or differs in
    capitals. acts: creations, renames and deletions. messages: lines of the sources' logs. events:
    live events that named it, each with what it did. waiting: runs at work in which it waits for
    what it names. filtered: where it may have been left out without a word.
    """

    entities: Sequence[Entity]
    near: Sequence[Entity]
    acts: Sequence[Change]
    messages: Sequence[SyncMessage]
    events: Sequence[tuple[InboundEvent, Mapping[str, Any]]]
    waiting: Sequence[Postponed]
    filtered: Sequence[Filtered]

    @property
    def is_unknown(self) -> bool:
        return not (self.entities or self.acts or self.messages or self.events or self.waiting)


def findings(
    principal: Principal, identifier: str, kinds: Kinds, *, blueprint: str = ""
) -> Findings:
    """All that is known of an identifier in one blueprint, or in any; nine statements at most."""
    if not identifier or not is_storable(identifier) or not is_storable(blueprint):
        return Findings((), (), (), (), (), (), ())
    names = [blueprint] if blueprint else [kind.identifier for kind in kinds]
    visible = Entity.objects.visible_to(principal).select_related("blueprint")
    visible = visible.defer("search", "label", "descriptor").filter(blueprint__identifier__in=names)
    entities = list(visible.filter(identifier=identifier).order_by("blueprint_id")[:ROWS])
    near: list[Entity] = []
    if not entities:
        alike = visible.filter(label__contains=identifier.lower())
        near = list(alike.order_by("pk")[:NEAR])
    return Findings(
        entities=entities,
        near=near,
        acts=_acts([one.pk for one in entities], names, identifier),
        messages=_messages([*names, ""], identifier),
        events=_events(names, identifier),
        waiting=_waiting(names, identifier),
        filtered=_filtered(),
    )


def _acts(pks: list[int], names: Sequence[str], identifier: str) -> list[Change]:
    """What made, renamed and deleted whatever had this name."""
    changes = Change.objects.filter(model=Change.ENTITY, blueprint__in=names)
    gone = changes.filter(action=feed.DELETE, identifier=identifier).order_by(_newest())[:ROWS]
    renamed = changes.filter(action=feed.RENAME, before__identifier=identifier)
    found = {one.pk: one for one in [*gone, *renamed.order_by(_newest())[:ROWS]]}
    objects = {*pks, *(one.object_id for one in found.values() if one.object_id)}
    acts = Change.objects.filter(model=Change.ENTITY, object_id__in=objects, action__in=_ACTS)
    found |= {one.pk: one for one in acts.defer("before", "after").order_by(_newest())[:ROWS]}
    return sorted(found.values(), key=lambda one: one.pk, reverse=True)[:ROWS]


def _messages(names: Sequence[str], identifier: str) -> list[SyncMessage]:
    lines = SyncMessage.objects.filter(blueprint__in=names, identifier=identifier)
    lines = lines.select_related("integration", "run__integration")
    return list(lines.order_by(_newest())[:ROWS])


def _events(names: Sequence[str], identifier: str) -> list[tuple[InboundEvent, Mapping[str, Any]]]:
    """Of the newest live events alone: what they did is in no index."""
    recent = InboundEvent.objects.order_by("-pk").values("pk")[:EVENTS]
    found = InboundEvent.objects.filter(
        pk__in=recent, results__contains=[{"identifier": identifier}]
    )
    rows = found.select_related("integration").defer("body").order_by("-pk")[:ROWS]
    return [
        (event, one)
        for event in rows
        for one in event.results
        if one["identifier"] == identifier and one["blueprint"] in names
    ]


def _waiting(names: Sequence[str], identifier: str) -> list[Postponed]:
    is_it = Sql("{} ->> 'identifier' = {}", F("body"), Value(identifier))
    rows = Postponed.objects.filter(is_it, blueprint__in=names)
    return list(rows.select_related("run__integration").order_by("-pk")[:NEAR])


def _filtered() -> list[Filtered]:
    read = (SyncRun.State.SUCCEEDED, SyncRun.State.PARTIAL)
    newest = (
        SyncRun.objects.filter(is_dry_run=False, state__in=read)
        .exclude(kinds=[])
        .order_by("integration_id", "-pk")
        .distinct("integration_id")
        .select_related("integration")
    )
    return [
        Filtered(run, one["kind"], one["filtered"])
        for run in newest
        for one in run.kinds
        if one.get("filtered")
    ]


def _newest() -> Any:
    # "+ 0" keeps the planner on the index of these few
    return Sql("{} + 0", F("id"), output_field=BigIntegerField()).desc()
