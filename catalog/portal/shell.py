"""What every page of the portal has: log-in, the shell around the content, answers to errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from unfold.sites import UnfoldAdminSite

from catalog.kernel.errors import IdpError, NotFound, PermissionDenied

P = ParamSpec("P")


class PortalRequest(HttpRequest):
    """A request of somebody who is logged in. The class of users belongs to the app above."""

    user: Any


View = Callable[Concatenate[PortalRequest, P], HttpResponseBase]
Wrapped = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


@dataclass(frozen=True, slots=True)
class Crumb:
    """A step of the trail in the header; the last one has no address."""

    title: str
    url: str = ""


def portal_view(view: View[P]) -> Wrapped[P]:
    """Asks for a log-in, keeps the page out of shared caches, and answers our errors as pages."""

    @wraps(view)
    @cache_control(private=True, no_cache=True)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_login(request)
        try:
            return view(cast(PortalRequest, request), *args, **kwargs)
        except NotFound as error:
            raise Http404(error.message) from error
        except PermissionDenied as error:
            raise DjangoPermissionDenied(str(error)) from error
        except IdpError as error:
            return problem(request, error)

    return wrapped


def page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    title: str,
    trail: Sequence[Crumb] = (),
    status: int = 200,
) -> HttpResponse:
    """A page in the shell of the portal, for every role."""
    return render(
        request,
        template,
        {**shell_context(request), **(context or {}), "title": title, "trail": trail},
        status=status,
    )


def fragment(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    """A part of a page, fetched by a script to be put into it."""
    return render(request, template, dict(context))


def wants_fragment(request: HttpRequest) -> bool:
    """Whether a script asks for a part of the page; when it goes back in history, it needs all."""
    headers = request.headers
    return bool(headers.get("HX-Request")) and not headers.get("HX-History-Restore-Request")


def shell_context(request: HttpRequest) -> dict[str, Any]:
    """What the shell draws itself from. It opens for staff alone unless told otherwise."""
    site = cast(UnfoldAdminSite, admin.site)
    context = site.each_context(request)
    if not context["sidebar_navigation"]:
        context["sidebar_navigation"] = site.get_sidebar_list(request)
    return {**context, "has_permission": True}


def problem(request: HttpRequest, error: IdpError) -> HttpResponse:
    """A page that says what was wrong with the request and what to do next."""
    if request.headers.get("HX-Request"):
        return render(request, "portal/problem_fragment.html", {"error": error}, status=200)
    return page(
        request,
        "portal/problem.html",
        {"error": error},
        title="That did not work",
        status=error.status,
    )


def _to_login(request: HttpRequest) -> HttpResponse:
    if request.headers.get("HX-Request"):
        # a log-in page inside a table would help nobody: the script goes there itself
        return HttpResponse(status=401, headers={"HX-Redirect": settings.LOGIN_URL})
    return redirect_to_login(request.get_full_path())
