"""Would the catalogue take this entity? Checked as if it stood in a file, nothing stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from catalog.dialects.backstage import wording
from catalog.dialects.backstage.kinds import BY_LOWER_NAME
from catalog.dialects.backstage.mapping import blueprint_of
from catalog.dialects.backstage.placeholders import Intake, resolve
from catalog.dialects.backstage.reader import URL, is_address
from catalog.dialects.backstage.validate import check_envelope
from catalog.ingest.locations.reader import PlaceReader
from catalog.models import Blueprint

_PREFIX: Final = f"{URL}:"


def validate(entity: Mapping[str, Any], place: str) -> wording.Error | None:
    """What is wrong with an entity first, in the form of Backstage's errors; None for a good one.

    place: where it would stand, "url:https://…"; placeholders are read from there.
    """
    if not (place.startswith(_PREFIX) and is_address(place.removeprefix(_PREFIX))):
        return wording.error(
            wording.TYPE_ERROR,
            f"Invalid location ref {place}, only 'url:<target>' is supported, "
            "e.g. url:https://host/path",
        )
    document: Any = entity
    if not check_envelope(entity):
        with PlaceReader() as reader:
            resolved = resolve(entity, Intake(place, reader))
        if resolved.problems:
            return wording.error(wording.INPUT_ERROR, resolved.problems[0].message)
        document = resolved.entity
    return wording.refusal_of(document, is_custom_kind=is_custom_kind)


def is_custom_kind(kind: str) -> bool:
    """Whether a kind that is none of Backstage's has a blueprint here."""
    return (
        kind.lower() not in BY_LOWER_NAME
        and Blueprint.objects.filter(identifier=blueprint_of(kind)).exists()
    )
