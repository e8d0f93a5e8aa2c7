"""Documents that locations hold and the catalogue does not take, and locations not read yet, as
Backstage lists its unprocessed entities."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

import orjson
from django.db import transaction
from django.db.models import TextField
from django.db.models.functions import Cast

from catalog.dialects.backstage import wording
from catalog.dialects.backstage.annotations import LOCATION, ORIGIN
from catalog.dialects.backstage.documents import ref_of_entity
from catalog.dialects.backstage.locations import location_entity
from catalog.dialects.backstage.mapping import ref_of
from catalog.dialects.backstage.validate import check_envelope
from catalog.kernel.errors import NotFound, shorten
from catalog.models import EntityDocument, Location, LocationFile
from catalog.selectors.documents import timestamp

_CHUNK: Final = 100  # in memory, each with its document
_TELLING: Final = ("field", "line", "expected", "hint")

_Problem = Mapping[str, Any]  # see `LocationFile.problems`


@dataclass(frozen=True, slots=True)
class _Failure:
    """What stands in the way of one document, or of a whole file."""

    id: str
    ref: str
    document: Any
    errors: Sequence[Mapping[str, Any]]
    place: str
    seen_at: datetime | None
    next_at: datetime | None


def failed(owner: str = "") -> Iterator[dict[str, Any]]:
    """All that was refused, file by file. owner: only documents whose `spec.owner` says so."""
    wanted = (one for one in _failures() if not owner or _owner(one.document) == owner)
    while part := list(islice(wanted, _CHUNK)):
        stored = _stored({one.ref for one in part})
        for one in part:
            yield {
                **_entry(one.id, one.ref, one.document, one.place, one.seen_at, one.next_at),
                "processed_entity": stored.get(one.ref),
                "errors": one.errors,
            }


def pending() -> Iterator[dict[str, Any]]:
    """The locations that nobody has read yet."""
    rows = Location.objects.filter(state=Location.State.PENDING)
    for one in rows.iterator(chunk_size=_CHUNK):
        entity = _location_entity(one)
        times = (one.created_at, one.next_refresh_at)
        yield {
            **_entry(str(one.pk), one.entity_ref, entity, one.place, *times),
            "processed_entity": None,
            "errors": [],
        }


def forget(entity_id: str) -> None:
    """Take a refused document out of the list; it is back when its file is next read anew and says
    the same. Raises NotFound."""
    pk, _, digest = entity_id.partition("-")
    unknown = NotFound(f"There is no unprocessed entity {shorten(entity_id)}")
    if not (pk.isascii() and pk.isdigit() and len(pk) < 19):
        raise unknown
    with transaction.atomic():
        file = LocationFile.objects.select_for_update().filter(pk=int(pk)).first()
        groups = [] if file is None else _grouped(file.problems)
        kept = [group for group in groups if _digest(group) != digest]
        if file is None or len(kept) == len(groups):
            raise unknown
        file.problems = [one for group in kept for one in group]
        file.save(update_fields=["problems"])


def _failures() -> Iterator[_Failure]:
    for root in Location.objects.exclude(problem="").iterator(chunk_size=_CHUNK):
        yield _Failure(
            str(root.pk),
            root.entity_ref,
            _location_entity(root),
            [wording.error(wording.INPUT_ERROR, root.problem)],
            root.place,
            root.created_at,
            root.next_refresh_at,
        )
    files = (
        LocationFile.objects.annotate(text=Cast("problems", TextField()))
        .exclude(text="[]")
        .select_related("location")
        .order_by("location_id", "pk")
    )
    for file in files.iterator(chunk_size=_CHUNK):
        for group in _grouped(file.problems):
            document = next((one["document"] for one in group if one.get("document")), None)
            yield _Failure(
                f"{file.pk}-{_digest(group)}",
                _ref(group[0], document),
                document,
                [_error(one) for one in group],
                file.place,
                file.read_at,
                file.location.next_refresh_at,
            )


def _grouped(problems: Sequence[_Problem]) -> list[list[_Problem]]:
    """Those of one document together: they come one after the other."""
    groups: list[list[_Problem]] = []
    for one in problems:
        if groups and one.get("key") and one["key"] == groups[-1][0].get("key"):
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _error(problem: _Problem) -> dict[str, Any]:
    told = problem.get("error") or wording.error(wording.INPUT_ERROR, problem["message"])
    return {**told, **{key: problem[key] for key in _TELLING if problem.get(key)}}


def _entry(
    entity_id: str,
    ref: str,
    document: Any,
    place: str,
    seen_at: datetime | None,
    next_at: datetime | None,
) -> dict[str, Any]:
    return {
        "entity_id": entity_id,
        "entity_ref": ref,
        "unprocessed_entity": document,
        "location_key": place,
        "last_discovery_at": timestamp(seen_at) if seen_at else None,
        "next_update_at": timestamp(next_at) if next_at else None,
    }


def _stored(refs: set[str]) -> dict[str, Any]:
    """The good version that is shown for some of them."""
    found = EntityDocument.objects.filter(ref__in=refs - {""}).values_list("ref", "document")
    return dict(found)


def _location_entity(location: Location) -> dict[str, Any]:
    entity = location_entity(location)
    annotations = {LOCATION: location.place, ORIGIN: location.place}
    return {**entity, "metadata": {**entity["metadata"], "annotations": annotations}}


def _ref(problem: _Problem, document: Any) -> str:
    """Of which entity it tells; "" where that is what is wrong."""
    if problem.get("key"):
        blueprint, identifier = problem["key"]
        return ref_of_entity(blueprint, identifier)
    return "" if check_envelope(document) else str(ref_of(document))


def _owner(document: Any) -> str:
    spec = document.get("spec") if isinstance(document, Mapping) else None
    owner = spec.get("owner") if isinstance(spec, Mapping) else None
    return owner if isinstance(owner, str) else ""


def _digest(problems: Sequence[_Problem]) -> str:
    return hashlib.blake2b(orjson.dumps(problems), digest_size=8).hexdigest()
