"""What forms pick from the catalogue: looked up, filtered by datasets, and told to JQ and payloads.

Whoever fills in the form sees here what they may see anywhere else: permission is in the queries.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from django.db.models import Q
from django.db.models.fields.json import KT
from django.db.models.functions import Lower

from actions.inputs.definition import Definition, Field
from catalog.kernel.actors import Principal
from catalog.kernel.errors import InvalidQuery
from catalog.kernel.identifiers import is_storable
from catalog.models import TEAM, USER, Entity, EntityQuerySet
from catalog.selectors.documents import documents
from catalog.selectors.search import Scope, search
from catalog.selectors.search.rules import parse
from catalog.selectors.teams import people

Documents = Mapping[tuple[str, str], Mapping[str, Any]]
NONE_FIT: Final[Mapping[str, Any]] = {
    "combinator": "and",
    "rules": [{"property": "$identifier", "operator": "in", "value": []}],
}


def expanded(
    definition: Definition, values: Mapping[str, Any], principal: Principal | None
) -> dict[str, Any]:
    """`values` with each picked entity as its document, as `.form` and `.inputs` show it.

    One that is not there, or that `principal` may not see, is {"identifier"} alone. Two statements,
    however many there are; none where nothing is picked.
    """
    definition = definition.now(values)
    known = documents_of(picked(definition, values), principal)
    return with_documents(definition, values, known)


def picked(definition: Definition, values: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(blueprint, identifier) of every entity that `values` name."""
    return {
        (field.blueprint, identifier)
        for name, field in definition.fields.items()
        if is_entity(field)
        for identifier in names_in(values.get(name))
    }


def documents_of(wanted: Iterable[tuple[str, str]], principal: Principal | None) -> Documents:
    """The documents of these entities as far as `principal` may see them.

    People go by their e-mail address, too, which is what `.user.email` gives.
    """
    by_blueprint: dict[str, list[str]] = {}
    for blueprint, identifier in wanted:
        if is_storable(identifier):
            by_blueprint.setdefault(blueprint, []).append(identifier)
    if not by_blueprint or principal is None:
        return {}
    condition = Q()
    for blueprint, identifiers in by_blueprint.items():
        condition |= Q(blueprint__identifier=blueprint, identifier__in=identifiers)
    visible = Entity.objects.visible_to(principal)
    addresses = {one: one.lower() for one in by_blueprint.get(USER, ()) if "@" in one}
    if addresses:
        visible = visible.alias(lower_email=Lower(KT("properties__email")))
        condition |= Q(
            blueprint__identifier=USER,
            properties__has_key="email",
            lower_email__in=set(addresses.values()),
        )
    pks = visible.filter(condition).order_by("-identifier").values_list("pk", flat=True)
    found = [orjson.loads(one) for one in documents(list(pks))]
    by_address = {
        str(one["properties"].get("email")).lower(): one
        for one in found
        if one["blueprint"] == USER
    }
    named = {
        (USER, name): by_address[address]
        for name, address in addresses.items()
        if address in by_address
    }
    return named | {(one["blueprint"], one["identifier"]): one for one in found}


def with_documents(
    definition: Definition, values: Mapping[str, Any], known: Documents
) -> dict[str, Any]:
    def shown(field: Field, value: Any) -> Any:
        if isinstance(value, list):
            return [shown(field, one) for one in value]
        if not isinstance(value, str) or not value:
            return value
        return known.get((field.blueprint, value)) or {"identifier": value}

    return {
        name: shown(definition.fields[name], value)
        if name in definition.fields and is_entity(definition.fields[name])
        else value
        for name, value in values.items()
    }


def is_entity(field: Field) -> bool:
    return field.one.pick is not None and field.one.pick.kind == "entity"


def names_in(value: Any) -> list[str]:
    """The names in a value, whether it is one or a list."""
    return [
        one
        for one in (value if isinstance(value, list) else [value])
        if isinstance(one, str) and one
    ]


def query_for(
    blueprint: str, dataset: Mapping[str, Any] | None, identifiers: Sequence[str] | None = None
) -> dict[str, Any]:
    """The search that finds what may be picked; among `identifiers`, where they are given."""
    rules: list[Any] = [{"property": "$blueprint", "operator": "=", "value": blueprint}]
    if identifiers is not None:
        rules.append({"property": "$identifier", "operator": "in", "value": list(identifiers)})
    if dataset is not None:
        rules.append(dataset)
    return {"combinator": "and", "rules": rules}


def ready_dataset(dataset: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """A dataset whose JQ is worked out, as the search takes it; and what is wrong with it.

    A picked entity stands for its identifier. A rule whose operator cannot compare with null, which
    is what JQ gives for an input that is still empty, finds nothing yet.
    """
    plain = _plain(dataset)
    try:
        parse(plain, path="dataset")
    except InvalidQuery as error:
        return NONE_FIT, "" if _has_null(plain) else error.message
    return plain, ""


def fitting(
    scope: Scope, blueprint: str, dataset: Mapping[str, Any], identifiers: Sequence[str]
) -> set[str]:
    """Those of `identifiers` that are in the dataset and may be seen. Raises InvalidQuery."""
    storable = [one for one in identifiers if is_storable(one)]
    found = search(query_for(blueprint, dataset, storable), principal=scope.principal, scope=scope)
    return set(found.values_list("identifier", flat=True))


def known_users(emails: Sequence[str], principal: Principal) -> set[str]:
    """Those of `emails` (in small letters) that belong to a `_user`; one statement."""
    found = people(*filter(is_storable, emails)).visible_to(principal)
    rows = found.values_list("identifier", "properties__email")
    return {str(one).lower() for row in rows for one in row if one}


def known_teams(names: Sequence[str], principal: Principal) -> dict[str, str]:
    """Identifiers of those teams that go by these identifiers or titles; one statement."""
    storable = [one for one in names if is_storable(one)]
    found: EntityQuerySet = Entity.objects.visible_to(principal).filter(
        Q(identifier__in=storable) | Q(title__in=storable), blueprint__identifier=TEAM
    )
    rows = list(found.values_list("identifier", "title"))
    # an identifier wins over a title that is the same
    return {title: name for name, title in rows if title} | {name: name for name, _ in rows}


def _plain(part: Any) -> Any:
    if isinstance(part, Mapping):
        return {
            key: identifiers_in(one) if key == "value" else _plain(one) for key, one in part.items()
        }
    return [_plain(one) for one in part] if isinstance(part, list) else part


def identifiers_in(value: Any) -> Any:
    """`value` with the identifiers of entities in the place of their documents."""
    if isinstance(value, Mapping) and isinstance(value.get("identifier"), str):
        return value["identifier"]
    return [identifiers_in(one) for one in value] if isinstance(value, list) else value


def _has_null(part: Any) -> bool:
    if isinstance(part, Mapping):
        return ("value" in part and part["value"] is None) or any(map(_has_null, part.values()))
    return isinstance(part, list) and any(one is None or _has_null(one) for one in part)
