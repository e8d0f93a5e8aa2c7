"""How one entity would do on a scorecard that is not saved, in the words of its rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from catalog.models import Blueprint, Entity
from scorecards.models import Score, Scorecard
from scorecards.selectors.results import Explained, assemble
from scorecards.services.drafting import Draft
from scorecards.services.previewing import try_on


def explain_draft(
    draft: Draft,
    entity: Entity,
    *,
    stored: Scorecard | None = None,
    properties: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Explained | None:
    """How it would do if these properties and facts of it were different; None where the scorecard
    is not about it. Nothing is stored. Raises InvalidEntity, InvalidInput.
    """
    tried = try_on(draft.definition, entity, current=stored, properties=properties, facts=facts)
    if tried.statuses is None:
        return None
    now = timezone.now()
    score = Score(
        scorecard=stored or _unsaved(draft),
        entity=entity,
        statuses=tried.statuses,
        rank=tried.rank,
        level=tried.level,
        points=tried.points,
        total=tried.total,
        evidence=tried.evidence,
        evaluated_at=now,
        data_as_of=now,
        since=now,
    )
    return assemble(tried.compiled, score)


def _unsaved(draft: Draft) -> Scorecard:
    said = draft.definition
    about = Blueprint.objects.filter(identifier=said.blueprint).first() if said.blueprint else None
    return Scorecard(identifier=said.identifier, title=said.title, blueprint=about)
