"""Who may do what. Every edge asks here before it calls a service; reads are filtered by
`visible_to` in the query itself.

An `Actor` made by `actor_of` carries what its principal may do, and whatever writes entities asks
it (`Authority.check`) for each one: permissions of a blueprint hold for every way in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from catalog.kernel.actors import Actor, EntityWrite, Principal, Role, Verb
from catalog.kernel.errors import NotAuthenticated, PermissionDenied, shorten
from catalog.models import TEAM, Blueprint, Entity, Integration
from catalog.selectors.teams import teams_of

MAX_DATASOURCE = 500  # of a User-Agent; it is indexed
MAX_REQUEST_ID = 100  # callers may send their own

WRITERS: Final = (Role.ADMIN, Role.MEMBER)  # where nobody said otherwise

__all__ = [
    "WRITERS",
    "Role",
    "Standing",
    "actor_of",
    "can_administer",
    "can_read_sources",
    "can_write_entities",
    "is_exporter",
    "require_admin",
    "require_entity_write",
    "require_exporter",
    "require_source_read",
]


class Standing:
    """What a principal is: its role, its names and its teams, looked up when they matter."""

    def __init__(self, principal: Principal) -> None:
        self.role: str = principal.role if _is_in(principal, *Role) else ""
        self._email: str = getattr(principal, "email", "") or ""
        self._client_id: str = getattr(principal, "client_id", "") or ""

    @property
    def is_admin(self) -> bool:
        return self.role == Role.ADMIN

    @property
    def names(self) -> frozenset[str]:
        """What lists of users may call it: its e-mail address, or the id of an API client."""
        return frozenset(one.lower() for one in (self._email, self._client_id) if one)

    @cached_property
    def teams(self) -> frozenset[str]:
        """Identifiers of its teams."""
        return frozenset(teams_of(self._email))

    @cached_property
    def team_names(self) -> frozenset[str]:
        """Identifiers and titles of its teams: lists of teams may use either."""
        found = Entity.objects.filter(blueprint__identifier=TEAM, identifier__in=self.teams)
        titles = found.values_list("title", flat=True) if self.teams else ()
        return self.teams | {title for title in titles if title}

    def is_granted(
        self, grant: Mapping[str, Any] | None, *, team: Sequence[str] | None = ()
    ) -> bool:
        """Whether a grant ({"users", "roles", "teams", "ownedByTeam"}) names this principal.

        team: who owns the entity in question; None asks whether there may be such an entity.
        No grant at all is one to those who may write by default. Admins may do everything.
        """
        if not self.role:
            return False
        if self.is_admin:
            return True
        if grant is None:
            return self.role in WRITERS
        return self.is_named(grant, team=team)

    def is_named(self, grant: Mapping[str, Any], *, team: Sequence[str] | None = ()) -> bool:
        """As `is_granted`, where admins may no more than the grant says."""
        if not self.role:
            return False
        if self.role in grant.get("roles", ()):
            return True
        if self.names & {one.lower() for one in grant.get("users", ())}:
            return True
        if grant.get("teams") and self.team_names & set(grant["teams"]):
            return True
        if not grant.get("ownedByTeam"):
            return False
        return bool(self.teams if team is None else self.teams & set(team))


class EntityAuthority:
    """What a principal that is no admin may do to entities."""

    def __init__(self, principal: Principal) -> None:
        self._standing = Standing(principal)

    def check(self, write: EntityWrite) -> None:
        """Raises PermissionDenied, naming the entity, and the field that is not theirs."""
        if write.is_system and not self._standing.is_admin:
            raise _refused(write, f"{write.verb} entities of {write.blueprint}", Role.ADMIN)
        rules = write.permissions or {}
        if not self._standing.is_granted(rules.get(write.verb), team=write.team):
            raise _refused(write, f"{write.verb} {write.blueprint} {shorten(write.identifier)}")
        if write.verb is not Verb.UPDATE:
            return
        for field in write.fields:
            section, _, name = field.partition(".")
            key = "updateRelations" if section == "relations" else "updateProperties"
            rule = rules.get(key, {}).get(name or field)
            if rule is not None and not self._standing.is_granted(rule, team=write.team):
                raise _refused(
                    write,
                    f"change {field} of {write.blueprint} {shorten(write.identifier)}",
                    field=field,
                )


def can_administer(principal: Principal) -> bool:
    """May change blueprints, users, clients and settings."""
    return _is_in(principal, Role.ADMIN)


def can_write_entities(principal: Principal, blueprint: Blueprint) -> bool:
    """May create, change or delete entities of this blueprint, or at least some of them.

    Users and teams decide who may do what, so only admins write those.
    """
    if blueprint.is_system:
        return can_administer(principal)
    standing, rules = Standing(principal), blueprint.permissions or {}
    return any(standing.is_granted(rules.get(verb), team=None) for verb in Verb)


def require_admin(principal: Principal, what: str) -> None:
    """Raises NotAuthenticated or PermissionDenied; `what` completes "may not …"."""
    _require(principal, can_administer(principal), what, Role.ADMIN)


def require_entity_write(principal: Principal, blueprint: Blueprint) -> None:
    needed = Role.ADMIN if blueprint.is_system else Role.MEMBER
    allowed = can_write_entities(principal, blueprint)
    what = f"change entities of {blueprint.identifier}"
    if not allowed and principal.is_authenticated and blueprint.permissions:
        raise PermissionDenied(
            f"You may not {what}", hint="An admin can name you in the blueprint's permissions."
        )
    _require(principal, allowed, what, needed)


def can_read_sources(principal: Principal) -> bool:
    """Mappings, logs and raw objects of sources: for those who work with them."""
    return _is_in(principal, *WRITERS)


def require_source_read(principal: Principal, what: str) -> None:
    """See `can_read_sources`."""
    _require(principal, can_read_sources(principal), what, Role.MEMBER)


def require_exporter(principal: Principal, exporter: Integration | None, what: str) -> None:
    """Exporters look after themselves: besides admins, an API client may register one (`exporter`
    is None then), and change and report what it registered.
    """
    _require(principal, is_exporter(principal, exporter), what, Role.ADMIN)


def is_exporter(principal: Principal, exporter: Integration | None) -> bool:
    """Whether it may speak for an exporter: a User-Agent alone is something anybody can send."""
    client_id = getattr(principal, "client_id", "")
    is_its_own = bool(client_id) and (exporter is None or exporter.created_by == client_id)
    return can_administer(principal) or (is_its_own and _is_in(principal, Role.MEMBER))


def actor_of(principal: Principal, *, datasource: str = "", request_id: str = "") -> Actor:
    """The author of what `principal` does: `user` with its e-mail, or `client` with its id."""
    datasource, request_id = datasource[:MAX_DATASOURCE], request_id[:MAX_REQUEST_ID]
    authority = None if can_administer(principal) else EntityAuthority(principal)
    client_id = getattr(principal, "client_id", None)
    if client_id:
        return Actor("client", client_id, datasource, request_id, authority)
    name = getattr(principal, "email", "") or getattr(principal, "username", "")
    return Actor("user", name, datasource, request_id, authority)


def _refused(
    write: EntityWrite, what: str, needed: Role | None = None, *, field: str = ""
) -> PermissionDenied:
    hint = (
        f"Ask an admin for the role {needed}."
        if needed
        else "An admin can name you in the blueprint's permissions."
    )
    details = {
        "resource": "Entity",
        "value": shorten(write.identifier),
        "permission": str(write.verb),
    }
    return PermissionDenied(
        f"You may not {what}", hint=hint, details={**details, **({"field": field} if field else {})}
    )


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
