"""Search objects in entity requests, turned into identifiers before the door sees them.

A request may name an entity by a search instead of its identifier: in `identifier`, in `team`, and
in any relation. `{"combinator": "and", "rules": [{"property": "email", "operator": "=",
"value": "ann@example.com"}]}`. Call

    resolved = resolve_references(bodies, blueprint="service", principal=principal)

with the entity bodies of one request (all of one blueprint), before building `EntityDraft`s. It
returns one `Resolved` per body, in order: `body` is the given one with every search object
replaced, `error` says why it could not be done (then nothing of that body may be written). Bodies
without a search object come back as they are. A whole batch takes two statements (plus two when
rules speak of the calling user), and none when there is no search object.

- `identifier`: searched in the entity's own blueprint, must match exactly one entity; otherwise
  `error` is an `UnresolvedIdentifier`, whose identifier REST reports as "unknown".
- a relation: searched in its target blueprint (in all, when it may lead to any kind); a single
  one gets the first hit or None, a many one up to 100 hits or []. Hits are in the order of their
  identifiers.
- `team`: searched among the entities of `_team`; up to 100 hits.

Rules in search objects compare properties by `=`, `in`, `contains` or `containsAny`. A rule whose
value is null finds nothing: that is what a mapping makes of a field that was not there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.db.models import IntegerField, Value

from catalog.kernel.actors import Principal
from catalog.kernel.errors import IdpError, InvalidEntity, InvalidInput, shorten
from catalog.models import TEAM
from catalog.selectors.kinds import Kind
from catalog.selectors.search.compiler import Compiler
from catalog.selectors.search.rules import (
    OPERATORS,
    Comparison,
    Group,
    Named,
    NestedSearch,
    Rule,
    parse,
    wrong,
)
from catalog.selectors.search.scope import Scope

MAX_HITS: Final = 100
ALLOWED_OPERATORS: Final = ("=", "in", "contains", "containsAny")
_MAX_SEARCHES: Final = 200  # in one statement

_Hit = tuple[str, str]  # blueprint, identifier


class UnresolvedIdentifier(InvalidEntity):
    """The search in `identifier` did not find exactly one entity."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """body: without search objects, unless there is an `error`."""

    body: Mapping[str, Any]
    error: IdpError | None = None


def resolve_references(
    bodies: Sequence[Mapping[str, Any]], *, blueprint: str, principal: Principal
) -> list[Resolved]:
    """Replace the search objects in bodies of entities of one blueprint (see the module).

    blueprint: its identifier; when there is none such, the bodies come back for the door to refuse.
    """
    scope = Scope(principal)
    own = scope.kinds.get(blueprint) if any(map(_has_search, bodies)) else None
    if own is None:
        return [Resolved(body) for body in bodies]
    searches = _Searches(scope)
    waiting: list[list[_Place] | IdpError] = []
    for body in bodies:
        try:
            waiting.append(_places(body, own, searches))
        except InvalidInput as error:
            waiting.append(error)
    hits = searches.run()
    return [
        Resolved(body, places) if isinstance(places, IdpError) else _filled(body, places, hits)
        for body, places in zip(bodies, waiting, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a body the hits of search `number` go. relation: its name; "" for the other two."""

    key: str
    number: int
    relation: str = ""
    is_many: bool = True
    is_any_kind: bool = False


@dataclass(slots=True)
class _Searches:
    """The different searches of a batch, run together."""

    scope: Scope
    numbers: dict[tuple[str | None, str], int] = field(default_factory=dict)
    querysets: list[Any] = field(default_factory=list)

    def add(self, document: Mapping[str, Any], target: str | None, path: str) -> int:
        """The number of a search in the blueprint `target` (in all: None).

        Raises InvalidEntity for a search that is not allowed here.
        """
        try:
            group = _checked(parse(document, path=path), path)
        except InvalidInput as error:
            raise InvalidEntity(error.message, hint=error.hint, details=error.details) from error
        key = (target, json.dumps(document, sort_keys=True))
        if key not in self.numbers:
            number = self.numbers[key] = len(self.numbers)
            pk = self.scope.kinds.pk_of(target) if target else None
            found = self.scope.entities.filter(Compiler(self.scope, pk).group(group))
            if target:
                found = found.filter(blueprint=pk)
            # In order before the cut: the same search takes the same ones each time.
            self.querysets.append(
                found.annotate(number=Value(number, IntegerField()))
                .order_by("blueprint_id", "identifier")
                .values_list("number", "blueprint", "identifier")[:MAX_HITS]
            )
        return self.numbers[key]

    def run(self) -> dict[int, list[_Hit]]:
        """The hits of each search by its number, in order."""
        hits: dict[int, list[_Hit]] = {number: [] for number in self.numbers.values()}
        by_pk = self.scope.kinds.by_pk
        for start in range(0, len(self.querysets), _MAX_SEARCHES):
            first, *rest = self.querysets[start : start + _MAX_SEARCHES]
            for number, blueprint, identifier in first.union(*rest, all=True) if rest else first:
                hits[number].append((by_pk[blueprint].identifier, identifier))
        for found in hits.values():
            found.sort()
        return hits


