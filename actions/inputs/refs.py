"""Entities that templates name by reference (`component:default/x`): found, and looked up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from actions.inputs.definition import Pick
from catalog.dialects.backstage.documents import ref_of_entity
from catalog.dialects.backstage.projection import ensure_current
from catalog.dialects.backstage.queries.cursors import Cursor, SortField
from catalog.dialects.backstage.queries.predicates import Predicate
from catalog.dialects.backstage.queries.selection import pks_by_ref, query_entities
from catalog.dialects.backstage.refs import RefError, parse_ref
from catalog.kernel.actors import Principal
from catalog.models import TEAM, EntityDocument
from catalog.selectors.teams import teams_of

LIMIT: Final = 20
_NOBODY: Final[Predicate] = {"$any": []}


@dataclass(frozen=True, slots=True)
class RefChoice:
    """value: as the field yields it. title, kind: for people."""

    value: str
    title: str
    kind: str


def find_refs(
    pick: Pick, principal: Principal, text: str, *, limit: int = LIMIT
) -> list[RefChoice]:
    """Entities that may be picked, by name, whose name or title has `text` in it."""
    ensure_current()
    cursor = Cursor(
        query=predicate_of(pick, principal),
        order=SortField("metadata.name"),
        term=text,
        term_fields=("metadata.name", "metadata.title", "spec.profile.displayName"),
    )
    pks = query_entities(principal, cursor, limit=limit, with_total=False).pks
    found = {one.pk: one for one in EntityDocument.objects.filter(pk__in=pks)}
    # full references, whatever might be left out: every step of a template understands them
    return [
        RefChoice(found[pk].ref, _title(found[pk]), found[pk].kind) for pk in pks if pk in found
    ]


def titles_of_refs(refs: Iterable[str], pick: Pick, principal: Principal) -> dict[str, str]:
    """What the entities of these values are called, as far as they may be picked."""
    full = {one: ref for one in refs if (ref := full_ref(one, pick))}
    if not full:
        return {}
    ensure_current()
    pks = pks_by_ref(principal, full.values(), predicate_of(pick, principal))
    documents = {one.ref: one for one in EntityDocument.objects.filter(pk__in=pks.values())}
    return {one: _title(documents[ref]) for one, ref in full.items() if ref in documents}


def full_ref(value: str, pick: Pick) -> str | None:
    """The canonical form of a value that may leave out what is usual; None: it is no reference."""
    try:
        ref = parse_ref(
            value,
            default_kind=pick.default_kind or None,
            default_namespace=pick.default_namespace or "default",
        )
    except RefError:
        return None
    return str(ref)


def predicate_of(pick: Pick, principal: Principal) -> Predicate | None:
    parts: list[Predicate] = []
    if pick.filters:
        parts.append({"$any": [_filter(one) for one in pick.filters]})
    if pick.is_owned or pick.is_mine:
        teams = [ref_of_entity(TEAM, one) for one in teams_of(getattr(principal, "email", ""))]
        if pick.is_mine:
            parts.append({"$any": [_is(one) for one in teams]} if teams else _NOBODY)
        else:
            parts.append({"relations.ownedBy": {"$in": teams}} if teams else _NOBODY)
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"$all": parts}


def _filter(wanted: Any) -> Predicate:
    return {
        key: {"$in": list(values)} if values else {"$exists": True}
        for key, values in wanted.items()
    }


def _is(ref: str) -> Predicate:
    one = parse_ref(ref)
    return {"kind": one.kind, "metadata.namespace": one.namespace, "metadata.name": one.name}


def _title(document: EntityDocument) -> str:
    metadata = document.document["metadata"]
    profile = (document.document.get("spec") or {}).get("profile")
    shown = profile.get("displayName") if isinstance(profile, dict) else None
    title: str = metadata.get("title") or shown or metadata["name"]
    return title


def missing_refs(values: Sequence[str], pick: Pick, principal: Principal) -> list[str]:
    """Those of `values` that may not be picked."""
    known = titles_of_refs(values, pick, principal)
    return [one for one in values if one not in known]
