"""Form fields for values of entities: what a person sees and types, and the JSON it stands for.

A field that is sent back as it was shown gives the stored value itself, so that nothing a form
cannot show exactly (a date-time with an offset, the order of keys, a blank at the end) is changed
by a visit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import regex
from django import forms
from django.core.exceptions import ValidationError

from catalog.forms import widgets
from catalog.kernel.errors import InvalidInput, shorten
from catalog.kernel.json_text import read_json, write_json

ABSENT: Final = None  # JSON null is never stored, so it can stand for "no value"

_INTEGER = regex.compile(r"[+-]?[0-9]{1,30}")


class _Typed:
    """What came from the browser, to be shown again as it is."""

    def __init__(self, data: Any) -> None:
        self.data = data


class ValueField(forms.Field):
    """Base: `stored` is the value in the catalogue, `ABSENT` for none."""

    empty_values = (ABSENT,)  # an empty object or list that someone typed is a value

    def __init__(self, *, stored: Any = ABSENT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stored = stored

    def bound_data(self, data: Any, initial: Any) -> _Typed:
        return _Typed(data)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, _Typed):
            return value.data
        return self.empty_shown if value is ABSENT else self.shown(value)

    @property
    def empty_shown(self) -> Any:
        return ""

    def shown(self, value: Any) -> Any:
        """What the widget shows for a value."""
        return value if isinstance(value, str) else write_json(value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self._plain(self.prepare_value(initial)) != self._plain(data))

    def clean(self, value: Any) -> Any:
        if self.stored is not ABSENT and not self.has_changed(self.stored, value):
            return self.stored
        return super().clean(value)

    @staticmethod
    def _plain(shown: Any) -> Any:
        """As browsers send it: line ends of a text area come as CRLF."""
        if isinstance(shown, str):
            return shown.replace("\r\n", "\n").replace("\r", "\n")
        return shown or ""


class TextField(ValueField):
    """One line of text; blanks around what is typed are taken off."""

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        return text or ABSENT


class LongTextField(ValueField):
    """Text of many lines, kept to the letter; line ends are LF."""

    widget = widgets.LongTextInput

    def to_python(self, value: Any) -> Any:
        text = self._plain(str(value or ""))
        return text if text.strip() else ABSENT


class NumberField(ValueField):
    """A number; what is typed without a point or exponent is an integer."""

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        return read_number(text) if text else ABSENT


class YesNoField(ValueField):
    """True, false or no value: a tick box could not say the third."""

    widget = widgets.Select

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widget.choices = [("", "–"), ("true", "Yes"), ("false", "No")]

    def to_python(self, value: Any) -> Any:
        if value in (None, ""):
            return ABSENT
        if value not in ("true", "false"):
            raise ValidationError(f'"{shorten(value)}" is neither Yes nor No')
        return value == "true"


class EnumField(ValueField):
    """One of the values of an enum, whatever their type."""

    widget = widgets.Select

    def __init__(self, *, values: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.values = {json.dumps(value): value for value in values}
        choices = [("", "–"), *((key, display_text(value)) for key, value in self.values.items())]
        if self.stored is not ABSENT and json.dumps(self.stored) not in self.values:
            choices.append((json.dumps(self.stored), f"{display_text(self.stored)} (not allowed)"))
        self.widget.choices = choices

    def shown(self, value: Any) -> str:
        return json.dumps(value)

    def to_python(self, value: Any) -> Any:
        if value in (None, ""):
            return ABSENT
        if value not in self.values:
            expected = ", ".join(display_text(v) for v in self.values.values())
            raise ValidationError(f'"{shorten(value)}" is not one of {shorten(expected, 400)}')
        return self.values[value]


class ManyEnumField(ValueField):
    """Some of the values of an enum, as boxes to tick; kept in the order of the enum."""

    widget = widgets.CheckboxList

    def __init__(self, *, values: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.values = {json.dumps(value): value for value in values}
        choices = [(key, display_text(value)) for key, value in self.values.items()]
        for value in self.stored or []:
            if json.dumps(value) not in self.values:
                self.values[json.dumps(value)] = value  # the schema has the last word
                choices.append((json.dumps(value), f"{display_text(value)} (not allowed)"))
        self.widget.choices = choices

    @property
    def empty_shown(self) -> list[str]:
        return []

    def shown(self, value: Any) -> list[str]:
        return [json.dumps(one) for one in value]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return set(self.prepare_value(initial)) != set(data or [])

    def to_python(self, value: Any) -> Any:
        picked = set(value or [])
        for key in picked - self.values.keys():
            raise ValidationError(f'"{shorten(key)}" is not one of the values')
        return [one for key, one in self.values.items() if key in picked] or ABSENT


class MomentField(ValueField):
    """A date and time in UTC, stored as ISO text."""

    widget = widgets.MomentInput

    def shown(self, value: Any) -> str:
        return _moment(value).replace(tzinfo=None).isoformat(timespec="seconds")

    def has_changed(self, initial: Any, data: Any) -> bool:
        shown = self.prepare_value(initial)
        # Browsers leave out seconds that are zero.
        return data not in (shown, shown.removesuffix(":00"))

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        if not text:
            return ABSENT
        try:
            return f"{self.shown(text)}Z"
        except (ValueError, OverflowError):
            raise ValidationError(
                f'"{shorten(text)}" is not a date and time like 2026-03-01T09:30'
            ) from None

    @staticmethod
    def can_show(value: Any) -> bool:
        try:
            return bool(_moment(value))
        except (ValueError, TypeError, OverflowError):
            return False


class LinesField(ValueField):
    """A list of plain values, one a line. item_type: "string", "number" or "boolean"."""

    widget = widgets.LinesInput

    def __init__(self, *, item_type: str = "string", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item_type = item_type

    def shown(self, value: Any) -> str:
        return "\n".join(one if isinstance(one, str) else json.dumps(one) for one in value)

    def to_python(self, value: Any) -> Any:
        lines = [line.strip() for line in self._plain(str(value or "")).split("\n")]
        values, errors = [], []
        for number, line in enumerate(lines, 1):
            if line:
                try:
                    values.append(self._item(line))
                except ValidationError as error:
                    errors.append(f"Line {number}: {error.message}")
        if errors:
            raise ValidationError(errors)
        return values or ABSENT

    def _item(self, line: str) -> Any:
        if self.item_type == "number":
            return read_number(line)
        if self.item_type == "boolean":
            if line not in ("true", "false"):
                raise ValidationError(f'"{shorten(line)}" is neither true nor false')
            return line == "true"
        return line

    @staticmethod
    def can_show(value: Any, item_type: str) -> bool:
        """Whether lines of text say exactly this list."""
        if not isinstance(value, list):
            return False
        if item_type == "string":
            return all(
                isinstance(one, str) and one and one == one.strip() and len(one.splitlines()) == 1
                for one in value
            )
        kinds = {"number": (int, float), "boolean": (bool,)}[item_type]
        return all(
            isinstance(one, kinds) and isinstance(one, bool) == (item_type == "boolean")
            for one in value
        )


class JsonField(ValueField):
    """Any JSON, as text."""

    widget = widgets.CodeInput

    def shown(self, value: Any) -> str:
        return write_json(value)

    def to_python(self, value: Any) -> Any:
        text = str(value or "")
        if not text.strip():
            return ABSENT
        try:
            return read_json(text)
        except InvalidInput as error:
            raise ValidationError(error.message) from None


class PickerField(ValueField):
    """One name (of an entity, a team, a person), found by searching."""

    def to_python(self, value: Any) -> Any:
        return str(value or "").strip() or ABSENT


class ManyPickerField(ValueField):
    """Several names, in their order, each once."""

    @property
    def empty_shown(self) -> list[str]:
        return []

    def shown(self, value: Any) -> Any:
        return value

    def to_python(self, value: Any) -> Any:
        names = [str(one).strip() for one in value or []]
        return list(dict.fromkeys(name for name in names if name)) or ABSENT


def read_number(text: str) -> int | float:
    """The number a person typed. Raises ValidationError."""
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        number = float(text.replace("_", "x"))  # Python reads 1_000, people do not
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValidationError(f'"{shorten(text)}" is not a number')
    return number


def _moment(text: str) -> datetime:
    """In UTC, which is also what a text without an offset means."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def display_text(value: Any) -> str:
    """A value as people read it: text as it is, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
