from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from catalog.models.fields import OrderedJSONField


class Notification(models.Model):
    """Something a person should know, in their inbox.

    recipient: their e-mail address, in lower case. topic: "approval", "run" or another word.
    scope: a later notification of the same scope takes the place of an earlier one.
    """

    class Severity(models.TextChoices):
        CRITICAL = "critical"
        HIGH = "high"
        NORMAL = "normal"
        LOW = "low"

    recipient = models.CharField(max_length=300)
    title = models.CharField(max_length=300)
    description = models.TextField(blank=True)
    link = models.CharField(max_length=2000, blank=True)
    severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.NORMAL)
    topic = models.CharField(max_length=50)
    scope = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["recipient", "topic", "scope"],
                condition=~Q(scope=""),
                name="notification_of_scope",
            ),
        ]
        indexes = [
            models.Index(fields=["recipient", "-id"], name="notification_inbox"),
            models.Index(
                fields=["recipient"], name="notification_unread", condition=Q(read_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Channel(models.Model):
    """A place outside that is told of events: a signed webhook, or one that Slack understands.

    url: may name organisation secrets (`${NAME}`). topics: empty means all. A channel that an
    action brings with it (`approvalNotification`) is no row.
    """

    class Format(models.TextChoices):
        JSON = "json", "JSON, signed"
        SLACK = "slack", "Slack"

    title = models.CharField(max_length=100, unique=True)
    url = models.TextField()
    format = models.CharField(max_length=10, choices=Format.choices, default=Format.JSON)
    topics: Any = models.JSONField(default=list, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(editable=False)
    created_by = models.CharField(max_length=300, editable=False)
    updated_at = models.DateTimeField(editable=False)
    updated_by = models.CharField(max_length=300, editable=False)

    class Meta:
        ordering = ["title"]

    def __str__(self) -> str:
        return self.title


class Message(models.Model):
    """One message on its way out, by e-mail or to a webhook: sent until it arrives, or given up.

    target: an e-mail address, or an address of the web with its secrets still as `${NAME}`.
    """

    class Kind(models.TextChoices):
        EMAIL = "email"
        WEBHOOK = "webhook"

    class State(models.TextChoices):
        WAITING = "WAITING"
        SENT = "SENT"
        FAILED = "FAILED"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    target = models.TextField()
    format = models.CharField(max_length=10, blank=True)
    topic = models.CharField(max_length=50)
    body: Any = OrderedJSONField(default=dict)
    channel = models.ForeignKey(Channel, models.SET_NULL, null=True, related_name="messages")
    run = models.ForeignKey("actions.Run", models.SET_NULL, null=True, related_name="messages")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["due_at"], name="message_due", condition=Q(state="WAITING")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.target}"
