"""Addresses of other systems that are served here, as rows: made, changed, removed.

Each change is in the change feed. What is sent to them is in `catalog.services.proxy_calls`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict, Unpack
from urllib.parse import urlsplit

import orjson
import regex
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.kernel import feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import AlreadyExists, InvalidInput, NotFound
from catalog.kernel.http import check_address, looks_secret
from catalog.kernel.identifiers import is_storable
from catalog.kernel.placeholders import names_in
from catalog.models import Change, ProxyEndpoint

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MAX_HEADERS: Final = 50

_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# Of the connection itself, so nobody may say them.
NOT_SENT: Final = frozenset(
    (
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)


class Stated(TypedDict, total=False):
    """What a person says of an endpoint (see `ProxyEndpoint`); what is left out stays as it is."""

    path: str
    target: str
    headers: Mapping[str, str]
    methods: Sequence[str]
    allowed_headers: Sequence[str]
    path_rewrite: Mapping[str, str]
    change_origin: bool
    credentials: str
    is_enabled: bool


def create_endpoint(*, actor: Actor, **stated: Unpack[Stated]) -> ProxyEndpoint:
    """Serve an address. Raises AlreadyExists, InvalidInput, AddressRefused."""
    now = timezone.now()
    row = ProxyEndpoint(
        created_at=now, created_by=actor.name, updated_at=now, updated_by=actor.name
    )
    _assign(row, {"path": "", "target": "", **stated})
    with transaction.atomic():
        _save(row)
        _record(feed.CREATE, row, actor)
    return row


def update_endpoint(
    endpoint: ProxyEndpoint, *, actor: Actor, **stated: Unpack[Stated]
) -> ProxyEndpoint:
    """Change what is said; a change of nothing changes nothing (nor `updated_at`).

    Returns the row as it is now. Raises NotFound, AlreadyExists, InvalidInput, AddressRefused.
    """
    with transaction.atomic():
        row = _locked(endpoint)
        before = endpoint_document(row)
        _assign(row, stated)
        after = endpoint_document(row)
        if orjson.dumps(after) == orjson.dumps(before):
            return row
        row.updated_at, row.updated_by = timezone.now(), actor.name
        _save(row)
        changed = [key for key in after if orjson.dumps(after[key]) != orjson.dumps(before[key])]
        _record(
            feed.UPDATE,
            row,
            actor,
            before={key: before[key] for key in changed},
            after={key: after[key] for key in changed},
        )
    return row


def delete_endpoint(endpoint: ProxyEndpoint, *, actor: Actor) -> None:
    """Serve it no longer. Raises NotFound."""
    with transaction.atomic():
        row = _locked(endpoint)
        _record(feed.DELETE, row, actor, before=endpoint_document(row))
        row.delete()


def endpoint_document(row: ProxyEndpoint) -> dict[str, Any]:
    """What the history keeps: all that a person may set. Headers name secrets, so none is in it."""
    return {
        "path": row.path,
        "target": row.target,
        "headers": dict(row.headers),
        "methods": list(row.methods),
        "allowedHeaders": list(row.allowed_headers),
        "pathRewrite": dict(row.path_rewrite),
        "changeOrigin": row.change_origin,
        "credentials": row.credentials,
        "isEnabled": row.is_enabled,
    }


def clean_path(path: str, *, field: str = "path") -> str:
    """The path of an endpoint as it is kept: one slash before, none behind. Raises InvalidInput."""
    cleaned = "/" + path.strip().strip("/")
    parts = cleaned.split("/")
    if len(cleaned) > 200 or not _PATH.fullmatch(cleaned) or {".", ".."} & set(parts):
        raise InvalidInput.of(field, path, 'a path like "/pagerduty/api", without "." and ".."')
    return cleaned


def _assign(row: ProxyEndpoint, stated: Stated) -> None:
    if "path" in stated:
        row.path = clean_path(stated["path"])
    if "target" in stated:
        row.target = _target(stated["target"])
    if "headers" in stated:
        row.headers = _headers(stated["headers"])
    if "methods" in stated:
        row.methods = _methods(stated["methods"])
    if "allowed_headers" in stated:
        row.allowed_headers = list(
            dict.fromkeys(_header_name(one, "allowedHeaders") for one in stated["allowed_headers"])
        )
    if "path_rewrite" in stated:
        row.path_rewrite = _rewrite(stated["path_rewrite"])
    if "credentials" in stated:
        if stated["credentials"] not in ProxyEndpoint.Credentials.values:
            expected = ", ".join(ProxyEndpoint.Credentials.values)
            raise InvalidInput.of("credentials", stated["credentials"], f"one of {expected}")
        row.credentials = stated["credentials"]
    row.change_origin = stated.get("change_origin", row.change_origin)
    row.is_enabled = stated.get("is_enabled", row.is_enabled)


def _target(value: str) -> str:
    target = value.strip()
    if len(target) > 2000 or not is_storable(target):
        raise InvalidInput.of("target", target, "an address of at most 2,000 characters")
    check_address(target, "target")
    parts = urlsplit(target)
    if parts.query or parts.fragment:
        raise InvalidInput.of(
            "target",
            f"{parts.scheme}://{parts.netloc}{parts.path}?…",
            "an address without a query, as paths are appended to it",
        )
    return target


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    if len(given) > MAX_HEADERS:
        raise InvalidInput.of("headers", f"{len(given)} headers", f"at most {MAX_HEADERS}")
    headers: dict[str, str] = {}
    for given_name, value in given.items():
        name = _header_name(given_name, "headers")
        field = f"headers.{name}"
        if name.lower() in {one.lower() for one in headers}:
            raise InvalidInput.of(field, name, "each header once")
        # The value is never said: it may be a secret that stands where it should not.
        if not isinstance(value, str) or _CONTROL.search(value) or len(value) > 4000:
            raise InvalidInput(
                f"{field} is not usable; expected one line of text",
                details={"field": field, "expected": "one line of text"},
            )
        if value and looks_secret(name) and not names_in(value):
            raise InvalidInput(
                f"{field} holds its value in clear; expected a reference like ${{NAME}}",
                hint="Keep it under Secrets and name it here.",
                details={"field": field, "expected": "a reference like ${NAME}"},
            )
        headers[name] = value
    return headers


def _header_name(name: object, field: str) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput.of(field, name, "names of headers")
    if name.lower() in NOT_SENT:
        raise InvalidInput.of(field, name, "a header that is not of the connection itself")
    return name


def _methods(given: Sequence[str]) -> list[str]:
    methods = [str(one).strip().upper() for one in given]
    if unknown := [one for one in methods if one not in METHODS]:
        raise InvalidInput.of("methods", unknown[0], f"some of {', '.join(METHODS)}")
    return [one for one in METHODS if one in methods]


def _rewrite(given: Mapping[str, str]) -> dict[str, str]:
    for pattern, replacement in given.items():
        if not isinstance(replacement, str) or len(pattern) > 500 or len(replacement) > 500:
            raise InvalidInput.of("pathRewrite", pattern, "patterns with what replaces them")
        try:
            regex.compile(pattern)
        except regex.error as error:
            raise InvalidInput.of(
                "pathRewrite", pattern, f"a regular expression ({error})"
            ) from None
    return dict(given)


def _save(row: ProxyEndpoint) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise AlreadyExists.of("Proxy endpoint", row.path, field="path") from None


def _locked(endpoint: ProxyEndpoint) -> ProxyEndpoint:
    row = ProxyEndpoint.objects.select_for_update().filter(pk=endpoint.pk).first()
    if row is None:
        raise NotFound.of("Proxy endpoint", endpoint.path, field="path")
    return row


def _record(
    action: str,
    row: ProxyEndpoint,
    actor: Actor,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    at = timezone.now() if action == feed.DELETE else row.updated_at
    record = feed.Record(action, Change.PROXY, row.path, "", row.pk, before, after)
    feed.record([record], actor=actor, at=at)
