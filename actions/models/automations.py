from __future__ import annotations

from typing import Any

from django.db import models

from catalog.models.fields import OrderedJSONField


class Firing(models.Model):
    """What became of an event that an automation listens to.

    event: as the condition saw it. change: (transaction, id) of the feed's row, or the moment of a
    schedule or timer, as text; the same one never fires twice. reason: why nothing was started.
    """

    class Outcome(models.TextChoices):
        STARTED = "STARTED", "Started a run"
        FAILED = "FAILED", "Could not start"
        STOPPED = "STOPPED", "Stopped: a loop"

    action = models.ForeignKey("actions.Action", models.CASCADE, related_name="firings")
    change = models.CharField(max_length=200)
    event: Any = OrderedJSONField()
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    reason = models.TextField(blank=True)
    run = models.ForeignKey("actions.Run", models.SET_NULL, null=True, related_name="+")
    depth = models.PositiveSmallIntegerField(default=0)
    at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["action", "change"], name="firing_once"),
        ]

    def __str__(self) -> str:
        return f"{self.action} at {self.at:%Y-%m-%d %H:%M}"


class Timer(models.Model):
    """When a property of an entity with the format "timer" runs out. Gone once it has been told."""

    # the migration makes it ON DELETE CASCADE: entities are deleted by SQL
    entity = models.ForeignKey(
        "catalog.Entity", models.CASCADE, related_name="+", db_constraint=False
    )
    property = models.CharField(max_length=100)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["expires_at"]
        constraints = [
            models.UniqueConstraint(fields=["entity", "property"], name="timer_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.property} at {self.expires_at:%Y-%m-%d %H:%M}"
