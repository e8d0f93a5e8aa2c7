from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from catalog.models.fields import OrderedJSONField


class Page(models.Model):
    """A page of the portal as clients describe it: a dashboard, a table, a home page.

    document: all that was sent beside the identifier ({"type", "title", "icon", "parent",
    "after", "widgets", …}), as it was written. permissions: {"read": {"users", "roles",
    "teams"}, "update": {…}}; null where nobody set any.
    """

    identifier = models.CharField(max_length=1000, unique=True)
    document: Any = OrderedJSONField(default=dict)
    permissions: Any = OrderedJSONField(null=True, editable=False)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=300)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return str(self.document.get("title") or self.identifier)


class Folder(models.Model):
    """A folder of the sidebar, which holds pages and folders that name it as their parent.

    document: what was sent beside the identifier ({"title", "after", "parent"}).
    """

    CATALOG: ClassVar[str] = "catalog"

    sidebar = models.CharField(max_length=100, default=CATALOG)
    identifier = models.CharField(max_length=1000)
    document: Any = OrderedJSONField(default=dict)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300)
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=300)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["sidebar", "identifier"], name="folder_unique"),
        ]

    def __str__(self) -> str:
        return str(self.document.get("title") or self.identifier)
