"""The content of an entity: made from a draft, compared, digested. No database here."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import orjson

from catalog.kernel.errors import InvalidEntity, InvalidInput, shorten
from catalog.kernel.identifiers import BLUEPRINT_MAX, check_byte_length, check_length
from catalog.kernel.schema import check_json
from catalog.models import CONTENT_COLUMNS
from catalog.services.entities.drafts import EntityDraft, Unset
from catalog.services.shapes import Definition, Shape

ANY: Final = None  # target of a relation that may lead to any kind


def content_hash(content: dict[str, Any], shape: Shape) -> bytes:
    """Digest of what an entity says; equal for equal content whatever the order of keys.

    Inherited teams are no part of it: they change without a word of the entity.
    """
    if shape.inherits_team:
        content = {**content, "team": []}
    data = _canonical([content[column] for column in CONTENT_COLUMNS])
    return blake2b(data, digest_size=16).digest()


def new_content(draft: EntityDraft, shape: Shape, old: dict[str, Any] | None) -> dict[str, Any]:
    """The full new content: of the draft alone, or of the draft over what is stored."""
    base: dict[str, Any] = old or {
        "title": None,
        "icon": None,
        "team": [],
        "properties": {},
        "relations": {},
        "descriptor": None,
        "location": None,
    }
    properties = _mapping(draft.properties, "properties")
    if old is None:
        properties = _without_nulls({**shape.defaults, **properties})
    else:
        properties = _without_nulls({**old["properties"], **properties})
    relations = _relations(_mapping(draft.relations, "relations"), shape)
    if old is not None:
        kept = {k: v for k, v in old["relations"].items() if k in shape.definitions}
        relations = {**kept, **relations}
    relations = {name: value for name, value in relations.items() if value not in (None, [])}
    for name, definition in shape.definitions.items():
        # A merge does not answer for what was missing before.
        was_there = old is None or name in old["relations"]
        if definition.required and was_there and name not in relations:
            raise InvalidEntity(
                f'relation "{name}" is required',
                details={
                    "field": f"relations.{name}",
                    "value": "",
                    "expected": f"an entity of {definition.target or 'any blueprint'}",
                },
            )
    return {
        "title": _text_or_none(_said(draft.title, base["title"]), "title", 1000),
        "icon": _text_or_none(_said(draft.icon, base["icon"]), "icon", 100),
        "team": base["team"] if shape.inherits_team else _team(_said(draft.team, base["team"])),
        "properties": properties,
        "relations": relations,
        "descriptor": _said(draft.descriptor, base["descriptor"]),
        "location": _said(draft.location, base["location"]),
    }


def _relations(values: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """Checked relation values: text for one target, a list without repeats for many."""
    checked: dict[str, Any] = {}
    for name, value in values.items():
        definition = shape.definitions.get(name)
        if definition is None:
            known = ", ".join(shape.definitions) or "none"
            raise InvalidEntity(
                f'relation "{shorten(name)}" does not exist on blueprint "{shape.identifier}"; '
                f"it has {known}",
                details={
                    "field": f"relations.{shorten(name)}",
                    "value": shorten(value),
                    "expected": f"one of: {known}",
                },
            )
        if value is None:
            checked[name] = None
        elif definition.many:
            many = [value] if isinstance(value, str) else value
            if not isinstance(many, list) or not all(isinstance(v, str) and v for v in many):
                raise _wrong_relation(name, value, "a list of identifiers")
            checked[name] = list(dict.fromkeys(many))
        elif isinstance(value, str) and value:
            checked[name] = value
        else:
            raise _wrong_relation(name, value, "one identifier")
    return checked


def stated_targets(relations: dict[str, Any], shape: Shape) -> list[tuple[Definition, str, str]]:
    """The edges that relation values stand for: (definition, target blueprint, identifier)."""
    edges = []
    for name, value in relations.items():
        definition = shape.definitions[name]
        for target in value if isinstance(value, list) else [value]:
            if definition.target is not ANY:
                blueprint, identifier = definition.target, target
            else:
                blueprint, colon, identifier = target.partition(":")
                if not (blueprint and colon and identifier):
                    raise _wrong_relation(name, target, "blueprint:identifier")
            check_length(blueprint, f"relations.{name}", BLUEPRINT_MAX)
            check_length(identifier, f"relations.{name}")
            edges.append((definition, blueprint, identifier))
    return edges


def as_stated(edge: tuple[Definition, str, str]) -> tuple[str, str]:
    """(relation, target) as the relation values say it: the reverse of `stated_targets`."""
    definition, blueprint, identifier = edge
    target = identifier if definition.target is not ANY else f"{blueprint}:{identifier}"
    return definition.identifier, target


def check_storable(content: dict[str, Any]) -> None:
    """Raises InvalidEntity, naming the part, for what the database could not give back."""
    try:
        check_json({name: part for name, part in content.items() if part is not None})
    except InvalidInput as error:
        where = _unstorable_part(content)
        raise InvalidEntity(
            f"{where}: {error.message}", details={"field": where, **error.details}
        ) from None


def _unstorable_part(content: dict[str, Any]) -> str:
    parts = {f"properties.{name}": [[one]] for name, one in content["properties"].items()}
    parts |= {name: [part] for name, part in content.items()}
    for name, part in parts.items():
        try:
            check_json(part)  # as deep as it is in the whole
        except InvalidInput:
            return shorten(name)
    return "entity"


def changed_parts(
    old: dict[str, Any], new: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What differs, as (before, after); inside properties and relations key by key.

    Compared as JSON, where 1, 1.0 and true are three things (in Python they are equal).
    """
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for key in CONTENT_COLUMNS:
        if _same(old[key], new[key]):
            continue
        if key in ("properties", "relations"):
            names = [
                n for n in {**old[key], **new[key]} if not _same(old[key].get(n), new[key].get(n))
            ]
            before[key] = {n: old[key][n] for n in names if n in old[key]}
            after[key] = {n: new[key][n] for n in names if n in new[key]}
        else:
            before[key], after[key] = old[key], new[key]
    return before, after


