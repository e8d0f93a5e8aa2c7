"""The tab "Facts" of an entity: what tools found out about it, and its metrics."""

from __future__ import annotations

from typing import Final

from catalog.models import Entity
from catalog.portal import values
from catalog.portal.entity_tabs import Context, Tab
from catalog.portal.shell import PortalRequest
from catalog.selectors.aggregate import plain
from catalog.selectors.facts import facts_of, is_told_of, series_of
from catalog.selectors.kinds import Kind


def is_shown(entity: Entity, _kind: Kind) -> bool:
    return is_told_of(entity.pk)


def context(_request: PortalRequest, entity: Entity, _kind: Kind) -> Context:
    return {
        "facts": [(fact, values.full(fact.value)) for fact in facts_of(entity.pk)],
        "metrics": [(one, values.cell(plain(one.value))) for one in series_of(entity.pk)],
    }


TAB: Final = Tab(
    name="facts",
    title="Facts",
    template="catalog/entity/facts.html",
    is_shown=is_shown,
    context=context,
)
