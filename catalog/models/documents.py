from __future__ import annotations

from typing import Any

from django.db import models

from catalog.models.fields import OrderedJSONField


class StoredDocument(models.Model):
    """Base of what clients describe as they like and get back as they sent it.

    document: all that was sent beside the identifier, as it was written.
    `catalog.services.documents` writes it.
    """

    identifier = models.CharField(max_length=1000)
    document: Any = OrderedJSONField(default=dict)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=300)

    class Meta:
        abstract = True
        ordering = ["pk"]

    def __str__(self) -> str:
        return str(self.document.get("title") or self.identifier)
