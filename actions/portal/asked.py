"""What a form's address asks for: an action, on which entity, filled in as which run was."""

from __future__ import annotations

from dataclasses import dataclass

from actions.inputs import definition_of, form_context
from actions.models import Action, Run
from actions.portal.forms import ActionForm
from actions.services.access import Access
from actions.services.definitions import get_action
from actions.services.reporting import get_run
from actions.services.starting import target_of
from catalog.kernel.errors import NotFound
from catalog.models import Entity
from catalog.portal.shell import PortalRequest


@dataclass(frozen=True, slots=True)
class Asked:
    """An action, what it is to be done with, and the run that is to be repeated."""

    action: Action
    entity: Entity | None
    origin: Run | None

    @property
    def needs_entity(self) -> bool:
        is_about_one = self.action.operation != "CREATE" and self.action.blueprint is not None
        return is_about_one and self.entity is None


def asked_of(request: PortalRequest, identifier: str) -> Asked:
    """Raises NotFound for an action that the person may not see, or that is no self-service."""
    action = get_action(identifier)
    Access(request.user).require_see(action)
    if not action.is_self_service:
        raise NotFound(f"“{action.title}” is an automation: events start it, nobody else")
    if not action.is_published:
        raise NotFound(f"“{action.title}” is not published: an admin can do so")
    origin = None
    if named := request.GET.get("from", ""):
        origin = get_run(named, principal=request.user)
        origin = origin if origin.action_id == action.pk else None
    name = request.POST.get("entity") or request.GET.get("entity") or ""
    if not name and origin is not None and origin.entity:
        name = origin.entity["identifier"]
    entity = target_of(action, name, request.user) if name else None
    return Asked(action, entity, origin)


def drawn_of(request: PortalRequest, asked: Asked, *, is_live: bool = False) -> ActionForm:
    """The form, as far as it is filled in: by what was sent, by the run that is repeated, or by the
    address.
    """
    return ActionForm(
        definition_of(asked.action),
        form_context(request.user, asked.entity),
        data=request.POST if request.method == "POST" else None,
        initial=asked.origin.properties if asked.origin else None,
        principal=request.user,
        query=request.GET,
        is_live=is_live,
    )
