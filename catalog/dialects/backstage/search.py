"""Search as Backstage's clients ask for it: documents of four indexes, filtered by their fields.

The indexes are `software-catalog` (entities), `techdocs` (pages of docs), `adr` (those of them that
record a decision) and `api` (what definitions of APIs declare). Each document belongs to an entity,
whose facts most filters speak of.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Final

from django.db.models import F, JSONField, Q, TextField, Value

from catalog.dialects.backstage.documents import entity_ref, kind_of, ref_of_entity
from catalog.dialects.backstage.kinds import BY_LOWER_NAME
from catalog.dialects.backstage.mapping import key_of_ref
from catalog.dialects.backstage.refs import DEFAULT_NAMESPACE, EntityRef, RefError, parse_ref
from catalog.kernel.actors import Principal
from catalog.models import TEAM, USER, Entity
from catalog.selectors.find import Hit, Piece, Source, find
from catalog.selectors.kinds import Kind, load_kinds
from catalog.selectors.sql import Sql

INDEXES: Final[Mapping[str, Source]] = {
    "software-catalog": Source.CATALOG,
    "techdocs": Source.DOCS,
    "adr": Source.DECISIONS,
    "api": Source.API,
}
MAX_TERM: Final = 100
MAX_PAGE_LIMIT: Final = 100
PAGE_LIMIT: Final = 25

_TEXT: Final = 5_000  # characters of a text that an answer holds
_OTHER: Final = "other"  # the type of what has none
_NONE: Final = Q(pk__in=())
_NAMES = {source: name for name, source in INDEXES.items()}


@dataclass(frozen=True, slots=True)
class SearchPage:
    """results: as Backstage answers them. total: on all pages."""

    results: Sequence[dict[str, Any]]
    total: int


def search(
    *,
    principal: Principal,
    term: str,
    indexes: Sequence[str],
    filters: Mapping[str, Sequence[str]],
    limit: int,
    page: int,
) -> SearchPage:
    """A page of documents, best first; page counts from 0. An empty term finds everything.

    filters: any of the values of each field. A document without the field is not found. One
    statement more than `find` takes.
    """
    sources = [INDEXES[name] for name in indexes or INDEXES]
    sources = [source for source in sources if all(name in _FIELDS[source] for name in filters)]
    if not sources:
        return SearchPage((), 0)
    condition = Q()
    for name, values in filters.items():
        condition &= reduce(or_, [_CONDITIONS[name](value) for value in values], _NONE)
    found = find(
        term,
        principal=principal,
        sources=sources,
        conditions=dict.fromkeys(sources, condition) if filters else None,
        limit=limit,
        offset=page * limit,
    )
    facts = _facts({hit.entity_pk for hit in found.hits})
    tag = uuid.uuid4().hex  # nobody can have written it into a text
    results = [
        {
            "type": _NAMES[hit.source],
            "document": _document(hit, facts[hit.entity_pk]),
            "highlight": _highlight(hit, tag),
            "rank": page * limit + number,
        }
        for number, hit in enumerate(found.hits, 1)
        if hit.entity_pk in facts
    ]
    return SearchPage(results, found.total)


# --- documents --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Facts:
    """What documents tell of the entity that they belong to."""

    ref: EntityRef
    title: str
    text: str
    type: str
    lifecycle: str
    owner: str

    @property
    def path(self) -> str:
        return f"{self.ref.namespace}/{self.ref.kind}/{self.ref.name}".lower()

    @property
    def shared(self) -> dict[str, Any]:
        return {
            "namespace": self.ref.namespace,
            "kind": self.ref.kind,
            "lifecycle": self.lifecycle,
            "owner": self.owner,
        }


def _document(hit: Hit, facts: _Facts) -> dict[str, Any]:
    typed = {"type": facts.type, "componentType": facts.type}
    if hit.source is Source.CATALOG:
        return {
            "title": facts.title,
            "text": facts.text,
            "location": f"/catalog/{facts.path}",
            **facts.shared,
            **typed,
        }
    of_part = {**facts.shared, "name": facts.ref.name, "entityTitle": facts.title}
    if hit.source in (Source.DOCS, Source.DECISIONS):
        decided = {"entityRef": str(facts.ref), "status": "", "date": "", **hit.facts}
        return {
            "title": hit.name,
            "text": hit.text[:_TEXT],
            "location": f"/docs/{facts.path}/{hit.url}",
            "path": hit.url,
            **of_part,
            **(decided if hit.source is Source.DECISIONS else {}),
        }
    return {
        "title": hit.name,
        "text": hit.text[:_TEXT],
        "location": f"/catalog/{facts.path}/definition#item-{hit.position}",
        "part": hit.part,
        "isDeprecated": hit.is_deprecated,
        **of_part,
        **typed,
    }


def _highlight(hit: Hit, tag: str) -> dict[str, Any]:
    before, after = f"<{tag}>", f"</{tag}>"

    def tagged(pieces: Sequence[Piece]) -> str:
        return "".join(f"{before}{p.text}{after}" if p.is_match else p.text for p in pieces)

    fields = {"title": tagged(hit.title), "text": tagged(hit.snippet), "location": "", "path": ""}
    return {"preTag": before, "postTag": after, "fields": fields}


def _facts(pks: set[int]) -> dict[int, _Facts]:
    if not pks:
        return {}
    kinds = load_kinds()
    rows: Any = Entity.objects.filter(pk__in=pks)
    rows = rows.values(
        "pk",
        "blueprint_id",
        "identifier",
        "title",
        "team",
        owners=Sql("{} -> 'owner'", F("relations"), output_field=JSONField()),
        type=_property("type"),
        lifecycle=_property("lifecycle"),
        description=_property("description"),
        display_name=_property("displayName"),
        email=_property("email"),
        said_kind=_said("->> 'kind'"),
        said_name=_said("-> 'metadata' ->> 'name'"),
        said_title=_said("-> 'metadata' ->> 'title'"),
    )
    found = {}
    for row in rows:
        kind = kinds.by_pk.get(row["blueprint_id"])
        if kind is not None:
            found[row["pk"]] = _facts_of(kind, row)
    return found


def _facts_of(kind: Kind, row: Mapping[str, Any]) -> _Facts:
    ref = entity_ref(kind.identifier, row["identifier"])
    if (row["said_kind"] or "").lower() == ref.kind.lower():
        ref = EntityRef(row["said_kind"], ref.namespace, ref.name)
    if (row["said_name"] or "").lower() == ref.name.lower():
        ref = EntityRef(ref.kind, ref.namespace, row["said_name"])
    text = [row["description"] or ""]
    is_of_people = kind.identifier in (TEAM, USER)
    if is_of_people:
        text.append(row["display_name"] or row["title"] or "")
    if kind.identifier == USER:
        text.append(row["email"] or "")
    title = row["said_title"] if is_of_people else row["title"]
    return _Facts(
        ref=ref,
        title=title or ref.name,
        text=" : ".join(part for at, part in enumerate(text) if part or not at)[:_TEXT],
        type=row["type"] or _OTHER,
        lifecycle=row["lifecycle"] or "",
        owner=_owner(kind, row["owners"], row["team"]),
    )


def _owner(kind: Kind, stated: Any, team: Sequence[str]) -> str:
    first = stated[0] if isinstance(stated, list) and stated else stated
    if not isinstance(first, str) or not first:
        return ref_of_entity(TEAM, team[0]) if team else ""
    link = kind.links.get("owner")
    if link is not None and link.target is not None:
        return ref_of_entity(link.target, first)
    blueprint, _, identifier = first.partition(":")
    return ref_of_entity(blueprint, identifier)


def _property(name: str) -> Sql:
    """name: a constant of ours."""
    return Sql(
        f"left({{}} ->> '{name}', {_TEXT})", F("properties"), output_field=TextField(null=True)
    )


def _said(path: str) -> Sql:
    """What the descriptor says at a path; path: a constant of ours."""
    return Sql(f"{{}} {path}", F("descriptor"), output_field=TextField(null=True))


# --- filters ----------------------------------------------------------------------------------


def _kind(value: str) -> Q:
    """Of the kind, spelled just so."""
    named = [kind for kind in load_kinds() if kind_of(kind.identifier).lower() == value.lower()]
    spelled = [kind.pk for kind in named if kind_of(kind.identifier) == value]
    foreign = [kind.pk for kind in named if value.lower() not in BY_LOWER_NAME]
    own_spelling = Sql("coalesce({} ->> 'kind' = {}, false)", F("descriptor"), Value(value))
    is_told_otherwise = Sql("coalesce({} ->> 'kind' <> {}, false)", F("descriptor"), Value(value))
    condition = Q(blueprint__in=spelled)
    if foreign:
        condition &= ~Q(is_told_otherwise)
        condition |= Q(blueprint__in=foreign) & Q(own_spelling)
    return condition


def _namespace(value: str) -> Q:
    elsewhere = Q(identifier__regex=r"^[a-z0-9-]+/[^/]+$")
    if value == DEFAULT_NAMESPACE:
        return ~elsewhere
    return Q(identifier__startswith=f"{value}/") & elsewhere


def _name(value: str) -> Q:
    name = value.lower()
    return Q(identifier=name) | Q(identifier__endswith=f"/{name}")


def _type(value: str) -> Q:
    condition = Q(properties__contains={"type": value})
    return condition | ~Q(properties__has_key="type") if value == _OTHER else condition


def _lifecycle(value: str) -> Q:
    return Q(properties__contains={"lifecycle": value})


def _owned_by(value: str) -> Q:
    try:
        ref = parse_ref(value, default_kind="Group", default_namespace=DEFAULT_NAMESPACE)
    except RefError:
        return _NONE
    if str(ref) != value:
        return _NONE  # documents have the whole reference, in lower case
    blueprint, identifier = key_of_ref(ref)
    stated = Q(relations__contains={"owner": f"{blueprint}:{identifier}"})
    if blueprint == TEAM:
        return stated | Q(team__contains=[identifier])
    return stated


_CONDITIONS: Final[Mapping[str, Callable[[str], Q]]] = {
    "kind": _kind,
    "namespace": _namespace,
    "name": _name,
    "type": _type,
    "componentType": _type,
    "lifecycle": _lifecycle,
    "owner": _owned_by,
}
_SHARED = frozenset(["kind", "namespace", "lifecycle", "owner"])
_FIELDS: Final = {
    Source.CATALOG: _SHARED | {"type", "componentType"},
    Source.DOCS: _SHARED | {"name"},
    Source.DECISIONS: _SHARED | {"name"},
    Source.API: _SHARED | {"name", "type", "componentType"},
}
