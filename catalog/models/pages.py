from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from catalog.models.documents import StoredDocument
from catalog.models.fields import OrderedJSONField


class Page(StoredDocument):
    """A page of the portal as clients describe it: a dashboard, a table, a home page.

    document: {"type", "title", "icon", "parent", "after", "widgets", …}. permissions: {"read":
    {"users", "roles", "teams"}, "update": {…}}; null where nobody set any.
    """

    identifier = models.CharField(max_length=1000, unique=True)
    permissions: Any = OrderedJSONField(null=True, editable=False)


class Folder(StoredDocument):
    """A folder of the sidebar, which holds pages and folders that name it as their parent.

    document: {"title", "after", "parent"}.
    """

    CATALOG: ClassVar[str] = "catalog"

    sidebar = models.CharField(max_length=100, default=CATALOG)

    class Meta(StoredDocument.Meta):
        constraints = [
            models.UniqueConstraint(fields=["sidebar", "identifier"], name="folder_unique"),
        ]
