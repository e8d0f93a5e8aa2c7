"""Entities as templates, conditions and forms see them: the document of the API."""

from __future__ import annotations

from typing import Any

import orjson

from catalog.models import Entity
from catalog.selectors import documents


def document_of(entity: Entity) -> dict[str, Any] | None:
    """{"identifier", "title", "blueprint", "team", "properties", "relations", …}; None when it is
    gone.
    """
    found = documents.document(Entity.objects.filter(pk=entity.pk))
    return orjson.loads(found) if found else None
