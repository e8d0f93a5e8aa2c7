"""Teams and people on the portal's pages: who belongs together, and what they own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from catalog.kernel.actors import Principal
from catalog.models import TEAM, USER, Blueprint, Entity
from catalog.portal.links import table_url
from catalog.selectors.catalogue import owned_by_kind
from catalog.selectors.entity_page import RelatedGroup, RelatedRow

OWNED_ROWS: Final = 8
MAX_TEAMS_IN_URL: Final = 20


@dataclass(frozen=True, slots=True)
class OwnedKind:
    """What teams own of a kind: how much, the first of it, and where the rest is."""

    blueprint: Blueprint
    count: int
    things: Sequence[Entity]
    url: str


@dataclass(frozen=True, slots=True)
class Circle:
    """The people and teams around a team or a person; each only once."""

    members: Sequence[RelatedRow]
    teams: Sequence[RelatedRow]
    subteams: Sequence[RelatedRow]
    parents: Sequence[RelatedRow]


def owned(principal: Principal, teams: Sequence[str], limit: int = OWNED_ROWS) -> list[OwnedKind]:
    return [
        OwnedKind(blueprint, count, things, owned_url(blueprint.identifier, teams))
        for blueprint, count, things in owned_by_kind(principal, teams, limit=limit)
    ]


def owned_url(blueprint: str, teams: Sequence[str]) -> str:
    """The table of a kind, narrowed to what any of the teams owns."""
    pairs = [("f", f"$team:has:{team}") for team in teams[:MAX_TEAMS_IN_URL]]
    return f"{table_url(blueprint)}?{urlencode(pairs)}"


def circle_of(
    outgoing: Sequence[RelatedGroup],
    incoming: Sequence[RelatedGroup],
    *,
    is_team: bool,
) -> Circle:
    """Out of the edges both ways: membership and the team tree may be stated at either end."""

    def others(blueprint: str, out: str, into: str) -> list[RelatedRow]:
        rows = [
            r for g in outgoing if (g.relation, g.blueprint) == (out, blueprint) for r in g.rows
        ]
        rows += [
            r for g in incoming if (g.relation, g.blueprint) == (into, blueprint) for r in g.rows
        ]
        return list({(r.target.blueprint, r.target.identifier): r for r in rows}.values())

    if is_team:
        return Circle(
            members=others(USER, "members", "team"),
            teams=[],
            subteams=others(TEAM, "children", "parent"),
            parents=others(TEAM, "parent", "children"),
        )
    return Circle(members=[], teams=others(TEAM, "team", "members"), subteams=[], parents=[])
