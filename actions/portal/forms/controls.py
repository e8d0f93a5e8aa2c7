"""One input of the form for each question that is answered by a single value or a list of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from unfold import widgets as unfold

from actions.inputs import Field
from catalog.forms import fields, widgets
from catalog.kernel.errors import shorten
from catalog.kernel.yaml_reader import YamlError, read_documents
from catalog.kernel.yaml_writer import write_yaml

_INPUT_TYPES: Final = {"url": "url", "uri": "url", "email": "email"}


class ChoiceField(fields.EnumField):
    """One of some values. That it is one of them is checked with everything else: which ones there
    are may depend on what is typed elsewhere in the same form."""

    def __init__(self, *, one: Field, values: Sequence[Any], is_radio: bool = False) -> None:
        super().__init__(values=values, required=False)
        choices = [(json.dumps(value), one.name_of(value)) for value in values]
        if is_radio:
            self.widget = unfold.UnfoldAdminRadioSelectWidget(choices=choices)
        else:
            self.widget.choices = [("", "–"), *choices]

    def to_python(self, value: Any) -> Any:
        return fields.ABSENT if value in (None, "") else _json(value)


class ChoicesField(fields.ManyEnumField):
    """Several of some values, as boxes to tick."""

    def __init__(self, *, one: Field, values: Sequence[Any]) -> None:
        super().__init__(values=values, required=False)
        self.widget.choices = [(json.dumps(value), one.name_of(value)) for value in values]

    def to_python(self, value: Any) -> Any:
        return [_json(one) for one in value or []] or fields.ABSENT


class TickField(fields.ValueField):
    """True or false."""

    widget = unfold.UnfoldBooleanSwitchWidget

    @property
    def empty_shown(self) -> bool:
        return False

    def shown(self, value: Any) -> bool:
        return value is True

    def to_python(self, value: Any) -> bool:
        return value is True


class HiddenField(fields.ValueField):
    """A value that nobody sees, with its type."""

    widget = forms.HiddenInput

    def shown(self, value: Any) -> str:
        return json.dumps(value)

    def to_python(self, value: Any) -> Any:
        return _json(value) if value else fields.ABSENT


class SecretField(fields.ValueField):
    """Never shown again, not even to who typed it."""

    def prepare_value(self, value: Any) -> str:
        return ""

    def to_python(self, value: Any) -> Any:
        return str(value) if value else fields.ABSENT


class DayField(fields.ValueField):
    """A date."""

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        if not text:
            return fields.ABSENT
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise ValidationError(f'"{shorten(text)}" is not a date like 2026-03-01') from None


class StructureField(fields.ValueField):
    """Anything that YAML can say, which is all of JSON."""

    widget = widgets.CodeInput

    def __init__(self, *, kind: str = "", **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.kind = kind

    def shown(self, value: Any) -> str:
        return write_yaml(value)

    def to_python(self, value: Any) -> Any:
        text = self._plain(str(value or ""))
        if not text.strip():
            return fields.ABSENT
        try:
            documents = list(read_documents(text, name="text", strict=True))
        except YamlError as error:
            raise ValidationError(f"This is neither YAML nor JSON: {place_of(error)}") from None
        if len(documents) > 1:
            raise ValidationError("There must be one document only, with no --- between several")
        return documents[0].value if documents else fields.ABSENT


def place_of(error: YamlError) -> str:
    """What is wrong with YAML, and where."""
    where = ", ".join(
        f"{name} {at}" for name, at in (("line", error.line), ("column", error.column)) if at
    )
    return f"{error.problem} ({where})" if where else str(error.problem)


def control_of(
    field: Field,
    *,
    enum: Sequence[Any] | None = None,
    picker: forms.Widget | None = None,
) -> fields.ValueField:
    """The input of a question. enum: what may be chosen just now, where that is limited. picker:
    the input for what is picked, already told where to search."""
    if field.widget == "hidden":
        return HiddenField(required=False)
    if picker is not None:
        kind = fields.ManyPickerField if field.is_list else fields.PickerField
        return kind(required=False, widget=picker)
    if enum is not None:
        return _choice(field, enum)
    return _typed(field)


def _choice(field: Field, enum: Sequence[Any]) -> fields.ValueField:
    if field.is_list:
        return ChoicesField(one=field.one, values=enum)
    return ChoiceField(one=field, values=enum, is_radio=field.widget == "radio")


def _typed(field: Field) -> fields.ValueField:
    hint = {"placeholder": field.placeholder} if field.placeholder else {}
    rows = field.options.get("rows")
    rows = rows if isinstance(rows, int) and 1 <= rows <= 50 else 4
    match field.widget:
        case "password":
            widget = widgets.TextInput(input_type="password", autocomplete="new-password", **hint)
            return SecretField(required=False, widget=widget)
        case "number" | "range":
            # text, so that nothing typed is swallowed by the browser, and the wheel changes nothing
            widget = widgets.TextInput(inputmode="decimal", **hint)
            return fields.NumberField(required=False, widget=widget)
        case "checkbox":
            return TickField(required=False)
        case "yes-no":
            return fields.YesNoField(required=False)
        case "moment":
            return fields.MomentField(required=False)
        case "date":
            return DayField(required=False, widget=widgets.TextInput(input_type="date"))
        case "textarea":
            widget = widgets.LongTextInput(rows=rows, **hint)
            return fields.LongTextField(required=False, widget=widget)
        case "markdown":
            return fields.LongTextField(required=False, widget=widgets.LongTextInput(rows=6))
        case "code":
            return fields.LongTextField(required=False, widget=widgets.CodeInput(rows=6))
        case "lines":
            kind = {"integer": "number"}.get(field.one.type, field.one.type)
            return fields.LinesField(required=False, item_type=kind)
        case "json":
            return StructureField(widget=widgets.CodeInput(rows=5))
    kind = _INPUT_TYPES.get(field.format, "text")
    plain = {"autocapitalize": "off", "spellcheck": "false"} if kind != "text" else {}
    return fields.TextField(
        required=False, widget=widgets.TextInput(input_type=kind, **plain, **hint)
    )


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        raise ValidationError(f'"{shorten(text)}" is not one of the values') from None
