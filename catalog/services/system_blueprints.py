"""Users and teams are entities like any other; these are their blueprints.

The identifiers and the status values are Port's. A Django user is bound to the `_user` entity
with the same `email`; membership is the relation `team` of `_user` or `members` of `_team`.
"""

from __future__ import annotations

from typing import Any

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
