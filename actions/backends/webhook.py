"""WEBHOOK: a signed call of an address, from here or from an agent inside another network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from actions.backends.base import FIELD, FLAG, MethodBackend, is_true, text_of
from actions.backends.calling import Answer, Call, send
from actions.models import Run
from actions.registry import Invocation, Outcome
from actions.services import signing, templating
from actions.services.handing_over import AGENT
from actions.services.json_of_javascript import stringify
from catalog.kernel.errors import InvalidInput
from catalog.kernel.http import check_address

METHODS: Final = ("POST", "PUT", "PATCH", "DELETE", "GET")
_OPEN: Final = re.compile(r"\{\{|<")  # addresses of guides have <places> for others to fill
_FORM: Final = "application/x-www-form-urlencoded"


class Webhook(MethodBackend):
    type = "WEBHOOK"
    title = "Webhook"
    description = "Calls an address, which does the work and reports back"
    icon = "Webhook"
    schema: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "type": {"const": "WEBHOOK"},
            "url": {
                "type": "string",
                "minLength": 1,
                "title": "Address",
                "description": "Where to call, such as https://ci.example.com/deploy. "
                "{{ JQ }} is filled in.",
            },
            "method": {"enum": [*METHODS, None], "title": "Method", "default": "POST"},
            "headers": {
                "type": ["object", "null"],
                "title": "Headers",
                "description": "Secrets are written {{ .secrets.NAME }}.",
                "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
            },
            "body": {
                "type": ["object", "array", "string", "null"],
                "title": "Body",
                "description": "Sent as JSON. Without one, all that is known of the run is sent.",
            },
            "synchronized": {
                **FLAG,
                "title": "Wait for the answer",
                "description": "The status of the answer ends the run, and the answer is kept. "
                "Otherwise whoever was called reports the end.",
                "default": False,
            },
            "agent": {
                **FLAG,
                "title": "Through an agent",
                "description": "An agent inside your network fetches the run and calls for it.",
                "default": False,
            },
        },
        "required": ["type", "url"],
    }

    def check(self, method: Mapping[str, Any]) -> None:
        super().check(method)
        url = method["url"].strip()
        is_whole = "://" in url and not _OPEN.search(url)
        if is_whole and method.get("agent") in (None, False):
            check_address(url, f"{FIELD}.url")

    def agent_of(self, payload: Mapping[str, Any]) -> str:
        return AGENT if is_true(payload.get("agent")) else ""

    def completed(
        self, run: Run, payload: Mapping[str, Any], context: Mapping[str, Any]
    ) -> dict[str, Any]:
        """With the standard message, where the method has no body of its own."""
        if payload.get("body") is not None or _method(payload) == "GET":
            return dict(payload)
        return {**payload, "body": templating.standard_message(run, context)}

    def invoke(self, invocation: Invocation) -> Outcome:
        payload = invocation.payload
        answer = send(call_of(payload, key=invocation.run.identifier), invocation)
        return _outcome(answer, is_true(payload.get("synchronized")), invocation)


def call_of(payload: Mapping[str, Any], *, key: str) -> Call:
    """The signed call that a filled in method stands for. key: the same for each attempt.

    Raises InvalidInput, SealingFailed.
    """
    headers = _headers(payload)
    content = _content(payload.get("body"), headers)
    return Call(
        method=_method(payload),
        url=text_of(payload, "url"),
        headers={
            "idempotency-key": key,
            **headers,
            **_lowered(signing.headers_for(content)),
        },
        content=content,
    )


def _outcome(answer: Answer, is_synchronized: bool, invocation: Invocation) -> Outcome:
    if not answer.is_good:
        return Outcome(status="FAILURE", summary=answer.words, response=answer.body)
    if is_synchronized:
        return Outcome(status="SUCCESS", summary=answer.words, response=answer.body)
    invocation.log(f"{answer.words}. Whoever was called reports the end.")
    return Outcome()


def _method(payload: Mapping[str, Any]) -> str:
    method = str(payload.get("method") or "POST").strip().upper()
    if method not in METHODS:
        raise InvalidInput.of(f"{FIELD}.method", method, f"one of {', '.join(METHODS)}")
    return method


def _headers(payload: Mapping[str, Any]) -> dict[str, str]:
    """By lower-case name; those that were filled in with nothing are left out."""
    given = payload.get("headers") or {}
    if not isinstance(given, Mapping):
        raise InvalidInput(
            f"{FIELD}.headers is no object",  # which may hold secrets
            details={"field": f"{FIELD}.headers", "expected": "an object of texts"},
        )
    return {
        str(name).strip().lower(): value if isinstance(value, str) else stringify(value)
        for name, value in given.items()
        if value is not None
    }


def _content(body: Any, headers: dict[str, str]) -> bytes:
    """The bytes to send; says in `headers` what they are."""
    if body is None:
        return b""
    if isinstance(body, str):
        headers.setdefault("content-type", "text/plain; charset=utf-8")
        return body.encode(errors="replace")
    if headers.get("content-type", "").startswith(_FORM) and isinstance(body, Mapping):
        pairs = {
            name: value if isinstance(value, str) else stringify(value)
            for name, value in body.items()
            if value is not None
        }
        return urlencode(pairs).encode()
    headers.setdefault("content-type", "application/json")
    return stringify(body).encode()


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
