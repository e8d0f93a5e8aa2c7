"""Addresses under /v1."""

from django.urls import path

import catalog.kernel.segments  # noqa: F401 - registers <segment:…>
from scorecards.api import views

_OF_BLUEPRINT = "blueprints/<segment:blueprint>/scorecards"

urlpatterns = [
    path("scorecards", views.ScorecardList.as_view()),
    path(_OF_BLUEPRINT, views.BlueprintScorecards.as_view()),
    path(f"{_OF_BLUEPRINT}/<segment:scorecard>", views.ScorecardDetail.as_view()),
]
