"""The questions of a form, compiled: plain data that forms, checks and previews read alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

MASK: Final = "••••••"  # stands for a secret value wherever people look


@dataclass(frozen=True, slots=True)
class Jq:
    """A value that is worked out by JQ over {"form", "entity", "user"}."""

    query: str


@dataclass(frozen=True, slots=True)
class Pick:
    """What is picked from the catalogue.

    kind: "entity" (by identifier), "user" (by e-mail address), "team" (by identifier) or "ref"
    (an entity reference, `component:default/x`). blueprint: of entities. is_free: what is not in
    the catalogue may be typed, too. filters: what may be referred to, one of several
    {key: [value, …]} (an empty list: the key is there); default_kind, default_namespace: what a
    reference leaves out (namespace None: it is always written). is_owned: only what the teams of
    the person own. is_mine: only their own teams.
    """

    kind: str
    blueprint: str = ""
    is_free: bool = False
    filters: Sequence[Mapping[str, Sequence[str]]] = ()
    default_kind: str = ""
    default_namespace: str | None = "default"
    is_owned: bool = False
    is_mine: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One question.

    schema: JSON Schema of its value, without what JQ works out. widget: how it is asked:
    "text", "textarea", "code", "markdown", "number", "yes-no", "checkbox", "select", "radio",
    "checkboxes", "moment", "date", "range", "password", "hidden", "pick", "lines", "json", "group"
    (the fields of an object), "rows" (objects of a list), "repository". enum_names: by the JSON
    text of a value. enum_colors: by the value. limits: "pattern", "minLength", …, each a value or
    `Jq`. item: what a list consists of. children: fields of an object that are asked one by one.
    is_secret: masked wherever it is shown. in_secrets: it is not even an input, but a secret of
    its name. review: how the last page of a template's form shows it ("show", "mask", "name").
    """

    name: str
    title: str
    type: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    format: str = ""
    widget: str = "text"
    description: str = ""
    icon: str = ""
    help: str = ""
    placeholder: str = ""
    default: Any = None
    enum: Sequence[Any] | Jq | None = None
    enum_names: Mapping[str, str] = field(default_factory=dict)
    enum_colors: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    visible: bool | Jq = True
    disabled: bool | Jq = False
    depends_on: tuple[str, ...] = ()
    pick: Pick | None = None
    dataset: Mapping[str, Any] | None = None
    sort: Mapping[str, str] | None = None
    item: Field | None = None
    children: Mapping[str, Field] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    review: Mapping[str, Any] = field(default_factory=dict)
    is_secret: bool = False
    in_secrets: bool = False
    is_autofocus: bool = False

    @property
    def blueprint(self) -> str:
        """Of the entities that are picked; "" where none are."""
        return self.one.pick.blueprint if self.one.pick else ""

    @property
    def is_list(self) -> bool:
        return self.type == "array"

    @property
    def one(self) -> Field:
        """What a single value is: the items of a list, or the field itself."""
        return self.item or self

    def name_of(self, value: Any) -> str:
        """How people read one of its values."""
        known = self.enum_names.get(json.dumps(value))
        if known is not None:
            return known
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Heading:
    """A title between the questions."""

    name: str
    title: str
    description: str = ""
    visible: bool | Jq = True


@dataclass(frozen=True, slots=True)
class Step:
    """A page of the form. names: of fields and headings, in order."""

    title: str = ""
    description: str = ""
    names: tuple[str, ...] = ()
    visible: bool | Jq = True


@dataclass(frozen=True, slots=True)
class Definition:
    """All that a form asks.

    required: names of fields, or JQ that gives them. queries: every JQ of it, by the path where it
    stands in `document` ("properties.size.visible"). expand: gives the definition that holds for
    some values, where fields come and go with them. is_open: inputs nobody asked for are kept.
    schemas: what all values together must fit, where it says more than the fields do;
    secrets_schema: the same of secrets that come apart.
    """

    fields: Mapping[str, Field] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    titles: Mapping[str, Heading] = field(default_factory=dict)
    required: tuple[str, ...] | Jq = ()
    document: Mapping[str, Any] = field(default_factory=dict)
    queries: Mapping[str, str] = field(default_factory=dict)
    is_wizard: bool = False
    has_review: bool = False
    is_open: bool = False
    button: str = ""
    expand: Callable[[Mapping[str, Any]], Definition] | None = field(default=None, compare=False)
    schemas: tuple[Mapping[str, Any], ...] = ()
    secrets_schema: Mapping[str, Any] | None = None

    @property
    def secret_names(self) -> frozenset[str]:
        """Inputs that are, or hold, a secret."""
        return frozenset(name for name, one in self.fields.items() if holds_secret(one))

    def now(self, values: Mapping[str, Any]) -> Definition:
        """What is asked once `values` are filled in."""
        return self.expand(values) if self.expand else self


def holds_secret(one: Field) -> bool:
    if one.is_secret or one.in_secrets:
        return True
    parts = [*one.children.values(), *([one.item] if one.item else [])]
    return any(holds_secret(part) for part in parts)


def masked(one: Field, value: Any) -> Any:
    """`value` with the secrets in it masked."""
    if value is None:
        return None
    if one.is_secret or one.in_secrets:
        return MASK
    if one.children and isinstance(value, Mapping):
        return {
            name: masked(one.children[name], part) if name in one.children else part
            for name, part in value.items()
        }
    if one.item and isinstance(value, list):
        return [masked(one.item, part) for part in value]
    return value


def secrets_in(one: Field, value: Any, path: str = "") -> Iterator[tuple[Field, str, Any]]:
    """Each secret in `value`: its field, its dotted path and the value itself."""
    path = path or one.name
    if value is None or value == "":
        return
    if one.is_secret or one.in_secrets:
        yield one, path, value
    elif one.children and isinstance(value, Mapping):
        for name, child in one.children.items():
            yield from secrets_in(child, value.get(name), f"{path}.{name}")
    elif one.item and isinstance(value, list):
        for index, part in enumerate(value):
            yield from secrets_in(one.item, part, f"{path}.{index}")
