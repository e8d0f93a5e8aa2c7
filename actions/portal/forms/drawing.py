"""The questions as they are drawn: a tree of what the templates show."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from django.utils.safestring import SafeString

from actions.inputs import MASK, Field, Resolved, ResolvedField
from actions.inputs.picks import names_in
from actions.inputs.refs import titles_of_refs
from actions.portal.forms import names, pickers, repository
from actions.portal.forms.controls import control_of
from catalog.forms import widgets
from catalog.kernel.actors import Principal
from catalog.kernel.yaml_writer import write_yaml
from catalog.models import TEAM, USER
from catalog.selectors.pick import titles_of

_HINTS: Final = {"moment": "In UTC.", "code": "", "lines": "", "json": "YAML or JSON."}
_PERSONS: Final = {"user": USER, "team": TEAM}


@dataclasses.dataclass(slots=True)
class Drawn:
    """One question. input: its HTML. fixed: its value in words, where nobody may change it.
    children: the parts of an object, rows: those of each object in a list; blank: of one more.
    notes: what keeps it from being answered, and what could not be worked out.
    """

    name: str
    id: str
    path: str
    field: Field
    title: str
    help: str = ""
    is_visible: bool = True
    is_required: bool = False
    is_group: bool = False
    input: SafeString | str = ""
    fixed: str | None = None
    is_fixed: bool = False
    children: list[Drawn] = dataclasses.field(default_factory=list)
    rows: list[Row] = dataclasses.field(default_factory=list)
    blank: Row | None = None
    notes: list[str] = dataclasses.field(default_factory=list)
    errors: list[str] = dataclasses.field(default_factory=list)

    @property
    def kind(self) -> str:
        return self.field.widget

    @property
    def box_id(self) -> str:
        return f"box-{self.id}"

    @property
    def has_errors(self) -> bool:
        """Whether anything in it is wrong."""
        parts = [*self.children, *(one for row in self.rows for one in row.parts)]
        return bool(self.errors) or any(one.has_errors for one in parts)

    @property
    def parts(self) -> Iterator[str]:
        """The paths of its parts, however deep; rows are for people to add."""
        for one in self.children:
            yield one.path
            yield from one.parts

    @property
    def description(self) -> str:
        return self.field.description


@dataclasses.dataclass(slots=True)
class Row:
    number: int | str
    parts: list[Drawn]


class Artist:
    """Draws the questions of one resolved form. raw: what was sent, to be shown as it was typed."""

    def __init__(
        self,
        resolved: Resolved,
        principal: Principal,
        *,
        raw: Any = None,
        errors: Mapping[str, list[str]] | None = None,
    ) -> None:
        self.resolved, self.principal = resolved, principal
        self.raw, self.errors = raw, errors or {}
        self._titles: dict[tuple[str, str], str] | None = None

    def draw(self, name: str, *, as_typed: bool = True) -> Drawn:
        """as_typed: with what was sent; else as if nobody had answered."""
        one = self.resolved.fields[name]
        html_name = names.child(names.PREFIX, name)
        value = one.value if as_typed else one.default
        drawn = self._drawn(
            one.field,
            html_name,
            name,
            value,
            state=one,
            as_typed=as_typed and not one.is_settled,
            is_needed=one.is_required,
        )
        drawn.is_visible = one.is_visible
        drawn.is_required = one.is_required
        return drawn

    def _drawn(
        self,
        one: Field,
        name: str,
        path: str,
        value: Any,
        *,
        state: ResolvedField | None = None,
        as_typed: bool = True,
        is_fixed: bool = False,
        is_needed: bool = False,
    ) -> Drawn:
        drawn = Drawn(
            name=name,
            id=names.html_id(name),
            path=path,
            field=one,
            title=one.title,
            help=" ".join(part for part in (one.help, _HINTS.get(one.widget, "")) if part),
            errors=list(self.errors.get(path, ())) if as_typed else [],
        )
        is_fixed = is_fixed or one.disabled is True
        if state is not None:
            is_fixed = self._notes(drawn, state) or is_fixed
        drawn.is_fixed = is_fixed
        if one.widget == "repository":
            value = repository.parts_of(value)
            host = self._host(one, name, value, as_typed)
            one = dataclasses.replace(one, children=repository.fields_for(one, host), required=())
            value = {"host": host, **value}
        if one.widget in ("group", "repository"):
            drawn.is_group = True
            drawn.children = self._parts(one, name, path, value, as_typed, is_fixed)
            for part in drawn.children:  # what may be left out as a whole lacks nothing
                part.is_required = part.is_required and (bool(value) or is_needed)
        elif one.widget == "rows" and one.item is not None:
            drawn.is_group = True
            self._draw_rows(drawn, one.item, value, as_typed, is_fixed)
        elif is_fixed:
            drawn.fixed = self.text(one, value)
        else:
            self._input(drawn, one, value, state, as_typed)
        return drawn

    def _notes(self, drawn: Drawn, state: ResolvedField) -> bool:
        """Whether it cannot be answered just now, having said why."""
        if state.waits_for:
            fields = self.resolved.definition.fields
            drawn.notes.append(
                f"Fill in {_and(fields[one].title for one in state.waits_for)} first."
            )
        for one in state.errors:
            drawn.notes.append(f"Could not be worked out: {one}")
        return bool(state.waits_for) or state.is_failed

    def _host(self, one: Field, name: str, parts: Mapping[str, str], as_typed: bool) -> str:
        typed = self.raw.get(names.child(name, "host")) if as_typed and self.raw else None
        if typed:
            return str(typed).strip().strip('"')
        return parts.get("host") or repository.host_of(one, "")

    def _parts(
        self, one: Field, name: str, path: str, value: Any, as_typed: bool, is_fixed: bool
    ) -> list[Drawn]:
        values = value if isinstance(value, Mapping) else {}
        parts = []
        for key, child in one.children.items():
            part = self._drawn(
                child,
                names.child(name, key),
                f"{path}.{key}",
                values.get(key, child.default),
                as_typed=as_typed,
                is_fixed=is_fixed,
                is_needed=key in one.required,
            )
            part.is_required = key in one.required
            parts.append(part)
        return parts

    def _draw_rows(
        self, drawn: Drawn, item: Field, value: Any, as_typed: bool, is_fixed: bool
    ) -> None:
        numbers: Sequence[int] = range(len(value) if isinstance(value, list) else 0)
        values: Mapping[int, Any] = dict(enumerate(value if isinstance(value, list) else ()))
        if as_typed and self.raw is not None and names.was_sent(drawn.name, self.raw):
            numbers = names.rows_of(drawn.name, self.raw)
            values = {}
        # without scripts, the last one is there to be filled in
        nobody = {} if is_fixed else {max(numbers, default=-1) + 1: None}
        for number in [*numbers, *nobody]:
            place = names.child(drawn.name, number)
            path = f"{drawn.path}.{number}"
            parts = self._parts(item, place, path, values.get(number), as_typed, is_fixed)
            drawn.rows.append(Row(number, parts))
        blank = names.child(drawn.name, names.BLANK)
        drawn.blank = Row(names.BLANK, self._parts(item, blank, "", None, False, is_fixed))

    def _input(
        self, drawn: Drawn, one: Field, value: Any, state: ResolvedField | None, as_typed: bool
    ) -> None:
        enum = state.enum if state is not None else one.one.enum
        enum = enum if isinstance(enum, list) else None
        picker = None if enum is not None else self._picker(drawn, one, state)
        control = control_of(one, enum=enum, picker=picker)
        shown = control.prepare_value(value)
        if as_typed and self.raw is not None and self._is_typed(drawn, state):
            sent = control.widget.value_from_datadict(self.raw, {}, drawn.name)
            shown = control.prepare_value(control.bound_data(sent, None))
        attrs: dict[str, Any] = {"id": drawn.id}
        if one.is_autofocus:
            attrs["autofocus"] = True
        described = [f"{drawn.id}_help"] if drawn.help or one.description or drawn.notes else []
        if drawn.errors:
            attrs["aria-invalid"] = "true"
            described.append(f"{drawn.id}_error")
        if described:
            attrs["aria-describedby"] = " ".join(described)
        drawn.is_group = control.widget.use_fieldset
        drawn.input = control.widget.render(drawn.name, shown, attrs)

    def _is_typed(self, drawn: Drawn, state: ResolvedField | None) -> bool:
        """Whether what is shown is what was sent: not where a default goes on by itself."""
        if state is not None and state.is_visible:
            return state.is_given or drawn.path in self.errors
        return names.was_sent(drawn.name, self.raw)

    def _picker(
        self, drawn: Drawn, one: Field, state: ResolvedField | None
    ) -> widgets.EntityPicker | None:
        pick = one.one.pick
        if pick is None:
            return None
        url = pickers.url_for(one, state.dataset if state is not None else one.one.dataset)
        if not url:
            drawn.notes.append("There is too much to search by: type its identifier.")
        return widgets.EntityPicker(
            url=url,
            many=one.is_list,
            is_free=pick.is_free or not url,
            label_of=lambda values: self.titles(one, values),
        )

    def titles(self, one: Field, values: Sequence[str]) -> dict[str, str]:
        """What picked things are called: entities are known, people and teams take one statement
        for all, references one for each question."""
        pick = one.one.pick
        if pick is None:
            return {}
        if pick.kind == "ref":
            return titles_of_refs(values, pick, self.principal)
        if pick.kind == "entity":
            known = self.resolved.documents
            return {
                value: str(found.get("title") or value)
                for value in values
                if (found := known.get((pick.blueprint, value)))
            }
        if self._titles is None:
            self._titles = titles_of(self.principal, self._people())
        kind = _PERSONS[pick.kind]
        found = {value: self._titles.get((kind, value)) for value in values}
        if pick.kind == "user":  # by e-mail address, which may be no identifier
            return {value: title or value for value, title in found.items()}
        return {value: title for value, title in found.items() if title}

    def _people(self) -> list[tuple[str, str]]:
        return [
            (_PERSONS[pick.kind], value)
            for name, one in self.resolved.fields.items()
            if (pick := one.field.one.pick) is not None and pick.kind in _PERSONS
            for value in names_in(self.resolved.values.get(name))
        ]

    def text(self, one: Field, value: Any) -> str:
        """A value in words."""
        if value is None:
            return ""
        if one.is_secret or one.in_secrets:
            return MASK
        if isinstance(value, bool):
            return "Yes" if value else "No"
        if one.one.pick is not None:
            known = self.titles(one, names_in(value))
            return ", ".join(known.get(each, each) for each in names_in(value))
        if isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
            return ", ".join(one.one.name_of(each) for each in value)
        return (
            one.name_of(value) if not isinstance(value, dict | list) else write_yaml(value).strip()
        )


def _and(words: Iterable[str]) -> str:
    listed = list(words)
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)
