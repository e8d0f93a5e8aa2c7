"""Entities by what Cortex calls them: a tag, `blueprint:identifier`, or the id it made.

A tag is the identifier of an entity of any blueprint but those of the system; teams are among them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import regex
from django.db.models import Q

from catalog.kernel.actors import Principal
from catalog.kernel.errors import NotFound
from catalog.kernel.identifiers import is_storable
from catalog.models import TEAM, Entity
from scorecards.models import Score, Scorecard

# Where several blueprints have an entity of this identifier: these first, then by name, then teams.
_PREFERRED: Final = ("service", "component")
_ID: Final = regex.compile("en([0-9a-f]{16})")
_MAX_PK: Final = 2**63 - 1


def id_of(entity: Entity) -> str:
    """The 18 characters that Cortex calls an entity by."""
    return f"en{entity.pk:016x}"


def type_of(entity: Entity) -> str:
    """What Cortex calls its kind; needs `blueprint` loaded."""
    kind = entity.blueprint.identifier
    return "team" if kind == TEAM else kind


def find_entity(tag: str, principal: Principal, *, scorecard: Scorecard | None = None) -> Entity:
    """See `find_entities`. Raises NotFound."""
    found = find_entities([tag], principal, scorecard=scorecard)
    if tag not in found:
        raise NotFound.of("Entity", tag, field="tag")
    return found[tag]


def find_entities(
    tags: Collection[str], principal: Principal, *, scorecard: Scorecard | None = None
) -> dict[str, Entity]:
    """Those there are of these, `blueprint` loaded; at most two statements.

    scorecard: where several blueprints have an entity of this identifier, one that this scorecard
    is about is meant first.
    """
    wanted = {tag for tag in tags if is_storable(tag)}
    names = wanted | {tag.partition(":")[2] for tag in wanted if ":" in tag}
    pks = {pk for tag in wanted if (pk := _pk(tag))}
    found = list(
        Entity.objects.visible_to(principal)
        .filter(Q(identifier__in=names) | Q(pk__in=pks))
        .filter(~Q(blueprint__identifier__startswith="_") | Q(blueprint__identifier=TEAM))
        .select_related("blueprint")
    )
    scored: set[int] = set()
    if scorecard is not None and len(found) > len(wanted):
        scores = Score.objects.filter(scorecard=scorecard, entity__in=[one.pk for one in found])
        scored = set(scores.values_list("entity_id", flat=True))
    found.sort(key=lambda one: (one.pk not in scored, *_precedence(one)))
    by_name: dict[str, Entity] = {}
    for one in found:
        by_name.setdefault(one.identifier, one)
    for one in found:
        by_name.setdefault(one.ref, one)
        by_name.setdefault(f"{type_of(one)}:{one.identifier}", one)
        by_name.setdefault(id_of(one), one)
    return {tag: by_name[tag] for tag in wanted if tag in by_name}


def _precedence(entity: Entity) -> tuple[int, str]:
    kind = entity.blueprint.identifier
    if kind in _PREFERRED:
        return _PREFERRED.index(kind), ""
    return len(_PREFERRED) + (kind == TEAM), kind


def _pk(tag: str) -> int | None:
    match = _ID.fullmatch(tag)
    pk = int(match.group(1), 16) if match else 0
    return pk if 0 < pk <= _MAX_PK else None
