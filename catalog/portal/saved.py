"""What a person keeps: stars and table views.

The models stand beside the user, in the app that knows this one; here they are reached through
the user alone (`user.favourites`, `user.saved_views`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Q
from django.http import QueryDict

from catalog.models import Blueprint, Entity

MAX_VIEWS = 100


def views_of(user: Any, blueprint: Blueprint) -> list[Any]:
    """The person's own views of a table, and those that others share; one statement."""
    views = user.saved_views.model.objects.select_related("user")
    return list(views.filter(Q(user=user) | Q(is_shared=True), blueprint=blueprint)[:MAX_VIEWS])


def remembered_columns(user: Any, views: Sequence[Any]) -> list[str]:
    """The columns that the person chose last, from the views of `views_of`."""
    for view in views:
        if not view.name and view.user_id == user.pk:
            return QueryDict(view.query).get("columns", "").split(",")
    return []


def remember_columns(user: Any, blueprint: Blueprint, columns: Sequence[str]) -> None:
    """Open the table with these columns from now on; none: with those of the kind."""
    if not columns:
        user.saved_views.filter(blueprint=blueprint, name="").delete()
        return
    user.saved_views.update_or_create(
        blueprint=blueprint, name="", defaults={"query": f"columns={','.join(columns)}"}
    )


def save_view(user: Any, blueprint: Blueprint, name: str, query: str, *, is_shared: bool) -> None:
    """Keep a table's query string under a name; the same name again replaces it."""
    user.saved_views.update_or_create(
        blueprint=blueprint, name=name, defaults={"query": query, "is_shared": is_shared}
    )


def delete_view(user: Any, pk: int) -> bool:
    return bool(user.saved_views.filter(pk=pk).exclude(name="").delete()[0])


def is_starred(user: Any, entity: Entity) -> bool:
    return bool(user.favourites.filter(entity=entity).exists())


def toggle_star(user: Any, entity: Entity) -> bool:
    """Star an entity, or take the star away; returns whether it has one now."""
    if user.favourites.filter(entity=entity).delete()[0]:
        return False
    user.favourites.get_or_create(entity=entity)
    return True


def starred(user: Any, limit: int) -> list[Entity]:
    """The starred entities, newest star first."""
    rows = user.favourites.select_related("entity__blueprint").order_by("-created_at")
    return [row.entity for row in rows[:limit]]
