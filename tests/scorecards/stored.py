"""Scorecards and results as rows, for tests of what reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from catalog.models import Blueprint, Entity
from scorecards.models import Rule, Score, Scorecard, ScorecardVersion, ScoreChange

LEVELS = ("Basic", "Bronze", "Gold")
QUERY = {"combinator": "and", "conditions": [{"property": "$title", "operator": "isNotEmpty"}]}
START = datetime(2026, 1, 1, tzinfo=UTC)


def make_scorecard(
    identifier: str = "production",
    *,
    blueprint: Blueprint | None = None,
    levels: tuple[str, ...] = LEVELS,
    rules: dict[str, str] | None = None,
    **fields: Any,
) -> Scorecard:
    """rules: level by identifier, in slots from 0."""
    rules = {"owner": levels[1], "docs": levels[-1]} if rules is None else rules
    document = {
        "title": identifier.title(),
        "levels": [{"title": title, "color": "gold"} for title in levels],
        "rules": [
            {"identifier": name, "title": name.title(), "level": level, "query": QUERY}
            for name, level in rules.items()
        ],
    }
    signed = {"created_at": START, "created_by": "t", "updated_at": START, "updated_by": "t"}
    scorecard = Scorecard.objects.create(
        identifier=identifier,
        blueprint=blueprint,
        title=document["title"],
        document=document,
        next_slot=len(rules),
        **{"evaluated_version": 1, "evaluated_at": START, **signed, **fields},
    )
    Rule.objects.bulk_create(
        Rule(
            scorecard=scorecard,
            identifier=name,
            title=name.title(),
            level=level,
            slot=n,
            position=n,
        )
        for n, (name, level) in enumerate(rules.items())
    )
    ScorecardVersion.objects.create(
        scorecard=scorecard,
        version=scorecard.version,
        dialect="native",
        document=document,
        levels=document["levels"],
        at=START,
        by="t",
    )
    return scorecard


def make_score(scorecard: Scorecard, entity: Entity, statuses: str, rank: int = 0) -> Score:
    titles = [one["title"] for one in scorecard.document["levels"]]
    return Score.objects.create(
        scorecard=scorecard,
        entity=entity,
        statuses=statuses,
        rank=rank,
        level=titles[rank],
        points=statuses.count("P"),
        total=sum(one in "PFNE" for one in statuses),
        version=scorecard.version,
        evaluated_at=START,
        data_as_of=START,
        since=START,
    )


def make_change(
    scorecard: Scorecard,
    entity: int,
    at: datetime,
    was: tuple[str, int] | None,
    now: tuple[str, int] | None,
    **fields: Any,
) -> ScoreChange:
    """An unsaved change. was, now: statuses and rank."""
    titles = [one["title"] for one in scorecard.document["levels"]]
    return ScoreChange(
        scorecard=scorecard,
        entity_id=entity,
        at=at,
        was_statuses=was and was[0],
        was_rank=was and was[1],
        was_level=was and titles[was[1]],
        statuses=now and now[0],
        rank=now and now[1],
        level=now and titles[now[1]],
        **{
            "blueprint": "service",
            "identifier": f"e{entity}",
            "version": scorecard.version,
            "cause": ScoreChange.Cause.DATA,
            **fields,
        },
    )
