"""What of a call may be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit, urlunsplit

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
    """`text` without the secrets, which a server may say back: as they are, or as they stand in
    an address or in JSON."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            for spelling in _spellings(secret):
                text = text.replace(spelling, HIDDEN)
    return text


@lru_cache(maxsize=256)
def _spellings(secret: str) -> tuple[str, ...]:
    """The longest first: a shorter one may be a part of it."""
    # The halves of a surrogate pair, as `quote` does not take them.
    sendable = secret.encode(errors="replace")
    found = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(sendable, safe=""),
        quote(sendable, safe="/:,"),
        quote_plus(sendable),
    }
    return tuple(sorted(found, key=len, reverse=True))
