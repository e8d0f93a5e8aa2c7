"""Addresses under /api/v1. Fixed words come before tags."""

from __future__ import annotations

from django.urls import URLPattern, path

import catalog.kernel.segments  # noqa: F401 - registers <segment:…>
from scorecards.api.cortex import (
    custom_data,
    exemptions,
    initiatives,
    metrics,
    queries,
    scorecards,
)

_CARD = "scorecards/<segment:scorecard>"
_ENTITY = f"{_CARD}/entity/<segment:entity>"
_EXEMPTION = f"{_ENTITY}/exemption"
_DATA = "catalog/<segment:entity>/custom-data"
_METRIC = "eng-intel/custom-metrics/<segment:metric>/entity/<segment:entity>"

urlpatterns: list[URLPattern] = [
    # scorecards
    path("scorecards", scorecards.ScorecardList.as_view()),
    path("scorecards/descriptor", scorecards.Descriptor.as_view()),
    path(_CARD, scorecards.ScorecardDetail.as_view()),
    path(f"{_CARD}/descriptor", scorecards.ScorecardDescriptor.as_view()),
    path(f"{_CARD}/scores", scorecards.Scores.as_view()),
    path(f"{_CARD}/next-steps", scorecards.NextSteps.as_view()),
    path(f"{_ENTITY}/badge", scorecards.Badge.as_view()),
    path(f"{_ENTITY}/scores", scorecards.EntityScore.as_view()),
    path("catalog/<segment:entity>/scorecards", scorecards.EntityScorecards.as_view()),
    # exemptions
    path(_EXEMPTION, exemptions.ExemptionRequest.as_view()),
    path(f"{_EXEMPTION}/approve", exemptions.ExemptionApproval.as_view()),
    path(f"{_EXEMPTION}/deny", exemptions.ExemptionDenial.as_view()),
    path(f"{_EXEMPTION}/revoke", exemptions.ExemptionRevocation.as_view()),
    # initiatives
    path("initiatives", initiatives.InitiativeList.as_view()),
    path("initiatives/<segment:initiative>", initiatives.InitiativeDetail.as_view()),
    # queries
    path("queries", queries.QueryList.as_view()),
    path("queries/<segment:job>", queries.QueryDetail.as_view()),
    # custom data
    path("catalog/custom-data", custom_data.CustomData.as_view()),
    path(_DATA, custom_data.EntityData.as_view()),
    path(f"{_DATA}/<segment:fact>", custom_data.EntityDataByKey.as_view()),
    # metrics
    path(_METRIC, metrics.MetricPoints.as_view()),
    path(f"{_METRIC}/bulk", metrics.MetricPointsInBulk.as_view()),
]
