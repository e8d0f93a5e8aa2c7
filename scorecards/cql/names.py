"""The words of the language that are not names of sources."""

from __future__ import annotations

from typing import Final

# Those that stand alone: `hasGroup("tier-1")`.
FUNCTION_NAMES: Final = (
    "captures",
    "computed",
    "custom",
    "customEvents",
    "customMetrics",
    "date",
    "deploys",
    "duration",
    "groups",
    "hasGroup",
    "jq",
    "level",
    "links",
    "now",
    "property",
    "related",
    "relation",
    "semver",
)
