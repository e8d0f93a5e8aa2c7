"""The results of a scorecard as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_GET

from catalog.kernel.csv_lines import csv_response
from catalog.portal.shell import PortalRequest, portal_view
from scorecards.definition import percentage_of
from scorecards.models import Score
from scorecards.portal.entity_rows import Asked
from scorecards.portal.frame import asked_ladder
from scorecards.portal.words import look_at
from scorecards.selectors.results import Ladder, narrowed, scores_in_order, visible_scores

_BATCH: Final = 2000
_HEADER: Final = (
    *("Identifier", "Title", "Blueprint", "Teams", "Level", "Points", "Of", "Per cent"),
    *("Since", "Data as of"),
)


@portal_view
@require_GET
def results_csv(request: PortalRequest, scorecard: str, blueprint: str = "") -> HttpResponseBase:
    """Every entity that the address asks for, with its status on each rule; streamed."""
    ladder = asked_ladder(request, scorecard, blueprint)
    asked = Asked.read(request.GET, ladder)
    scores = narrowed(visible_scores(ladder.scorecard, request.user), asked.narrowing(ladder))
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in scorecard)
    return csv_response(
        f"{name}-{timezone.now():%Y-%m-%d}",
        [*_HEADER, *(rung.spec.title for rung in ladder.rungs)],
        _lines(ladder, scores_in_order(scores).order_by("rank", "pk")),
    )


def _lines(ladder: Ladder, scores: QuerySet[Score]) -> Iterator[list[str]]:
    for score in scores.iterator(chunk_size=_BATCH):
        entity = score.entity
        percentage = percentage_of(score.points, score.total)
        share = "" if percentage is None else f"{percentage:.1f}"
        yield [
            entity.identifier,
            entity.title or "",
            entity.blueprint.identifier,
            ", ".join(entity.team),
            look_at(ladder.definition, score.rank).title,
            f"{score.points:g}",
            f"{score.total:g}",
            share,
            score.since.isoformat(timespec="seconds"),
            score.data_as_of.isoformat(timespec="seconds"),
            *(status.name for _, status in ladder.statuses(score.statuses)),
        ]
