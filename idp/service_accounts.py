"""Service accounts: people of the catalogue that are programs.

One is a `_user` entity whose `port_type` is "Service Account". It owns things through its teams
as people do, and its credentials are those of an API client that is bound to it: the entity says
the role (`port_role`), and while it is there and `status` is "Active" the credentials open doors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from catalog.kernel.actors import Role
from catalog.models import USER, Entity

SERVICE_ACCOUNT: Final = "Service Account"
ACTIVE: Final = "Active"


def is_service_account(properties: Mapping[str, Any]) -> bool:
    return bool(properties.get("port_type") == SERVICE_ACCOUNT)


def is_active(properties: Mapping[str, Any]) -> bool:
    return is_service_account(properties) and properties.get("status") == ACTIVE


def role_of(properties: Mapping[str, Any]) -> str:
    """What the account says, or Member where it says nothing; Viewer for a role there is not."""
    said = properties.get("port_role")
    if not said:
        return Role.MEMBER.value
    return str(said) if said in list(Role) else Role.VIEWER.value


def service_role(account: str) -> str | None:
    """The role of the service account of this identifier; None unless it is active."""
    found = Entity.objects.filter(blueprint__identifier=USER, identifier=account)
    properties = found.values_list("properties", flat=True).first()
    return role_of(properties) if properties and is_active(properties) else None
