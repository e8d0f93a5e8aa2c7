"""What is known of the files of locations: read as trees to walk, written as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import orjson
from django.utils import timezone

from catalog.ingest.locations.reading import ReadFile
from catalog.ingest.locations.walking import Known, Lead, Node, Tree
from catalog.models import Location, LocationFile

READ_ANEW: Final = timedelta(minutes=10)  # files with problems: what they lack may be there now


def trees_of(rows: Sequence[Location]) -> dict[Any, Tree]:
    """What is known of each location's files; one query."""
    files: dict[Any, dict[str, Known]] = {one.pk: {} for one in rows}
    anew = timezone.now() - READ_ANEW
    fields = ("location_id", "pk", "place", "etag", "content_hash", "targets", "reads", "problems")
    found = LocationFile.objects.filter(location__in=list(files)).order_by("pk")
    for pk, *values, message, read_at in found.values_list(*fields, "message", "read_at"):
        file = _known(values, message)
        if file.problems and (read_at is None or read_at < anew):
            file = replace(file, content_hash=None)
        files[pk][file.place] = file
    return {one.pk: _tree(one, files[one.pk]) for one in rows}


def _known(values: Sequence[Any], message: str) -> Known:
    pk, place, etag, digest, targets, reads, problems = values
    return Known(
        pk,
        place,
        etag,
        None if digest is None else bytes(digest),
        tuple(map(Lead.of, targets)),
        tuple(reads),
        tuple(problems),
        message,
    )


def _tree(location: Location, files: dict[str, Known]) -> Tree:
    """With the root's own lead, which is kept with those of the root's file, apart from them."""
    root = Lead(
        ref=location.entity_ref,
        place=location.place,
        written=location.target,
        is_optional=location.presence == Location.Presence.OPTIONAL,
    )
    if known := files.get(root.place):
        own = next((one for one in known.leads if one.ref == root.ref), None)
        if own is not None:
            root = replace(own, is_optional=root.is_optional)
            rest = tuple(one for one in known.leads if one.ref != root.ref)
            files[root.place] = replace(known, leads=rest)
    return Tree(root, files)


def file_row(file: ReadFile, leads: Sequence[Lead]) -> dict[str, Any]:
    """leads: as they were followed; before that, as the file has them. A file that was refused for
    another one is read again next time."""
    node = file.node
    digest = None if file.refused_for else file.digest
    return {
        "place": node.place,
        "etag": node.etag if digest else "",
        "hash": digest,
        "targets": [one.as_dict() for one in leads or node.leads],
        "reads": file.reads,
        "problems": file.problems,
        "message": "",
        "is_read": True,
    }


def known_row(node: Node, leads: Sequence[Lead]) -> dict[str, Any]:
    """Of a file that was not read again, or could not be."""
    known = node.known
    return {
        "place": node.place,
        "etag": node.etag or (known.etag if known else ""),
        "hash": known.content_hash.hex() if known and known.content_hash else None,
        "targets": [one.as_dict() for one in leads or node.leads],
        "reads": list(known.reads) if known else [],
        "problems": [dict(one) for one in known.problems] if known else [],
        "message": node.message,
        "is_read": False,
    }


def row_without_file(root: Lead) -> dict[str, Any]:
    """A root that is no file: a pattern, or one that may be missing and is."""
    return {
        "place": root.place,
        "etag": "",
        "hash": None,
        "targets": [root.as_dict()],
        "reads": [],
        "problems": [],
        "message": "",
        "is_read": False,
    }


def differs(known: Known, row: dict[str, Any]) -> bool:
    stored = (
        known.etag,
        known.message,
        [one.as_dict() for one in known.leads],
        [dict(one) for one in known.problems],
    )
    now = (row["etag"], row["message"], row["targets"], row["problems"])
    return orjson.dumps(stored) != orjson.dumps(now)
