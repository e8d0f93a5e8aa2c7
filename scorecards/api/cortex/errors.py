"""Refusals in Cortex's shape: {"message", "details", "requestId"}, with "violations" where a value
is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from django.http import HttpResponse

PREFIX: Final = "/api/v1/"

_TEXT: Final = {"type": "string"}
COMPONENTS: Final[dict[str, Any]] = {
    "CortexError": {
        "type": "object",
        "description": "A refusal of the routes that Cortex's clients use.",
        "properties": {
            "message": {**_TEXT, "description": "Such as `Not Found`."},
            "details": {**_TEXT, "description": "What is wrong, for people."},
            "requestId": {**_TEXT, "description": "As the log has it."},
            "violations": {
                "type": "array",
                "description": "Of values that break a rule.",
                "items": {
                    "type": "object",
                    "properties": {
                        "title": _TEXT,
                        "description": _TEXT,
                        "violationType": _TEXT,
                        "pointer": _TEXT,
                        "startLine": {"type": "integer"},
                    },
                    "required": ["title", "description", "violationType", "pointer"],
                },
            },
        },
        "required": ["message", "details", "requestId"],
    },
}

_WRONG_VALUE, _INPUT = 422, 400  # its clients know no 422


def refusal(
    status: int,
    message: str,
    details: Mapping[str, Any],
    *,
    headers: Mapping[str, str] | None = None,
    request_id: str = "",
) -> HttpResponse:
    """The answer for an error of this status. details: as `IdpError` has them."""
    shown = _INPUT if status == _WRONG_VALUE else status
    body: dict[str, Any] = {
        "message": HTTPStatus(shown).phrase,
        "details": message,
        "requestId": request_id,
    }
    if status == _WRONG_VALUE:
        body["violations"] = _violations(message, details)
    return HttpResponse(
        orjson.dumps(body),
        status=shown,
        content_type="application/json",
        headers=dict(headers or {}),
    )


def _violations(message: str, details: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One for each problem that is told by itself, or one for all."""
    problems = details.get("problems")
    if isinstance(problems, list) and len(problems) > 1:
        return [_problem(one) for one in problems]
    return [_violation(message, str(details.get("field") or ""), details)]


def _problem(problem: Any) -> dict[str, Any]:
    if not isinstance(problem, Mapping):
        return _violation(str(problem), "", {})
    path = str(problem.get("path") or problem.get("field") or "")
    message = str(problem.get("message") or "It does not fit")
    return _violation(f"{path}: {message}" if path else message, path, problem)


def _violation(description: str, field: str, details: Mapping[str, Any]) -> dict[str, Any]:
    """field: "rules.0.level", of which the JSON pointer is made."""
    made: dict[str, Any] = {
        "title": f"Wrong value of {field}" if field else "Wrong value",
        "description": description,
        "violationType": "MUST",
        "pointer": _pointer(field),
    }
    if isinstance(line := details.get("line"), int):
        made["startLine"] = line
    return made


def _pointer(field: str) -> str:
    parts = field.split(".") if field else []
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
