"""What a search is asked in: by whom, of which blueprint, when; looked up when a rule needs it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from django.db import connection
from django.utils import timezone

from catalog.kernel.actors import Principal
from catalog.models import TEAM, Entity, EntityQuerySet
from catalog.selectors.kinds import Kinds, load_kinds
from catalog.selectors.teams import people, teams_of

MAX_DATASOURCES: Final = 1000

# Hops along the index from each to the next, however many entities name it.
_DATASOURCES: Final = """
WITH RECURSIVE seen(name) AS (
    (SELECT datasource FROM catalog_entity ORDER BY datasource USING ~<~ LIMIT 1)
    UNION ALL
    SELECT (SELECT e.datasource FROM catalog_entity e WHERE e.datasource ~>~ seen.name
            ORDER BY e.datasource USING ~<~ LIMIT 1)
    FROM seen WHERE seen.name IS NOT NULL
)
SELECT name FROM seen WHERE name IS NOT NULL LIMIT %s
"""

# Meta properties that are columns of the entity and mean the same there.
COLUMNS: Final = {
    "$identifier": "identifier",
    "$title": "title",
    "$icon": "icon",
    "$team": "team",
    "$createdBy": "created_by",
    "$updatedBy": "updated_by",
    "$datasource": "datasource",
}


class Scope:
    """Shared by the searches of one request, so that each fact is looked up once."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.now: datetime = timezone.now()

    @cached_property
    def kinds(self) -> Kinds:
        return load_kinds()

    @cached_property
    def datasources(self) -> list[str] | None:
        """All that entities name; None when there are too many to go through."""
        with connection.cursor() as cursor:
            cursor.execute(_DATASOURCES, [MAX_DATASOURCES + 1])
            names = [name for (name,) in cursor.fetchall()]
        return names if len(names) <= MAX_DATASOURCES else None

    @cached_property
    def team_identifiers(self) -> list[str]:
        """The teams of the calling user; none for a program."""
        return teams_of(self._email)

    @cached_property
    def _users(self) -> list[Entity]:
        if not self._email:
            return []
        return list(
            self.entities.filter(pk__in=people(self._email).values("pk")).select_related(
                "blueprint"
            )
        )

    @cached_property
    def _teams(self) -> list[Entity]:
        found = self.entities.filter(
            blueprint__identifier=TEAM, identifier__in=self.team_identifiers
        )
        return list(found.select_related("blueprint"))

    @property
    def entities(self) -> EntityQuerySet:
        """What the caller may see."""
        return Entity.objects.visible_to(self.principal)

    def context(self, context: str, name: str) -> list[Any]:
        """The values of a property of the user, or of their teams; lists are opened."""
        entities = self._users if context == "user" else self._teams
        values: list[Any] = []
        for entity in entities:
            value = _property(entity, name)
            values += value if isinstance(value, list) else [value]
        return [value for value in dict.fromkeys(map(_hashable, values)) if value is not None]

    @property
    def _email(self) -> str:
        return getattr(self.principal, "email", "") or ""


def _property(entity: Entity, name: str) -> Any:
    if name == "$blueprint":
        return entity.blueprint.identifier
    if name in ("$createdAt", "$updatedAt"):
        return (entity.created_at if name == "$createdAt" else entity.updated_at).isoformat()
    if name in COLUMNS:
        return getattr(entity, COLUMNS[name])
    found: Mapping[str, Any] = {**entity.computed, **entity.properties}
    return found.get(name)


def _hashable(value: Any) -> Any:
    """Objects and lists within lists are nothing a rule could compare with."""
    return None if isinstance(value, dict | list) else value
