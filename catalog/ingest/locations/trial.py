"""What a location would bring, looked at without storing anything."""

from __future__ import annotations

from typing import Any, Final

from catalog.dialects.backstage.annotations import with_added
from catalog.dialects.backstage.locations import location_entity
from catalog.dialects.backstage.mapping import blueprint_of, key_of_ref
from catalog.dialects.backstage.reader import Reader
from catalog.dialects.backstage.refs import DEFAULT_NAMESPACE, parse_ref
from catalog.ingest.locations import walking
from catalog.ingest.locations.reading import (
    ReadFile,
    annotations_of,
    custom_kinds,
    parse,
    problem_of_lead,
)
from catalog.ingest.locations.rules import Rules
from catalog.ingest.locations.walking import Lead, Tree
from catalog.kernel.errors import InvalidInput, LimitExceeded
from catalog.models import Location
from catalog.services import catalog_settings

MAX_FILES: Final = 1000


def documents_of(location: Location, reader: Reader) -> list[dict[str, Any]]:
    """The Location entity, then all that it leads to, with the catalogue's annotations.

    Raises InvalidInput with `details["problems"]` (see `LocationFile.problems`, with "place"): one
    problem anywhere is enough.
    """
    origin = location.place
    settings = catalog_settings.current()
    rules = Rules.of(location, settings)
    kinds = custom_kinds()
    root = Lead(location.entity_ref, origin, location.target)
    documents = [_annotated(location_entity(location), annotations_of(origin, origin, reader))]
    problems: list[dict[str, Any]] = []
    seen: dict[Any, str] = {}
    files = 0
    for step in walking.steps(Tree(root, {}), reader):
        files += len(step.nodes)
        if files > MAX_FILES:
            raise LimitExceeded(
                f"The location leads to more than {MAX_FILES:,} files, too many for a trial",
                hint="Register it; its page tells what is wrong.",
                details={"field": "target", "expected": f"<= {MAX_FILES} files"},
            )
        for node in step.nodes:
            if node.content is None:
                continue
            file = parse(
                node,
                reader=reader,
                rules=rules,
                is_custom_kind=lambda kind: blueprint_of(kind) in kinds,
                is_strict=settings.is_strict,
            )
            annotations = annotations_of(node.place, origin, reader)
            for one in file.candidates:
                if one.key in seen:
                    problems.append(_twice(one.key, node.place, seen[one.key]))
                seen[one.key] = node.place
                documents.append(_annotated(one.entity, annotations))
            problems += _placed(file)
        for lead in step.after:
            if lead.problem:
                found = problem_of_lead(lead, key_of_ref(parse_ref(lead.ref)))
                if step.parent is None:  # the location itself, of which there is no document
                    found |= {"line": 0, "entity": "", "field": ""}
                problems.append({**found, "place": step.parent or origin})
    if problems:
        first = problems[0]
        more = f", and {len(problems) - 1:,} more" if len(problems) > 1 else ""
        place = first["place"].partition(":")[2]
        where = f"{place}:{first['line']}: " if first["line"] else ""
        raise InvalidInput(
            f"{where}{first['message']}{more}",
            hint=first["hint"],
            details={"field": "target", "problems": problems},
        )
    return documents


def _placed(file: ReadFile) -> list[dict[str, Any]]:
    return [{**one, "place": file.node.place} for one in file.problems]


def _twice(key: tuple[str, str], place: str, first: str) -> dict[str, Any]:
    message = f"{key[0]} {key[1]} is in {first} as well"
    return {
        "place": place,
        "line": 1,
        "entity": f"{key[0]} {key[1]}",
        "field": "metadata.name",
        "message": message,
        "expected": "one file per entity",
        "hint": "Remove it from one of the two files.",
        "document": None,
        "key": list(key),
        "error": {"name": "InputError", "message": message},
    }


def _annotated(document: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    """A document with the catalogue's annotations."""
    metadata = document["metadata"]
    return {
        **document,
        "metadata": {
            "namespace": DEFAULT_NAMESPACE,
            **metadata,
            "annotations": with_added(metadata.get("annotations"), annotations),
        },
    }
