"""What came from the browser, as the values it stands for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.core.exceptions import ValidationError

from actions.inputs import Field
from actions.portal.forms import names, repository
from actions.portal.forms.controls import control_of
from catalog.forms import widgets

ABSENT: Final = None
MAX_ROWS: Final = 200


@dataclass(frozen=True, slots=True)
class Marks:
    """What the form said of itself when it was drawn, and sends back.

    shown: the questions that were seen. defaults: what those showed that nobody had answered: what
    comes back the same is still not answered, and goes on following its default. states: how each
    question looked, without what was typed; wrong: those that an error stood beside. lists: the
    questions of each page.
    """

    is_sent: bool = False
    shown: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)
    wrong: frozenset[str] = frozenset()

    @classmethod
    def of(cls, data: Any) -> Marks:
        try:
            sent = json.loads(data.get(names.MARKS, ""))
        except ValueError:
            return cls()
        if not isinstance(sent, dict):
            return cls()
        return cls(
            is_sent=True,
            shown=_names(sent.get("shown")),
            defaults=_map(sent.get("defaults")),
            states=_map(sent.get("states")),
            lists=_map(sent.get("lists")),
            wrong=_names(sent.get("wrong")),
        )

    def text(self) -> str:
        """As it is sent back."""
        return json.dumps(
            {
                "shown": sorted(self.shown),
                "defaults": dict(self.defaults),
                "states": dict(self.states),
                "lists": dict(self.lists),
                "wrong": sorted(self.wrong),
            }
        )


@dataclass(slots=True)
class Read:
    """values: answers by name; null is what was emptied although it has a default. errors: by the
    path of the value, what could not be understood. touched: names that somebody answered.
    """

    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)


def read(fields: Mapping[str, Field], data: Any, marks: Marks) -> Read:
    """The answers in `data`. Nothing of it is checked but whether it can be understood."""
    found = Read()
    keys = list(data)
    for name, one in fields.items():
        html_name = names.child(names.PREFIX, name)
        was_shown = name in marks.shown if marks.is_sent else names.was_sent(html_name, keys)
        if not was_shown or one.disabled is True:
            continue
        value = _value(one, html_name, name, data, keys, found.errors)
        if name in found.errors or any(path.startswith(f"{name}.") for path in found.errors):
            continue
        default = marks.defaults.get(name)
        if value is ABSENT:
            if default is not None:
                found.values[name] = None
        elif not _same(value, default):
            found.values[name] = value
    return found


def _value(
    one: Field, name: str, path: str, data: Any, keys: list[str], errors: dict[str, list[str]]
) -> Any:
    if one.widget == "repository":
        return _repository(one, name, path, data, errors)
    if one.widget == "group":
        return _group(one.children, name, path, data, keys, errors)
    if one.widget == "rows" and one.item is not None:
        rows = [
            _group(
                one.item.children, names.child(name, number), f"{path}.{number}", data, keys, errors
            )
            for number in names.rows_of(name, keys)[:MAX_ROWS]
        ]
        return [row for row in rows if row is not ABSENT] or ABSENT
    return _single(one, name, path, data, errors)


def _group(
    children: Mapping[str, Field],
    name: str,
    path: str,
    data: Any,
    keys: list[str],
    errors: dict[str, list[str]],
) -> Any:
    values = {}
    for key, child in children.items():
        value = _value(child, names.child(name, key), f"{path}.{key}", data, keys, errors)
        if value is not ABSENT and not (value is False and child.default is None):
            values[key] = value
    return values or ABSENT


def _repository(one: Field, name: str, path: str, data: Any, errors: dict[str, list[str]]) -> Any:
    host = str(data.get(names.child(name, "host")) or "").strip().strip('"')
    parts = {}
    for key, part in repository.fields_for(one, host).items():
        parts[key] = _single(part, names.child(name, key), f"{path}.{key}", data, errors)
    url, lacking = repository.url_of(parts)
    for key in lacking:
        errors.setdefault(f"{path}.{key}", []).append("Is missing")
    return ABSENT if lacking else url


def _single(one: Field, name: str, path: str, data: Any, errors: dict[str, list[str]]) -> Any:
    enum = one.one.enum
    picker = None
    if one.one.pick is not None and enum is None:
        picker = widgets.EntityPicker(url="", many=one.is_list)
    control = control_of(one, enum=[] if enum is not None else None, picker=picker)
    try:
        return control.clean(control.widget.value_from_datadict(data, {}, name))
    except ValidationError as error:
        errors[path] = list(error.messages)
        return ABSENT


def _names(sent: Any) -> frozenset[str]:
    return frozenset(one for one in _list(sent) if isinstance(one, str))


def _list(sent: Any) -> list[Any]:
    return sent if isinstance(sent, list) else []


def _map(sent: Any) -> dict[str, Any]:
    return sent if isinstance(sent, dict) else {}


def _same(value: Any, other: Any) -> bool:
    """As JSON: true is not 1."""
    return json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True)
