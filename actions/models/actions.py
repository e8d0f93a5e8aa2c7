from __future__ import annotations

from typing import Any

from django.db import models

from catalog.models import StoredDocument
from catalog.models.fields import OrderedJSONField


class Action(StoredDocument):
    """Something people may have done for them, or that is done when something happens.

    document: {"title", "trigger", "invocationMethod", "requiredApproval", …}. blueprint: the one
    its trigger names; it goes with it. template: the software template it was made for; the
    consumer of the feed deletes it with that. permissions: {"execute": grant, "approve": grant};
    null where nobody set any.
    version: rises with each change of the document; `ActionVersion` keeps them. scheduled_at: when
    an automation with a schedule is due next.
    """

    identifier = models.CharField(max_length=1000, unique=True)
    blueprint = models.ForeignKey(
        "catalog.Blueprint", models.CASCADE, related_name="+", null=True, blank=True
    )
    # the migration makes it ON DELETE SET NULL: entities are deleted by SQL
    template = models.OneToOneField(
        "catalog.Entity",
        models.SET_NULL,
        related_name="+",
        null=True,
        editable=False,
        db_constraint=False,
    )
    permissions: Any = OrderedJSONField(null=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    scheduled_at = models.DateTimeField(null=True, editable=False, db_index=True)

    @property
    def title(self) -> str:
        return str(self.document.get("title") or self.identifier)

    @property
    def trigger(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["trigger"]
        return found

    @property
    def operation(self) -> str:
        """It is "CREATE", "DAY-2" or "DELETE"."""
        return str(self.trigger.get("operation") or "CREATE")

    @property
    def invocation(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["invocationMethod"]
        return found

    @property
    def is_self_service(self) -> bool:
        return bool(self.trigger.get("type") == "self-service")

    @property
    def is_published(self) -> bool:
        return self.document.get("publish") is not False


class ActionVersion(models.Model):
    """What an action said from `created_at` on."""

    action = models.ForeignKey(Action, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    document: Any = OrderedJSONField()
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["action", "number"], name="action_version_unique")
        ]

    def __str__(self) -> str:
        return f"Version {self.number}"
