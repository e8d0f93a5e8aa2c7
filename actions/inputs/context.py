"""What JQ in a form may look at besides the form: who fills it in, and which entity it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actions.selectors.entity_documents import document_of
from catalog.kernel.actors import Principal
from catalog.models import Entity
from catalog.selectors.teams import teams_of


@dataclass(frozen=True, slots=True)
class FormContext:
    """entity: its document ({"identifier", "title", "blueprint", "team", "properties",
    "relations", …}), null where the form is about none. user: see `user_document`. principal: for
    whom entities of the catalogue are looked up.
    """

    entity: Mapping[str, Any] | None = None
    user: Mapping[str, Any] = field(default_factory=dict)
    principal: Principal | None = field(default=None, compare=False, repr=False)


def form_context(principal: Principal, entity: Entity | None = None) -> FormContext:
    """The context of a form that `principal` fills in; one statement, and one for the entity.

    The entity must be one that `principal` may see; it is not asked again here.
    """
    return FormContext(
        entity=document_of(entity) if entity is not None else None,
        user=user_document(principal),
        principal=principal,
    )


def user_document(principal: Principal) -> dict[str, Any]:
    """Who they are, in the words of Port's forms and payloads.

    {"id", "userId", "email", "name", "firstName", "lastName", "role", "mainRole",
    "roles": [{"name"}], "teams": [{"name" (the identifier), "provider"}]}
    """
    email = getattr(principal, "email", "") or ""
    identity = getattr(principal, "client_id", "") or email or getattr(principal, "username", "")
    first, last = (getattr(principal, key, "") or "" for key in ("first_name", "last_name"))
    name = f"{first} {last}".strip() or getattr(principal, "name", "") or identity
    return {
        "id": identity,
        "userId": identity,
        "email": email,
        "name": name,
        "firstName": first,
        "lastName": last,
        "role": principal.role,
        "mainRole": principal.role,
        "roles": [{"name": principal.role}],
        "teams": [{"name": team, "provider": "idp"} for team in teams_of(email)],
    }
