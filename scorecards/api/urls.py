"""Addresses under /v1."""

from django.urls import path

import catalog.kernel.segments  # noqa: F401 - registers <segment:…>
from scorecards.api import (
    exemptions,
    history,
    initiatives,
    preview,
    results,
    rules,
    scorecards,
    versions,
)

_OF_BLUEPRINT = "blueprints/<segment:blueprint>/scorecards"
_ONE = "scorecards/<segment:scorecard>"
_INITIATIVE = "initiatives/<segment:initiative>"

urlpatterns = [
    path("scorecards", scorecards.ScorecardList.as_view()),
    path("scorecards/validate", scorecards.ScorecardValidation.as_view()),
    path("scorecards/preview", preview.ScorecardPreview.as_view()),
    path("scorecards/preview/entity", preview.EntityPreview.as_view()),
    path(_ONE, scorecards.ScorecardDetail.as_view()),
    path(f"{_ONE}/descriptor", scorecards.ScorecardDescriptor.as_view()),
    path(f"{_ONE}/versions", versions.ScorecardVersions.as_view()),
    path(f"{_ONE}/versions/<segment:version>", versions.ScorecardVersionDetail.as_view()),
    path(f"{_ONE}/versions/<segment:version>/restore", versions.ScorecardRestore.as_view()),
    path(_OF_BLUEPRINT, scorecards.BlueprintScorecards.as_view()),
    path(f"{_OF_BLUEPRINT}/<segment:scorecard>", scorecards.BlueprintScorecardDetail.as_view()),
    path(f"{_ONE}/exemptions", exemptions.ExemptionList.as_view()),
    path("exemptions/<segment:exemption>", exemptions.ExemptionDetail.as_view()),
    path("exemptions/<segment:exemption>/approve", exemptions.ExemptionApproval.as_view()),
    path("exemptions/<segment:exemption>/deny", exemptions.ExemptionDenial.as_view()),
    path("exemptions/<segment:exemption>/revoke", exemptions.ExemptionRevocation.as_view()),
    path("initiatives", initiatives.InitiativeList.as_view()),
    path(_INITIATIVE, initiatives.InitiativeDetail.as_view()),
    path(f"{_INITIATIVE}/start", initiatives.InitiativeStart.as_view()),
    path(f"{_INITIATIVE}/end", initiatives.InitiativeEnd.as_view()),
    path(f"{_INITIATIVE}/cancel", initiatives.InitiativeCancellation.as_view()),
    path(f"{_INITIATIVE}/items", initiatives.InitiativeItems.as_view()),
    path(f"{_INITIATIVE}/burndown", initiatives.InitiativeBurndown.as_view()),
    path(f"{_ONE}/results", results.ResultList.as_view()),
    path(f"{_ONE}/history", history.EntityHistory.as_view()),
    path(f"{_ONE}/trend", history.Trend.as_view()),
    path(f"{_ONE}/changes", history.ChangeList.as_view()),
    path(f"{_ONE}/rules", rules.RuleList.as_view()),
    path(f"{_ONE}/evaluate", results.EvaluateNow.as_view()),
    path(
        f"{_ONE}/badge/<segment:blueprint>/<segment:entity>",
        results.EntityBadge.as_view(),
    ),
    path(
        "blueprints/<segment:blueprint>/entities/<segment:entity>/scorecards",
        results.EntityScorecards.as_view(),
    ),
]
