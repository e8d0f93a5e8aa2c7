"""The form of a source: what it is called, and its settings as its kind describes them.

Secrets go in and never come out: an input of one is always empty, and empty means "as it was". When
a form has to be shown again, what was typed travels along sealed, so that nobody types it twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.utils.html import format_html
from unfold import widgets as unfold

from catalog.forms import fields as ours
from catalog.forms.widgets import CodeInput, LongTextInput, TextInput
from catalog.kernel import crypto
from catalog.kernel.errors import IdpError
from catalog.services.secrets import MASK, secret_properties

_AS_TYPED: Final = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
_PREFIX: Final = "settings"
_KEPT: Final = "kept"
_CLEAR: Final = "clear-"


class _UnseenLine(unfold.UnfoldAdminPasswordWidget):
    def __init__(self, **attrs: Any) -> None:
        super().__init__({"autocomplete": "new-password", **attrs}, render_value=False)


class _UnseenLines(CodeInput):
    def format_value(self, value: Any) -> None:
        return None


class Tick(forms.CheckboxInput):
    """A box before its words; the template of the field puts it there."""


class SourceForm(forms.Form):
    """What a source is called."""

    use_required_attribute = False

    title = forms.CharField(max_length=200, required=False, widget=TextInput())
    identifier = forms.CharField(
        max_length=100,
        widget=TextInput(**_AS_TYPED),
        help_text="Its name in addresses and in the history: letters, digits and @ _ . + : = -",
    )
    description = forms.CharField(required=False, widget=LongTextInput(rows=2))

    def __init__(self, data: Any = None, *, is_new: bool = True, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        if not is_new:
            del self.fields["identifier"]

    def refuse(self, error: IdpError) -> bool:
        """Say beside its field what the service refused. False: it is about no field here."""
        field = str(error.details.get("field", ""))
        if field in self.fields:
            self.add_error(field, str(error))
        return field in self.fields


class SettingsForm(forms.Form):
    """The settings of a kind, one field for each property of its JSON Schema, in their order.

    values: those stored, secrets as their mask. owner: who fills it in; what travels along sealed
    is read only for them and this kind. `cleaned_settings` has the whole as services take it:
    secrets that stay come as their mask.
    """

    use_required_attribute = False

    def __init__(
        self,
        data: Any = None,
        *,
        kind: str,
        schema: Mapping[str, Any],
        values: Mapping[str, Any] | None = None,
        owner: str = "",
    ) -> None:
        super().__init__(data, prefix=_PREFIX)
        self._owner = [kind, owner]
        self._properties: Mapping[str, Any] = schema.get("properties", {})
        self._secrets = secret_properties(schema)
        self._values = dict(values or {})
        self._kept = self._opened(data.get(self.add_prefix(_KEPT)) if data else None)
        needed = set(schema.get("required", ()))
        for name, one in self._properties.items():
            is_secret = name in self._secrets
            is_set = is_secret and (name in self._kept or self._values.get(name) == MASK)
            self.fields[name] = (
                _secret_field(name, one, is_set=is_set)
                if is_secret
                else _field(one, self._values.get(name, one.get("default")))
            )
            self.fields[name].required = name in needed and not is_set
            if is_set and name not in needed:
                self.fields[f"{_CLEAR}{name}"] = forms.BooleanField(
                    label="Remove it", required=False, widget=Tick()
                )

    @property
    def rows(self) -> list[tuple[Any, Any]]:
        """(field, the tick that removes what is set or None), for the template."""
        return [
            (self[name], self[clear] if (clear := f"{_CLEAR}{name}") in self.fields else None)
            for name in self._properties
        ]

    @property
    def kept(self) -> str:
        """The secrets that were typed, sealed, for a hidden input; "" for none."""
        if not self.is_bound:
            return ""
        values = {**self._kept, **self._typed_secrets()}
        return crypto.seal({"for": self._owner, "values": values}).decode() if values else ""

    @property
    def cleaned_settings(self) -> dict[str, Any]:
        """Raises nothing; call it on a valid form."""
        settings = {
            name: value for name, value in self._values.items() if name not in self._properties
        }
        for name, one in self._properties.items():
            value = self.cleaned_data.get(name)
            if name in self._secrets:
                if self.cleaned_data.get(f"{_CLEAR}{name}"):
                    settings[name] = None
                elif value or name in self._kept:
                    settings[name] = value or self._kept[name]
                elif self._values.get(name) == MASK:
                    settings[name] = MASK
            elif value is None:
                continue
            elif name in self._values or value != one.get("default", _absent(one)):
                settings[name] = value
        return settings

    def refuse(self, error: IdpError) -> None:
        """Say beside their fields what the service or the vendor refused."""
        problems = error.details.get("problems") or ()
        for problem in problems:
            name = str(problem["path"]).split(".")[0].split("[")[0]
            text = f"{problem['message']}; expected {problem['expected']}"
            self.add_error(name if name in self.fields else None, text)
        if not problems:
            field = str(error.details.get("field", ""))
            name = field.removeprefix("settings.").removeprefix("security.").split(".")[0]
            self.add_error(name if name in self.fields else None, str(error))

    def _typed_secrets(self) -> dict[str, str]:
        typed = {}
        for name in self._secrets:
            value = self.fields[name].widget.value_from_datadict(
                self.data, self.files, self.add_prefix(name)
            )
            if value:
                typed[name] = _as_meant(value)
        return typed

    def _opened(self, token: str | None) -> dict[str, Any]:
        if not token:
            return {}
        try:
            opened = crypto.open_(token.encode())
        except (crypto.SealingFailed, UnicodeEncodeError):
            return {}
        if not isinstance(opened, dict) or opened.get("for") != self._owner:
            return {}
        return {name: one for name, one in opened["values"].items() if name in self._secrets}


class _SecretField(forms.CharField):
    def clean(self, value: Any) -> Any:
        return _as_meant(super().clean(value) or "")


def _secret_field(name: str, schema: Mapping[str, Any], *, is_set: bool) -> forms.Field:
    hint = {"placeholder": "Set; leave empty to keep it"} if is_set else {}
    many_lines = schema.get("multiline") or schema.get("format") == "textarea"
    widget = _UnseenLines(rows=4, autocomplete="off", **hint) if many_lines else _UnseenLine(**hint)
    return _SecretField(
        label=schema.get("title") or name,
        help_text=_help(schema, is_secret=True),
        strip=False,
        widget=widget,
    )


def _field(schema: Mapping[str, Any], value: Any) -> forms.Field:
    common = {
        "label": schema.get("title"),
        "help_text": _help(schema),
        "initial": value,
    }
    types = schema.get("type", "string")
    types = [one for one in ([types] if isinstance(types, str) else types) if one != "null"]
    if "boolean" in types:
        return forms.BooleanField(**{**common, "initial": bool(value)}, widget=Tick())
    if "enum" in schema:
        values = [one for one in schema["enum"] if one not in (None, "")]
        return ours.EnumField(values=values, **common)
    if "array" in types:
        item_type = schema.get("items", {}).get("type")
        if item_type in ("string", "number") and (
            value is None or ours.LinesField.can_show(value, item_type)
        ):
            return ours.LinesField(item_type=item_type, **common)
        return ours.JsonField(**common, widget=CodeInput(rows=3))
    if "object" in types:
        return ours.JsonField(**common, widget=CodeInput(rows=3, placeholder="{}"))
    if "string" not in types and types and types[0] in ("integer", "number"):
        return ours.NumberField(**common, widget=TextInput(inputmode="decimal"))
    if schema.get("multiline") or schema.get("format") == "textarea":
        return ours.LongTextField(**common, widget=CodeInput(rows=4))
    return ours.TextField(**common, widget=TextInput(**_AS_TYPED))


def _absent(schema: Mapping[str, Any]) -> Any:
    """What a form sends for a property that nobody touched."""
    return False if schema.get("type") == "boolean" else None


def _help(schema: Mapping[str, Any], *, is_secret: bool = False) -> str:
    """The property's own words; of a secret, also how to name one of the organisation's."""
    words = schema.get("description", "")
    if not is_secret:
        return format_html("{}", words)
    return format_html(
        "{}{}Encrypted at once. <code>${{NAME}}</code> means the secret of that name.",
        words,
        " " if words else "",
    )


def _as_meant(value: str) -> str:
    """Browsers send CR LF, and a token is copied with its line end."""
    text = value.replace("\r\n", "\n")
    return text if "\n" in text.strip() else text.strip()
