"""How entities do on scorecards: for one entity why, for many how many."""

from scorecards.selectors.results.explaining import (
    STALE_WINDOWS,
    Explained,
    ExplainedPart,
    ExplainedRule,
    Past,
    assemble,
    explain,
    explain_all,
    seen_at,
)
from scorecards.selectors.results.ladders import Ladder, Rung, ladder_of, ladders_of
from scorecards.selectors.results.lists import Narrowing, narrowed, scores_in_order
from scorecards.selectors.results.steps import Gap, NextStep, gaps_of, gaps_of_teams, next_steps
from scorecards.selectors.results.tallies import (
    LevelCounts,
    RuleTally,
    Tally,
    counts_by_level,
    counts_of_teams,
    distribution,
    tallies_of,
)
from scorecards.selectors.results.visibility import (
    find_scorecard,
    is_owner,
    may_edit,
    scores_of,
    shows_all_teams,
    visible_scorecards,
    visible_scores,
)

__all__ = [
    "STALE_WINDOWS",
    "Explained",
    "ExplainedPart",
    "ExplainedRule",
    "Gap",
    "Ladder",
    "LevelCounts",
    "Narrowing",
    "NextStep",
    "Past",
    "RuleTally",
    "Rung",
    "Tally",
    "assemble",
    "counts_by_level",
    "counts_of_teams",
    "distribution",
    "explain",
    "explain_all",
    "find_scorecard",
    "gaps_of",
    "gaps_of_teams",
    "is_owner",
    "ladder_of",
    "ladders_of",
    "may_edit",
    "narrowed",
    "next_steps",
    "scores_in_order",
    "scores_of",
    "seen_at",
    "shows_all_teams",
    "tallies_of",
    "visible_scorecards",
    "visible_scores",
]