def _same(one: Any, other: Any) -> bool:
    return one == other and _canonical(one) == _canonical(other)


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def loaded(values: Sequence[Any]) -> dict[str, Any]:
    content = dict(zip(CONTENT_COLUMNS, values, strict=True))
    for column in ("properties", "relations"):
        if isinstance(content[column], str):
            content[column] = orjson.loads(content[column])
    return content


def _said(value: Any, otherwise: Any) -> Any:
    return otherwise if isinstance(value, Unset) else value


def _without_nulls(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _mapping(value: Any, field_name: str) -> dict[str, Any]:
    if value is None or isinstance(value, Unset):
        return {}
    if not isinstance(value, dict):
        raise InvalidEntity(
            f"{field_name} must be an object, not {shorten(value)}",
            details={
                "field": field_name,
                "value": shorten(value),
                "expected": "an object",
            },
        )
    return value


def _text_or_none(value: Any, field_name: str, limit: int) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > limit:
        expected = f"text of at most {limit} characters"
        raise InvalidEntity(
            f"{field_name} must be {expected}, not {shorten(value)}",
            details={
                "field": field_name,
                "value": shorten(value),
                "expected": expected,
            },
        )
    check_byte_length(value, field_name)
    return value


def _team(value: Any) -> list[str]:
    if value is None:
        return []
    teams = [value] if isinstance(value, str) else value
    if not isinstance(teams, list | tuple) or not all(isinstance(t, str) and t for t in teams):
        raise InvalidEntity(
            f"team must be a team or a list of teams, not {shorten(value)}",
            details={
                "field": "team",
                "value": shorten(value),
                "expected": "list of text",
            },
        )
    for team in teams:
        check_length(team, "team")
    return list(dict.fromkeys(teams))


def _wrong_relation(name: str, value: Any, expected: str) -> InvalidInput:
    return InvalidEntity(
        f'relation "{name}" must be {expected}, not {shorten(value)}',
        details={
            "field": f"relations.{name}",
            "value": shorten(value),
            "expected": expected,
        },
    )
