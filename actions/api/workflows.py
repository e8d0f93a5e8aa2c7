"""/v1/workflows/runs: agents and exporters look there, too, for something to do. There is nothing:
this server has no workflows of several steps.
"""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from actions.api.actions import TAG
from catalog.api import params
from catalog.api.base import ApiView, ok
from catalog.api.openapi import OBJECT, documented, envelope, list_of


class PendingWorkflowRuns(ApiView):
    @documented(
        "claim_pending_workflow_runs",
        "Claim steps of workflows that wait for an exporter",
        tag=TAG,
        body=OBJECT,
        body_is_optional=True,
        answers={200: envelope(nodeRuns=list_of(OBJECT))},
        description="There are none.",
    )
    def post(self, request: Request) -> Response:
        params.body_object(request, may_be_empty=True)
        return ok(nodeRuns=[])
