"""Actions, their runs, and what was logged of these. `actions.services` writes them."""

from __future__ import annotations

import secrets
import string
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from catalog.models import StoredDocument
from catalog.models.fields import OrderedJSONField

_LETTERS = string.ascii_letters + string.digits


def new_run_identifier() -> str:
    return "r_" + "".join(secrets.choice(_LETTERS) for _ in range(16))


class Action(StoredDocument):
    """Something people may have done for them, or that is done when something happens.

    document: {"title", "trigger", "invocationMethod", "requiredApproval", …}. blueprint: the one
    its trigger names; it goes with it. permissions: {"execute": grant, "approve": grant}; null
    where nobody set any.
    """

    identifier = models.CharField(max_length=1000, unique=True)
    blueprint = models.ForeignKey(
        "catalog.Blueprint", models.CASCADE, related_name="+", null=True, blank=True
    )
    permissions: Any = OrderedJSONField(null=True, editable=False)

    @property
    def trigger(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["trigger"]
        return found

    @property
    def is_self_service(self) -> bool:
        return bool(self.trigger.get("type") == "self-service")

    @property
    def is_published(self) -> bool:
        return self.document.get("publish") is not False


class Run(models.Model):
    """One execution of an action.

    about, blueprint, entity: {"identifier", "title", "icon"} of the action, the blueprint and the
    entity as they were then. properties: the inputs. payload: the invocation method. approvals:
    [{"user", "state", "description", "at"}]. is_pending: an agent elsewhere may claim it, the one
    called `installation`; until `claimed_until` nobody else may.
    """

    class Status(models.TextChoices):
        IN_PROGRESS = "IN_PROGRESS"
        SUCCESS = "SUCCESS"
        FAILURE = "FAILURE"
        WAITING_FOR_APPROVAL = "WAITING_FOR_APPROVAL"
        DECLINED = "DECLINED"
        CANCELLED = "CANCELLED"

    OPEN: ClassVar[tuple[str, ...]] = ("IN_PROGRESS", "WAITING_FOR_APPROVAL")

    identifier = models.CharField(max_length=100, unique=True, default=new_run_identifier)
    action = models.ForeignKey(Action, models.SET_NULL, null=True, related_name="runs")
    about: Any = OrderedJSONField(default=dict)
    blueprint: Any = models.JSONField(null=True)
    entity: Any = models.JSONField(null=True)
    status = models.CharField(max_length=30, choices=Status.choices, default=Status.IN_PROGRESS)
    status_label = models.TextField(null=True)  # noqa: DJ001 - null is not ""
    summary = models.TextField(null=True)  # noqa: DJ001 - null is not ""
    link = models.JSONField(default=list)
    external_run_id = models.CharField(max_length=1000, null=True)  # noqa: DJ001 - null is not ""
    properties: Any = OrderedJSONField(default=dict)
    payload: Any = OrderedJSONField(default=dict)
    response: Any = OrderedJSONField(null=True)
    source = models.CharField(max_length=20, default="API")
    required_approval = models.CharField(max_length=10, blank=True)
    approvals = models.JSONField(default=list)
    is_pending = models.BooleanField(default=False)
    installation = models.CharField(max_length=200, blank=True)
    claimed_until = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)
    impersonated_by = models.CharField(max_length=300, blank=True)
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=300)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        "IN_PROGRESS",
                        "SUCCESS",
                        "FAILURE",
                        "WAITING_FOR_APPROVAL",
                        "DECLINED",
                        "CANCELLED",
                    ]
                ),
                name="run_status_known",
            ),
        ]
        indexes = [
            models.Index(fields=["external_run_id"], name="run_external"),
            models.Index(fields=["id"], name="run_pending", condition=Q(is_pending=True)),
        ]

    def __str__(self) -> str:
        return self.identifier

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN


class RunLog(models.Model):
    """A line of a run's log."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="logs")
    message = models.TextField()
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.message
