from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from catalog.models import StoredDocument
from catalog.models.fields import OrderedJSONField


class Scorecard(StoredDocument):
    """Levels, and the rules that lead to them.

    document: as it was sent, in the words of `dialect`; `scorecards.formats` reads it into a
    `Definition`. Without a blueprint it is about entities of several, as its filter says; with one
    it goes with it. title: of the document, to sort and search by. version: rises with each change
    of the document. next_slot: see `Rule`. evaluated_at, evaluated_version: of the last evaluation
    of all its entities. next_evaluation_at: when the next one is due; null while nothing is to be
    evaluated. error: why the last one failed. drops_told_at: until when owners were told of drops.
    """

    class Dialect(models.TextChoices):
        NATIVE = "native", "JSON of the API"
        CORTEX = "cortex", "Cortex YAML"

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        ACTIVE = "active", "Active"
        ARCHIVED = "archived", "Archived"

    blueprint = models.ForeignKey(
        "catalog.Blueprint", models.CASCADE, null=True, blank=True, related_name="+"
    )
    identifier = models.CharField(max_length=100)
    dialect = models.CharField(max_length=10, choices=Dialect.choices, default=Dialect.NATIVE)
    title = models.CharField(max_length=300, default="")
    state = models.CharField(max_length=10, choices=State.choices, default=State.ACTIVE)
    version = models.PositiveIntegerField(default=1)
    next_slot = models.PositiveIntegerField(default=0)
    evaluated_at = models.DateTimeField(null=True, editable=False)
    evaluated_version = models.PositiveIntegerField(null=True, editable=False)
    next_evaluation_at = models.DateTimeField(null=True, editable=False)
    error = models.TextField(blank=True, editable=False)
    drops_told_at = models.DateTimeField(null=True, editable=False)

    class Meta(StoredDocument.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["blueprint", "identifier"],
                name="scorecard_unique",
                nulls_distinct=False,
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_evaluation_at"],
                name="scorecard_due",
                condition=Q(next_evaluation_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.identifier


class ScorecardVersion(models.Model):
    """What a scorecard said from a moment on; results and history name the version they are of.

    levels: [{"title", "color"}], lowest first, the one everybody starts at included.
    """

    scorecard = models.ForeignKey(
        Scorecard, models.CASCADE, related_name="versions", db_index=False
    )
    version = models.PositiveIntegerField()
    dialect = models.CharField(max_length=10, choices=Scorecard.Dialect.choices)
    document: Any = OrderedJSONField(default=dict)
    levels: Any = OrderedJSONField(default=list)
    at = models.DateTimeField()
    by = models.CharField(max_length=300)

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(
                fields=["scorecard", "version"], name="scorecard_version_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scorecard_id} version {self.version}"


class Rule(models.Model):
    """A rule of a scorecard, as far as results and exemptions refer to it; what it asks is in the
    document.

    slot: the place of its letter in `Score.statuses`, its own for ever, so that results of
    different versions compare letter by letter. A rule that the document has no more keeps its row
    (removed_at), and takes it up again when it comes back. position: in the document. level: title
    of its level, "" for none. problem: why it cannot be evaluated ("xyz() is not supported").
    """

    scorecard = models.ForeignKey(Scorecard, models.CASCADE, related_name="rules", db_index=False)
    identifier = models.CharField(max_length=100)
    slot = models.PositiveIntegerField()
    position = models.PositiveIntegerField(default=0)
    title = models.TextField()
    level = models.CharField(max_length=300, blank=True)
    problem = models.TextField(blank=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["scorecard", "position"]
        constraints = [
            models.UniqueConstraint(fields=["scorecard", "identifier"], name="rule_unique"),
            models.UniqueConstraint(fields=["scorecard", "slot"], name="rule_slot_unique"),
        ]

    def __str__(self) -> str:
        return self.title
