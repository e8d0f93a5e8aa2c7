"""Scorecards' part of the admin: edges that parse, call one service and shape the answer."""

from scorecards.admin import results, scorecards

__all__ = ["results", "scorecards"]
