"""The form of an entity, made from the schema of its blueprint; admin and portal show the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import prefetch_related_objects
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import escape
from django.utils.text import capfirst

from catalog.forms import fields, widgets
from catalog.kernel.actors import Actor, Principal
from catalog.kernel.errors import Conflict, IdpError
from catalog.kernel.json_text import write_json
from catalog.models import TEAM, USER, Blueprint, Entity
from catalog.selectors.pick import titles_of
from catalog.services import derived, entities
from catalog.services.blueprint_spec import BlueprintSpec, RelationSpec, parse
from catalog.services.blueprints import blueprint_document
from catalog.services.entities import EntityDraft, ItemResult, Mode

PROPERTY, RELATION = "p-", "r-"  # property and relation names may collide with each other

_ADVICE = "Change it there, or have its mapping leave it out."
_PREFIXES = {"properties": PROPERTY, "relations": RELATION}

_TEXT_TYPES = {"url": "url", "email": "email", "idn-email": "email"}
_CODE_FORMATS = {"yaml", "proto"}
_HINTS: dict[Any, str] = {fields.MomentField: "In UTC.", fields.JsonField: "JSON."}
_PERSON_FORMATS = {"user": USER, "team": TEAM}


@dataclass(frozen=True, slots=True)
class Computed:
    """A value nobody types. source: "mirror", "calculation", "aggregation" or "inherited".
    problem: why there is none, where it could not be worked out.
    """

    title: str
    value: Any
    source: str
    problem: str = ""

    @property
    def text(self) -> str:
        return self.value if isinstance(self.value, str) else write_json(self.value)


@dataclass(frozen=True, slots=True)
class Lock:
    """Why a field is not for people: a source answers for it. url: the page of the source.

    reason: goes on after the name of the source.
    """

    source: str
    url: str

    @property
    def reason(self) -> str:
        return "writes this: its next sync would undo a change made here."


def entity_form_class(
    blueprint: Blueprint | BlueprintSpec, principal: Principal
) -> type[EntityForm]:
    """The form for entities of a blueprint, as `principal` sees them.

    A spec stands for a blueprint that is not saved yet (a preview).
    """
    if isinstance(blueprint, BlueprintSpec):
        spec = blueprint
    else:
        prefetch_related_objects([blueprint], "relation_definitions__target")
        spec = parse(blueprint_document(blueprint))
    return type("BoundEntityForm", (EntityForm,), {"spec": spec, "principal": principal})


class EntityForm(forms.Form):
    """Creates an entity, or changes `entity`. Use `entity_form_class` to get one.

    Only what differs from the stored entity is written, as a merge: values that the schema does
    not know, and those that were wrong before, stay as they are.
    """

    spec: ClassVar[BlueprintSpec]
    principal: ClassVar[Principal]

    use_required_attribute = False  # the browser's bubbles hide behind the sticky footer

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        entity: Entity | None = None,
        initial: Mapping[str, Any] | None = None,
        locks: Mapping[str, Lock] | None = None,
        **kwargs: Any,
    ) -> None:
        """initial: values for a new entity by field (`identifier`, `p-tier`, `r-owner`). locks:
        by path ("title", "properties.tier"), what may not be changed here."""
        self.entity = entity
        self.prefill = dict(initial or {})
        self._titles: dict[tuple[str, str], str] | None = None
        super().__init__(data, **kwargs)
        self._add_identity()
        for name, schema in self.spec.schema["properties"].items():
            self._add_property(name, schema)
        for name, relation in self.spec.relations.items():
            self._add_relation(name, relation)
        self.locks = self._lock(locks or {})
        self.fields["if_hash"] = forms.CharField(required=False, widget=forms.HiddenInput)
        if entity is not None:
            self.initial["if_hash"] = bytes(entity.content_hash).hex()

    @property
    def identity_fields(self) -> list[forms.BoundField]:
        names = ("identifier", "title", "team", "icon")
        return [self[name] for name in names if name in self.fields]

    @property
    def property_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith(PROPERTY)]

    @property
    def relation_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith(RELATION)]

    @property
    def other_values(self) -> str:
        """Stored values that the schema does not know, as JSON; "" when there are none."""
        known = self.spec.schema["properties"]
        stored = self.entity.properties if self.entity else {}
        others = {name: value for name, value in stored.items() if name not in known}
        return write_json(others) if others else ""

    @property
    def computed(self) -> list[Computed]:
        values = self.entity.computed if self.entity else {}
        errors = (self.entity.computed_errors if self.entity else None) or {}
        groups = (
            ("mirror", self.spec.mirror_properties),
            ("calculation", self.spec.calculation_properties),
            ("aggregation", self.spec.aggregation_properties),
        )
        found = [
            Computed(one.get("title") or name, values.get(name), source, errors.get(name, ""))
            for source, group in groups
            for name, one in group.items()
        ]
        if self.spec.team_path is not None:
            teams = ", ".join(self.entity.team) if self.entity else ""
            found.insert(0, Computed("Teams", teams or None, "inherited", errors.get("$team", "")))
        return found

    def draft(self) -> EntityDraft:
        """What a valid form asks for."""
        cleaned = self.cleaned_data
        if self.entity is None:
            return EntityDraft(
                self.spec.identifier,
                cleaned["identifier"],
                title=cleaned["title"],
                icon=cleaned["icon"],
                team=cleaned.get("team"),
                properties=self._said(PROPERTY),
                relations=self._said(RELATION),
            )
        changed: dict[str, Any] = {
            name: cleaned[name]
            for name in ("title", "icon", "team")
            if name in cleaned and cleaned[name] != self._stored_identity(name)
        }
        return EntityDraft(
            self.spec.identifier,
            self.entity.identifier,
            properties=self._changed(PROPERTY, self.entity.properties),
            relations=self._changed(RELATION, self.entity.relations),
            if_hash=_hash(cleaned["if_hash"]),
            **changed,
        )

    def save(self, *, actor: Actor) -> ItemResult | None:
        """Write the draft through the door; None when it was refused, the errors then are here."""
        [item] = entities.apply(
            [self.draft()],
            mode=Mode.CREATE if self.entity is None else Mode.MERGE,
            actor=actor,
            must_exist=self.entity is not None,
        ).items
        if item.error is None:
            derived.refresh_written(self.spec.identifier, [item.pk] if item.pk else [])
            return item
        self.add_idp_error(item.error)
        return None

    def add_idp_error(self, error: IdpError) -> None:
        """Put what the service says beside the field it speaks of."""
        if isinstance(error, Conflict) and "resource" not in error.details:
            self.add_error(None, f"{error.message}. {error.hint} Your input below is not saved.")
            return
        problems = error.details.get("problems")
        if problems:
            for problem in problems:
                name = problem["path"].partition(".")[0]
                rest = problem["path"][len(name) + 1 :]
                where = f"{rest}: " if rest else ""
                self._add_at(f"{PROPERTY}{name}", f"{where}{problem['message']}")
            return
        path = str(error.details.get("field", ""))
        if error.details.get("with") == "identifier":
            path = "identifier"
        group, _, name = path.partition(".")
        prefix = _PREFIXES.get(group)
        self._add_at(f"{prefix}{name}" if prefix else path, str(error))

    def _add_at(self, field: str, message: str) -> None:
        self.add_error(field if field in self.fields else None, message)

    def _said(self, prefix: str) -> dict[str, Any]:
        return {
            name.removeprefix(prefix): self.cleaned_data[name]
            for name in self.fields
            if name.startswith(prefix) and self.cleaned_data[name] is not None
        }

    def _changed(self, prefix: str, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Values that differ; None clears one."""
        return {
            key: self.cleaned_data[name]
            for name in self.fields
            if name.startswith(prefix)
            and not _same(self.cleaned_data[name], stored.get(key := name.removeprefix(prefix)))
        }

    def _add_identity(self) -> None:
        plain = {"autocapitalize": "off", "spellcheck": "false"}
        if self.entity is None:
            self._add(
                "identifier",
                fields.TextField,
                widget=widgets.TextInput(**plain),
                help_text="Names it in URLs, relations and the API. Left empty, one is made up.",
            )
        self._add("title", fields.TextField, widget=widgets.TextInput())
        if self.spec.team_path is None:  # nobody writes what is inherited
            self._add(
                "team",
                fields.ManyPickerField,
                label="Teams",
                widget=self._picker(TEAM, many=True),
                help_text="Who owns it.",
            )
        self._add(
            "icon",
            fields.TextField,
            widget=widgets.TextInput(**plain),
            help_text="The name of an icon. Left empty, that of the kind is shown.",
        )

    def _add(self, name: str, field_class: type[fields.ValueField], **kwargs: Any) -> None:
        stored = self._stored_identity(name) if self.entity else None
        self.fields[name] = field_class(required=False, stored=stored, **kwargs)
        self.initial[name] = self.prefill.get(name) if self.entity is None else stored

    def _stored_identity(self, name: str) -> Any:
        value = getattr(self.entity, name)
        return value if value != [] else None

    def _add_property(self, name: str, schema: Mapping[str, Any]) -> None:
        field_name = f"{PROPERTY}{name}"
        stored = self.entity.properties.get(name) if self.entity else None
        shown = stored
        if self.entity is None:
            shown = self.prefill.get(field_name, schema.get("default"))
        field_class, extra = self._kind_of_field(schema, shown)
        self.fields[field_name] = field_class(
            required=name in self.spec.schema["required"],
            label=schema.get("title") or capfirst(name),
            help_text=_help(schema.get("description"), _HINTS.get(field_class, "")),
            stored=stored,
            **extra,
        )
        self.initial[field_name] = shown

    def _kind_of_field(
        self, schema: Mapping[str, Any], value: Any
    ) -> tuple[Callable[..., fields.ValueField], dict[str, Any]]:
        """The field for a property, able to show `value` even if it does not fit the schema."""
        kind, form = schema["type"], schema.get("format")
        if schema.get("enum"):
            return fields.EnumField, {"values": schema["enum"]}
        if kind == "string":
            return self._text_field(form, value)
        if kind == "number" and (value is None or _is_plain(value)):
            return fields.NumberField, {"widget": widgets.TextInput(inputmode="decimal")}
        if kind == "boolean" and (value is None or isinstance(value, bool)):
            return fields.YesNoField, {}
        if kind == "array":
            return self._list_field(schema.get("items") or {}, value)
        return fields.JsonField, {}

    def _text_field(
        self, form: str | None, value: Any
    ) -> tuple[Callable[..., fields.ValueField], dict[str, Any]]:
        if value is not None and not isinstance(value, str):
            return fields.JsonField, {}
        text = value or ""
        if form in _PERSON_FORMATS and text == text.strip():
            picker = self._picker(_PERSON_FORMATS[form], is_free=form == "user")
            return fields.PickerField, {"widget": picker}
        if form in ("date-time", "timer") and (not text or fields.MomentField.can_show(text)):
            return fields.MomentField, {}
        if form == "markdown":
            return fields.LongTextField, {"widget": widgets.LongTextInput(rows=6)}
        if form in _CODE_FORMATS:
            return fields.LongTextField, {"widget": widgets.CodeInput(rows=6)}
        if len(text.splitlines()) > 1 or text != text.strip():
            return fields.LongTextField, {}
        return fields.TextField, {
            "widget": widgets.TextInput(input_type=_TEXT_TYPES.get(form or "", "text"))
        }

    def _list_field(
        self, items: Any, value: Any
    ) -> tuple[Callable[..., fields.ValueField], dict[str, Any]]:
        items = items if isinstance(items, dict) else {}
        kind, form = items.get("type", "string"), items.get("format")
        if items.get("enum") and (value is None or isinstance(value, list)):
            return fields.ManyEnumField, {"values": items["enum"]}
        if kind in ("string", "number", "boolean") and (
            value is None or fields.LinesField.can_show(value, kind)
        ):
            if form in _PERSON_FORMATS and kind == "string":
                picker = self._picker(_PERSON_FORMATS[form], many=True, is_free=form == "user")
                return fields.ManyPickerField, {"widget": picker}
            return fields.LinesField, {"item_type": kind}
        return fields.JsonField, {}

    def _add_relation(self, name: str, relation: RelationSpec) -> None:
        field_name = f"{RELATION}{name}"
        stored = self.entity.relations.get(name) if self.entity else None
        many = relation.many
        field_class = fields.ManyPickerField if many else fields.PickerField
        count = "Several" if many else "One"
        target = dict(self._kinds).get(relation.target or "", relation.target or "any kind")
        self.fields[field_name] = field_class(
            required=relation.required,
            label=relation.title or capfirst(name),
            help_text=_help(relation.description, f"{count} of {target}."),
            widget=self._picker(relation.target, many=many),
            stored=stored,
        )
        self.initial[field_name] = (
            stored if self.entity is not None else self.prefill.get(field_name)
        )

    def _picker(
        self, target: str | None, *, many: bool = False, is_free: bool = False
    ) -> widgets.EntityPicker:
        query = {"kind": target} if target else {"refs": ""}
        return widgets.EntityPicker(
            url=f"{reverse('pick-entities')}?{urlencode(query)}",
            many=many,
            is_free=is_free,
            kinds=() if target else self._kinds,
            label_of=lambda names: self._labels(target, names),
        )

    @cached_property
    def _kinds(self) -> list[tuple[str, str]]:
        """(identifier, title) of every blueprint."""
        return list(Blueprint.objects.order_by("title").values_list("identifier", "title"))

    def _labels(self, target: str | None, names: Sequence[str]) -> dict[str, str]:
        """Titles of picked entities: one statement for all pickers of the form."""
        keys = {name: _key(target, name) for name in names}
        if self._titles is None:
            self._titles = titles_of(self.principal, self._all_keys())
        unseen = [key for key in keys.values() if key not in self._titles]
        if unseen and self.is_bound:  # what was picked just now
            self._titles |= titles_of(self.principal, unseen)
        return {name: self._titles[key] for name, key in keys.items() if key in self._titles}

    def _all_keys(self) -> list[tuple[str, str]]:
        keys: list[tuple[str, str]] = []
        for field_name, field in self.fields.items():
            if isinstance(field.widget, widgets.EntityPicker):
                value = self.initial.get(field_name)
                target = self._target_of(field_name)
                names = value if isinstance(value, list) else [value]
                keys += [_key(target, name) for name in names if isinstance(name, str) and name]
        return keys

    def _target_of(self, field_name: str) -> str | None:
        if field_name == "team":
            return TEAM
        if field_name.startswith(RELATION):
            return self.spec.relations[field_name.removeprefix(RELATION)].target
        schema = self.spec.schema["properties"][field_name.removeprefix(PROPERTY)]
        return _PERSON_FORMATS[schema.get("format") or schema["items"]["format"]]

    def _lock(self, locks: Mapping[str, Lock]) -> dict[str, Lock]:
        """Turn fields into text, by name; `lock` and `fixed` are for the template."""
        locked = {}
        for path, lock in locks.items():
            group, _, name = path.partition(".")
            field_name = f"{_PREFIXES[group]}{name}" if group in _PREFIXES else path
            if (field := self.fields.get(field_name)) is None:
                continue
            stored = self.initial.get(field_name)
            field.required = False
            field.lock = lock  # type: ignore[attr-defined]
            field.fixed = _text(stored)  # type: ignore[attr-defined]
            locked[field_name] = lock
        return locked

    def clean(self) -> dict[str, Any]:
        """What is locked stays as it is, and whoever sends something else is told why."""
        for name, lock in self.locks.items():
            stored = self.initial.get(name)
            if name in self.data and not _same(self.cleaned_data.get(name), stored):
                self.add_error(name, f"Not changed. {lock.source} {lock.reason} {_ADVICE}")
            self.cleaned_data[name] = stored
        return self.cleaned_data

    def clean_team(self) -> list[str] | None:
        """New owners must be in the catalogue: a misspelt team would own things unseen."""
        teams = self.cleaned_data["team"] or []
        known = self.entity.team if self.entity else []
        new = [(TEAM, name) for name in teams if name not in known]
        found = titles_of(self.principal, new)
        missing = [name for _, name in new if (TEAM, name) not in found]
        if missing:
            raise ValidationError(f"There is no team {', '.join(missing)}")
        return teams or None


def _help(description: str | None, hint: str) -> str:
    """Escaped: the templates of the shell take help for HTML."""
    return escape(" ".join(part for part in (description, hint) if part))


def _key(target: str | None, name: str) -> tuple[str, str]:
    if target:
        return target, name
    blueprint, _, identifier = name.partition(":")
    return blueprint, identifier


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: True is not 1, and 1 is not 1.0."""
    return write_json(one) == write_json(other)


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return value if isinstance(value, str) else "" if value is None else write_json(value)


def _hash(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) or None
    except ValueError:
        return None
