"""On which entities an action may be run."""

from __future__ import annotations

from actions.models import Action
from actions.services.access import Access, permissions_document
from catalog.models import Entity, EntityQuerySet
from catalog.selectors.search import search


def offered_entities(access: Access, action: Action) -> EntityQuerySet:
    """Those that the person may read, that the action's condition holds for and, where only owners
    may run it, that are of the person's teams.

    Raises InvalidInput and its like for a condition that its blueprint has outgrown.
    """
    entities = Entity.objects.visible_to(access.principal).filter(blueprint=action.blueprint)
    if condition := action.trigger.get("condition"):
        fitting = search(condition, principal=access.principal, blueprint=action.blueprint)
        entities = entities.filter(pk__in=fitting.order_by().values("pk"))
    if not access.standing.is_granted(permissions_document(action)["execute"], team=()):
        entities = entities.owned_by(sorted(access.standing.teams))
    return entities
