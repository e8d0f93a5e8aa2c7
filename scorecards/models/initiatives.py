from __future__ import annotations

from typing import Any

from django.db import models

from catalog.models.fields import OrderedJSONField
from scorecards.models.scorecards import Scorecard


class Initiative(models.Model):
    """A goal on a scorecard: by a date, these rules pass or this level is reached, everywhere.

    identifier: "in" and 16 hex digits. rules: identifiers of rules. rank: of the level to reach;
    null for none. filter: which entities of the scorecard it is about ({"query": a search, …} or a
    Cortex filter; see `scorecards.services.initiatives`); null for all. is_fixed: those that are in
    it at its start, else whoever fits today. milestones: [{"title", "on": date, "percent"}].
    reminders: {"isDisabled", "timeInterval", "timeUnit", "replyToEmails"}. owner: an e-mail address
    or the identifier of a team. baseline: {"entities", "done", "open"} as it began.
    """

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        RUNNING = "running", "Running"
        ENDED = "ended", "Ended"
        CANCELLED = "cancelled", "Cancelled"

    scorecard = models.ForeignKey(Scorecard, models.CASCADE, related_name="initiatives")
    identifier = models.CharField(max_length=18, unique=True)
    title = models.CharField(max_length=300)
    description = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    rules: Any = models.JSONField(default=list)
    rank = models.PositiveSmallIntegerField(null=True, blank=True)
    filter: Any = OrderedJSONField(null=True, blank=True)
    is_fixed = models.BooleanField(default=False)
    starts_on = models.DateField()
    target_on = models.DateField()
    milestones: Any = OrderedJSONField(default=list, blank=True)
    reminders: Any = OrderedJSONField(default=dict, blank=True)
    owner = models.CharField(max_length=300, blank=True)
    baseline: Any = models.JSONField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    reminded_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    created_by = models.CharField(max_length=300, editable=False)
    updated_at = models.DateTimeField(editable=False)
    updated_by = models.CharField(max_length=300, editable=False)

    class Meta:
        ordering = ["target_on", "pk"]

    def __str__(self) -> str:
        return self.title


class InitiativeItem(models.Model):
    """An entity that an initiative is about, from joined_at until left_at.

    open: how many of its targets are missing. done_at: since when none is. is_regressed: it was
    done before and is not now. is_exempt: done only since exemptions hold.
    """

    initiative = models.ForeignKey(Initiative, models.CASCADE, related_name="items", db_index=False)
    entity_id = models.BigIntegerField()
    blueprint = models.CharField(max_length=100)
    identifier = models.CharField(max_length=1000)
    joined_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True)
    open = models.PositiveIntegerField(default=0)
    done_at = models.DateTimeField(null=True)
    is_regressed = models.BooleanField(default=False)
    is_exempt = models.BooleanField(default=False)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["initiative", "entity_id"], name="initiative_item_unique"
            ),
        ]
        indexes = [models.Index(fields=["entity_id"], name="initiative_item_entity")]

    def __str__(self) -> str:
        return f"{self.blueprint}:{self.identifier}"


class InitiativeDay(models.Model):
    """Where an initiative stood at the end of a day (today: until now). open: missing targets of
    all entities together."""

    initiative = models.ForeignKey(Initiative, models.CASCADE, related_name="days", db_index=False)
    day = models.DateField()
    entities = models.PositiveIntegerField()
    done = models.PositiveIntegerField()
    open = models.PositiveIntegerField()
    exempt = models.PositiveIntegerField(default=0)
    regressed = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["day"]
        constraints = [
            models.UniqueConstraint(fields=["initiative", "day"], name="initiative_day_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.initiative_id} on {self.day}"
