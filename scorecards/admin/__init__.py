"""Scorecards' part of the admin: edges that parse, call one service and shape the answer."""

from scorecards.admin import exemptions, initiatives, results, scorecards

__all__ = ["exemptions", "initiatives", "results", "scorecards"]
