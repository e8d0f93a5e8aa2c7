"""Who may do what. Every edge asks here before it calls a service; reads are filtered by
`visible_to` in the query itself.
"""

from __future__ import annotations

from catalog.kernel.actors import Actor, Principal, Role
from catalog.kernel.errors import NotAuthenticated, PermissionDenied
from catalog.models import Blueprint

MAX_DATASOURCE = 500  # of a User-Agent; it is indexed
MAX_REQUEST_ID = 100  # callers may send their own

__all__ = [
    "Role",
    "actor_of",
    "can_administer",
    "can_write_entities",
    "require_admin",
    "require_entity_write",
]


def can_administer(principal: Principal) -> bool:
    """May change blueprints, users, clients and settings."""
    return _is_in(principal, Role.ADMIN)


def can_write_entities(principal: Principal, blueprint: Blueprint) -> bool:
    """May create, change and delete entities of this blueprint.

    Users and teams decide who may do what, so only admins write those.
    """
    if blueprint.is_system:
        return can_administer(principal)
    return _is_in(principal, Role.ADMIN, Role.MEMBER)


def require_admin(principal: Principal, what: str) -> None:
    """Raises NotAuthenticated or PermissionDenied; `what` completes "may not …"."""
    _require(principal, can_administer(principal), what, Role.ADMIN)


def require_entity_write(principal: Principal, blueprint: Blueprint) -> None:
    needed = Role.ADMIN if blueprint.is_system else Role.MEMBER
    _require(
        principal,
        can_write_entities(principal, blueprint),
        f"change entities of {blueprint.identifier}",
        needed,
    )


def actor_of(principal: Principal, *, datasource: str = "", request_id: str = "") -> Actor:
    """The author of what `principal` does: `user` with its e-mail, or `client` with its id."""
    datasource, request_id = datasource[:MAX_DATASOURCE], request_id[:MAX_REQUEST_ID]
    client_id = getattr(principal, "client_id", None)
    if client_id:
        return Actor("client", client_id, datasource, request_id)
    name = getattr(principal, "email", "") or getattr(principal, "username", "")
    return Actor("user", name, datasource, request_id)


def _is_in(principal: Principal, *roles: Role) -> bool:
    return principal.is_authenticated and principal.is_active and principal.role in roles


def _require(principal: Principal, allowed: bool, what: str, needed: Role) -> None:
    if allowed:
        return
    if not principal.is_authenticated:
        raise NotAuthenticated("Authentication is needed")
    raise PermissionDenied(
        f"Role {principal.role} may not {what}",
        hint=f"Ask an admin for the role {needed}.",
        details={"role": str(principal.role), "expected": str(needed)},
    )
