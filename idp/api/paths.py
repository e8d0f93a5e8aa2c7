r"""Identifiers in addresses: routing on what the client sent, not on what the server decoded.

An identifier may hold a slash, sent as `%2F`. WSGI decodes the path before Django sees it, so
`a%2Fb` would be two parts. Servers also tell the request target as it came (gunicorn `RAW_URI`,
uWSGI `REQUEST_URI`); for paths under `PREFIXES`, `RawPathMiddleware` routes on that, still
encoded, and `catalog.kernel.segments` decodes each part after it was matched.

Some clients send the slashes of blueprint identifiers bare. `JoinedRoute`, which comes after all
other routes, joins parts until a route fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote, unquote, urlsplit

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from catalog.api.backstage.errors import PREFIXES as BACKSTAGE_PREFIXES
from idp.errors import ROUTE_NOT_FOUND
from scorecards.api.cortex.errors import PREFIX as CORTEX_PREFIX

PREFIXES = ("/v1/", CORTEX_PREFIX, *BACKSTAGE_PREFIXES)

_PARTS = 600  # an identifier of a thousand letters has at most 500
_BLUEPRINT_PARTS = 50

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class RawPathMiddleware:
    """Makes `request.path_info` the encoded path, for addresses under `PREFIXES`."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(PREFIXES):
            request.path_info = encoded_path(request)
        return self.get_response(request)


def encoded_path(request: HttpRequest) -> str:
    """The path as the client sent it; without a raw target, the decoded one encoded again.

    The raw target counts only if it says the same as the decoded path: something in between may
    have rewritten that.
    """
    target = request.META.get("RAW_URI") or request.META.get("REQUEST_URI") or ""
    try:
        raw = urlsplit(target).path if "://" in target else target.partition("?")[0]
    except ValueError:
        raw = ""
    raw = raw.removeprefix(request.META.get("SCRIPT_NAME", ""))
    if unquote(raw) == request.path_info:
        return raw
    return quote(request.path_info, safe="/")


@method_decorator(csrf_exempt, name="dispatch")  # the views it finds look after themselves
class JoinedRoute(View):
    """The last route: finds the view of an address whose identifiers have bare slashes."""

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        for path in _joined(request.path_info):
            try:
                match = resolve(path)
            except Resolver404:
                continue
            if getattr(match.func, "view_class", None) is JoinedRoute:
                continue
            request.path_info = path
            request.resolver_match = match
            response = match.func(request, *match.args, **match.kwargs)
            is_blueprint_alone = "/" not in path.removeprefix("/v1/blueprints/")
            if is_blueprint_alone and response.status_code in (404, 405):
                break  # there is no such blueprint, so it was another address
            return response
        return ROUTE_NOT_FOUND.response()


def _joined(path: str) -> Iterator[str]:
    """Addresses that `path` may mean, the likeliest first.

    /v1/blueprints/a/b/entities/c/d: blueprint `a/b` with entity `c/d`; then with what follows the
    blueprint left as it is.
    """
    root, *parts = path.removeprefix("/v1/").split("/")
    if root != "blueprints" or not all(parts) or len(parts) > _PARTS:
        return
    for at, part in enumerate(parts):
        if part in ("entities", "bulk", "entities-count") and at > 0:
            head = f"/v1/blueprints/{'%2F'.join(parts[:at])}/{part}"
            rest = parts[at + 1 :]
            yield "/".join([head, *rest])
            if len(rest) > 1:
                yield f"{head}/{'%2F'.join(rest[:-1])}/{rest[-1]}"
                yield f"{head}/{'%2F'.join(rest)}"
    for at in range(2, min(len(parts), _BLUEPRINT_PARTS) + 1):
        yield "/".join(["/v1/blueprints", "%2F".join(parts[:at]), *parts[at:]])
