"""The forms of the catalogue's settings and of one location: rules are YAML, as in Backstage."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import QueryDict
from unfold.widgets import UnfoldBooleanSwitchWidget

from catalog.forms.widgets import CodeInput, Select, TextInput
from catalog.kernel.errors import IdpError
from catalog.kernel.yaml_reader import load_document
from catalog.kernel.yaml_writer import write_yaml
from catalog.models import CatalogSettings, Location
from catalog.services.catalog_settings import INTERVAL_S, Stated, service_locator

_RULES: Final = (
    "- allow: [Component, API, System]\n"
    "- allow: [{kind: Resource, spec.type: database}]\n"
    "  locations: [{type: url, pattern: https://github.com/acme/**}]"
)
_LOCATORS: Final = {
    "multiTenant": "On all clusters",
    "singleTenant": "On one cluster",
    "catalogRelation": "On the clusters it depends on",
}


class YamlField(forms.CharField):
    """A list as YAML; nothing is an empty list."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, strip=False, max_length=100_000, **options)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text.strip():
            return []
        try:
            return load_document(text, name="the text")
        except IdpError as error:
            raise forms.ValidationError(str(error)) from error


class CatalogSettingsForm(forms.Form):
    use_required_attribute = False

    rules = YamlField(
        widget=CodeInput(rows=4, placeholder=_RULES),
        label="Which kinds may come from where",
        help_text="Backstage's <code>catalog.rules</code>. Any rule that allows an entity is "
        "enough; without rules every kind may come from everywhere.",
    )
    reading_allow = YamlField(
        widget=CodeInput(rows=3, placeholder="- host: files.example.com\n  paths: [/catalog/]"),
        label="Further hosts that may be read",
        help_text="Those of GitHub and GitLab sources may be read already. "
        "<code>*.example.com</code> means every name below.",
    )
    orphan_strategy = forms.ChoiceField(
        choices=CatalogSettings.OrphanStrategy.choices,
        widget=Select(),
        label="An entity that no file holds any more",
        help_text="More than half of a large location at once waits for somebody to confirm it.",
    )
    refresh_interval_s = forms.IntegerField(
        min_value=INTERVAL_S[0],
        max_value=INTERVAL_S[1],
        widget=TextInput(input_type="number"),
        label="Seconds between two readings of a location",
        help_text="Pushes to GitHub and GitLab are heeded at once.",
    )
    is_strict = forms.BooleanField(
        required=False,
        label="Read locations strictly, as Backstage does",
        widget=UnfoldBooleanSwitchWidget,
        help_text="One broken document or missing file keeps out all that its Location names.",
    )
    is_readonly = forms.BooleanField(
        required=False,
        label="Only administrators register locations",
        widget=UnfoldBooleanSwitchWidget,
        help_text="Backstage's <code>catalog.readonly</code>. Over the API nobody does, then.",
    )
    service_locator = forms.ChoiceField(
        choices=list(_LOCATORS.items()),
        widget=Select(),
        label="Where the workloads of an entity run",
        help_text="Backstage's <code>kubernetes.serviceLocatorMethod</code>.",
    )

    def __init__(self, data: QueryDict | None = None, *, settings: CatalogSettings) -> None:
        super().__init__(
            data,
            initial={
                "rules": _yaml(settings.rules),
                "reading_allow": _yaml(settings.reading_allow),
                "orphan_strategy": settings.orphan_strategy,
                "refresh_interval_s": settings.refresh_interval_s,
                "is_strict": settings.is_strict,
                "is_readonly": settings.is_readonly,
                "service_locator": service_locator(settings),
            },
        )
        self.settings = settings

    @property
    def stated(self) -> Stated:
        """What the service takes, of a form that is valid."""
        clean = dict(self.cleaned_data)
        kubernetes = {**self.settings.kubernetes}
        if clean["service_locator"] != service_locator(self.settings):
            kubernetes["serviceLocatorMethod"] = clean["service_locator"]
        stated: Stated = {
            "rules": clean["rules"],
            "reading_allow": clean["reading_allow"],
            "orphan_strategy": clean["orphan_strategy"],
            "refresh_interval_s": clean["refresh_interval_s"],
            "is_strict": clean["is_strict"],
            "is_readonly": clean["is_readonly"],
            "kubernetes": kubernetes,
        }
        return stated

    def refuse(self, error: IdpError) -> None:
        """Show a service's refusal where it belongs."""
        field = str(error.details.get("field", "")).partition("[")[0].partition(".")[0]
        self.add_error(field if field in self.fields else None, str(error))


class LocationForm(forms.Form):
    use_required_attribute = False

    type = forms.ChoiceField(choices=Location.Type.choices, widget=Select())
    target = forms.CharField(
        max_length=2000,
        widget=TextInput(autocapitalize="off", spellcheck="false"),
        help_text="What only the old one held goes, once the new one is read.",
    )
    rules = YamlField(
        widget=CodeInput(rows=3, placeholder="- allow: [User, Group]"),
        label="Kinds that it may bring besides",
        help_text="They add to the rules of all locations.",
    )

    def __init__(self, data: QueryDict | None = None, *, location: Location) -> None:
        initial = {
            "type": location.type,
            "target": location.target,
            "rules": _yaml(location.rules),
        }
        super().__init__(data, initial=initial)

    def refuse(self, error: IdpError) -> None:
        field = str(error.details.get("field", "")).partition("[")[0]
        self.add_error(field if field in self.fields else None, str(error))


def _yaml(value: list[Any]) -> str:
    return write_yaml(value) if value else ""
