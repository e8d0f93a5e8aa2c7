"""Errors become answers here: JSON for programs, the framework's pages for people.

The body is `{"ok": false, "error": code, "message": text, "details"?: object}`, with the status
that real clients expect; below `backstage.PREFIXES` it is the one that Backstage's clients know,
below `cortex.PREFIX` the one of Cortex's.
Nothing under an API path ever answers with HTML.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from rest_framework import exceptions as drf

from catalog.api.backstage import errors as backstage
from catalog.kernel.errors import IdpError
from idp.portal import errors as pages
from scorecards.api.cortex import errors as cortex

API_PATHS = ("/v1/", "/schema/", cortex.PREFIX, *backstage.PREFIXES)

# The codes of what the frameworks raise by themselves.
_CODES: dict[type[drf.APIException], str] = {
    drf.NotAuthenticated: "unauthorized",
    drf.AuthenticationFailed: "unauthorized",
    drf.PermissionDenied: "forbidden",
    drf.NotFound: "route_not_found",
    drf.MethodNotAllowed: "method_not_allowed",
    drf.UnsupportedMediaType: "unsupported_media_type",
    drf.Throttled: "too_many_requests",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An error as it goes over the wire."""

    status: int
    code: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def response(self, request: HttpRequest | None = None) -> HttpResponse:
        """As `request` was sent to one API or the other, ours without one."""
        path = request.path_info if request is not None else ""
        request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
        if request is not None and path.startswith(backstage.PREFIXES):
            return backstage.refusal(
                request, self.status, self.message, headers=self.headers, trace_id=request_id
            )
        if path.startswith(cortex.PREFIX):
            return cortex.refusal(
                self.status,
                self.message,
                self.details,
                headers=self.headers,
                request_id=request_id,
            )
        body: dict[str, Any] = {"ok": False, "error": self.code, "message": self.message}
        if self.details:
            body["details"] = self.details
        return HttpResponse(
            orjson.dumps(body),
            status=self.status,
            content_type="application/json",
            headers=self.headers,
        )


ROUTE_NOT_FOUND = Answer(404, "route_not_found", "There is nothing at this address")
_INTERNAL = Answer(500, "internal_error", "The server failed; the log has the reason")


def answer_to(error: BaseException) -> Answer | None:
    """How `error` is told; None when it is a fault of ours that nobody foresaw."""
    match error:
        case IdpError():
            headers = {"WWW-Authenticate": 'Bearer realm="idp"'} if error.status == 401 else {}
            return Answer(error.status, error.code, str(error), error.details, headers)
        case drf.APIException():
            return _framework_answer(error)
        case Http404():
            return ROUTE_NOT_FOUND
        case DjangoPermissionDenied():
            return Answer(403, "forbidden", str(error) or "This is not allowed")
        case RequestDataTooBig():
            return Answer(413, "payload_too_large", str(error))
        case SuspiciousOperation() | UnreadablePostError():
            return Answer(400, "invalid_request", str(error) or "The request is malformed")
        case OperationalError() | InterfaceError():
            # Clients repeat a request after 503, not after 500.
            return Answer(
                503,
                "service_unavailable",
                "The database does not answer",
                headers={"Retry-After": "5"},
            )
    return None


class NulMiddleware:
    """PostgreSQL holds no NUL: where a page hands one on from its query or form, that was a bad
    request. The API looks at its texts itself, and names the one that is wrong.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, DataError) and "NUL (0x00)" in str(error):
            return bad_request(request, error)
        return None


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse:
    """REST framework's hook: every exception of an API view ends here."""
    answer = answer_to(error)
    if answer is None or answer.status >= 500:
        # What listens writes the log: Django does the same for views of its own.
        request = context["request"]
        got_request_exception.send(
            sender=type(context.get("view")), request=getattr(request, "_request", request)
        )
    return (answer or _INTERNAL).response(context["request"])


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_api(request):
        return pages.bad_request(request)
    answer = answer_to(exception) or Answer(400, "invalid_request", "The request is malformed")
    return answer.response(request)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_api(request):
        return pages.permission_denied(request, exception)
    return Answer(403, "forbidden", str(exception) or "This is not allowed").response(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without its token; Django has written `reason` into the log."""
    told = "The form was open for too long, or came from elsewhere. Reload the page and try again."
    return permission_denied(request, DjangoPermissionDenied(told))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not _is_api(request):
        return pages.not_found(request, exception)
    return ROUTE_NOT_FOUND.response(request)


def server_error(request: HttpRequest) -> HttpResponse:
    if not _is_api(request):
        return pages.server_error(request)
    error = sys.exc_info()[1]  # Django calls this while it handles the error
    return ((error and answer_to(error)) or _INTERNAL).response(request)


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith(API_PATHS)


def _framework_answer(error: drf.APIException) -> Answer:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait_s := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait_s))
    code = next((c for kind, c in _CODES.items() if isinstance(error, kind)), "invalid_request")
    detail = error.detail
    return Answer(
        status=error.status_code,
        code=code,
        message=str(detail) if isinstance(detail, str) else "The request is not valid",
        details={} if isinstance(detail, str) else {"problems": detail},
        headers=headers,
    )
