"""Proof that a call comes from here, and secret inputs that only its receiver can read.

Both are done with one key that the receivers have as well. It is random, or the secret of the
first API client, as receivers know it from Port; an admin may replace it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import transaction
from django.utils import timezone

from actions.models import SigningKey
from actions.services.json_of_javascript import stringify
from catalog.kernel import crypto, feed
from catalog.kernel.actors import Actor
from catalog.kernel.errors import InvalidInput

MIN_BYTES: Final = 32  # the key of AES-256
MAX_CHARACTERS: Final = 1000
_ROW: Final = 1
_IV_BYTES: Final = 16
_TAG_BYTES: Final = 16
_MAKER: Final = Actor.system("signing")


def key() -> str:
    """The key; a random one is made where there is none. Raises SealingFailed."""
    found = SigningKey.objects.filter(pk=_ROW).first()
    if found is None:
        adopt_key(secrets.token_urlsafe(32), _MAKER)
        found = SigningKey.objects.get(pk=_ROW)
    return str(crypto.open_(found.sealed))


def set_key(value: Any, actor: Actor) -> None:
    """Replace the key: what is sent from now on is signed and encrypted with it.

    Raises InvalidInput, which does not tell the value, SealingFailed.
    """
    if not isinstance(value, str) or not _is_long_enough(value) or len(value) > MAX_CHARACTERS:
        expected = f"text of at least {MIN_BYTES} bytes and at most {MAX_CHARACTERS:,} characters"
        raise InvalidInput(
            f"The signing key is not usable; expected {expected}",
            hint="AES-256 takes its first 32 bytes as they are.",
            details={"field": "key", "expected": expected},
        )
    with transaction.atomic():
        held = SigningKey.objects.select_for_update().filter(pk=_ROW).first()
        if held is None:
            adopt_key(value, actor)
        elif _unsealed(held) != value:
            held.sealed = crypto.seal(value)
            held.updated_at, held.updated_by = timezone.now(), actor.name
            held.save()
            _note(feed.UPDATE, actor)


def adopt_key(secret: str, actor: Actor) -> None:
    """Take a secret of any length as the key if there is none yet. Raises SealingFailed."""
    with transaction.atomic():
        _, is_new = SigningKey.objects.get_or_create(
            pk=_ROW,
            defaults={
                "sealed": crypto.seal(secret),
                "updated_at": timezone.now(),
                "updated_by": actor.name,
            },
        )
        if is_new:
            _note(feed.CREATE, actor)


def reseal() -> int:
    """Seal it with the server's first encryption key; how many were not. Raises SealingFailed."""
    with transaction.atomic():
        held = SigningKey.objects.select_for_update().filter(pk=_ROW).first()
        if held is None or crypto.is_current(held.sealed):
            return 0
        held.sealed = crypto.reseal(held.sealed)
        held.save(update_fields=["sealed"])
    return 1


def headers_for(body: bytes, at: int | None = None) -> dict[str, str]:
    """The headers that prove who sent `body`. at: UNIX time in seconds; None is now."""
    moment = int(time.time()) if at is None else at
    proof = hmac.new(key().encode(), f"{moment}.".encode() + body, hashlib.sha256).digest()
    return {
        "X-Port-Timestamp": str(moment),
        "X-Port-Signature": f"v1,{base64.b64encode(proof).decode()}",
    }


def sha1_of(body: bytes) -> str:
    """The proof that Azure DevOps asks for: an HMAC in hexadecimal digits."""
    return hmac.new(key().encode(), body, hashlib.sha1).hexdigest()


def encrypt(value: Any) -> str:
    """Text as it is, anything else as JSON, in AES-256-GCM: base64 of IV, ciphertext and tag."""
    text = value if isinstance(value, str) else stringify(value)
    iv = secrets.token_bytes(_IV_BYTES)
    return base64.b64encode(iv + AESGCM(_aes_key(key())).encrypt(iv, text.encode(), None)).decode()


def decrypt(text: str) -> str:
    """What was encrypted. Raises InvalidInput when it was not with this key."""
    try:
        sealed = base64.b64decode(text, validate=True)
        iv, rest = sealed[:_IV_BYTES], sealed[_IV_BYTES:]
        if len(rest) < _TAG_BYTES:
            raise ValueError("shorter than IV and tag")
        return AESGCM(_aes_key(key())).decrypt(iv, rest, None).decode()
    except (ValueError, InvalidTag):
        raise InvalidInput(
            "The text was not encrypted with the signing key of this server",
            details={"expected": "base64 of IV, ciphertext and tag"},
        ) from None


def _aes_key(secret: str) -> bytes:
    """Its first 32 bytes, as Port says; a shorter one is hashed, as the docs say."""
    given = secret.encode()
    return given[:MIN_BYTES] if len(given) >= MIN_BYTES else hashlib.sha256(given).digest()


def _is_long_enough(value: str) -> bool:
    return len(value.encode(errors="replace")) >= MIN_BYTES


def _unsealed(held: SigningKey) -> str | None:
    """The key as it is; None when nobody can open it any more, so that it can be replaced."""
    try:
        return str(crypto.open_(held.sealed))
    except crypto.SealingFailed:
        return None


def _note(action: str, actor: Actor) -> None:
    said = {"key": "replaced"} if action == feed.UPDATE else {"key": "set"}
    record = feed.Record(action, "signingkey", "signing key", object_id=_ROW, after=said)
    feed.record([record], actor=actor, at=timezone.now())
