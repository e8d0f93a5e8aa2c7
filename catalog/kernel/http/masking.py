"""What of a call may be shown."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

HIDDEN = "***"

_SECRET_NAME = re.compile(
    r"token|secret|passw|pwd|key|sig|auth|credential|jwt|session|^code$|^state$", re.I
)
_SHORTEST = 6  # what is shorter stands in ordinary text by chance


def looks_secret(name: str) -> bool:
    """Whether a parameter of this name may hold a secret."""
    return bool(_SECRET_NAME.search(name))


def mask_url(url: str) -> str:
    """`url` without user, password and fragment, and with secret-looking parameters hidden."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not a URL)"
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = "&".join(
        f"{quote(name)}={HIDDEN if looks_secret(name) else quote(value, safe='/:,')}"
        for name, value in pairs
    )
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def mask(text: str, secrets: Collection[str]) -> str:
    """`text` without the secrets, which a server may say back."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, HIDDEN)
    return text
