"""Trying an action out: everything is done but the call itself, which is shown instead."""

from __future__ import annotations

from actions.backends.webhook import Webhook, call_of
from actions.registry import Invocation, Outcome
from actions.services.json_of_javascript import stringify


class Echo:
    """Answers with what it was sent, as a receiver would get it."""

    def invoke(self, invocation: Invocation) -> Outcome:
        payload = invocation.payload
        if payload.get("type") == Webhook.type:
            call = call_of(payload, key=invocation.run.identifier)
            invocation.record(
                method=call.method,
                url=call.url,
                request_headers=call.headers,
                request_body=call.content.decode(),
                status_code=200,
            )
        else:
            invocation.record(method="TRY", request_body=stringify(payload), status_code=200)
        invocation.log("This was a trial: nothing was called.")
        return Outcome(
            status="SUCCESS",
            summary="A trial: nothing was called.",
            response=payload.get("body", payload),
        )
