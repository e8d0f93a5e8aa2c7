from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from catalog.models.fields import OrderedJSONField


class DataMigration(models.Model):
    """Entities of one blueprint, made into entities of another by a mapping; a run like others.

    mapping: Port's ({"blueprint", "filter", "itemsToParse", "entity"}), as it was written. cursor,
    last: the pk of the entity that was done last, and of the last one there was at the start.
    filtered: source entities that the filter leaves out. attempts: how often a worker took it up
    since it last came on. failures: the first ones, [{"entity", "blueprint", "identifier",
    "field", "message"}], entity being the identifier of the source.
    """

    PREFIX: ClassVar[str] = "mig_"  # before the pk, where clients name it
    KEPT_FAILURES: ClassVar[int] = 100

    class Status(models.TextChoices):
        PENDING = "PENDING"
        RUNNING = "RUNNING"
        COMPLETED = "COMPLETED"
        FAILURE = "FAILURE"
        PENDING_CANCELLATION = "PENDING_CANCELLATION"
        CANCELLED = "CANCELLED"

    source_blueprint = models.CharField(max_length=100)
    mapping = OrderedJSONField()
    status = models.CharField(max_length=30, choices=Status.choices, default=Status.PENDING)
    actor_kind = models.CharField(max_length=20)
    actor = models.CharField(max_length=300)
    cursor = models.BigIntegerField(default=0)
    last = models.BigIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    success_count = models.PositiveIntegerField(default=0)
    failure_count = models.PositiveIntegerField(default=0)
    filtered = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    failures = models.JSONField(default=list)
    reason = models.TextField(blank=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"migration {self.pk} of {self.source_blueprint}"

    @property
    def name(self) -> str:
        """What clients and the change feed call it."""
        return f"{self.PREFIX}{self.pk}"

    @property
    def is_finished(self) -> bool:
        return self.status in self.finished()

    @classmethod
    def finished(cls) -> tuple[str, ...]:
        return (cls.Status.COMPLETED, cls.Status.FAILURE, cls.Status.CANCELLED)
