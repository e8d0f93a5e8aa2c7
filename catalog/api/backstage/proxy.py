"""`/api/proxy/<path>/…`: other systems through us, see `catalog.services.proxy_calls`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.contrib.auth.models import AnonymousUser
from django.http import StreamingHttpResponse
from rest_framework import exceptions as drf
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from catalog.api.backstage.base import BackstageView
from catalog.kernel.actors import Actor
from catalog.kernel.errors import NotAuthenticated, NotFound, PermissionDenied
from catalog.models import ProxyEndpoint
from catalog.services import proxy_calls

# What browsers tell of requests that they make by themselves: an answer of another system is
# content to be read, never a part of one of our pages.
_RUN: Final = frozenset(
    ("audioworklet", "paintworklet", "script", "serviceworker", "sharedworker", "style", "worker")
)


class _MayCall(BasePermission):
    """Whoever is logged in; everybody, where the endpoint is for everybody."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return request.user.is_authenticated or getattr(view, "is_open", False)


class Proxy(BackstageView):
    """Any method; what comes in and goes out is nobody's JSON, so nothing is declared of it."""

    documented_methods = ()
    permission_classes = (_MayCall,)

    endpoint: ProxyEndpoint | None = None
    rest = ""

    @property
    def is_open(self) -> bool:
        return (
            self.endpoint is not None
            and self.endpoint.credentials == ProxyEndpoint.Credentials.OPEN
        )

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # Before anybody looks for a CSRF token in it: a form would be read, and be gone.
        _ = request._request.body
        path = f"/{kwargs['path']}"
        try:
            self.endpoint, self.rest = proxy_calls.endpoint_for(path)
        except NotFound:
            super().initial(request, *args, **kwargs)  # who is not logged in learns no more
            raise
        super().initial(request, *args, **kwargs)
        self._check_browser(request)

    def _check_browser(self, request: Request) -> None:
        """Raises PermissionDenied where another site, or a tag of a page, makes the browser ask.

        A session alone must not let others' links reach systems where a GET may do something.
        """
        headers = request._request.headers
        has_session = request.user.is_authenticated and request.auth is None
        site = headers.get("Sec-Fetch-Site", "")
        if has_session and not self.is_open and site in ("cross-site", "same-site"):
            raise PermissionDenied("Pages of other sites may not call other systems in your name")
        if headers.get("Sec-Fetch-Dest", "") in _RUN:
            raise PermissionDenied("What other systems answer is no script or style of a page")

    def perform_authentication(self, request: Request) -> None:
        """Where everybody may call, a token that is not ours is the other system's."""
        try:
            super().perform_authentication(request)
        except (NotAuthenticated, drf.APIException):
            if not self.is_open:
                raise
            request.user, request.auth = AnonymousUser(), None

    def serve(self, request: Request, path: str) -> StreamingHttpResponse:
        plain = request._request
        endpoint = self.endpoint
        if endpoint is None:
            raise NotFound.of("Proxy endpoint", path, field="path")
        answered = proxy_calls.call(
            endpoint,
            proxy_calls.Asked(
                method=str(request.method),
                rest=self.rest,
                query=plain.META.get("QUERY_STRING", ""),
                headers={name.lower(): value for name, value in plain.headers.items()},
                body=plain.body,
                host=plain.get_host(),
                is_proven=request.auth is not None,
            ),
            actor=self._author(request),
        )
        response = StreamingHttpResponse(
            _Body(answered), status=answered.status, content_type=answered.content_type
        )
        for name, value in answered.headers:
            known = response.headers.get(name)
            response.headers[name] = f"{known}, {value}" if known else value
        return response

    get = head = post = put = patch = delete = options = serve  # type: ignore[assignment]

    def _author(self, request: Request) -> Actor:
        return self.actor if request.user.is_authenticated else proxy_calls.ANONYMOUS


class _Body:
    """The pieces of an answer, and the end of its connection, read or not."""

    def __init__(self, answered: proxy_calls.Answered) -> None:
        self._pieces = answered.pieces()
        self.close = answered.close

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces
