"""Calls of other systems through us: `/api/proxy/<path>/…` (Backstage's proxy).

What a caller may send on, what we add, and what of the answer comes back. To a browser the answer
comes from our origin, so nothing in it may act as ours: no cookies, no scripts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

import regex
from django.db.models import F
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import (
    AddressRefused,
    InvalidInput,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    UpstreamError,
    shorten,
)
from catalog.kernel.http import Client, Stream
from catalog.models import Change, ProxyEndpoint
from catalog.services import secrets
from catalog.services.proxy import NOT_SENT

PREFIX: Final = "/api/proxy"
SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
ANONYMOUS: Final = Actor("client", "anonymous")

TIMEOUT_S: Final = 30.0
DEADLINE_S: Final = 300.0
MAX_BYTES: Final = 100 * 1024 * 1024

_CALL: Final = "call"  # the action in the change feed
# From the caller; `host` is our own matter.
_LET_THROUGH = frozenset(
    (
        "accept",
        "accept-language",
        "cache-control",
        "content-language",
        "content-type",
        "expires",
        "last-modified",
        "pragma",
        "user-agent",
    )
)
# They open our own doors, whatever an endpoint lets through.
_OURS = frozenset(("cookie", "host", "x-csrftoken", "accept-encoding"))
# Of the connection, of what browsers keep for an origin, and of whom they let read it.
_NOT_RETURNED = NOT_SENT - {"content-length"} | {
    "alt-svc",
    "clear-site-data",
    "content-security-policy",
    "content-security-policy-report-only",
    "content-type",
    "nel",
    "public-key-pins",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "server",
    "service-worker-allowed",
    "set-cookie",
    "set-cookie2",
    "sourcemap",
    "strict-transport-security",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
}
_REGEX_TIMEOUT_S = 0.5
_REFERENCE = re.compile(r"\$(\$|&|\d{1,2})")  # in a replacement, as JavaScript writes it


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to an endpoint. rest: what follows its path, as it was sent (encoded). query:
    without "?". headers: by their names in lower case. host: what the caller calls us.
    is_proven: the Authorization header is one of ours and let the caller in."""

    method: str
    rest: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    host: str = ""
    is_proven: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """headers: without the content type. pieces: the body, which closes the connection behind it;
    `close` is for whoever does not read to the end."""

    status: int
    content_type: str
    headers: list[tuple[str, str]]
    stream: Stream = field(repr=False)

    def pieces(self) -> Iterator[bytes]:
        return self.stream.pieces()

    def close(self) -> None:
        self.stream.close()


def endpoint_for(path: str) -> tuple[ProxyEndpoint, str]:
    """The endpoint that serves `path` (encoded, as "/pagerduty/api/users") and the rest of it.

    The longest fits. Raises InvalidRequest for a path that climbs, and NotFound.
    """
    check_path(path)
    parts = path.split("/")
    heads = {"/".join(parts[:end]): end for end in range(2, min(len(parts), 30) + 1)}
    decoded = {unquote(head): end for head, end in heads.items()}
    found = max(
        ProxyEndpoint.objects.filter(path__in=list(decoded), is_enabled=True),
        key=lambda one: len(one.path),
        default=None,
    )
    if found is None:
        raise NotFound.of("Proxy endpoint", unquote(path), field="path")
    rest = parts[decoded[found.path] :]
    return found, "".join(f"/{part}" for part in rest)


def check_path(path: str) -> None:
    """Raises InvalidRequest where `path` has a segment "..": it would lead out of its place.

    Some servers leave out what stands behind a ";" in a segment, so "..;x" is one too.
    """
    decoded = unquote(unquote(path)).replace("\\", "/")
    segments = (one.partition(";")[0] for one in decoded.partition("?")[0].split("/"))
    if ".." in segments or "\0" in decoded:
        raise InvalidRequest(
            "The path must not contain '..'",
            details={"field": "path", "value": shorten(path), "expected": "a path without .."},
        )


def call(endpoint: ProxyEndpoint, asked: Asked, *, actor: Actor) -> Answered:
    """Send a request on. Unsafe ones are written into the audit log, with whatever became of them.

    Raises PermissionDenied (a method that is not allowed), InvalidRequest, UpstreamError.
    """
    if endpoint.methods and asked.method not in endpoint.methods:
        raise PermissionDenied(
            f"{asked.method} is not allowed at {endpoint.path}; allowed are "
            f"{', '.join(endpoint.methods)}"
        )
    url = _address(endpoint, asked)
    headers, hidden = _headers(endpoint, asked)
    has_body = bool(asked.body) or asked.method not in SAFE
    client = _client(endpoint.pk).with_(secrets=hidden)
    try:
        stream = client.open(
            asked.method,
            url,
            headers=headers,
            content=asked.body if has_body else None,
            host="" if endpoint.change_origin else asked.host,
        )
    except AddressRefused:
        _note(endpoint, asked, UpstreamError.status, actor)
        raise UpstreamError(
            f"The target of {endpoint.path} is an address that this server does not call",
            hint="An administrator sees on its page why.",
        ) from None
    except UpstreamError:
        _note(endpoint, asked, UpstreamError.status, actor)
        raise
    _note(endpoint, asked, stream.status, actor)
    return Answered(
        stream.status,
        stream.headers.get("content-type") or "application/octet-stream",
        _returned(endpoint, stream),
        stream,
    )


@lru_cache(maxsize=100)
def _client(endpoint_pk: int) -> Client:
    """One for each endpoint: connections are used again, and one that is slow keeps no other."""
    return Client(timeout_s=TIMEOUT_S, deadline_s=DEADLINE_S, max_bytes=MAX_BYTES, retries=0)


def _address(endpoint: ProxyEndpoint, asked: Asked) -> str:
    """Where a request goes. Raises InvalidRequest for a rewritten path that climbs."""
    path = asked.rest or "/"
    if endpoint.path_rewrite:
        path = _rewritten(endpoint, f"{PREFIX}{endpoint.path}{asked.rest}")
        check_path(path)
    path, _, added = path.partition("?")
    query = "&".join(part for part in (added, asked.query) if part)
    whole = f"{endpoint.target.rstrip('/')}/{path.removeprefix('/')}"
    return f"{whole}?{query}" if query else whole


def _rewritten(endpoint: ProxyEndpoint, path: str) -> str:
    """The first pattern that is found in the whole path replaces; without any it stays."""
    for pattern, replacement in endpoint.path_rewrite.items():
        try:
            found, count = regex.subn(
                pattern, _as_python(replacement), path, count=1, timeout=_REGEX_TIMEOUT_S
            )
        except (regex.error, TimeoutError, IndexError):
            raise UpstreamError(
                f"The path could not be rewritten by the rule {shorten(pattern)} of {endpoint.path}"
            ) from None
        if count:
            return str(found)
    return path


def _as_python(replacement: str) -> str:
    """JavaScript's `$1`, `$&` and `$$` in Python's words."""

    def one(match: re.Match[str]) -> str:
        said = match[1]
        return "$" if said == "$" else r"\g<0>" if said == "&" else rf"\g<{said}>"

    return _REFERENCE.sub(one, replacement.replace("\\", r"\\"))


def _headers(endpoint: ProxyEndpoint, asked: Asked) -> tuple[dict[str, str], frozenset[str]]:
    """What is sent, and the secrets in it. Raises UpstreamError where one is not there."""
    wanted = _LET_THROUGH | {one.lower() for one in (*endpoint.allowed_headers, *endpoint.headers)}
    is_forward = endpoint.credentials == ProxyEndpoint.Credentials.FORWARD
    is_open = endpoint.credentials == ProxyEndpoint.Credentials.OPEN
    closed = _OURS | NOT_SENT
    if is_forward:
        wanted |= {"authorization"}
    elif not is_open or asked.is_proven:
        closed |= {"authorization"}
    sent = {
        name: value
        for name, value in asked.headers.items()
        if name in wanted and name not in closed
    }
    try:
        own = secrets.resolve_with_secrets(endpoint.headers, None)
    except InvalidInput as error:
        name = str(error.details.get("field", "")).removeprefix("settings.")
        raise UpstreamError(
            f"The header {name} of {endpoint.path} names a secret that is not there",
            hint="An administrator adds it under Secrets.",
        ) from None
    sent |= {name.lower(): str(value) for name, value in own.settings.items()}
    if is_forward:  # whatever an answer or error says back of it
        token = sent.get("authorization", "").rpartition(" ")[2]
        return sent, own.secrets | ({token} if token else set())
    return sent, own.secrets


def _returned(endpoint: ProxyEndpoint, stream: Stream) -> list[tuple[str, str]]:
    """The headers of an answer that come back."""
    named = {one.strip().lower() for one in stream.headers.get("connection", "").split(",")}
    kept = [
        (name, value)
        for name, value in stream.headers.multi_items()
        if name.lower() not in _NOT_RETURNED | named
        and not name.lower().startswith("access-control-")
        and name.lower() != "location"
    ]
    if place := stream.headers.get("location"):
        kept.append(("Location", _location(endpoint, stream.url, place)))
    # It comes from our origin, so a page or a picture with scripts in it must not act as ours.
    return [
        *kept,
        ("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'"),
        ("X-Content-Type-Options", "nosniff"),
    ]


def _location(endpoint: ProxyEndpoint, url: str, place: str) -> str:
    """Where a redirect leads: through us again where it stays inside the target."""
    whole = urljoin(url, place)
    inside = endpoint.target.rstrip("/")
    if not endpoint.path_rewrite and _is_inside(whole, inside):
        parts, base = urlsplit(whole), urlsplit(inside)
        path = f"{PREFIX}{endpoint.path}{parts.path[len(base.path) :]}"
        return f"{path}?{parts.query}" if parts.query else path
    return whole


def _is_inside(url: str, base: str) -> bool:
    one, other = urlsplit(url), urlsplit(base)
    return (one.scheme, one.netloc.lower()) == (other.scheme, other.netloc.lower()) and (
        one.path == other.path or one.path.startswith(f"{other.path}/")
    )


def _note(endpoint: ProxyEndpoint, asked: Asked, status: int, actor: Actor) -> None:
    """Count it, and for what may change something say who did it."""
    now = timezone.now()
    ProxyEndpoint.objects.filter(pk=endpoint.pk).update(calls=F("calls") + 1, last_used_at=now)
    if asked.method in SAFE:
        return
    after = {"method": asked.method, "path": shorten(asked.rest or "/", 500), "status": status}
    record = feed.Record(_CALL, Change.PROXY, endpoint.path, "", endpoint.pk, after=after)
    feed.record([record], actor=actor, at=now)
