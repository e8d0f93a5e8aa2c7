"""Groups of entities and the names of their kinds, as Cortex has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db.models import F, Value

from catalog.models import TEAM, USER
from catalog.selectors.kinds import Kinds
from catalog.selectors.sql import NOTHING, Sql, any_of
from scorecards.cql.sources import described, fact
from scorecards.cql.terms import jsonb

# Groups are the labels without a value: the fact "groups", what the descriptor says, and the
# properties "groups" and "tags".
_PLACES: Final[tuple[Any, ...]] = (
    fact("groups"),
    described(("info", "x-cortex-groups")),
    Sql("({} -> 'groups')", F("properties")),
    Sql("({} -> 'tags')", F("properties")),
)

# A jsonb list of texts: the groups of an entity.
GROUPS: Final = jsonb(
    "(SELECT coalesce(jsonb_agg(DISTINCT to_jsonb(g.name)), '[]') FROM ("  # noqa: S608
    + " UNION ALL ".join(
        ["SELECT x FROM jsonb_path_query(coalesce({}, '[]'::jsonb), 'lax $[*]') AS x"]
        * len(_PLACES)
    )
    + ") AS found CROSS JOIN LATERAL (SELECT found.x #>> '{{}}' AS name) AS g "
    "WHERE jsonb_typeof(found.x) = 'string')",
    *_PLACES,
)

# Cortex's categories, of the time before it had types.
_CATEGORIES: Final = {
    "SERVICE": ("service", "component"),
    "DOMAIN": ("domain",),
    "TEAM": ("team", "group", TEAM),
}
_RESOURCE: Final = "RESOURCE"
# What a type of Cortex is called here.
_SYSTEM_NAMES: Final = {"team": TEAM, "group": TEAM, "user": USER}


def has_group(names: str | Sequence[str]) -> Any:
    """The condition on Entity: it is in one of these groups. Never NULL."""
    wanted = [names] if isinstance(names, str) else [*names]
    if not wanted:
        return NOTHING
    return any_of(
        Sql(
            "coalesce(jsonb_typeof({}) <> 'object' AND jsonb_exists_any({}, {}::text[]), false)",
            place,
            place,
            Value(wanted),
        )
        for place in _PLACES
    )


def types_of(names: Sequence[str], kinds: Kinds) -> set[int]:
    """The blueprints (pks) of these types, without regard to case: "team" is `_team` too.

    SERVICE, DOMAIN, TEAM and RESOURCE, in capitals, are Cortex's categories.
    """
    found: set[int] = set()
    for name in names:
        if name == _RESOURCE:
            others = {one for group in _CATEGORIES.values() for one in group}
            found |= {
                kind.pk
                for kind in kinds
                if kind.identifier.lower() not in others and not kind.identifier.startswith("_")
            }
            continue
        lower = name.lower()
        meant = {*_CATEGORIES.get(name, ()), lower, _SYSTEM_NAMES.get(lower, lower)}
        found |= {kind.pk for kind in kinds if kind.identifier.lower() in meant}
    return found


# What Cortex calls a blueprint: `_team` is a team. {0} is the identifier.
TYPE_NAME: Final = "(CASE {0} WHEN '_team' THEN 'team' WHEN '_user' THEN 'user' ELSE {0} END)"
