"""Where values come from, as the pages of entities show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from catalog.ingest.provenance import (
    Origin,
    Provenance,
    Trace,
    keeper,
    original_of,
    source_url,
)
from catalog.models import Entity, Integration
from catalog.portal.sources import RunLink
from catalog.selectors.kinds import Kind
from catalog.selectors.origins import Touch

_WRITERS: Final = {"client": "API client", "integration": "source", "system": "idp"}


@dataclass(frozen=True, slots=True)
class Mark:
    """What the mark beside a value says.

    icon: a Material Symbol. words: in a few words ("GitHub", "by hand"). changed_by: who changed
    it last; "" where that is the source itself. run: the sync that did.
    """

    icon: str
    words: str
    origin: Origin | None
    source_url: str
    seen: datetime | None
    seen_run: RunLink | None
    changed_at: datetime | None
    changed_by: str
    changed_run: RunLink | None
    is_first: bool
    original: str
    how: str
    error: str

    @property
    def is_computed(self) -> bool:
        return bool(self.how)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who keeps an entity, for its header. original: where the thing itself is."""

    origin: Origin
    url: str
    run: RunLink | None
    original: str
    others: Sequence[tuple[Origin, str]]


def keeper_of(entity: Entity, kind: Kind, origins: Sequence[Origin]) -> Keeper | None:
    origin = keeper(origins)
    if origin is None:
        return None
    return Keeper(
        origin=origin,
        url=source_url(origin.source),
        run=seen_run(origin),
        original=original_of(entity, kind, [origin]),
        others=[(one, source_url(one.source)) for one in origins if one is not origin],
    )


def marks_of(entity: Entity, kind: Kind, provenance: Provenance) -> Mapping[str, Mark]:
    """A mark for each value, by its path ("title", "properties.tier", "relations.owner")."""
    originals = {one.source.pk: original_of(entity, kind, [one]) for one in provenance.origins}
    is_file = bool(entity.location)
    return {
        path: _mark(trace, provenance.origins, originals, is_file=is_file)
        for path, trace in provenance.traces.items()
    }


def actor_words(touch: Touch) -> str:
    """Who it was: a person by name, anything else with what it is."""
    sort = _WRITERS.get(touch.actor_kind)
    return f"{sort} {touch.actor}" if sort else touch.actor


def _mark(
    trace: Trace, origins: Sequence[Origin], originals: Mapping[int, str], *, is_file: bool
) -> Mark:
    touch, origin = trace.touch, trace.origin
    # What a source wrote that does not say so (any more) in its mapping is still from there.
    writer = next((one for one in origins if _wrote(one, touch)), None)
    shown = origin or writer
    if trace.how:
        icon, words = "function", trace.how.partition(":")[0].partition(" ")[0]
    elif shown:
        icon, words = "sync", str(shown.source)
    elif touch.actor_kind == "client":
        icon, words = "api", "over the API"
    elif is_file and touch.actor_kind != "user":
        icon, words = "description", "from a file"
    else:
        icon, words = "edit", "by hand"
    is_own = shown is not None and _wrote(shown, touch)
    changed_in = touch.sync_run
    return Mark(
        icon=icon,
        words=words,
        origin=shown,
        source_url=source_url(shown.source) if shown else "",
        seen=shown.seen_at if shown else None,
        seen_run=seen_run(shown) if shown else None,
        changed_at=None if trace.how else touch.at,
        changed_by="" if is_own or trace.how else actor_words(touch),
        changed_run=_run(shown.source, changed_in) if shown and is_own and changed_in else None,
        is_first=trace.is_first,
        original=originals.get(shown.source.pk, "") if shown else "",
        how=trace.how,
        error=trace.error,
    )


def _wrote(origin: Origin, touch: Touch) -> bool:
    if origin.is_exporter:  # it writes as the API client that registered it
        return touch.actor_kind == "client" and touch.actor == origin.source.created_by
    return touch.actor_kind == "integration" and touch.actor == origin.source.identifier


def seen_run(origin: Origin) -> RunLink | None:
    return _run(origin.source, origin.run) if origin.run else None


def _run(source: Integration, pk: int) -> RunLink | None:
    return RunLink(pk, source) if source.kind != Integration.WEBHOOK else None
