"""Proof that an event comes from whom it says: what a shared secret makes of it, in a header."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from catalog.kernel.errors import NotAuthenticated
from catalog.kernel.source import Event

PLAIN: Final = "plain"  # the proof is the secret itself

_DIGESTS: Final = {"sha1": hashlib.sha1, "sha256": hashlib.sha256}


def check_proof(
    event: Event,
    secret: str | None,
    *,
    header: str,
    prefix: str = "",
    algorithm: str = "sha256",
    may_be_several: bool = False,
) -> None:
    """Check the proof in `header`, in constant time. Raises NotAuthenticated.

    algorithm: "sha1" or "sha256", the HMAC of the body in hexadecimal digits, or `PLAIN`. prefix:
    what stands before the proof, in any case; senders may leave it out. may_be_several: with
    commas between them; one has to fit (senders do so while a secret is replaced).
    """
    if not secret:  # with an empty one anybody could sign
        raise NotAuthenticated(
            "This source has no secret for live events, so no event can be trusted",
            hint="Enter one in its settings, and the same one at the sender.",
        )
    given = event.headers.get(header.lower())
    if not given:
        raise NotAuthenticated(f"The event is not signed: the header {header} is missing")
    proofs = [_bare(one, prefix) for one in (given.split(",") if may_be_several else [given])]
    if algorithm == PLAIN:
        expected = secret
    else:
        expected = hmac.new(secret.encode(), event.body, _DIGESTS[algorithm]).hexdigest()
        proofs = [one.lower() for one in proofs]
    if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in proofs):
        raise NotAuthenticated(f"{header} does not fit the secret of this source")


def _bare(given: str, prefix: str) -> str:
    text = given.strip()
    has_prefix = text[: len(prefix)].lower() == prefix.lower()
    return text[len(prefix) :].strip() if has_prefix else text
