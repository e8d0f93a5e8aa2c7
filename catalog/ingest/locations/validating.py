"""Would the catalogue take this entity? Checked as if it stood in a file, nothing stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from catalog.dialects.backstage import wording
from catalog.dialects.backstage.kinds import BY_LOWER_NAME
from catalog.dialects.backstage.mapping import blueprint_of
from catalog.dialects.backstage.placeholders import Intake, resolve
from catalog.dialects.backstage.problems import dotted
from catalog.dialects.backstage.reader import URL, is_address
from catalog.dialects.backstage.validate import check_envelope, first_failure
from catalog.ingest.locations.reader import PlaceReader
from catalog.models import Blueprint

_PREFIX: Final = f"{URL}:"


def validate(entity: Mapping[str, Any], place: str) -> wording.Error | None:
    """What is wrong with an entity first, in the form of Backstage's errors; None for a good one.

    place: where it would stand, "url:https://…"; placeholders are read from there. Who asks chooses
    both, so nothing of what they read is said: a token of ours may read what he may not.
    """
    if not (place.startswith(_PREFIX) and is_address(place.removeprefix(_PREFIX))):
        return wording.error(
            wording.TYPE_ERROR,
            f"Invalid location ref {place}, only 'url:<target>' is supported, "
            "e.g. url:https://host/path",
        )
    if check_envelope(entity):
        return wording.refusal_of(entity, is_custom_kind=is_custom_kind)
    with PlaceReader() as reader:
        resolved = resolve(entity, Intake(place, reader))
    if resolved.problems:
        return wording.error(wording.INPUT_ERROR, resolved.problems[0].message)
    if taken := _taken_in(entity, resolved.entity):
        return wording.error(
            wording.INPUT_ERROR, f"{taken}: what its placeholder took in is not valid there"
        )
    return wording.refusal_of(resolved.entity, is_custom_kind=is_custom_kind)


def _taken_in(entity: Any, resolved: Any) -> str:
    """Where the entity has a placeholder, if it is what that took in that is wrong first."""
    problems = check_envelope(resolved)
    problems = problems or first_failure(resolved, is_custom_kind=is_custom_kind)[1]
    if not problems:
        return ""
    known: list[str | int] = []
    for part in problems[0].path:
        inside = (
            part in entity
            if isinstance(entity, Mapping)
            else isinstance(entity, list) and isinstance(part, int) and part < len(entity)
        )
        if inside:
            entity, resolved = entity[part], resolved[part]
        elif isinstance(resolved, Mapping) and entity.keys() == resolved.keys():
            return ""  # it lacks a key, whatever stands under the others
        else:
            break
        known.append(part)
    return "" if entity == resolved else dotted(tuple(known)) or "entity"


def is_custom_kind(kind: str) -> bool:
    """Whether a kind that is none of Backstage's has a blueprint here."""
    return (
        kind.lower() not in BY_LOWER_NAME
        and Blueprint.objects.filter(identifier=blueprint_of(kind)).exists()
    )
