"""Who does a thing: roles, and the actor that history and audit name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Role(StrEnum):
    """What a user or an API client may do; each role includes those after it."""

    ADMIN = "Admin"
    MEMBER = "Member"
    VIEWER = "Viewer"


class Principal(Protocol):
    """Whoever a request is authenticated as: a user or an API client."""

    @property
    def is_authenticated(self) -> bool: ...

    @property
    def is_active(self) -> bool: ...

    @property
    def role(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Insider:
    """A principal that no request is behind: the server itself, which may do everything, or
    somebody (`email`) in whose name it acts.
    """

    email: str = ""
    role: str = Role.ADMIN.value
    is_authenticated: bool = True
    is_active: bool = True


class Verb(StrEnum):
    """What is done to an entity, in the words of blueprint permissions."""

    REGISTER = "register"
    UPDATE = "update"
    UNREGISTER = "unregister"


@dataclass(frozen=True, slots=True)
class EntityWrite:
    """A change of one entity that somebody is about to make.

    permissions: those of its blueprint, None where nobody set any. team: who owns the entity
    before the change; for a new one, after it. fields: what an update touches ("$title",
    "properties.tier", "relations.owner").
    """

    verb: Verb
    blueprint: str
    is_system: bool
    permissions: Mapping[str, Any] | None
    identifier: str
    team: Sequence[str] = ()
    fields: Collection[str] = ()


class Authority(Protocol):
    """What the author of a change may do to entities; whatever writes them asks it."""

    def check(self, write: EntityWrite) -> None:
        """Raises PermissionDenied."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change.

    kind: "user", "client", "integration" or "system". name: what people know it by (e-mail or
    user name, client id, command). datasource: the User-Agent of the writing program, kept on the
    entity, because exporters find their own entities by it. request_id ties together all that one
    request changed. authority: None may write every entity.
    """

    kind: str
    name: str
    datasource: str = ""
    request_id: str = ""
    authority: Authority | None = field(default=None, compare=False, repr=False)

    @classmethod
    def system(cls, name: str) -> Actor:
        return cls(kind="system", name=name, datasource=f"idp/{name}")
