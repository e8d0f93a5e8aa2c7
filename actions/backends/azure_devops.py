"""AZURE_DEVOPS: the incoming webhook of a pipeline is called, signed as Azure wants it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from actions.backends.base import TEXT, MethodBackend, text_of
from actions.backends.calling import Call, send
from actions.models import Run
from actions.registry import Invocation, Outcome
from actions.services import signing, templating
from actions.services.json_of_javascript import stringify

CLOUD: Final = "https://dev.azure.com"


class AzureDevOps(MethodBackend):
    type = "AZURE_DEVOPS"
    title = "Azure DevOps"
    description = "Calls the incoming webhook of an Azure pipeline, which reports back"
    icon = "Azure"
    schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "type": {"enum": ["AZURE_DEVOPS", "AZURE-DEVOPS"]},
            "org": {
                **TEXT,
                "title": "Organisation",
                "description": "Its name, or the address of a collection on a server of your own.",
            },
            "webhook": {
                **TEXT,
                "title": "Webhook",
                "description": "The name that the pipeline's resource has.",
            },
            "payload": {
                "type": ["object", "array", "string", "null"],
                "title": "Body",
                "description": "Sent as JSON. Without one, all that is known of the run is sent.",
            },
        },
        "required": ["type", "org", "webhook"],
    }

    def completed(
        self, run: Run, payload: Mapping[str, Any], context: Mapping[str, Any]
    ) -> dict[str, Any]:
        if payload.get("payload") is not None:
            return dict(payload)
        return {**payload, "payload": templating.standard_message(run, context)}

    def invoke(self, invocation: Invocation) -> Outcome:
        payload = invocation.payload
        content = stringify(payload["payload"]).encode()
        headers = {
            "content-type": "application/json",
            "idempotency-key": invocation.run.identifier,
            "x-port-signature": signing.sha1_of(content),
        }
        answer = send(Call("POST", _address(payload), headers, content), invocation)
        if not answer.is_good:
            return Outcome(status="FAILURE", summary=answer.words, response=answer.body)
        invocation.log(f"{answer.words}. The pipeline reports the end.")
        return Outcome()


class AzureDevOpsWithDash(AzureDevOps):
    """The same, as some clients of Port spell it."""

    type = "AZURE-DEVOPS"


def _address(payload: Mapping[str, Any]) -> str:
    org = text_of(payload, "org")
    base = org.rstrip("/") if "://" in org else f"{CLOUD}/{quote(org, safe='')}"
    hook = quote(text_of(payload, "webhook"), safe="")
    return f"{base}/_apis/public/distributedtask/webhooks/{hook}?api-version=6.0-preview"
