"""Files of a configuration, and the variables that they name."""

from __future__ import annotations

import re
from typing import Any, Final

from django import forms
from django.core.files.uploadedfile import UploadedFile

from catalog.forms.widgets import CodeInput

MAX_FILES: Final = 20

_VARIABLE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*)")


class FilesInput(forms.FileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Several files; the value is {name: content}."""

    widget = FilesInput

    def clean(self, data: Any, initial: Any = None) -> dict[str, bytes]:
        given = data if isinstance(data, list | tuple) else [data] if data else []
        if not given:
            if self.required:
                raise forms.ValidationError("Choose the files.")
            return {}
        if len(given) > MAX_FILES:
            raise forms.ValidationError(f"These are {len(given)} files; at most {MAX_FILES}.")
        return {self._name(one): bytes(one.read()) for one in given}

    def _name(self, file: UploadedFile) -> str:
        return str(super().clean(file).name)


class _UnseenInput(CodeInput):
    """What was typed is not sent back, even if the form has to be shown again."""

    def format_value(self, value: Any) -> None:
        return None


class ConfigurationForm(forms.Form):
    use_required_attribute = False

    chosen = FilesField(
        label="Files",
        widget=FilesInput(attrs={"accept": ".yaml,.yml,.json,.pem,.txt", "class": "idp-file"}),
        help_text="<code>app-config.yaml</code> and those laid over it, or "
        "<code>cortex-config.yaml</code>. Other files are read where these include them.",
    )
    variables = forms.CharField(
        required=False,
        strip=False,
        max_length=200_000,
        widget=_UnseenInput(rows=4, autocomplete="off", placeholder="GITHUB_TOKEN=…"),
        help_text="What <code>${NAME}</code> stands for, one a line. Secrets are kept under "
        "Secrets; those you leave out can be added there later.",
    )

    def clean_variables(self) -> dict[str, str]:
        """The lines of an environment file; comments and quotes as there."""
        found = {}
        for number, line in enumerate(str(self.cleaned_data["variables"]).splitlines(), 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            match = _VARIABLE.fullmatch(text)
            if match is None:
                raise forms.ValidationError(f"Line {number} is not like NAME=value.")
            value = match[2].strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
                value = value[1:-1]
            found[match[1]] = value
        return found

    @property
    def names(self) -> list[str]:
        """The files that are configuration, in the order they are laid on each other."""
        given = list(self.cleaned_data["chosen"])
        texts = [one for one in given if one.lower().endswith((".yaml", ".yml", ".json"))]
        named = [one for one in texts if one.startswith(("app-config", "cortex"))]
        return sorted(named or texts, key=lambda one: (one != "app-config.yaml", given.index(one)))
