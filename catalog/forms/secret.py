"""The form of an organisation's secret. Its value goes in and is never shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from catalog.forms.widgets import CodeInput, TextInput
from catalog.kernel.errors import IdpError
from catalog.models import Secret
from catalog.services.secrets import MAX_VALUE

_AS_TYPED = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}


class _UnseenInput(CodeInput):
    """What was typed is not sent back, even if the form has to be shown again."""

    def format_value(self, value: Any) -> None:
        return None


class SecretForm(forms.Form):
    """secret: the one that is changed, whose name stays and whose value may stay."""

    use_required_attribute = False

    name = forms.CharField(
        max_length=100,
        widget=TextInput(**_AS_TYPED),
        help_text="Letters, digits, - and _. Settings name it as <code>${NAME}</code>.",
    )
    value = forms.CharField(
        max_length=MAX_VALUE,
        strip=False,
        widget=_UnseenInput(rows=3, autocomplete="off"),
        help_text="Encrypted at once. Nobody can read it here again.",
    )
    description = forms.CharField(
        max_length=200,
        required=False,
        widget=TextInput(),
        help_text="What it opens, where it was made, when it runs out.",
    )

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, secret: Secret | None = None
    ) -> None:
        super().__init__(data, initial={"description": secret.description} if secret else None)
        if secret:
            del self.fields["name"]
            self.fields["value"].required = False
            self.fields["value"].label = "New value"
            self.fields["value"].widget.attrs["placeholder"] = "Leave empty to keep the present one"

    def clean_value(self) -> str:
        """As it was meant: browsers send CR LF, and a token is copied with its line end."""
        value = str(self.cleaned_data["value"]).replace("\r\n", "\n")
        return value if "\n" in value.strip() else value.strip()

    def refuse(self, error: IdpError) -> None:
        """Say beside its field what the service refused."""
        field = str(error.details.get("field", ""))
        own = {"secretName": "name", "secretValue": "value"}.get(field, field)
        self.add_error(own if own in self.fields else None, str(error))
