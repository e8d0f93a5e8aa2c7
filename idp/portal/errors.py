"""Errors as pages: in the shell for people who are inside, bare for others and in an emergency."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import urlencode

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from catalog.portal.shell import Crumb, page

_log = structlog.get_logger(__name__)


def bad_request(request: HttpRequest) -> HttpResponse:
    return _bare(400, "That request makes no sense", "The server could not read it. Try again.")


def permission_denied(request: HttpRequest, exception: Exception | None) -> HttpResponse:
    message = str(exception or "") or "Your role does not allow this."
    return _shown(request, 403, "This is not yours to do", message)


def not_found(request: HttpRequest, exception: Exception | None) -> HttpResponse:
    # the resolver's own exception holds a list of what it tried instead of a sentence
    told = exception.args[0] if exception is not None and exception.args else ""
    message = told if isinstance(told, str) and told else "There is nothing at this address."
    return _shown(request, 404, "Not found", message)


def server_error(_request: HttpRequest) -> HttpResponse:
    """Uses no database, no session and no shell: any of them may be what failed."""
    error = sys.exc_info()[1]  # Django calls this while it handles the error
    if isinstance(error, OperationalError | InterfaceError):
        return _bare(503, "Back in a moment", "The database does not answer. Try again soon.")
    return _bare(500, "Something broke here", "The log of the server has the reason. Try again.")


def _shown(request: HttpRequest, status: int, heading: str, message: str) -> HttpResponse:
    context: dict[str, Any] = {"status": status, "heading": heading, "message": message}
    try:
        if request.user.is_authenticated:
            return page(
                request,
                "portal/error.html",
                context,
                title=heading,
                trail=[Crumb(heading)],
                status=status,
            )
    except (AttributeError, DatabaseError):
        pass  # before log-in was looked up, or without a database: the bare page will do
    query = urlencode({"next": request.get_full_path()})
    return _bare(status, heading, message, login_url=f"{settings.LOGIN_URL}?{query}")


def _bare(status: int, heading: str, message: str, **context: Any) -> HttpResponse:
    try:
        text = render_to_string(
            "portal/bare.html",
            {"status": status, "heading": heading, "message": message, **context},
        )
    except Exception:  # noqa: BLE001 - whatever it is, somebody waits for an answer
        # an error page that fails would hide the error: plain words are enough
        _log.exception("error_page_failed", status=status)
        return HttpResponse(
            f"{status} {heading}. {message}", status=status, content_type="text/plain"
        )
    return HttpResponse(text, status=status)
