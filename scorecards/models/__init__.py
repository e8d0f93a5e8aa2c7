"""Scorecards and what came of them; `scorecards.services` writes them, nobody else does."""

from scorecards.models.exemptions import Exemption
from scorecards.models.initiatives import Initiative, InitiativeDay, InitiativeItem
from scorecards.models.results import Evaluation, Rollup, Score, ScoreChange
from scorecards.models.scorecards import Rule, Scorecard, ScorecardVersion

__all__ = [
    "Evaluation",
    "Exemption",
    "Initiative",
    "InitiativeDay",
    "InitiativeItem",
    "Rollup",
    "Rule",
    "Score",
    "ScoreChange",
    "Scorecard",
    "ScorecardVersion",
]
