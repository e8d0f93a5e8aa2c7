from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from catalog.models import Entity
from scorecards.models.scorecards import Scorecard


class Score(models.Model):
    """How an entity does on a scorecard, now.

    statuses: a letter for each rule, at the place of its `Rule.slot`; `scorecards.statuses` says
    what they mean. rank: of the level reached, 0 the one everybody starts at; level: its title
    ("" for "no level yet"). points of total: weights passed and weights counted; no score while
    total is 0. evidence: see `scorecards.rules.evidence`. evaluated_at: when it last
    came out differently, or was evaluated by itself; the scorecard's own evaluated_at counts too.
    data_as_of: the newest thing the rules looked at. since: when statuses or level last changed.
    is_mirrored: the `_rule_result` entities say the same.
    """

    scorecard = models.ForeignKey(Scorecard, models.CASCADE, related_name="scores", db_index=False)
    # Entities are deleted by SQL; the score goes when that is evaluated, and leaves a ScoreChange.
    entity = models.ForeignKey(
        Entity, models.DO_NOTHING, related_name="scores", db_constraint=False
    )
    statuses = models.TextField()
    rank = models.PositiveSmallIntegerField(default=0)
    level = models.CharField(max_length=300, blank=True)
    points = models.DecimalField(max_digits=14, decimal_places=3, default=0)
    total = models.DecimalField(max_digits=14, decimal_places=3, default=0)
    evidence: Any = models.JSONField(default=list)
    version = models.PositiveIntegerField()
    evaluated_at = models.DateTimeField()
    data_as_of = models.DateTimeField()
    since = models.DateTimeField()
    is_mirrored = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scorecard", "entity"], name="score_unique"),
        ]
        indexes = [
            models.Index(fields=["scorecard", "rank", "id"], name="score_rank"),
            models.Index(
                fields=["scorecard", "id"],
                name="score_to_mirror",
                condition=Q(is_mirrored=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entity_id} on {self.scorecard_id}: {self.level}"


class ScoreChange(models.Model):
    """The append-only history of scores: one row each time statuses or level of an entity changed.

    What was before is null for an entity that came into the scorecard, what is now for one that
    left it. The entity may be gone by now: blueprint and identifier say which it was. cause: what
    brought it about. The level of an entity on a day is that of its last row until then.
    """

    class Cause(models.TextChoices):
        DATA = "data", "The data changed"
        RULES = "rules", "The rules changed"
        EXEMPTION = "exemption", "An exemption began or ended"
        TIME = "time", "Time went by"

    scorecard = models.ForeignKey(Scorecard, models.CASCADE, related_name="changes", db_index=False)
    entity_id = models.BigIntegerField()
    blueprint = models.CharField(max_length=100)
    identifier = models.CharField(max_length=1000)
    at = models.DateTimeField()
    version = models.PositiveIntegerField()
    cause = models.CharField(max_length=10, choices=Cause.choices)
    was_statuses = models.TextField(null=True)  # noqa: DJ001 - null: it was not there
    statuses = models.TextField(null=True)  # noqa: DJ001 - null: it is gone
    was_rank = models.PositiveSmallIntegerField(null=True)
    rank = models.PositiveSmallIntegerField(null=True)
    was_level = models.CharField(max_length=300, null=True)  # noqa: DJ001
    level = models.CharField(max_length=300, null=True)  # noqa: DJ001
    points = models.DecimalField(max_digits=14, decimal_places=3, null=True)
    total = models.DecimalField(max_digits=14, decimal_places=3, null=True)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["scorecard", "entity_id", "at", "id"], name="score_change_entity"),
            models.Index(fields=["scorecard", "at", "id"], name="score_change_at"),
        ]

    def __str__(self) -> str:
        return f"{self.blueprint}:{self.identifier} {self.was_level} -> {self.level}"


class Evaluation(models.Model):
    """One evaluation of all entities of a scorecard.

    entities: how many it is about. changed: of how many statuses or level came out differently;
    raised, lowered: in their level; entered, left: came in or went. error: why it failed.
    """

    scorecard = models.ForeignKey(
        Scorecard, models.CASCADE, related_name="evaluations", db_index=False
    )
    version = models.PositiveIntegerField()
    cause = models.CharField(max_length=10, choices=ScoreChange.Cause.choices)
    by = models.CharField(max_length=300, blank=True)
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField(default=0)
    entities = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    raised = models.PositiveIntegerField(default=0)
    lowered = models.PositiveIntegerField(default=0)
    entered = models.PositiveIntegerField(default=0)
    left = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["scorecard", "-id"], name="evaluation_scorecard")]

    def __str__(self) -> str:
        return f"evaluation {self.pk} of {self.scorecard_id}"


class Rollup(models.Model):
    """How the entities of a group did on a scorecard at the end of a day (today: until now).

    kind, group: "all" and "", or "team", "blueprint", "domain" and its identifier ("" for entities
    that have none). ranks: entities at each rank. rules: {slot: {letter: entities}}. points of
    total: sums over the entities.
    """

    class Kind(models.TextChoices):
        ALL = "all"
        TEAM = "team"
        BLUEPRINT = "blueprint"
        DOMAIN = "domain"

    scorecard = models.ForeignKey(Scorecard, models.CASCADE, related_name="rollups", db_index=False)
    day = models.DateField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    group = models.CharField(max_length=1000, blank=True)
    version = models.PositiveIntegerField()
    entities = models.PositiveIntegerField()
    ranks: Any = models.JSONField(default=list)
    rules: Any = models.JSONField(default=dict)
    points = models.DecimalField(max_digits=18, decimal_places=3)
    total = models.DecimalField(max_digits=18, decimal_places=3)

    class Meta:
        ordering = ["day"]
        constraints = [
            models.UniqueConstraint(
                fields=["scorecard", "kind", "group", "day"], name="rollup_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scorecard_id} {self.kind} {self.group} on {self.day}"
