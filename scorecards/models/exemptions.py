from __future__ import annotations

from django.db import models
from django.db.models import Q

from scorecards.models.scorecards import Rule, Scorecard


class Exemption(models.Model):
    """That a rule does not count for an entity: asked for, decided on, until a moment or for good.

    The entity may be gone: blueprint and identifier say which it was. days: asked for; null or 0
    until it is revoked. It holds while APPROVED and before ends_at. requested_by, decided_by: as
    the feed names them (an e-mail address, the id of an API client). warned_days: how many days
    before its end people were last warned.
    """

    class Status(models.TextChoices):
        PENDING = "PENDING", "Waiting for a decision"
        APPROVED = "APPROVED", "Approved"
        DENIED = "DENIED", "Denied"
        REVOKED = "REVOKED", "Revoked"
        EXPIRED = "EXPIRED", "Ended"

    scorecard = models.ForeignKey(Scorecard, models.CASCADE, related_name="exemptions")
    rule = models.ForeignKey(Rule, models.CASCADE, related_name="exemptions", db_index=False)
    entity_id = models.BigIntegerField()
    blueprint = models.CharField(max_length=100)
    identifier = models.CharField(max_length=1000)
    reason = models.TextField()
    ticket = models.CharField(max_length=2000, blank=True)
    days = models.PositiveIntegerField(null=True, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    requested_at = models.DateTimeField()
    requested_by = models.CharField(max_length=300)
    requested_by_kind = models.CharField(max_length=20)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=300, blank=True)
    decided_by_kind = models.CharField(max_length=20, blank=True)
    decision_reason = models.TextField(blank=True)
    ends_at = models.DateTimeField(null=True)
    warned_days = models.PositiveSmallIntegerField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            # one that is open or holds for a rule and an entity
            models.UniqueConstraint(
                fields=["rule", "entity_id"],
                condition=Q(status__in=["PENDING", "APPROVED"]),
                name="exemption_unique",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "ends_at"], name="exemption_ending"),
            models.Index(fields=["rule"], name="exemption_rule"),
            models.Index(fields=["entity_id"], name="exemption_entity"),
        ]

    def __str__(self) -> str:
        return f"{self.blueprint}:{self.identifier} from {self.rule_id}"
