"""What the computed properties of a blueprint would give, before it is saved.

The definitions are those of a document that somebody is still writing: what is wrong with one is
said of that one, and the others are worked out all the same. Nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from catalog.kernel import jq
from catalog.kernel.errors import InvalidInput
from catalog.kernel.identifiers import check_property_identifier
from catalog.kernel.schema import compile_schema
from catalog.selectors.kinds import Kind, Kinds, Link, load_kinds
from catalog.services.blueprint_spec import ANY_TARGET
from catalog.services.derived.plan import Computed, Plan, Walk
from catalog.services.derived.refresh import given, work_out
from catalog.services.derived.specs import MOMENTS
from catalog.services.derived.values import Found, check_query, new_scope

GROUPS: Final = ("mirrorProperties", "calculationProperties", "aggregationProperties")

_NEW: Final = -1  # the pk of a blueprint that is not stored; its relations count down from it
_SHAPE: Final = ("type", "format", "spec", "items")
_NUMBER: Final = {"type": "number"}
_TEXT: Final = {"type": "string"}
_MOMENT: Final = {"type": "string", "format": "date-time"}
_META: Final[Mapping[str, Mapping[str, Any]]] = {
    "$identifier": _TEXT,
    "$title": _TEXT,
    "$icon": _TEXT,
    "$blueprint": _TEXT,
    "$team": {"type": "array", "items": {"type": "string", "format": "team"}},
    "$createdAt": _MOMENT,
    "$updatedAt": _MOMENT,
    "$createdBy": _TEXT,
    "$updatedBy": _TEXT,
}


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one definition.

    schema: the type of its values ({"type": "array", "items": {…}}), None where that depends on
    what it meets. value: what it gives, None for nothing or without an entity. error: why it can
    give nothing. remark: what may be a mistake although it works.
    """

    schema: Mapping[str, Any] | None = None
    value: Any = None
    error: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """results: by group ("mirrorProperties", …) and name. given: the entity as calculations see
    it; None without one."""

    results: Mapping[str, Mapping[str, Tried]]
    given: Mapping[str, Any] | None = None


def try_definitions(
    document: Mapping[str, Any], *, stored: str | None = None, entity: int | None = None
) -> Trial:
    """Try what `document` computes on one of its entities (pk); without one, it is only checked.

    stored: the blueprint that the document is to replace. Parts of the document that are not what
    they should be count as absent. The values of other entities are those that are stored.
    """
    known = load_kinds()
    kind = _draft(document, known.get(stored) if stored else None)
    others = [one for one in known if one.identifier not in (stored, kind.identifier)]
    kinds = Kinds([*others, kind])
    plan = Plan(kinds)
    computed = plan.by_pk[kind.pk]
    scope = new_scope(kinds)
    _drop_wrong_names(computed)
    _drop_wrong_expressions(computed)
    for name, one in list(computed.aggregations.items()):
        try:
            check_query(one, scope)
        except InvalidInput as error:
            computed.drop(name, error)
    found = Found({}, {})
    seen = None
    if entity is not None:
        rows, by_pk = work_out(computed, [entity], whole={entity}, scope=scope)
        if rows:
            found = by_pk[entity]
            seen = given(computed, rows[0], found)
    groups = zip(GROUPS, (kind.mirrors, kind.calculations, kind.aggregations), strict=True)
    return Trial(
        results={
            group: {name: _tried(name, plan, computed, found) for name in definitions}
            for group, definitions in groups
        },
        given=seen,
    )


def _draft(document: Mapping[str, Any], stored: Kind | None) -> Kind:
    """The kind that a document describes, as far as it does. What it shares with the stored one
    has the same keys, so that the relations of entities are found along it."""
    schema = document.get("schema")
    mirrors, calculations, aggregations = (_objects(document.get(group)) for group in GROUPS)
    identifier = document.get("identifier")
    old = stored.links if stored else {}
    links: dict[str, Link] = {}
    for name, one in _objects(document.get("relations")).items():
        target = None if one.get("target") == ANY_TARGET else str(one.get("target"))
        known = old.get(name)
        is_kept = known is not None and known.target == target
        links[name] = Link(
            pk=known.pk if known is not None and is_kept else _NEW - len(links),
            identifier=name,
            title=str(one.get("title") or name),
            target=target,
            many=one.get("many") is True,
            required=one.get("required") is True,
        )
    return Kind(
        pk=stored.pk if stored else _NEW,
        identifier=identifier if isinstance(identifier, str) else "",
        title=str(document.get("title") or ""),
        icon=None,
        properties=_objects(schema.get("properties")) if isinstance(schema, Mapping) else {},
        computed={**mirrors, **calculations, **aggregations},
        mirrors=mirrors,
        calculations=calculations,
        aggregations=aggregations,
        team_path=_team_path(document),
        links=links,
        is_found_globally=True,
    )


