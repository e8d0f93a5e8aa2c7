"""Addresses under /v1. Those of runs come before actions, which may have any name."""

from django.urls import path

import catalog.kernel.segments  # noqa: F401 - registers <segment:…>
from actions.api import actions, claims, firings, run_results, runs, workflows

_ONE = "actions/<segment:action>"
_RUN = "actions/runs/<segment:run>"
_OF_BLUEPRINT = "blueprints/<segment:blueprint>"

urlpatterns = [
    path("actions", actions.ActionList.as_view()),
    path("actions/import", actions.ActionImport.as_view()),
    path("actions/export", actions.ActionExport.as_view()),
    path("actions/runs", runs.RunList.as_view()),
    path("actions/runs/claim-pending", claims.ClaimPending.as_view()),
    path("actions/runs/ack", claims.Acknowledge.as_view()),
    path(_RUN, runs.RunDetail.as_view()),
    path(f"{_RUN}/logs", runs.RunLogs.as_view()),
    path(f"{_RUN}/response", runs.RunResponse.as_view()),
    path(f"{_RUN}/approval", runs.RunApproval.as_view()),
    path(f"{_RUN}/approvers", runs.RunApprovers.as_view()),
    path(f"{_RUN}/cancel", runs.RunCancel.as_view()),
    path(f"{_RUN}/repeat", runs.RunRepeat.as_view()),
    path(f"{_RUN}/redeliver", runs.RunRedeliver.as_view()),
    path(f"{_RUN}/deliveries", run_results.RunDeliveries.as_view()),
    path(f"{_RUN}/entities", run_results.RunEntities.as_view()),
    path(f"{_RUN}/files", run_results.RunFiles.as_view()),
    path(f"{_RUN}/files/<segment:name>", run_results.RunFile.as_view()),
    path("workflows/runs/claim-pending", workflows.PendingWorkflowRuns.as_view()),
    path(_ONE, actions.ActionDetail.as_view()),
    path(f"{_ONE}/firings", firings.FiringList.as_view()),
    path(f"{_ONE}/permissions", actions.ActionPermissions.as_view()),
    path(f"{_ONE}/versions", actions.ActionVersions.as_view()),
    path(f"{_ONE}/versions/<segment:version>/restore", actions.ActionRestore.as_view()),
    path(f"{_ONE}/runs", runs.RunStart.as_view()),
    path(f"{_OF_BLUEPRINT}/actions", actions.BlueprintActionList.as_view()),
    path(f"{_OF_BLUEPRINT}/{_ONE}", actions.BlueprintActionDetail.as_view()),
    # addresses of old scripts, which the document leaves out
    path(f"{_OF_BLUEPRINT}/{_ONE}/runs", runs.OldRunStart.as_view()),
    path(
        f"{_OF_BLUEPRINT}/entities/<segment:entity>/{_ONE}/runs",
        runs.OldRunStart.as_view(),
    ),
]
