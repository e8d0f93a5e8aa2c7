"""Is this file a catalogue file? A folder also holds API texts, manifests and settings."""

from __future__ import annotations

import re
from typing import Any

from catalog.dialects.backstage.kinds import BY_LOWER_NAME

_KINDS = "|".join(BY_LOWER_NAME)
_MAYBE = re.compile(
    rb"backstage\.io|^[\s\-{,]*[\"']?kind[\"']?\s*:\s*[\"']?(?:" + _KINDS.encode() + rb")\b",
    re.I | re.M,
)
_SURELY = re.compile(
    rb"^[\s{]*[\"']?apiVersion[\"']?\s*:\s*[\"']?(?:scaffolder\.)?backstage\.io/", re.M
)


def may_hold_entities(content: bytes) -> bool:
    """A quick look at the text, to leave most other files unparsed."""
    return _MAYBE.search(content) is not None


def surely_holds_entities(content: bytes) -> bool:
    """The same for a text that does not parse."""
    return _SURELY.search(content) is not None


def is_entity(document: Any) -> bool:
    """Whether a document means to be an entity of Backstage, be it valid or not.

    Other systems have documents with apiVersion and kind, and even kinds of the same name; their
    apiVersion names another group than Backstage's.
    """
    if not isinstance(document, dict):
        return False
    version, kind = document.get("apiVersion"), document.get("kind")
    if isinstance(version, str) and "backstage.io" in version:
        return True
    is_named = isinstance(kind, str) and kind.lower() in BY_LOWER_NAME
    return is_named and not (isinstance(version, str) and "/" in version)
