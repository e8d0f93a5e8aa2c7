"""Who does a thing: roles, and the actor that history and audit name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


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
class Actor:
    """The author of a change.

    kind: "user", "client", "integration" or "system". name: what people know it by (e-mail or
    user name, client id, command). datasource: the User-Agent of the writing program, kept on the
    entity, because exporters find their own entities by it. request_id ties together all that one
    request changed.
    """

    kind: str
    name: str
    datasource: str = ""
    request_id: str = ""

    @classmethod
    def system(cls, name: str) -> Actor:
        return cls(kind="system", name=name, datasource=f"idp/{name}")
