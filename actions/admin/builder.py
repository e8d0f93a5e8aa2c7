"""The form behind the action builder: the whole action as JSON, and what its page needs to draw it.

The document is the action as it is exported: with its identifier, and who may run and approve it
under `permissions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.fields.json import KT

from actions.admin.input_types import ENCRYPTIONS, input_types
from actions.models import Action
from actions.registry import Backend, backends
from actions.scaffolder.template_actions import SETTINGS, change_settings
from actions.services.access import permissions_document
from actions.services.action_spec import MAX_BUTTON, MAX_HOURS, MAX_MINUTES, OPERATIONS
from actions.services.definitions import (
    create_action,
    get_action,
    replace_action,
    update_permissions,
)
from actions.services.importing import shown_document
from actions.services.triggers import event_titles, keys_of
from catalog.admin.blueprint_trial import places
from catalog.admin.property_types import COLOURS, LIMITS
from catalog.forms.blueprint import Problem
from catalog.kernel.actors import Actor, Role
from catalog.kernel.errors import Conflict, IdpError, InvalidInput, shorten
from catalog.kernel.json_text import read_json, write_json
from catalog.models import Secret
from catalog.portal.icons import symbol
from catalog.selectors.search.rules import META_PROPERTIES, OPERATORS, Takes
from catalog.services import documents

PERMISSIONS: Final = "permissions"
NEW_DOCUMENT: Final[Mapping[str, Any]] = {
    "identifier": "",
    "title": "",
    "icon": None,
    "description": None,
    "trigger": {
        "type": "self-service",
        "operation": "CREATE",
        "userInputs": {"properties": {}, "required": [], "order": []},
    },
    "invocationMethod": {"type": "WEBHOOK", "url": "", "method": "POST"},
    "requiredApproval": False,
    "publish": True,
}


class ActionDocumentForm(forms.Form):
    """Creates an action, or gives `action` a new document; of one that a template makes, only what
    admins may set is changed.

    version: of the action as its page showed it, so that nobody undoes what another has saved
    meanwhile. problems: what was refused, with its place in the document.
    """

    document = forms.CharField(widget=forms.Textarea, strip=False)
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, action: Action | None = None
    ) -> None:
        self.action = action
        self.problems: list[Problem] = []
        super().__init__(
            data,
            initial={
                "document": write_json(built_document(action)),
                "version": action.version if action else None,
            },
        )

    def clean_document(self) -> dict[str, Any]:
        try:
            document = read_json(self.cleaned_data["document"])
        except InvalidInput as error:
            raise ValidationError(error.message) from None
        if not isinstance(document, dict):
            raise ValidationError("An action is a JSON object: {…}")
        grants = document.get(PERMISSIONS)
        if grants is not None and not isinstance(grants, dict):
            raise ValidationError("permissions is an object with execute and approve")
        return document

    def save(self, *, actor: Actor) -> Action | None:
        """Save the document; None when it was refused."""
        document = dict(self.cleaned_data["document"])
        grants = document.pop(PERMISSIONS, None)
        try:
            with transaction.atomic():
                saved = self._save(document, actor)
                if grants:
                    _save_grants(saved, grants, actor)
                return saved
        except IdpError as error:
            self.problems = problems_of(error)
            self.add_error(None, str(error))
        return None

    def _save(self, document: dict[str, Any], actor: Actor) -> Action:
        if self.action is None:
            return create_action(document, actor=actor)
        held = get_action(self.action.identifier, is_locked=True)
        if held.version != self.cleaned_data["version"]:
            raise Conflict(
                f"{held.updated_by} has saved version {held.version} of this action meanwhile",
                hint="Copy your JSON, load the page again, and put your changes in.",
                details={"resource": "Action", "value": held.identifier},
            )
        if held.template_id is None:
            return replace_action(held.identifier, document, actor=actor)
        changes = {
            key: document.get(key)
            for key in SETTINGS
            if not documents.is_same(document.get(key), held.document.get(key))
        }
        return change_settings(held.identifier, changes, actor=actor) if changes else held


def _save_grants(action: Action, grants: Mapping[str, Any], actor: Actor) -> None:
    known = permissions_document(action)
    for name in grants:
        if name not in known:
            raise InvalidInput.of(f"{PERMISSIONS}.{name}", grants[name], " or ".join(known))
    try:
        update_permissions(action.identifier, grants, actor=actor)
    except IdpError as error:
        field = str(error.details.get("field", ""))
        error.details["field"] = f"{PERMISSIONS}.{field}" if field else PERMISSIONS
        raise


def built_document(action: Action | None) -> dict[str, Any]:
    """As the builder shows it; a new one where there is none yet."""
    if action is None:
        return dict(NEW_DOCUMENT)
    return {
        "identifier": action.identifier,
        **shown_document(action),
        PERMISSIONS: permissions_document(action),
    }


def problems_of(error: IdpError) -> list[Problem]:
    """What a service refused, each with its place in the document."""
    told = [
        Problem(
            str(one.get("path") or one.get("field") or ""),
            shorten(one.get("value") or ""),
            str(one.get("message") or error.message),
        )
        for one in error.details.get("problems") or ()
    ]
    if told:
        return told
    field = str(error.details.get("field", ""))
    return [Problem(field, shorten(error.details.get("value") or ""), error.message)]


def builder_data(action: Action | None, form: ActionDocumentForm) -> dict[str, Any]:
    """What the page knows of the world around the action; the number of statements is fixed."""
    others = (
        Action.objects.annotate(name=KT("document__title"))
        .order_by("identifier")
        .values_list("identifier", "name")
    )
    titles = event_titles()
    return {
        "types": input_types(),
        "colours": COLOURS,
        "limits": LIMITS,
        "encryptions": ENCRYPTIONS,
        "operations": OPERATIONS,
        "operators": [
            {"name": one.name, "bare": one.takes is Takes.NOTHING} for one in OPERATORS.values()
        ],
        "metas": META_PROPERTIES,
        "kinds": places(),
        "actions": [{"identifier": name, "title": title or name} for name, title in others],
        "events": [
            {"type": name, "title": title, "keys": keys_of(name)} for name, title in titles.items()
        ],
        "backends": [
            {
                "type": one.type,
                "title": one.title,
                "description": one.description,
                "icon": symbol(one.icon),
                "schema": one.schema,
            }
            for one in _methods(action)
        ],
        "secrets": list(Secret.objects.order_by("name").values_list("name", flat=True)),
        "roles": list(Role),
        "grants": permissions_document(Action()),
        "most": {"button": MAX_BUTTON, "minutes": MAX_MINUTES, "hours": MAX_HOURS},
        "stored": action.identifier if action else "",
        "isOfTemplate": bool(action and action.template_id),
        "problems": [
            {"field": one.field, "value": one.value, "message": one.message}
            for one in form.problems
        ],
    }


def _methods(action: Action | None) -> list[Backend]:
    """Each once, though some have a second spelling, unless that is the one in use."""
    used = action.invocation.get("type") if action else None
    found = {one.title: one for one in reversed(backends.values())}
    found |= {one.title: one for one in backends.values() if one.type == used}
    return [one for one in backends.values() if one in found.values()]


def categories() -> list[str]:
    """Those in use, by name; one statement."""
    named = Action.objects.annotate(category=KT("document__category")).filter(
        category__isnull=False
    )
    return list(named.order_by("category").values_list("category", flat=True).distinct())
