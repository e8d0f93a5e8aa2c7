from __future__ import annotations

from typing import Any

from django.db import models

from catalog.models.entities import Entity


class Fact(models.Model):
    """Something a tool found out about an entity, beside what its source says: Cortex calls it
    custom data. Rules read it.

    key: "testField", or the name of a tool ("sonarqube") whose facts are one object. collected_at:
    when the tool found it. origin: "API", "YAML" or "INTEGRATION".
    """

    # the migration makes it ON DELETE CASCADE: entities are deleted by SQL
    entity = models.ForeignKey(
        Entity, models.CASCADE, related_name="facts", db_constraint=False, db_index=False
    )
    key = models.CharField(max_length=200)
    value: Any = models.JSONField()
    description = models.TextField(blank=True)
    origin = models.CharField(max_length=20, default="API")
    collected_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=300)

    class Meta:
        ordering = ["key"]
        constraints = [
            models.UniqueConstraint(fields=["entity", "key"], name="fact_unique"),
        ]
        indexes = [models.Index(fields=["key"], name="fact_key")]

    def __str__(self) -> str:
        return f"{self.key} of {self.entity_id}"


class MetricPoint(models.Model):
    """A number measured at a moment: a point of a series of an entity (requests a day, spend)."""

    entity = models.ForeignKey(
        Entity, models.CASCADE, related_name="metric_points", db_constraint=False, db_index=False
    )
    key = models.CharField(max_length=200)
    at = models.DateTimeField()
    value = models.FloatField()

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(fields=["entity", "key", "at"], name="metric_point_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.key} of {self.entity_id} at {self.at}"
