"""Scorecards on an entity's page: the tab that says why, the card of the overview, and the card of
a team.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from catalog.models import TEAM, Entity
from catalog.portal.entity_tabs import Card, Tab
from catalog.portal.shell import PortalRequest
from catalog.selectors.kinds import Kind
from scorecards import cql
from scorecards.definition import percentage_of
from scorecards.models import Score, Scorecard, ScoreChange
from scorecards.portal.drawing import sparkline
from scorecards.portal.links import badge_url, scorecard_url
from scorecards.portal.words import Look, look_at, looks_of
from scorecards.selectors import history
from scorecards.selectors.results import (
    Explained,
    ExplainedRule,
    LevelCounts,
    counts_of_teams,
    explain_all,
    gaps_of_teams,
    ladders_of,
    next_steps,
    scores_of,
    visible_scorecards,
)
from scorecards.statuses import EXEMPT, NOT_APPLICABLE

REGRESSION_DAYS: Final = 7
REGRESSIONS: Final = 6
TEAM_GAPS: Final = 5


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule with what its row shows. is_in_the_way: of the next level. sources: (name, how to
    connect it) where there is no data."""

    rule: ExplainedRule
    is_in_the_way: bool
    exempt_url: str
    sources: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class LevelGroup:
    """The rules that lead to a level; look: None for those that give points only."""

    look: Look | None
    rules: Sequence[RuleView]
    is_reached: bool
    is_next: bool

    @property
    def passed(self) -> int:
        return sum(one.rule.status.is_passed for one in self.rules)

    @property
    def counted(self) -> int:
        return sum(one.rule.status.counts for one in self.rules)


@dataclass(frozen=True, slots=True)
class Section:
    """A scorecard of the entity."""

    explained: Explained
    url: str
    look: Look
    next: Look | None
    groups: Sequence[LevelGroup]
    announced: Sequence[RuleView]
    hidden: Sequence[RuleView]
    spark: SafeString
    badge: str


@dataclass(frozen=True, slots=True)
class Line:
    """A scorecard on the card of the overview. missing: rules in the way of `next`."""

    scorecard: Scorecard
    look: Look
    next: Look | None
    missing: int
    percentage: float | None
    exemptions: int


@dataclass(frozen=True, slots=True)
class TeamLine:
    """How what a team owns does on a scorecard."""

    scorecard: Scorecard
    looks: Sequence[Look]
    counts: LevelCounts


def is_shown(entity: Entity, kind: Kind) -> bool:
    return Score.objects.filter(
        entity=entity, scorecard__state__in=[Scorecard.State.ACTIVE, Scorecard.State.DRAFT]
    ).exists()


def tab_context(request: PortalRequest, entity: Entity, kind: Kind) -> Mapping[str, Any]:
    explained = explain_all(scores_of(entity, request.user))
    return {
        "sections": [_section(one) for one in explained],
        "steps": next_steps(explained),
    }


def card_context(request: PortalRequest, entity: Entity, kind: Kind) -> Mapping[str, Any] | None:
    scores = scores_of(entity, request.user)
    if not scores:
        return None
    ladders = ladders_of(one.scorecard for one in scores)
    lines = []
    for score in scores:
        ladder = ladders[score.scorecard_id]
        above = ladder.definition.next_level(score.rank)
        statuses = [status for _, status in ladder.statuses(score.statuses)]
        lines.append(
            Line(
                scorecard=score.scorecard,
                look=look_at(ladder.definition, score.rank),
                next=look_at(ladder.definition, score.rank + 1) if above else None,
                missing=len(ladder.missing(score.rank, score.statuses)),
                percentage=percentage_of(score.points, score.total),
                exemptions=sum(one is EXEMPT for one in statuses),
            )
        )
    return {"lines": lines}


