"""Trying an action out: everything is done but the call itself, which is shown instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actions.registry import Invocation, Outcome
from actions.services import signing
from actions.services.json_of_javascript import stringify


class Echo:
    """Answers with what it was sent, as a receiver would get it."""

    def invoke(self, invocation: Invocation) -> Outcome:
        payload = invocation.payload
        body = payload.get("body", payload)
        content = stringify(body).encode()
        headers: Mapping[str, Any] = payload.get("headers") or {}
        signed = {**headers, **signing.headers_for(content)}
        invocation.record(
            method=str(payload.get("method") or "POST"),
            url=str(payload.get("url") or ""),
            request_headers=signed,
            request_body=content.decode(),
            status_code=200,
        )
        invocation.log("This was a trial: nothing was called.")
        return Outcome(status="SUCCESS", summary="A trial: nothing was called.", response=body)