def _objects(value: object) -> dict[str, dict[str, Any]]:
    """Those values of an object that are objects."""
    found = value.items() if isinstance(value, Mapping) else ()
    return {name: one for name, one in found if isinstance(one, dict)}


def _team_path(document: Mapping[str, Any]) -> str | None:
    ownership, older = document.get("ownership"), document.get("teamInheritance")
    if isinstance(ownership, Mapping):
        path = ownership.get("path") if ownership.get("type") == "Inherited" else None
    else:
        path = older.get("path") if isinstance(older, Mapping) else None
    return path if isinstance(path, str) else None


def _drop_wrong_names(computed: Computed) -> None:
    kind = computed.kind
    for group, names in zip(
        GROUPS, (kind.mirrors, kind.calculations, kind.aggregations), strict=True
    ):
        for name in names:
            try:
                check_property_identifier(name, field=group)
            except InvalidInput as error:
                computed.drop(name, error)


def _drop_wrong_expressions(computed: Computed) -> None:
    expressions = {name: one.expression for name, one in computed.calculations.items()}
    wrong = jq.check_all(expressions) if expressions else {}
    for name, error in wrong.items():
        told = str(error.details.get("message", error.message))
        if "line" in error.details:
            told += f" (line {error.details['line']}, column {error.details['column']})"
        computed.drop(name, InvalidInput(told))


def _tried(name: str, plan: Plan, computed: Computed, found: Found) -> Tried:
    problem = computed.problems.get(name)
    if problem is not None:
        return Tried(error=problem.message)
    error, value = found.errors.get(name, ""), found.values.get(name)
    remark = _remark(name, plan, computed)
    if not remark and value is not None and name in computed.calculations:
        remark = _unfitting(value, computed.kind.calculations[name])
    return Tried(_schema(name, plan, computed.kind.pk), value, error, remark)


def _remark(name: str, plan: Plan, computed: Computed) -> str:
    """A property that the definition reads and that is nowhere there."""
    if name in computed.mirrors:
        walk, last = computed.mirrors[name]
        return _missing({last}, plan, walk.places[-1])
    if name in computed.aggregations:
        one = computed.aggregations[name]
        asked = {one.spec.property} if one.spec.property else set()
        if one.spec.period and one.spec.moment not in MOMENTS:
            asked.add(one.spec.moment)
        return _missing(asked, plan, [one.target])
    return ""


def _missing(names: Iterable[str], plan: Plan, places: Iterable[int]) -> str:
    here = [plan.by_pk[pk].kind for pk in places]
    for name in names:
        if name not in _META and not any(name in {**k.properties, **k.computed} for k in here):
            told = f'Blueprint "{here[0].identifier}"' if len(here) == 1 else "No blueprint there"
            has = "has no property" if len(here) == 1 else "has a property"
            return f'{told} {has} "{name}"'
    return ""


def _unfitting(value: Any, definition: Mapping[str, Any]) -> str:
    """How a calculated value differs from the type that it is declared with."""
    try:
        schema = compile_schema({"properties": {"value": _shape(definition)}})
        problems = schema.problems({"value": value}, limit=1)
    except InvalidInput:  # not a type that could be compared
        return ""
    if not problems:
        return ""
    return f"It gives {jq.describe(value)}; expected {problems[0].expected}"


def _schema(name: str, plan: Plan, pk: int) -> Mapping[str, Any] | None:
    """The type of what one reads under this name at a blueprint."""
    if name in _META:
        return _META[name]
    computed = plan.by_pk[pk]
    if name in computed.mirrors:
        return _at_the_end(*computed.mirrors[name], plan)
    if name in computed.aggregations:
        return _NUMBER
    definition = computed.kind.calculations.get(name) or computed.kind.properties.get(name)
    return _shape(definition) if definition else None


def _at_the_end(walk: Walk, last: str, plan: Plan) -> Mapping[str, Any] | None:
    """The type of a mirror: of the one thing, or a flat list of those of all."""
    schemas: list[Mapping[str, Any]] = []
    for pk in walk.places[-1]:
        schema = _schema(last, plan, pk)
        if schema is not None and schema not in schemas:
            schemas.append(schema)
    schema = schemas[0] if len(schemas) == 1 else None
    if not walk.is_many or (schema is not None and schema.get("type") == "array"):
        return schema
    return {"type": "array", "items": schema or {}}


def _shape(definition: Mapping[str, Any]) -> dict[str, Any]:
    return {key: definition[key] for key in _SHAPE if definition.get(key) is not None}
