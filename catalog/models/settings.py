from __future__ import annotations

from typing import Any

from django.db import models

from catalog.models.fields import OrderedJSONField


class CatalogSettings(models.Model):
    """How the catalogue treats descriptors and clusters: one row, made when first needed.

    rules: Backstage's `catalog.rules` ([{"allow": [kind | {"kind", "spec.type"}], "locations":
    [{"type", "exact" | "pattern"}]}]); empty: every kind may come from every place.
    reading_allow: hosts that no GitHub or GitLab source covers ([{"host", "paths"}]).
    kubernetes: {"serviceLocatorMethod": "multiTenant" | "singleTenant" | "catalogRelation"}.
    """

    class OrphanStrategy(models.TextChoices):
        DELETE = "delete", "Delete it"
        KEEP = "keep", "Keep it, marked as an orphan"

    rules: Any = OrderedJSONField(default=list, blank=True)
    reading_allow: Any = OrderedJSONField(default=list, blank=True)
    orphan_strategy = models.CharField(
        max_length=10,
        choices=OrphanStrategy.choices,
        default=OrphanStrategy.DELETE,
        help_text="What happens to an entity that no file holds any more.",
    )
    is_strict = models.BooleanField(
        "As Backstage does it",
        default=False,
        help_text="A location with one broken document or one missing file is refused as a whole.",
    )
    is_readonly = models.BooleanField(
        "No registration", default=False, help_text="Locations come from here alone, not the API."
    )
    refresh_interval_s = models.PositiveIntegerField(
        "Seconds between two readings of a location", default=120
    )
    kubernetes: Any = OrderedJSONField(default=dict, blank=True)

    class Meta:
        verbose_name = "catalogue settings"
        verbose_name_plural = "catalogue settings"

    def __str__(self) -> str:
        return "Catalogue settings"
