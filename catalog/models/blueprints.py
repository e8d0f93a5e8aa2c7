from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from catalog.models.fields import OrderedJSONField

# The blueprints that stand for people and teams. Their identifiers are Port's.
USER, TEAM = "_user", "_team"


def team_path_of(ownership: dict[str, Any] | None, extra: dict[str, Any]) -> str | None:
    """See `Blueprint.team_path`. `teamInheritance` is how older clients say it."""
    if ownership is not None:
        return ownership.get("path") if ownership["type"] == "Inherited" else None
    inheritance = extra.get("teamInheritance")
    return inheritance.get("path") if isinstance(inheritance, dict) else None


class Blueprint(models.Model):
    """A kind of thing the catalogue knows. Its schema gives the shape of its entities.

    `schema` is Port's: {"properties": {name: JSON Schema + title, icon, …}, "required": [names]}.
    `extra` keeps top-level keys of the API that this version gives no meaning to, so that what a
    client sent comes back to it.
    """

    identifier = models.CharField(max_length=100, unique=True)
    title = models.CharField(max_length=100)
    icon = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001 - null is not ""
    description = models.TextField(null=True, blank=True)  # noqa: DJ001 - null is not ""
    schema = OrderedJSONField(default=dict)
    mirror_properties = OrderedJSONField(default=dict, blank=True)
    calculation_properties = OrderedJSONField(default=dict, blank=True)
    aggregation_properties = OrderedJSONField(default=dict, blank=True)
    ownership = OrderedJSONField(null=True, blank=True)
    extra = OrderedJSONField(default=dict, blank=True)
    permissions: Any = OrderedJSONField(
        null=True,
        editable=False,
        help_text="Who may write its entities; see catalog.services.blueprint_permissions.",
    )
    is_system = models.BooleanField(
        default=False,
        help_text="Users and teams: cannot be deleted, written by admins only.",
    )
    version = models.PositiveIntegerField(
        default=1,
        help_text="Rises with each change; compiled validators are cached by it.",
    )
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=300)

    class Meta:
        ordering = ["identifier"]

    def __str__(self) -> str:
        return self.title

    @property
    def properties(self) -> dict[str, dict[str, Any]]:
        """The own properties by name, in their order."""
        return self.schema.get("properties", {})

    @property
    def required(self) -> list[str]:
        return self.schema.get("required", [])

    @property
    def team_path(self) -> str | None:
        """The relations ("system.domain") that its entities inherit their teams along, if any."""
        return team_path_of(self.ownership, self.extra)

    @property
    def has_computed(self) -> bool:
        """Whether values of its entities are worked out instead of written."""
        return bool(
            self.mirror_properties
            or self.calculation_properties
            or self.aggregation_properties
            or self.team_path
        )


class RelationDefinition(models.Model):
    """An edge that entities of a blueprint may have. Without `target` it may lead to any kind."""

    blueprint = models.ForeignKey(Blueprint, models.CASCADE, related_name="relation_definitions")
    identifier = models.CharField(max_length=100)
    title = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001 - null is not ""
    description = models.TextField(null=True, blank=True)  # noqa: DJ001 - null is not ""
    target = models.ForeignKey(
        Blueprint,
        models.PROTECT,
        related_name="incoming_definitions",
        null=True,
        blank=True,
        help_text="Empty: any kind; values are then written blueprint:identifier.",
    )
    many = models.BooleanField(default=False)
    required = models.BooleanField(default=False)
    position = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["blueprint", "position", "identifier"]
        constraints = [
            models.UniqueConstraint(
                fields=["blueprint", "identifier"], name="relation_definition_unique"
            ),
            models.CheckConstraint(
                condition=~Q(many=True, required=True),
                name="relation_definition_not_many_and_required",
                violation_error_message="A relation to many cannot be required.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.blueprint_id}.{self.identifier}"
