"""Users and teams are entities like any other; these are their blueprints.

The identifiers and the status values are Port's. A Django user is bound to the `_user` entity
with the same `email`; membership is the relation `team` of `_user` or `members` of `_team`.
Other apps add theirs (`registry.OwnBlueprint`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog import registry
from catalog.kernel.actors import Actor
from catalog.kernel.errors import PermissionDenied
from catalog.models import TEAM, USER

SYSTEM_BLUEPRINTS: dict[str, dict[str, Any]] = {
    USER: {
        "identifier": USER,
        "title": "User",
        "icon": "User",
        "description": "A person of the organisation, whether they log in here or not.",
        "schema": {
            "properties": {
                "email": {"type": "string", "title": "E-mail", "format": "email"},
                "displayName": {"type": "string", "title": "Display name"},
                "description": {
                    "type": "string",
                    "title": "Description",
                    "format": "markdown",
                },
                "picture": {"type": "string", "title": "Picture", "format": "url"},
                "status": {
                    "type": "string",
                    "title": "Status",
                    "enum": ["Active", "Disabled", "Invited", "Staged"],
                    "enumColors": {
                        "Active": "green",
                        "Disabled": "lightGray",
                        "Invited": "blue",
                        "Staged": "yellow",
                    },
                },
                "port_role": {"type": "string", "title": "Role"},
                "port_type": {"type": "string", "title": "Type"},
            },
            "required": [],
        },
        "relations": {
            "team": {"title": "Teams", "target": TEAM, "many": True, "required": False},
        },
    },
    TEAM: {
        "identifier": TEAM,
        "title": "Team",
        "icon": "Team",
        "description": "A group of people that owns things.",
        "schema": {
            "properties": {
                "description": {
                    "type": "string",
                    "title": "Description",
                    "format": "markdown",
                },
                "type": {"type": "string", "title": "Type"},
                "email": {"type": "string", "title": "E-mail", "format": "email"},
                "picture": {"type": "string", "title": "Picture", "format": "url"},
                "displayName": {"type": "string", "title": "Display name"},
            },
            "required": [],
        },
        "relations": {
            "parent": {
                "title": "Parent",
                "target": TEAM,
                "many": False,
                "required": False,
            },
            "children": {
                "title": "Subteams",
                "target": TEAM,
                "many": True,
                "required": False,
            },
            "members": {
                "title": "Members",
                "target": USER,
                "many": True,
                "required": False,
            },
        },
    },
}


def system_document(identifier: str) -> Mapping[str, Any] | None:
    """What a system blueprint has to have; None for one that is none."""
    if own := registry.own_blueprints.get(identifier):
        return own.document
    return SYSTEM_BLUEPRINTS.get(identifier)


def require_writer(blueprint: str, actor: Actor) -> None:
    """Raises PermissionDenied where only the platform itself writes entities of a blueprint."""
    own = registry.own_blueprints.get(blueprint)
    if own and own.is_closed and (actor.kind, actor.name) != ("system", own.writer):
        raise PermissionDenied(
            f"Entities of {blueprint} are results that the platform works out: nobody writes them",
            details={"field": "blueprint", "value": blueprint, "expected": "another blueprint"},
        )
