"""Types of runs that no worker here does: INTEGRATION_ACTION, which an integration fetches, and
KAFKA, which nobody does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actions.backends.base import FIELD, TEXT, MethodBackend, text_of
from actions.registry import Invocation, Outcome
from catalog.kernel.errors import Conflict


class IntegrationAction(MethodBackend):
    type = "INTEGRATION_ACTION"
    title = "Integration"
    description = "An integration that runs elsewhere fetches the run and does it"
    icon = "Link"
    schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "type": {"const": "INTEGRATION_ACTION"},
            "installationId": {
                **TEXT,
                "title": "Integration",
                "description": "The identifier under which it fetches its runs.",
            },
            "integrationActionType": {
                **TEXT,
                "title": "What it is to do",
                "description": "In the integration's own words, such as dispatch_workflow.",
            },
            "integrationActionExecutionProperties": {
                "type": ["object", "string", "null"],
                "title": "With what",
                "description": "What the integration wants to know. {{ JQ }} is filled in.",
            },
        },
        "required": ["type", "installationId", "integrationActionType"],
    }

    def agent_of(self, payload: Mapping[str, Any]) -> str:
        return text_of(payload, "installationId")

    def invoke(self, invocation: Invocation) -> Outcome:
        raise Conflict(f"Only the integration {invocation.payload['installationId']} can do this")


class Kafka(MethodBackend):
    """Kept, since actions come from elsewhere with it; their runs say what to do."""

    type = "KAFKA"
    title = "Kafka"
    description = "Not done here: runs fail and say what to use instead"
    icon = "Kafka"
    schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "type": {"const": "KAFKA"},
            "payload": {"type": ["object", "array", "string", "null"], "title": "Message"},
        },
        "required": ["type"],
    }

    def invoke(self, invocation: Invocation) -> Outcome:
        raise Conflict(
            "Runs are not sent to Kafka from here",
            hint="Let the action call a WEBHOOK; with agent: true an agent in your network fetches "
            "its runs, as one would read them from the topic.",
            details={"field": f"{FIELD}.type", "value": "KAFKA", "expected": "WEBHOOK"},
        )
