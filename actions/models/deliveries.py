from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from catalog.models.fields import OrderedJSONField


class Delivery(models.Model):
    """One attempt to hand a run to what does its work: what was sent, and what was answered.

    The row is there before anything is sent, so that a worker that dies in between leaves a trace:
    such a row becomes UNKNOWN, and the run is sent again with the same idempotency key.
    url, request_headers, request_body: secrets masked. Bodies are cut at 64 KiB.
    """

    class State(models.TextChoices):
        SENDING = "SENDING"
        DELIVERED = "DELIVERED"
        FAILED = "FAILED"
        UNKNOWN = "UNKNOWN"

    run = models.ForeignKey("actions.Run", models.CASCADE, related_name="deliveries")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.SENDING)
    method = models.CharField(max_length=10, blank=True)
    url = models.TextField(blank=True)
    request_headers: Any = OrderedJSONField(default=dict)
    request_body = models.TextField(blank=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    response_headers: Any = OrderedJSONField(default=dict)
    response_body = models.TextField(blank=True)
    error = models.TextField(blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    started_by = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="delivery_unique"),
            models.CheckConstraint(
                condition=Q(state="SENDING", ended_at__isnull=True)
                | (~Q(state="SENDING") & Q(ended_at__isnull=False)),
                name="delivery_ends_once",
            ),
        ]

    def __str__(self) -> str:
        return f"Attempt {self.number}"
