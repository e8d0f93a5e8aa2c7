"""Scorecards as they were described. `scorecards.services` writes them."""

from __future__ import annotations

from typing import Any

from django.db import models

from catalog.models.fields import OrderedJSONField


class Scorecard(models.Model):
    """Levels, and the rules that lead to them, for the entities of a blueprint.

    document: all that was sent beside the identifier ({"title", "levels", "rules", "filter",
    …}), as it was written: the order of levels is their rank. It goes with its blueprint.
    """

    blueprint = models.ForeignKey("catalog.Blueprint", models.CASCADE, related_name="+")
    identifier = models.CharField(max_length=100)
    document: Any = OrderedJSONField(default=dict)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=300)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["blueprint", "identifier"], name="scorecard_unique"),
        ]

    def __str__(self) -> str:
        return str(self.document.get("title") or self.identifier)
