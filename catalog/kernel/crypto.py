"""Secrets at rest. The keys are the operator's own (IDP_ENCRYPTION_KEYS, or the file that the home
folder keeps), and none is derived from another secret, so that each can be rotated alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from catalog.kernel.errors import IdpError


class SealingFailed(IdpError):
    """A secret cannot be sealed or opened with the keys there are. The operator must act."""

    code = "sealing_failed"
    status = 500


def new_key() -> str:
    """A fresh key, as IDP_ENCRYPTION_KEYS takes it."""
    return Fernet.generate_key().decode()


def seal(value: Any) -> bytes:
    """`value`, any JSON, encrypted with the first key. Raises SealingFailed without a key."""
    return _box().encrypt(orjson.dumps(value))


def open_(sealed: bytes | memoryview) -> Any:
    """What was sealed, with whichever key. Raises SealingFailed when none of them fits."""
    try:
        return orjson.loads(_box().decrypt(bytes(sealed)))
    except InvalidToken:
        raise SealingFailed(
            "A secret cannot be opened with the keys of this server",
            hint="Add the key it was sealed with to IDP_ENCRYPTION_KEYS, or set the secret anew.",
        ) from None


def is_current(sealed: bytes | memoryview) -> bool:
    """Whether it is sealed with the first key."""
    try:
        Fernet(_keys()[0]).decrypt(bytes(sealed))
    except InvalidToken:
        return False
    return True


def reseal(sealed: bytes | memoryview) -> bytes:
    """The same secret, sealed with the first key. Raises SealingFailed."""
    return bytes(sealed) if is_current(sealed) else seal(open_(sealed))


def _keys() -> tuple[str, ...]:
    keys = tuple(settings.IDP_ENCRYPTION_KEYS)
    if not keys:
        raise SealingFailed(
            "This server has no key to keep secrets with",
            hint="Set IDP_ENCRYPTION_KEYS; `manage.py rotate_keys --new-key` prints a fresh one.",
        )
    return keys


def _box() -> MultiFernet:
    return _box_of(_keys())


@lru_cache(maxsize=4)
def _box_of(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
