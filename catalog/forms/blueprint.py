"""The form behind the blueprint builder: the whole blueprint as JSON, in Port's shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from catalog.kernel.actors import Actor
from catalog.kernel.errors import BreakingChange, IdpError, InvalidInput
from catalog.kernel.json_text import read_json, write_json
from catalog.models import Blueprint
from catalog.services.blueprints import (
    Effect,
    Impact,
    blueprint_document,
    create_blueprint,
    preview_change,
    replace_blueprint,
)

NEW_DOCUMENT: dict[str, Any] = {
    "identifier": "",
    "title": "",
    "icon": None,
    "description": None,
    "schema": {"properties": {}, "required": []},
    "relations": {},
    "mirrorProperties": {},
    "calculationProperties": {},
    "aggregationProperties": {},
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What a service refused. field: where in the document; "" is the whole of it."""

    field: str
    value: str
    message: str


class BlueprintForm(forms.Form):
    """Creates a blueprint, or gives `blueprint` a new definition.

    A change that touches stored entities is not saved at first: `impact` then says what it would
    do, and `confirmation` is what `force` has to send back. It stands for this very document, so
    nobody confirms one change and gets another.
    """

    document = forms.CharField(widget=forms.Textarea, strip=False)
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    force = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, blueprint: Blueprint | None = None
    ) -> None:
        self.blueprint = blueprint
        self.impact: Impact | None = None
        self.problems: list[Problem] = []
        document = blueprint_document(blueprint) if blueprint else NEW_DOCUMENT
        super().__init__(
            data,
            initial={
                "document": write_json(document),
                "version": blueprint.version if blueprint else None,
            },
        )

    @property
    def confirmation(self) -> str:
        """The digest of the document as it was sent."""
        return blake2b(str(self.data.get("document")).encode(), digest_size=8).hexdigest()

    @property
    def effects(self) -> tuple[Effect, ...]:
        return self.impact.effects if self.impact else ()

    def clean_document(self) -> dict[str, Any]:
        try:
            document = read_json(self.cleaned_data["document"])
        except InvalidInput as error:
            raise ValidationError(error.message) from None
        if not isinstance(document, dict):
            raise ValidationError("A blueprint is a JSON object: {…}")
        if self.blueprint and document.get("identifier") != self.blueprint.identifier:
            raise ValidationError(
                f'The identifier is "{self.blueprint.identifier}" here; Rename gives it another one'
            )
        return document

    def save(self, *, actor: Actor) -> Blueprint | None:
        """Save the document; None when it was refused or has to be confirmed first."""
        try:
            return self._save(actor)
        except BreakingChange as error:  # entities came in since the preview
            self.add_error(None, error.message)
        except IdpError as error:
            self.problems.append(
                Problem(
                    str(error.details.get("field", "")),
                    str(error.details.get("value", "")),
                    error.message,
                )
            )
            self.add_error(None, str(error))
        return None

    def _save(self, actor: Actor) -> Blueprint | None:
        document = self.cleaned_data["document"]
        if self.blueprint is None:
            return create_blueprint(document, actor=actor)
        identifier = self.blueprint.identifier
        is_confirmed = self.cleaned_data["force"] == self.confirmation
        if not is_confirmed:
            impact = preview_change(identifier, document)
            if impact.effects:
                self.impact = impact
                return None
        return replace_blueprint(
            identifier,
            document,
            actor=actor,
            force=is_confirmed,
            if_version=self.cleaned_data["version"],
        )
