"""The form of a proxy endpoint, and the one that tries it."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import QueryDict
from unfold.widgets import UnfoldBooleanSwitchWidget

from catalog.forms.widgets import CheckboxList, CodeInput, LinesInput, Select, TextInput
from catalog.kernel.errors import IdpError
from catalog.models import ProxyEndpoint
from catalog.services.proxy import METHODS, Stated

_AS_TYPED: Final = {"autocapitalize": "off", "spellcheck": "false", "autocomplete": "off"}
# The fields of the form by the names that services say.
_FIELDS: Final = {
    "path": "path",
    "target": "target",
    "methods": "methods",
    "allowedHeaders": "allowed_headers",
    "credentials": "credentials",
}


class ProxyForm(forms.Form):
    """headers, rewrites: rows of (name, value), which come as `header_name`, `header_value`, …"""

    use_required_attribute = False

    path = forms.CharField(
        max_length=200,
        widget=TextInput(placeholder="/pagerduty/api", **_AS_TYPED),
        help_text="It is served under <code>/api/proxy</code> and this path.",
    )
    target = forms.CharField(
        max_length=2000,
        widget=TextInput(input_type="url", placeholder="https://api.pagerduty.com", **_AS_TYPED),
        help_text="What follows the path is appended to this address.",
    )
    credentials = forms.ChoiceField(
        choices=ProxyEndpoint.Credentials.choices, widget=Select(), label="Who may call it"
    )
    methods = forms.MultipleChoiceField(
        choices=[(one, one) for one in METHODS],
        required=False,
        widget=CheckboxList(),
        help_text="None chosen: all of them.",
    )
    allowed_headers = forms.CharField(
        required=False,
        widget=LinesInput(),
        label="Headers that callers may send on",
        help_text="Beside the usual ones, such as <code>accept</code> and "
        "<code>content-type</code>.",
    )
    change_origin = forms.BooleanField(
        required=False,
        label="The target sees its own host name",
        initial=True,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Off: it sees the host name that callers use for this server.",
    )
    is_enabled = forms.BooleanField(
        required=False, label="It is served", initial=True, widget=UnfoldBooleanSwitchWidget
    )

    def __init__(
        self, data: QueryDict | None = None, *, endpoint: ProxyEndpoint | None = None
    ) -> None:
        initial: dict[str, Any] = {}
        if endpoint:
            names = ("path", "target", "credentials", "methods", "change_origin", "is_enabled")
            initial = {name: getattr(endpoint, name) for name in names}
            initial["allowed_headers"] = "\n".join(endpoint.allowed_headers)
        super().__init__(data, initial=initial)
        self.row_errors: dict[str, str] = {}
        if data is None:
            self.headers = list(endpoint.headers.items()) if endpoint else []
            self.rewrites = list(endpoint.path_rewrite.items()) if endpoint else []
        else:
            self.headers = _rows(data, "header_name", "header_value")
            self.rewrites = _rows(data, "rewrite_from", "rewrite_to")

    @property
    def stated(self) -> Stated:
        """What services take, of a form that is valid."""
        clean = self.cleaned_data
        return {
            "path": clean["path"],
            "target": clean["target"],
            "headers": dict(self.headers),
            "methods": clean["methods"],
            "allowed_headers": clean["allowed_headers"].split(),
            "path_rewrite": dict(self.rewrites),
            "change_origin": clean["change_origin"],
            "credentials": clean["credentials"],
            "is_enabled": clean["is_enabled"],
        }

    def clean(self) -> dict[str, Any]:
        for rows, title in ((self.headers, "header"), (self.rewrites, "pattern")):
            names = [name.lower() for name, _ in rows]
            if twice := next((name for name in names if names.count(name) > 1), None):
                self.add_error(None, f'The {title} "{twice}" is there twice.')
        return self.cleaned_data

    def refuse(self, error: IdpError) -> None:
        """Show a service's refusal where it belongs."""
        field = str(error.details.get("field", ""))
        self.add_error(_FIELDS.get(field), str(error))


class TrialForm(forms.Form):
    """One call of an endpoint, to see whether it works."""

    use_required_attribute = False

    method = forms.ChoiceField(choices=[(one, one) for one in METHODS], widget=Select())
    rest = forms.CharField(
        required=False,
        max_length=2000,
        label="Path and query",
        widget=TextInput(placeholder="/users?limit=1", **_AS_TYPED),
    )
    body = forms.CharField(
        required=False,
        max_length=100_000,
        strip=False,
        widget=CodeInput(rows=3),
        label="Body (JSON)",
        help_text="For POST, PUT and PATCH.",
    )


def _rows(data: QueryDict, names: str, values: str) -> list[tuple[str, str]]:
    """The rows that were filled in; one with neither part is none."""
    pairs = zip(data.getlist(names), data.getlist(values), strict=False)
    return [(name.strip(), value) for name, value in pairs if name.strip() or value]
