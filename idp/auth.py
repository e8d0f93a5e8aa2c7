"""API clients: an id and a secret buy a short-lived bearer token, as with Port's API. For programs
that know only a fixed token, as with Backstage and Cortex, a client's secret may be that token.

The secret is stored as an HMAC under the server's key, so a copy of the database opens nothing.
The token is a JWT signed with a key derived from the same one; rotating IDP_SECRET_KEY ends all
tokens and all secrets.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication

from catalog.kernel import feed
from catalog.kernel.actors import Actor, Role
from catalog.kernel.errors import InvalidInput, NotAuthenticated
from catalog.kernel.identifiers import ORGANIZATION, is_storable
from idp.models import ApiClient
from idp.service_accounts import service_role

TOKEN_LIFETIME_S = 10_800
_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class Token:
    """expires_in: seconds."""

    access_token: str
    expires_in: int = TOKEN_LIFETIME_S
    token_type: str = "Bearer"  # noqa: S105 - the scheme, not a secret


def issue_token(*, client_id: object, client_secret: object) -> Token:
    """Exchange credentials for a token. Raises NotAuthenticated."""
    client = (
        ApiClient.objects.filter(client_id=client_id, is_active=True).first()
        if isinstance(client_id, str) and is_storable(client_id)
        else None
    )
    if client is not None and not _stands(client):
        client = None
    digest = _digest(client_secret if isinstance(client_secret, str) else "")
    # Compare even without a client, so that the answer takes the same time.
    matches = hmac.compare_digest(digest, client.secret_digest if client else "0" * 64)
    if client is None or not matches:
        raise NotAuthenticated("Client id or secret is wrong")
    _note_use(client)
    now = timezone.now()
    claims = {
        "iss": "idp",
        "sub": client.client_id,
        "orgId": ORGANIZATION,
        "isMachine": True,
        "ver": _version(client),
        "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + TOKEN_LIFETIME_S,
    }
    return Token(jwt.encode(claims, _key("token"), algorithm=_ALGORITHM))


def create_client(
    *,
    name: str,
    role: str,
    actor: Actor,
    client_id: str | None = None,
    client_secret: str | None = None,
    account: str = "",
    has_fixed_token: bool = False,
) -> tuple[ApiClient, str]:
    """Make a client; returns it with its secret, which is not stored and cannot be shown again."""
    secret = client_secret or secrets.token_urlsafe(32)
    if len(secret) < 12:
        raise InvalidInput(
            "The client secret is too short; expected at least 12 characters",
            details={"field": "client_secret", "expected": ">= 12 characters"},
        )
    client = ApiClient(
        name=name,
        role=Role(role).value,
        account=account,
        has_fixed_token=has_fixed_token,
        client_id=client_id or f"idp_{secrets.token_hex(12)}",
        secret_digest=_digest(secret),
    )
    with transaction.atomic():
        client.full_clean()
        client.save()
        _record(feed.CREATE, client, actor)
    return client, secret


def update_client(client: ApiClient, *, actor: Actor, **fields: Any) -> ApiClient:
    """Change name, role, has_fixed_token or is_active. Tokens of a client that is switched off stop
    at once.

    Raises Django's ValidationError by field.
    """
    with transaction.atomic():
        stored = ApiClient.objects.select_for_update().get(pk=client.pk)
        before = {n: getattr(stored, n) for n in fields if getattr(stored, n) != fields[n]}
        if not before:
            return stored
        for name in before:
            setattr(stored, name, fields[name])
        stored.full_clean()
        stored.save(update_fields=list(before))
        after = {n: getattr(stored, n) for n in before}
        _record(feed.UPDATE, stored, actor, after, before=before)
    return stored


def take_fixed_token(subject: str, token: str, actor: Actor) -> str:
    """A static token of an imported configuration becomes an API client of its own; returns what it
    became, in words. Raises InvalidInput.
    """
    if known := ApiClient.objects.filter(secret_digest=_digest(token)).first():
        return f'the API client "{known}" has it'
    client, _ = create_client(
        name=subject[:100],
        role=Role.MEMBER.value,
        actor=actor,
        client_secret=token,
        has_fixed_token=True,
    )
    return f'the API client "{client}" with the role {client.role}, which admins can change'


def rotate_secret(client: ApiClient, *, actor: Actor) -> str:
    """Give a client a new secret; the old one, and the tokens it bought, end at once."""
    secret = secrets.token_urlsafe(32)
    with transaction.atomic():
        ApiClient.objects.filter(pk=client.pk).update(secret_digest=_digest(secret))
        _record(feed.UPDATE, client, actor, {"secret": "rotated"})
    return secret


def _client_of_fixed_token(token: str) -> ApiClient | None:
    """The active client whose secret this is, if it may be used as a token."""
    found = ApiClient.objects.filter(
        secret_digest=_digest(token), has_fixed_token=True, is_active=True
    ).first()
    return found if found and _stands(found) else None


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>` of `issue_token`, or a client's fixed token."""

    def authenticate(self, request: HttpRequest) -> tuple[ApiClient, dict[str, Any]] | None:
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = token.strip()
        try:
            claims = jwt.decode(
                token,
                _key("token"),
                algorithms=[_ALGORITHM],
                issuer="idp",
                options={"require": ["exp", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise NotAuthenticated("The token has expired", hint="Ask for a new one.") from None
        except jwt.InvalidTokenError:
            if fixed := _client_of_fixed_token(token):
                _note_use(fixed)
                return fixed, {}
            raise NotAuthenticated("The token is not valid") from None
        client = ApiClient.objects.filter(client_id=claims["sub"], is_active=True).first()
        if client is None or not _stands(client):
            raise NotAuthenticated("The token's client was switched off or deleted")
        if claims.get("ver") != _version(client):
            raise NotAuthenticated(
                "The token's client has a new secret", hint="Ask for a token with the new secret."
            )
        return client, claims

    def authenticate_header(self, request: HttpRequest) -> str:
        return 'Bearer realm="idp"'


def _note_use(client: ApiClient) -> None:
    """To the minute: a write for each request would be dear."""
    now = timezone.now()
    if client.last_used_at is None or now - client.last_used_at > timedelta(minutes=1):
        ApiClient.objects.filter(pk=client.pk).update(last_used_at=now)


def _stands(client: ApiClient) -> bool:
    """Whether the service account, for one that has one, is still there and active; its role is
    then the client's.
    """
    if not client.account:
        return True
    role = service_role(client.account)
    if role is not None:
        client.role = role
    return role is not None


def _version(client: ApiClient) -> str:
    """Which secret bought a token: another one for each secret, and tells nothing of it."""
    return client.secret_digest[:16]


def _digest(secret: str) -> str:
    return hmac.new(_key("client"), secret.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _key(purpose: str) -> bytes:
    return hashlib.sha256(f"idp.auth.{purpose}:{settings.SECRET_KEY}".encode()).digest()


def _record(
    action: str,
    client: ApiClient,
    actor: Actor,
    after: dict[str, Any] | None = None,
    before: dict[str, Any] | None = None,
) -> None:
    feed.record(
        [feed.Record(action, "api_client", client.client_id, "", client.pk, before, after)],
        actor=actor,
        at=timezone.now(),
    )
