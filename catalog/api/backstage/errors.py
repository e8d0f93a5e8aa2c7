"""Refusals in Backstage's shape: {"error", "request", "response"}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse

JSON = "application/json; charset=utf-8"
PREFIXES = (
    "/api/catalog/",
    "/api/search/",
    "/api/techdocs/",
    "/api/proxy/",
    "/api/notifications/",
    "/api/scaffolder/",
)

_NAMES = {
    400: "InputError",
    401: "AuthenticationError",
    403: "NotAllowedError",
    404: "NotFoundError",
    405: "MethodNotAllowedError",
    409: "ConflictError",
    413: "PayloadTooLargeError",
    415: "UnsupportedMediaTypeError",
    429: "TooManyRequestsError",
    501: "NotImplementedError",
    502: "UpstreamError",
    503: "ServiceUnavailableError",
}
_INPUT, _WRONG_VALUE, _FAILED = 400, 422, 500  # its clients know no 422


def refusal(
    request: HttpRequest,
    status: int,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
    trace_id: str = "",
) -> HttpResponse:
    """The answer to `request` for an error of this status.

    A status without a name of Backstage's is a failure of ours, told by nothing but `trace_id`.
    """
    status = _INPUT if status == _WRONG_VALUE else status
    if status not in _NAMES:
        status, message = _FAILED, f"An internal error occurred logId={trace_id}"
    body = {
        "error": {"name": _NAMES.get(status, "InternalServerError"), "message": message},
        "request": {"method": request.method, "url": url_below(request)},
        "response": {"statusCode": status},
    }
    return HttpResponse(
        orjson.dumps(body), status=status, content_type=JSON, headers=dict(headers or {})
    )


def url_below(request: HttpRequest) -> str:
    """Path and query as they were sent, without the `/api/<plugin>` in front."""
    meta: Mapping[str, Any] = request.META
    target: str = meta.get("RAW_URI") or meta.get("REQUEST_URI") or ""
    if target.startswith(("http://", "https://")):
        target = "/" + target.partition("://")[2].partition("/")[2]
    if not target:
        query = meta.get("QUERY_STRING", "")
        target = request.path_info + (f"?{query}" if query else "")
    target = target.removeprefix(meta.get("SCRIPT_NAME", ""))
    for prefix in PREFIXES:
        if target.startswith(prefix):
            return target[len(prefix) - 1 :]
    return target
