"""Which entities describe an API, by what text; and what that text was before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import orjson
from django.db.models import F, Q

from catalog.kernel import feed
from catalog.models import Change, Entity
from catalog.selectors.kinds import Kind

PROPERTY: Final = "definition"  # where Backstage's API kind has it
MAX_VERSIONS: Final = 100

# How a property of any kind says that it holds a definition, and of what format.
_SPECS = {"open-api": "openapi", "async-api": "asyncapi"}


@dataclass(frozen=True, slots=True)
class Definition:
    """name: of the property that holds it. declared: the format that its author names, or ""."""

    name: str
    text: str
    declared: str


@dataclass(frozen=True, slots=True)
class Version:
    """A definition as it stood from `at` until the next version. number: 1 the oldest one kept."""

    number: int
    change_id: int
    at: datetime
    actor_kind: str
    actor: str
    run: str
    is_current: bool


def property_names(kind: Kind) -> list[str]:
    """The properties of a kind that may hold a definition, the likeliest first."""
    marked = [name for name, schema in kind.properties.items() if _is_marked(schema)]
    return [PROPERTY, *(name for name in marked if name != PROPERTY)]


def definition_of(kind: Kind, properties: Mapping[str, Any]) -> Definition | None:
    """The definition among an entity's properties; None where there is none."""
    for name in property_names(kind):
        text = text_of(properties.get(name))
        if text:
            spec = str(kind.properties.get(name, {}).get("spec", ""))
            said = properties.get("type")
            declared = _SPECS.get(spec) or (said if isinstance(said, str) else "")
            return Definition(name, text, declared)
    return None


def text_of(value: Any) -> str:
    """A definition as text: as it is, or as JSON where it is kept as an object."""
    if isinstance(value, dict) and value:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return value if isinstance(value, str) and value.strip() else ""


def versions_of(entity: Entity, name: str) -> list[Version]:
    """The versions of the property `name`, the newest first; without their texts. One statement."""
    touched = Q(after__properties__has_key=name) | Q(before__properties__has_key=name)
    changes = (
        _changes(entity)
        .filter(touched | Q(action=feed.CREATE))
        .order_by("-id")
        .values("id", "at", "actor_kind", "actor", "run")[:MAX_VERSIONS]
    )
    rows = list(changes)
    return [
        Version(
            number=len(rows) - at,
            change_id=row["id"],
            at=row["at"],
            actor_kind=row["actor_kind"],
            actor=row["actor"],
            run=row["run"],
            is_current=at == 0,
        )
        for at, row in enumerate(rows)
    ]


def version_texts(
    entity: Entity, name: str, versions: Sequence[Version], wanted: Sequence[int]
) -> dict[int, str]:
    """The texts of the versions with these numbers, "" where there was none. At most one statement.

    The feed keeps what was before a change, so a version's text stands in the next one's change.
    """
    newer = {older.number: later.change_id for later, older in pairwise(versions)}
    asked = {newer[number]: number for number in wanted if number in newer}
    texts = {v.number: text_of(entity.properties.get(name)) for v in versions[:1]}
    texts = {number: text for number, text in texts.items() if number in wanted}
    if asked:
        rows = (
            _changes(entity)
            .filter(id__in=list(asked))
            .values_list("id", F(f"before__properties__{name}"))
        )
        texts.update({asked[pk]: text_of(value) for pk, value in rows})
    return texts


def _changes(entity: Entity) -> Any:
    return Change.objects.filter(model=Change.ENTITY, object_id=entity.pk)


def _is_marked(schema: Mapping[str, Any]) -> bool:
    # an address of a definition is a link, not a definition
    return schema.get("spec") in _SPECS and schema.get("format") != "url"