def _is_search(value: object) -> bool:
    return isinstance(value, Mapping) and ("rules" in value or "combinator" in value)


def _relations(body: Mapping[str, Any]) -> Mapping[str, Any]:
    relations = body.get("relations")
    return relations if isinstance(relations, Mapping) else {}


def _has_search(body: Mapping[str, Any]) -> bool:
    values = (body.get("identifier"), body.get("team"), *_relations(body).values())
    return any(map(_is_search, values))


def _places(body: Mapping[str, Any], own: Kind, searches: _Searches) -> list[_Place]:
    places = []
    if _is_search(body.get("identifier")):
        number = searches.add(body["identifier"], own.identifier, "identifier")
        places.append(_Place("identifier", number))
    if _is_search(body.get("team")):
        places.append(_Place("team", searches.add(body["team"], TEAM, "team")))
    for name, value in _relations(body).items():
        link = own.links.get(name)
        if link is not None and _is_search(value):
            number = searches.add(value, link.target, f"relations.{name}")
            places.append(_Place("relations", number, name, link.many, link.target is None))
    return places


def _checked(group: Group, path: str) -> Group:
    """Refuse what search objects may not say; and let null find nothing."""
    if not group.rules:
        raise wrong(f"{path}.rules", [], "at least one rule")
    return replace(group, rules=tuple(map(_checked_rule, group.rules)))


def _checked_rule(rule: Rule) -> Rule:
    if isinstance(rule, Group):
        return _checked(rule, rule.path)
    if not isinstance(rule, Comparison) or not isinstance(rule.operand, Named):
        raise wrong(rule.path, type(rule).__name__, "a rule about a property")
    if rule.operator.name not in ALLOWED_OPERATORS:
        expected = f"one of {' '.join(ALLOWED_OPERATORS)} in a search for an entity"
        raise wrong(f"{rule.path}.operator", rule.operator.name, expected)
    if isinstance(rule.value, NestedSearch):
        raise wrong(f"{rule.path}.value", dict(rule.value.document), "a value, not a search")
    if rule.value is None:
        return replace(rule, operator=OPERATORS["in"], value=())
    if isinstance(rule.value, tuple):
        return replace(rule, value=tuple(one for one in rule.value if one is not None))
    return rule


def _filled(
    body: Mapping[str, Any], places: Sequence[_Place], hits: Mapping[int, Sequence[_Hit]]
) -> Resolved:
    filled = {**body, "relations": {**_relations(body)}} if _relations(body) else {**body}
    for place in places:
        found = hits[place.number]
        names = [
            f"{blueprint}:{identifier}" if place.is_any_kind else identifier
            for blueprint, identifier in found
        ]
        if place.relation:
            one = names[0] if names else None
            filled["relations"][place.relation] = names if place.is_many else one
        elif place.key == "team":
            filled["team"] = names
        elif len(names) == 1:
            filled["identifier"] = names[0]
        else:
            return Resolved(body, _unresolved(body["identifier"], names))
    return Resolved(filled)


def _unresolved(document: Mapping[str, Any], names: Sequence[str]) -> UnresolvedIdentifier:
    examples = ", ".join(map(shorten, names[:3]))
    more = " or more" if len(names) == MAX_HITS else ""
    found = f"{len(names)}{more} ({examples}{' …' if names[3:] else ''})" if names else "none"
    return UnresolvedIdentifier(
        f"The search in identifier must find exactly one entity; it found {found}",
        hint="Add rules until it finds one alone." if names else "",
        details={
            "field": "identifier",
            "value": shorten(dict(document)),
            "expected": "a search that finds exactly one entity",
        },
    )