def team_context(request: PortalRequest, entity: Entity, kind: Kind) -> Mapping[str, Any] | None:
    """Of what a team owns: shares at each level, what fell this week, what is nearest."""
    if kind.identifier != TEAM:
        return None
    active = [
        one for one in visible_scorecards(request.user) if one.state == Scorecard.State.ACTIVE
    ]
    counts = counts_of_teams(active, request.user, [entity.identifier]) if active else {}
    if not counts:
        return None
    owned = Entity.objects.visible_to(request.user).owned_by([entity.identifier])
    since = timezone.now() - timedelta(days=REGRESSION_DAYS)
    fallen = history.regressions(active, since=since, entities=owned.values("pk"))
    ladders = ladders_of(one for one in active if one.pk in counts)
    return {
        "lines": [
            TeamLine(ladder.scorecard, looks_of(ladder.definition), counts[pk])
            for pk, ladder in ladders.items()
        ],
        "fallen": _named(request, fallen[:REGRESSIONS]),
        "gaps": gaps_of_teams(request.user, [entity.identifier], limit=TEAM_GAPS),
        "days": REGRESSION_DAYS,
    }


def _named(request: PortalRequest, changes: Iterable[ScoreChange]) -> list[tuple[str, ScoreChange]]:
    """Changes with what their entities are called; one statement."""
    changes = list(changes)
    known = Entity.objects.visible_to(request.user).filter(pk__in=[c.entity_id for c in changes])
    names = {one.pk: str(one) for one in known.only("title", "identifier")}
    return [(names.get(one.entity_id, one.identifier), one) for one in changes]


TAB: Final = Tab("scorecards", "Scorecards", "scorecards/entity_tab.html", is_shown, tab_context)
CARD: Final = Card("scorecards", "scorecards/entity_card.html", card_context)
TEAM_CARD: Final = Card("team-scorecards", "scorecards/team_card.html", team_context)


def _section(explained: Explained) -> Section:
    definition, rank = explained.definition, explained.rank
    views = [_view(explained, rule) for rule in explained.rules]
    shown = [one for one in views if one.rule.status is not NOT_APPLICABLE]
    counting = [one for one in shown if one.rule.announced_from is None]
    above = range(rank + 1, len(definition.levels))
    ranks: list[int | None] = [*above, *range(rank, -1, -1), None]  # what is next comes first
    groups = [
        LevelGroup(
            look=look_at(definition, at) if at is not None else None,
            rules=[one for one in counting if one.rule.rank == at],
            is_reached=at is not None and at <= rank,
            is_next=at is not None and at == rank + 1,
        )
        for at in ranks
    ]
    moments = list(explained.ranks)
    if moments:
        moments.append((timezone.now(), rank))
    return Section(
        explained=explained,
        url=scorecard_url(explained.scorecard),
        look=look_at(definition, rank),
        next=look_at(definition, rank + 1) if explained.next_level else None,
        groups=[one for one in groups if one.rules],
        announced=[one for one in shown if one.rule.announced_from is not None],
        hidden=[one for one in views if one.rule.status is NOT_APPLICABLE],
        spark=sparkline(moments, looks_of(definition)) if definition.has_levels else SafeString(),
        badge=badge_url(
            explained.scorecard,
            explained.entity.blueprint.identifier,
            explained.entity.identifier,
        ),
    )


def _view(explained: Explained, rule: ExplainedRule) -> RuleView:
    may_ask = (
        rule.is_open and explained.definition.exemptions_enabled and not rule.is_exemption_asked
    )
    return RuleView(
        rule=rule,
        is_in_the_way=rule in explained.missing,
        exempt_url=_exempt_url(explained, rule) if may_ask else "",
        sources=sources_of(rule),
    )


def sources_of(rule: ExplainedRule) -> list[tuple[str, str]]:
    """What a rule without data looks at: (name, how to connect it)."""
    if not rule.lacks_data:
        return []
    known = {name: cql.SOURCES.get(name) for name in rule.sources}
    return [(one.title if one else name, one.hint if one else "") for name, one in known.items()]


def _exempt_url(explained: Explained, rule: ExplainedRule) -> str:
    entity = explained.entity
    about = {
        "scorecard": explained.scorecard.pk,
        "rule": rule.spec.identifier,
        "blueprint": entity.blueprint.identifier,
        "entity": entity.identifier,
    }
    return f"{reverse('scorecards:exempt')}?{urlencode(about)}"
