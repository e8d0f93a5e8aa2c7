"""Teams, kinds and domains beside each other: how large a share of theirs is at each level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from catalog.kernel.actors import Principal
from catalog.models import Entity
from catalog.portal.links import entity_url, table_url
from catalog.selectors.kinds import load_kinds
from catalog.selectors.tables import owner_titles
from catalog.selectors.teams import teams_of
from scorecards.models import Rollup
from scorecards.selectors.results import (
    Ladder,
    RuleTally,
    Rung,
    Tally,
    shows_all_teams,
    tallies_of,
)
from scorecards.selectors.rollups import of_teams

KINDS: Final[Mapping[str, str]] = {
    Rollup.Kind.TEAM: "Teams",
    Rollup.Kind.DOMAIN: "Domains",
    Rollup.Kind.BLUEPRINT: "Kinds",
}
_NONE: Final[Mapping[str, str]] = {
    Rollup.Kind.TEAM: "Without an owner",
    Rollup.Kind.DOMAIN: "In no domain",
    Rollup.Kind.BLUEPRINT: "Others",
}


@dataclass(frozen=True, slots=True)
class GroupRow:
    """url: "" where there is nothing to open. is_mine: a team of whoever looks."""

    identifier: str
    title: str
    url: str
    tally: Tally
    cells: Sequence[tuple[Rung, RuleTally]]
    is_mine: bool = False

    @property
    def percentage(self) -> float | None:
        return self.tally.percentage


@dataclass(frozen=True, slots=True)
class Groups:
    """is_whole: whether it shows more teams than those of whoever looks."""

    rows: Sequence[GroupRow]
    is_whole: bool


def groups_of(ladder: Ladder, principal: Principal, kind: str) -> Groups:
    """Highest share of points first; what belongs to nobody comes last."""
    is_team = kind == Rollup.Kind.TEAM
    mine = _own_teams(principal) if is_team else []
    is_whole = not is_team or shows_all_teams(ladder.scorecard, principal)
    tallies = tallies_of(ladder.scorecard, principal, kind, only=None if is_whole else mine)
    return Groups(_rows(ladder, principal, kind, tallies, mine), is_whole)


def teams_with_subteams(ladder: Ladder, principal: Principal) -> Groups:
    """As `groups_of` teams, each with what the teams below it own: an entity counts once for each
    team above. Levels and points only: nothing is counted by rule."""
    mine = _own_teams(principal)
    is_whole = shows_all_teams(ladder.scorecard, principal)
    ranks = {level.title: rank for rank, level in enumerate(ladder.definition.levels)}
    tallies = {
        one.group: Tally(
            entities=one.entities,
            ranks=Counter({ranks[title]: n for title, n in one.levels.items() if title in ranks}),
            points=one.points,
            total=one.total,
        )
        for one in of_teams(ladder.scorecard)
        if is_whole or one.group in mine
    }
    return Groups(_rows(ladder, principal, Rollup.Kind.TEAM, tallies, mine), is_whole)


def _own_teams(principal: Principal) -> list[str]:
    return teams_of(getattr(principal, "email", "") or "")


def _rows(
    ladder: Ladder,
    principal: Principal,
    kind: str,
    tallies: Mapping[str, Tally],
    mine: Collection[str],
) -> list[GroupRow]:
    titles = _titles(principal, kind, [name for name in tallies if name])
    rows = [
        GroupRow(
            identifier=name,
            title=titles[name][0] if name else _NONE[kind],
            url=titles[name][1] if name else "",
            tally=tally,
            cells=[(rung, tally.of_rule(rung.slot)) for rung in ladder.rungs],
            is_mine=name in mine,
        )
        for name, tally in tallies.items()
    ]
    rows.sort(key=lambda row: (not row.identifier, -(row.percentage or 0), row.title.lower()))
    return rows


def _titles(principal: Principal, kind: str, names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """(title, address) of groups; one statement."""
    if kind == Rollup.Kind.TEAM:
        teams = owner_titles(principal, [names])
        return {
            name: (one.label, "" if one.is_missing else entity_url(one.blueprint, name))
            for name, one in teams.items()
        }
    if kind == Rollup.Kind.BLUEPRINT:
        kinds = load_kinds()
        found = {name: kinds.get(name) for name in names}
        return {name: (one.title if one else name, table_url(name)) for name, one in found.items()}
    domains = Entity.objects.visible_to(principal).filter(
        blueprint__identifier="domain", identifier__in=names
    )
    known = {
        identifier: (title or identifier, entity_url("domain", identifier))
        for identifier, title in domains.values_list("identifier", "title")
    }
    return {name: known.get(name, (name, "")) for name in names}
