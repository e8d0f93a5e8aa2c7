"""Scorecards as they were described. `scorecards.services` writes them."""

from __future__ import annotations

from django.db import models

from catalog.models import StoredDocument


class Scorecard(StoredDocument):
    """Levels, and the rules that lead to them, for the entities of a blueprint.

    document: {"title", "levels", "rules", "filter", …}; the order of levels is their rank. It
    goes with its blueprint.
    """

    blueprint = models.ForeignKey("catalog.Blueprint", models.CASCADE, related_name="+")
    identifier = models.CharField(max_length=100)

    class Meta(StoredDocument.Meta):
        constraints = [
            models.UniqueConstraint(fields=["blueprint", "identifier"], name="scorecard_unique"),
        ]
