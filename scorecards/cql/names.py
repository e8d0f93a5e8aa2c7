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

# Those of values: `x.length`.
METHOD_NAMES: Final = (
    "all",
    "any",
    "anyMatch",
    "average",
    "contains",
    "count",
    "endsWith",
    "filter",
    "fromNow",
    "isStable",
    "length",
    "lower",
    "map",
    "matches",
    "matchesIn",
    "max",
    "min",
    "startsWith",
    "sum",
    "upper",
)
