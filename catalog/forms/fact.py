"""The form of a fact: what it is of, its key, its value as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.db.models.functions import Lower

from catalog.forms.widgets import CodeInput, Select, TextInput
from catalog.kernel.errors import IdpError, InvalidInput
from catalog.kernel.json_text import read_json, write_json
from catalog.models import Blueprint, Fact
from catalog.services.facts import MAX_DESCRIPTION, MAX_KEY

_AS_TYPED: Final = {"autocapitalize": "off", "spellcheck": "false", "autocomplete": "off"}


def _kinds() -> list[tuple[str, str]]:
    return list(Blueprint.objects.order_by(Lower("title")).values_list("identifier", "title"))


class FactForm(forms.Form):
    """fact: the one that is changed, whose entity and key stay."""

    use_required_attribute = False

    blueprint = forms.ChoiceField(label="Kind", choices=_kinds, widget=Select())
    entity = forms.CharField(label="Identifier of the entity", widget=TextInput(**_AS_TYPED))
    key = forms.CharField(
        max_length=MAX_KEY,
        widget=TextInput(placeholder="coverage", **_AS_TYPED),
        help_text="Rules of scorecards name it. One that is there already is replaced.",
    )
    value = forms.CharField(
        widget=CodeInput(rows=4),
        help_text="JSON: <code>82.4</code>, <code>true</code>, "
        '<code>"text"</code>, <code>{"bugs": 3}</code>.',
    )
    description = forms.CharField(max_length=MAX_DESCRIPTION, required=False, widget=TextInput())

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        fact: Fact | None = None,
        initial: dict[str, Any] | None = None,
    ) -> None:
        if fact:
            initial = {"value": write_json(fact.value), "description": fact.description}
        super().__init__(data, initial=initial)
        if fact:
            for name in ("blueprint", "entity", "key"):
                del self.fields[name]

    def clean_value(self) -> Any:
        try:
            return read_json(self.cleaned_data["value"])
        except InvalidInput as error:
            raise ValidationError(error.message) from None

    def refuse(self, error: IdpError) -> None:
        """Say beside its field what the service refused."""
        field = str(error.details.get("field", ""))
        own = "entity" if error.details.get("resource") == "Entity" else field
        self.add_error(own if own in self.fields else None, str(error))
